//! What is recorded is what is read, in every dialect.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod support;

mod app;
mod checkpoint;
mod config_item;
mod credential;
mod event;
mod questions;
mod sandbox;
mod setting;
mod task;
