//! How Codex is started.

use super::talk::Talk;
use crate::{Agent, Conversation, Launch, Order};

/// Where its models are.
pub(crate) const BASE_URL: &str = "https://api.openai.com/v1";

/// The agent `codex`.
#[derive(Debug)]
pub(crate) struct Codex;

impl Agent for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn label(&self) -> &'static str {
        "Codex"
    }

    fn program(&self) -> Option<&'static str> {
        Some("codex")
    }

    fn launch(&self, order: &Order) -> Launch {
        // What it may do is said when the thread is begun. Its own sandbox is off in both cases: ours is around it, and
        // namespaces within namespaces are refused.
        let mut config = vec![
            "check_for_update_on_startup=false".to_owned(),
            "analytics.enabled=false".to_owned(),
            "feedback.enabled=false".to_owned(),
            // Without it, only a plan may ask a person.
            "features.default_mode_request_user_input=true".to_owned(),
        ];
        // The app server reads no key from the environment, unless a provider says which variable holds it. A login
        // needs none of this: it is a file.
        if let Some(key) = order.credential.and_then(|credential| credential.env.first()) {
            let provider = format!(
                r#"model_providers.sandbar={{name="OpenAI",base_url="{BASE_URL}",env_key="{key}",wire_api="responses"}}"#
            );
            config.extend(["model_provider=\"sandbar\"".to_owned(), provider]);
        }
        let mut argv = vec!["codex".to_owned(), "app-server".to_owned()];
        argv.extend(config.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        Launch { argv, stdin: true, ..Launch::default() }
    }

    fn converse(&self, order: &Order) -> Box<dyn Conversation> {
        Box::new(Talk::new(order))
    }
}
