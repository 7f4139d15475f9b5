//! What connections ask for, and how it is answered.

use std::{
    io,
    net::SocketAddrV4,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    io::{Errno, fcntl_dupfd_cloexec},
    net::{SocketFlags, accept_with},
};
use sandbar_protocol::{ControlReply, Dialed, Open, Opened, Refusal, log::HEADER_BYTES};
use sandbar_types::{EGRESS_PORT, ExecId, NAME_PORT, SOCKS_PORT};

use crate::{
    connection::{Brought, Closed, Connection, Phase},
    exec::Exec,
    ports,
    sockets::{Attempt, Connecting, listen_for_egress, open_at},
    start::{self, Request},
    supervisor::{State, Supervisor, now_us},
    viewer::{Outbox, Viewer},
};

/// How long a connection to a port inside may take: one whose queue is full does not answer.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);
/// LIMIT: ports named in an answer, as the protocol says.
const LISTENING_MAX: usize = 16;

impl Supervisor {
    pub(crate) fn accept(&mut self, now: Instant) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while self.connections.len() < self.settings.connections_max() {
            // EAGAIN mostly; and whatever went wrong with one connection is no reason to end the sandbox.
            let Ok(socket) = accept_with(&self.listener, flags) else {
                return;
            };
            let key = self.key();
            self.connections.insert(key, Connection::new(socket, now));
            // The first frame is there already, most of the time.
            self.hear_connection(key, PollFlags::IN, now);
        }
    }

    pub(crate) fn hear_connection(&mut self, key: u64, events: PollFlags, now: Instant) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        if events.contains(PollFlags::OUT) {
            connection.is_blocked = false;
        }
        let heard = if events.contains(PollFlags::IN) {
            connection.receive(&mut self.buffer).and_then(|()| self.take_messages(key, now))
        } else if events.intersects(PollFlags::HUP | PollFlags::ERR) {
            Err(Closed)
        } else {
            Ok(())
        };
        if heard.is_err() {
            self.connections.remove(&key);
        }
    }

    fn take_messages(&mut self, key: u64, now: Instant) -> Result<(), Closed> {
        while let Some(connection) = self.connections.get_mut(&key) {
            let exec = connection.exec().and_then(|exec| self.execs.get(&exec));
            if exec.is_some_and(|exec| exec.stdin.is_full()) {
                break;
            }
            match connection.next_message()? {
                None => break,
                Some(Brought::Input(exec, input)) => {
                    if let Some(exec) = self.execs.get_mut(&exec) {
                        exec.take(input);
                    }
                }
                Some(Brought::Open(open, log)) => self.open(key, open, log, now)?,
            }
        }
        Ok(())
    }

    /// Goes on with input that had to wait.
    pub(crate) fn take_input(&mut self, exec: u64) {
        let of_exec =
            self.connections.iter().filter(|(_, connection)| connection.exec() == Some(exec));
        let keys: Vec<u64> = of_exec.map(|(&key, _)| key).collect();
        for key in keys {
            if self.take_messages(key, Instant::now()).is_err() {
                self.connections.remove(&key);
            }
        }
    }

    fn open(
        &mut self,
        key: u64,
        open: Open,
        log: Option<OwnedFd>,
        now: Instant,
    ) -> Result<(), Closed> {
        let phase = match open {
            Open::Exec { id, spec } => {
                let request = Request { id, spec, log, opener: key, now, now_us: now_us() };
                self.start(request).map(|exec| Phase::Starting { exec })
            }
            Open::Attach { id, offset } => self.attach(id, offset),
            Open::ProcessLog { name } => {
                let taken = self.process_log(name, log);
                Ok(answer(&reply(taken), None)?)
            }
            Open::Follow { name, offset } => self.follow(&name, offset),
            Open::Watch {} => Ok(Phase::Watching { seen: None, outbox: Outbox::default() }),
            Open::Dial { port } => Ok(dial(Connecting::begin(port), now)?),
            Open::Egress {} => {
                let (done, socket) = self.egress().map_or_else(
                    |refusal| (reply(Err(refusal)), None),
                    |socket| (ControlReply::Done, Some(socket)),
                );
                Ok(answer(&done, socket)?)
            }
            Open::Listen { address, port, transport } => {
                let failed = |err: io::Error| Refusal::Failed {
                    what: format!("nobody can listen on port {port}"),
                    errno: err.raw_os_error().unwrap_or_default(),
                };
                let (done, socket) = open_at(SocketAddrV4::new(address, port), transport)
                    .map_or_else(
                        |err| (reply(Err(failed(err))), None),
                        |socket| (ControlReply::Done, Some(socket)),
                    );
                Ok(answer(&done, socket)?)
            }
            Open::Control { request } => Ok(answer(&self.control(request, now), None)?),
        };
        let phase = phase.map_or_else(refuse, Ok)?;
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.phase = phase;
        }
        Ok(())
    }

    /// Goes on with a connection to a port inside.
    pub(crate) fn hear_dial(&mut self, key: u64, now: Instant) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        let next = match &mut connection.phase {
            Phase::Dialing { connecting, until } => {
                let attempt = match connecting.take() {
                    Some(_) if now >= *until => Attempt::Refused(Errno::TIMEDOUT),
                    Some(connecting) => connecting.advance(),
                    None => Attempt::Refused(Errno::INVAL),
                };
                match attempt {
                    Attempt::Pending(pending) => {
                        *connecting = Some(pending);
                        return;
                    }
                    attempt @ (Attempt::Connected(_) | Attempt::Refused(_)) => dial(attempt, now),
                }
            }
            Phase::Opening { .. }
            | Phase::Starting { .. }
            | Phase::Viewing { .. }
            | Phase::Following { .. }
            | Phase::Watching { .. }
            | Phase::Answering { .. } => return,
        };
        match next {
            Ok(phase) => connection.phase = phase,
            Err(Closed) => drop(self.connections.remove(&key)),
        }
    }

    /// The listener of the egress proxy, made when it is first asked for: until then nobody's requests wait there.
    fn egress(&mut self) -> Result<OwnedFd, Refusal> {
        let failed = |err: &io::Error| Refusal::Failed {
            what: format!("nobody can listen on port {EGRESS_PORT}"),
            errno: err.raw_os_error().unwrap_or_default(),
        };
        let listener = match self.egress.take() {
            Some(listener) => listener,
            None => listen_for_egress().map_err(|err| failed(&err))?,
        };
        let copy = fcntl_dupfd_cloexec(&listener, 3).map_err(|errno| failed(&errno.into()));
        self.egress = Some(listener);
        copy
    }

    fn start(&mut self, request: Request) -> Result<u64, Refusal> {
        match self.state {
            State::Running => {}
            State::Frozen(_) => {
                return Err(Refusal::Invalid { what: "the sandbox is paused".to_owned() });
            }
            State::Stopping => return Err(Refusal::Stopping),
        }
        let limit = self.settings.execs_max;
        if u32::try_from(self.execs.len()).map_or(true, |running| running >= limit) {
            return Err(Refusal::LimitReached { limit });
        }
        if self.execs.values().any(|exec| exec.id == request.id) {
            return Err(Refusal::Exists);
        }
        let exec = start::start(&self.settings, request)?;
        let key = self.key();
        self.execs.insert(key, exec);
        Ok(key)
    }

    fn attach(&self, id: ExecId, offset: u64) -> Result<Phase, Refusal> {
        let (&key, exec) =
            self.execs.iter().find(|(_, exec)| exec.id == id).ok_or(Refusal::NotFound)?;
        let unreadable =
            |_| Refusal::Failed { what: "its log cannot be read".to_owned(), errno: 0 };
        let position = exec.log.borrow().align(offset).map_err(unreadable)?;
        Ok(view(key, exec, position))
    }

    pub(crate) fn hear_report(&mut self, key: u64) {
        let Some(exec) = self.execs.get_mut(&key) else {
            return;
        };
        let Some(answer) = exec.hear_report() else {
            return;
        };
        let opener = exec
            .opener
            .take()
            .and_then(|opener| self.connections.get_mut(&opener).map(|c| (opener, c)));
        let Some((opener, connection)) = opener else {
            return;
        };
        match answer.map(|()| view(key, exec, HEADER_BYTES)).or_else(refuse) {
            Ok(phase) => connection.phase = phase,
            Err(Closed) => drop(self.connections.remove(&opener)),
        }
    }
}

