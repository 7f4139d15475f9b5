//! The server's errors in the words of the command line.

use std::collections::BTreeSet;

use hyper::StatusCode;
use sandbar_api::{ErrorCode, Problem};
use sandbar_types::{ChangeFlag, Conflict, ConflictReason, WorkspacePath};

use crate::{
    failure::{Code, Failure},
    output::{changes::flag_name, visible},
};

/// Turns an error response into a failure with its exit code.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        // A code of a newer server, or something between us and it that answers by itself.
        let shown = visible::escape(&body[..body.len().min(400)], visible::Place::Text);
        return Failure::new(
            code_of_status(status),
            format!("the server answered {status}: {shown}"),
        );
    };
    let mut failure = Failure::new(code_of(problem.code, status), message(&problem));
    // Ours first: it can name the command that helps.
    let hint = own_hint(&problem).or_else(|| problem.hint.clone());
    if let Some(hint) = hint {
        failure = failure.hint(hint);
    }
    failure.with_problem(problem)
}

/// The changes that want an explicit yes, if that is the problem.
pub(crate) fn flagged(problem: Option<&Problem>) -> Vec<(WorkspacePath, ChangeFlag)> {
    let changes = problem
        .filter(|problem| problem.code == ErrorCode::ConfirmationRequired)
        .and_then(|problem| detail::<Vec<Flagged>>(problem, "changes"));
    changes.unwrap_or_default().into_iter().map(|change| (change.path, change.flag)).collect()
}

/// A change that needs an explicit yes.
#[derive(serde::Deserialize)]
struct Flagged {
    path: WorkspacePath,
    flag: ChangeFlag,
}

/// The exit code of a code: by its status, but for those that a script tells apart.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a code without an exit code of its own has that of its status"
)]
fn code_of(code: ErrorCode, status: StatusCode) -> Code {
    match code {
        ErrorCode::SourceNotFound => Code::NotFound,
        ErrorCode::NoSource => Code::Refused,
        ErrorCode::BodyTooLarge | ErrorCode::StorageFull => Code::Limit,
        _other => code_of_status(status),
    }
}

fn code_of_status(status: StatusCode) -> Code {
    match status.as_u16() {
        400 | 405 | 406 | 411 | 414 | 415 | 416 | 422 | 426 => Code::Usage,
        401 | 403 | 409 | 412 | 421 => Code::Refused,
        404 | 410 => Code::NotFound,
        413 | 429 | 507 => Code::Limit,
        502 | 503 => Code::Unreachable,
        _ => Code::Unexpected,
    }
}

