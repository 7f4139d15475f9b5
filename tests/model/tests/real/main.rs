//! The real agents against the model of the tests, through the conversations that the server uses: no sandbox, a fresh
//! home, a fresh workspace. They are installed with `scripts/setup agents`; without them each test says so and passes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure of a helper is a failure of its test"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test reacts to the step that it means")]

mod drive;
mod model;
mod scenario;
mod subject;

mod acp;
mod claude;
mod codex;
mod command;
mod gemini;
mod opencode;
