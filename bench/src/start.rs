//! Starting: create to first command, `run`, exec; and what an idle sandbox costs.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Result,
    floor::Floor,
    peers::Peers,
    server::{Server, create, delete, exec},
    table::{Samples, Table},
};

/// Rounds that fill pools and caches and are not counted.
const WARM_UP: usize = 10;

/// Everything that is started in one round.
#[derive(Default)]
struct Starts {
    host: Samples,
    floor: Samples,
    api: Samples,
    /// The part of `api` that waited for commits of the store.
    commits: Samples,
    /// The rest of it.
    api_rest: Samples,
    run: Samples,
    crun: Samples,
    bwrap: Samples,
    api_exec: Samples,
    crun_exec: Samples,
    delete: Samples,
}

/// Measures starts, interleaved round by round, so that a noisy moment hits all of them.
pub(crate) fn measure(
    server: &Server,
    peers: &Peers,
    floor: &mut Floor,
    place: &str,
    rounds: usize,
    table: &mut Table,
) -> Result<()> {
    let source = tempfile::tempdir()?;
    fs::write(source.path().join("file"), "x")?;
    let mut client = server.client()?;
    let resident = create(&mut client, source.path())?;
    let mut warm_up = Starts::default();
    let mut starts = Starts::default();
    for round in 0..rounds + WARM_UP {
        let kept = if round < WARM_UP { &mut warm_up } else { &mut starts };
        let sandbox = create_and_exec(&mut client, source.path(), kept)?;
        kept.delete.time(|| delete(&mut client, &sandbox))?;
        kept.api_exec.time(|| exec(&mut client, &resident, &["true"]))?;
        kept.floor.time(|| floor.run())?;
        let mut run = server.command(&["run", "--", "true"]);
        run.current_dir(source.path());
        kept.run.time(|| succeed(&mut run))?;
        kept.crun.time(|| succeed(&mut peers.crun_run()))?;
        kept.bwrap.time(|| succeed(&mut peers.bwrap()))?;
        kept.host.time(|| succeed(&mut peers.host()))?;
        kept.crun_exec.time(|| succeed(&mut peers.crun_exec()))?;
    }
    delete(&mut client, &resident)?;
    report(&starts, place, table);
    Ok(())
}

/// Creates a sandbox and runs the first command in it, and asks the server how much of that its commits took.
fn create_and_exec(
    client: &mut crate::client::Client,
    source: &std::path::Path,
    kept: &mut Starts,
) -> Result<String> {
    const COMMITS: &str = "sandbar_store_commit_seconds_sum";
    let before = client.metric(COMMITS)?;
    let start = Instant::now();
    let sandbox = create(client, source)?;
    exec(client, &sandbox, &["true"])?;
    let took = start.elapsed();
    let commits = Duration::from_secs_f64((client.metric(COMMITS)? - before).max(0.0));
    kept.api.add(took);
    kept.commits.add(commits);
    kept.api_rest.add(took.saturating_sub(commits));
    Ok(sandbox)
}

fn report(starts: &Starts, place: &str, table: &mut Table) {
    let on = |what: &str| format!("{what} (data on {place})");
    let floor = ("floor", &starts.floor);
    table.add(&on("a static `true` on the host"), &starts.host, None);
    table.add(&on("floor: the kernel work alone, in process"), &starts.floor, None);
    table.add(&on("create, first command finished: API"), &starts.api, Some(floor));
    table.add(&on("  of it, commits of the store"), &starts.commits, None);
    table.add(&on("  the rest"), &starts.api_rest, Some(floor));
    table.add(&on("delete: API"), &starts.delete, None);
    table.add(
        &on("`sandbar run -- true`, the process"),
        &starts.run,
        Some(("crun run", &starts.crun)),
    );
    table.add("  peer: `crun run`, no control groups", &starts.crun, None);
    table.add("  peer: `bwrap --unshare-all`", &starts.bwrap, None);
    table.add(&on("exec of `true`: API"), &starts.api_exec, Some(("crun exec", &starts.crun_exec)));
    table.add("  peer: `crun exec`", &starts.crun_exec, None);
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// Sandboxes that are started to see what one of them costs.
const IDLE: u32 = 100;

/// What is in use, in KiB.
#[derive(Clone, Copy)]
struct Memory {
    /// Keepers and supervisors.
    processes: u64,
    server: u64,
    /// What the kernel holds of its own: slabs, stacks, page tables, counters for each processor.
    kernel: u64,
}

impl Memory {
    fn now(server: &Server) -> Result<Self> {
        Ok(Self {
            processes: processes_kib()?,
            server: proportional_kib(server.pid()),
            kernel: kernel_kib()?,
        })
    }
}

/// Measures the memory of idle sandboxes: keeper, supervisor, what the server grew by, and roughly what the kernel did.
pub(crate) fn memory(server: &Server, table: &mut Table) -> Result<()> {
    let source = tempfile::tempdir()?;
    let mut client = server.client()?;
    let before = Memory::now(server)?;
    let sandboxes: Vec<String> =
        (0..IDLE).map(|_| create(&mut client, source.path())).collect::<Result<_>>()?;
    let after = Memory::now(server)?;
    let each = |of: fn(&Memory) -> u64| of(&after).saturating_sub(of(&before)) / u64::from(IDLE);
    let (processes, share) = (each(|memory| memory.processes), each(|memory| memory.server));
    let kernel = each(|memory| memory.kernel);
    table.note(
        &format!("an idle sandbox of {IDLE}: keeper and supervisor"),
        &format!("{processes} KiB"),
    );
    table.note("  its share of the server", &format!("{share} KiB"));
    table.note("  all in", &format!("{} KiB", processes + share));
    table.note("  and of the kernel's own memory, roughly", &format!("{kernel} KiB"));
    for sandbox in sandboxes {
        delete(&mut client, &sandbox)?;
    }
    Ok(())
}

fn kernel_kib() -> Result<u64> {
    const OWN: [&str; 4] = ["Slab:", "KernelStack:", "PageTables:", "Percpu:"];
    let text = fs::read_to_string("/proc/meminfo")?;
    let lines = text.lines().filter(|line| OWN.iter().any(|name| line.starts_with(name)));
    Ok(lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
}

/// The proportional set size of every keeper and supervisor, in KiB.
fn processes_kib() -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(line) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        if line.contains("__launch") || line.contains("__supervise") {
            sum += proportional_kib(pid);
        }
    }
    Ok(sum)
}

pub(crate) fn proportional_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
