//! The logins that agents keep in a person's home, read as that person.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use jiff::Timestamp;
use sandbar_agents::{Credential, CredentialKind, HostLogin, OAuthClient};
use sandbar_api::{CredentialLogin, CredentialRenewalRequest, Secret};
use sandbar_types::EnvName;
use serde_json::Value;

use super::client;
use crate::failure::Failure;

/// LIMIT: bytes that are read of a login.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The providers of OpenCode, as its file names them, and the variables of their keys.
const OPENCODE: &[(&str, &str)] = &[
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("openai", "OPENAI_API_KEY"),
    ("google", "GEMINI_API_KEY"),
    ("opencode", "OPENCODE_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
];

/// A key or a login that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) value: String,
    pub(super) login: CredentialLogin,
    /// Its variable, where the agent works with several providers.
    pub(super) env: Option<EnvName>,
    pub(super) renewal: Option<Renewing>,
}

/// What a login is renewed with.
#[derive(Debug)]
pub(super) struct Renewing {
    refresh_token: String,
    expires_at: Option<Timestamp>,
    /// Who asks, where the server does not know it.
    client: Option<OAuthClient>,
}

impl Renewing {
    /// As the server is asked, with another token endpoint where there is one.
    pub(super) fn request(self, token_url: Option<String>) -> CredentialRenewalRequest {
        let (client_id, client_secret) =
            self.client.map(|OAuthClient { id, secret }| (id, Secret(secret))).unzip();
        CredentialRenewalRequest {
            refresh_token: Secret(self.refresh_token),
            expires_at: self.expires_at,
            token_url,
            client_id,
            client_secret,
        }
    }
}

impl Found {
    pub(super) fn key(value: String) -> Self {
        let value = value.trim().to_owned();
        // What Claude Code prints for programs is a token of a login, also where it is in the variable of a key.
        let is_token = value.starts_with("sk-ant-oat");
        let login = if is_token { CredentialLogin::Oauth } else { CredentialLogin::Key };
        Self { value, login, env: None, renewal: None }
    }

    /// What the file of a login of `agent` holds.
    fn login(agent: &str, login: HostLogin, home: &Path) -> Result<Self, Failure> {
        let HostLogin { kind, value, refresh_token, expires_at, client_id } = login;
        if kind == CredentialKind::Key {
            return Ok(Self::key(value));
        }
        let endpoint = Credential::of(agent).find_map(|known| known.token_endpoint);
        let is_of_program = endpoint.is_some_and(|endpoint| endpoint.client_id.is_none());
        let client = match is_of_program && refresh_token.is_some() {
            true => Some(client::of_program(agent, client_id.as_deref(), home)?),
            false => None,
        };
        let renewal =
            refresh_token.map(|refresh_token| Renewing { refresh_token, expires_at, client });
        Ok(Self { value, login: CredentialLogin::Oauth, env: None, renewal })
    }

    /// Of that variable: a token where it takes those, and of its provider where `agent` has several.
    pub(super) fn of(self, agent: &str, variable: Option<&EnvName>) -> Self {
        let Some(variable) = variable else { return self };
        let takes = |known: &&Credential| known.env.contains(&variable.as_str());
        let is_token = Credential::of(agent)
            .find(takes)
            .is_some_and(|known| known.kind == CredentialKind::Login);
        let keys = Credential::of(agent).filter(|known| known.kind == CredentialKind::Key).count();
        Self {
            login: if is_token { CredentialLogin::Oauth } else { self.login },
            env: (keys > 1).then(|| variable.clone()),
            ..self
        }
    }
}

/// The login of an agent below `home`, for `variable` where it is said; `None` where there is none.
pub(super) fn of_login(
    agent: &str,
    variable: Option<&EnvName>,
    home: &Path,
) -> Result<Option<Found>, Failure> {
    let Some(path) = Credential::of(agent).find_map(|known| known.login_file) else {
        return Ok(None);
    };
    let Some(file) = read(&home.join(path))? else { return Ok(None) };
    if agent == "opencode" {
        return Ok(of_opencode(&file, variable));
    }
    let found = sandbar_agents::of_file(agent, &file);
    found.map(|found| Found::login(agent, found, home)).transpose()
}

