//! What Codex asks ChatGPT besides words, for those who logged in.

use serde_json::{Value, json};

/// What a path is answered; `None` for others. `account` is the one that the request names.
pub(crate) fn answer(path: &str, account: Option<&str>) -> Option<Value> {
    if path != "/backend-api/wham/accounts/check" {
        return None;
    }
    // Without the way to its workspace Codex asks for no word.
    Some(json!({
        "accounts": [{
            "id": account,
            "name": null,
            "structure": "personal",
            "profile_picture_url": null,
            "workspace_backend_origin": "https://chatgpt.com",
            "account_routing_override": "NO_CONSTRAINT",
        }],
        "account_ordering": [account],
        "default_account_id": account,
    }))
}
