//! `sandbar app check`: whether the app of a sandbox builds.

use std::{fmt::Write, time::Duration};

use sandbar_api::{AppCheck, AppCheckRequest, paths};
use sandbar_types::{CheckStatus, ExitStatus, ProcessKind};

use super::status;
use crate::{
    context::Context,
    failure::{Code, Failure},
    output::{units, visible},
    select,
};

/// Check whether the app of a sandbox builds, in a throw-away copy of it: what runs is not touched.
///
/// Exits with 1 when it does not build, or a web process that was restarted is not ready.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar app check calm-bay\n  sandbar app check --restart\n  sandbar app check calm-bay --json"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Afterwards restart what sandbox.yaml says to restart after a task, and wait until the web process is ready.
    #[arg(long)]
    restart: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let path = paths::below_sandbox(&sandbox, "app/check");
    let request = AppCheckRequest { restart: args.restart };
    let work = context.client.post_patiently(&path, &request);
    let check: AppCheck = context.out.during("checking the build", work).await?;
    let code = if is_well(&check) { 0 } else { Code::Unexpected as u8 };
    if context.out.is_json() {
        context.out.json(&check)?;
        return Ok(code);
    }
    // Of a build that passed nobody reads what it said.
    if check.status == CheckStatus::Failed {
        context.out.raw(output(&check).as_bytes())?;
    }
    context.out.line(&verdict(&check))?;
    context.out.raw(restarted(&check).as_bytes())?;
    Ok(code)
}

fn is_well(check: &AppCheck) -> bool {
    let is_down = |restarted: &&sandbar_api::RestartedProcess| {
        restarted.process.kind == ProcessKind::Web && !restarted.is_ready
    };
    check.status != CheckStatus::Failed && check.restarted.iter().find(is_down).is_none()
}

fn output(check: &AppCheck) -> String {
    let mut text = String::new();
    if check.output.is_truncated {
        text.push_str("… what it wrote before is left out\n");
    }
    for line in &check.output.lines {
        writeln!(text, "{}", visible::line(line)).expect("a String takes every write");
    }
    text
}

fn verdict(check: &AppCheck) -> String {
    let took = units::duration(Duration::from_millis(check.duration_ms));
    match check.status {
        CheckStatus::Passed => format!("build passed in {took}"),
        CheckStatus::Skipped => "build skipped: sandbox.yaml says that nothing is built".to_owned(),
        CheckStatus::Failed => format!("build failed after {took}: {}", reason(check)),
    }
}

fn reason(check: &AppCheck) -> String {
    if check.out_of_disk {
        return "it wrote more than the sandbox may hold".to_owned();
    }
    let how = match check.exit {
        Some(ExitStatus::Exited { code }) => format!("exit code {code}"),
        Some(ExitStatus::Signaled { signal }) => format!("signal {signal}"),
        Some(ExitStatus::TimedOut) => {
            "it ran longer than it may; `build: {timeout_seconds: …}` says how long".to_owned()
        }
        Some(ExitStatus::NotStarted { .. }) => "it cannot be started".to_owned(),
        None => "nobody saw how it ended".to_owned(),
    };
    if check.out_of_memory { format!("{how}; it ran out of memory") } else { how }
}

fn restarted(check: &AppCheck) -> String {
    let mut text = String::new();
    for sandbar_api::RestartedProcess { is_ready, process } in &check.restarted {
        let state = if *is_ready { "ready" } else { status::state(&process.state) };
        writeln!(text, "restarted {}: {state}", process.name).expect("a String takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use sandbar_api::{AppCheckOutput, RestartedProcess};
    use sandbar_types::{ProcessState, ProcessStatus};

    use super::*;

    fn check(status: CheckStatus, exit: Option<ExitStatus>) -> AppCheck {
        AppCheck {
            status,
            exit,
            timed_out: exit == Some(ExitStatus::TimedOut),
            out_of_memory: false,
            out_of_disk: false,
            duration_ms: 1_500,
            output: AppCheckOutput {
                lines: vec!["it is \u{1b}[31mred".to_owned()],
                is_truncated: true,
            },
            restarted: Vec::new(),
        }
    }

    #[test]
    fn a_build_that_fails_says_how() {
        let failed = check(CheckStatus::Failed, Some(ExitStatus::Exited { code: 2 }));
        assert_eq!(verdict(&failed), "build failed after 1s500ms: exit code 2");
        let red = "… what it wrote before is left out\nit is \\x1b[31mred\n";
        assert_eq!(output(&failed), red);
        let killed = AppCheck { out_of_memory: true, ..failed };
        assert!(verdict(&killed).ends_with("exit code 2; it ran out of memory"));
        let late = check(CheckStatus::Failed, Some(ExitStatus::TimedOut));
        assert!(verdict(&late).contains("timeout_seconds"));
        assert!(!is_well(&late));
    }

    #[test]
    fn a_web_process_that_is_not_ready_again_is_a_failure() {
        let mut passed = check(CheckStatus::Passed, Some(ExitStatus::Exited { code: 0 }));
        assert!(is_well(&passed));
        passed.restarted = vec![RestartedProcess {
            is_ready: false,
            process: ProcessStatus {
                name: "web".parse().unwrap(),
                kind: ProcessKind::Web,
                state: ProcessState::Starting,
                pid: None,
                restarts: 1,
                started_us: None,
                last_exit: None,
                hint: None,
            },
        }];
        assert!(!is_well(&passed));
        assert_eq!(restarted(&passed), "restarted web: starting\n");
        passed.restarted[0].process.kind = ProcessKind::Worker;
        assert!(is_well(&passed));
    }
}
