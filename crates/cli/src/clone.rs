//! `--git`: a clone of a repository, made as the person who asks for it, for a sandbox to be a view of.
//!
//! Their own git clones, with their own credentials, agent and proxies; no server ever talks to a stranger's
//! repository. Why it is so: `docs/decisions/0007-the-command-line-clones.md`. Tests from outside are in
//! `tests/host/tests/clone.rs`.

use std::{
    env, fs,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use etcetera::BaseStrategy;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::{
    failure::{Code, Failure},
    output::Output,
    signals::Signals,
};

/// What git may speak; above all not `ext::`, which runs whatever the URL says.
const PROTOCOLS: &str = "file:git:http:https:ssh";
/// Where git was called from, such as a hook of another repository, must not become the place of the clone.
const PLACES: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];
/// LIMIT: characters of a directory's name that come from the repository's.
const NAME_CHARS_MAX: usize = 64;
/// LIMIT: clones of repositories of one name.
const SAME_NAME_MAX: usize = 1_000;
/// What git says about every remote that it could not read; the reason stands before it.
const NO_REASON: &str = "fatal: Could not read from remote repository.";

/// A repository to clone.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CloneArgs {
    /// Clone this repository first, as you and with your own git; the sandbox is a view of the clone, which stays.
    #[arg(long, value_name = "URL|PATH", value_parser = parse_repository, conflicts_with_all = ["source", "empty"])]
    git: Option<String>,
    /// Branch of it to check out; default: the one that its HEAD names.
    #[arg(long, value_name = "NAME", value_parser = parse_branch, requires = "git")]
    branch: Option<String>,
    /// Clone into this directory, which must not exist; default: a free one below `$XDG_DATA_HOME/sandbar-clones`.
    #[arg(long, value_name = "DIR", requires = "git")]
    into: Option<PathBuf>,
}

impl CloneArgs {
    /// Clones, where that was asked for.
    ///
    /// # Errors
    /// There is no git, no such repository or no such branch; then nothing is left of it.
    pub(crate) async fn make(&self, out: Output) -> Result<Option<LocalClone>, Failure> {
        let Some(repository) = &self.git else { return Ok(None) };
        let clone = match &self.into {
            Some(dir) => LocalClone::at(dir, repository)?,
            None => LocalClone::below(&clones_dir()?, repository)?,
        };
        let shown = shown(repository);
        let work = clone.fill(repository, self.branch.as_deref());
        let said = out.during(&format!("cloning {shown}"), work).await?;
        said.map_err(|said| failed(&shown, &reason(&said).replace(repository, &shown)))?;
        Ok(Some(clone))
    }
}

/// A directory that is being, or was, cloned into. Dropped, it is removed; [`LocalClone::keep`] keeps it.
#[derive(Debug)]
#[must_use]
pub(crate) struct LocalClone {
    dir: PathBuf,
    origin: String,
    is_kept: bool,
}

impl Drop for LocalClone {
    fn drop(&mut self) {
        if !self.is_kept {
            // The failure that brought us here is what the person has to know.
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

impl LocalClone {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves it to the person, and says where it is.
    pub(crate) fn keep(mut self, out: Output) {
        self.is_kept = true;
        let dir = crate::output::visible::line(self.dir.as_os_str().as_encoded_bytes());
        let origin = crate::output::visible::line(&self.origin);
        out.say(&format!("sandbar: cloned {origin} to {dir}"));
    }

    fn new(dir: PathBuf, repository: &str) -> Self {
        Self { dir, origin: shown(repository), is_kept: false }
    }

    /// Takes `dir`, which must not be there: what is in it would be lost with a clone that fails.
    fn at(dir: &Path, repository: &str) -> Result<Self, Failure> {
        let shown = dir.display();
        let dir = std::path::absolute(dir)
            .map_err(|error| cannot_use(dir, &error))?
            // Without a slash at its end, which `mkdir` follows through a link.
            .components()
            .collect::<PathBuf>();
        match fs::create_dir(&dir) {
            Ok(()) => Ok(Self::new(dir, repository)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::new(Code::Refused, format!("`{shown}` exists already"))
                    .hint("name a directory that does not, or use the one that is there: --source"))
            }
            Err(error) => Err(cannot_use(&dir, &error)),
        }
    }

    /// Takes the first free name below `parent`.
    fn below(parent: &Path, repository: &str) -> Result<Self, Failure> {
        let make = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        make.map_err(|error| cannot_use(parent, &error))?;
        let name = directory_name(repository);
        for number in 1..=SAME_NAME_MAX {
            let dir = parent.join(match number {
                1 => name.clone(),
                _ => format!("{name}-{number}"),
            });
            // Making it is taking it: another clone of the same name may run at this moment.
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self::new(dir, repository)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot_use(&dir, &error)),
            }
        }
        Err(Failure::new(
            Code::Limit,
            format!("`{}` has {SAME_NAME_MAX} clones of the name `{name}`", parent.display()),
        )
        .hint("remove some, or name a directory: --into DIR"))
    }

