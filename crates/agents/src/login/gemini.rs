//! The login of the Gemini CLI with Google, and the client that it was made with.

use std::fmt;

use serde_json::Value;

use super::{HostLogin, jwt, milliseconds, text};
use crate::CredentialKind;

/// Where the program has its client.
const ID: &str = "OAUTH_CLIENT_ID";
const SECRET: &str = "OAUTH_CLIENT_SECRET";
/// LIMIT: bytes of either.
const BYTES_MAX: usize = 256;

/// Who a program is where it asks for tokens. Google gives a secret to programs that everybody has, too.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthClient").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(super) fn read(file: &Value) -> Option<HostLogin> {
    let id_token = text(file, "/id_token").and_then(|token| jwt::claims(&token));
    Some(HostLogin {
        kind: CredentialKind::Login,
        value: text(file, "/access_token")?,
        refresh_token: text(file, "/refresh_token"),
        expires_at: milliseconds(file, "/expiry_date"),
        client_id: id_token.and_then(|claims| text(&claims, "/aud")),
    })
}

/// Finds the client in the source of the Gemini CLI.
#[must_use]
pub fn client_of(source: &str) -> Option<OAuthClient> {
    Some(OAuthClient { id: constant(source, ID)?, secret: constant(source, SECRET)? })
}

/// The text that the first assignment to `name` gives it.
fn constant(source: &str, name: &str) -> Option<String> {
    source.match_indices(name).find_map(|(at, _)| {
        let rest = source[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'))?;
        let (value, _) = rest[1..].split_once(quote)?;
        let is_plain = value.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        (!value.is_empty() && value.len() <= BYTES_MAX && is_plain).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn c2_a_login_brings_what_it_is_renewed_with_and_for_whom_it_was_made() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(r#"{"aud":"1.apps.example","email":"a@b.c"}"#);
        let found = read(&json!({
            "access_token": "ya29.a", "refresh_token": "1//r", "token_type": "Bearer",
            "expiry_date": 1_700_000_000_000_u64, "id_token": format!("e30.{payload}.s"),
        }));
        let found = found.unwrap();
        assert_eq!((found.kind, found.value.as_str()), (CredentialKind::Login, "ya29.a"));
        assert_eq!(found.refresh_token.as_deref(), Some("1//r"));
        assert_eq!(found.expires_at.map(jiff::Timestamp::as_second), Some(1_700_000_000));
        assert_eq!(found.client_id.as_deref(), Some("1.apps.example"));
        assert_eq!(read(&json!({ "type": "external_account" })), None);
    }

    #[test]
    fn the_client_is_found_as_the_program_has_it() {
        let bundled = "client_id: OAUTH_CLIENT_ID,\n secret: OAUTH_CLIENT_SECRET,\nvar OAUTH_CLIENT_ID = \"1.apps.example\";\nvar OAUTH_CLIENT_SECRET = \"planted\";";
        let written =
            "const OAUTH_CLIENT_ID =\n  '1.apps.example';\nconst OAUTH_CLIENT_SECRET='planted';";
        for source in [bundled, written] {
            let found = client_of(source).unwrap();
            assert_eq!((found.id.as_str(), found.secret.as_str()), ("1.apps.example", "planted"));
            assert!(!format!("{found:?}").contains("planted"));
        }
        assert_eq!(client_of("var OAUTH_CLIENT_ID = \"1\";"), None);
        assert_eq!(client_of("OAUTH_CLIENT_ID = id; OAUTH_CLIENT_SECRET = "), None);
    }

    proptest! {
        #[test]
        fn any_source_may_be_searched(source in "(OAUTH_CLIENT_(ID|SECRET)|[='\"` é\n]|[ -~]){0,12}") {
            let found = client_of(&source);
            prop_assert!(found.is_none_or(|found| !found.id.is_empty() && !found.secret.is_empty()));
        }
    }
}
