//! The control plane with much in it: reading a sandbox among a thousand, writing events, a thousand subscribers.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sandbar_store::{Driver, EventWriter, NewEvent, Store, event_insert_of_sandbox_in_txn};
use sandbar_store_sqlite::SqliteDriver;
use sandbar_types::SandboxId;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    Result,
    client::Client,
    server::Server,
    start,
    table::{Samples, Table},
};

/// As many as the figure is promised for.
const SANDBOXES: usize = 1000;
const EVENTS: usize = 100_000;
/// Tasks that have something to tell at the same time.
const TELLERS: usize = 64;
/// Events with a commit each, for comparison.
const ALONE: usize = 1000;
const SUBSCRIBERS: usize = 1000;
/// Requests a second, over [`CLIENTS`] connections.
const RATE: u32 = 500;
const CLIENTS: u32 = 8;
const READING: Duration = Duration::from_secs(20);
/// Events whose way to a subscriber is timed.
const TOLD: usize = 100;

/// Measures on a data directory of its own in `dir`.
pub(crate) fn measure(sandbar: &Path, dir: &Path, table: &mut Table) -> Result<()> {
    let data = dir.join("control");
    let mut server = Server::start(sandbar, &data)?;
    let ids = Arc::new(create_all(&server)?);
    server.halt()?;
    let last = write_events(&data, &ids, table)?;
    server.revive()?;
    let mut client = server.client()?;
    let path = format!("/v1/sandboxes/{}/events?limit=1", ids[0]);
    if client.ask("GET", &path, None)?["items"].as_array().is_none_or(Vec::is_empty) {
        return Err("the server does not show the events that were written".into());
    }
    let health = read(&server, |_turn| "/healthz".to_owned())?;
    let one = Arc::clone(&ids);
    let one = read(&server, move |turn| format!("/v1/sandboxes/{}", one[turn * 7 % one.len()]))?;
    let what = format!("GET of a sandbox of {SANDBOXES}, {EVENTS} events, {RATE}/s");
    table.add("GET /healthz, at the same rate", &health, None);
    table.add(&what, &one, Some(("health", &health)));
    subscribe(&server, &ids, last, table)
}

/// Makes sandboxes and stops them: a stopped one is read as one that runs is.
fn create_all(server: &Server) -> Result<Vec<SandboxId>> {
    let body = json!({ "source": { "kind": "empty" } });
    let make = |client: &mut Client| -> Result<SandboxId> {
        let made = client.ask("POST", "/v1/sandboxes", Some(&body))?;
        let id = made["id"].as_str().ok_or("a sandbox without an id")?;
        client.ask("POST", &format!("/v1/sandboxes/{id}/stop"), None)?;
        Ok(id.parse()?)
    };
    let each = SANDBOXES / CLIENTS as usize;
    thread::scope(|scope| {
        let makers: Vec<_> = (0..CLIENTS)
            .map(|_client| {
                scope.spawn(|| -> std::result::Result<Vec<SandboxId>, String> {
                    let mut client = server.client().map_err(|err| err.to_string())?;
                    (0..each).map(|_| make(&mut client).map_err(|err| err.to_string())).collect()
                })
            })
            .collect();
        let mut ids = Vec::new();
        for maker in makers {
            ids.extend(maker.join().map_err(|_panic| "a maker panicked")??);
        }
        Ok(ids)
    })
}

/// Writes through the store itself, as the engine does: with a commit for all that wait, and with one for each. Returns
/// the id of the last one.
fn write_events(data: &Path, ids: &Arc<Vec<SandboxId>>, table: &mut Table) -> Result<i64> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (together, alone, last) = runtime.block_on(async {
        let store = SqliteDriver::new(data).open().await?;
        let together = write_together(&store, ids).await?;
        let (alone, last) = write_alone(&store, ids).await?;
        store.close().await;
        Ok::<_, Box<dyn std::error::Error>>((together, alone, last))
    })?;
    table.note(&format!("event writes a second, {TELLERS} at once"), &format!("{together:.0}"));
    table.note("  against a commit for each", &format!("{alone:.0}, {:.1}x", together / alone));
    Ok(last)
}

fn payload(turn: usize) -> Value {
    json!({ "type": "process_ready", "data": { "process": format!("web-{}", turn % 10) } })
}

