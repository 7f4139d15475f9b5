//! The development shell of a project, as `direnv` or `nix` knows it: its variables, for a sandbox.
//!
//! Both run on the host, as the person: an `.envrc` that was never allowed, or that somebody changed since, is refused by
//! direnv itself.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    process::{Command, Output, Stdio},
};

use sandbar_types::EnvName;
use serde::Deserialize;

use crate::failure::{Code, Failure};

/// Who knows the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Devshell {
    /// What its `.envrc` exports.
    Direnv,
    /// What `nix develop` would export.
    Nix,
}

/// What of a shell goes inside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) given: BTreeMap<EnvName, String>,
    /// Names that look like those of secrets; a person gives them by `--env`, or better as a secret.
    pub(crate) withheld: Vec<String>,
}

impl Devshell {
    /// Asks for the shell of `dir`.
    ///
    /// # Errors
    /// The program is not there, refuses, or answers with something else.
    pub(crate) fn variables(self, dir: &Path) -> Result<Variables, Failure> {
        let asked = self.command(dir).output().map_err(|error| {
            Failure::new(Code::Refused, format!("`{}` cannot be started", self.program()))
                .caused_by(&error)
                .hint("install it, or leave `--devshell` away")
        })?;
        let printed = self.answer(asked)?;
        let read = match self {
            Self::Direnv => of_direnv(&printed),
            Self::Nix => of_nix(&printed),
        };
        read.map(sorted).map_err(|error| {
            Failure::unexpected(format!("`{}` answered with no variables", self.program()))
                .caused_by(&error)
        })
    }

    fn program(self) -> &'static str {
        match self {
            Self::Direnv => "direnv",
            Self::Nix => "nix",
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the user's own tool, for the user's own project, from a command line that has no server in it"
    )]
    fn command(self, dir: &Path) -> Command {
        let mut command = Command::new(self.program());
        command.current_dir(dir).stdin(Stdio::null());
        match self {
            Self::Direnv => {
                // Without colors in what it says against it.
                command.args(["export", "json"]).env("TERM", "dumb");
                // It prints what differs from here, and here it may be loaded already.
                for (name, _) in env::vars_os() {
                    if name != "TERM"
                        && name.to_str().is_none_or(|name| !KEPT_FOR_DIRENV.contains(&name))
                    {
                        command.env_remove(name);
                    }
                }
            }
            Self::Nix => {
                let features = ["--extra-experimental-features", "nix-command flakes"];
                command.args(features).args(["print-dev-env", "--json"]);
            }
        }
        command
    }

    fn answer(self, asked: Output) -> Result<String, Failure> {
        // direnv prints what an `.envrc` that is refused would not change, and says so by its code.
        if !asked.status.success() {
            let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
            let failure = Failure::new(Code::Refused, format!("`{}` refuses", self.program()));
            return Err(failure.hint(said));
        }
        Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
    }
}

/// What direnv needs to find itself and its list of what was allowed.
const KEPT_FOR_DIRENV: [&str; 7] =
    ["HOME", "PATH", "USER", "LOGNAME", "LANG", "XDG_CONFIG_HOME", "XDG_DATA_HOME"];

/// A variable that is `null` is unset by the shell; a sandbox has none of the host's anyway.
fn of_direnv(printed: &str) -> serde_json::Result<BTreeMap<String, String>> {
    if printed.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let all: BTreeMap<String, Option<String>> = serde_json::from_str(printed)?;
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

fn of_nix(printed: &str) -> serde_json::Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Environment {
        variables: BTreeMap<String, Variable>,
    }
    #[derive(Deserialize)]
    struct Variable {
        #[serde(rename = "type")]
        kind: String,
        // An array, of a kind that nobody exports, is none of ours.
        #[serde(default)]
        value: serde_json::Value,
    }
    let read: Environment = serde_json::from_str(printed)?;
    let exported = read.variables.into_iter().filter(|(_, variable)| variable.kind == "exported");
    let text =
        exported.filter_map(|(name, variable)| Some((name, variable.value.as_str()?.to_owned())));
    Ok(text.collect())
}

/// Leaves out what is the tool's own or the host's, and what looks like a secret.
fn sorted(all: BTreeMap<String, String>) -> Variables {
    let mut variables = Variables::default();
    for (name, value) in all {
        let Ok(parsed) = name.parse::<EnvName>() else { continue };
        if is_of_the_tool(&name) {
            continue;
        }
        if looks_secret(&name) {
            variables.withheld.push(name);
        } else {
            variables.given.insert(parsed, value);
        }
    }
    variables
}

fn is_of_the_tool(name: &str) -> bool {
    const NAMES: [&str; 13] = [
        "HOME",
        "LOGNAME",
        "NIX_BUILD_TOP",
        "NIX_LOG_FD",
        "OLDPWD",
        "PWD",
        "SHELL",
        "TEMP",
        "TEMPDIR",
        "TERM",
        "TMP",
        "TMPDIR",
        "USER",
    ];
    name.starts_with("DIRENV_") || NAMES.contains(&name)
}

/// Errs on the side of a secret: what is withheld is said, and can be given by name.
fn looks_secret(name: &str) -> bool {
    const WORDS: [&str; 7] =
        ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "PRIVATE_KEY"];
    let name = name.to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word)) || name.ends_with("_KEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(variables: &Variables) -> Vec<&str> {
        variables.given.keys().map(EnvName::as_str).collect()
    }

    #[test]
    fn of_direnv_what_the_envrc_sets_and_no_secret() {
        let printed = r#"{"DIRENV_DIR":"-/p","GREETING":"hi","MY_TOKEN":"x","GONE":null,"PATH":"/p/bin:/bin","HOME":"/h"}"#;
        let variables = sorted(of_direnv(printed).unwrap());
        assert_eq!(names(&variables), ["GREETING", "PATH"]);
        assert_eq!(variables.withheld, ["MY_TOKEN"]);
        assert_eq!(of_direnv("\n").unwrap(), BTreeMap::new());
        assert!(of_direnv("direnv: error").is_err());
    }

    #[test]
    fn of_nix_what_is_exported() {
        let printed = r#"{"bashFunctions":{},"variables":{
            "CC":{"type":"exported","value":"gcc"},"TMPDIR":{"type":"exported","value":"/x"},
            "flags":{"type":"array","value":["a"]},"IFS":{"type":"var","value":" "},
            "CACHIX_SIGNING_KEY":{"type":"exported","value":"k"}}}"#;
        let variables = sorted(of_nix(printed).unwrap());
        assert_eq!(names(&variables), ["CC"]);
        assert_eq!(variables.withheld, ["CACHIX_SIGNING_KEY"]);
    }

    #[test]
    fn who_is_not_allowed_is_refused_with_the_reason() {
        let failed = Output {
            status: std::os::unix::process::ExitStatusExt::from_raw(1 << 8),
            stdout: b"{}".to_vec(),
            stderr: b".envrc is blocked".to_vec(),
        };
        let failure = Devshell::Direnv.answer(failed).unwrap_err().render();
        assert!(failure.contains("direnv") && failure.contains("is blocked"), "{failure}");
    }
}
