//! What the code in a sandbox tries against its surroundings, and what it finds: the rest of group A of the threat model.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    path::Path,
    process::Command,
};

use sandbar_host_tests::{Project, Server, bin_dir};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn isolation(server: &Server, sandbox: &str) -> Value {
    server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200)["isolation"].clone()
}

fn project_with(program: &str) -> Project {
    let project = Project::new();
    fs::copy(bin_dir().join(program), project.path().join(program)).expect("it is built");
    project
}

/// Runs a script at a terminal of its own, as the agent, and returns what the terminal showed.
fn at_a_terminal(server: &Server, sandbox: &str, script: &str) -> String {
    let size = json!({ "rows": 24, "cols": 80 });
    let body = json!({ "argv": ["sh", "-c", script], "terminal": size, "wait": true });
    let result =
        server.api("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body)).expect(200);
    result["stdout"]["text"].as_str().unwrap_or_default().to_owned()
}

fn digest(path: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(path).expect("root can read")).to_vec()
}

#[test]
fn what_the_kernel_tells_everybody_is_not_told_inside() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    assert!(!fs::read("/proc/cmdline").expect("the host has one").is_empty(), "nothing to hide");
    for file in [
        "cmdline",
        "kallsyms",
        "config.gz",
        "keys",
        "key-users",
        "modules",
        "iomem",
        "ioports",
        "kcore",
        "partitions",
        "diskstats",
        "interrupts",
        "locks",
        "slabinfo",
        "timer_list",
        "sys/kernel/core_pattern",
    ] {
        let seen = server.sh(&sandbox, &format!("head -c 64 /proc/{file} 2>/dev/null | wc -c"));
        assert_eq!(seen.trim(), "0", "/proc/{file}");
    }
    let inside = server.sh(&sandbox, "cat /proc/sys/kernel/random/boot_id");
    let host = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the host has one");
    assert_ne!(inside.trim(), host.trim());
    assert!(server.sh(&sandbox, "ls /sys 2>/dev/null; true").trim().is_empty());
}

#[test]
fn nothing_of_the_kernels_files_can_be_opened_for_writing() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let writable = server.sh(
        &sandbox,
        "for f in $(find /proc -maxdepth 1 -type f; find /proc/sys -type f 2>/dev/null); do \
           if { true >>\"$f\"; } 2>/dev/null; then echo \"$f\"; fi; done",
    );
    assert_eq!(writable, "");
    let refused = server.exec(&sandbox, &["sh", "-c", "echo -500 >/proc/self/oom_score_adj"]);
    assert_ne!(refused["exit_code"], 0, "{refused}");
}

/// Each of these is behind another wall, so only its own effect shows that it is there.
#[test]
fn the_walls_behind_the_walls_stand() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    // Landlock: the file is the agent's own, and nothing else forbids it.
    let named = server.exec(&sandbox, &["sh", "-c", "echo x >/proc/self/comm"]);
    assert_ne!(named["exit_code"], 0, "no Landlock: {named}");
    // The user namespace's own counters, behind the filter.
    let counters = server.sh(&sandbox, "cat /proc/sys/user/max_*_namespaces | sort -u");
    assert_eq!(counters.trim(), "0");
    // What is not the agent's is not even listed.
    assert_eq!(server.sh(&sandbox, "ls -d /proc/1 2>/dev/null | wc -l").trim(), "0");
    // The supervisor is another user than the agent.
    assert_eq!(server.sh(&sandbox, "id -u; id -g; id -G").trim(), "1000\n1000\n1000");
}

#[test]
fn links_that_a_project_brings_are_no_part_of_the_root() {
    let server = Server::start();
    let project = Project::new().file("dev/x", "");
    for (name, target) in [
        ("dev/null", "/proc/sys/kernel/core_pattern"),
        ("dev/console", "/dev/tty"),
        ("proc", "/etc"),
        ("etc", "/"),
    ] {
        std::os::unix::fs::symlink(target, project.path().join(name)).expect("a link can be made");
    }
    let sandbox = server.create(&project);
    assert_eq!(
        server.sh(&sandbox, "stat -c '%F %t:%T' /dev/null").trim(),
        "character special file 1:3"
    );
    assert_eq!(server.sh(&sandbox, "head -c 9 /proc/cmdline | wc -c").trim(), "0");
    assert_eq!(server.sh(&sandbox, "readlink proc").trim(), "/etc");
}

#[test]
fn no_mount_names_a_place_of_the_host() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let mounts = server.sh(&sandbox, "cat /proc/self/mountinfo");
    let data_dir = server.data_dir().file_name().expect("a name").to_string_lossy().into_owned();
    for secret in [sandbox.as_str(), &data_dir, "/sandboxes/"] {
        assert!(!mounts.contains(secret), "{secret} in\n{mounts}");
    }
    server.sh(&sandbox, "echo kept >~/kept; mkdir -p ~/a/b; mv ~/a ~/c");
    for change in ["stop", "start"] {
        let path = format!("/v1/sandboxes/{sandbox}/{change}");
        let done = server.api("POST", &path, Some(&json!({})));
        assert!(done.status < 300, "{done:?}");
    }
    assert_eq!(server.sh(&sandbox, "cat ~/kept; ls -d ~/c/b; stat -c %U ~").lines().count(), 3);
}

