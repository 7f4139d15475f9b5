//! Coding agents: how each is started, and what what it prints means. Bytes in, values out; nothing here starts anything.
//!
//! An [`Agent`] says what is to be run for an [`Order`]; the [`Conversation`] with it is a state machine over the lines of
//! its standard output. The same lines make the same steps, so a server that was killed goes on by reading the log of the
//! agent from its beginning.
//!
//! One folder a protocol: [`acp`] for agents that speak the Agent Client Protocol (OpenCode, Gemini CLI, any other),
//! [`claude`] for the stream of Claude Code, [`codex`] for Codex's app server, [`command`] for anything else. What they
//! share is small: [`rpc`] reads JSON-RPC, [`form`] keeps questions apart, [`speech`] remembers what was said last.
//! [`seat`] is for those who start one by hand.
//! [`mod@login`] knows the files that logins are in.
//! `tests/model` drives the real programs through these.

mod acp;
mod agent;
mod claude;
mod codex;
mod command;
mod conversation;
mod credential;
mod detection;
mod form;
mod login;
mod registry;
mod rpc;
mod seat;
mod speech;

use sandbar_types::Permissions;

pub use self::{
    agent::{Agent, Launch, Order},
    conversation::{Conversation, Step},
    credential::{Credential, CredentialKind, KeyHeader, TokenBody, TokenEndpoint},
    detection::{Login, login, version, version_argv},
    login::{HostLogin, OAuthClient, StandIn, client_of, expires_at, of_file},
    registry::{all, by_name},
    seat::{Prepared, Seat},
};
