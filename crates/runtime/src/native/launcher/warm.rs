//! What every launch needs and none differs in: ids, namespaces, control groups, and an init that waits in them.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal, setsid},
    thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use sandbar_linux::{
    clone::{CLONE_PARENT, CloneSpec, Cloned, clone_process},
    loopback,
    namespace::{Namespace, unshare},
};
use serde::{Deserialize, Serialize};

use super::{
    binds, init,
    layers::Idmaps,
    step::{Failure, Step, Steps},
    userns::{Maps, end, open_userns, reap, write_maps},
};
use crate::native::{
    cgroup::{CgroupSlot, Hierarchies},
    plan::{Ids, Link, Mount},
    wire,
};

/// What a launcher is told before it knows for whom it will launch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native) struct Prepare {
    /// Names the server.
    pub(in crate::native) instance: String,
    /// Names the control groups.
    pub(in crate::native) slot: String,
    /// Whose ids.
    pub(in crate::native) ids: Ids,
    /// Whether control groups can be made here.
    pub(in crate::native) has_cgroups: bool,
    /// A test's wish.
    pub(in crate::native) failpoint: Option<String>,
    /// What the sandbox stands on; `None` in user mode, where init may open nothing before it knows for whom.
    pub(in crate::native) ground: Option<Ground>,
    /// Whose sources are expected.
    pub(in crate::native) owners: Vec<(u32, u32)>,
}

/// The part of a root that depends on the host alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native) struct Ground {
    pub(in crate::native) links: Vec<Link>,
    pub(in crate::native) mounts: Vec<Mount>,
}

/// A sandbox without a workspace: its init waits for an order.
#[derive(Debug)]
pub(in crate::native) struct Warm {
    pub(in crate::native) prepare: Prepare,
    pub(in crate::native) init: Pid,
    pub(in crate::native) pidfd: OwnedFd,
    /// To init, until it is the supervisor.
    pub(in crate::native) order: UnixStream,
    pub(in crate::native) userns: OwnedFd,
    pub(in crate::native) cgroup: Option<CgroupSlot>,
    /// Views of the trees of those who own most sources; taken once.
    pub(super) idmaps: RefCell<Option<Idmaps>>,
}

impl Warm {
    /// Makes it. The calling process becomes its keeper.
    pub(super) fn make(prepare: Prepare) -> Result<Self, Failure> {
        let steps = Steps::new(prepare.failpoint.clone());
        let (order, order_inside) = steps.take(Step::Init, UnixStream::pair)?;
        let (helper, userns, order) = steps.check(Step::UserNamespace, || {
            Helper::start(&prepare, order_inside, order).map_err(|err| no_user_namespace(&err))
        })?;
        let cgroup = match steps.check(Step::Cgroup, || make_cgroup(&prepare, helper.pid)) {
            Ok(cgroup) => cgroup,
            Err(failure) => {
                helper.abandon();
                return Err(failure);
            }
        };
        let cloned = steps.take(Step::Init, || helper.clone_init());
        let (init, pidfd) = match cloned {
            Ok(cloned) => cloned,
            Err(failure) => {
                release_cgroup(cgroup);
                return Err(failure);
            }
        };
        let warm = Self { prepare, init, pidfd, order, userns, cgroup, idmaps: RefCell::new(None) };
        match warm.prepare(&steps) {
            Ok(()) => Ok(warm),
            Err(failure) => {
                warm.abandon();
                Err(failure)
            }
        }
    }

