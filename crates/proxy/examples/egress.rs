//! The egress proxy by itself, to try tools against: what the host's configuration asks for, and who is refused.
//!
//! With a listening socket as standard input it serves that, for example one of another network namespace; without, a
//! port of its own. The environment for the tools is printed as lines for a shell.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be read")]

use std::{
    io::{self, Write as _},
    net::TcpListener,
    os::fd::AsFd as _,
    sync::Arc,
};

use sandbar_proxy::egress::{
    CallerFiles, Closed, Connected, Denial, EgressLog, EgressProxy, HostConfiguration, Policy,
    SplitHorizon, SystemResolver, environment,
};
use sandbar_types::SandboxId;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
struct ToStderr;

impl EgressLog for ToStderr {
    fn denied(&self, _sandbox: SandboxId, denial: &Denial) {
        eprintln!("denied {} {}: {}", denial.target, denial.reason.code(), denial.reason);
    }

    fn connected(&self, connected: &Connected) {
        eprintln!("connected {} by {}", connected.passage.target, connected.passage.rule);
    }

    fn closed(&self, closed: &Closed) {
        eprintln!(
            "closed {} {:?}: {} sent, {} received",
            closed.passage.target, closed.end, closed.sent_bytes, closed.received_bytes
        );
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let socket = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    let socket =
        if socket.local_addr().is_ok() { socket } else { TcpListener::bind("127.0.0.1:0")? };
    socket.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let files = CallerFiles {
        home: std::env::var_os("HOME").unwrap_or_default().into(),
        etc: "/etc".into(),
        environment: std::env::vars().collect(),
    };
    let found = HostConfiguration::read(&files);
    for note in &found.notes {
        eprintln!("note {note}");
    }
    for path in &found.certificates {
        eprintln!("certificates {}", path.display());
    }
    let resolver = Arc::new(SplitHorizon::over(Arc::new(SystemResolver::default())));
    let policy = found.extend(Policy::with_defaults());
    let inside = environment(listener.local_addr()?.port());
    for (name, value) in inside.iter().chain(&found.environment) {
        println!("export {name}='{value}'");
    }
    io::stdout().flush()?;
    let proxy = EgressProxy::new(policy, Arc::new(ToStderr))
        .with_resolver(resolver)
        .with_upstreams(Arc::new(found.upstreams));
    Arc::new(proxy).serve(listener, SandboxId::generate(), CancellationToken::new()).await;
    Ok(())
}