    /// Runs git, and returns what it said against it, if anything.
    async fn fill(
        &self,
        repository: &str,
        branch: Option<&str>,
    ) -> Result<Result<(), String>, Failure> {
        let mut signals = Signals::listen()?;
        let child = command(repository, branch, &self.dir).spawn().map_err(|error| {
            let failure = Failure::not_found("git cannot be run, and --git needs it");
            failure.caused_by(&error).hint("install git, or give a directory: --source DIR")
        })?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let mut ended = std::pin::pin!(child.wait_with_output());
        let ended = tokio::select! {
            biased;
            _code = signals.end() => {
                // So that it ends its own children and cleans up, before we remove what is left.
                pid.map(|pid| kill_process(pid, Signal::TERM));
                drop(ended.await);
                return Err(Failure::new(Code::Interrupted, "interrupted; nothing was cloned"));
            }
            ended = &mut ended => ended,
        };
        let ended =
            ended.map_err(|error| Failure::unexpected("cannot wait for git").caused_by(&error))?;
        Ok(if ended.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&ended.stderr).into_owned())
        })
    }
}

fn command(repository: &str, branch: Option<&str>, dir: &Path) -> Command {
    let mut command = Command::new("git");
    for place in PLACES {
        command.env_remove(place);
    }
    command
        // A program of the person's, with their environment; the repository has no say in these.
        .args(["-c", "submodule.recurse=false", "clone", "--no-hardlinks"])
        .args(branch.iter().flat_map(|branch| ["--branch", branch]))
        .arg("--")
        .arg(repository)
        .arg(dir)
        .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
        // The reason is found in what it says.
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn cannot_use(dir: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot make `{}` for the clone", dir.display())).caused_by(error)
}

/// Beside the data directory of the user's own server, not in it: what lies in there cannot be the source of a sandbox.
fn clones_dir() -> Result<PathBuf, Failure> {
    let dirs = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Failure::usage("there is no home directory for the clone")
            .caused_by(&error)
            .hint("name a directory: --into DIR")
    })?;
    Ok(dirs.data_dir().join("sandbar-clones"))
}

fn failed(repository: &str, reason: &str) -> Failure {
    let is_missing = ["not found", "does not exist", "not appear to be a git repository"]
        .iter()
        .any(|sign| reason.contains(sign));
    let (code, hint) = match (is_missing, reason.contains("not allowed")) {
        (true, _) => (
            Code::NotFound,
            "see what is there with `git ls-remote`; a path is that of the top of a repository",
        ),
        (false, true) => (Code::Refused, "it may be a path, or file, git, http, https or ssh"),
        (false, false) => (Code::Refused, "`git clone` with the same words says all of it"),
    };
    Failure::new(code, format!("cannot clone {repository}"))
        .caused_by(&io::Error::other(reason.to_owned()))
        .hint(hint)
}

/// The line that says why, of everything that git said.
fn reason(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let end = lines.iter().position(|line| *line == NO_REASON).unwrap_or(lines.len());
    let before = &lines[..end];
    let said = before.iter().rfind(|line| line.starts_with("fatal: "));
    let said = said.or_else(|| before.iter().rfind(|line| !line.starts_with("Cloning into ")));
    let said = said.or(lines.get(end)).or(lines.last());
    said.map_or("git did not say why", |line| line.trim_start_matches("fatal: ")).to_owned()
}

/// The repository as it may be shown: who somebody says they are at a web server can be a token.
fn shown(repository: &str) -> String {
    let Some((scheme, rest)) = repository.split_once("://") else { return repository.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_user, host)) if scheme.starts_with("http") => format!("{scheme}://{host}{path}"),
        Some(_) | None => repository.to_owned(),
    }
}

/// A name for the directory, made of the repository's: `https://host/team/shop.git` is `shop`.
fn directory_name(repository: &str) -> String {
    let is_here = Path::new(repository).components().next_back().is_none_or(|last| {
        matches!(last, std::path::Component::CurDir | std::path::Component::ParentDir)
    });
    let absolute = env::current_dir()
        .ok()
        .filter(|_here| is_here)
        .map(|here| crate::select::normalized(&here.join(repository)).display().to_string());
    let path = absolute.as_deref().unwrap_or(repository).trim_end_matches('/');
    let path = path.strip_suffix("/.git").unwrap_or(path).trim_end_matches('/');
    let last = path.rsplit(['/', ':']).next().unwrap_or_default();
    let last = last.strip_suffix(".git").unwrap_or(last);
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = last.chars().map(safe).take(NAME_CHARS_MAX).collect();
    match name.trim_start_matches(['.', '-']) {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    }
}

