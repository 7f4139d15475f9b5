//! `sandbar show`: everything about one sandbox.

use std::fmt::Write;

use jiff::Timestamp;
use sandbar_api::{Sandbox, SandboxUsage, paths};
use sandbar_types::{
    CacheDenied, Enforcement, FailureReason, IdlePolicy, IsolationLevel, IsolationReport,
    NetworkMode, SandboxState, Source, ToolchainPolicy,
};

use crate::{
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{
        life,
        units::{duration, size},
        visible,
    },
    select,
};

/// Show everything about a sandbox.
///
/// State, limits and who holds them, isolation as read back from the kernel, usage.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar show calm-bay")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::sandbox(context, args.sandbox.as_deref()).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&sandbox)?;
        return Ok(0);
    }
    let path = paths::below_sandbox(&sandbox.id.to_string(), "usage");
    // What it uses is beside the point of a sandbox that is being made or removed.
    let usage: Option<SandboxUsage> = context.client.fetch(&path).await.ok();
    out.raw(describe(&sandbox, usage.as_ref(), Timestamp::now()).as_bytes())?;
    Ok(0)
}

fn describe(sandbox: &Sandbox, usage: Option<&SandboxUsage>, now: Timestamp) -> String {
    let mut rows = own_rows(sandbox, now);
    if let Some(usage) = usage {
        rows.extend(usage_rows(usage));
    }
    rows.extend(limit_rows(sandbox));
    if let Some(isolation) = &sandbox.isolation {
        rows.extend(isolation_rows(isolation));
    }
    rows.iter().fold(String::new(), |mut out, (name, value)| {
        writeln!(out, "{name:11} {value}").expect("a String takes every write");
        out
    })
}

fn own_rows(sandbox: &Sandbox, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("name", sandbox.name.to_string()),
        ("id", sandbox.id.to_string()),
        ("state", state(sandbox)),
        (
            "source",
            match &sandbox.source {
                Source::Directory { path } => {
                    visible::line(path.as_path().as_os_str().as_encoded_bytes())
                }
                Source::Empty => "none: the workspace began empty".to_owned(),
                Source::Preset { preset } => format!("none: the workspace began as {preset}"),
            },
        ),
        ("inside", visible::line(sandbox.workspace_path.as_path().as_os_str().as_encoded_bytes())),
        ("created", format!("{} ({} ago)", sandbox.created_at, age(sandbox.created_at, now))),
    ];
    if let Some(scope) = &sandbox.scope {
        rows.push(("scope", format!("only {} may change", visible::line(scope.as_bytes()))));
    }
    if sandbox.reserve_all {
        rows.push(("reserved", "the whole source".to_owned()));
    }
    rows.extend(sandbox.reserve.iter().map(|path| ("reserved", visible::line(path.as_bytes()))));
    if let Some(expires) = sandbox.expires_at {
        rows.push(("expires", expires.to_string()));
    }
    if let Some(idle) = sandbox.expiry.idle_timeout_ms {
        rows.push((
            "idle",
            format!(
                "stops after {} without activity",
                duration(std::time::Duration::from_millis(idle))
            ),
        ));
    }
    if let Some(until) = sandbox.keepalive_until {
        rows.push(("awake", format!("until {until}")));
    }
    if sandbox.idle_policy == IdlePolicy::AlwaysOn {
        rows.push(("idle", "never sleeps".to_owned()));
    }
    rows.push((
        "network",
        match sandbox.network.mode {
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Open => "whatever is public".to_owned(),
            NetworkMode::AllowList if sandbox.network.allow.is_empty() => {
                "package registries and git hosts".to_owned()
            }
            NetworkMode::AllowList => {
                let more = visible::line(sandbox.network.allow.join(", "));
                format!("package registries, git hosts, {more}")
            }
        },
    ));
    rows.push(("toolchains", offered(&sandbox.toolchains)));
    if let Some(caches) = &sandbox.caches {
        rows.push(("caches", offered(caches)));
    }
    rows
}

fn offered(policy: &ToolchainPolicy) -> String {
    match policy {
        ToolchainPolicy::Known => "known ones".to_owned(),
        ToolchainPolicy::None => "none".to_owned(),
        ToolchainPolicy::Only(names) => visible::line(names.join(", ")),
    }
}

