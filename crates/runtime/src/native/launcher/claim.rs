//! From a waiting init to a running sandbox: the keeper's side of a launch.

use std::{
    cell::OnceCell,
    io::{self, Seek, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    time::Duration,
};

use rustix::{
    fs::{AtFlags, MemfdFlags, Mode, OFlags, memfd_create, open, openat, unlinkat},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
        sockopt,
    },
    process::umask,
};
use sandbar_protocol::{GO, Hello, PROTOCOL};
use sandbar_types::{Enforcement, IsolationReport, LimitEnforcement, Weakness};

use super::{
    Claim as Claimed, binds,
    init::{Order, Says},
    layers::{self, Idmaps, Layers},
    step::{Failure, Step, Steps},
    warm::{Warm, chain},
};
use crate::native::{
    disk,
    keeper::{KEEPER_SOCKET, Record, SUPERVISOR_SOCKET},
    plan::{Ids, Plan},
    read_back::{self, Expected},
    wire,
};

/// LIMIT: longer than any host that is not broken needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sandbox that runs, and what its keeper holds of it.
#[derive(Debug)]
pub(in crate::native) struct Running {
    pub(in crate::native) warm: Warm,
    pub(in crate::native) plan: Plan,
    pub(in crate::native) layers: Layers,
    pub(in crate::native) run: OwnedFd,
    pub(in crate::native) state: OwnedFd,
    pub(in crate::native) listener: UnixListener,
    /// To the supervisor; its end would tell it that nobody keeps it.
    #[expect(dead_code, reason = "held, not used")]
    pub(in crate::native) supervisor: OwnedFd,
    pub(in crate::native) isolation: IsolationReport,
    pub(in crate::native) record: Record,
    /// Nobody else may build on the same layers meanwhile; let go of last, after `layers`.
    #[expect(dead_code, reason = "held, not used")]
    pub(in crate::native) lock: OwnedFd,
}

/// What is open on the way, so that a failure can undo it.
struct Claim {
    warm: Warm,
    plan: Plan,
    certificates: OwnedFd,
    steps: Steps,
    /// Set once the sandbox is ours; before that its directories are somebody else's.
    lock: OnceCell<OwnedFd>,
}

/// Launches what is claimed into `warm`. A failure leaves nothing.
pub(super) fn launch(
    warm: Warm,
    claimed: Claimed,
    certificates: OwnedFd,
) -> Result<Running, Failure> {
    let Claimed { plan, failpoint } = claimed;
    let steps = Steps::new(failpoint.clone());
    let claim = Claim { warm, plan, certificates, steps, lock: OnceCell::new() };
    match claim.build(failpoint) {
        Ok(built) => Ok(Running {
            warm: claim.warm,
            plan: claim.plan,
            layers: built.layers,
            run: built.run,
            state: built.state,
            listener: built.listener,
            lock: claim.lock.into_inner().expect("the first thing that is built"),
            supervisor: built.keeper,
            isolation: built.isolation,
            record: built.record,
        }),
        Err(failure) => {
            claim.warm.abandon();
            if claim.lock.get().is_some() {
                remove_sockets(&claim.plan);
            }
            Err(failure)
        }
    }
}

struct Built {
    layers: Layers,
    run: OwnedFd,
    state: OwnedFd,
    listener: UnixListener,
    keeper: OwnedFd,
    isolation: IsolationReport,
    record: Record,
}

