//! The app of one sandbox, from outside: what the API says of it, its logs and its files.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Server, eventually};

/// The app of one sandbox.
#[derive(Debug, Clone)]
pub struct App {
    /// The id of its sandbox.
    pub sandbox: String,
}

impl App {
    /// Creates a sandbox for it.
    ///
    /// # Panics
    /// If that is refused.
    #[must_use]
    pub fn create(server: &Server, spec: &Value) -> Self {
        let sandbox = server.api("POST", "/v1/sandboxes", Some(spec)).expect(201);
        Self { sandbox: sandbox["id"].as_str().expect("a sandbox has an id").to_owned() }
    }

    /// Creates a sandbox from a preset.
    ///
    /// # Panics
    /// If that is refused.
    #[must_use]
    pub fn from_preset(server: &Server, preset: &str) -> Self {
        Self::create(server, &json!({ "source": { "kind": "preset", "preset": preset } }))
    }

    /// A path of the API below its sandbox.
    #[must_use]
    pub fn path(&self, below: &str) -> String {
        format!("/v1/sandboxes/{}/{below}", self.sandbox)
    }

    /// What the API says of its sandbox.
    #[must_use]
    pub fn sandbox(&self, server: &Server) -> Value {
        server.api("GET", &format!("/v1/sandboxes/{}", self.sandbox), None).expect(200)
    }

    /// Waits until the sandbox is in `state`.
    pub fn sandbox_is(&self, server: &Server, state: &str, deadline: Duration) -> Value {
        eventually(state, deadline, || {
            let sandbox = self.sandbox(server);
            if sandbox["state"] == state { Ok(sandbox) } else { Err(sandbox) }
        })
    }

    /// What the API says of it.
    #[must_use]
    pub fn status(&self, server: &Server) -> Value {
        server.app(&self.sandbox)
    }

    /// Waits until what the API says of it is so.
    pub fn when(
        &self,
        server: &Server,
        deadline: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually("the app is as expected", deadline, || {
            let app = self.status(server);
            if is_so(&app) { Ok(app) } else { Err((app, self.lines(server, "web"))) }
        })
    }

    /// Waits until its preview can be seen, and returns the URL.
    ///
    /// # Panics
    /// When the deadline is over.
    pub fn ready(&self, server: &Server, deadline: Duration) -> String {
        let app = server.app_when(&self.sandbox, "ready", deadline);
        app["preview"]["url"].as_str().expect("it has a URL").to_owned()
    }

    /// The last lines of a process's log, as text; empty where there is none.
    #[must_use]
    pub fn lines(&self, server: &Server, process: &str) -> Vec<String> {
        let path = self.path(&format!("app/processes/{process}/logs?tail=1000"));
        let log = server.api("GET", &path, None).json();
        let lines = log["lines"].as_array().into_iter().flatten();
        lines.filter_map(|line| line["text"].as_str().map(str::to_owned)).collect()
    }

    /// Every event of its sandbox, the newest first.
    ///
    /// # Panics
    /// If there are none to be had.
    #[must_use]
    pub fn events(&self, server: &Server) -> Vec<Value> {
        let page = server.api("GET", &self.path("events?limit=200"), None).expect(200);
        page["items"].as_array().expect("a list").clone()
    }

    /// Writes a file of its workspace.
    ///
    /// # Panics
    /// If that is refused.
    pub fn write(&self, server: &Server, path: &str, content: &str) {
        let reply = server.upload(&self.path(&format!("files/content?path={path}")), content);
        assert!(reply.status < 300, "{path}: {reply:?}");
    }

    /// Reads a file of its workspace.
    ///
    /// # Panics
    /// If that is refused.
    #[must_use]
    pub fn read(&self, server: &Server, path: &str) -> String {
        let reply = server.api("GET", &self.path(&format!("files/content?path={path}")), None);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        String::from_utf8(reply.body).expect("text")
    }
}
