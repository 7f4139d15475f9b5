//! Coding agents: how each is started, and what what it prints means. Bytes in, values out; nothing here starts anything.
//!
//! An [`Agent`] says what is to be run for an [`Order`]; the [`Conversation`] with it is a state machine over the lines of
//! its standard output. The same lines make the same steps, so a server that was killed goes on by reading the log of the
//! agent from its beginning.

mod agent;
mod conversation;

pub use self::{
    agent::{Agent, Launch, Order},
    conversation::{Conversation, Step},
};
