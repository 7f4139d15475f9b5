//! pip and uv.

use super::{
    configuration::{CallerFiles, HostConfiguration, read_text},
    url::WebUrl,
};

/// What the settings of a file are called as variables, and whether they are lists.
const INDEXES: [(&str, &str); 3] = [
    ("index-url", "PIP_INDEX_URL"),
    ("extra-index-url", "PIP_EXTRA_INDEX_URL"),
    ("find-links", "PIP_FIND_LINKS"),
];

/// uv reads no file of pip's; what it is told by variables is handed on.
const UV: [&str; 4] = ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"];

pub(super) fn read(files: &CallerFiles, found: &mut HostConfiguration) {
    let paths = [
        files.etc.join("xdg/pip/pip.conf"),
        files.etc.join("pip.conf"),
        files.home.join(".pip/pip.conf"),
        files.home.join(".config/pip/pip.conf"),
    ];
    let own = files.environment.get("PIP_CONFIG_FILE").map(std::path::PathBuf::from);
    let mut settings: Vec<(String, String, String)> = Vec::new();
    for path in paths.into_iter().chain(own) {
        let text = read_text(&path).unwrap_or_default();
        let of_file = parse(&text);
        settings.extend(
            of_file
                .into_iter()
                .map(|(key, value)| (key.clone(), value, format!("{} {key}", path.display()))),
        );
    }
    let last = |key: &str| settings.iter().rev().find(|(name, ..)| name == key);
    for (key, variable) in INDEXES {
        if let Some(value) = files.environment.get(variable) {
            indexes(variable, value, variable, found);
        } else if let Some((_, value, setting)) = last(key) {
            indexes(setting, value, variable, found);
        }
    }
    // uv is to find what pip finds, unless it was told something else.
    let is_uv_told = UV.iter().any(|variable| files.environment.contains_key(*variable));
    for variable in UV {
        if let Some(value) = files.environment.get(variable) {
            indexes(variable, value, variable, found);
        }
    }
    for (of_pip, of_uv) in
        [("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_EXTRA_INDEX_URL", "UV_INDEX")]
    {
        let value = of_pip.parse().ok().and_then(|name| found.environment.get(&name)).cloned();
        if let Some(value) = value.filter(|_| !is_uv_told) {
            found.set(of_uv, value);
        }
    }
    if let Some((_, path, setting)) = last("cert") {
        found.certificates(setting, path, &["PIP_CERT"]);
    }
}

/// A list of addresses, with a blank between two; what is a directory of the host is not handed on.
fn indexes(setting: &str, value: &str, variable: &str, found: &mut HostConfiguration) {
    let handed_on: Vec<String> = value
        .split_whitespace()
        .filter_map(|entry| {
            // uv takes `name=address`.
            let address =
                entry.split_once("=http").map_or(entry, |(name, _)| &entry[name.len() + 1..]);
            let url = WebUrl::parse(address)?;
            found.registry(setting, address, None);
            Some(entry.replace(address, &url.text))
        })
        .collect();
    if !handed_on.is_empty() {
        found.set(variable, handed_on.join(" "));
    }
}

/// The settings of the sections that an install reads. A line that begins with a blank goes on with the one before.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut is_read = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = trimmed.strip_prefix('[') {
            is_read = matches!(section.trim_end_matches(']').trim(), "global" | "install");
        } else if !is_read {
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = settings.last_mut() {
                value.push(' ');
                value.push_str(trimmed);
            }
        } else if let Some((key, value)) = trimmed.split_once(['=', ':']) {
            settings.push((key.trim().to_lowercase().replace('_', "-"), value.trim().to_owned()));
        }
    }
    settings
}
