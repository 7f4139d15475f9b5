//! Where each agent's key and login are, and where on the wire the key belongs. A table, so that whoever injects
//! credentials needs to know no agent.

use crate::StandIn;

/// Where a key stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHeader {
    /// The header, in lower case.
    pub name: &'static str,
    /// What stands before the key: `Bearer `, or nothing.
    pub prefix: &'static str,
}

impl KeyHeader {
    /// The value of the header with this key.
    #[must_use]
    pub fn value(self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// What an agent proves with whom it works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A key of an API.
    Key,
    /// The token of a login.
    Login,
}

/// One way in which an agent proves who it works for. What it gets inside may be any text: it is replaced on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// The agent.
    pub agent: &'static str,
    /// Whose model it is, for people.
    pub provider: &'static str,
    /// A key, or a login.
    pub kind: CredentialKind,
    /// What such a key begins with, for agents that look at what they are given inside.
    pub key_prefix: &'static str,
    /// The variables that take the key, the one to set first.
    pub env: &'static [&'static str],
    /// Variables without which the agent does not look at `env`, with their values.
    pub switches: &'static [(&'static str, &'static str)],
    /// The file inside that stands for it, where no variable takes it.
    pub stand_in: Option<StandIn>,
    /// The hosts that the key may be sent to, all on port 443.
    pub hosts: &'static [&'static str],
    /// The beginnings of the paths there that get it.
    pub paths: &'static [&'static str],
    /// The headers that carry it; which one depends on the kind of key.
    pub headers: &'static [KeyHeader],
    /// The file that a login on the host leaves, below the home.
    pub login_file: Option<&'static str>,
    /// Where a login is renewed.
    pub token_endpoint: Option<TokenEndpoint>,
}

/// How a token endpoint wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenBody {
    /// With JSON.
    Json,
    /// With a form, as RFC 6749 has it.
    Form,
}

/// Where the logins of an agent are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// The address.
    pub url: &'static str,
    /// Who asks, as it knows them; `None` where it is the program that has id and secret.
    pub client_id: Option<&'static str>,
    /// How it wants to be asked.
    pub body: TokenBody,
}

const X_API_KEY: KeyHeader = KeyHeader { name: "x-api-key", prefix: "" };
const BEARER: KeyHeader = KeyHeader { name: "authorization", prefix: "Bearer " };
const GOOGLE: KeyHeader = KeyHeader { name: "x-goog-api-key", prefix: "" };

/// A key that is put into every request to its host.
const KEY: Credential = Credential {
    agent: "",
    provider: "",
    kind: CredentialKind::Key,
    key_prefix: "",
    env: &[],
    switches: &[],
    stand_in: None,
    hosts: &[],
    paths: &["/"],
    headers: &[],
    login_file: None,
    token_endpoint: None,
};

