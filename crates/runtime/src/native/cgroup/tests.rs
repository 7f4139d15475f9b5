//! As root, on the hierarchies of this host. Without root they cannot make groups, and say nothing.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use sandbar_types::Limits;

use super::*;

/// A slot that is removed whatever becomes of the test.
struct Guard {
    slot: CgroupSlot,
    hierarchies: Hierarchies,
    instance: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.kill(soon()).unwrap();
        assert!(self.slot.wait_empty(soon()).unwrap());
        self.slot.remove(Duration::from_secs(5)).unwrap();
        self.hierarchies.remove_instance(&self.instance).unwrap();
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn slot(test: &str) -> Option<Guard> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    slot_in(Hierarchies::discover().unwrap(), test)
}

/// As on a host without version 2: its freezer and its accounting are there, the hierarchy is not.
fn slot_of_version_1(test: &str) -> Option<Guard> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let hierarchies = discovery::of_version_1(&mounts, &groups);
    let has_freezer =
        hierarchies.iter().any(|one| one.version == Version::One(vec!["freezer".to_owned()]));
    if !has_freezer || !rustix::process::geteuid().is_root() {
        return None;
    }
    slot_in(hierarchies, test)
}

fn slot_in(hierarchies: Hierarchies, test: &str) -> Option<Guard> {
    let instance = format!("test{}{test}", std::process::id());
    let slot = CgroupSlot::create(&hierarchies, &instance, "one").unwrap();
    Some(Guard { slot, hierarchies, instance })
}

/// Starts a shell that waits for a line, moves it into the slot, and lets it go on with `script`.
fn run(slot: &CgroupSlot, script: &str) -> Child {
    let child = start(script);
    let pid = pid_of(&child);
    slot.attach(pid).unwrap();
    assert!(slot.holds(pid).unwrap());
    child
}