fn state(sandbox: &Sandbox) -> String {
    let SandboxState::Failed { reason } = &sandbox.state else {
        return life(sandbox).to_owned();
    };
    let why = match reason {
        FailureReason::LaunchFailed { message } => {
            format!("the launch failed: {}", visible::line(message))
        }
        FailureReason::SupervisorExited { status } => match status {
            Some(status) => {
                format!("its supervisor ended with {}; the files are kept", status.shell_code())
            }
            None => "its supervisor ended; the files are kept".to_owned(),
        },
        FailureReason::KeeperLost => "its keeper is gone; the files are kept".to_owned(),
        FailureReason::HostRestarted => "the host was restarted; the files are kept".to_owned(),
        FailureReason::Stuck => "processes outlived SIGKILL; nothing is released yet".to_owned(),
    };
    format!("failed: {why}")
}

fn usage_rows(usage: &SandboxUsage) -> Vec<(&'static str, String)> {
    let mut rows = vec![(
        "changed",
        format!(
            "{} in {} files; logs {}",
            size(usage.upper_bytes),
            usage.upper_files,
            size(usage.logs_bytes)
        ),
    )];
    if let Some(bytes) = usage.memory_bytes {
        let pids = usage.pids.map_or_else(String::new, |pids| format!(", {pids} processes"));
        rows.push(("uses", format!("{} of memory{pids}", size(bytes))));
    }
    if let Some(kills) = usage.oom_kills.filter(|kills| *kills > 0) {
        rows.push(("killed", format!("{kills} times for memory")));
    }
    rows
}

fn limit_rows(sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    let limits = &sandbox.limits;
    let held = sandbox.isolation.as_ref().map(|isolation| isolation.limits);
    let by = |who: Option<Enforcement>| {
        who.map_or_else(String::new, |who| format!(" ({})", enforcement(who)))
    };
    let cpus = format!("{}.{:03}", limits.cpu_millis_max / 1000, limits.cpu_millis_max % 1000);
    vec![
        (
            "memory",
            format!(
                "at most {}{}",
                size(limits.memory_bytes_max),
                by(held.map(|held| held.memory))
            ),
        ),
        (
            "cpus",
            format!(
                "at most {}{}",
                cpus.trim_end_matches('0').trim_end_matches('.'),
                by(held.map(|held| held.cpu))
            ),
        ),
        ("processes", format!("at most {}{}", limits.pids_max, by(held.map(|held| held.pids)))),
        (
            "disk",
            format!("at most {}{}", size(limits.disk_bytes_max), by(held.map(|held| held.disk))),
        ),
    ]
}

fn isolation_rows(isolation: &IsolationReport) -> Vec<(&'static str, String)> {
    let level = match isolation.level {
        IsolationLevel::Full => "full",
        IsolationLevel::Degraded => "degraded",
    };
    let mut rows = vec![("isolation", level.to_owned())];
    let left_out = isolation.mounts_left_out.iter();
    rows.extend(
        left_out.map(|at| ("  left out", format!("{} is mounted there", visible::line(at)))),
    );
    rows.extend(isolation.caches.iter().map(|cache| match cache.left_out {
        None => ("  cache", visible::line(&cache.path)),
        Some(why) => ("  no cache", format!("{}: {}", visible::line(&cache.path), denied(why))),
    }));
    rows.extend(isolation.weaknesses.iter().map(|weakness| {
        (
            "  weaker",
            format!("{}: {}", visible::line(&weakness.code), visible::line(&weakness.message)),
        )
    }));
    rows
}

fn denied(why: CacheDenied) -> &'static str {
    match why {
        CacheDenied::Link => "a symbolic link is on the way",
        CacheDenied::NotADirectory => "not a directory",
        CacheDenied::ForeignOwner => "it, or a directory above it, is somebody else's",
        CacheDenied::WritableByOthers => {
            "others may write to it, or to a directory above it (chmod go-w)"
        }
        CacheDenied::Unreadable => "its owner may not read it",
        CacheDenied::NoAttributes => "its file system has no extended attributes",
    }
}

fn enforcement(who: Enforcement) -> &'static str {
    match who {
        Enforcement::CgroupV2 => "cgroup v2",
        Enforcement::CgroupV1 => "cgroup v1",
        Enforcement::Rlimit => "rlimit",
        Enforcement::Quota => "quota",
        Enforcement::Watched => "watched",
        Enforcement::None => "NOT HELD by anybody",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sandbox;

    #[test]
    fn a_failed_sandbox_says_why_and_what_was_kept() {
        let mut sandbox = sandbox("calm-bay", Some("/code/shop"));
        sandbox.state = SandboxState::Failed { reason: FailureReason::HostRestarted };
        let text = describe(&sandbox, None, jiff::Timestamp::UNIX_EPOCH);
        assert!(
            text.contains("state       failed: the host was restarted; the files are kept\n"),
            "{text}"
        );
        assert!(text.contains("cpus        at most 4\n"), "{text}");
        assert!(text.contains("source      /code/shop\n"), "{text}");
    }
}
