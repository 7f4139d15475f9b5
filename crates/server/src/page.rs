//! Lists that come a page at a time: how long a page is, where it begins, and whether another one follows.

use std::str::FromStr;

use sandbar_api::{ErrorCode, LIMIT_PAGE_DEFAULT, LIMIT_PAGE_MAX, Page};

use crate::error::ApiError;

/// Reads how many items a page has.
pub(crate) fn page_limit(limit: Option<u32>) -> Result<u32, ApiError> {
    match limit {
        None => Ok(LIMIT_PAGE_DEFAULT),
        Some(limit @ 1..=LIMIT_PAGE_MAX) => Ok(limit),
        Some(_) => Err(ApiError::new(
            ErrorCode::InvalidQuery,
            format!("`limit` must be 1 to {LIMIT_PAGE_MAX}"),
        )),
    }
}

/// Reads behind which item a page begins.
pub(crate) fn page_cursor<T: FromStr>(cursor: Option<&str>) -> Result<Option<T>, ApiError> {
    cursor.map(str::parse).transpose().map_err(|_| foreign_cursor())
}

/// The refusal of a cursor that is none, or another list's.
pub(crate) fn foreign_cursor() -> ApiError {
    ApiError::new(ErrorCode::InvalidCursor, "the cursor is not one that this list gave")
}

/// One page of `found`, which holds at least one item more than `limit` where another page follows.
pub(crate) fn page<T, U>(
    mut found: Vec<T>,
    limit: u32,
    cursor: impl FnOnce(&T) -> String,
    body: impl FnMut(T) -> U,
) -> Page<U> {
    let limit = limit as usize;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| has_more).map(cursor);
    Page { items: found.into_iter().map(body).collect(), next_cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_least_one_item_and_not_too_many() {
        assert_eq!(page_limit(None).unwrap(), 50);
        assert_eq!(page_limit(Some(200)).unwrap(), 200);
        assert!(page_limit(Some(0)).is_err() && page_limit(Some(201)).is_err());
    }

    #[test]
    fn a9_only_a_page_that_another_one_follows_has_a_cursor() {
        let of = |found: Vec<u8>| page(found, 2, u8::to_string, |item| item);
        assert_eq!(of(vec![]).next_cursor, None);
        assert_eq!(of(vec![1, 2]).next_cursor, None);
        let first = of(vec![1, 2, 3]);
        assert_eq!((first.items, first.next_cursor), (vec![1, 2], Some("2".to_owned())));
    }
}
