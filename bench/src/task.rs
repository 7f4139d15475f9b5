//! Tasks: how long it takes until the program of an agent runs, and whether everything that it says is kept.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Result,
    client::Client,
    server::{Server, create, delete},
    table::{Samples, Table},
};

/// Its first act is to look at the clock; then it changes files, so that there is something to keep before the next one.
const AGENT: &str = "date +%s%N; for f in $(seq 20); do date +%N >>f$f; done";
/// As many as the figure is promised for.
const EVENTS: usize = 10_000;
const FLOODS: usize = 5;
const DEADLINE: Duration = Duration::from_secs(60);

/// Measures everything about tasks.
pub(crate) fn measure(server: &Server, name: &str, rounds: usize, table: &mut Table) -> Result<()> {
    let source = tempfile::tempdir()?;
    for file in 1..=200 {
        fs::write(source.path().join(format!("f{file}")), "x".repeat(2000))?;
    }
    let mut client = server.client()?;
    let sandbox = create(&mut client, source.path())?;
    table.note(&format!("tasks, {name}"), "");
    starts(&mut client, &sandbox, rounds, table)?;
    floods(&mut client, &sandbox, table)?;
    delete(&mut client, &sandbox)
}

fn starts(client: &mut Client, sandbox: &str, rounds: usize, table: &mut Table) -> Result<()> {
    let mut whole = Samples::default();
    let (mut turn, mut kept, mut begun) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 0..rounds + 3 {
        let submitted = Timestamp::now();
        let (id, result) = done(client, sandbox, AGENT)?;
        // The first one is over a layer that nobody wrote to.
        if round < 3 {
            continue;
        }
        let said = first_message(client, &id)?;
        let started = Timestamp::from_nanosecond(said.trim().parse()?)?;
        let events = page(client, &id, "")?;
        let at = |is: &dyn Fn(&Value) -> bool| -> Result<Timestamp> {
            let items = events["items"].as_array().ok_or("no events")?;
            let found = items.iter().find(|event| is(event)).ok_or("an event is missing")?;
            Ok(found["at"].as_str().ok_or("an event has no time")?.parse()?)
        };
        let running = at(&|event| event["state"] == "running")?;
        let checkpoint = at(&|event| event["event"] == "checkpoint")?;
        if result["checkpoint_after"].is_null() {
            return Err(format!("not between two checkpoints: {result}").into());
        }
        whole.add(between(submitted, started)?);
        turn.add(between(submitted, running)?);
        kept.add(between(running, checkpoint)?);
        begun.add(between(checkpoint, started)?);
    }
    table.add("task: submit → its agent runs, 20 files changed before", &whole, None);
    table.add("  submit → its turn", &turn, None);
    table.add("  its turn → the checkpoint before it", &kept, None);
    table.add("  the checkpoint → the agent's first act", &begun, None);
    Ok(())
}

fn floods(client: &mut Client, sandbox: &str, table: &mut Table) -> Result<()> {
    let mut took = Samples::default();
    for _ in 0..FLOODS {
        let start = Instant::now();
        let (id, _) = done(client, sandbox, &format!("seq {EVENTS}"))?;
        took.add(start.elapsed());
        let (mut next, mut cursor) = (1_usize, String::new());
        loop {
            let page = page(client, &id, &cursor)?;
            let items = page["items"].as_array().ok_or("no events")?;
            for event in items.iter().filter(|event| event["agent"]["type"] == "message") {
                if event["agent"]["text"].as_str().map(str::trim) != Some(&next.to_string()) {
                    return Err(format!("after {next} events one is missing: {event}").into());
                }
                next += 1;
            }
            match page["next_cursor"].as_str().filter(|_| !items.is_empty()) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        if next != EVENTS + 1 {
            return Err(format!("{} of {EVENTS} events are there", next - 1).into());
        }
    }
    table.add(&format!("task: {EVENTS} events, all kept, from submit to the end"), &took, None);
    let rate = EVENTS as f64 / took.percentile(50);
    table.note("  events a second", &format!("{rate:.1} thousand"));
    Ok(())
}

/// Has a task done, and returns its id and what came of it.
fn done(client: &mut Client, sandbox: &str, script: &str) -> Result<(String, Value)> {
    let body = json!({ "prompt": "do it", "agent": "command", "command": ["sh", "-c", script] });
    let task = client.ask("POST", &format!("/v1/sandboxes/{sandbox}/tasks"), Some(&body))?;
    let id = task["id"].as_str().ok_or("a task without an id")?.to_owned();
    let end = Instant::now() + DEADLINE;
    loop {
        let task = client.ask("GET", &format!("/v1/tasks/{id}"), None)?;
        if task["state"] == "succeeded" {
            return Ok((id, task["result"].clone()));
        }
        let is_over = task["state"] == "failed" || task["state"] == "cancelled";
        if is_over || Instant::now() > end {
            return Err(format!("the task did not succeed: {task}").into());
        }
        // Not a wait for an effect, only the pace at which the condition is asked.
        thread::sleep(Duration::from_millis(5));
    }
}

fn page(client: &mut Client, task: &str, more: &str) -> Result<Value> {
    client.ask("GET", &format!("/v1/tasks/{task}/events?limit=200{more}"), None)
}

fn first_message(client: &mut Client, task: &str) -> Result<String> {
    let events = page(client, task, "")?;
    let items = events["items"].as_array().ok_or("no events")?;
    let said = items.iter().find(|event| event["agent"]["type"] == "message");
    Ok(said.and_then(|said| said["agent"]["text"].as_str()).ok_or("it said nothing")?.to_owned())
}

fn between(from: Timestamp, to: Timestamp) -> Result<Duration> {
    Ok(Duration::try_from(to.duration_since(from)).unwrap_or_default())
}
