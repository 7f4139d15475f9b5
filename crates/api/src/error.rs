//! Errors as every client sees them: RFC 9457 problem documents with a stable code.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The content type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

// `$text` is a token tree: as a literal it would reach the schema's derive as a group, which it does not look into.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:tt, $status:literal;)+) => {
        /// What went wrong, for programs. Append-only: a code never changes its meaning and never goes away.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order in which they were added.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as it is on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The code that is written `text`, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

codes! {
    /// The request is well formed but asks for something that cannot be.
    InvalidRequest = "invalid_request", 422;
    /// The body is not JSON, has a duplicate key or is nested too deep.
    InvalidJson = "invalid_json", 400;
    /// The body is JSON, but a field is unknown, missing or of another type.
    InvalidField = "invalid_field", 400;
    /// A query parameter is unknown, repeated or cannot be read.
    InvalidQuery = "invalid_query", 400;
    /// A header cannot be read.
    InvalidHeader = "invalid_header", 400;
    /// A path holds `..`, NUL, or leads out of the workspace.
    InvalidPath = "invalid_path", 422;
    /// The cursor is not one that this list gave.
    InvalidCursor = "invalid_cursor", 422;
    /// No token, or not the right one.
    Unauthorized = "unauthorized", 401;
    /// Another web site asked; browsers may not call this API from elsewhere.
    ForbiddenOrigin = "forbidden_origin", 403;
    /// The peer on the socket is another user.
    ForbiddenPeer = "forbidden_peer", 403;
    /// No route has this address.
    RouteNotFound = "route_not_found", 404;
    /// No sandbox has this id, prefix or name.
    SandboxNotFound = "sandbox_not_found", 404;
    /// The sandbox has no exec with this id.
    ExecNotFound = "exec_not_found", 404;
    /// The app has no process of this name.
    ProcessNotFound = "process_not_found", 404;
    /// The workspace has no `sandbox.yaml`.
    ManifestNotFound = "manifest_not_found", 404;
    /// The `sandbox.yaml` of the workspace cannot be used; nothing was changed.
    ManifestInvalid = "manifest_invalid", 422;
    /// The workspace has no such file.
    FileNotFound = "file_not_found", 404;
    /// The path is not among the changes.
    ChangeNotFound = "change_not_found", 404;
    /// The change has no hunk with this id, or the hunk no such line.
    HunkNotFound = "hunk_not_found", 404;
    /// The route does not know this method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// Nothing that the client accepts can be given.
    NotAcceptable = "not_acceptable", 406;
    /// The client took too long to send its request.
    RequestTimeout = "request_timeout", 408;
    /// The state of the sandbox forbids it.
    StateConflict = "state_conflict", 409;
    /// The prefix fits more than one sandbox.
    AmbiguousId = "ambiguous_id", 409;
    /// Another sandbox has this name.
    NameTaken = "name_taken", 409;
    /// Another sandbox reserved an overlapping subtree.
    ReservationConflict = "reservation_conflict", 409;
    /// The idempotency key was used with another body.
    IdempotencyKeyReused = "idempotency_key_reused", 409;
    /// The first request with this idempotency key is still being carried out.
    IdempotencyInProgress = "idempotency_in_progress", 409;
    /// The source changed where the approve would write; nothing was written.
    ReviewConflict = "review_conflict", 409;
    /// Selected changes carry flags that need an explicit yes; nothing was written.
    ConfirmationRequired = "confirmation_required", 409;
    /// Something is already there.
    FileExists = "file_exists", 409;
    /// A directory was asked for, or is in the way, and the path is not one, or the other way round.
    FileTypeConflict = "file_type_conflict", 409;
    /// The directory is not empty.
    DirectoryNotEmpty = "directory_not_empty", 409;
    /// The changes are no longer those that the client saw.
    DiffChanged = "diff_changed", 409;
    /// `If-Match` names an older generation.
    StaleGeneration = "stale_generation", 412;
    /// The body is larger than this route takes.
    BodyTooLarge = "body_too_large", 413;
    /// The body is of a content type that this route does not take.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The range lies outside the file or the log.
    RangeNotSatisfiable = "range_not_satisfiable", 416;
    /// The `Host` header names something that this server is not.
    MisdirectedRequest = "misdirected_request", 421;
    /// The source does not exist.
    SourceNotFound = "source_not_found", 422;
    /// The source is not a directory.
    SourceNotDirectory = "source_not_directory", 422;
    /// The source may not be used: `/`, the data directory, one that holds it, or a git directory.
    SourceForbidden = "source_forbidden", 422;
    /// The source is on a file system that cannot be the lower layer.
    SourceUnsupported = "source_unsupported", 422;
    /// Hunks were picked of a change that has none: it is not text, too large, or not a file.
    NoHunks = "no_hunks", 422;
    /// The operation needs a source directory, and the sandbox has none.
    NoSource = "no_source", 422;
    /// An upgrade to WebSocket is required here.
    UpgradeRequired = "upgrade_required", 426;
    /// A limit of the sandbox or the server is reached.
    LimitReached = "limit_reached", 429;
    /// The server failed; its log says why.
    Internal = "internal", 500;
    /// A step of the launch failed; nothing of it is left.
    LaunchFailed = "launch_failed", 500;
    /// This host lacks something that a sandbox must have.
    HostUnsupported = "host_unsupported", 501;
    /// The server is starting or draining, or what it needs does not answer.
    Unavailable = "unavailable", 503;
    /// Something inside did not answer in time.
    Timeout = "timeout", 504;
    /// There is no space left for it.
    StorageFull = "storage_full", 507;
    /// The command has ended, so it takes no more input.
    ExecEnded = "exec_ended", 409;
    /// The sandbox ended before the command did, and nobody saw its status.
    ExecLost = "exec_lost", 409;
    /// The sandbox was made without rules for approving without a person.
    NoAcceptanceRules = "no_acceptance_rules", 422;
    /// More changed than the rules let go without a person; nothing was written.
    AcceptanceLimit = "acceptance_limit", 409;
    /// The source of the sandbox is not there any more; what the sandbox changed is kept.
    SourceGone = "source_gone", 409;
    /// Another directory is where the source of the sandbox was; what the sandbox changed is kept.
    SourceReplaced = "source_replaced", 409;
    /// There is no git on the host.
    GitUnavailable = "git_unavailable", 501;
    /// The source is in no git repository, or in a bare one.
    RepositoryUnsupported = "repository_unsupported", 422;
    /// The source's repository is in the middle of something, or locked.
    RepositoryBusy = "repository_busy", 409;
    /// What was approved cannot be committed; nothing was written.
    CommitRefused = "commit_refused", 409;
    /// The files were approved and are written, but the commit failed.
    CommitFailed = "commit_failed", 409;
    /// The branch is checked out, rebased or bisected, or has commits that would be lost.
    BranchConflict = "branch_conflict", 409;
    /// The sandbox's commits did not pass the checks; nothing of them was kept.
    CommitsRefused = "commits_refused", 409;
    /// The sandbox has no git repository with a commit, or none that is new.
    NothingToPull = "nothing_to_pull", 409;
    /// Git failed over the source's repository.
    GitFailed = "git_failed", 409;
    /// No approve has this id, or it is forgotten.
    ApproveNotFound = "approve_not_found", 404;
    /// It is an undo itself, wrote nothing, or has not ended.
    NotUndoable = "not_undoable", 409;
    /// A later approve of the same directory must be undone first.
    UndoNotLast = "undo_not_last", 409;
    /// What the approve replaced is no longer kept.
    UndoExpired = "undo_expired", 409;
    /// The directory has later changes that overlap with what was approved; nothing was undone.
    UndoConflict = "undo_conflict", 409;
    /// The body fits its schema, but a value in it cannot be.
    InvalidValue = "invalid_value", 422;
    /// A name or number in the address cannot be one.
    InvalidName = "invalid_name", 400;
    /// The build of this sandbox is being checked already; one check at a time.
    CheckRunning = "check_running", 409;
    /// Whoever asks may not ask for this; nothing was done.
    Forbidden = "forbidden", 403;
    /// A session's cookie alone changes nothing: `Origin` and the header `X-Sandbar-Csrf` are needed, too.
    CsrfRequired = "csrf_required", 403;
    /// The name, the password or the code is not right.
    InvalidCredentials = "invalid_credentials", 401;
    /// Too many requests, or too many attempts; `Retry-After` says when there are some again.
    RateLimited = "rate_limited", 429;
    /// The tenant would have more than its quota allows.
    QuotaExceeded = "quota_exceeded", 403;
    /// There is an administrator already.
    SetupDone = "setup_done", 409;
    /// No user of the tenant has this id.
    UserNotFound = "user_not_found", 404;
    /// No API key of the tenant has this id.
    ApiKeyNotFound = "api_key_not_found", 404;
    /// No tenant has this name.
    TenantNotFound = "tenant_not_found", 404;
    /// Another user of the tenant, or another tenant, has this name.
    AccountNameTaken = "account_name_taken", 409;
    /// It is the last administrator of its tenant.
    LastAdmin = "last_admin", 409;
    /// The store is in a database that is backed up by tools of its own.
    BackupUnsupported = "backup_unsupported", 409;
    /// The sandbox or app has no setting or secret of this name.
    ConfigNotFound = "config_not_found", 404;
    /// The sandbox or app has a setting or secret of this name already.
    ConfigExists = "config_exists", 409;
    /// The key file of secrets is missing, damaged or open to others, or lacks the key of a secret.
    SecretsKeyUnusable = "secrets_key_unusable", 503;
    /// There are changes that nobody decided about; nothing was removed.
    ChangesPending = "changes_pending", 409;
    /// No app of the tenant has this id or name.
    AppNotFound = "app_not_found", 404;
    /// Another app of the tenant has this name.
    AppNameTaken = "app_name_taken", 409;
    /// The app has a sandbox already.
    AppHasSandbox = "app_has_sandbox", 409;
    /// The first request with this idempotency key was carried out, but what it answered is not kept: it held a secret, or was too large.
    IdempotencyReplayHidden = "idempotency_replay_hidden", 409;
    /// The setting is set where the server was started: in its file, its environment or on its command line; nothing was changed.
    SettingFixed = "setting_fixed", 409;
    /// No webhook has this id.
    WebhookNotFound = "webhook_not_found", 404;
    /// The address of the webhook is not one that may be sent to.
    WebhookUrlRefused = "webhook_url_refused", 422;
    /// No credential has this id.
    CredentialNotFound = "credential_not_found", 404;
    /// There is a credential of that name already.
    CredentialExists = "credential_exists", 409;
    /// The rule of a credential means no host, no header, or more than one.
    InvalidRule = "invalid_rule", 422;
    /// No task has this id.
    TaskNotFound = "task_not_found", 404;
    /// The task is over, and `details` says how.
    TaskFinished = "task_finished", 409;
    /// The task has no such question, or waits for none.
    QuestionNotFound = "question_not_found", 404;
    /// The question is answered already.
    QuestionAnswered = "question_answered", 409;
    /// Nobody waits for the answer any more: its time was over, or the agent went on without it.
    QuestionExpired = "question_expired", 409;
    /// There is no agent of this name; `details` lists those that there are.
    AgentUnknown = "agent_unknown", 422;
    /// The sandbox has no checkpoint with this id, or it was removed.
    CheckpointNotFound = "checkpoint_not_found", 404;
    /// Later work overlaps with what would be taken back; nothing was written.
    RevertConflict = "revert_conflict", 409;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// A reference that names the code: `urn:sandbar:error:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: ErrorCode,
    /// What was wrong this time.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More, by code: the overlap of a reservation, the conflicts of an approve, the field that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<serde_json::Value>,
    /// Names the request, here and in the log.
    pub request_id: String,
}

