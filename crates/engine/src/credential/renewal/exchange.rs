//! What goes to a token endpoint, and what comes back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sandbar_secrets::ExposeSecret as _;
use sandbar_types::escaped;
use serde::Deserialize;

use super::plan::{Renewal, RenewalSecrets, TokenBody, split};
use crate::{SecretString, credential::values};

/// What a token endpoint is asked.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Its host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
    /// The kind of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: SecretString,
}

/// What a token endpoint answered.
#[derive(Debug, Clone)]
pub struct TokenAnswer {
    /// The status.
    pub status: u16,
    /// The body. It holds tokens, where it is no refusal.
    pub body: SecretString,
}

impl Renewal {
    /// What its endpoint is asked; `None` where it is none.
    pub(super) fn request(&self, secrets: &RenewalSecrets) -> Option<TokenRequest> {
        let (host, port, path) = split(&self.token_url).ok()?;
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", secrets.refresh.expose_secret()),
            ("client_id", &self.client_id),
        ];
        fields.extend(secrets.client.iter().map(|it| ("client_secret", it.expose_secret())));
        let (content_type, body) = match self.body {
            TokenBody::Json => {
                let fields: BTreeMap<_, _> = fields.into_iter().collect();
                ("application/json", serde_json::to_string(&fields).ok()?)
            }
            TokenBody::Form => {
                let pair =
                    |(name, value): (&str, &str)| [name, "=", &escaped(value.as_bytes())].concat();
                let pairs: Vec<String> = fields.into_iter().map(pair).collect();
                ("application/x-www-form-urlencoded", pairs.join("&"))
            }
        };
        Some(TokenRequest { host, port, path, content_type, body: body.into() })
    }
}

/// Tokens that came.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) value: SecretString,
    /// The next one to ask with, where the last is not good any more.
    pub(super) refresh: Option<SecretString>,
    pub(super) expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

/// Reads an answer.
pub(super) fn tokens(answer: &TokenAnswer, now: Timestamp) -> std::result::Result<Tokens, String> {
    if answer.status != 200 {
        return Err(format!("the token endpoint answered {}", answer.status));
    }
    // What serde says of it could hold a part of it.
    let read = serde_json::from_str::<Answer>(answer.body.expose_secret());
    let not_understood = || "the answer of the token endpoint cannot be understood".to_owned();
    let Answer { access_token, refresh_token, expires_in } = read.map_err(|_| not_understood())?;
    let said =
        expires_in.and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok());
    // Not every endpoint says it apart from the token.
    let expires_at = said.or_else(|| sandbar_agents::expires_at(&access_token));
    let value: SecretString = access_token.into();
    let refresh: Option<SecretString> = refresh_token.map(Into::into);
    [Some(&value), refresh.as_ref()]
        .into_iter()
        .flatten()
        .try_for_each(|token| values::check(token).map_err(|_| not_understood()))?;
    Ok(Tokens { value, refresh, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RenewalParams;

    #[test]
    fn a_request_is_written_as_the_endpoint_wants_it() {
        let agent = "codex".parse().unwrap();
        let params = RenewalParams {
            refresh_token: "sk-ant-ort01-a+b".into(),
            expires_at: None,
            token_url: None,
            client_id: None,
            client_secret: None,
        };
        let (mut renewal, mut secrets) = params.plan(Some(&agent)).unwrap();
        let request = renewal.request(&secrets).unwrap();
        assert_eq!(
            request.body.expose_secret(),
            r#"{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token","refresh_token":"sk-ant-ort01-a+b"}"#
        );
        renewal.body = TokenBody::Form;
        secrets.client = Some("a/secret".into());
        let request = renewal.request(&secrets).unwrap();
        assert_eq!(
            request.body.expose_secret(),
            "grant_type=refresh_token&refresh_token=sk-ant-ort01-a%2Bb\
             &client_id=app_EMoamEEZ73f0CkXaXp7hrann&client_secret=a%2Fsecret"
        );
    }

    #[test]
    fn an_answer_without_a_token_that_can_be_put_in_is_a_failure_that_says_none_of_it() {
        let now = Timestamp::UNIX_EPOCH;
        let read = |status, body: &str| tokens(&TokenAnswer { status, body: body.into() }, now);
        let good = read(200, r#"{"access_token":"new-token-1","expires_in":60}"#).unwrap();
        assert_eq!(good.expires_at.map(Timestamp::as_second), Some(60));
        assert!(good.refresh.is_none());
        // `{"exp":90}`
        let said = read(200, r#"{"access_token":"e30.eyJleHAiOjkwfQ.s"}"#).unwrap();
        assert_eq!(said.expires_at.map(Timestamp::as_second), Some(90));
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (200, "planted"),
            (200, r#"{"access_token":"planted\n"}"#),
            (200, r#"{"access_token":"new-token-1","refresh_token":"planted x"}"#),
        ] {
            let why = read(status, body).unwrap_err();
            assert!(!why.contains("planted") && !why.contains("grant"), "{why}");
        }
    }
}
