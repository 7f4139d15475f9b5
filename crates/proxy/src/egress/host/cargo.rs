//! Cargo: the replacement of crates.io, other registries, its own proxy and certificates.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::configuration::{CallerFiles, HostConfiguration, Note, read_text};

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    source: BTreeMap<String, Source>,
    #[serde(default)]
    registries: BTreeMap<String, Registry>,
    #[serde(default)]
    http: Http,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Source {
    registry: Option<String>,
    git: Option<String>,
    replace_with: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Registry {
    index: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Http {
    cainfo: Option<String>,
}

/// Reads the file of the caller's home. A replacement is told by no variable (`source` is not among those that Cargo
/// reads), but inside the file is shown at the same path, by the toolchain `cargo`, if it holds no secret.
pub(super) fn read(files: &CallerFiles, found: &mut HostConfiguration) {
    let home =
        files.environment.get("CARGO_HOME").map_or_else(|| files.home.join(".cargo"), Into::into);
    let paths = [home.join("config"), home.join("config.toml")];
    let Some((path, text)) =
        paths.into_iter().find_map(|path| Some((path.clone(), read_text(&path)?)))
    else {
        return read_variables(files, found);
    };
    let Ok(config) = toml::from_str::<Config>(&text) else {
        found.notes.push(Note::FileMalformed { path });
        return read_variables(files, found);
    };
    let setting = |key: &str, name: &str| format!("{} {key}.{name}", path.display());
    for (name, source) in &config.source {
        // What nothing is replaced with is not used, and may be left over.
        let is_used =
            config.source.values().any(|other| other.replace_with.as_deref() == Some(name));
        for address in [&source.registry, &source.git].into_iter().flatten().filter(|_| is_used) {
            found.registry(&setting("source", name), address, None);
        }
    }
    for (name, registry) in &config.registries {
        if let Some(index) = &registry.index {
            let variable =
                ["CARGO_REGISTRIES_", &name.to_uppercase().replace('-', "_"), "_INDEX"].concat();
            found.registry(&setting("registries", name), index, Some(&variable));
        }
    }
    if let Some(cainfo) = &config.http.cainfo {
        // A relative path is meant from the directory that `.cargo` is in.
        let base = home.parent().unwrap_or(&home);
        found.certificates(
            &setting("http", "cainfo"),
            &base.join(cainfo).to_string_lossy(),
            &["CARGO_HTTP_CAINFO"],
        );
    }
    read_variables(files, found);
}

fn read_variables(files: &CallerFiles, found: &mut HostConfiguration) {
    for (name, value) in &files.environment {
        if name.starts_with("CARGO_REGISTRIES_") && name.ends_with("_INDEX") {
            found.registry(name, value, Some(name));
        }
    }
}
