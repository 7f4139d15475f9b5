//! The logins that agents keep in a person's home, read as that person.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use sandbar_api::CredentialLogin;
use serde_json::Value;

use crate::failure::Failure;

/// LIMIT: bytes that are read of a login.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A key or a login that was found.
pub(super) struct Found {
    pub(super) value: String,
    pub(super) login: CredentialLogin,
}

impl Found {
    pub(super) fn key(value: String) -> Self {
        let value = value.trim().to_owned();
        // What Claude Code prints for programs is a token of a login, also where it is in the variable of a key.
        let is_token = value.starts_with("sk-ant-oat");
        let login = if is_token { CredentialLogin::Oauth } else { CredentialLogin::Key };
        Self { value, login }
    }

    fn token(value: String) -> Self {
        Self { value, login: CredentialLogin::Oauth }
    }
}

/// The login of an agent below `home`; `None` where there is none.
pub(super) fn of_login(agent: &str, home: &Path) -> Result<Option<Found>, Failure> {
    let text = |file: &Value, pointer: &str| {
        file.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    };
    let path = match agent {
        "claude-code" => ".claude/.credentials.json",
        "codex" => ".codex/auth.json",
        "gemini-cli" => ".gemini/oauth_creds.json",
        "opencode" => ".local/share/opencode/auth.json",
        _ => return Ok(None),
    };
    let Some(file) = read(&home.join(path))? else { return Ok(None) };
    Ok(match agent {
        "claude-code" => text(&file, "/claudeAiOauth/accessToken").map(Found::token),
        "codex" => text(&file, "/OPENAI_API_KEY")
            .map(Found::key)
            .or_else(|| text(&file, "/tokens/access_token").map(Found::token)),
        "gemini-cli" => text(&file, "/access_token").map(Found::token),
        _ => text(&file, "/openrouter/key").map(Found::key),
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
        of_login(agent, home.path()).ok().flatten().map(|found| (found.value, found.login))
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
        assert_eq!(login("gemini-cli", ".gemini/oauth_creds.json", "{}"), None);
        assert_eq!(login("codex", ".codex/auth.json", "nonsense"), None);
    }
}
