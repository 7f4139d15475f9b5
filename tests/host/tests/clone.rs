//! `--git`: a clone as the source, through the real binary and the real git.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use sandbar_host_tests::{
    Project, Server, bin_dir, eventually,
    git::{committed, git},
};

/// A person with a home of their own, and a repository with a branch `b`.
struct Person {
    server: Server,
    home: tempfile::TempDir,
    origin: Project,
}

impl Person {
    fn new() -> Self {
        let origin = committed(Project::new().file("a", "1\n"));
        git(origin.path(), &["branch", "b"]);
        let home = tempfile::tempdir().expect("a directory can be made");
        Self { server: Server::start(), home, origin }
    }

    fn sandbar(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary is built")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(bin_dir().join("sandbar"));
        command
            .args(args)
            .env("SANDBAR_DATA_DIR", self.server.data_dir())
            .env("XDG_DATA_HOME", self.home.path())
            // As a hook of another repository would have it.
            .env("GIT_DIR", "/nonexistent")
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn origin(&self) -> &str {
        self.origin.path().to_str().expect("its name is text")
    }

    /// What lies where clones are made.
    fn clones(&self) -> Vec<PathBuf> {
        let listed = fs::read_dir(self.home.path().join("sandbar-clones"));
        listed.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    fn sandboxes(&self) -> usize {
        let list = self.server.api("GET", "/v1/sandboxes", None).expect(200);
        list["items"].as_array().expect("a list").len()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_clone_is_worked_on_approved_committed_and_pushed() {
    let person = Person::new();
    let script = "git branch --show-current; echo 2 >a";
    let run = person.sandbar(&[
        "run",
        "--name",
        "bay",
        "--git",
        person.origin(),
        "--branch",
        "b",
        "--",
        "sh",
        "-c",
        script,
    ]);
    let said = text(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert_eq!(text(&run.stdout), "b\n", "the history is inside");
    let [dir] = &person.clones()[..] else { panic!("one clone: {:?}", person.clones()) };
    let line = format!("sandbar: cloned {} to {}", person.origin(), dir.display());
    assert_eq!(said.matches(&line).count(), 1, "{said}");
    assert_eq!(fs::read(dir.join("a")).expect("a file"), b"1\n", "nothing before it is approved");
    let message = "a is two";
    git(dir, &["config", "user.name", "Ann"]);
    git(dir, &["config", "user.email", "ann@example.org"]);
    let approved = person.sandbar(&["approve", "bay", "--all", "--commit", "-m", message]);
    assert!(approved.status.success(), "{}", text(&approved.stderr));
    git(dir, &["push", "-q"]);
    assert_eq!(git(person.origin.path(), &["show", "b:a"]), "2");
    assert_eq!(git(person.origin.path(), &["log", "-1", "--format=%s", "b"]), message);
    // Without changes the sandbox is gone at the end; the clone stays. A second one has a number.
    let run = person.sandbar(&["run", "--git", person.origin(), "--", "true"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(person.clones().len(), 2);
    // No object is shared by a hard link: damage to one is not damage to the other.
    let objects = dir.join(".git/objects");
    let linked = Command::new("find").arg(objects).args(["-type", "f", "-links", "+1"]).output();
    assert_eq!(text(&linked.expect("find runs").stdout), "");
}

#[test]
fn what_cannot_be_cloned_is_an_error_with_its_reason_and_leaves_nothing() {
    let person = Person::new();
    let empty = person.home.path().join("empty");
    fs::create_dir(&empty).expect("it can be made");
    let empty = empty.to_str().expect("its name is text");
    let into = person.home.path().join("into");
    let into = into.to_str().expect("its name is text");
    let origin = person.origin();
    let ext = format!("ext::sh -c 'touch {into}'");
    for (args, code, reason) in [
        (&["--git", origin, "--branch", "nope"][..], 3, "Remote branch nope not found"),
        (&["--git", origin, "--branch", "nope", "--into", into], 3, "Remote branch nope not found"),
        (&["--git", empty], 3, "does not exist"),
        (&["--git", "/nonexistent/x"], 3, "does not exist"),
        // A port that nobody listens at.
        (&["--git", "http://127.0.0.1:1/x.git"], 4, "127.0.0.1"),
        (&["--git", "ftp://127.0.0.1/x.git"], 4, "transport 'ftp' not allowed"),
        (&["--git", &ext], 2, "runs a program"),
        (&["--git=--upload-pack=x"], 2, "neither the URL nor the path"),
        (&["--git", "https://me:secret@127.0.0.1/x.git"], 2, "a password"),
        (&["--git", origin, "--source", "."], 2, "cannot be used with"),
        (&["--git", origin, "--empty"], 2, "cannot be used with"),
        // The clone is made, and no sandbox can be.
        (&["--git", origin, "--scope", "nope"], 2, "scope"),
    ] {
        let failed = person.sandbar(&[&["create"], args].concat());
        let said = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
        assert!(code == 2 || said.contains("\nhint: "), "{args:?}: {said}");
        assert_eq!((person.clones(), person.sandboxes()), (Vec::new(), 0), "{args:?}");
        assert!(!Path::new(into).exists(), "{args:?}");
    }
    let no_git = person.command(&["create", "--git", origin]).env("PATH", empty).output();
    let said = text(&no_git.expect("the binary is built").stderr);
    assert!(said.contains("git cannot be run") && said.contains("hint: install git"), "{said}");
    assert_eq!(person.clones(), Vec::<PathBuf>::new());
}

#[test]
fn an_interrupted_clone_leaves_nothing() {
    let person = Person::new();
    let programs = person.home.path().join("programs");
    fs::create_dir(&programs).expect("it can be made");
    // A git in the middle of a clone for as long as nobody ends it: a pipe that is never written to.
    let script = "#!/bin/sh\nfor dir; do :; done\nmkfifo \"$dir/half\"\nexec cat \"$dir/half\"\n";
    fs::write(programs.join("git"), script).expect("it can be written");
    fs::set_permissions(programs.join("git"), fs::Permissions::from_mode(0o755)).expect("ours");
    let mut command = person.command(&["create", "--git", person.origin()]);
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let child = command.env("PATH", path).stderr(Stdio::piped()).spawn().expect("it is built");
    eventually("the clone has begun", Duration::from_secs(20), || {
        let clones = person.clones();
        if clones.iter().any(|dir| dir.join("half").exists()) { Ok(()) } else { Err(clones) }
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let ended = child.wait_with_output().expect("our own child");
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    assert_eq!((person.clones(), person.sandboxes()), (Vec::new(), 0));
}
