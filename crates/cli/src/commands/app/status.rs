//! `sandbar app status`: how the app of a sandbox is.

use std::fmt::Write;

use jiff::Timestamp;
use sandbar_api::{AppStatus, ManifestStatus, PreviewStatus, paths};
use sandbar_types::{ProcessState, ProcessStatus};

use crate::{
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{Output, table::Table, visible},
    select,
};

/// Show how the app of a sandbox is: its processes, its manifest, its preview.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app status calm-bay")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let app: AppStatus = context.client.fetch(&paths::below_sandbox(&sandbox, "app")).await?;
    show(&app, context.out)?;
    Ok(0)
}

/// Prints an app: as JSON, or for people.
pub(super) fn show(app: &AppStatus, out: Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(app);
    }
    out.raw(head(app).as_bytes())?;
    let now = Timestamp::now();
    let mut table = Table::new(&["PROCESS", "STATE", "PID", "RESTARTS", "SINCE"]);
    for process in &app.processes {
        let since = process.started_us.and_then(|us| i64::try_from(us).ok());
        let since = since.and_then(|us| Timestamp::from_microsecond(us).ok());
        table.push([
            process.name.to_string(),
            state(&process.state).to_owned(),
            process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            process.restarts.to_string(),
            since.map_or_else(|| "-".to_owned(), |since| age(since, now)),
        ]);
    }
    if !app.processes.is_empty() {
        out.table(&table)?;
    }
    out.raw(app.processes.iter().map(remarks).collect::<String>().as_bytes())?;
    Ok(())
}

fn head(app: &AppStatus) -> String {
    let mut text = String::new();
    let line = match app.manifest.status {
        ManifestStatus::Unread => "the app was not started; `sandbar app apply` starts it",
        ManifestStatus::Absent => {
            "the workspace has no sandbox.yaml; `sandbar app init` writes one"
        }
        ManifestStatus::Invalid => "sandbox.yaml cannot be used; nothing was changed by it",
        ManifestStatus::Applied => "",
    };
    if !line.is_empty() {
        writeln!(text, "{line}").expect("a String takes every write");
    }
    for finding in &app.manifest.findings {
        let (line, column) = (finding.line, finding.column);
        let (severity, message) = (&finding.severity, visible::line(&finding.message));
        writeln!(text, "sandbox.yaml:{line}:{column}: {severity}: {message}")
            .expect("a String takes every write");
    }
    if app.preview.status != PreviewStatus::None {
        let place = app.preview.url.clone().unwrap_or_else(|| {
            app.preview.port.map_or_else(String::new, |port| format!("port {port}"))
        });
        writeln!(text, "preview {}  {place}", preview(app.preview.status))
            .expect("a String takes every write");
    }
    text
}

/// What a process is to be asked about: why it is not well, and its last words.
fn remarks(process: &ProcessStatus) -> String {
    let mut text = String::new();
    let mut say = |what: &str| {
        writeln!(text, "{}: {}", process.name, visible::line(what))
            .expect("a String takes every write");
    };
    match &process.state {
        ProcessState::Unhealthy { reason } | ProcessState::BackingOff { reason, .. } => say(reason),
        ProcessState::GivenUp { reason, last_lines } => {
            say(reason);
            last_lines.iter().for_each(|line| say(&format!("  {line}")));
        }
        ProcessState::Waiting { after } => {
            let names: Vec<_> = after.iter().map(ToString::to_string).collect();
            say(&format!("waits for {}", names.join(", ")));
        }
        ProcessState::Starting
        | ProcessState::Running
        | ProcessState::Ready
        | ProcessState::Stopping
        | ProcessState::Stopped
        | ProcessState::Exited => {}
    }
    if let Some(hint) = &process.hint {
        say(hint);
    }
    text
}

pub(super) const fn state(state: &ProcessState) -> &'static str {
    match state {
        ProcessState::Waiting { .. } => "waiting",
        ProcessState::Starting => "starting",
        ProcessState::Running => "running",
        ProcessState::Ready => "ready",
        ProcessState::Unhealthy { .. } => "unhealthy",
        ProcessState::BackingOff { .. } => "backing off",
        ProcessState::GivenUp { .. } => "given up",
        ProcessState::Stopping => "stopping",
        ProcessState::Stopped => "stopped",
        ProcessState::Exited => "exited",
    }
}

const fn preview(status: PreviewStatus) -> &'static str {
    match status {
        PreviewStatus::None => "none",
        PreviewStatus::Starting => "starting",
        PreviewStatus::Ready => "ready",
        PreviewStatus::Down => "down",
        PreviewStatus::Error => "error",
        PreviewStatus::Asleep => "asleep",
        PreviewStatus::Stopped => "stopped",
    }
}
