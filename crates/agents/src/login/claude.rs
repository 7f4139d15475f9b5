//! The login of Claude Code.

use serde_json::Value;

use super::{HostLogin, milliseconds, text};
use crate::CredentialKind;

pub(super) fn read(file: &Value) -> Option<HostLogin> {
    Some(HostLogin {
        kind: CredentialKind::Login,
        value: text(file, "/claudeAiOauth/accessToken")?,
        refresh_token: text(file, "/claudeAiOauth/refreshToken"),
        expires_at: milliseconds(file, "/claudeAiOauth/expiresAt"),
        client_id: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn c2_a_login_brings_what_it_is_renewed_with() {
        let file = json!({ "claudeAiOauth": {
            "accessToken": "sk-ant-oat01-a", "refreshToken": "sk-ant-ort01-b", "expiresAt": 1_700_000_000_000_u64,
        } });
        let found = read(&file).unwrap();
        assert_eq!((found.kind, found.value.as_str()), (CredentialKind::Login, "sk-ant-oat01-a"));
        assert_eq!(found.refresh_token.as_deref(), Some("sk-ant-ort01-b"));
        assert_eq!(found.expires_at.map(jiff::Timestamp::as_second), Some(1_700_000_000));
        assert_eq!(read(&json!({})), None);
    }
}
