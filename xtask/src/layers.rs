//! Who may import whom. The table is the one of `ARCHITECTURE.md`.

use std::collections::BTreeSet;

use crate::command::{Failed, cargo_output, note};

/// Each crate, and the crates of ours that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("agents", &["types"]),
    ("api", &["types"]),
    ("protocol", &["types"]),
    ("linux", &[]),
    ("manifest", &["types"]),
    ("presets", &["types"]),
    ("proxy", &["types"]),
    ("workspace", &["types", "linux"]),
    ("git", &["types", "linux"]),
    ("runtime", &["types", "protocol", "linux"]),
    ("supervisor", &["types", "protocol", "linux"]),
    ("secrets", &[]),
    ("store", &["types"]),
    ("store-sqlite", &["store"]),
    ("store-postgres", &["store"]),
    ("backup", &["store"]),
    // For tests alone.
    ("test-store", &["store", "store-sqlite", "store-postgres"]),
    (
        "engine",
        &[
            "types",
            "agents",
            "manifest",
            "presets",
            "secrets",
            "store",
            "backup",
            "workspace",
            "git",
            "runtime",
        ],
    ),
    ("server", &["api", "engine", "proxy", "types"]),
    ("cli", &["api", "types", "agents", "manifest", "presets", "server"]),
    // The binary wires roles to crates and does nothing else.
    (
        "sandbar",
        &[
            "cli",
            "types",
            "linux",
            "git",
            "server",
            "engine",
            "runtime",
            "backup",
            "store",
            "store-sqlite",
            "store-postgres",
            "supervisor",
            "workspace",
        ],
    ),
];

/// Fails on an import that the table does not allow. Test-only imports are free.
pub(crate) fn check() -> Result<(), Failed> {
    let metadata = cargo_output(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata)
        .map_err(|error| Failed(format!("cargo metadata: {error}")))?;
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = short(package["name"].as_str().unwrap_or_default());
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(crate_name, _)| *crate_name == name)
        else {
            continue;
        };
        let imports: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|dependency| dependency["kind"].is_null() && dependency["path"].is_string())
            .filter_map(|dependency| dependency["name"].as_str().map(short))
            .collect();
        wrong.extend(
            imports
                .into_iter()
                .filter(|import| !allowed.contains(import))
                .map(|import| format!("{name} imports {import}")),
        );
    }
    if wrong.is_empty() {
        note("layers: every import is allowed");
        Ok(())
    } else {
        Err(Failed(format!(
            "imports that ARCHITECTURE.md does not allow:\n  {}",
            wrong.join("\n  ")
        )))
    }
}

fn short(package: &str) -> &str {
    package.strip_prefix("sandbar-").unwrap_or(package)
}
