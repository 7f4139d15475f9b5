//! Asks the server what the review wants, one request after another.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use sandbar_api::{FileHunks, RejectOutcome, RejectRequest, paths};
use sandbar_types::{ApproveId, ApproveOutcome, ChangeSet, HostPath, WorkspacePath};
use tokio::sync::mpsc;

use crate::{
    approves,
    client::Client,
    commands::changes::fetch_all,
    failure::Failure,
    review::{
        choice::moved_on,
        state::{Effect, Event, Sending, Sent, Trouble, path_text},
    },
    select,
};

/// The server, and the sandbox that is reviewed.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) client: &'a mut Client,
    pub(super) sandbox: &'a str,
    pub(super) source: Option<&'a [u8]>,
}

impl Server<'_> {
    /// Carries out requests until nobody can send one any more.
    pub(super) async fn serve(
        mut self,
        mut jobs: mpsc::Receiver<Effect>,
        answers: mpsc::Sender<Event>,
    ) {
        while let Some(job) = jobs.recv().await {
            let answer = match job {
                Effect::LoadChanges => Event::Changes(self.changes().await),
                Effect::LoadHunks(path) => {
                    let answer = self.hunks(&path).await;
                    Event::Hunks(path, answer)
                }
                Effect::Send(sending) => Event::Sent(Box::new(self.send(*sending).await)),
                Effect::AskLatestApprove => Event::LatestApprove(self.latest_approve().await),
                Effect::Undo(approve) => Event::Undone(self.undo(approve).await),
                // Those of the terminal.
                Effect::Redraw | Effect::Suspend | Effect::Quit => continue,
            };
            if answers.send(answer).await.is_err() {
                return;
            }
        }
    }

    fn address(&self, what: &str) -> String {
        paths::below_sandbox(self.sandbox, what)
    }

    async fn changes(&mut self) -> Result<ChangeSet, Trouble> {
        fetch_all(self.client, self.sandbox).await.map_err(|failure| trouble(&failure))
    }

    async fn hunks(&mut self, path: &WorkspacePath) -> Result<FileHunks, Trouble> {
        let address = format!("{}?{}", self.address("changes/hunks"), select::path_query(path));
        self.client.fetch(&address).await.map_err(|failure| trouble(&failure))
    }

    /// Approves, then rejects: the other way round the approve would name another set.
    async fn send(&mut self, sending: Sending) -> Sent {
        let mut sent = Sent::default();
        if let Some(approval) = &sending.approve {
            let address = self.address("approve");
            let answer: Result<ApproveOutcome, _> = self.client.post(&address, approval).await;
            let answer = answer.map_err(|failure| trouble(&failure));
            let has_failed = answer.is_err();
            sent.approved = Some(answer);
            if has_failed {
                return sent;
            }
        }
        if let Some(mut rejection) = sending.reject {
            if sending.approve.is_some() {
                match self.renamed(&sending.seen, &rejection).await {
                    Ok(diff_id) => rejection.diff_id = Some(diff_id),
                    Err(trouble) => {
                        sent.rejected = Some(Err(trouble));
                        return sent;
                    }
                }
            }
            sent.rejected = Some(self.reject(&rejection).await);
        }
        sent
    }

    /// The name that the set has after our own approve, if what is to be rejected still is what was looked at.
    async fn renamed(
        &mut self,
        seen: &[sandbar_types::Change],
        rejection: &RejectRequest,
    ) -> Result<sandbar_types::DiffId, Trouble> {
        let now = self.changes().await?;
        let sandbar_types::Selection::Parts(parts) = &rejection.selection else {
            return Ok(now.diff_id);
        };
        match moved_on(seen, &now.changes, parts) {
            None => Ok(now.diff_id),
            Some(path) => Err(Trouble {
                lines: vec![format!("{} went on changing: look at it again", path_text(path))],
                ..Trouble::default()
            }),
        }
    }

    async fn reject(&mut self, rejection: &RejectRequest) -> Result<Vec<WorkspacePath>, Trouble> {
        let address = self.address("reject");
        let answer: Result<RejectOutcome, _> = self.client.post(&address, rejection).await;
        answer
            .map(|outcome| [outcome.rejected, outcome.parts].concat())
            .map_err(|failure| trouble(&failure))
    }

    async fn latest_approve(&mut self) -> Result<Option<ApproveId>, Trouble> {
        let source = self.source.map(|source| HostPath::parse(OsStr::from_bytes(source)));
        let Some(Ok(source)) = source else { return Ok(None) };
        let standing = approves::standing(self.client, &source).await;
        standing.map(|found| found.map(|one| one.id)).map_err(|failure| trouble(&failure))
    }

    async fn undo(&mut self, approve: ApproveId) -> Result<(), Trouble> {
        let answer: Result<serde_json::Value, _> =
            self.client.post(&paths::undo(&approve.to_string()), &serde_json::json!({})).await;
        answer.map(drop).map_err(|failure| trouble(&failure))
    }
}

/// A failure in lines that are safe to show.
fn trouble(failure: &Failure) -> Trouble {
    let lines = failure.render().lines().map(str::to_owned).collect();
    let problem = failure.problem();
    Trouble {
        lines,
        code: problem.map(|problem| problem.code),
        flagged: crate::client::flagged(problem),
    }
}
