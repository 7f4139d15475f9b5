//! Apps: waking one that sleeps, letting a paused one run on, and what the supervisor costs and bears.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Result,
    client::Client,
    server::{Server, create, delete, exec},
    table::{Samples, Table},
};

/// How long an install, a start, or falling asleep may take.
const DEADLINE: Duration = Duration::from_mins(4);
/// Wakes that are measured; each waits until the app sleeps.
const WAKES_MAX: usize = 20;
/// How long nobody may use the app until it sleeps.
const IDLE_MS: u64 = 1000;
/// How long the supervisor is flooded.
const FLOOD: Duration = Duration::from_secs(20);

/// Starts a command and prints after how many milliseconds its `/health` answers 200.
const STARTED_AFTER: &str = r#"
const net = require("net"), { spawn } = require("child_process");
const env = { ...process.env, PORT: "3999" };
const begun = performance.now();
const child = spawn("bash", ["-lc", process.argv[1]], { env, detached: true, stdio: "ignore" });
const ask = () => {
  let seen = "";
  const socket = net.connect(3999, "127.0.0.1", () => socket.write("GET /health HTTP/1.0\r\n\r\n"));
  socket.on("data", (data) => (seen += data)).on("error", () => {}).on("close", () => {
    if (!seen.includes(" 200 ")) return setTimeout(ask, 2);
    console.log(performance.now() - begun);
    process.kill(-child.pid, "SIGKILL");
  });
};
ask();
"#;

/// Writes 100,000 lines a second, and beside it how many it wrote in how many milliseconds.
const FLOOD_JS: &str = r#"
const fs = require("fs"), rate = 100000, begun = performance.now();
const line = "2026-01-01T00:00:00.000Z info a request was answered with 200\n";
let written = 0, told = 0;
setInterval(() => {
  const now = performance.now() - begun, due = Math.floor(now * rate / 1000) - written;
  fs.writeSync(1, line.repeat(Math.min(due, 5000)));
  written += Math.min(due, 5000);
  if (now - told > 500) fs.writeFileSync("flooded", `${written} ${told = now}`);
}, 5);
"#;

/// Takes what is asked on eight ports, and writes down how long each question took: from the connection until the asker
/// has read the answer and hung up.
const PROBED_JS: &str = r#"
const net = require("net"), fs = require("fs");
for (let port = 4201; port <= 4208; port++)
  net.createServer((socket) => {
    const begun = performance.now();
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\n")).on("error", () => {});
    socket.on("close", () => fs.appendFileSync("took", `${performance.now() - begun}\n`));
  }).listen(port, "127.0.0.1");
"#;

/// Measures everything about apps.
pub(crate) fn measure(server: &Server, rounds: usize, table: &mut Table) -> Result<()> {
    let mut client = server.client()?;
    wakes(&mut client, rounds, table)?;
    memory(&mut client, table)?;
    flood(&mut client, table)
}

/// An Express app falls asleep and is woken, beside what its own start takes.
fn wakes(client: &mut Client, rounds: usize, table: &mut Table) -> Result<()> {
    let body = json!({
        "source": { "kind": "preset", "preset": "node-express" },
        "expiry": { "idle_timeout_ms": IDLE_MS },
    });
    let id = started(client, &body)?;
    let url = format!("{}health", ready(client, &id)?);
    let (mut wake, mut resume) = (Samples::default(), Samples::default());
    let (mut own, mut command) = (Samples::default(), Samples::default());
    let paid = "sha256sum -c node_modules/.installed >/dev/null && exec node --watch server.js";
    for _ in 0..rounds.min(WAKES_MAX) {
        get(&url)?;
        own.add(starts_in(client, &id, "exec node server.js")?);
        command.add(starts_in(client, &id, paid)?);
        for _ in 0..5 {
            get(&url)?;
            client.ask("POST", &format!("/v1/sandboxes/{id}/pause"), None)?;
            resume.time(|| {
                client.ask("POST", &format!("/v1/sandboxes/{id}/resume"), None)?;
                get(&url)
            })?;
        }
        until("the app sleeps", || {
            let sandbox = client.ask("GET", &format!("/v1/sandboxes/{id}"), None)?;
            Ok((sandbox["state"] == "stopped").then_some(()))
        })?;
        wake.time(|| get(&url))?;
    }
    table.add("wake of an Express app, request held", &wake, Some(("its command", &command)));
    table.add("  the same", &wake, Some(("`node server.js`", &own)));
    table.add("  its command alone, inside, until it answers", &command, None);
    table.add("  `node server.js` alone, inside, until it answers", &own, None);
    table.add("resume of a paused app until its preview answers", &resume, None);
    delete(client, &id)
}

/// What the supervisor of five processes holds, by its own count in the kernel.
fn memory(client: &mut Client, table: &mut Table) -> Result<()> {
    let workers: String =
        (1..=5).map(|n| format!("  - {{name: w{n}, command: exec sleep infinity}}\n")).collect();
    let source = app_of(&format!("version: 1\nworkers:\n{workers}"), &[])?;
    let id = create(client, source.path())?;
    running(client, &id)?;
    let rollup = supervisor_rollup(client, &id)?;
    let kib = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    table.note("supervisor with five processes: proportional set", &kib("Pss:"));
    table.note("  of it, private and written to", &kib("Private_Dirty:"));
    delete(client, &id)
}

