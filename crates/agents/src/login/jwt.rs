//! Tokens that can be read by everybody. Nothing is believed of them: who signed one is not looked at.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

/// What a token claims; `None` where it is none that can be read.
pub(super) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok().filter(Value::is_object)
}

/// When a token ends, where it says so.
#[must_use]
pub fn expires_at(token: &str) -> Option<Timestamp> {
    Timestamp::from_second(claims(token)?.get("exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_says_when_it_ends() {
        let of = |payload: &str| format!("e30.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let second = |token: &str| expires_at(token).map(Timestamp::as_second);
        assert_eq!(second(&of(r#"{"exp":1700000000}"#)), Some(1_700_000_000));
        assert_eq!(second(&of(r#"{"exp":"soon"}"#)), None);
        assert_eq!(second(&of("[]")), None);
        assert_eq!(second("opaque"), None);
    }

    proptest! {
        #[test]
        fn any_text_may_be_one(token in "[ -~]{0,80}") {
            prop_assert!(expires_at(&token).is_none() || token.contains('.'));
        }

        #[test]
        fn any_payload_may_be_in_one(payload in "[ -~]{0,80}") {
            let ends = expires_at(&format!("e30.{}.s", BASE64_URL_SAFE_NO_PAD.encode(&payload)));
            prop_assert!(ends.is_none() || payload.contains("exp"));
        }
    }
}
