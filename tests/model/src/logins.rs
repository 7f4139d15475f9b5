//! Token endpoints: what each token that renews is answered with, once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

/// The answers that are left, by the token that asks.
#[derive(Debug, Clone, Default)]
pub struct Logins(Arc<Mutex<BTreeMap<String, Value>>>);

impl Logins {
    /// Answers a request with that token, the first time.
    pub fn add(&self, refresh_token: &str, answer: Value) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(refresh_token.to_owned(), answer);
    }

    /// The answer to a body: JSON, or a form.
    pub(crate) fn answer(&self, body: &Value) -> Option<Value> {
        let of_form = |form: &str| {
            let field = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token="));
            field.map(str::to_owned)
        };
        let token = match body.as_str() {
            Some(form) => of_form(form),
            None => body["refresh_token"].as_str().map(str::to_owned),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&token?)
    }
}