/// Health checks of some processes while another one writes a lot.
fn flood(client: &mut Client, table: &mut Table) -> Result<()> {
    let asked: String = (4201..=4208)
        .map(|port| {
            format!(
                "  - {{name: p{port}, command: exec sleep infinity, ready: {{http: {{port: {port}, path: /}}}}, health: {{interval: 500ms}}}}\n"
            )
        })
        .collect();
    let quiet = format!(
        "version: 1\nworkers:\n  - {{name: probed, command: exec node probed.js}}\n{asked}"
    );
    let loud = format!("{quiet}  - {{name: flood, command: exec node flood.js}}\n");
    for (name, manifest) in [("nobody writes", quiet), ("100,000 lines a second", loud)] {
        let source = app_of(&manifest, &[("flood.js", FLOOD_JS), ("probed.js", PROBED_JS)])?;
        let id = create(client, source.path())?;
        running(client, &id)?;
        exec(client, &id, &["rm", "-f", "took", "flooded"])?;
        thread::sleep(FLOOD);
        let mut took = Samples::default();
        for line in output(client, &id, &["cat", "took"])?.lines() {
            took.add(Duration::from_secs_f64(line.parse::<f64>()? / 1000.0));
        }
        table.add(&format!("answer to a health check, {name}"), &took, None);
        if manifest.contains("flood.js") {
            let written = output(client, &id, &["cat", "flooded"])?;
            let (lines, ms) = written.split_once(' ').ok_or("the flood wrote nothing down")?;
            let rate = lines.parse::<f64>()? / ms.trim().parse::<f64>()?;
            table.note("  lines that it took, a second", &format!("{rate:.1} thousand"));
        }
        delete(client, &id)?;
    }
    Ok(())
}

fn app_of(manifest: &str, files: &[(&str, &str)]) -> Result<tempfile::TempDir> {
    let source = tempfile::tempdir()?;
    fs::write(source.path().join("sandbox.yaml"), manifest)?;
    for (name, content) in files {
        fs::write(source.path().join(name), content)?;
    }
    Ok(source)
}

fn started(client: &mut Client, body: &Value) -> Result<String> {
    let sandbox = client.ask("POST", "/v1/sandboxes", Some(body))?;
    Ok(sandbox["id"].as_str().ok_or("a sandbox without an id")?.to_owned())
}

/// Waits until the preview is ready, and returns its URL.
fn ready(client: &mut Client, id: &str) -> Result<String> {
    until("the app is ready", || {
        let app = app(client, id)?;
        let url = app["preview"]["url"].as_str().map(str::to_owned);
        Ok(url.filter(|_| app["preview"]["status"] == "ready"))
    })
}

/// Waits until all processes run.
fn running(client: &mut Client, id: &str) -> Result<()> {
    until("the processes run", || {
        let app = app(client, id)?;
        let processes = app["processes"].as_array().cloned().unwrap_or_default();
        let is_up = |process: &Value| process["state"] == "ready" || process["state"] == "running";
        Ok((!processes.is_empty() && processes.iter().all(is_up)).then_some(()))
    })
}

/// How the app is; one that will not run any more is not waited for.
fn app(client: &mut Client, id: &str) -> Result<Value> {
    let sandbox = client.ask("GET", &format!("/v1/sandboxes/{id}"), None)?;
    let app = client.ask("GET", &format!("/v1/sandboxes/{id}/app"), None)?;
    if sandbox["state"] == "failed" || app["preview"]["status"] == "error" {
        return Err(format!("the app does not run: {sandbox} {app}").into());
    }
    Ok(app)
}

fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() > end {
            return Err(format!("not in {DEADLINE:?}: {what}").into());
        }
        // Not a wait for an effect, only the pace at which the condition is asked.
        thread::sleep(Duration::from_millis(20));
    }
}

fn output(client: &mut Client, id: &str, argv: &[&str]) -> Result<String> {
    let result = exec(client, id, argv)?;
    Ok(result["stdout"]["text"].as_str().unwrap_or_default().to_owned())
}

/// How long a command takes inside until it answers.
fn starts_in(client: &mut Client, id: &str, command: &str) -> Result<Duration> {
    let ms = output(client, id, &["node", "-e", STARTED_AFTER, command])?;
    Ok(Duration::from_secs_f64(ms.trim().parse::<f64>()? / 1000.0))
}

/// Process 1 of the sandbox, found by its process namespace.
fn supervisor_rollup(client: &mut Client, id: &str) -> Result<String> {
    let inside = output(client, id, &["readlink", "/proc/self/ns/pid"])?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let is_one = fs::read_to_string(entry.path().join("status")).is_ok_and(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            line.is_some_and(|line| line.split_whitespace().last() == Some("1"))
        });
        let namespace = fs::read_link(entry.path().join("ns/pid"));
        if is_one && namespace.is_ok_and(|found| found == Path::new(inside.trim())) {
            return Ok(fs::read_to_string(entry.path().join("smaps_rollup"))?);
        }
    }
    Err("nobody is process 1 of the sandbox".into())
}

/// Gets a page of a preview, on a connection of its own.
fn get(url: &str) -> Result<()> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or("a URL of a preview is http and has a path")?;
    let port: u16 = host.rsplit_once(':').map_or("80", |(_, port)| port).parse()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let is_good = answer.split(' ').nth(1) == Some("200");
    if is_good { Ok(()) } else { Err(format!("{url}: {answer}").into()) }
}
