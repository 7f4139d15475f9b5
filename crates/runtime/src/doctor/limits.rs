//! Which limits the control groups of this host can hold, by setting them on a slot that is removed again.

use std::time::Duration;

use sandbar_types::{Enforcement, Limits};

use super::Finding;
use crate::native::cgroup::{CgroupError, CgroupSlot, Hierarchies, LimitsHeld, Version};

const DELEGATE: &str = "run the server as a systemd service with `Delegate=yes`, \
    or start it with `systemd-run --user --scope -p Delegate=yes sandbar serve`";

pub(super) fn examine(instance: &str) -> Vec<Finding> {
    let (hierarchies, slot) = match probe_slot(instance) {
        Ok(found) => found,
        Err(err) => {
            let message =
                format!("sandboxes have no limit of memory, processor time or processes: {err}");
            return vec![Finding::degraded("cgroups", message).hint(DELEGATE)];
        }
    };
    let mut findings = vec![Finding::ok("cgroups", describe(&hierarchies))];
    match slot.set_limits(&Limits::default()) {
        Ok(held) => findings.extend(held_limits(held)),
        Err(err) => findings.push(
            Finding::degraded("cgroup_limits", format!("limits are not taken: {err}"))
                .hint(DELEGATE),
        ),
    }
    findings.push(freezing(&slot));
    if let Err(err) = slot.remove(Duration::from_secs(1)) {
        findings.push(Finding::degraded("cgroup_removal", err.to_string()));
    }
    findings
}

fn probe_slot(instance: &str) -> Result<(Hierarchies, CgroupSlot), CgroupError> {
    let hierarchies = Hierarchies::discover()?;
    let slot =
        CgroupSlot::create(&hierarchies, instance, &format!("probe-{}", std::process::id()))?;
    Ok((hierarchies, slot))
}

fn describe(hierarchies: &Hierarchies) -> String {
    let names: Vec<String> = hierarchies
        .iter()
        .map(|one| match &one.version {
            Version::Two => "version 2".to_owned(),
            Version::One(controllers) => format!("version 1 ({})", controllers.join(", ")),
        })
        .collect();
    names.join(", ")
}

fn held_limits(held: LimitsHeld) -> [Finding; 3] {
    [
        held_limit("memory_limit", "memory", held.memory),
        held_limit("cpu_limit", "processor time", held.cpu),
        held_limit("pids_limit", "processes", held.pids),
    ]
}

fn held_limit(code: &str, what: &str, by: Enforcement) -> Finding {
    match by {
        Enforcement::CgroupV2 => {
            Finding::ok(code, format!("a limit of {what} is held by version 2"))
        }
        Enforcement::CgroupV1 => {
            Finding::ok(code, format!("a limit of {what} is held by version 1"))
        }
        Enforcement::Rlimit | Enforcement::Quota | Enforcement::Watched | Enforcement::None => {
            Finding::degraded(code, format!("nobody holds a limit of {what}")).hint(DELEGATE)
        }
    }
}

fn freezing(slot: &CgroupSlot) -> Finding {
    let deadline = std::time::Instant::now() + Duration::from_secs(1);
    match slot.freeze(deadline).and_then(|()| slot.thaw()) {
        Ok(()) => Finding::ok("cgroup_freeze", "sandboxes can be frozen"),
        Err(err) => {
            Finding::degraded("cgroup_freeze", format!("sandboxes cannot be paused: {err}"))
                .hint("use Linux 5.2 or newer with the unified hierarchy mounted")
        }
    }
}
