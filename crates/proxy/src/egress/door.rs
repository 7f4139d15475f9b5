//! Where a connection comes in, and so in which language it asks and is refused.

use bytes::BytesMut;
use tokio::net::TcpStream;

use super::{
    exchange::Refused,
    log::Way,
    policy::Target,
    wire::{
        self, Head, Received,
        socks::{self, Answer, BadSocks, Version},
    },
};

/// A door of the proxy.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// The proxy for HTTP.
    Http,
    /// SOCKS.
    Socks,
    /// The address that stands in for this host.
    StandIn(Target),
}

/// How who came in is told that it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Http,
    Socks(Version),
    /// There is no language for it.
    Silent,
    /// What TLS says before anything else.
    Tls,
}

/// A request that was understood.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) received: Received,
    pub(super) exit: Exit,
}

impl Door {
    /// Reads what is asked for; `None` where nothing is.
    pub(super) async fn enter(
        &self,
        stream: &mut TcpStream,
    ) -> Result<Option<Entered>, (Refused, Exit)> {
        let entered = match self {
            Self::Http => wire::receive(stream)
                .await
                .map_err(|bad| (Refused::Bad(bad), Exit::Http))?
                .map(|received| Entered { received, exit: Exit::Http }),
            Self::Socks => socks::receive(stream)
                .await
                .map_err(|bad| (Refused::BadSocks(bad), exit_of(bad)))?
                .map(|(version, received)| Entered { received, exit: Exit::Socks(version) }),
            Self::StandIn(target) => Some(Entered {
                received: Received {
                    head: Head { way: Way::Tunnel, target: target.clone() },
                    bytes: BytesMut::new(),
                    head_len: 0,
                    established: b"",
                },
                exit: self.exit(),
            }),
        };
        Ok(entered)
    }

    /// How one is refused who has not said anything yet.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Http => Exit::Http,
            Self::Socks => Exit::Silent,
            Self::StandIn(target) => match target.port {
                80 => Exit::Http,
                443 => Exit::Tls,
                _ => Exit::Silent,
            },
        }
    }
}

fn exit_of(bad: BadSocks) -> Exit {
    match bad {
        BadSocks::Malformed => Exit::Silent,
        BadSocks::Command(version) | BadSocks::Target(version) => Exit::Socks(version),
    }
}

impl Exit {
    /// Says why, as far as it can be said, and closes.
    pub(super) async fn refuse(self, mut stream: TcpStream, refused: &Refused, sandbox: &str) {
        match self {
            Self::Http => wire::send(stream, &refused.reply(sandbox)).await,
            Self::Socks(version) => {
                let bytes = socks::answer(version, answer_of(refused));
                wire::send_bytes(stream, bytes).await;
            }
            Self::Tls => wire::refuse(&mut stream).await,
            Self::Silent => {}
        }
    }
}

fn answer_of(refused: &Refused) -> Answer {
    match refused {
        Refused::Denied(_) => Answer::Denied,
        Refused::Unresolved { .. } => Answer::Unresolved,
        Refused::Unreachable { .. } => Answer::Unreachable,
        Refused::BadSocks(BadSocks::Command(_)) => Answer::Command,
        Refused::Bad(_) | Refused::BadSocks(_) | Refused::Slow | Refused::Busy { .. } => {
            Answer::Failed
        }
    }
}
