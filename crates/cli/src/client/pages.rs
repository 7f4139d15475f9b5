//! Lists that come page by page.

use sandbar_api::{Page, paths};
use serde::de::DeserializeOwned;

use super::Client;
use crate::failure::Failure;

/// LIMIT: items of a page, the server's own.
const PAGE_MAX: usize = 200;

/// Goes through a list.
#[derive(Debug)]
pub(crate) struct Pages {
    path: String,
    /// What asks for the next page; `None`: there is none.
    cursor: Option<String>,
}

impl Pages {
    /// Of the list at `path`, which may have a query.
    pub(crate) fn of(path: &str) -> Self {
        let mark = match path.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        Self { path: format!("{path}{mark}"), cursor: Some(String::new()) }
    }

    /// The next page, of at most `count` items; `None` behind the last one.
    pub(crate) async fn next<T: DeserializeOwned>(
        &mut self,
        client: &mut Client,
        count: usize,
    ) -> Result<Option<Vec<T>>, Failure> {
        let Some(cursor) = self.cursor.take() else { return Ok(None) };
        let limit = count.min(PAGE_MAX);
        let page: Page<T> = client.fetch(&format!("{}limit={limit}{cursor}", self.path)).await?;
        let next = page.next_cursor;
        self.cursor = next.map(|next| format!("&cursor={}", paths::escape(next.as_bytes())));
        Ok(Some(page.items))
    }
}

impl Client {
    /// Every item of the list at `path`, which may have a query.
    pub(crate) async fn all<T: DeserializeOwned>(&mut self, path: &str) -> Result<Vec<T>, Failure> {
        self.first(path, usize::MAX).await
    }

    /// The first `count` items of the list at `path`, or all where there are fewer.
    pub(crate) async fn first<T: DeserializeOwned>(
        &mut self,
        path: &str,
        count: usize,
    ) -> Result<Vec<T>, Failure> {
        let (mut pages, mut items) = (Pages::of(path), Vec::new());
        while items.len() < count {
            let Some(page) = pages.next(self, count - items.len()).await? else { break };
            items.extend(page);
        }
        Ok(items)
    }
}