    /// Does what can be done before anybody asks.
    fn prepare(&self, steps: &Steps) -> Result<(), Failure> {
        if let Some(ground) = &self.prepare.ground {
            let userns = Some(self.userns.as_fd());
            let trees = steps.take(Step::Binds, || binds::open_ground(&ground.mounts, userns))?;
            let (indices, fds): (Vec<usize>, Vec<BorrowedFd<'_>>) =
                trees.iter().map(|(index, tree)| (*index, tree.as_fd())).unzip();
            steps.take(Step::Order, || wire::send(&self.order, &indices, &fds))?;
            let mut idmaps = Idmaps::new(self.prepare.ids);
            let owners = &self.prepare.owners;
            steps
                .take(Step::Idmap, || owners.iter().try_for_each(|owner| idmaps.prepare(*owner)))?;
            self.idmaps.replace(Some(idmaps));
        }
        if let Some(cgroup) = &self.cgroup {
            let denied = |err| Failure::Step {
                step: Step::Cgroup.name().to_owned(),
                errno: None,
                message: chain(&err),
            };
            steps.check(Step::Cgroup, || cgroup.deny_devices().map_err(denied))?;
        }
        steps.check(Step::Network, || self.wait_ready())
    }

    /// Waits until init has set up what needs no order.
    fn wait_ready(&self) -> Result<(), Failure> {
        match wire::receive::<Result<(), Failure>>(&self.order) {
            Ok((ready, _)) => ready,
            Err(err) => Err(Failure::at(Step::Network, &err)),
        }
    }

    /// Kills init and removes everything.
    pub(super) fn abandon(self) {
        // It may have ended by itself; then there is nothing to kill.
        let _sent = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        if let Err(err) = reap(self.pidfd.as_fd()) {
            tracing::warn!(error = &err as &dyn std::error::Error, "failed to reap init");
        }
        release_cgroup(self.cgroup);
    }
}

/// Where the host forbids user namespaces there is no sandbox at all, and somebody must hear how to allow them.
fn no_user_namespace(err: &io::Error) -> Failure {
    let forbidden = [Errno::PERM, Errno::ACCESS, Errno::NOSPC, Errno::USERS];
    if forbidden.iter().all(|errno| err.raw_os_error() != Some(errno.raw_os_error())) {
        return Failure::at(Step::UserNamespace, err);
    }
    Failure::Unsupported {
        what: format!("user namespaces cannot be made here ({err})"),
        hint: Some(
            "allow them: sysctl user.max_user_namespaces above 0; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0 or a profile; in a container, its runtime's seccomp profile"
                .to_owned(),
        ),
    }
}

/// Kills what is left in `cgroup` and removes it; what cannot be removed is found by name later.
pub(in crate::native) fn release_cgroup(cgroup: Option<CgroupSlot>) {
    let Some(cgroup) = cgroup else { return };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let removed =
        cgroup.kill(deadline).and_then(|()| cgroup.remove(std::time::Duration::from_secs(1)));
    if let Err(err) = removed {
        tracing::warn!(error = &err as &dyn std::error::Error, "failed to remove control groups");
    }
}

fn make_cgroup(prepare: &Prepare, helper: Pid) -> Result<Option<CgroupSlot>, Failure> {
    if !prepare.has_cgroups {
        return Ok(None);
    }
    let failed = |err: crate::native::cgroup::CgroupError| Failure::Step {
        step: Step::Cgroup.name().to_owned(),
        errno: None,
        message: chain(&err),
    };
    let hierarchies = Hierarchies::discover().map_err(failed)?;
    let cgroup =
        CgroupSlot::create(&hierarchies, &prepare.instance, &prepare.slot).map_err(failed)?;
    if let Err(err) = cgroup.attach(helper) {
        release_cgroup(Some(cgroup));
        return Err(failed(err));
    }
    Ok(Some(cgroup))
}

/// An error and its sources in one line.
pub(in crate::native) fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        text = format!("{text}: {err}");
        source = err.source();
    }
    text
}

/// The process that enters the user namespace and the control groups first, clones init as the keeper's child, and ends.
struct Helper {
    pid: Pid,
    pidfd: OwnedFd,
    talk: UnixStream,
}

