//! Who an agent's program is where it asks for tokens: Google wants the secret that the program has, and renews the logins
//! that were made with it with no other. It is read from the program on this host, and is not in ours.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use sandbar_agents::{OAuthClient, by_name, client_of};

use super::list::program_paths;
use crate::failure::Failure;

/// LIMIT: bytes of a file that is searched; bundles are that large.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// LIMIT: files of a directory that are searched.
const FILES_MAX: usize = 1000;
/// LIMIT: links that are followed to a program.
const LINKS_MAX: usize = 16;
/// Where an installation that is no bundle has it, below the directory that its packages are in.
const UNBUNDLED: &str = "node_modules/@google/gemini-cli-core/dist/src/code_assist/oauth2.js";

/// The client of the program of `agent` on this host; the one that a login was made with, where that is known.
pub(super) fn of_program(
    agent: &str,
    login_of: Option<&str>,
    home: &Path,
) -> Result<OAuthClient, Failure> {
    let program = by_name(agent).and_then(|agent| agent.program()).unwrap_or(agent);
    let is_its = |client: &OAuthClient| login_of.is_none_or(|id| id == client.id);
    let mut sources = program_paths(program, home).flat_map(|path| sources(&path));
    sources.find_map(|path| client_of(&read(&path)?).filter(is_its)).ok_or_else(|| {
        Failure::usage(
            "the login cannot be renewed: the client that it was made with is in no program here",
        )
        .hint(format!(
            "install the program that you logged in with: `sandbar agents install {agent}`"
        ))
    })
}

/// Files that may have it, of the program at `path`.
fn sources(path: &Path) -> Vec<PathBuf> {
    let program = target(path);
    let Some(dir) = program.parent() else { return Vec::new() };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(FILES_MAX);
    let beside = entries.map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        beside.filter(|path| path.extension().is_some_and(|kind| kind == "js")).collect();
    found.sort();
    found.extend(dir.ancestors().map(|dir| dir.join(UNBUNDLED)).filter(|path| path.is_file()));
    found
}

/// What the links at `path` lead to.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(next);
    }
    path
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_the_client_is_found_beside_the_program_that_links_lead_to() {
        let home = tempfile::tempdir().unwrap();
        let package = home.path().join("lib/gemini/bundle");
        let programs = home.path().join(".local/share/sandbar-toolbox/bin");
        fs::create_dir_all(&package).unwrap();
        fs::create_dir_all(&programs).unwrap();
        fs::write(package.join("gemini.js"), "import './chunk.js'").unwrap();
        let source = "var OAUTH_CLIENT_ID = \"1.apps\"; var OAUTH_CLIENT_SECRET = \"planted\";";
        fs::write(package.join("chunk.js"), source).unwrap();
        std::os::unix::fs::symlink(
            "../../../../lib/gemini/bundle/gemini.js",
            programs.join("gemini"),
        )
        .unwrap();
        let found = sources(&programs.join("gemini"));
        let found = found.iter().find_map(|path| client_of(&read(path)?)).unwrap();
        assert_eq!((found.id.as_str(), found.secret.as_str()), ("1.apps", "planted"));
    }

    #[test]
    fn c2_a_login_whose_client_is_in_no_program_is_refused_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let failure = of_program("gemini", Some("of-nobody.apps"), home.path()).unwrap_err();
        let said = format!("{failure:?}");
        assert!(said.contains("agents install gemini"), "{said}");
    }
}
