//! What is shown of each sandbox, and in which order.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use sandbar_api::{Sandbox, SandboxUsage};
use sandbar_types::{SandboxId, SandboxName};
use serde::Serialize;

use crate::output::{
    life,
    table::Table,
    units::{self, size},
};

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sort {
    Cpu,
    #[default]
    Memory,
    Disk,
    Idle,
}

/// One sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    id: SandboxId,
    name: SandboxName,
    state: &'static str,
    /// Thousandths of a processor; absent where nothing runs, or it began just now.
    cpu_millis: Option<u64>,
    memory_bytes: Option<u64>,
    pids: Option<u64>,
    disk_bytes: u64,
    idle_ms: u64,
}

impl Row {
    pub(super) fn of(
        sandbox: &Sandbox,
        usage: &SandboxUsage,
        cpu_millis: Option<u64>,
        now: Timestamp,
    ) -> Self {
        // Clocks that disagree make it used just now.
        let idle = Duration::try_from(now.duration_since(sandbox.last_active_at));
        Self {
            id: sandbox.id,
            name: sandbox.name.clone(),
            state: life(sandbox),
            cpu_millis,
            memory_bytes: usage.memory_bytes,
            pids: usage.pids,
            disk_bytes: usage
                .upper_bytes
                .saturating_add(usage.home_bytes)
                .saturating_add(usage.logs_bytes),
            idle_ms: u64::try_from(idle.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What was used between two looks; `None` where there is only one, or it was started again between them.
pub(super) fn cpu_millis(cpu_us: Option<(u64, u64)>, elapsed: Duration) -> Option<u64> {
    let (before, now) = cpu_us?;
    let used = u128::from(now.checked_sub(before)?) * 1000;
    u64::try_from(used.checked_div(elapsed.as_micros())?).ok()
}

/// The most of `sort` first; names decide where it is the same, so that rows do not jump.
pub(super) fn sorted(mut rows: Vec<Row>, sort: Sort) -> Vec<Row> {
    rows.sort_by(|a, b| {
        let key = |row: &Row| match sort {
            Sort::Cpu => row.cpu_millis.unwrap_or(0),
            Sort::Memory => row.memory_bytes.unwrap_or(0),
            Sort::Disk => row.disk_bytes,
            Sort::Idle => row.idle_ms,
        };
        (Reverse(key(a)), a.name.as_str()).cmp(&(Reverse(key(b)), b.name.as_str()))
    });
    rows
}

pub(super) fn table(rows: &[Row]) -> Table {
    const NOTHING: &str = "-";
    let mut table = Table::new(&["NAME", "STATE", "CPU", "MEMORY", "PIDS", "DISK", "IDLE"]);
    for row in rows {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
        table.push([
            row.name.to_string(),
            row.state.to_owned(),
            or_nothing(row.cpu_millis.map(|millis| format!("{}.{}%", millis / 10, millis % 10))),
            or_nothing(row.memory_bytes.map(size)),
            or_nothing(row.pids.map(|count| count.to_string())),
            size(row.disk_bytes),
            units::age(Duration::from_millis(row.idle_ms)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn row(name: &str, cpu_millis: Option<u64>, memory_bytes: Option<u64>) -> Row {
        let sandbox = sample::sandbox(name, None);
        let usage = SandboxUsage {
            memory_bytes,
            pids: memory_bytes.map(|_| 3),
            cpu_us: None,
            oom_kills: None,
            upper_bytes: 2048,
            upper_files: 1,
            home_bytes: 0,
            logs_bytes: 1024,
        };
        let later = sandbox.last_active_at + Duration::from_secs(90);
        Row::of(&sandbox, &usage, cpu_millis, later)
    }

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn the_most_comes_first_and_names_decide_the_rest() {
        let rows = || vec![row("c", Some(5), None), row("b", None, Some(9)), row("a", None, None)];
        assert_eq!(names(&sorted(rows(), Sort::Memory)), ["b", "a", "c"]);
        assert_eq!(names(&sorted(rows(), Sort::Cpu)), ["c", "a", "b"]);
        assert_eq!(names(&sorted(rows(), Sort::Idle)), ["a", "b", "c"]);
        assert_eq!(names(&sorted(rows(), Sort::Disk)), ["a", "b", "c"]);
    }

    #[test]
    fn processor_time_is_what_was_used_between_two_looks() {
        let second = Duration::from_secs(1);
        assert_eq!(cpu_millis(Some((1_000_000, 2_500_000)), second), Some(1500));
        assert_eq!(cpu_millis(Some((0, 10_000)), 2 * second), Some(5));
        // Started again in between: its time begins anew.
        assert_eq!(cpu_millis(Some((5, 4)), second), None);
        assert_eq!(cpu_millis(Some((1, 2)), Duration::ZERO), None);
        assert_eq!(cpu_millis(None, second), None);
    }

    #[test]
    fn what_does_not_run_has_dashes() {
        let text = table(&[row("web", Some(1234), Some(1 << 20)), row("old", None, None)]).plain();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines[0][2..], ["123.4%", "1.0 MiB", "3", "3.0 KiB", "1m"]);
        assert_eq!(lines[1][2..], ["-", "-", "-", "3.0 KiB", "1m"]);
    }
}
