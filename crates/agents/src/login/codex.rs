//! The login of Codex with ChatGPT, and the file that stands for it inside.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{HostLogin, jwt, text};
use crate::CredentialKind;

/// The claims that say whose a token is.
const CLAIMS: &str = "https://api.openai.com/auth";
/// Of those, the ones without which Codex does not work; none of them says who somebody is.
const KEPT: [&str; 3] = ["chatgpt_account_id", "chatgpt_plan_type", "chatgpt_account_is_fedramp"];

pub(super) fn read(file: &Value) -> Option<HostLogin> {
    let key = || {
        Some(HostLogin {
            kind: CredentialKind::Key,
            value: text(file, "/OPENAI_API_KEY")?,
            refresh_token: None,
            expires_at: None,
            client_id: None,
        })
    };
    // Older versions say not which of the two they use, and use the key.
    if file.get("auth_mode").is_none_or(|mode| mode == "apikey")
        && let Some(found) = key()
    {
        return Some(found);
    }
    let value = text(file, "/tokens/access_token")?;
    Some(HostLogin {
        kind: CredentialKind::Login,
        expires_at: jwt::expires_at(&value),
        refresh_token: text(file, "/tokens/refresh_token"),
        client_id: None,
        value,
    })
}

/// The `auth.json` for a token: of it, the account and its plan. Codex does not ask for new tokens by itself within eight
/// days of `last_refresh`, and reads the claims of the token for people alone, without a look at who signed them.
pub(super) fn stand_in(placeholder: &str, token: &str, now: Timestamp) -> Option<String> {
    let claims = jwt::claims(token)?;
    let claims = claims.get(CLAIMS)?;
    let account = text(claims, "/chatgpt_account_id")?;
    let kept: serde_json::Map<String, Value> = KEPT
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), claims.get(*name)?.clone())))
        .collect();
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "none", "typ": "JWT" }));
    let payload = part(json!({ CLAIMS: kept }));
    let file = json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": format!("{header}.{payload}.{placeholder}"),
            "access_token": placeholder,
            "refresh_token": placeholder,
            "account_id": account,
        },
        "last_refresh": now,
    });
    Some(format!("{file:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        let payload = json!({
            CLAIMS: { "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-1" },
            "https://api.openai.com/profile": { "email": "ann@example.com" },
            "exp": 1_700_000_000,
        });
        format!("e30.{}.planted", BASE64_URL_SAFE_NO_PAD.encode(payload.to_string()))
    }

    #[test]
    fn c2_a_login_is_told_from_a_key_and_brings_what_it_is_renewed_with() {
        let tokens = json!({ "access_token": token(), "refresh_token": "r" });
        let login =
            read(&json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": "k", "tokens": tokens }));
        let login = login.unwrap();
        assert_eq!(login.kind, CredentialKind::Login);
        assert_eq!(login.refresh_token.as_deref(), Some("r"));
        assert_eq!(login.expires_at.map(Timestamp::as_second), Some(1_700_000_000));
        let older = read(&json!({ "OPENAI_API_KEY": null, "tokens": tokens })).unwrap();
        assert_eq!(older, login);
        for key in [
            json!({ "OPENAI_API_KEY": "sk-proj-1", "tokens": tokens }),
            json!({ "auth_mode": "apikey", "OPENAI_API_KEY": "sk-proj-1" }),
        ] {
            let key = read(&key).unwrap();
            assert_eq!((key.kind, key.value.as_str()), (CredentialKind::Key, "sk-proj-1"));
        }
        assert_eq!(read(&json!({})), None);
    }

    #[test]
    fn c2_what_stands_for_a_login_inside_has_the_account_and_nothing_else_of_it() {
        let written = stand_in("sbx-placeholder-1", &token(), Timestamp::UNIX_EPOCH).unwrap();
        let file: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(file["tokens"]["account_id"], "acc-1");
        assert_eq!(file["tokens"]["access_token"], "sbx-placeholder-1");
        assert_eq!(file["last_refresh"], "1970-01-01T00:00:00Z");
        let id = file["tokens"]["id_token"].as_str().unwrap();
        let claims = jwt::claims(id).unwrap();
        let kept = json!({ "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus" });
        assert_eq!(claims, json!({ CLAIMS: kept }));
        assert!(!written.contains("planted") && id.ends_with(".sbx-placeholder-1"), "{written}");
    }

    #[test]
    fn a_token_without_an_account_has_nothing_that_stands_for_it() {
        for token in ["opaque", "a.b.c", "e30.e30.s", ""] {
            assert_eq!(stand_in("p", token, Timestamp::UNIX_EPOCH), None, "{token}");
        }
    }
}
