//! A browser without a screen: Debian's Chromium, spoken to by its DevTools protocol.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::eventually;

/// How long it may take until it can be spoken to, and until it answers.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// Keeps in `heard` what comes in text over the page's WebSockets.
const LISTEN: &str = "window.heard = [];
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    this.addEventListener('message', ({ data }) => typeof data === 'string' && heard.push(data));
  }
};";

/// A running Chromium with one page. Dropped, it ends with all of its processes.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last_id: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one and opens `url`.
    ///
    /// # Panics
    /// If there is no Chromium, or it does not answer.
    #[must_use]
    pub fn open(url: &str) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("chromium.")
            .tempdir()
            .expect("a directory can be made");
        let mut child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .args(["--window-size=1280,800", "--remote-debugging-port=0", "--no-proxy-server"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed: scripts/setup test");
        let endpoint = endpoint(&mut child);
        let authority = endpoint.split('/').nth(2).expect("a ws URL has a host");
        let stream = TcpStream::connect(authority).expect("it listens where it says");
        stream.set_read_timeout(Some(ANSWER_DEADLINE)).expect("a timeout can be set");
        let (socket, _) = tungstenite::client(&endpoint, stream).expect("it speaks WebSocket");
        let mut browser = Self { child, socket, session: None, last_id: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        assert!(browser.session.is_some(), "{attached}");
        browser.call("Page.enable", json!({}));
        browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": LISTEN }));
        browser.call("Page.navigate", json!({ "url": url }));
        browser
    }

    /// Calls a method of the protocol and returns its result.
    ///
    /// # Panics
    /// If it fails.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).expect("the browser runs");
        loop {
            let answer = self.socket.read().expect("the browser answers");
            let Message::Text(text) = answer else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text).expect("it speaks JSON");
            // Everything else are events, which nobody here asked for.
            if answer["id"] == self.last_id {
                let result = answer["result"].take();
                return if result.is_null() { Err(answer["error"].take()) } else { Ok(result) };
            }
        }
    }

    /// The value of an expression in the page, awaited where it is a promise.
    ///
    /// # Errors
    /// What it threw, or that the page is just another one.
    pub fn eval(&mut self, expression: &str) -> Result<Value, Value> {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut result = self.try_call("Runtime.evaluate", params)?;
        let thrown = result["exceptionDetails"].take();
        if thrown.is_null() { Ok(result["result"]["value"].take()) } else { Err(thrown) }
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    /// When the deadline is over; it says what the page says then.
    pub fn wait_until(&mut self, condition: &str, deadline: Duration) {
        eventually(condition, deadline, || match self.eval(condition) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(_) | Err(_) => Err(self.eval("location.href + ': ' + document.body.innerText")),
        });
    }

    /// Writes what is seen to a PNG file.
    ///
    /// # Panics
    /// If it cannot be taken or written.
    pub fn screenshot(&mut self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let data = shot["data"].as_str().expect("a picture");
        let bytes = STANDARD.decode(data).expect("a picture in base64");
        std::fs::write(path, bytes).expect("a file can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        self.child.wait().ok();
    }
}

/// Where it can be spoken to, which it says among what else it says.
fn endpoint(child: &mut Child) -> String {
    let stderr = child.stderr.take().expect("it is a pipe");
    let (send, receive) = mpsc::channel();
    // Reads to the end, so that the browser never waits for somebody to read.
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("DevTools listening on ") {
                send.send(url.to_owned()).ok();
            }
        }
    });
    receive.recv_timeout(ANSWER_DEADLINE).expect("chromium says where it listens")
}
