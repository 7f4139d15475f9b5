//! Who carries a message to an endpoint. The engine says what and when; what may be reached is the carrier's part.

use std::fmt;

use async_trait::async_trait;

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// Where to.
    pub url: String,
    /// `webhook-id`: the same for every attempt.
    pub id: String,
    /// `webhook-timestamp`: of this attempt.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// JSON.
    pub body: String,
}

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The status.
    pub status: u16,
    /// The beginning of the body, without anything that a terminal or a page obeys.
    pub body: String,
}

/// Carries messages.
#[async_trait]
pub trait Courier: Send + Sync + fmt::Debug + 'static {
    /// Looks at the address of an endpoint that is to be made. Nothing is resolved or connected to.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Sends a message, and returns what was answered, in bounded time.
    ///
    /// # Errors
    /// Why nothing was answered, for people. Nothing of the endpoint's is in it.
    async fn send(&self, message: WebhookMessage) -> Result<WebhookAnswer, String>;
}

/// Carries nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCourier;

#[async_trait]
impl Courier for NoCourier {
    fn check(&self, _url: &str) -> Result<(), String> {
        Err("this server sends no webhooks".to_owned())
    }

    async fn send(&self, _message: WebhookMessage) -> Result<WebhookAnswer, String> {
        Err("this server sends no webhooks".to_owned())
    }
}
