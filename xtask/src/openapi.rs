//! `openapi.json` is made from the code and committed, so that a change of the contract is seen in review.

use std::fs;

use crate::command::{Failed, cargo_output};

const FILE: &str = "openapi.json";

/// Writes the document.
pub(crate) fn write() -> Result<(), Failed> {
    fs::write(FILE, document()?)
        .map_err(|error| Failed(format!("{FILE} cannot be written: {error}")))
}

/// Fails if the committed document is not what the code says.
pub(crate) fn check() -> Result<(), Failed> {
    let committed =
        fs::read(FILE).map_err(|error| Failed(format!("{FILE} cannot be read: {error}")))?;
    if committed == document()? {
        Ok(())
    } else {
        Err(Failed(format!("{FILE} is not what the code says; run `cargo xtask openapi`")))
    }
}

fn document() -> Result<Vec<u8>, Failed> {
    cargo_output(&["run", "--quiet", "--package", "sandbar", "--", "__openapi"])
}
