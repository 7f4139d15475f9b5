//! What the code in a sandbox cannot do: the negative probes of the threat model, group A.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use sandbar_host_tests::{Project, Server, bin_dir};

/// Runs the probe as the agent, and returns each name with its errno.
fn probe(server: &Server, sandbox: &str) -> BTreeMap<String, i32> {
    let output = server.sh(sandbox, "./probe");
    output
        .lines()
        .map(|line| {
            let (name, errno) = line.split_once(' ').expect("a probe prints a name and a number");
            (name.to_owned(), errno.parse().expect("an errno is a number"))
        })
        .collect()
}

fn project_with_probe() -> Project {
    let project = Project::new();
    fs::copy(bin_dir().join("probe"), project.path().join("probe")).expect("the probe is built");
    project
}

/// A process of the sandbox as the host sees it, found by an argument that nobody else has.
fn host_pid(argument: &str) -> u32 {
    let output = Command::new("pgrep").args(["-n", "-f", argument]).output().expect("pgrep runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the process runs")
}

fn status_field(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line =
        status.lines().find(|line| line.starts_with(field)).expect("the kernel has this field");
    line[field.len() + 1..].trim().to_owned()
}

#[test]
fn every_forbidden_call_is_denied() {
    let server = Server::start();
    let project = project_with_probe();
    let sandbox = server.create(&project);
    let results = probe(&server, &sandbox);
    assert!(results.len() >= 60, "the probe ended early: {results:?}");
    let allowed: Vec<_> = results.iter().filter(|(_, errno)| **errno == 0).collect();
    assert!(allowed.is_empty(), "worked inside: {allowed:?}");
    assert_eq!(results["clone3"], libc::ENOSYS);
}

#[test]
fn the_probe_can_fail_so_the_test_is_not_blind() {
    let output = Command::new(bin_dir().join("probe")).current_dir("/tmp").output();
    let text = String::from_utf8_lossy(&output.expect("the probe is built").stdout).into_owned();
    // As root on the host, the very first call makes a namespace.
    assert!(text.starts_with("unshare_user 0\n"), "{text}");
}

#[test]
fn the_kernel_shows_what_the_api_claims() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let running = server.spawn(project.path(), &["exec", &sandbox, "--", "sleep", "4711.25"]);
    let pid = sandbar_host_tests::eventually(
        "the command runs",
        std::time::Duration::from_secs(10),
        || {
            let output = Command::new("pgrep")
                .args(["-n", "-x", "-f", "sleep 4711.25"])
                .output()
                .expect("pgrep runs");
            String::from_utf8_lossy(&output.stdout).trim().parse::<u32>()
        },
    );
    assert_eq!(status_field(pid, "Seccomp:"), "2");
    assert_eq!(status_field(pid, "NoNewPrivs:"), "1");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(status_field(pid, set), "0000000000000000", "{set}");
    }
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).expect("the process runs");
    let outside: u64 =
        map.split_whitespace().nth(1).expect("a map has three columns").parse().expect("a number");
    assert!(outside >= 1 << 21, "the range begins at a host id of somebody: {map}");
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let inside = fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("the process runs");
        let host = fs::read_link(format!("/proc/self/ns/{kind}")).expect("we run");
        assert_ne!(inside, host, "{kind}");
    }
    let claimed =
        server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200)["isolation"]
            .clone();
    assert_eq!(claimed["seccomp_mode"], 2);
    assert_eq!(claimed["no_new_privs"], true);
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("the process runs");
    assert!(
        !mounts.contains(&server.data_dir().display().to_string()),
        "a host path is visible:\n{mounts}"
    );
    let points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    let claimed_points: Vec<&str> =
        claimed["mounts"].as_array().expect("a list").iter().filter_map(|m| m.as_str()).collect();
    assert_eq!(points, claimed_points);
    drop(running.wait_with_output_after_kill());
}

/// Ends a client and waits for it; what it started is ended with the sandbox.
trait EndClient {
    fn wait_with_output_after_kill(self) -> std::process::Output;
}

impl EndClient for std::process::Child {
    fn wait_with_output_after_kill(mut self) -> std::process::Output {
        self.kill().expect("our own child can be killed");
        self.wait_with_output().expect("our own child can be waited for")
    }
}

