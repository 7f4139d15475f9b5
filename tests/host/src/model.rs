//! The model of the tests where the true ones are: behind their names and TLS, on an address of this host of its own.

use std::{fs, io, net::SocketAddr, path::PathBuf, process::Command, thread};

use sandbar_test_model::{Logins, Model, ModelConfig, Record, Recorder, Tls};
use serde_json::json;
use tokio::sync::oneshot;

use crate::Server;

/// The names that it answers for.
pub const MODEL_HOSTS: [&str; 7] = [
    "api.anthropic.com",
    "api.openai.com",
    "generativelanguage.googleapis.com",
    // For those who logged in, and where they get their tokens.
    "chatgpt.com",
    "auth.openai.com",
    "cloudcode-pa.googleapis.com",
    "oauth2.googleapis.com",
];

/// A model that listens until it is dropped.
#[derive(Debug)]
pub struct ServedModel {
    recorder: Recorder,
    logins: Logins,
    dir: tempfile::TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl ServedModel {
    /// Starts one, with a certificate of an authority of its own.
    ///
    /// # Panics
    /// If no certificate can be made, or it may not listen at port 443.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        certificates(&dir);
        let recorder = Recorder::default();
        let tls = Tls { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        let logins = Logins::default();
        let config =
            ModelConfig { tls: Some(tls), recorder: recorder.clone(), logins: logins.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let model = runtime.block_on(bind(&config)).expect("an address of this host is free");
        let address = model.address().expect("it listens").ip();
        let hosts = format!("127.0.0.1 localhost\n{address} {}\n", MODEL_HOSTS.join(" "));
        fs::write(dir.path().join("hosts"), hosts).expect("a file");
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = model.serve() => {}
                    _dropped = ended => {}
                }
            });
        });
        Self { recorder, logins, dir, end: Some(end), thread: Some(thread) }
    }

    /// What its token endpoints answer.
    #[must_use]
    pub fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Starts a server that finds the model behind the true names, believes it, and may reach it.
    ///
    /// # Panics
    /// If it does not answer in time.
    #[must_use]
    pub fn server(&self, variables: &[(&str, &str)]) -> Server {
        let mut server = Server::start();
        server.kill();
        server.set_hosts(self.hosts());
        let allowed: Vec<String> = MODEL_HOSTS.iter().map(|host| format!("{host}:443")).collect();
        let (trusted, allowed) = (self.trusted(), json!(allowed).to_string());
        let own = [
            ("SSL_CERT_FILE", trusted.to_str().expect("text")),
            ("SANDBAR_NETWORK_ALLOW_PRIVATE", &allowed),
            ("SANDBAR_LOG", "trace"),
        ];
        for (name, value) in own.iter().chain(variables) {
            server.set_env(name, value);
        }
        server.restart();
        server
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        self.recorder.all()
    }

    /// The certificates to believe.
    #[must_use]
    pub fn trusted(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What stands for `/etc/hosts`.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.dir.path().join("hosts")
    }
}

impl Drop for ServedModel {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Takes the first address that nobody else's test has.
async fn bind(config: &ModelConfig) -> io::Result<Model> {
    let mut last = None;
    for number in 1..=50 {
        let address = SocketAddr::from(([127, 200, 0, number], 443));
        match Model::bind(address, config.clone()).await {
            Ok(model) => return Ok(model),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("it was tried"))
}

/// An authority, and a certificate of it: programs do not believe one that is both.
fn certificates(dir: &tempfile::TempDir) {
    let names = MODEL_HOSTS.map(|host| format!("DNS:{host}")).join(",");
    let leaf = format!("basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n");
    fs::write(dir.path().join("leaf"), leaf).expect("a file");
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for words in [
        format!("req -x509 {new_key} -days 2 -subj /CN=models -keyout ca.key -out ca.pem"),
        format!("req {new_key} -subj /CN=model -keyout key.pem -out leaf.csr"),
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 2 -extfile leaf -out cert.pem"
            .to_owned(),
    ] {
        let made = Command::new("openssl")
            .args(words.split_whitespace())
            .current_dir(dir.path())
            .output()
            .expect("openssl is there");
        assert!(made.status.success(), "{made:?}");
    }
}
