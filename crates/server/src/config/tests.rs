//! The configuration, read from text and variables.

use std::error::Error as _;

use super::*;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(dir.path(), variables)
}

fn refusal(text: &str) -> String {
    let error = load(text, &[]).unwrap_err();
    error.source().expect("it says what is wrong").to_string()
}

#[test]
fn nothing_said_is_the_defaults_and_they_can_be_written_and_read_again() {
    assert_eq!(load("", &[]).unwrap(), Config::default());
    let nowhere = tempfile::tempdir().unwrap();
    assert_eq!(Config::load(nowhere.path(), []).unwrap(), Config::default());
    let written = load(&Config::default().to_toml(), &[]).unwrap();
    assert_eq!(written.to_toml(), Config::default().to_toml());
}

#[test]
fn the_defaults_are_those_of_the_engine() {
    assert_eq!(EngineSettings::default(), Config::default().engine());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, line, what) in [
        ("[network]\nalow = []\n", "line 2", "unknown field `alow`"),
        ("[nettwork]\n", "line 1", "unknown field `nettwork`"),
        ("[network]\nallow = [\"*.org\"]\n", "line 2", "`*.org`"),
        ("[network]\nallow_private = [\"db.internal\"]\n", "line 2", "`db.internal`"),
        ("\n[sandbox]\nkeepalive_max = \"soon\"\n", "line 3", "no length of time"),
        ("[sandbox]\nkeepalive_max = \"90d\"\n", "line 2", "is not from 1s to 30d"),
        ("[sandbox]\nmax = -1\n", "line 2", "u32"),
        ("[preview]\nscheme = \"ftp\"\n", "line 2", "`http` or `https`"),
        ("[preview]\nport = 0\n", "line 2", "nonzero"),
        ("[preview]\ntrusted_proxies = [\"proxy\"]\n", "line 2", "IP address"),
        ("[server]\nlisten = \"everywhere\"\n", "line 2", "127.0.0.1:7070"),
        ("[telemetry]\notlp_endpoint = \"collector\"\n", "line 2", "such as `http://127"),
        ("[telemetry]\notlp_sample = 1.5\n", "line 2", "from 0.0 to 1.0"),
        ("[telemetry]\notlp_sample = nan\n", "line 2", "from 0.0 to 1.0"),
        ("[server]\nlisten = \"none\"\nlisten = \"none\"\n", "line 3", "duplicate"),
        ("[server\n", "line 1", "]"),
    ] {
        let told = refusal(text);
        assert!(told.contains(line) && told.contains(what), "{text}: {told}");
    }
}

#[test]
fn a_variable_beats_the_file_and_is_named_when_it_is_wrong() {
    let file = "[preview]\ndomain = \"one.example\"\nport = 8443\n";
    let config = load(
        file,
        &[
            ("SANDBAR_PREVIEW_DOMAIN", "two.example"),
            ("SANDBAR_SANDBOX_MAX", "7"),
            ("SANDBAR_NETWORK_ALLOW", "[\"*.example.org\"]"),
            ("SANDBAR_TOKEN", "of the command line"),
            ("PREVIEW_DOMAIN", "of somebody else"),
        ],
    )
    .unwrap();
    assert_eq!(config.preview.domain.0.to_string(), "two.example");
    assert_eq!(config.preview.port.map(NonZeroU16::get), Some(8443));
    assert_eq!(config.sandbox.max, 7);
    assert!(config.to_toml().contains("*.example.org"));
    for (name, value) in [
        ("SANDBAR_PREVIEW_DOMAN", "two.example"),
        ("SANDBAR_SANDBOX_MAX", "many"),
        ("SANDBAR_SANDBOX_KEEPALIVE_MAX", "soon"),
    ] {
        let error = load(file, &[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn every_setting_is_in_the_documentation_with_its_default() {
    let docs = include_str!("../../../../docs/operations.md");
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for (section, keys) in &defaults {
        assert!(docs.contains(&format!("| `{section}` | ")), "section {section}");
        for (key, value) in keys.as_table().unwrap() {
            let shown = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let start = format!(" | `{key}` | `{shown}` | ");
            let line = docs.lines().find(|line| line.contains(&start));
            let line = line.unwrap_or_else(|| panic!("{section}.{key} = {shown}"));
            let is_editable = format!("{section}.{key}").parse::<SettingKey>().is_ok();
            assert_eq!(line.ends_with(" | yes |"), is_editable, "{section}.{key}");
        }
    }
}