impl Claim {
    fn build(&self, failpoint: Option<String>) -> Result<Built, Failure> {
        let (plan, steps) = (&self.plan, &self.steps);
        let state = steps.take(Step::Directories, || layers::prepare_directories(plan))?;
        layers::check_state(state.as_fd())?;
        let lock = steps.take(Step::Directories, || layers::lock(state.as_fd()))?;
        self.lock.get_or_init(|| lock);
        let limits = steps.check(Step::Limits, || self.set_limits(state.as_fd()))?;
        let opened = match plan.ids {
            Ids::Range { .. } => Some(self.open_layers(state.as_fd())?),
            Ids::Single { .. } => None,
        };
        let (run, listener, supervisor) = steps.take(Step::Sockets, || sockets(state.as_fd()))?;
        let keeper =
            steps.take(Step::Order, || self.give_order(opened.as_ref(), &supervisor, failpoint))?;
        drop(supervisor);
        let sent = self.wait_for_exec()?;
        let layers = match (opened, sent) {
            (Some((layers, _)), _) => layers,
            (None, Some(layers)) => layers,
            (None, None) => {
                return Err(Failure::Verify {
                    what: "init did not hand over its layers".to_owned(),
                });
            }
        };
        let protocol = steps.check(Step::Hello, || wait_for_hello(keeper.as_fd()))?;
        let isolation = steps.check(Step::ReadBack, || self.read_back(limits))?;
        let record = Record::running(plan, &self.warm.prepare, self.warm.init, protocol);
        steps.take(Step::Record, || record.write(state.as_fd()))?;
        steps.take(Step::Go, || match send(&keeper, &[GO], SendFlags::NOSIGNAL)? {
            1 => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        })?;
        Ok(Built { layers, keeper, run, state, listener, isolation, record })
    }

    fn open_layers(
        &self,
        state: BorrowedFd<'_>,
    ) -> Result<(Layers, Vec<(usize, OwnedFd)>), Failure> {
        let mut idmaps = self.warm.idmaps.take().unwrap_or_else(|| Idmaps::new(self.plan.ids));
        let layers = layers::build(&self.plan, state, &mut idmaps, &self.steps)?;
        let trees =
            self.steps.take(Step::Binds, || binds::open_own(&self.plan, state, &mut idmaps))?;
        Ok((layers, trees))
    }

    fn set_limits(&self, state: BorrowedFd<'_>) -> Result<LimitEnforcement, Failure> {
        let mut held = LimitEnforcement {
            memory: Enforcement::None,
            cpu: Enforcement::None,
            pids: Enforcement::Rlimit,
            open_files: Enforcement::Rlimit,
            disk: disk::hold(state, self.plan.id, self.plan.limits.disk_bytes_max),
        };
        if let Some(cgroup) = &self.warm.cgroup {
            let set = cgroup.set_limits(&self.plan.limits).map_err(|err| Failure::Step {
                step: Step::Limits.name().to_owned(),
                errno: None,
                message: chain(&err),
            })?;
            (held.memory, held.cpu) = (set.memory, set.cpu);
            if set.pids != Enforcement::None {
                held.pids = set.pids;
            }
        }
        Ok(held)
    }