fn view(key: u64, exec: &Exec, position: u64) -> Phase {
    let answer =
        Opened::Streaming { offset: position }.to_frame().expect("an offset fits into a frame");
    Phase::Viewing { exec: key, viewer: Viewer::new(exec.log.clone(), position, answer) }
}

fn reply(done: Result<(), Refusal>) -> ControlReply {
    done.map_or_else(|refusal| ControlReply::Refused { refusal }, |()| ControlReply::Done)
}

fn answer(reply: &ControlReply, socket: Option<OwnedFd>) -> Result<Phase, Closed> {
    let frame = reply.to_frame().map_err(|_| Closed)?;
    Ok(Phase::Answering { outbox: Outbox::with_descriptor(frame, socket) })
}

fn dial(attempt: Attempt, now: Instant) -> Result<Phase, Closed> {
    let (dialed, socket) = match attempt {
        Attempt::Pending(pending) => {
            return Ok(Phase::Dialing { connecting: Some(pending), until: now + DIAL_DEADLINE });
        }
        Attempt::Connected(socket) => (Dialed::Connected {}, Some(socket)),
        Attempt::Refused(errno) => {
            let mut listening = ports::listening();
            listening.retain(|port| ![EGRESS_PORT, SOCKS_PORT, NAME_PORT].contains(port));
            listening.truncate(LISTENING_MAX);
            (Dialed::Refused { errno: errno.raw_os_error(), listening }, None)
        }
    };
    let frame = dialed.to_frame().map_err(|_| Closed)?;
    Ok(Phase::Answering { outbox: Outbox::with_descriptor(frame, socket) })
}

fn refuse(refusal: Refusal) -> Result<Phase, Closed> {
    let frame = Opened::Refused { refusal }.to_frame().map_err(|_| Closed)?;
    Ok(Phase::Answering { outbox: Outbox::new(frame) })
}