#[expect(clippy::disallowed_methods, reason = "a process for a test to act on")]
fn start(script: &str) -> Child {
    Command::new("/bin/sh")
        .args(["-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn release(child: &mut Child) {
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let done = freeze::wait_until(soon(), || Ok(holds())).unwrap();
    assert!(done, "{what}");
}

fn limits() -> Limits {
    Limits { memory_bytes_max: 64 << 20, cpu_millis_max: 1500, pids_max: 20, ..Limits::default() }
}

#[test]
fn a_memory_hog_is_killed_and_counted() {
    let Some(guard) = slot("hog") else { return };
    let held = guard.slot.set_limits(&limits()).unwrap();
    if held.memory == Enforcement::None {
        return;
    }
    assert_eq!(guard.slot.oom_kills().unwrap(), Some(0));
    let mut child = run(&guard.slot, "x=$(head -c 200000000 /dev/zero | tr '\\0' a); echo grown");
    release(&mut child);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(guard.slot.oom_kills().unwrap() >= Some(1));
}

#[test]
fn limits_are_read_back_and_can_be_set_again_either_way() {
    let Some(guard) = slot("limits") else { return };
    let first = guard.slot.set_limits(&limits()).unwrap();
    for memory_bytes_max in [256 << 20, 32 << 20, (32 << 20) + 1] {
        let again = Limits { memory_bytes_max, ..limits() };
        assert_eq!(guard.slot.set_limits(&again).unwrap(), first);
    }
}

#[test]
fn no_more_processes_than_allowed() {
    let Some(guard) = slot("pids") else { return };
    if guard.slot.set_limits(&limits()).unwrap().pids == Enforcement::None {
        return;
    }
    let mut child =
        run(&guard.slot, "i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done; wait");
    release(&mut child);
    // The shell gives up at the first fork that fails.
    wait_for("the shell to hit the limit", || child.try_wait().unwrap().is_some());
    let left = guard.slot.processes().unwrap().len();
    assert!((5..=20).contains(&left), "{left} processes");
}

#[test]
fn frozen_processes_stand_still_and_thawed_ones_go_on() {
    for guard in [slot("freeze"), slot_of_version_1("freeze1")].into_iter().flatten() {
        let mut child = run(&guard.slot, "exit 7");
        guard.slot.freeze(soon()).unwrap();
        assert!(guard.slot.is_frozen().unwrap());
        release(&mut child);
        let early = freeze::wait_until(Instant::now() + Duration::from_millis(100), || {
            Ok(child.try_wait().unwrap().is_some())
        });
        assert!(!early.unwrap(), "it ran though frozen");
        guard.slot.thaw().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
}

const STUBBORN: &str = "trap '' TERM HUP INT; \
    i=0; while [ $i -lt 30 ]; do (trap '' TERM; (while :; do sleep 1000; done) &) ; i=$((i+1)); done; \
    while :; do (:) & done";

#[test]
fn a_forking_tree_that_ignores_signals_is_killed_whole() {
    for guard in [slot("tree"), slot_of_version_1("tree1")].into_iter().flatten() {
        let mut child = run(&guard.slot, STUBBORN);
        release(&mut child);
        wait_for("the tree to grow", || guard.slot.processes().unwrap().len() > 30);
        guard.slot.kill(soon()).unwrap();
        assert!(guard.slot.wait_empty(soon()).unwrap());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(guard.slot.processes().unwrap().is_empty());
    }
}

#[test]
fn frozen_processes_are_killed_too() {
    for guard in [slot("cold"), slot_of_version_1("cold1")].into_iter().flatten() {
        let mut child = run(&guard.slot, "exit 7");
        guard.slot.freeze(soon()).unwrap();
        guard.slot.kill(soon()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn slots_are_listed_with_their_processes_and_can_be_found_again() {
    let Some(guard) = slot("list") else { return };
    let mut child = run(&guard.slot, "exit 0");
    let found = guard.hierarchies.slots(&guard.instance).unwrap();
    let expected = SlotProcesses { slot: "one".to_owned(), pids: vec![child.id()] };
    assert_eq!(found, [expected]);

    let again = CgroupSlot::open(&guard.hierarchies, &guard.instance, "one").unwrap().unwrap();
    assert!(again.holds(pid_of(&child)).unwrap());
    let again = CgroupSlot::reopen(&guard.slot.record()).unwrap().unwrap();
    assert!(again.holds(pid_of(&child)).unwrap());
    assert!(CgroupSlot::open(&guard.hierarchies, &guard.instance, "two").unwrap().is_none());
    assert!(again.usage().unwrap().cpu_us.is_some());
    release(&mut child);
    child.wait().unwrap();
}

#[test]
fn a_slot_with_processes_is_not_removed_and_an_empty_one_is_with_its_groups() {
    let Some(guard) = slot("remove") else { return };
    let mut child = run(&guard.slot, "exit 0");
    let refused = guard.slot.remove(Duration::ZERO).unwrap_err();
    assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::ResourceBusy);
    release(&mut child);
    child.wait().unwrap();
    for dir in &guard.slot.record().0 {
        std::fs::create_dir_all(dir.path.join("deep/er")).unwrap();
    }
    guard.slot.remove(Duration::from_secs(5)).unwrap();
    assert!(guard.slot.record().0.iter().all(|dir| !dir.path.exists()));
    guard.slot.remove(Duration::ZERO).unwrap();
}

/// Puts everything back as it was.
struct MovedServer {
    group: PathBuf,
    home: PathBuf,
    was_handed_down: bool,
}

impl Drop for MovedServer {
    fn drop(&mut self) {
        let leaf = self.group.join(hierarchy::SERVER_LEAF);
        for pid in file::processes_below(&self.group).unwrap() {
            file::write(&self.home.join("cgroup.procs"), &pid.to_string()).unwrap();
        }
        std::fs::remove_dir(leaf).ok();
        std::fs::remove_dir(&self.group).unwrap();
        if !self.was_handed_down {
            file::write(&self.home.join("cgroup.subtree_control"), "-hugetlb").unwrap();
        }
    }
}

/// With a controller that nothing else uses: what matters is that version 2 refuses while we are in the group.
#[test]
fn the_server_makes_room_in_a_group_that_is_its_alone() {
    let hierarchies = Hierarchies::discover().unwrap();
    let two = hierarchies.iter().find(|one| one.version == Version::Two);
    let Some(home) = two.map(|one| one.own.clone()) else {
        return;
    };
    let controllers = file::read(&home.join("cgroup.controllers")).unwrap();
    if !rustix::process::geteuid().is_root() || !controllers.contains("hugetlb") {
        return;
    }
    let given = file::read(&home.join("cgroup.subtree_control")).unwrap();
    if file::write(&home.join("cgroup.subtree_control"), "+hugetlb").is_err() {
        return;
    }
    let group = home.join(format!("sandbar-room{}", std::process::id()));
    file::make(&group).unwrap();
    let moved =
        MovedServer { group: group.clone(), home, was_handed_down: given.contains("hugetlb") };
    let us = std::process::id();
    file::write(&group.join("cgroup.procs"), &us.to_string()).unwrap();
    let stranger = start("exit 0");
    file::write(&group.join("cgroup.procs"), &stranger.id().to_string()).unwrap();
    let handed_down =
        || file::read(&group.join("cgroup.subtree_control")).unwrap().contains("hugetlb");
    let leaf = group.join(hierarchy::SERVER_LEAF);

    hierarchy::hand_down(&group, &["hugetlb"]).unwrap();
    assert!(!handed_down() && !leaf.exists(), "somebody else is in the group");

    file::write(&moved.home.join("cgroup.procs"), &stranger.id().to_string()).unwrap();
    hierarchy::hand_down(&group, &["hugetlb"]).unwrap();
    assert!(handed_down());
    assert_eq!(file::processes_below(&leaf).unwrap(), [us]);
    assert_eq!(Hierarchies::discover().unwrap().iter().next().unwrap().own, group);
    drop(moved);
    drop(stranger.wait_with_output());
}