    /// Sends the order and everything it needs; returns the keeper's end of the supervisor's socket.
    fn give_order(
        &self,
        opened: Option<&(Layers, Vec<(usize, OwnedFd)>)>,
        supervisor: &UnixListener,
        failpoint: Option<String>,
    ) -> io::Result<OwnedFd> {
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let program = open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (keeper, inside) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let config = self.config()?;
        let mut fds: Vec<BorrowedFd<'_>> = vec![
            null.as_fd(),
            supervisor.as_fd(),
            inside.as_fd(),
            config.as_fd(),
            program.as_fd(),
            self.certificates.as_fd(),
        ];
        let mut trees = Vec::new();
        if let Some((layers, opened)) = opened {
            fds.push(layers.merged.as_fd());
            for (index, tree) in opened {
                trees.push(*index);
                fds.push(tree.as_fd());
            }
        }
        wire::send(&self.warm.order, &Order { plan: self.plan.clone(), trees, failpoint }, &fds)?;
        Ok(keeper)
    }

    /// What the supervisor is told, in memory that has no name anywhere.
    fn config(&self) -> io::Result<std::fs::File> {
        let mut config =
            std::fs::File::from(memfd_create("supervisor-config", MemfdFlags::CLOEXEC)?);
        config.write_all(&serde_json::to_vec(&self.plan.supervisor)?)?;
        config.rewind()?;
        Ok(config)
    }

    /// Waits until init is the supervisor: then, and only then, its end of the stream closes without a word.
    fn wait_for_exec(&self) -> Result<Option<Layers>, Failure> {
        let failed = |err: io::Error| Failure::at(Step::Exec, &err);
        self.warm.order.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut layers = None;
        loop {
            match wire::receive::<Says>(&self.warm.order) {
                Ok((Says::Failed(failure), _)) => return Err(failure),
                Ok((Says::Layers, fds)) => {
                    let mut fds = fds.into_iter();
                    let (Some(merged), Some(upper)) = (fds.next(), fds.next()) else {
                        return Err(Failure::Verify {
                            what: "init handed over too little".to_owned(),
                        });
                    };
                    layers = Some(Layers { merged, upper, lower: fds.next() });
                }
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(layers),
                Err(err) => return Err(failed(err)),
            }
        }
    }

    fn read_back(&self, limits: LimitEnforcement) -> Result<IsolationReport, Failure> {
        let plan = &self.plan;
        let mut weaknesses = plan.weaknesses.clone();
        for (held, code, message) in [
            (
                limits.memory,
                "memory_not_limited",
                "memory is not limited: no memory controller can be used here",
            ),
            (
                limits.cpu,
                "cpu_not_limited",
                "processor time is not limited: no cpu controller can be used here",
            ),
        ] {
            if held == Enforcement::None {
                weaknesses.push(Weakness { code: code.to_owned(), message: message.to_owned() });
            }
        }
        read_back::read_back(Expected {
            pid: self.warm.init,
            pidfd: self.warm.pidfd.as_fd(),
            ids: plan.ids,
            mounts: plan.demands(),
            source: plan.source.as_ref(),
            cgroup: self.warm.cgroup.as_ref(),
            limits,
            weaknesses,
            caches: plan.caches.clone(),
        })
    }
}

fn wait_for_hello(keeper: BorrowedFd<'_>) -> Result<u32, Failure> {
    let failed = |err: io::Error| Failure::at(Step::Hello, &err);
    sockopt::set_socket_timeout(keeper, sockopt::Timeout::Recv, Some(PATIENCE))
        .map_err(|err| failed(err.into()))?;
    let mut message = [0_u8; 1024];
    let (_, len) =
        recv(keeper, &mut message, RecvFlags::empty()).map_err(|err| failed(err.into()))?;
    if len == 0 {
        return Err(failed(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the supervisor ended before its first word",
        )));
    }
    let hello =
        message.get(..len).and_then(|bytes| Hello::from_frame(bytes).ok()).ok_or_else(|| {
            Failure::Verify { what: "the supervisor's first word is not a greeting".to_owned() }
        })?;
    if hello.protocol != PROTOCOL {
        return Err(Failure::Verify {
            what: format!(
                "the supervisor speaks version {} of the protocol, not {PROTOCOL}",
                hello.protocol
            ),
        });
    }
    Ok(hello.protocol)
}

/// Binds both sockets in `run`; only their owner can connect.
fn sockets(state: BorrowedFd<'_>) -> io::Result<(OwnedFd, UnixListener, UnixListener)> {
    let run = openat(
        state,
        "run",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let before = umask(Mode::from_raw_mode(0o177));
    let bound =
        bind(&run, KEEPER_SOCKET).and_then(|keeper| Ok((keeper, bind(&run, SUPERVISOR_SOCKET)?)));
    umask(before);
    let (keeper, supervisor) = bound?;
    Ok((run, keeper, supervisor))
}

fn bind(run: &OwnedFd, name: &str) -> io::Result<UnixListener> {
    remove(run.as_fd(), name)?;
    // By the descriptor: a socket's path may have 107 bytes only, and the data directory's may be longer.
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", std::os::fd::AsRawFd::as_raw_fd(run)))
}

/// Removes a file that may not be there.
pub(in crate::native) fn remove(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

fn remove_sockets(plan: &Plan) {
    let run = open(
        plan.dir.as_path().join("run"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let Ok(run) = run else { return };
    for name in [KEEPER_SOCKET, SUPERVISOR_SOCKET] {
        if let Err(err) = remove(run.as_fd(), name) {
            tracing::warn!(
                name,
                error = &err as &dyn std::error::Error,
                "failed to remove a socket"
            );
        }
    }
}
