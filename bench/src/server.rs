//! One server under measurement.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Result, client::Client};

/// A running server, stopped when dropped.
pub(crate) struct Server {
    pub(crate) sandbar: PathBuf,
    pub(crate) data: PathBuf,
    child: Child,
}

impl Server {
    pub(crate) fn start(sandbar: &Path, data: &Path) -> Result<Self> {
        let child = spawn(sandbar, data)?;
        let server = Self { sandbar: sandbar.to_owned(), data: data.to_owned(), child };
        server.ready()?;
        Ok(server)
    }

    /// Stops it; [`Server::revive`] starts it again with what it had.
    pub(crate) fn halt(&mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again.
    pub(crate) fn revive(&mut self) -> Result<()> {
        self.child = spawn(&self.sandbar, &self.data)?;
        self.ready()
    }

    fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.client().and_then(|mut client| client.ask("GET", "/readyz", None)).is_err() {
            if Instant::now() > deadline {
                return Err("the server is not ready in time".into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(&self.data.join("run/sandbar.sock"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A `sandbar` command against this server.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.sandbar);
        command.args(args).env("SANDBAR_DATA_DIR", &self.data).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut client) = self.client() {
            let list = client.ask("GET", "/v1/sandboxes?limit=200", None).unwrap_or_default();
            for sandbox in list["items"].as_array().into_iter().flatten() {
                let id = sandbox["id"].as_str().unwrap_or_default();
                client.ask("DELETE", &format!("/v1/sandboxes/{id}"), None).ok();
            }
        }
        self.halt().ok();
    }
}

fn spawn(sandbar: &Path, data: &Path) -> Result<Child> {
    let mut command = Command::new(sandbar);
    command.arg("serve").env("SANDBAR_DATA_DIR", data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?)
}

/// Creates a sandbox over `source`, and returns its id.
pub(crate) fn create(client: &mut Client, source: &Path) -> Result<String> {
    let body = json!({ "source": { "kind": "directory", "path": source } });
    let sandbox = client.ask("POST", "/v1/sandboxes", Some(&body))?;
    Ok(sandbox["id"].as_str().ok_or("a sandbox without an id")?.to_owned())
}

/// Runs a command to its end.
pub(crate) fn exec(client: &mut Client, sandbox: &str, argv: &[&str]) -> Result<Value> {
    let body = json!({ "argv": argv, "wait": true });
    let result = client.ask("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body))?;
    if result["exit_code"] == 0 { Ok(result) } else { Err(format!("{argv:?}: {result}").into()) }
}

/// Deletes a sandbox.
pub(crate) fn delete(client: &mut Client, sandbox: &str) -> Result<()> {
    client.ask("DELETE", &format!("/v1/sandboxes/{sandbox}"), None).map(|_| ())
}
