//! Which checkpoints there are, and which one a word means.

use sandbar_api::{Checkpoint, paths};
use sandbar_types::CheckpointKind;

use crate::{context::Context, failure::Failure, output::visible};

/// LIMIT: digits of the end of an id; fewer fit too many to be meant.
const SHORT_ID_MIN: usize = 4;

/// Every checkpoint of `sandbox`, the newest first.
pub(crate) async fn list(context: &mut Context, sandbox: &str) -> Result<Vec<Checkpoint>, Failure> {
    let path = paths::below_sandbox(sandbox, "checkpoints");
    context.client.all(&path).await
}

/// The checkpoint that `word` means: an id, the end of one, or a label; `last` is the newest.
///
/// # Errors
/// None, or several.
pub(crate) async fn find(
    context: &mut Context,
    sandbox: &str,
    word: &str,
) -> Result<Checkpoint, Failure> {
    let all = list(context, sandbox).await?;
    pick(all, word)
}

fn pick(all: Vec<Checkpoint>, word: &str) -> Result<Checkpoint, Failure> {
    let shown = visible::line(word);
    if word == "last" {
        let first = all.into_iter().next();
        return first.ok_or_else(|| Failure::not_found("the sandbox has no checkpoint"));
    }
    let is_meant = |one: &Checkpoint| {
        let id = one.id.to_string();
        let is_short = word.len() >= SHORT_ID_MIN && id.ends_with(word);
        id == word || is_short || one.label.as_deref() == Some(word)
    };
    let mut found: Vec<_> = all.into_iter().filter(is_meant).collect();
    let hint = "`sandbar checkpoint ls` shows them";
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            Err(Failure::usage(format!("`{shown}` fits several checkpoints")).hint(hint))
        }
        (None, _) => {
            Err(Failure::not_found(format!("the sandbox has no checkpoint `{shown}`")).hint(hint))
        }
    }
}

/// The end of an id, which is enough to name it.
pub(crate) fn short(one: &Checkpoint) -> String {
    let id = one.id.to_string();
    id[id.len().saturating_sub(8)..].to_owned()
}

/// What it is, for people.
pub(crate) fn what(one: &Checkpoint) -> String {
    let kind = match one.kind {
        CheckpointKind::Before => "before a task",
        CheckpointKind::After => "after a task",
        CheckpointKind::Manual => "made by hand",
        CheckpointKind::Kept => "kept",
    };
    let label = one.label.as_deref().map(visible::line);
    label.map_or_else(|| kind.to_owned(), |label| format!("{kind}: {label}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use sandbar_types::SandboxId;

    use super::*;

    fn one(end: &str, label: Option<&str>) -> Checkpoint {
        Checkpoint {
            id: format!("cp_0000000000007000800000{end:0>10}").parse().unwrap(),
            sandbox_id: SandboxId::generate(),
            task_id: None,
            kind: CheckpointKind::Manual,
            label: label.map(ToOwned::to_owned),
            bytes: 0,
            left_out: 0,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_word_means_one_checkpoint_or_is_refused() {
        let all =
            || vec![one("1abcd", None), one("2abcd", Some("good")), one("3ffff", Some("good"))];
        let end =
            |word: &str| pick(all(), word).map(|found| short(&found)).map_err(|err| err.code());
        assert_eq!(end("1abcd").unwrap(), "0001abcd");
        assert_eq!(end("last").unwrap(), "0001abcd");
        assert_eq!(end("ffff").unwrap(), "0003ffff");
        assert!(end("abcd").is_err() && end("good").is_err() && end("1").is_err());
        assert!(pick(Vec::new(), "last").is_err());
        assert_eq!(what(&one("1", Some("a\x1b[2J"))), "made by hand: a\\x1b[2J");
    }
}
