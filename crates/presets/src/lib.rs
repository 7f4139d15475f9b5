//! What an app can start from: starters that fill an empty workspace, and guesses about a project that is there.
//!
//! Everything here is a pure function of names, bytes and [`ProjectFiles`]; nothing touches a disk.
//! Each guess says what it was read from, because a guess that cannot be checked cannot be corrected.

mod detect;
mod install;
mod manifest_text;
mod preset;
mod project;
mod reason;
mod seeding;
mod starters;
mod suggestion;

pub use detect::detect;
pub use install::{Install, Manager};
pub use manifest_text::manifest_text;
pub use preset::{Preset, StarterFile, preset, presets};
pub use project::{MANIFEST, ProjectFiles};
pub use reason::{Guess, Reason};
pub use seeding::{Seeding, plan};
pub use suggestion::{Confidence, Framework, Readiness, Suggestion, Worker};
