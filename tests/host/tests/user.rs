//! The main job without root: what is weaker is said, and everything else is the same.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Output},
};

use sandbar_host_tests::bin_dir;

/// Somebody whom no host knows, and who may nothing. Not 65534: that id stands for everybody who is unmapped.
const SOMEBODY: u32 = 54_321;

/// A directory of a user without root: their home, their project, their data, and the binary.
struct User {
    dir: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("sandbar-user.")
            .tempdir()
            .expect("a directory can be made");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("our own directory");
        // Where the tests are built, another user may not be able to look.
        fs::copy(bin_dir().join("sandbar"), dir.path().join("sandbar"))
            .expect("the binary is built");
        for name in ["home", "project", "data"] {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("a directory can be made");
            chown(&path, Some(SOMEBODY), Some(SOMEBODY)).expect("root may give away");
        }
        Self { dir }
    }

    fn project(&self) -> std::path::PathBuf {
        self.dir.path().join("project")
    }

    fn run(&self, program: &Path, args: &[&str]) -> Output {
        let id = SOMEBODY.to_string();
        Command::new("setpriv")
            .args([
                "--reuid",
                &id,
                "--regid",
                &id,
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
            ])
            .arg(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.dir.path().join("home"))
            .env("SANDBAR_DATA_DIR", self.dir.path().join("data"))
            .current_dir(self.project())
            .output()
            .expect("setpriv runs")
    }

    fn sandbar(&self, args: &[&str]) -> Output {
        self.run(&self.dir.path().join("sandbar"), args)
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.sandbar(args);
        assert!(
            output.status.success(),
            "sandbar {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.sandbar(&["rm", "--force", "job"]);
        // The server that the first command started: only ours runs as this user from this directory.
        let binary = format!("{}/sandbar serve", self.dir.path().display());
        Command::new("pkill").args(["-TERM", "-f", &binary]).status().expect("pkill runs");
    }
}

#[test]
fn a_user_without_root_runs_the_same_main_job() {
    let user = User::new();
    let sh = Path::new("/bin/sh");
    assert!(user.run(sh, &["-c", "echo 1 >a; echo 1 >b"]).status.success());
    let before = fs::read(user.project().join("a")).expect("written above");
    let output = user.sandbar(&[
        "run",
        "--name",
        "job",
        "--",
        "sh",
        "-c",
        "echo 2 >a; rm b; echo new >c; id -u; ls /root /etc/shadow; exit 3",
    ]);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().next(), Some("1000"), "{talk}");
    assert_eq!(
        fs::read(user.project().join("a")).expect("still there"),
        before,
        "the project was touched"
    );
    let changes = user.succeeds(&["changes", "job"]);
    for path in ["a", "b", "c"] {
        let listed = changes.lines().any(|line| line.split('\t').nth(1) == Some(path));
        assert!(listed, "{path} is not in:\n{changes}");
    }
    user.succeeds(&["approve", "job", "--all"]);
    assert_eq!(fs::read(user.project().join("a")).expect("approved"), b"2\n");
    assert!(!user.project().join("b").exists());
    assert_eq!(fs::read(user.project().join("c")).expect("approved"), b"new\n");
}

#[test]
fn doctor_names_what_is_weaker_without_root() {
    let user = User::new();
    let output = user.sandbar(&["doctor", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let doctor: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let weaker: Vec<&serde_json::Value> = doctor["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["verdict"] == "degraded")
        .collect();
    assert!(!weaker.is_empty(), "{text}");
    assert!(
        weaker.iter().all(|finding| finding["message"].as_str().is_some_and(|m| !m.is_empty())),
        "{text}"
    );
}

#[test]
fn p1_what_the_server_must_read_is_its_own_and_what_it_cannot_read_is_named() {
    let user = User::new();
    let sh = Path::new("/bin/sh");
    assert!(user.run(sh, &["-c", "echo 1 >a; echo value >../home/value"]).status.success());
    user.succeeds(&["create", "--name", "job"]);
    let file = user.dir.path().join("home/value");
    let file = file.to_str().expect("text");
    user.succeeds(&["secret", "set", "KEY", "--file", file, "--sandbox", "job"]);
    let backup = user.dir.path().join("home/backup");
    let backup = backup.to_str().expect("text");
    user.succeeds(&["backup", "create", backup]);
    user.succeeds(&["backup", "verify", backup]);
    let key = user.dir.path().join("data/secrets.key");
    chown(&key, Some(0), Some(0)).expect("root may take");
    // Another server of the same user finds the file as it is now.
    let binary = format!("{}/sandbar serve", user.dir.path().display());
    Command::new("pkill").args(["-KILL", "-f", &binary]).status().expect("pkill runs");
    let refused = user.sandbar(&["secret", "set", "OTHER", "--file", file, "--sandbox", "job"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("the key file of secrets"), "{told}");
    // Where it is, is for whoever runs the server.
    let log = fs::read_to_string(user.dir.path().join("data/server.log")).expect("a log");
    assert!(log.contains("secrets.key"), "{log}");
    chown(&key, Some(SOMEBODY), Some(SOMEBODY)).expect("root may give away");
    user.succeeds(&["secret", "set", "OTHER", "--file", file, "--sandbox", "job"]);
}
