//! How each agent that speaks the protocol is started.

use std::collections::BTreeMap;

use serde_json::json;

use super::talk::{Model, Talk};
use crate::{Agent, Conversation, Launch, Order, Permissions, agent::env};

/// The agent `opencode`.
#[derive(Debug)]
pub(crate) struct OpenCode;

impl Agent for OpenCode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn label(&self) -> &'static str {
        "OpenCode"
    }

    fn program(&self) -> Option<&'static str> {
        Some("opencode")
    }

    fn launch(&self, order: &Order) -> Launch {
        let rule = match order.permissions {
            Permissions::AllowInside => "allow",
            Permissions::Ask => "ask",
        };
        // Merged over the user's own file, which may name providers; so it goes by the variable, not by a file.
        let mut config = json!({
            "autoupdate": false,
            "share": "disabled",
            "permission": { "edit": rule, "bash": rule, "webfetch": rule },
        });
        if let Some(model) = &order.model {
            config["model"] = json!(model);
        }
        Launch {
            argv: vec!["opencode".to_owned(), "acp".to_owned()],
            env: env(&[
                ("OPENCODE_CONFIG_CONTENT", &config.to_string()),
                ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                // A list of models that it would fetch before it does anything; it carries one of its own.
                ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
                ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ]),
            stdin: true,
            files: BTreeMap::new(),
        }
    }

    fn converse(&self, order: &Order) -> Box<dyn Conversation> {
        Box::new(Talk::new(order, Model::Launched))
    }
}

/// The agent `gemini`.
#[derive(Debug)]
pub(crate) struct Gemini;

impl Agent for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn label(&self) -> &'static str {
        "Gemini CLI"
    }

    fn program(&self) -> Option<&'static str> {
        Some("gemini")
    }

    fn launch(&self, order: &Order) -> Launch {
        let mode = match order.permissions {
            Permissions::AllowInside => "yolo",
            Permissions::Ask => "default",
        };
        let mut argv: Vec<_> =
            ["gemini", "--acp", "--skip-trust", "--approval-mode", mode].map(str::to_owned).into();
        if let Some(model) = &order.model {
            argv.extend(["--model".to_owned(), model.clone()]);
        }
        // Without a chosen way to log in, it asks for one, also where the key is there.
        let has_login = order.credential.is_some_and(|credential| credential.login_file.is_some());
        let way = if has_login { "oauth-personal" } else { "gemini-api-key" };
        let settings = json!({
            "security": { "auth": { "selectedType": way } },
            "general": {
                "enableAutoUpdate": false,
                "enableAutoUpdateNotification": false,
                // It would tidy away the session that a later task goes on with.
                "sessionRetention": { "enabled": false },
            },
            "privacy": { "usageStatisticsEnabled": false },
            "telemetry": { "enabled": false },
        });
        Launch {
            argv,
            env: env(&[("GEMINI_CLI_TRUST_WORKSPACE", "true"), ("GEMINI_CLI_NO_RELAUNCH", "true")]),
            stdin: true,
            files: [(".gemini/settings.json".to_owned(), format!("{settings:#}\n"))].into(),
        }
    }

    fn converse(&self, order: &Order) -> Box<dyn Conversation> {
        Box::new(Talk::new(order, Model::Launched))
    }
}

/// The agent `acp`: any command that speaks the protocol.
#[derive(Debug)]
pub(crate) struct Acp;

impl Agent for Acp {
    fn name(&self) -> &'static str {
        "acp"
    }

    fn label(&self) -> &'static str {
        "any agent of the Agent Client Protocol"
    }

    fn program(&self) -> Option<&'static str> {
        None
    }

    fn launch(&self, order: &Order) -> Launch {
        Launch { argv: order.command.clone(), stdin: true, ..Launch::default() }
    }

    fn converse(&self, order: &Order) -> Box<dyn Conversation> {
        Box::new(Talk::new(order, Model::Asked))
    }
}
