//! The options of an approve that say how it is committed.

use sandbar_types::{ApproveOutcome, CommitAuthor, CommitSpec};

use crate::{
    failure::Failure,
    git_identity,
    output::{Output, units::counted, visible},
};

/// LIMIT: characters of a commit's id that are shown.
const SHORT: usize = 10;

/// How approved changes are committed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CommitArgs {
    /// Also commit exactly what is approved to the git repository of your directory. What else you have changed or
    /// staged stays as it is. Hooks do not run.
    #[arg(long)]
    commit: bool,
    /// What the commit says.
    #[arg(long, short, value_name = "TEXT", requires = "commit")]
    message: Option<String>,
    /// Whose name the commit has; in each case you are its committer.
    #[arg(long, value_name = "WHO", value_enum, default_value = "reviewer", requires = "commit")]
    author: Author,
    /// The commit's message, with {{message}}, {{sandbox}}, {{files}} and {{count}} filled in.
    #[arg(long, value_name = "TEXT", requires = "commit")]
    template: Option<String>,
}

/// Whose name a commit has.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Author {
    /// The sandbox's.
    Agent,
    /// Yours.
    #[default]
    Reviewer,
    /// Yours, with a line for the sandbox.
    CoAuthored,
}

impl CommitArgs {
    /// What is asked for; `None` without a commit.
    ///
    /// # Errors
    /// There is nothing that the commit could say.
    pub(crate) fn into_spec(self) -> Result<Option<CommitSpec>, Failure> {
        if !self.commit {
            return Ok(None);
        }
        if self.message.is_none() && self.template.is_none() {
            return Err(Failure::usage("--commit needs a message")
                .hint("say what was done with -m, or give a --template"));
        }
        Ok(Some(CommitSpec {
            message: self.message,
            author: match self.author {
                Author::Agent => CommitAuthor::Agent,
                Author::Reviewer => CommitAuthor::Reviewer,
                Author::CoAuthored => CommitAuthor::CoAuthored,
            },
            template: self.template,
            reviewer: git_identity::read(),
        }))
    }
}

/// Says which commit was made.
pub(crate) fn report(out: Output, outcome: &ApproveOutcome) {
    let Some(id) = &outcome.commit else {
        return;
    };
    let place = match &outcome.commit_branch {
        Some(branch) => format!("on {}", visible::line(branch.as_bytes())),
        None => "on a detached HEAD".to_owned(),
    };
    out.say(&format!("committed as {} {place}", short(id)));
    if !outcome.commit_ignored.is_empty() {
        out.say(&format!(
            "  {} written but not committed: git ignores {}",
            counted(outcome.commit_ignored.len(), "path"),
            visible::line(outcome.commit_ignored[0].as_bytes())
        ));
    }
}

/// The beginning of a commit's id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_without_a_message_is_refused_before_anything_is_asked() {
        assert!(CommitArgs { commit: true, ..CommitArgs::default() }.into_spec().is_err());
        assert!(CommitArgs::default().into_spec().unwrap().is_none());
        let args =
            CommitArgs { commit: true, message: Some("x".to_owned()), ..CommitArgs::default() };
        assert_eq!(args.into_spec().unwrap().unwrap().message.as_deref(), Some("x"));
        assert_eq!(short("0123456789abcdef"), "0123456789");
    }
}
