//! From what a person types to a sandbox.

use sandbar_types::SandboxId;

use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// Finds a sandbox by its id, its name, or the unique beginning of its id (with or without `sb_`).
    ///
    /// # Errors
    /// `sandbox_not_found`, `ambiguous_id` (with the candidates).
    pub fn sandbox_resolve(&self, text: &str) -> Result<SandboxId> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let actors = self.inner.actors();
        if let Some((&id, _)) = actors.iter().find(|(_, handle)| handle.row().name.as_str() == text)
        {
            return Ok(id);
        }
        let digits = text.strip_prefix(SandboxId::PREFIX).unwrap_or(text);
        let matches: Vec<SandboxId> = actors
            .keys()
            .copied()
            .filter(|id| {
                !digits.is_empty() && id.to_string()[SandboxId::PREFIX.len()..].starts_with(digits)
            })
            .collect();
        match matches.as_slice() {
            [id] => Ok(*id),
            [] => Err(Error::new(
                ErrorKind::NotFound,
                "sandbox_not_found",
                format!("there is no sandbox `{text}`"),
            )
            .hint("`sandbar ls` lists them")),
            [_, _, ..] => Err(Error::new(
                ErrorKind::Conflict,
                "ambiguous_id",
                format!("`{text}` begins several ids"),
            )
            .hint("type more of the id, or the name")
            .details(&serde_json::json!({ "candidates": matches }))),
        }
    }
}
