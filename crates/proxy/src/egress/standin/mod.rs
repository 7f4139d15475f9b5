//! For programs that know no proxy: a name server inside, and for every name that is allowed an address of the loopback
//! at which the proxy listens in its stead.
//!
//! A name is never looked up to be answered: that happens when somebody connects, and is decided about as every other
//! tunnel. A name that is not allowed is refused. The sockets are made by somebody inside, see [`Inside`]; where nobody
//! makes them, there is the proxy for HTTP alone. The tests with sockets are in `tests/egress/standin.rs`.

mod message;
mod names;

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sandbar_types::SandboxId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::names::NAMES_MAX;
use self::{
    message::{Answer, Question},
    names::Names,
};
use super::{
    denial::{Denial, Reason},
    door::Door,
    policy::{Host, HostName, Target},
    proxy::EgressProxy,
};

/// Where SOCKS is spoken inside.
pub const SOCKS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1080);

/// Where names are answered inside.
pub const NAME_SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// LIMIT: bytes of a question, and connections that ask at once.
const QUESTION_BYTES_MAX: usize = 1232;
const ASKING_MAX: usize = 8;

/// LIMIT: ports of one name.
const PORTS_MAX: usize = 8;

/// How long a connection with questions may be silent.
const SILENCE: Duration = Duration::from_secs(5);

/// How long nothing is read from a socket that fails.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes sockets inside the sandbox.
#[async_trait]
pub trait Inside: Send + Sync + fmt::Debug {
    /// Listens at an address of the loopback there.
    ///
    /// # Errors
    /// Somebody else does, or nobody can be asked.
    async fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener>;

    /// Takes datagrams at an address of the loopback there.
    ///
    /// # Errors
    /// Somebody else does, or nobody can be asked.
    async fn bind(&self, at: SocketAddrV4) -> io::Result<UdpSocket>;
}

/// What is open for one name; it is closed when it is dropped.
#[derive(Debug, Default)]
struct Doors {
    ports: BTreeSet<u16>,
    _open: Vec<DropGuard>,
}

/// The name server of one sandbox.
#[derive(Debug)]
struct NameServer {
    proxy: Arc<EgressProxy>,
    inside: Arc<dyn Inside>,
    sandbox: SandboxId,
    cancel: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    names: Names<Doors>,
    serving: JoinSet<()>,
}

impl EgressProxy {
    /// Serves SOCKS, names and their stand-ins at sockets that `inside` makes, until `cancel`.
    ///
    /// What cannot be opened is left out: a supervisor of an older version makes none, and a program inside may have
    /// taken the place.
    pub async fn serve_inside(
        self: Arc<Self>,
        inside: Arc<dyn Inside>,
        sandbox: SandboxId,
        cancel: CancellationToken,
    ) {
        let (socks, streams, datagrams) = tokio::join!(
            inside.listen(SOCKS),
            inside.listen(NAME_SERVER),
            inside.bind(NAME_SERVER)
        );
        let absent = |what: &str, error: &io::Error| {
            tracing::debug!(sandbox.id = %sandbox, %error, "a way out is not there inside: {what}");
        };
        let mut doors = JoinSet::new();
        match socks {
            Ok(listener) => {
                doors.spawn(Arc::clone(&self).serve_door(
                    listener,
                    Door::Socks,
                    sandbox,
                    cancel.clone(),
                ));
            }
            Err(error) => absent("SOCKS", &error),
        }
        let server = Arc::new(NameServer {
            proxy: self,
            inside,
            sandbox,
            cancel: cancel.clone(),
            state: Mutex::default(),
        });
        match datagrams {
            Ok(socket) => {
                doors.spawn(Arc::clone(&server).serve_datagrams(socket));
            }
            Err(error) => absent("names", &error),
        }
        match streams {
            Ok(listener) => {
                doors.spawn(Arc::clone(&server).serve_streams(listener));
            }
            Err(error) => absent("names over TCP", &error),
        }
        cancel.cancelled().await;
        doors.shutdown().await;
        let serving = std::mem::take(&mut server.state.lock().await.serving);
        // They were cancelled as well, and tell of the ends of their connections.
        drop(serving.join_all().await);
    }
}

impl NameServer {
    async fn serve_datagrams(self: Arc<Self>, socket: UdpSocket) {
        let mut bytes = [0; QUESTION_BYTES_MAX];
        loop {
            match socket.recv_from(&mut bytes).await {
                Ok((len, from)) => {
                    if let Some(answer) = self.answer(&bytes[..len]).await {
                        // Who asked and went away needs no answer.
                        drop(socket.send_to(&answer, from).await);
                    }
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn serve_streams(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(ASKING_MAX));
        let mut asking = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            while asking.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = Arc::clone(&self);
                    asking.spawn(async move {
                        // Whatever was wrong with it, it is closed.
                        drop(server.converse(stream).await);
                        drop(place);
                    });
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let len = usize::from(timeout(SILENCE, stream.read_u16()).await??);
            if len > QUESTION_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut bytes = vec![0; len];
            timeout(SILENCE, stream.read_exact(&mut bytes)).await??;
            let answer = self.answer(&bytes).await.ok_or(io::ErrorKind::InvalidData)?;
            let len = u16::try_from(answer.len()).map_err(io::Error::other)?;
            let framed = [&len.to_be_bytes()[..], &answer].concat();
            timeout(SILENCE, stream.write_all(&framed)).await??;
        }
    }

    async fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Some(question) = Question::read(bytes) else {
            return Question::unread(bytes);
        };
        let answer = match &question.name {
            Some(name) => self.decide(name).await,
            None => Answer::Refused("not the name of a host".to_owned()),
        };
        question.answered(answer)
    }

    /// Decides about a name, and opens its doors where it is allowed.
    async fn decide(&self, name: &HostName) -> Answer {
        let ports = self.proxy.policy.borrow().ports_of(name);
        if ports.is_empty() {
            return self.refused(name);
        }
        let mut state = self.state.lock().await;
        let State { names, serving } = &mut *state;
        while serving.try_join_next().is_some() {}
        let Some(place) = names.place(name, Instant::now()) else {
            tracing::debug!(sandbox.id = %self.sandbox, "no more names are stood in for");
            return Answer::Failed;
        };
        let missing: Vec<u16> = ports
            .into_iter()
            .take(PORTS_MAX)
            .filter(|port| !place.kept.ports.contains(port))
            .collect();
        for port in missing {
            let at = SocketAddrV4::new(place.address, port);
            let Ok(listener) = self.inside.listen(at).await else { continue };
            let closed = self.cancel.child_token();
            let door = Door::StandIn(Target { host: Host::Name(name.clone()), port });
            let proxy = Arc::clone(&self.proxy);
            serving.spawn(proxy.serve_door(listener, door, self.sandbox, closed.clone()));
            place.kept.ports.insert(port);
            place.kept._open.push(closed.drop_guard());
        }
        if place.kept.ports.is_empty() { Answer::Failed } else { Answer::At(place.address) }
    }

    fn refused(&self, name: &HostName) -> Answer {
        let target = Target { host: Host::Name(name.clone()), port: 443 };
        let denial = match self.proxy.policy.borrow().admit(&target) {
            Err(denial) => denial,
            Ok(()) => Denial { target, reason: Reason::HostNotAllowed },
        };
        self.proxy.tell(self.sandbox, &denial);
        let how = denial.hint(&self.proxy.sandbox_name).unwrap_or_default();
        Answer::Refused(format!("{}: {how}", denial.reason))
    }
}
