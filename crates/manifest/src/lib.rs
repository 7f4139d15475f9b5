//! `sandbox.yaml`, version 1: what an app says about its processes, read into an [`AppSpec`].
//!
//! A manifest is written by people and by agents, so it is hostile and full of mistakes. Everything that is wrong with
//! it is found in one go, each with its place in the text, and one error is enough that there is no [`AppSpec`]:
//! nothing is started on a guess. Nothing here opens a file.
//!
//! ```text
//! text ─ yaml ─► nodes with positions ─ shape (the table of `fields`) ─► typed maps ─ app, probe, relations ─► AppSpec
//!                                              └─ schema: the same table, as JSON Schema for editors
//! ```

mod app;
mod command_port;
mod default_command;
mod fields;
mod finding;
mod form;
mod map;
mod probe;
mod quantity;
mod relations;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod yaml;

use sandbar_types::AppSpec;
use serde::Serialize;

use crate::finding::Findings;
pub use crate::{
    default_command::{BUILD_COMMAND, BUILD_TIMEOUT_MS, WEB_COMMAND, WEB_PORT},
    finding::{Code, Finding, Severity},
    schema::json_schema,
};

/// What the file is called, at the root of the workspace.
pub const FILE_NAME: &str = "sandbox.yaml";

/// LIMIT: bytes of a manifest.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The app, with every default filled in; `None` when there is an error.
    pub spec: Option<AppSpec>,
    /// All that was found, in the order of the text.
    pub findings: Vec<Finding>,
}

impl Reading {
    /// Whether there is an app to start; warnings do not matter.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.spec.is_some()
    }

    /// The findings of one severity, in the order of the text.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }
}

/// Reads a manifest.
#[must_use]
pub fn read(text: &str) -> Reading {
    let mut findings = Findings::default();
    let app = yaml::parse(text, &mut findings)
        .and_then(|root| shape::top(&root, &mut findings))
        .map(|top| app::app(&top, &mut findings));
    let findings = findings.finish(text);
    let is_wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
    Reading { spec: app.filter(|_| !is_wrong), findings }
}

/// Reads a manifest as it is in its file.
#[must_use]
pub fn read_bytes(bytes: &[u8]) -> Reading {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let mut findings = Findings::default();
            findings
                .add(Code::NotUtf8, finding::end_of(&before), "the file is not UTF-8 text")
                .hint("save it as UTF-8");
            Reading { spec: None, findings: findings.finish(&before) }
        }
    }
}
