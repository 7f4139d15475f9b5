//! `sandbar agents`: the agents, what of them is on this host, and whether there is a key.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures_util::future::join_all;
use sandbar_agents::{Credential, Login, login, version, version_argv};
use sandbar_api::KnownAgent;
use tokio::process::Command;

use crate::{context::Context, failure::Failure, output::table::Table, toolbox::Toolbox};

/// How long a program may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);
/// LIMIT: bytes of a login that is looked at.
const LOGIN_BYTES_MAX: u64 = 1 << 20;

/// An agent, and what this host knows of it.
#[derive(Debug, serde::Serialize)]
struct Row {
    #[serde(flatten)]
    agent: KnownAgent,
    /// What its program here says.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Whether somebody logged in here with it.
    has_login: bool,
}

pub(super) async fn list(context: &mut Context) -> Result<(), Failure> {
    let agents = super::known(context).await?;
    let home = env::home_dir().unwrap_or_default();
    let rows = join_all(agents.into_iter().map(|agent| row(agent, &home))).await;
    if context.out.is_json() {
        return context.out.json(&rows);
    }
    let mut table = Table::new(&["NAME", "AGENT", "PROGRAM", "VERSION", "KEY"]);
    for Row { agent, version, has_login } in &rows {
        let program = match (&agent.program, &agent.host_path) {
            (None, _) => "-",
            (Some(_), None) => "not installed",
            (Some(_), Some(path)) => path,
        };
        let key = match (agent.is_connected, has_login) {
            (true, _) => "connected",
            (false, true) => "login on this host",
            (false, false) => "none",
        };
        let version = version.as_deref().unwrap_or("-");
        table.push([agent.name.as_str(), &agent.label, program, version, key]);
    }
    Ok(context.out.table(&table)?)
}

async fn row(mut agent: KnownAgent, home: &Path) -> Row {
    // What is run is what is found here: the server may be elsewhere, and is not asked what to run.
    let found = agent.program.as_deref().and_then(|program| program_path(program, home));
    let version = match &found {
        Some(path) => version_of(path).await,
        None => None,
    };
    if let Some(path) = found {
        agent.host_path = Some(path.display().to_string());
    }
    Row { has_login: has_login(agent.name.as_str(), home), version, agent }
}

/// Where a program of the `PATH` is, or one of the toolbox.
fn program_path(name: &str, home: &Path) -> Option<PathBuf> {
    program_paths(name, home).next()
}

/// Every place of the `PATH` that has a program, then that of the toolbox.
pub(super) fn program_paths(name: &str, home: &Path) -> impl Iterator<Item = PathBuf> {
    // It may come from a server elsewhere: a name, and not a place.
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let path = env::var_os("PATH").filter(|_| is_name).unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
    let toolbox = is_name.then(|| Toolbox::of_home(home).programs());
    let paths: Vec<PathBuf> = dirs.into_iter().chain(toolbox).map(|dir| dir.join(name)).collect();
    paths.into_iter().filter(|path| path.is_file())
}

/// What a program says that its version is; `None` where it says nothing in time.
async fn version_of(path: &Path) -> Option<String> {
    let [program, argument] = version_argv(path.to_str()?);
    let asked =
        Command::new(program).arg(argument).stdin(Stdio::null()).kill_on_drop(true).output();
    let said = tokio::time::timeout(VERSION_PATIENCE, asked).await.ok()?.ok()?;
    version(&String::from_utf8_lossy(&said.stdout)).map(str::to_owned)
}

/// Whether the agent left a login below `home`.
fn has_login(agent: &str, home: &Path) -> bool {
    let mut files = Credential::of(agent).filter_map(|credential| credential.login_file);
    files.any(|file| {
        let path = home.join(file);
        let is_small = fs::metadata(&path).is_ok_and(|found| found.len() <= LOGIN_BYTES_MAX);
        let text = is_small.then(|| fs::read_to_string(path).ok()).flatten();
        login(text.as_deref()) == Login::Present
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_a_login_is_seen_and_a_program_of_the_toolbox_is_found() {
        let home = tempfile::tempdir().unwrap();
        assert!(!has_login("codex", home.path()));
        fs::create_dir(home.path().join(".codex")).unwrap();
        let file = home.path().join(".codex/auth.json");
        fs::write(&file, r#"{"tokens":{"access_token":"t"}}"#).unwrap();
        assert!(has_login("codex", home.path()));
        fs::write(&file, "{}").unwrap();
        assert!(!has_login("codex", home.path()));
        let bin = Toolbox::of_home(home.path()).programs();
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("no-such-agent-anywhere"), "").unwrap();
        let found = program_path("no-such-agent-anywhere", home.path());
        assert_eq!(found, Some(bin.join("no-such-agent-anywhere")));
        assert_eq!(program_path("../bin/no-such-agent-anywhere", home.path()), None);
    }

    #[tokio::test]
    async fn a_version_is_what_the_program_says_and_a_program_that_is_none_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("agent");
        fs::write(&program, "#!/bin/sh\n[ \"$1\" = --version ] && echo '2.1.3 (An Agent)'\n")
            .unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(version_of(&program).await.as_deref(), Some("2.1.3"));
        assert_eq!(version_of(Path::new("/no/such/program")).await, None);
        assert_eq!(version_of(Path::new("/etc/passwd")).await, None);
    }
}