impl Helper {
    fn start(
        prepare: &Prepare,
        order: UnixStream,
        outside: UnixStream,
    ) -> io::Result<(Self, OwnedFd, UnixStream)> {
        let (talk, talk_inside) = UnixStream::pair()?;
        let (pid, pidfd) = match clone_process(CloneSpec::default())? {
            Cloned::Child => {
                // Or init would hold the keeper's end itself, and never see it close.
                drop((talk, outside));
                end(i32::from(run_helper(talk_inside, &order, prepare).is_err()));
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop(talk_inside);
        drop(order);
        let mut helper = Self { pid, pidfd, talk };
        match helper.map(prepare.ids) {
            Ok(userns) => Ok((helper, userns, outside)),
            Err(err) => {
                helper.abandon();
                Err(err)
            }
        }
    }

    fn map(&mut self, ids: Ids) -> io::Result<OwnedFd> {
        self.hear()?;
        let (uid, gid) = ids.maps();
        write_maps(self.pid, &Maps { uid, gid }, ids)?;
        open_userns(self.pid)
    }

    /// Waits for the helper's next word, which is an error number or 0.
    fn hear(&mut self) -> io::Result<()> {
        let mut word = [0; 4];
        self.talk.read_exact(&mut word)?;
        match i32::from_le_bytes(word) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn clone_init(mut self) -> io::Result<(Pid, OwnedFd)> {
        self.talk.write_all(&[1])?;
        let cloned = self.hear().and_then(|()| {
            let mut pid = [0; 4];
            self.talk.read_exact(&mut pid)?;
            let pid = Pid::from_raw(i32::from_le_bytes(pid)).ok_or(io::ErrorKind::InvalidData)?;
            // Our child by CLONE_PARENT, and not reaped: the number is its own.
            prefer_for_memory(pid);
            Ok((pid, pidfd_open(pid, PidfdFlags::empty())?))
        });
        reap(self.pidfd.as_fd())?;
        cloned
    }

    fn abandon(self) {
        drop(self.talk);
        let _sent = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _reaped = reap(self.pidfd.as_fd());
    }
}

/// When the host is short of memory, agents go before anything of the host: what init starts inherits it. From outside,
/// because inside `/proc` cannot be written; it is a raise, which needs no privilege. See proc_pid_oom_score_adj(5).
fn prefer_for_memory(init: Pid) {
    // Best effort: the limits of the sandbox hold without it.
    let _scored = std::fs::write(format!("/proc/{}/oom_score_adj", init.as_raw_nonzero()), "500");
}

fn run_helper(mut talk: UnixStream, order: &UnixStream, prepare: &Prepare) -> io::Result<()> {
    let entered = enter(prepare.ids);
    say(&mut talk, &entered)?;
    entered?;
    // Maps are written, and this process is in its control groups.
    talk.read_exact(&mut [0])?;
    let cloned = become_root(prepare.ids).and_then(|()| {
        let namespaces =
            [Namespace::Pid, Namespace::Network, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup];
        let flags = namespaces
            .iter()
            .fold(u64::from(CLONE_PARENT), |flags, namespace| flags | namespace.flag());
        clone_process(CloneSpec { flags, cgroup: None })
    });
    match cloned {
        Ok(Cloned::Child) => {
            drop(talk);
            end(init_main(order, prepare))
        }
        Ok(Cloned::Parent { pid, .. }) => {
            say(&mut talk, &Ok(()))?;
            talk.write_all(&pid.as_raw_nonzero().get().to_le_bytes())
        }
        Err(err) => say(&mut talk, &Err(err)),
    }
}

fn say(talk: &mut UnixStream, result: &io::Result<()>) -> io::Result<()> {
    let errno = match result {
        Ok(()) => 0,
        Err(err) => err.raw_os_error().unwrap_or_else(|| Errno::IO.raw_os_error()),
    };
    talk.write_all(&errno.to_le_bytes())
}

/// Becomes the creator of this sandbox, without groups, and enters a new user namespace.
fn enter(ids: Ids) -> io::Result<()> {
    if let Some(creator) = ids.creator() {
        set_thread_groups(&[])?;
        let gid = Gid::from_raw(creator);
        set_thread_res_gid(gid, gid, gid)?;
        let uid = Uid::from_raw(creator);
        set_thread_res_uid(uid, uid, uid)?;
    }
    unshare(Namespace::User)
}

/// Becomes root of the sandbox, where it has one.
fn become_root(ids: Ids) -> io::Result<()> {
    match ids {
        Ids::Range { .. } => {
            set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
            Ok(set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?)
        }
        Ids::Single { .. } => Ok(()),
    }
}

/// Init's life up to its order, and beyond: it returns only when it failed.
fn init_main(order: &UnixStream, prepare: &Prepare) -> i32 {
    let steps = Steps::new(prepare.failpoint.clone());
    let ready = prepare_init().map_err(|err| Failure::at(Step::Network, &err)).and_then(|()| {
        prepare.ground.as_ref().map(|ground| init::stand(ground, order, &steps)).transpose()
    });
    let (ready, root) = match ready {
        Ok(root) => (Ok(()), root),
        Err(failure) => (Err(failure), None),
    };
    if wire::send(order, &ready, &[]).is_err() || ready.is_err() {
        return 1;
    }
    // Made while nobody waits for it.
    let program = crate::native::seccomp_policy::default_program();
    init::obey(order, prepare.ids, &program, root)
}

fn prepare_init() -> io::Result<()> {
    // After the last change of ids, which clears it. A keeper that is gone already is seen as the end of `order`.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    setsid()?;
    loopback::bring_up()?;
    std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
    // Only ids that exist inside can be written; in user mode that is the agent's alone.
    let groups = if rustix::process::getuid().is_root() { "0 65534" } else { "1000 1000" };
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", groups)
}
