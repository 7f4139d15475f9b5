//! Asking for what an app serves, as a program or a browser does.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::{Server, eventually};

/// What came back of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Asks for `path` of the preview at `url`, with more header lines.
///
/// # Errors
/// There is no answer.
pub fn visit(url: &str, path: &str, headers: &str) -> std::io::Result<Page> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let port = authority.rsplit(':').next().and_then(|port| port.parse().ok());
    let port: u16 = port.ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Page {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

impl Server {
    /// How the app of `sandbox` is.
    #[must_use]
    pub fn app(&self, sandbox: &str) -> Value {
        self.api("GET", &format!("/v1/sandboxes/{sandbox}/app"), None).expect(200)
    }

    /// Waits until the preview of `sandbox` is `status`, and returns the app.
    ///
    /// # Panics
    /// If it is not in time.
    #[must_use]
    pub fn app_when(&self, sandbox: &str, status: &str, deadline: Duration) -> Value {
        eventually(&format!("the preview is {status}"), deadline, || {
            let app = self.app(sandbox);
            if app["preview"]["status"] == status { Ok(app) } else { Err(app) }
        })
    }
}
