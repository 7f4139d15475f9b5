//! A server that speaks the streaming APIs of Anthropic, OpenAI and Google, well enough for the real agents: a word in
//! the prompt says what it does ([`script`]). Every request is recorded, so a test can say what really reached the
//! model. For tests alone.

mod anthropic;
mod api;
mod chat;
mod chatgpt;
mod code_assist;
mod gemini;
mod logins;
mod record;
mod responses;
mod script;
mod server;

pub use self::{
    logins::Logins,
    record::{Record, Recorder},
    server::{Model, ModelConfig, Tls},
};
