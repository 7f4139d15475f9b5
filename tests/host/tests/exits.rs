//! What code inside finds when it looks for a way out that nobody gave it, or takes more than its share of the one it has.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Command,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use sandbar_host_tests::{Project, Server, Service, command_line, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

fn log(server: &Server, sandbox: &str) -> Vec<Value> {
    let path = format!("/v1/sandboxes/{sandbox}/network/log?limit=200");
    server.api("GET", &path, None).expect(200)["items"].as_array().cloned().unwrap_or_default()
}

/// Starts a script that goes on by itself.
fn start(server: &Server, sandbox: &str, argv: &[&str]) {
    let body = json!({ "argv": argv });
    drop(server.api("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body)).expect(201));
}

#[test]
fn case_57_the_control_api_is_reached_in_no_way_and_every_try_is_written_down() {
    // Any that is free now; the server that is told to takes it.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("it listens").port();
    drop(free);
    let mut server = Server::start();
    server.kill();
    server.set_env("SANDBAR_SERVER_LISTEN", &format!("127.0.0.1:{port}"));
    server.restart();
    TcpStream::connect(("127.0.0.1", port)).expect("it is reached from the host");
    let project = Project::new();
    let sandbox = server.create(&project);
    let open = json!({ "mode": "open" });
    let network = format!("/v1/sandboxes/{sandbox}/network");
    drop(server.api("PATCH", &network, Some(&open)).expect(200));
    let name = Command::new("hostname").output().expect("hostname runs").stdout;
    let name = String::from_utf8(name).expect("text").trim().to_ascii_lowercase();
    let addresses = Command::new("hostname").arg("-I").output().expect("hostname runs").stdout;
    let addresses = String::from_utf8(addresses).expect("text");
    let own = addresses
        .split_whitespace()
        .map(|ip| if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() });
    let hosts = ["127.0.0.1", "127.0.0.2", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"];
    let hosts: Vec<String> =
        hosts.map(str::to_owned).into_iter().chain([name]).chain(own).collect();
    for host in &hosts {
        for how in [
            "--noproxy '' --proxytunnel",
            "--noproxy ''",
            "--noproxy '' --proxy socks5h://127.0.0.1:1080",
            // Straight to the loopback of the sandbox, where nobody is.
            "--noproxy '*' --proxy ''",
        ] {
            let ask = format!("curl -sS -m 20 {how} http://{host}:{port}/healthz");
            let said = server.exec(&sandbox, &["sh", "-c", &ask]);
            let text = said["stdout"]["text"].as_str().unwrap_or_default();
            let is_refused = said["exit_code"] != 0 || text.contains("was refused");
            assert!(is_refused, "{ask}: {said}");
        }
    }
    let socket = server.data_dir().join("run/sandbar.sock");
    assert!(socket.exists());
    let ask = format!("curl -sS -m 20 --unix-socket {} http://x/healthz", socket.display());
    assert_ne!(server.exec(&sandbox, &["sh", "-c", &ask])["exit_code"], 0);
    eventually("every host is in the log", SOON, || {
        let denied = log(&server, &sandbox);
        let is_there = |host: &String| {
            let host = host.trim_matches(['[', ']']).trim_start_matches("::ffff:");
            denied.iter().any(|entry| {
                let logged = entry["host"].as_str().unwrap_or_default();
                logged.trim_matches(['[', ']']) == host
                    && entry["port"] == port
                    && entry["what"] == "denied"
            })
        };
        let missing: Vec<_> = hosts.iter().filter(|host| !is_there(host)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} in {denied:?}")) }
    });
}

/// Tries what is said, and prints the errno, or 0.
const TRY: &str = r#"
import socket, sys
what, ip, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
families = dict(tcp=(2, 1, 0), udp=(2, 2, 0), ping=(2, 2, 1), icmp=(2, 3, 1), sctp=(2, 1, 132), seqpacket=(2, 5, 132),
    tcp6=(10, 1, 0), udp6=(10, 2, 0), packet=(17, 3, 0x300), vsock=(40, 1, 0))
try:
    s = socket.socket(*families[what])
    s.settimeout(5)
    if what == "packet":
        s.bind(("lo", 0))
    elif what == "vsock":
        s.connect((2, port))
    else:
        s.connect((ip, port))
        s.send(b"x")
    print(0)
except OSError as error:
    print(error.errno or 1)
"#;

#[test]
fn case_59_there_is_a_loopback_and_nothing_leaves_but_by_the_proxy() {
    let Some(service) = Service::start() else { return };
    let (server, sandbox, _project) = service.sandbox();
    let (ip, port) = (service.ip.to_string(), service.port.to_string());
    let on_host = |what: &str, ip: &str, port: &str| {
        let out = Command::new("python3").args(["-c", TRY, what, ip, port]).output();
        String::from_utf8(out.expect("python is there").stdout).expect("text").trim().to_owned()
    };
    let inside = |what: &str, ip: &str, port: &str| {
        let said = server.exec(&sandbox, &["python3", "-c", TRY, what, ip, port]);
        said["stdout"]["text"].as_str().unwrap_or_default().trim().to_owned()
    };
    // The probe sees what is there.
    assert_eq!(on_host("tcp", &ip, &port), "0");
    let datagrams = UdpSocket::bind((service.ip, 0)).expect("a port is free");
    datagrams.set_read_timeout(Some(SOON)).expect("it is ours");
    let udp_port = datagrams.local_addr().expect("it is bound").port().to_string();
    assert_eq!(on_host("udp", &ip, &udp_port), "0");
    assert_eq!(datagrams.recv(&mut [0; 8]).expect("it arrives"), 1);
    let asked = service.asked.load(Ordering::SeqCst);
    for (what, ip, port) in [
        ("tcp", ip.as_str(), port.as_str()),
        ("udp", "198.41.0.4", "53"),
        ("udp", "198.41.0.4", "443"),
        ("tcp", "198.41.0.4", "443"),
        ("tcp6", "2001:500:2::c", "443"),
        ("udp6", "2001:500:2::c", "53"),
        ("ping", "198.41.0.4", "1"),
        ("icmp", "198.41.0.4", "1"),
        ("sctp", "198.41.0.4", "80"),
        ("seqpacket", "198.41.0.4", "80"),
        ("packet", "", "0"),
        ("vsock", "", "1024"),
    ] {
        let said = inside(what, ip, port);
        assert!(!said.is_empty() && said != "0", "{what} {ip}:{port}: {said}");
    }
    // Where the address is one of a loopback, the sandbox has that itself: what is sent stays there.
    inside("udp", &ip, &udp_port);
    datagrams.set_nonblocking(true).expect("it is ours");
    assert!(datagrams.recv(&mut [0; 8]).is_err());
    assert_eq!(service.asked.load(Ordering::SeqCst), asked);
    let devices = server.sh(&sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n'");
    assert_eq!(devices, "lo");
    assert_eq!(server.sh(&sandbox, "tail -n +2 /proc/net/route"), "");
    let routes = server.sh(&sandbox, "awk '$10 != \"lo\"' /proc/net/ipv6_route 2>/dev/null");
    assert_eq!(routes, "");
}

/// What somebody inside does who does not give up: one line of what three ways came to, over and over.
const TRIES: &str = "\
while :; do
  a=$(curl -s -m 1 -o /dev/null -w '%{http_code}' $0)
  b=$(curl -s -m 1 --noproxy '*' --proxy socks5h://127.0.0.1:1080 -o /dev/null -w '%{http_code}' $0)
  c=$(env -u http_proxy -u HTTP_PROXY curl -s -m 1 -o /dev/null -w '%{http_code}' $0)
  echo $a $b $c >>/tmp/tries
  sleep 0.05
done";

/// What those tries came to, read from outside: nobody inside can be asked when the server is dead.
fn tries(marker: &str) -> Vec<String> {
    let pids = fs::read_dir("/proc")
        .expect("proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let looping = pids.filter(|pid| {
        let line = command_line(*pid);
        line.starts_with("sh -c") && line.contains("/tmp/tries") && line.contains(marker)
    });
    let file = looping
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/root/tmp/tries")).ok())
        .next();
    file.unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn case_66_without_a_proxy_there_is_no_way_out_and_with_a_broken_policy_no_proxy() {
    let Some(service) = Service::start() else { return };
    let (mut server, sandbox, _project) = service.sandbox();
    let url = service.url();
    start(&server, &sandbox, &["sh", "-c", TRIES, &url]);
    let last_tries = |what: &str, wanted: &str| {
        let from = tries(&url).len();
        eventually(what, SOON, || {
            let all = tries(&url);
            let new = all.get(from + 1..).unwrap_or_default().to_vec();
            if new.len() >= 2 && new.iter().all(|line| line == wanted) { Ok(()) } else { Err(new) }
        });
    };
    last_tries("every way leads out", "200 200 200");
    // Killed, and hung up on: it does not read anything anew, it ends.
    for signal in [Signal::KILL, Signal::HUP] {
        let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid")).expect("not 0");
        kill_process(pid, signal).expect("it runs");
        server.kill();
        last_tries("no way leads out", "000 000 000");
        let asked = service.asked.load(Ordering::SeqCst);
        // A policy that cannot be read is none: there is no server with another one, and no way out.
        let config = server.data_dir().join("config.toml");
        for broken in ["[network]\nallow = [\"https://x\"]\n", "[network]\nmode = 1\n", "[netw"] {
            fs::write(&config, broken).expect("a file");
            let started = server.sandbar(Path::new("/"), &["serve"]);
            assert_eq!(started.status.code(), Some(2), "{broken}: {started:?}");
        }
        last_tries("nor later", "000 000 000");
        assert_eq!(service.asked.load(Ordering::SeqCst), asked);
        fs::remove_file(config).expect("it is ours");
        server.restart();
        last_tries("every way leads out again", "200 200 200");
    }
    // Denied before the end, denied after it, and never meanwhile.
    let named = format!("{}:{}", service.name, service.port);
    let network = format!("/v1/sandboxes/{sandbox}/network");
    drop(server.api("PATCH", &network, Some(&json!({ "add_deny": [named] }))).expect(200));
    last_tries("it is denied", "403 000 000");
    let asked = service.asked.load(Ordering::SeqCst);
    server.kill();
    server.restart();
    last_tries("it is denied still", "403 000 000");
    assert_eq!(service.asked.load(Ordering::SeqCst), asked);
}

/// Connects as often as it is told, asks for a tunnel each time, holds what it gets, and comes again where it got none.
const FLOOD: &str = r#"
import resource, socket, sys, time
count, to = int(sys.argv[1]), sys.argv[2].encode()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
def begun():
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", 3128))
    return s
waiting, asked = [begun() for _ in range(count)], []
while True:
    still = []
    for s in waiting:
        try:
            s.send(b"CONNECT " + to + b" HTTP/1.1\r\nHost: " + to + b"\r\n\r\n")
            asked.append(s)
        except BlockingIOError:
            still.append(s)
        except OSError:
            still.append(begun())
    waiting, open_still = still, []
    for s in asked:
        try:
            said = s.recv(4096)
        except BlockingIOError:
            said = b" 200 "
        except OSError:
            said = b""
        if b" 200 " in said:
            open_still.append(s)
        else:
            s.close()
            waiting.append(begun())
    asked = open_still
    open("/tmp/flooding", "a").write("x")
    time.sleep(0.05)
"#;

#[test]
fn case_71_a_sandbox_that_floods_takes_no_descriptors_and_no_answers_from_another() {
    const CONNECTIONS: &str = "4000";
    let Some(service) = Service::start() else { return };
    // What a shell gives. The server inherits it, and asks for what it may have.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum }).expect("it is lower");
    let (server, taker, _project) = service.sandbox();
    let project = Project::new();
    let other = server.create(&project);
    let open_files = || {
        let dir = fs::read_dir(format!("/proc/{}/fd", server.pid()));
        dir.expect("the server runs").count()
    };
    let get = format!("curl -s -m 20 -o /dev/null -w '%{{http_code}}' {}", service.url());
    let slowest = || {
        let took = (0..20).map(|_| {
            let began = Instant::now();
            assert_eq!(server.sh(&other, &get), "200");
            began.elapsed()
        });
        took.max().expect("some")
    };
    let (before, alone) = (open_files(), slowest());
    let held = format!("{}:{}", service.name, service.port);
    start(&server, &taker, &["python3", "-c", FLOOD, CONNECTIONS, &held]);
    // All places are taken: whoever comes then is told so, or waits.
    eventually("it floods", SOON, || {
        let said = server.sh(&taker, &format!("wc -c </tmp/flooding; {get}; true"));
        if said.contains("503") || said.ends_with("000") { Ok(()) } else { Err(said) }
    });
    let mut most = 0;
    for _ in 0..5 {
        most = most.max(open_files());
        eprintln!("slowest of 20: {alone:?} alone, {:?} beside a flood", slowest());
        most = most.max(open_files());
    }
    eprintln!("descriptors of the server: {before} before, {most} at most");
    assert!(most > before + 256, "it does not flood: {before}, {most}");
    assert!(most < before + 3 * 256 + 32 + 64, "{before}, {most}");
    let list = server.api("GET", "/v1/sandboxes", None).expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
    let _killed = server.exec(&taker, &["pkill", "-KILL", "python3"]);
    eventually("it has room again", SOON, || {
        let code = server.exec(&taker, &["sh", "-c", &get])["stdout"]["text"].clone();
        if code == "200" { Ok(()) } else { Err(code) }
    });
}
