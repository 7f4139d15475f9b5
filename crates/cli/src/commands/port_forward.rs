//! `sandbar port-forward`: a port inside, at one of this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sandbar_api::paths;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{client::Client, context::Context, failure::Failure, output::Output, select};

/// LIMIT: connections at once; more wait.
const CONNECTIONS_MAX: usize = 64;

/// Make a port inside a sandbox reachable at a port of this machine's loopback, until Ctrl-C.
///
/// For programs that do not speak HTTP, such as a client of a database or a debugger; a browser needs `sandbar open`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar port-forward shop 5432\n  sandbar port-forward shop 15432:5432"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// Port inside, or LOCAL:INSIDE; local 0 takes any.
    #[arg(value_name = "[LOCAL:]PORT", value_parser = parse_ports)]
    ports: Ports,
}

/// Where to listen, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    local: u16,
    inside: u16,
}

fn parse_ports(text: &str) -> Result<Ports, String> {
    let (local, inside) = text.split_once(':').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is not a port"));
    match (port(local)?, port(inside)?) {
        (_, 0) => Err("a port inside is from 1 to 65535".to_owned()),
        (local, inside) => Ok(Ports { local, inside }),
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    // By its id: a name could become another sandbox's while we listen.
    let sandbox = select::sandbox(context, Some(&args.sandbox)).await?.id.to_string();
    let Ports { local, inside } = args.ports;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), local);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::usage(format!("cannot listen on {address}"))
            .caused_by(&error)
            .hint("choose another one: LOCAL:PORT")
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    context.out.line(&format!("{bound} leads to port {inside} of {}", args.sandbox))?;
    let path = paths::below_sandbox(&sandbox, &format!("ports/{inside}/connect"));
    tokio::select! {
        () = serve(context, &listener, &path) => Ok(0),
        _ = tokio::signal::ctrl_c() => Ok(0),
    }
}

async fn serve(context: &mut Context, listener: &TcpListener, path: &str) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_over) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                if let Ok((stream, _)) = accepted {
                    let (client, out, path) = (context.client.another(), context.out, path.to_owned());
                    connections.spawn(async move { forward(client, out, stream, &path).await });
                }
            }
        }
    }
}

async fn forward(mut client: Client, out: Output, mut stream: TcpStream, path: &str) {
    match client.become_tcp(path).await {
        // Whichever side broke it, it is over.
        Ok(mut inside) => drop(tokio::io::copy_bidirectional(&mut stream, &mut inside).await),
        Err(failure) => out.say(failure.render().trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_is_both_and_two_are_told_apart() {
        assert_eq!(parse_ports("5432"), Ok(Ports { local: 5432, inside: 5432 }));
        assert_eq!(parse_ports("0:80"), Ok(Ports { local: 0, inside: 80 }));
        for wrong in ["", "x", "1:0", "0", "70000", "1:2:3", ":80"] {
            assert!(parse_ports(wrong).is_err(), "{wrong}");
        }
    }
}