/// Returns events a second.
#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
async fn write_together(store: &Store, ids: &Arc<Vec<SandboxId>>) -> Result<f64> {
    let (writer, batches) = EventWriter::new();
    let leaving = CancellationToken::new();
    let writing = tokio::spawn(batches.write(store.clone(), leaving.clone()));
    let started = Instant::now();
    let mut tellers = tokio::task::JoinSet::new();
    for teller in 0..TELLERS {
        let (writer, ids) = (writer.clone(), Arc::clone(ids));
        tellers.spawn(async move {
            for turn in (teller..EVENTS).step_by(TELLERS) {
                let (sandbox_id, at) = (ids[turn % ids.len()], jiff::Timestamp::now());
                writer.append(NewEvent { sandbox_id, at, payload: payload(turn) }).await?;
            }
            Ok::<_, sandbar_store::EventLost>(())
        });
    }
    for told in tellers.join_all().await {
        told?;
    }
    let took = started.elapsed();
    leaving.cancel();
    writing.await?;
    Ok(EVENTS as f64 / took.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
async fn write_alone(store: &Store, ids: &[SandboxId]) -> Result<(f64, i64)> {
    let (started, mut last) = (Instant::now(), 0);
    for turn in 0..ALONE {
        let mut txn = store.begin().await?;
        let (id, at) = (ids[turn % ids.len()], jiff::Timestamp::now());
        last = event_insert_of_sandbox_in_txn(&mut txn, id, at, &payload(turn)).await?.id;
        txn.commit().await?;
    }
    Ok((ALONE as f64 / started.elapsed().as_secs_f64(), last))
}

/// Asks at [`RATE`], whatever the answers take: what is late counts from when it should have been asked.
fn read(server: &Server, path: impl Fn(usize) -> String + Sync) -> Result<Samples> {
    let interval = Duration::from_secs(1) * CLIENTS / RATE;
    let started = Instant::now();
    let ask = |client: u32| -> std::result::Result<Vec<Duration>, String> {
        let mut connection = server.client().map_err(|err| err.to_string())?;
        let mut due = started + interval * client / CLIENTS;
        let mut took = Vec::new();
        while started.elapsed() < READING {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let turn = took.len() * CLIENTS as usize + client as usize;
            connection.ask("GET", &path(turn), None).map_err(|err| err.to_string())?;
            took.push(due.elapsed());
            due += interval;
        }
        Ok(took)
    };
    let mut samples = Samples::default();
    thread::scope(|scope| {
        let ask = &ask;
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || ask(client))).collect();
        for client in clients {
            let took = client.join().map_err(|_panic| "a client panicked")??;
            took.into_iter().for_each(|took| samples.add(took));
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok(samples)
}

/// Holds [`SUBSCRIBERS`] streams open, and times how long an event takes to the one that it is for.
fn subscribe(server: &Server, ids: &[SandboxId], last: i64, table: &mut Table) -> Result<()> {
    let before = start::proportional_kib(server.pid());
    let mut streams = Vec::with_capacity(SUBSCRIBERS);
    for turn in 0..SUBSCRIBERS {
        streams.push(Stream::open(server, &ids[turn % ids.len()], last)?);
    }
    let grown = start::proportional_kib(server.pid()).saturating_sub(before);
    table.note(
        &format!("{SUBSCRIBERS} subscribers, more memory of the server"),
        &format!("{:.1} MiB", grown as f64 / 1024.0),
    );
    let (mut client, mut told) = (server.client()?, Samples::default());
    for turn in 0..TOLD {
        let which = turn * 9 % SUBSCRIBERS;
        let path = format!("/v1/sandboxes/{}/config", ids[which % ids.len()]);
        let body = json!({ "key": format!("K{turn}"), "value": "v", "is_sensitive": false });
        let asked = Instant::now();
        client.ask("POST", &path, Some(&body))?;
        streams[which].wait_for("config_changed")?;
        told.add(asked.elapsed());
    }
    table.add("  from a change asked for to its subscriber", &told, None);
    Ok(())
}

/// A stream of events that stays open.
struct Stream(BufReader<UnixStream>);

impl Stream {
    fn open(server: &Server, sandbox: &SandboxId, after: i64) -> Result<Self> {
        let mut stream = UnixStream::connect(server.data.join("run/sandbar.sock"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(
            stream,
            "GET /v1/sandboxes/{sandbox}/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nlast-event-id: {after}\r\n\r\n",
        )?;
        let mut stream = Self(BufReader::with_capacity(512, stream));
        let head = stream.line()?;
        if head.contains(" 200 ") { Ok(stream) } else { Err(format!("no stream: {head}").into()) }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if line.is_empty() { Err("a stream ended".into()) } else { Ok(line) }
    }

    fn wait_for(&mut self, kind: &str) -> Result<()> {
        let wanted = format!("event: {kind}");
        loop {
            if self.line()?.trim_end() == wanted {
                return Ok(());
            }
        }
    }
}