#[test]
fn nothing_of_the_host_is_visible() {
    let canary = "CANARY-5f2c1b";
    let server = Server::start();
    let project = Project::new().file("mine", "x");
    let sibling = Project::new().file("secret", canary);
    let root_file = Path::new("/root/.sandbar-canary");
    fs::write(root_file, canary).expect("root may write");
    let sandbox = server.create(&project);
    let found = server.sh(
        &sandbox,
        // Without toolchains, which are large and offered by name.
        &format!(
            "grep -rlsI {canary} / --exclude-dir=proc --exclude-dir=usr --exclude-dir=.cargo \
             --exclude-dir=.rustup --exclude-dir=.pyenv --exclude-dir=.nvm; ls -a /root; true"
        ),
    );
    fs::remove_file(root_file).expect("what was written can be removed");
    assert!(!found.contains("canary") && !found.contains("secret"), "{found}");
    let data_dir = server.data_dir().display().to_string();
    let seen = server.sh(
        &sandbox,
        &format!("ls {data_dir} 2>&1 || true; ls {} 2>&1 || true", sibling.path().display()),
    );
    assert!(!seen.contains("sandboxes") && !seen.contains("secret\n"), "{seen}");
}

#[test]
fn only_standard_streams_are_open_in_a_hundred_execs() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let script =
        "for i in $(seq 100); do (ls -l /proc/self/fd | awk '{print $9}' | grep -c .) & done; wait";
    // `ls` itself opens the directory it lists, so four; a leaked descriptor makes five.
    for line in server.sh(&sandbox, script).lines() {
        assert_eq!(line, "4");
    }
}

#[test]
fn a_setuid_file_gains_nothing_and_is_never_owned_by_a_host_user() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let uid = server.sh(&sandbox, "cp /bin/bash b; chmod 4755 b; ./b -p -c 'id -u'");
    assert_eq!(uid.trim(), "1000");
    let mut owners = Vec::new();
    let output = Command::new("find")
        .arg(server.data_dir())
        .args(["-perm", "-4000", "-printf", "%U\n"])
        .output()
        .expect("find runs");
    owners.extend(
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|uid| uid.parse::<u64>().expect("a number")),
    );
    assert!(!owners.is_empty() && owners.iter().all(|uid| *uid >= 1 << 21), "{owners:?}");
}

#[test]
fn two_sandboxes_share_nothing_and_may_use_the_same_port() {
    let server = Server::start();
    let (one, two) = (Project::new(), Project::new());
    let (first, second) = (server.create(&one), server.create(&two));
    server.sh(
        &first,
        "echo 1 >/dev/shm/of-the-first; echo 1 >/tmp/of-the-first; ipcmk -Q >/dev/null",
    );
    let seen = server.sh(&second, "ls /dev/shm /tmp; ipcs -q | grep -c 0x || true");
    assert!(!seen.contains("of-the-first") && seen.trim().ends_with('0'), "{seen}");
    let serve = "python3 -c \"import socket; s=socket.socket(); s.bind(('127.0.0.1', 3000)); s.listen(); print('bound')\"";
    assert_eq!(server.sh(&first, serve).trim(), "bound");
    assert_eq!(server.sh(&second, serve).trim(), "bound");
}

#[test]
fn odd_working_directories_never_lead_outside() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    server.sh(&sandbox, "ln -s / rootlink; mkdir gone");
    for cwd in ["/proc/self/fd/7", "/proc/1/cwd", "rootlink", "/nowhere", &"x/".repeat(2048)] {
        let body = serde_json::json!({ "argv": ["pwd", "-P"], "cwd": cwd, "wait": true });
        let reply = server.api("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body));
        assert!(reply.status < 500, "{cwd}: {reply:?}");
        let printed = reply.json()["stdout"]["text"].as_str().unwrap_or_default().to_owned();
        assert!(
            !printed.contains("unreachable") && !printed.starts_with("/proc"),
            "{cwd}: {printed}"
        );
    }
}

#[test]
fn a_sandbox_that_a_process_of_the_host_can_name_is_not_reachable_from_another() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    for socket in ["/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/sandbar.sock"] {
        let result = server.exec(&sandbox, &["test", "-e", socket]);
        assert_ne!(result["exit_code"], 0, "{socket}");
    }
    assert!(host_pid("sandbar serve") > 0, "the test looks at a living server");
}