impl Problem {
    /// A problem without hint, details and request id.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:sandbar:error:{code}"),
            title: code.meaning().trim().trim_end_matches('.').to_owned(),
            status: code.status(),
            code,
            message: message.into(),
            hint: None,
            details: None,
            request_id: String::new(),
        }
    }
}

/// The table of `docs/errors.md`.
#[must_use]
pub fn table() -> String {
    use std::fmt::Write;

    let mut out = String::from(
        "# Error codes\n\nEvery error of the API is `application/problem+json` with one of these codes.\nCodes are only ever added.\n\n| Code | Status | Meaning |\n|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        writeln!(out, "| `{code}` | {} | {} |", code.status(), code.meaning().trim())
            .expect("a String takes all that is written to it");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_only_ever_added() {
        let codes: Vec<_> =
            ErrorCode::ALL.iter().map(|code| format!("{} {code}", code.status())).collect();
        insta::assert_snapshot!(codes.join("\n"));
    }

    #[test]
    fn a_code_is_written_as_it_is_named() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
            assert_eq!(serde_json::from_value::<ErrorCode>(json).unwrap(), *code);
        }
    }

    #[test]
    fn the_documented_table_is_the_one_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, table()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == table(),
            "docs/errors.md is not up to date: run the tests of this crate with UPDATE_DOCS=1"
        );
    }
}
