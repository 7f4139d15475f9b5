//! What a person who starts an agent by hand, at a terminal, finds prepared: the questions of a first start are answered,
//! for every sandbox begins with an empty home, and would ask them again.
//!
//! What an agent may do without asking stays its own choice there: somebody sits in front of it.

use std::collections::BTreeMap;

use sandbar_types::EnvName;
use serde_json::{Value, json};

use crate::{Credential, Order, by_name};

/// LIMIT: how much of the end of a key Claude Code remembers of it.
const REMEMBERED_BYTES: usize = 20;
const STATE_OF_CLAUDE: &str = ".claude.json";

/// Somebody sits down with an agent that has a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat<'a> {
    /// The way in which it proves who it works for.
    pub credential: &'static Credential,
    /// The variable that has the placeholder.
    pub variable: &'a str,
    /// What stands for the credential inside.
    pub placeholder: &'a str,
    /// The workspace inside, an absolute path.
    pub workspace: &'a str,
}

/// What is prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Variables, where none of that name is set.
    pub env: BTreeMap<EnvName, String>,
    /// Files below the home inside, where there is none of that name yet, by relative path.
    pub files: BTreeMap<String, String>,
}

impl Seat<'_> {
    /// What is to be prepared; nothing for an agent that asks nothing.
    #[must_use]
    pub fn prepared(&self) -> Prepared {
        let Some(agent) = by_name(self.credential.agent) else { return Prepared::default() };
        let order = Order { credential: Some(self.credential), ..Order::default() };
        let launch = agent.launch(&order);
        let (mut env, mut files) = (launch.env, launch.files);
        match agent.name() {
            "claude-code" => {
                let state = files.remove(STATE_OF_CLAUDE).unwrap_or_default();
                files.insert(STATE_OF_CLAUDE.to_owned(), self.state_of_claude(&state));
            }
            "codex" => {
                files.insert(".codex/config.toml".to_owned(), self.config_of_codex());
            }
            // Its permissions are in it.
            "opencode" => env.retain(|name, _| name.as_str() != "OPENCODE_CONFIG_CONTENT"),
            _needs_no_more => {}
        }
        Prepared { env, files }
    }

    /// What tasks have, the workspace as a folder that is trusted, and the key as one that may be used: the person handed
    /// it over for that.
    fn state_of_claude(&self, state: &str) -> String {
        let mut state: Value = serde_json::from_str(state).unwrap_or_else(|_| json!({}));
        state["projects"] = json!({ self.workspace: { "hasTrustDialogAccepted": true } });
        if self.variable == "ANTHROPIC_API_KEY" {
            let from = self.placeholder.len().saturating_sub(REMEMBERED_BYTES);
            let end = self.placeholder.get(from..).unwrap_or_default();
            state["customApiKeyResponses"] = json!({ "approved": [end], "rejected": [] });
        }
        format!("{state}\n")
    }

    /// Its own sandbox is off, for ours is around it. It reads a key from the environment if a provider says so alone.
    fn config_of_codex(&self) -> String {
        // A string of JSON is one of TOML.
        let (workspace, variable) = (json!(self.workspace), json!(self.variable));
        format!(
            "check_for_update_on_startup = false\n\
             sandbox_mode = \"danger-full-access\"\n\
             model_provider = \"sandbar\"\n\n\
             [analytics]\nenabled = false\n\n\
             [feedback]\nenabled = false\n\n\
             [model_providers.sandbar]\n\
             name = \"OpenAI\"\n\
             base_url = \"{}\"\n\
             env_key = {variable}\n\
             wire_api = \"responses\"\n\n\
             [projects.{workspace}]\n\
             trust_level = \"trusted\"\n",
            crate::codex::BASE_URL,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(agent: &str, variable: &str) -> Prepared {
        let credential = Credential::of(agent).find(|known| known.env.contains(&variable)).unwrap();
        let placeholder = "sk-ant-api03-sbx-placeholder-00112233445566778899";
        Seat { credential, variable, placeholder, workspace: "/home/ada/a \"b\"" }.prepared()
    }

    #[test]
    fn claude_code_is_told_that_it_may_use_the_key_and_trust_the_workspace() {
        let Prepared { env, files } = prepared("claude-code", "ANTHROPIC_API_KEY");
        let state: Value = serde_json::from_str(&files[STATE_OF_CLAUDE]).unwrap();
        assert_eq!(state["hasCompletedOnboarding"], true);
        assert_eq!(state["projects"]["/home/ada/a \"b\""]["hasTrustDialogAccepted"], true);
        let approved = &state["customApiKeyResponses"]["approved"];
        assert_eq!(approved, &json!(["00112233445566778899"]));
        assert!(env.contains_key(&"DISABLE_AUTOUPDATER".parse::<EnvName>().unwrap()));
        // The token of a subscription is not asked about.
        let Prepared { files, .. } = prepared("claude-code", "CLAUDE_CODE_OAUTH_TOKEN");
        let state: Value = serde_json::from_str(&files[STATE_OF_CLAUDE]).unwrap();
        assert_eq!(state["customApiKeyResponses"], Value::Null);
    }

    #[test]
    fn codex_is_told_where_the_key_is() {
        let Prepared { files, .. } = prepared("codex", "OPENAI_API_KEY");
        let config = &files[".codex/config.toml"];
        assert!(config.contains("\nenv_key = \"OPENAI_API_KEY\"\n"), "{config}");
        assert!(config.contains("\n[projects.\"/home/ada/a \\\"b\\\"\"]\n"), "{config}");
    }

    #[test]
    fn the_others_keep_their_own_permissions() {
        let Prepared { env, files } = prepared("opencode", "ANTHROPIC_API_KEY");
        assert!(files.is_empty() && !env.is_empty(), "{files:?}");
        assert!(env.keys().all(|name| name.as_str() != "OPENCODE_CONFIG_CONTENT"), "{env:?}");
        let Prepared { files, .. } = prepared("gemini", "GEMINI_API_KEY");
        assert!(files.contains_key(".gemini/settings.json"), "{files:?}");
    }
}