/// The message, and below it the paths or names that the details hold.
fn message(problem: &Problem) -> String {
    let mut lines = vec![problem.message.clone()];
    if let Some(conflicts) = detail::<Vec<Conflict>>(problem, "conflicts") {
        lines.extend(conflicts.iter().map(|conflict| {
            let path = visible::line(conflict.path.as_bytes());
            format!("  {path}: {}", reason(conflict.reason))
        }));
    }
    if let Some(changes) = detail::<Vec<Flagged>>(problem, "changes") {
        lines.extend(changes.iter().map(|change| {
            format!("  {} [{}]", visible::line(change.path.as_bytes()), flag_name(change.flag))
        }));
    }
    for field in ["paths", "missing"] {
        let paths = detail::<Vec<WorkspacePath>>(problem, field).unwrap_or_default();
        lines.extend(paths.iter().map(|path| format!("  {}", visible::line(path.as_bytes()))));
    }
    if problem.code == ErrorCode::Internal && !problem.request_id.is_empty() {
        lines.push(format!("  request {}", problem.request_id));
    }
    lines.join("\n")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most codes need no hint but the server's")]
fn own_hint(problem: &Problem) -> Option<String> {
    match problem.code {
        ErrorCode::SandboxNotFound => Some("list them: `sandbar ls`".to_owned()),
        ErrorCode::AppNotFound => Some("list them: `sandbar app ls`".to_owned()),
        ErrorCode::ConfirmationRequired => {
            let changes = detail::<Vec<Flagged>>(problem, "changes")?;
            let flags: BTreeSet<_> = changes.iter().map(|change| change.flag).collect();
            let allow: Vec<_> =
                flags.iter().map(|&flag| format!("--allow {}", flag_name(flag))).collect();
            Some(format!("look at them, then say yes with {}", allow.join(" ")))
        }
        ErrorCode::DiffChanged => Some("look at the changes again, then repeat".to_owned()),
        ErrorCode::Unauthorized => Some("set SANDBAR_TOKEN to the server's token".to_owned()),
        _other => None,
    }
}

fn detail<T: serde::de::DeserializeOwned>(problem: &Problem, field: &str) -> Option<T> {
    serde_json::from_value(problem.details.as_ref()?.get(field)?.clone()).ok()
}

fn reason(reason: ConflictReason) -> &'static str {
    match reason {
        ConflictReason::HostModified => "your directory has another content by now",
        ConflictReason::HostDeleted => "it is gone from your directory",
        ConflictReason::HostAdded => "your directory has one of its own by now",
        ConflictReason::HostTypeChanged => "it is something else in your directory by now",
        ConflictReason::ChangedDuringApprove => {
            "it changed while it was being written; everything was taken back"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: ErrorCode, details: serde_json::Value) -> Failure {
        let mut problem = Problem::new(code, "message");
        problem.details = Some(details);
        let status = StatusCode::from_u16(code.status()).unwrap();
        failure(status, &serde_json::to_vec(&problem).unwrap())
    }

    #[test]
    fn every_code_has_the_exit_code_of_its_kind() {
        let of = |code| problem(code, serde_json::Value::Null).code();
        for (code, exit) in [
            (ErrorCode::InvalidRequest, Code::Usage),
            (ErrorCode::SourceForbidden, Code::Usage),
            (ErrorCode::SandboxNotFound, Code::NotFound),
            (ErrorCode::SourceNotFound, Code::NotFound),
            (ErrorCode::StateConflict, Code::Refused),
            (ErrorCode::ReviewConflict, Code::Refused),
            (ErrorCode::DiffChanged, Code::Refused),
            (ErrorCode::Unauthorized, Code::Refused),
            (ErrorCode::LimitReached, Code::Limit),
            (ErrorCode::StorageFull, Code::Limit),
            (ErrorCode::Unavailable, Code::Unreachable),
            (ErrorCode::Internal, Code::Unexpected),
            (ErrorCode::LaunchFailed, Code::Unexpected),
        ] {
            assert_eq!(of(code), exit, "{code}");
        }
    }

    #[test]
    fn conflicts_are_named() {
        let details = serde_json::json!({ "conflicts": [{ "path": "src/a\u{1b}.rs", "reason": "host_modified", "host": null, "workspace": null }] });
        let text = problem(ErrorCode::ReviewConflict, details).render();
        assert_eq!(
            text,
            "error: message\n  src/a\\x1b.rs: your directory has another content by now\n"
        );
    }

    #[test]
    fn a_needed_yes_is_spelled_out() {
        let details = serde_json::json!({ "changes": [
            { "path": ".envrc", "flag": "exec_on_open" },
            { "path": "a", "flag": "exec_bit" },
            { "path": "b", "flag": "exec_bit" },
        ] });
        let text = problem(ErrorCode::ConfirmationRequired, details).render();
        assert_eq!(
            text,
            "error: message\n  .envrc [exec_on_open]\n  a [exec_bit]\n  b [exec_bit]\nhint: look at them, then say yes with --allow exec_on_open --allow exec_bit\n"
        );
    }

    #[test]
    fn an_answer_of_something_else_is_shown_as_it_is() {
        let text = failure(StatusCode::BAD_GATEWAY, b"<html>\x1b[2J").render();
        assert_eq!(text, "error: the server answered 502 Bad Gateway: <html>\\x1b[2J\n");
    }
}