fn parse_repository(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') || text.contains(['\0', '\n']) {
        return Err("it is neither the URL nor the path of a repository".to_owned());
    }
    if let Some((helper, _)) = text.split_once("::")
        && helper.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Err(format!("`{helper}::` runs a program; write a path, or a URL with ://"));
    }
    if let Some((_scheme, rest)) = text.split_once("://")
        && let Some((user, _host)) = rest.split('/').next().unwrap_or_default().rsplit_once('@')
        && user.contains(':')
    {
        // The text is clap's to show; what the person typed is in their own terminal already.
        return Err("a password in a URL is kept in the clone, where the sandbox reads it; leave it to git to ask for, or to a credential helper".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_branch(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') || text.contains(['\0', '\n']) {
        return Err("it is not the name of a branch".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_after_the_repository() {
        for (repository, name) in [
            ("https://example.org/team/shop.git", "shop"),
            ("https://example.org/team/shop/", "shop"),
            ("git@example.org:team/shop.git", "shop"),
            ("example.org:shop", "shop"),
            ("ssh://git@[::1]:22/srv/shop.git/", "shop"),
            ("/srv/shop/.git", "shop"),
            ("../shop", "shop"),
            ("file:///srv/a b;c.git", "a-b-c"),
            ("/srv/..git", "repository"),
            ("/srv/-x", "x"),
            ("/srv/.git", "srv"),
            ("https://example.org/ü.git", "repository"),
            ("/", "repository"),
        ] {
            assert_eq!(directory_name(repository), name, "{repository}");
        }
        let here = env::current_dir().unwrap();
        let here = here.file_name().unwrap().to_str().unwrap();
        assert_eq!(directory_name("."), here);
        assert_eq!(directory_name("src/.."), here);
        assert_eq!(directory_name(&"x".repeat(300)).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn a_taken_name_gets_a_number_and_a_dropped_clone_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().join("clones");
        let first = LocalClone::below(&parent, "/srv/shop.git").unwrap();
        let second = LocalClone::below(&parent, "https://example.org/shop").unwrap();
        let third = LocalClone::below(&parent, "shop").unwrap();
        let names = [&first, &second, &third].map(|clone| clone.dir().file_name().unwrap());
        assert_eq!(names, ["shop", "shop-2", "shop-3"]);
        drop(second);
        assert_eq!(LocalClone::below(&parent, "shop").unwrap().dir(), parent.join("shop-2"));
        let taken = LocalClone::at(first.dir(), "shop").unwrap_err();
        assert_eq!(taken.code(), Code::Refused);
        assert!(first.dir().exists(), "what was there stays");
    }

    #[test]
    fn what_could_run_a_program_or_leak_a_password_is_refused() {
        for fine in [
            "https://example.org/x.git",
            "https://me@example.org/x",
            "git@example.org:x",
            "[::1]:x",
            "ssh://[::1]/x",
            "../x::y",
        ] {
            assert!(parse_repository(fine).is_ok(), "{fine}");
        }
        for wrong in
            ["", "-u", "--upload-pack=x", "ext::sh -c x", "fd::7", "https://a:b@example.org/x"]
        {
            assert!(parse_repository(wrong).is_err(), "{wrong}");
        }
        assert!(parse_branch("--orphan").is_err() && parse_branch("a/b").is_ok());
        assert_eq!(shown("https://token@example.org/x@y"), "https://example.org/x@y");
        assert_eq!(shown("ssh://git@example.org/x"), "ssh://git@example.org/x");
    }

    #[test]
    fn the_reason_is_the_line_that_says_why() {
        let unread =
            format!("{NO_REASON}\n\nPlease make sure you have the correct access rights\nand it.");
        for (said, why) in [
            (
                "Cloning into 'x'...\nwarning: Could not find remote branch b to clone.\nfatal: Remote branch b not found in upstream origin\n".to_owned(),
                "Remote branch b not found in upstream origin",
            ),
            (
                format!("Cloning into 'x'...\nssh: Could not resolve hostname h: no\n{unread}"),
                "ssh: Could not resolve hostname h: no",
            ),
            (
                format!("fatal: detected dubious ownership in repository at '/x'\nTo add:\n\n\tgit config\n{unread}"),
                "detected dubious ownership in repository at '/x'",
            ),
            (format!("Cloning into 'x'...\n{unread}"), "Could not read from remote repository."),
            (String::new(), "git did not say why"),
        ] {
            assert_eq!(reason(&said), why);
        }
        assert_eq!(
            failed("x", "Remote branch b not found in upstream origin").code(),
            Code::NotFound
        );
        assert_eq!(failed("x", "unable to access: no route").code(), Code::Refused);
    }
}
