//! Where each agent's key and login are, and where on the wire the key belongs. A table, so that whoever injects
//! credentials needs to know no agent.

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
    /// The hosts that the key may be sent to, all on port 443.
    pub hosts: &'static [&'static str],
    /// The headers that carry it; which one depends on the kind of key.
    pub headers: &'static [KeyHeader],
    /// The file that a login on the host leaves, below the home.
    pub login_file: Option<&'static str>,
}

const X_API_KEY: KeyHeader = KeyHeader { name: "x-api-key", prefix: "" };
const BEARER: KeyHeader = KeyHeader { name: "authorization", prefix: "Bearer " };
const GOOGLE: KeyHeader = KeyHeader { name: "x-goog-api-key", prefix: "" };

const TABLE: &[Credential] = &[
    Credential {
        agent: "claude-code",
        provider: "Anthropic",
        kind: CredentialKind::Key,
        key_prefix: "sk-ant-api03-",
        env: &["ANTHROPIC_API_KEY"],
        hosts: &["api.anthropic.com"],
        headers: &[X_API_KEY],
        login_file: None,
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
    },
    Credential {
        agent: "codex",
        provider: "OpenAI",
        kind: CredentialKind::Key,
        key_prefix: "sk-proj-",
        env: &["OPENAI_API_KEY", "CODEX_API_KEY"],
        hosts: &["api.openai.com"],
        headers: &[BEARER],
        login_file: None,
    },
    Credential {
        agent: "codex",
        provider: "ChatGPT (subscription)",
        kind: CredentialKind::Login,
        key_prefix: "",
        env: &[],
        hosts: &["chatgpt.com", "auth.openai.com"],
        headers: &[BEARER],
        login_file: Some(".codex/auth.json"),
    },
    Credential {
        agent: "opencode",
        provider: "Anthropic",
        kind: CredentialKind::Key,
        key_prefix: "sk-ant-api03-",
        env: &["ANTHROPIC_API_KEY"],
        hosts: &["api.anthropic.com"],
        headers: &[X_API_KEY],
        login_file: Some(".local/share/opencode/auth.json"),
    },
    Credential {
        agent: "opencode",
        provider: "OpenAI",
        kind: CredentialKind::Key,
        key_prefix: "sk-proj-",
        env: &["OPENAI_API_KEY"],
        hosts: &["api.openai.com"],
        headers: &[BEARER],
        login_file: Some(".local/share/opencode/auth.json"),
    },
    Credential {
        agent: "opencode",
        provider: "Google",
        kind: CredentialKind::Key,
        key_prefix: "AIza",
        env: &["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
        hosts: &["generativelanguage.googleapis.com"],
        headers: &[GOOGLE],
        login_file: Some(".local/share/opencode/auth.json"),
    },
    Credential {
        agent: "opencode",
        provider: "OpenCode Zen",
        kind: CredentialKind::Key,
        key_prefix: "sk-",
        env: &["OPENCODE_API_KEY"],
        hosts: &["opencode.ai"],
        headers: &[BEARER, X_API_KEY, GOOGLE],
        login_file: Some(".local/share/opencode/auth.json"),
    },
    Credential {
        agent: "opencode",
        provider: "OpenRouter",
        kind: CredentialKind::Key,
        key_prefix: "sk-or-v1-",
        env: &["OPENROUTER_API_KEY"],
        hosts: &["openrouter.ai"],
        headers: &[BEARER],
        login_file: Some(".local/share/opencode/auth.json"),
    },
    Credential {
        agent: "gemini",
        provider: "Google",
        kind: CredentialKind::Key,
        key_prefix: "AIza",
        env: &["GEMINI_API_KEY"],
        hosts: &["generativelanguage.googleapis.com"],
        headers: &[GOOGLE],
        login_file: None,
    },
    Credential {
        agent: "gemini",
        provider: "Google (login)",
        kind: CredentialKind::Login,
        key_prefix: "ya29.",
        env: &[],
        hosts: &["cloudcode-pa.googleapis.com", "oauth2.googleapis.com"],
        headers: &[BEARER],
        login_file: Some(".gemini/oauth_creds.json"),
    },
];

impl Credential {
    /// The ways of an agent, keys before logins; none for an agent that is any command.
    pub fn of(agent: &str) -> impl Iterator<Item = &'static Self> {
        TABLE.iter().filter(move |credential| credential.agent == agent)
    }
}
