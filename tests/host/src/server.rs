//! One server of ours in a data directory of its own, and the commands a user types.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Project, Reply, api, bin_dir, eventually};

/// How long a server may take until it answers.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// A running server. Dropped, it removes its sandboxes, stops, and leaves nothing.
#[derive(Debug)]
pub struct Server {
    data: tempfile::TempDir,
    child: Option<Child>,
    env: Vec<(String, String)>,
    hosts: Option<PathBuf>,
}

impl Server {
    /// Starts one over a fresh data directory on a memory file system.
    ///
    /// # Panics
    /// If it does not answer in time.
    #[must_use]
    pub fn start() -> Self {
        Self::start_in(Path::new("/dev/shm"))
    }

    /// Starts one whose data directory is made below `parent`.
    ///
    /// # Panics
    /// If it does not answer in time.
    #[must_use]
    pub fn start_in(parent: &Path) -> Self {
        let data = tempfile::Builder::new()
            .prefix("sandbar-test.")
            .tempdir_in(parent)
            .expect("a directory can be made");
        let mut server = Self { data, child: None, env: Vec::new(), hosts: None };
        if std::env::var("SANDBAR_TEST_STORE").as_deref() == Ok("postgres") {
            let url = sandbar_test_store::postgres_url(server.data_dir());
            server.set_env("SANDBAR_STORE", &url.expect("PostgreSQL is installed"));
        }
        server.restart();
        server
    }

    /// Sets a variable of the environment of later starts.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Has later starts see `path` in place of `/etc/hosts`, and nobody else.
    pub fn set_hosts(&mut self, path: PathBuf) {
        self.hosts = Some(path);
    }