#[test]
fn the_binary_of_the_host_cannot_be_changed_through_a_process() {
    let server = Server::start();
    let project = Project::new().file("again", "#!/proc/self/exe\n");
    let binary = bin_dir().join("sandbar");
    let before = digest(&binary);
    let sandbox = server.create(&project);
    // While others are between fork and exec, which is when a process of ours is the agent's.
    let attack = "chmod +x again; ./again 2>/dev/null; end=$(($(date +%s)+3)); \
        while [ $(date +%s) -lt $end ]; do for p in /proc/1/exe /proc/self/exe /proc/[0-9]*/exe; do \
          { true >>$p; } 2>/dev/null && echo opened $(readlink $p); done; done; true";
    let opened = std::thread::scope(|scope| {
        let attacker = scope.spawn(|| server.sh(&sandbox, attack));
        while !attacker.is_finished() {
            assert_eq!(server.exec(&sandbox, &["true"])["exit_code"], 0);
        }
        attacker.join().expect("the script ends")
    });
    assert_eq!(opened, "");
    assert_eq!(digest(&binary), before);
}

#[test]
fn nothing_can_be_typed_into_a_terminal_by_a_program() {
    let server = Server::start();
    let project = project_with("probe");
    let sandbox = server.create(&project);
    let shown = at_a_terminal(&server, &sandbox, "test -t 0 && echo terminal; ./probe terminal");
    let mut lines = shown.lines().map(str::trim);
    assert_eq!(lines.next(), Some("terminal"), "{shown}");
    let results: Vec<&str> = lines.collect();
    assert!(results.len() == 8, "{shown}");
    for line in results {
        assert!(line.ends_with(" 1"), "not refused by the filter: {line}");
    }
}

#[test]
fn a_terminal_is_of_its_own_sandbox_and_cannot_be_replaced() {
    let server = Server::start();
    let (one, two) = (Project::new(), Project::new());
    let (first, second) = (server.create(&one), server.create(&two));
    let body = json!({ "argv": ["sleep", "60"], "terminal": { "rows": 24, "cols": 80 } });
    let started = server.api("POST", &format!("/v1/sandboxes/{first}/execs"), Some(&body));
    assert_eq!(started.status, 201, "{started:?}");
    assert_eq!(server.sh(&first, "ls /dev/pts").lines().collect::<Vec<_>>(), ["0", "ptmx"]);
    assert_eq!(server.sh(&second, "ls /dev/pts").trim(), "ptmx");
    for script in [
        "rm -f /dev/pts/0",
        "mv /dev/pts/0 /dev/pts/1",
        "ln -s /tmp /dev/pts/5",
        "rm /dev/ptmx",
        "ln -sf /tmp/x /dev/tty",
        "chown 0 /dev/pts/0",
    ] {
        assert_ne!(server.exec(&first, &["sh", "-c", script])["exit_code"], 0, "{script}");
    }
    assert_eq!(at_a_terminal(&server, &first, "tty").trim(), "/dev/pts/1");
}

#[test]
fn links_lead_nowhere_outside() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    server.sh(&sandbox, "ln -s /etc/shadow shadow; ln -s /root/.ssh ssh; ln -s /proc/1/root root");
    for path in [
        "shadow",
        "ssh/id_rsa",
        "root/etc/hostname",
        "/proc/1/cwd/x",
        "/proc/1/root/etc/passwd",
        "/proc/1/environ",
        "/proc/1/mem",
        "/proc/1/fd/3",
        "/proc/1/maps",
    ] {
        let read = server.exec(&sandbox, &["cat", path]);
        assert_ne!(read["exit_code"], 0, "{path}: {read}");
    }
    assert_ne!(server.exec(&sandbox, &["ln", "/etc/passwd", "p"])["exit_code"], 0);
}

#[test]
fn process_1_has_nothing_to_be_attacked_by() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let found = server.sh(
        &sandbox,
        "find / -xdev -type s 2>/dev/null; find /run /tmp /dev /home -type s 2>/dev/null; tail -n +2 /proc/net/unix",
    );
    assert_eq!(found, "", "a socket inside");
    for signal in ["KILL", "STOP", "SEGV", "TERM"] {
        let sent = server.exec(&sandbox, &["sh", "-c", &format!("kill -{signal} 1")]);
        assert_ne!(sent["exit_code"], 0, "{signal}");
    }
    // Everything that the agent may signal dies with it; the supervisor is not among that.
    let _killed = server.exec(&sandbox, &["sh", "-c", "kill -KILL -1"]);
    assert_eq!(server.sh(&sandbox, "echo alive").trim(), "alive");
}

#[test]
fn abstract_sockets_of_the_host_are_not_there() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let name = format!("sandbar-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let listener = UnixListener::bind_addr(&address).expect("nobody has that name");
    UnixStream::connect_addr(&address).expect("it is reachable from here");
    let connect = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); print(s.connect_ex(chr(0) + '{name}'))"
    );
    let errno = server.exec(&sandbox, &["python3", "-c", &connect])["stdout"]["text"].clone();
    let errno = errno.as_str().unwrap_or_default();
    assert_eq!(errno.trim(), libc::ECONNREFUSED.to_string());
    drop(listener);
}

