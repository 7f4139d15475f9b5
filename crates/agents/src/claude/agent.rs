//! How Claude Code is started.

use serde_json::json;

use super::talk::Talk;
use crate::{Agent, Conversation, Launch, Order, Permissions, agent::env};

/// The agent `claude-code`.
#[derive(Debug)]
pub(crate) struct ClaudeCode;

impl Agent for ClaudeCode {
    fn name(&self) -> &'static str {
        "claude-code"
    }

    fn label(&self) -> &'static str {
        "Claude Code"
    }

    fn program(&self) -> Option<&'static str> {
        Some("claude")
    }

    fn launch(&self, order: &Order) -> Launch {
        let mode = match order.permissions {
            Permissions::AllowInside => "bypassPermissions",
            Permissions::Ask => "default",
        };
        let mut argv: Vec<_> = [
            "claude",
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--permission-prompt-tool",
            "stdio",
            "--permission-mode",
            mode,
        ]
        .map(str::to_owned)
        .into();
        if let Some(model) = &order.model {
            argv.extend(["--model".to_owned(), model.clone()]);
        }
        if let Some(session) = &order.session {
            argv.extend(["--resume".to_owned(), session.clone()]);
        }
        let state = json!({ "hasCompletedOnboarding": true });
        Launch {
            argv,
            env: env(&[
                // Without it, root may not bypass permissions.
                ("IS_SANDBOX", "1"),
                ("DISABLE_AUTOUPDATER", "1"),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ]),
            stdin: true,
            files: [(".claude.json".to_owned(), format!("{state}\n"))].into(),
        }
    }

    fn converse(&self, order: &Order) -> Box<dyn Conversation> {
        Box::new(Talk::new(order))
    }
}
