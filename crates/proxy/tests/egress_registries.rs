//! Real package managers through the proxy, from the registries that this host reaches. Not run by default: it needs
//! them, and a network. `cargo nextest run -p sandbar-proxy --run-ignored only`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that starts the tools of the host, and says what it skips"
)]

use std::{
    io,
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use sandbar_proxy::egress::{
    CallerFiles, Closed, Connected, Denial, EgressLog, EgressProxy, HostConfiguration, Policy,
    SplitHorizon, SystemResolver, environment,
};
use sandbar_types::SandboxId;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
struct Hosts(Mutex<Vec<String>>);

impl EgressLog for Hosts {
    fn denied(&self, _sandbox: SandboxId, denial: &Denial) {
        eprintln!("denied: {} {}", denial.target, denial.reason);
    }

    fn connected(&self, connected: &Connected) {
        self.0.lock().unwrap().push(connected.passage.target.to_string());
    }

    fn closed(&self, _closed: &Closed) {}
}

/// A tool, what it is asked for, and the name of what must be there afterwards.
const TOOLS: &[(&str, &str, &str)] = &[
    ("npm", "npm init -y >init.log && npm install --cache cache is-odd", "node_modules/is-odd"),
    ("npm", "npm view --cache cache express version >version", "version"),
    ("pip", "pip download --no-cache-dir --no-deps -d wheels six", "wheels"),
    (
        "cargo",
        "cargo init -q --name x --vcs none . && echo 'itoa = \"1\"' >>Cargo.toml && CARGO_HOME=$PWD/home cargo fetch",
        "home/registry/cache",
    ),
    (
        "apt-get",
        "curl -sSf http://deb.debian.org/debian/dists/stable/InRelease -o release",
        "release",
    ),
];

#[test]
#[ignore = "needs package registries"]
fn package_managers_install_through_the_proxy() {
    let files = CallerFiles {
        home: std::env::var_os("HOME").unwrap_or_default().into(),
        etc: "/etc".into(),
        environment: std::env::vars().collect(),
    };
    let found = HostConfiguration::read(&files);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut variables = environment(socket.local_addr().unwrap().port());
    variables.extend(found.environment.clone());
    let hosts = Arc::new(Hosts::default());
    let cancel = CancellationToken::new();
    let serving = thread::spawn({
        let (hosts, cancel) = (Arc::clone(&hosts), cancel.clone());
        move || serve(socket, &found, hosts, cancel)
    });
    for (tool, script, product) in TOOLS {
        if !is_installed(tool) {
            eprintln!("skipped: {tool} is not installed");
            continue;
        }
        // npm takes no name that begins with a dot.
        let directory = tempfile::Builder::new().prefix("tool").tempdir().unwrap();
        let before = hosts.0.lock().unwrap().len();
        let status = Command::new("sh")
            .args(["-ec", script])
            .current_dir(directory.path())
            .envs(variables.iter().map(|(name, value)| (name.as_str(), value)))
            .status()
            .unwrap();
        assert!(status.success(), "{script}: {status}");
        assert!(directory.path().join(product).exists(), "{script}: no {product}");
        let used = hosts.0.lock().unwrap()[before..].to_vec();
        assert!(!used.is_empty(), "{script} went past the proxy");
        eprintln!("{tool}: {used:?}");
    }
    cancel.cancel();
    serving.join().unwrap().unwrap();
}

#[tokio::main]
async fn serve(
    socket: TcpListener,
    found: &HostConfiguration,
    hosts: Arc<Hosts>,
    cancel: CancellationToken,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let resolver = Arc::new(SplitHorizon::over(Arc::new(SystemResolver::default())));
    let policy = found.extend(Policy::with_defaults());
    let proxy = EgressProxy::new(policy, hosts)
        .with_resolver(resolver)
        .with_upstreams(Arc::new(found.upstreams.clone()));
    Arc::new(proxy).serve(listener, SandboxId::generate(), cancel).await;
    Ok(())
}

fn is_installed(tool: &str) -> bool {
    std::env::var("PATH")
        .unwrap_or_default()
        .split(':')
        .any(|directory| Path::new(directory).join(tool).exists())
}