#[test]
fn two_sandboxes_over_one_project_share_no_object_of_the_kernel() {
    let server = Server::start();
    let project = Project::new().file("locked", "x");
    let (first, second) = (server.create(&project), server.create(&project));
    server.sh(&first, "ipcmk -M 4096 -S 1 -Q >/dev/null; echo x >/dev/shm/x");
    let seen =
        server.sh(&second, "ipcs | grep -c 0x; ls /dev/shm; ls /dev/mqueue 2>/dev/null; true");
    assert_eq!(seen.trim(), "0");
    let body = json!({ "argv": ["flock", "-n", "locked", "sh", "-c", "touch taken; sleep 60"] });
    let started = server.api("POST", &format!("/v1/sandboxes/{first}/execs"), Some(&body));
    assert_eq!(started.status, 201, "{started:?}");
    sandbar_host_tests::eventually("the lock is held", std::time::Duration::from_secs(10), || {
        let there = server.exec(&first, &["test", "-e", "taken"])["exit_code"] == 0;
        there.then_some(()).ok_or("not yet")
    });
    assert_ne!(server.exec(&first, &["flock", "-n", "locked", "true"])["exit_code"], 0, "held");
    assert_eq!(server.exec(&second, &["flock", "-n", "locked", "true"])["exit_code"], 0);
}

#[test]
fn foreign_system_calls_kill() {
    const SIGSYS: u8 = 31;
    for call in ["i386", "x32"] {
        let on_host = Command::new(bin_dir().join("foreign")).arg(call).output();
        let on_host = String::from_utf8_lossy(&on_host.expect("it is built").stdout).into_owned();
        assert!(on_host.starts_with("came back"), "the test is blind: {on_host}");
        let server = Server::start();
        let project = project_with("foreign");
        let sandbox = server.create(&project);
        let ended = server.exec(&sandbox, &["./foreign", call]);
        assert_eq!(ended["exit_code"], 128 + SIGSYS, "{call}: {ended}");
    }
}

#[test]
fn a_crash_leaves_no_core_anywhere() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    assert_ne!(server.exec(&sandbox, &["sh", "-c", "ulimit -c unlimited"])["exit_code"], 0);
    assert_eq!(server.sh(&sandbox, "ulimit -Hc").trim(), "0");
    let ended = server.exec(&sandbox, &["sh", "-c", "kill -ABRT $$"]);
    assert_eq!(ended["exit_code"], 128 + 6);
    assert_eq!(server.sh(&sandbox, "ls -A").trim(), "");
}

#[test]
fn what_is_mounted_in_the_source_is_left_out_and_named() {
    let server = Server::start();
    let project = Project::new().file("data/below", "below");
    let data = project.path().join("data");
    let mount = |program: &str, args: &[&str]| {
        let done = Command::new(program).args(args).arg(&data).status().expect("it is installed");
        assert!(done.success(), "{program}");
    };
    mount("mount", &["-t", "tmpfs", "none"]);
    fs::write(data.join("mounted"), "secret").expect("root may write");
    let created = std::panic::catch_unwind(|| server.create(&project));
    mount("umount", &["-l"]);
    let sandbox = created.expect("it can be created");
    assert_eq!(server.sh(&sandbox, "ls data").trim(), "below");
    let named = isolation(&server, &sandbox)["mounts_left_out"].clone();
    assert_eq!(named, json!([data]));
}

#[test]
fn a_source_that_became_a_link_is_not_followed() {
    let server = Server::start();
    let elsewhere = Project::new().file("other", "other");
    let project = Project::new().file("dir/mine", "mine");
    let dir = project.path().join("dir");
    let body = json!({ "source": { "kind": "directory", "path": dir } });
    let sandbox = server.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
    let id = sandbox["id"].as_str().expect("a sandbox has an id");
    assert!(server.api("POST", &format!("/v1/sandboxes/{id}/stop"), Some(&json!({}))).status < 300);
    fs::rename(&dir, project.path().join("moved")).expect("it can be moved");
    std::os::unix::fs::symlink(elsewhere.path(), &dir).expect("a link can be made");
    let refused = server.api("POST", &format!("/v1/sandboxes/{id}/start"), Some(&json!({})));
    assert!(refused.status >= 400, "{refused:?}");
}

#[test]
fn two_servers_never_share_a_range_of_ids() {
    let (one, two) = (Server::start(), Server::start());
    let (first, second) = (Project::new(), Project::new());
    let (first, second) = (one.create(&first), two.create(&second));
    let map = |server: &Server, sandbox: &str| isolation(server, sandbox)["uid_map"].clone();
    assert_ne!(map(&one, &first), map(&two, &second));
    let owners: Vec<_> = fs::read_dir("/run/sandbar/ids")
        .expect("blocks are recorded there")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .collect();
    for server in [&one, &two] {
        assert!(owners.iter().any(|owner| owner == server.data_dir()), "{owners:?}");
    }
}
