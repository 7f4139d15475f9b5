//! An upstream with TLS that remembers what it got, and a server that may reach it.

use std::{
    fs,
    io::Read as _,
    process::{Child, Command, Stdio},
};

use sandbar_host_tests::Server;

/// Where the upstream is: an address of this host that no tool takes for its own.
pub(crate) const ADDRESS: &str = "127.0.0.2";

/// Answers with what it got, and writes down what got it in.
const UPSTREAM: &str = r#"
import base64, http.server, json, os, ssl, subprocess, sys, threading, time
got, cert, key = sys.argv[1:]
renewed = 0
lock = threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with open(got, "a") as out:
            out.write(self.path + " " + str(self.headers.get("authorization")) + "\n")
        if self.path.startswith("/git/"):
            return self.git(b"")
        status, kind = 200, "application/json"
        if self.path.startswith("/v1/ended") and str(self.headers.get("authorization")).endswith("ended"):
            status = 401
        body = json.dumps(dict(self.headers)).encode()
        if self.path.startswith("/ann/shop.git/info/refs"):
            given = str(self.headers.get("authorization"))
            status, kind = (200, "text/plain") if given.startswith("Basic ") else (401, "text/plain")
            body = ("1" * 40 + "\trefs/heads/main\n").encode()
        elif self.path.endswith("/HEAD"):
            kind, body = "text/plain", b"ref: refs/heads/main\n"
        self.answer(status, kind, body)
    def do_POST(self):
        global renewed
        asked = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path.startswith("/git/"):
            return self.git(asked)
        if self.path != "/oauth/token":
            return self.answer(404, "text/plain", b"")
        with lock:
            # Whoever is not alone asks meanwhile.
            time.sleep(0.3)
            want = "planted-refresh-%d" % renewed
            if json.loads(asked)["refresh_token"] != want:
                return self.answer(400, "application/json", b'{"error":"invalid_grant"}')
            renewed += 1
            with open(got, "a") as out:
                out.write("/oauth/token " + str(renewed) + "\n")
            body = dict(access_token="planted-access-%d" % renewed, refresh_token="planted-refresh-%d" % renewed, expires_in=3600)
            self.answer(200, "application/json", json.dumps(body).encode())
    def git(self, asked):
        want = "Basic " + base64.b64encode(b"x-access-token:plan" + b"ted-push-71c0de").decode()  # Never whole in an argument.
        if self.headers.get("authorization") != want:
            self.send_response(401)
            self.send_header("www-authenticate", 'Basic realm="git"')
            self.send_header("content-length", "0")
            return self.end_headers()
        path, _, query = self.path[len("/git"):].partition("?")
        env = dict(PATH=os.environ["PATH"], GIT_PROJECT_ROOT=os.path.join(os.path.dirname(got), "git"),
            GIT_HTTP_EXPORT_ALL="1", REMOTE_USER="ann", REMOTE_ADDR="127.0.0.1", PATH_INFO=path, QUERY_STRING=query,
            REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get("content-type", ""),
            CONTENT_LENGTH=str(len(asked)), HTTP_CONTENT_ENCODING=self.headers.get("content-encoding", ""),
            GIT_PROTOCOL=self.headers.get("git-protocol", ""), GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
        out = subprocess.run(["git", "http-backend"], input=asked, env=env, stdout=subprocess.PIPE).stdout
        head, _, body = out.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.answer(int(lines.get("Status", "200").split()[0]), lines.get("Content-Type", "text/plain"), body)
    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert, key)
server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

pub(crate) struct Upstream {
    child: Child,
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=upstream"])
            .args(["-addext", &format!("subjectAltName=IP:{ADDRESS}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(at("key.pem"))
            .arg("-out")
            .arg(at("cert.pem"))
            .output()
            .expect("openssl is there");
        assert!(made.status.success(), "{made:?}");
        let mut child = Command::new("python3")
            .args(["-c", UPSTREAM])
            .args([at("got"), at("cert.pem"), at("key.pem")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python is there");
        let mut line = Vec::new();
        let mut out = child.stdout.take().expect("it is piped");
        let mut byte = [0];
        while out.read(&mut byte).expect("it says its port") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        let port = String::from_utf8(line).expect("digits").parse().expect("a port");
        Self { child, port, dir }
    }

    pub(crate) fn got(&self) -> String {
        fs::read_to_string(self.dir.path().join("got")).unwrap_or_default()
    }

    /// The last request for `path`, with what let it in.
    pub(crate) fn last(&self, path: &str) -> String {
        let got = self.got();
        let line = got.lines().rev().find(|line| line.starts_with(path));
        line.unwrap_or_else(|| panic!("{path} in {got}")).to_owned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server that may reach the upstream, and believes its certificate.
pub(crate) fn server(upstream: &Upstream) -> Server {
    let mut server = Server::start();
    server.kill();
    let config = server.data_dir().join("config.toml");
    let target = format!("{ADDRESS}:{}", upstream.port);
    fs::write(&config, format!("[network]\nallow_private = [\"{target}\"]\n")).expect("a file");
    let trusted = upstream.dir.path().join("cert.pem");
    server.set_env("SSL_CERT_FILE", trusted.to_str().expect("text"));
    server.set_env("SANDBAR_LOG", "trace");
    server.restart();
    server
}