const TABLE: &[Credential] = &[
    Credential {
        agent: "claude-code",
        provider: "Anthropic",
        key_prefix: "sk-ant-api03-",
        env: &["ANTHROPIC_API_KEY"],
        hosts: &["api.anthropic.com"],
        headers: &[X_API_KEY],
        ..KEY
    },
    // A subscription: a token of `claude setup-token`, or the login.
    Credential {
        agent: "claude-code",
        provider: "Claude (subscription)",
        kind: CredentialKind::Login,
        key_prefix: "sk-ant-oat01-",
        env: &["CLAUDE_CODE_OAUTH_TOKEN"],
        hosts: &["api.anthropic.com"],
        headers: &[BEARER],
        login_file: Some(".claude/.credentials.json"),
        token_endpoint: Some(TokenEndpoint {
            url: "https://platform.claude.com/v1/oauth/token",
            client_id: Some("9d1c250a-e61b-44d9-88ed-5944d1962f5e"),
            body: TokenBody::Json,
        }),
        ..KEY
    },
    Credential {
        agent: "codex",
        provider: "OpenAI",
        key_prefix: "sk-proj-",
        env: &["OPENAI_API_KEY", "CODEX_API_KEY"],
        hosts: &["api.openai.com"],
        headers: &[BEARER],
        ..KEY
    },
    // The token is good for everything of the account: only what Codex cannot work without gets it.
    Credential {
        agent: "codex",
        provider: "ChatGPT (subscription)",
        kind: CredentialKind::Login,
        key_prefix: "chatgpt-",
        stand_in: Some(StandIn::Codex),
        hosts: &["chatgpt.com"],
        paths: &["/backend-api/codex", "/backend-api/wham/accounts/check"],
        headers: &[BEARER],
        login_file: Some(".codex/auth.json"),
        token_endpoint: Some(TokenEndpoint {
            url: "https://auth.openai.com/oauth/token",
            client_id: Some("app_EMoamEEZ73f0CkXaXp7hrann"),
            body: TokenBody::Json,
        }),
        ..KEY
    },
    Credential {
        agent: "opencode",
        provider: "Anthropic",
        key_prefix: "sk-ant-api03-",
        env: &["ANTHROPIC_API_KEY"],
        hosts: &["api.anthropic.com"],
        headers: &[X_API_KEY],
        login_file: Some(".local/share/opencode/auth.json"),
        ..KEY
    },
    Credential {
        agent: "opencode",
        provider: "OpenAI",
        key_prefix: "sk-proj-",
        env: &["OPENAI_API_KEY"],
        hosts: &["api.openai.com"],
        headers: &[BEARER],
        login_file: Some(".local/share/opencode/auth.json"),
        ..KEY
    },
    Credential {
        agent: "opencode",
        provider: "Google",
        key_prefix: "AIza",
        env: &["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
        hosts: &["generativelanguage.googleapis.com"],
        headers: &[GOOGLE],
        login_file: Some(".local/share/opencode/auth.json"),
        ..KEY
    },
    Credential {
        agent: "opencode",
        provider: "OpenCode Zen",
        key_prefix: "sk-",
        env: &["OPENCODE_API_KEY"],
        hosts: &["opencode.ai"],
        headers: &[BEARER, X_API_KEY, GOOGLE],
        login_file: Some(".local/share/opencode/auth.json"),
        ..KEY
    },
    Credential {
        agent: "opencode",
        provider: "OpenRouter",
        key_prefix: "sk-or-v1-",
        env: &["OPENROUTER_API_KEY"],
        hosts: &["openrouter.ai"],
        headers: &[BEARER],
        login_file: Some(".local/share/opencode/auth.json"),
        ..KEY
    },
    Credential {
        agent: "gemini",
        provider: "Google",
        key_prefix: "AIza",
        env: &["GEMINI_API_KEY"],
        hosts: &["generativelanguage.googleapis.com"],
        headers: &[GOOGLE],
        ..KEY
    },
    Credential {
        agent: "gemini",
        provider: "Google (login)",
        kind: CredentialKind::Login,
        key_prefix: "ya29.",
        // With the file of a login it would ask Google what its token is worth, and for whom.
        env: &["GOOGLE_CLOUD_ACCESS_TOKEN"],
        switches: &[("GOOGLE_GENAI_USE_GCA", "true")],
        hosts: &["cloudcode-pa.googleapis.com"],
        headers: &[BEARER],
        login_file: Some(".gemini/oauth_creds.json"),
        token_endpoint: Some(TokenEndpoint {
            url: "https://oauth2.googleapis.com/token",
            client_id: None,
            body: TokenBody::Form,
        }),
        ..KEY
    },
];

impl Credential {
    /// The ways of an agent, keys before logins; none for an agent that is any command.
    pub fn of(agent: &str) -> impl Iterator<Item = &'static Self> {
        TABLE.iter().filter(move |credential| credential.agent == agent)
    }

    /// The way that a credential of an agent is of: by its variable, else by what stands for it inside.
    #[must_use]
    pub fn of_placed(agent: &str, env: Option<&str>, placeholder: &str) -> Option<&'static Self> {
        Self::of(agent).find(|known| match env {
            Some(name) => known.env.contains(&name),
            None => known.stand_in.is_some() && placeholder.starts_with(known.key_prefix),
        })
    }
}
