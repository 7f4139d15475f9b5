//! npm, which pnpm and the classic yarn follow, and the yarn that came after.

use super::configuration::{CallerFiles, HostConfiguration, Note, expanded, read_text};

/// From the weakest to the strongest; the last to speak of a key is heard.
const FILES_OF_HOST: [&str; 4] =
    ["npmrc", "../usr/etc/npmrc", "../usr/local/etc/npmrc", "../opt/homebrew/etc/npmrc"];

pub(super) fn read(files: &CallerFiles, found: &mut HostConfiguration) {
    let paths =
        FILES_OF_HOST.iter().map(|path| files.etc.join(path)).chain([files.home.join(".npmrc")]);
    let mut registry = None;
    let mut certificates = None;
    for path in paths {
        let text = read_text(&path).unwrap_or_default();
        for (key, value) in settings(&text) {
            let value = expanded(value, &files.environment);
            let setting = format!("{} {key}", path.display());
            match key {
                "registry" => registry = Some((setting, value)),
                "cafile" => certificates = Some((setting, value)),
                // A variable cannot name a scope: its `@`, `:` and `/` are no letters. The host is reachable, and that is all.
                _ if key.starts_with('@') && key.ends_with(":registry") => {
                    found.registry(&setting, &value, None);
                }
                _ => {}
            }
        }
    }
    let variable = ["npm_config_registry", "NPM_CONFIG_REGISTRY"];
    if let Some((name, value)) =
        variable.into_iter().find_map(|name| Some((name, files.environment.get(name)?)))
    {
        registry = Some((name.to_owned(), value.clone()));
    }
    if let Some((setting, value)) = registry
        && found.registry(&setting, &value, Some("npm_config_registry"))
    {
        // The later yarn reads neither npm's files nor its variables.
        found.registry(&setting, &value, Some("YARN_NPM_REGISTRY_SERVER"));
    }
    if let Some((setting, path)) = certificates {
        found.certificates(&setting, &path, &["npm_config_cafile"]);
    }
    read_yarn(files, found);
    // One address is one note, though two variables have it.
    found.notes.dedup();
}

fn read_yarn(files: &CallerFiles, found: &mut HostConfiguration) {
    let path = files.home.join(".yarnrc.yml");
    let Some(text) = read_text(&path) else { return };
    // One key of the top level is looked for; a parser of YAML for it would be the largest part of this crate.
    let value = text.lines().find_map(|line| line.strip_prefix("npmRegistryServer:"));
    if let Some(value) = value {
        let value = value.trim().trim_matches(['"', '\'']);
        let value = expanded(value, &files.environment);
        if !found.registry(
            &format!("{} npmRegistryServer", path.display()),
            &value,
            Some("YARN_NPM_REGISTRY_SERVER"),
        ) {
            found.notes.push(Note::FileMalformed { path });
        }
    }
}

/// The lines `key = value` of an `npmrc`, without comments and quotes.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';', '[']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\''])))
}