    /// Starts the server again over the same data directory.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn restart(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.data_dir().join("test-server.log"))
            .expect("a log file");
        if let Some(mut dead) = self.child.take() {
            dead.wait().expect("our own child can be waited for");
        }
        let mut command = match &self.hosts {
            None => self.command(&["serve"]),
            Some(hosts) => self.command_with_hosts(hosts),
        };
        command
            // Disks of tests are small; what refuses to fill them is tested by name.
            .env("SANDBAR_LIMITS_FREE_DISK_BYTES_MIN", "0")
            .env("SANDBAR_LIMITS_FREE_DISK_BYTES_LOW", "0")
            .env("SANDBAR_LIMITS_RESERVE_DISK_BYTES", "0")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(command.spawn().expect("the binary is built: cargo build -p sandbar"));
        eventually("the server is ready", START_DEADLINE, || {
            let reply = api::request(&self.socket(), "GET", "/readyz", &[], b"");
            if matches!(&reply, Ok(reply) if reply.status == 200) {
                Ok(())
            } else {
                Err((
                    reply.map(|reply| reply.status).map_err(|error| error.to_string()),
                    self.log(),
                ))
            }
        });
    }

    /// The end of its log.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.data_dir().join("test-server.log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    /// Kills the server as a crash would, with SIGKILL.
    ///
    /// # Panics
    /// If there is none.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a server runs");
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be waited for");
    }

    /// Sends SIGKILL and does not wait; for a test that shares the server between threads.
    pub fn crash(&self) {
        let child = self.child.as_ref().map(rustix::process::Pid::from_child);
        child.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
    }

    /// Its process id.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a server runs").id()
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    fn socket(&self) -> PathBuf {
        self.data_dir().join("run/sandbar.sock")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(bin_dir().join("sandbar"));
        command.args(args).env("SANDBAR_DATA_DIR", self.data_dir());
        command
    }

    /// The server in a mount namespace of its own. The process is the same from the first program on, so it is killed as ever.
    fn command_with_hosts(&self, hosts: &Path) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "slave", "--", "sh", "-c"])
            .arg("mount --bind \"$1\" /etc/hosts && exec \"$2\" serve")
            .arg("sh")
            .arg(hosts)
            .arg(bin_dir().join("sandbar"))
            .env("SANDBAR_DATA_DIR", self.data_dir());
        command
    }

    /// Runs `sandbar args…` in `dir`, as a user without a terminal does.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn sandbar(&self, dir: &Path, args: &[&str]) -> Output {
        self.cli(dir, args).stdin(Stdio::null()).output().expect("the binary is built")
    }

    /// `sandbar args…` in `dir`, for a test that hands it more.
    #[must_use]
    pub fn cli(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.current_dir(dir);
        command
    }

    /// Starts `sandbar args…` and does not wait for it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(&self, dir: &Path, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary is built")
    }

    /// Asks the API.
    ///
    /// # Panics
    /// If the server does not answer at all.
    #[must_use]
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.api_with(method, path, &[], body)
    }

    /// Asks the API of a server that may die meanwhile.
    ///
    /// # Errors
    /// There is no answer.
    pub fn try_api(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Reply> {
        let body = body.map(Value::to_string).unwrap_or_default();
        api::request(&self.socket(), method, path, &[], body.as_bytes())
    }

    /// Asks the API with headers.
    ///
    /// # Panics
    /// If the server does not answer at all.
    #[must_use]
    pub fn api_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        api::request(&self.socket(), method, path, headers, body.as_bytes())
            .expect("the server answers")
    }

    /// Puts bytes where a path of the API says.
    ///
    /// # Panics
    /// If the server does not answer at all.
    #[must_use]
    pub fn upload(&self, path: &str, content: &str) -> Reply {
        let headers = [("Content-Type", "application/octet-stream")];
        api::request(&self.socket(), "PUT", path, &headers, content.as_bytes())
            .expect("the server answers")
    }

    /// Creates a sandbox over `project` and returns its id.
    ///
    /// # Panics
    /// If that is refused.
    #[must_use]
    pub fn create(&self, project: &Project) -> String {
        let body = json!({ "source": { "kind": "directory", "path": project.path() } });
        let sandbox = self.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
        sandbox["id"].as_str().expect("a sandbox has an id").to_owned()
    }

    /// Runs a command in a sandbox, waits for it, and returns the result.
    ///
    /// # Panics
    /// If that is refused.
    #[must_use]
    pub fn exec(&self, sandbox: &str, argv: &[&str]) -> Value {
        let body = json!({ "argv": argv, "wait": true });
        self.api("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body)).expect(200)
    }

    /// Runs a script in a sandbox and returns what it printed.
    ///
    /// # Panics
    /// If it is refused or fails.
    pub fn sh(&self, sandbox: &str, script: &str) -> String {
        let result = self.exec(sandbox, &["sh", "-c", script]);
        assert_eq!(result["exit_code"], 0, "{script}: {result}");
        result["stdout"]["text"].as_str().unwrap_or_default().to_owned()
    }

    /// The changes of a sandbox.
    ///
    /// # Panics
    /// If that is refused.
    #[must_use]
    pub fn changes(&self, sandbox: &str) -> Value {
        self.api("GET", &format!("/v1/sandboxes/{sandbox}/changes?limit=200"), None).expect(200)
    }

    /// Approves everything that is pending.
    #[must_use]
    pub fn approve_all(&self, sandbox: &str) -> Reply {
        let diff_id = self.changes(sandbox)["diff_id"].clone();
        let body = json!({ "diff_id": diff_id, "selection": "all", "confirm": ["exec_bit"] });
        self.api("POST", &format!("/v1/sandboxes/{sandbox}/approve"), Some(&body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_none() {
            // A test killed it; its sandboxes must not outlive the test.
            self.restart();
        }
        let list = self.api("GET", "/v1/sandboxes?limit=200", None).json();
        for sandbox in list["items"].as_array().into_iter().flatten() {
            let id = sandbox["id"].as_str().unwrap_or_default();
            let reply = self.api("DELETE", &format!("/v1/sandboxes/{id}"), None);
            if !std::thread::panicking() {
                assert!(reply.status < 300, "{id} is not deleted: {reply:?}");
            }
        }
        if let Some(mut child) = self.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
            child.wait().expect("our own child can be waited for");
        }
    }
}