/// OpenCode keeps a key for each provider: that of the variable, or the first that is there.
fn of_opencode(file: &Value, variable: Option<&EnvName>) -> Option<Found> {
    let mut providers = OPENCODE
        .iter()
        .filter(|(_, env)| variable.is_none_or(|variable| variable.as_str() == *env));
    providers.find_map(|(provider, env)| {
        let key = file.get(provider)?.get("key")?.as_str()?.to_owned();
        Some(Found::key(key).of("opencode", env.parse().ok().as_ref()))
    })
}

fn read(path: &Path) -> Result<Option<Value>, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::usage(format!("cannot read the login in {}", path.display())).caused_by(error)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| failed(&error))?;
    // What serde says of it could hold a part of it.
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|_| Failure::usage(format!("the login in {} is not JSON", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(agent: &str, path: &str, content: &str) -> Option<(String, CredentialLogin)> {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        of_login(agent, None, home.path()).ok().flatten().map(|found| (found.value, found.login))
    }

    #[test]
    fn c2_logins_are_read_where_agents_keep_them() {
        let claude = r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-a","refreshToken":"r"}}"#;
        assert_eq!(
            login("claude-code", ".claude/.credentials.json", claude),
            Some(("sk-ant-oat01-a".to_owned(), CredentialLogin::Oauth))
        );
        let codex = r#"{"OPENAI_API_KEY":null,"tokens":{"access_token":"t"}}"#;
        assert_eq!(
            login("codex", ".codex/auth.json", codex),
            Some(("t".to_owned(), CredentialLogin::Oauth))
        );
        let codex = r#"{"OPENAI_API_KEY":"sk-proj-1"}"#;
        assert_eq!(
            login("codex", ".codex/auth.json", codex),
            Some(("sk-proj-1".to_owned(), CredentialLogin::Key))
        );
        let opencode = r#"{"openrouter":{"type":"api","key":"sk-or-v1-1"}}"#;
        assert_eq!(
            login("opencode", ".local/share/opencode/auth.json", opencode),
            Some(("sk-or-v1-1".to_owned(), CredentialLogin::Key))
        );
        assert_eq!(login("gemini", ".gemini/oauth_creds.json", "{}"), None);
        assert_eq!(
            login("gemini", ".gemini/oauth_creds.json", r#"{"access_token":"ya29.a"}"#),
            Some(("ya29.a".to_owned(), CredentialLogin::Oauth)),
            "without a token to renew it with, it is good until it ends"
        );
        assert_eq!(login("codex", ".codex/auth.json", "nonsense"), None);
    }

    #[test]
    fn of_several_providers_the_variable_says_which() {
        let file = serde_json::json!({
            "openai": { "type": "api", "key": "sk-proj-1" },
            "openrouter": { "type": "api", "key": "sk-or-v1-1" },
        });
        let of = |variable: Option<&str>| {
            let variable = variable.map(|name| name.parse().unwrap());
            of_opencode(&file, variable.as_ref()).map(|found| (found.value, found.env.unwrap()))
        };
        let key = |value: &str, env: &str| Some((value.to_owned(), env.parse().unwrap()));
        assert_eq!(of(None), key("sk-proj-1", "OPENAI_API_KEY"));
        assert_eq!(of(Some("OPENROUTER_API_KEY")), key("sk-or-v1-1", "OPENROUTER_API_KEY"));
        assert_eq!(of(Some("GEMINI_API_KEY")), None);
    }

    #[test]
    fn every_provider_of_opencode_has_a_variable_that_is_known() {
        for (_, env) in OPENCODE {
            assert!(Credential::of("opencode").any(|known| known.env.contains(env)), "{env}");
        }
    }
}
