//! The PostgreSQL server of a test run: started by the first test that wants it, shared by all, stopped after the last.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{self, Command, Output},
    sync::{Mutex, PoisonError},
};

const SCRIPT: &str = include_str!("../cluster.sh");
const BINARIES: &str = "/usr/lib/postgresql";

/// Databases that this process has made.
static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The URL of the database that goes with `data_dir`; `None` where PostgreSQL is not installed.
pub(crate) fn url(data_dir: &Path) -> Option<String> {
    if !Path::new(BINARIES).is_dir() {
        return None;
    }
    let socket = cluster();
    let mut hasher = DefaultHasher::new();
    (process::id(), data_dir).hash(&mut hasher);
    let name = format!("t{:016x}", hasher.finish());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.insert(name.clone()) {
        succeed(command("createdb").arg("-h").arg(&socket).args([
            "-U",
            "postgres",
            "-T",
            "template0",
            &name,
        ]));
    }
    Some(format!("postgres:///{name}?host={}&user=postgres", socket.display()))
}

/// The directory of its socket.
fn cluster() -> PathBuf {
    // The runner of nextest is the parent of every test; a test program of cargo's own runs them all in one process.
    let run = env::var("NEXTEST_RUN_ID").ok();
    let runner = if run.is_some() { std::os::unix::process::parent_id() } else { process::id() };
    let name = run.unwrap_or_else(|| runner.to_string());
    // Short: the path of a unix socket has 107 bytes at most.
    let dir = PathBuf::from(format!("/tmp/sandbar-pg-{name}"));
    let lock = PathBuf::from(format!("/tmp/sandbar-pg-{name}.lock"));
    if !dir.join("ready").exists() {
        let file = File::create(&lock).expect("/tmp is ours to write to");
        file.lock().expect("files of /tmp can be locked");
        if !dir.join("ready").exists() {
            succeed(
                command("sh").args(["-c", SCRIPT, "cluster"]).arg(&dir).arg(runner.to_string()),
            );
            fs::write(dir.join("ready"), "").expect("the script has made the directory");
        }
        fs::remove_file(&lock).ok();
    }
    dir
}

#[expect(clippy::disallowed_methods, reason = "only tests run this, and they wait for its end")]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn succeed(command: &mut Command) {
    let Output { status, stderr, .. } = command.output().expect("it is installed");
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
}
