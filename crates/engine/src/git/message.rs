//! What a commit says, as values: nothing here touches a repository.

use sandbar_types::{
    CommitAuthor, CommitSpec, GitIdentity, InvalidGitIdentity, SandboxName, WorkspacePath,
};

/// LIMIT: bytes of a message or a template.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// LIMIT: paths that `{{files}}` lists.
const LISTED_MAX: usize = 200;
/// The address of every sandbox; nobody has it.
const ADDRESS: &str = "sandbar.invalid";

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoMessage {
    #[error("a commit needs a message: `commit.message`, or a `commit.template` that needs none")]
    Missing,
    #[error("`commit.template` has `{{{{message}}}}`, and there is no `commit.message`")]
    Unfilled,
    #[error("`commit.template` has `{{{{{0}}}}}`, which is none of message, sandbox, files, count")]
    Unknown(String),
    #[error("`commit.message` and `commit.template` have at most {TEXT_BYTES_MAX} bytes")]
    TooLong,
    #[error("`commit.message` and `commit.template` hold no NUL byte")]
    Nul,
}

/// The name that a sandbox's work is signed with.
pub(super) fn agent(name: &SandboxName) -> Result<GitIdentity, InvalidGitIdentity> {
    GitIdentity::new(format!("{name} (sandbar)"), format!("{name}@{ADDRESS}"))
}

/// The whole message of a commit of `paths`.
pub(super) fn message(
    spec: &CommitSpec,
    sandbox: &SandboxName,
    paths: &[&WorkspacePath],
) -> Result<String, NoMessage> {
    let said = spec.message.as_deref().map(str::trim).filter(|said| !said.is_empty());
    for text in [spec.message.as_deref(), spec.template.as_deref()].into_iter().flatten() {
        if text.len() > TEXT_BYTES_MAX {
            return Err(NoMessage::TooLong);
        }
        if text.contains('\0') {
            return Err(NoMessage::Nul);
        }
    }
    let whole = match &spec.template {
        Some(template) => fill(template, said, sandbox, paths)?,
        None => said.ok_or(NoMessage::Missing)?.to_owned(),
    };
    let mut whole = whole.trim().to_owned();
    if whole.is_empty() {
        return Err(NoMessage::Missing);
    }
    whole.push('\n');
    match spec.author {
        CommitAuthor::Agent | CommitAuthor::Reviewer => {}
        CommitAuthor::CoAuthored => {
            if !ends_with_trailers(&whole) {
                whole.push('\n');
            }
            let name = sandbox.as_str();
            let line =
                ["Co-authored-by: ", name, " (sandbar) <", name, "@", ADDRESS, ">\n"].concat();
            whole.push_str(&line);
        }
    }
    Ok(whole)
}

fn fill(
    template: &str,
    said: Option<&str>,
    sandbox: &SandboxName,
    paths: &[&WorkspacePath],
) -> Result<String, NoMessage> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        // An end that never comes is text.
        let Some((name, after)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        match name.trim() {
            "message" => filled.push_str(said.ok_or(NoMessage::Unfilled)?),
            "sandbox" => filled.push_str(sandbox.as_str()),
            "count" => filled.push_str(&paths.len().to_string()),
            "files" => filled.push_str(&files(paths)),
            other => return Err(NoMessage::Unknown(other.to_owned())),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn files(paths: &[&WorkspacePath]) -> String {
    // A name with a line break in it must not become a line of its own.
    let line = |path: &&WorkspacePath| {
        let shown = String::from_utf8_lossy(path.as_bytes()).into_owned();
        let shown = shown.replace(|c: char| c.is_control(), "\u{fffd}");
        format!("- {shown}")
    };
    let mut lines: Vec<String> = paths.iter().take(LISTED_MAX).map(line).collect();
    if paths.len() > LISTED_MAX {
        lines.push(format!("- … and {} more", paths.len() - LISTED_MAX));
    }
    lines.join("\n")
}

/// Whether the last paragraph, not being the only one, is lines of `Name: value`.
fn ends_with_trailers(message: &str) -> bool {
    let is_trailer = |line: &str| {
        line.split_once(": ").is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    };
    message
        .trim_end()
        .rsplit_once("\n\n")
        .is_some_and(|(_, last)| !last.is_empty() && last.lines().all(is_trailer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(
        message: Option<&str>,
        template: Option<&str>,
        author: CommitAuthor,
    ) -> Result<String, NoMessage> {
        let spec = CommitSpec {
            message: message.map(str::to_owned),
            template: template.map(str::to_owned),
            author,
            reviewer: None,
        };
        let paths = ["a", "b\nc"].map(|path| WorkspacePath::parse(path).unwrap());
        message_of(&spec, &paths)
    }

    fn message_of(spec: &CommitSpec, paths: &[WorkspacePath]) -> Result<String, NoMessage> {
        super::message(spec, &"bay".parse().unwrap(), &paths.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_template_is_filled_and_what_it_lacks_is_refused_by_name() {
        let author = CommitAuthor::Reviewer;
        for (message, template, expected) in [
            (Some(" Cart \n"), None, Ok("Cart\n")),
            (Some("Cart"), Some("{{ sandbox }}: {{message}} ({{count}})"), Ok("bay: Cart (2)\n")),
            (None, Some("x\n\n{{files}}\n"), Ok("x\n\n- a\n- b\u{fffd}c\n")),
            (Some("{{files}}"), Some("{{message}} {{"), Ok("{{files}} {{\n")),
            (None, None, Err(NoMessage::Missing)),
            (Some(" \n"), None, Err(NoMessage::Missing)),
            (None, Some(" "), Err(NoMessage::Missing)),
            (None, Some("{{message}}"), Err(NoMessage::Unfilled)),
            (Some("x"), Some("{{who}}"), Err(NoMessage::Unknown("who".to_owned()))),
            (Some("a\0"), None, Err(NoMessage::Nul)),
        ] {
            assert_eq!(
                said(message, template, author),
                expected.map(str::to_owned),
                "{template:?}"
            );
        }
    }

    #[test]
    fn a_co_author_joins_the_trailers_that_are_there() {
        let line = "Co-authored-by: bay (sandbar) <bay@sandbar.invalid>\n";
        for (message, before) in [
            ("Cart", "Cart\n\n"),
            ("fix: cart", "fix: cart\n\n"),
            ("Cart\n\nRefs: 12", "Cart\n\nRefs: 12\n"),
            ("Cart\n\nSome text.", "Cart\n\nSome text.\n\n"),
        ] {
            let whole = said(Some(message), None, CommitAuthor::CoAuthored).unwrap();
            assert_eq!(whole, format!("{before}{line}"));
        }
        assert_eq!(agent(&"bay".parse().unwrap()).unwrap().name(), "bay (sandbar)");
    }
}
