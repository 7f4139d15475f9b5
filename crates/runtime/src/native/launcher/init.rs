//! Process 1 between its order and the supervisor: builds the root it lives in, gives everything up, and becomes the supervisor.

use std::{
    convert::Infallible,
    ffi::CStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::thread::CapabilitySet;
use sandbar_linux::{
    capabilities::{AtExec, forbid_new_privileges, settle},
    exec::become_program,
    landlock::{Access, PathRule, restrict},
    namespace::{Namespace, join_new_session_keyring, unshare},
    seccomp::Program,
};
use serde::{Deserialize, Serialize};

use super::{
    binds,
    layers::{self, Idmaps},
    rootfs::{self, Root, Trees},
    step::{Failure, Step, Steps},
    warm::Ground,
};
use crate::native::{
    landlock_policy::{Layout, rules},
    plan::{Ids, Plan},
    wire,
};

/// What the supervisor keeps in its own user namespace: it starts commands as the agent, and signals them.
pub(in crate::native) const KEPT: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::KILL);

/// What init is told. Descriptors beside it: those of [`Given`], then in root mode the merged tree and one for each of `trees`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) plan: Plan,
    /// Indices into `plan.mounts`; empty in user mode, where init opens them itself.
    pub(super) trees: Vec<usize>,
    pub(super) failpoint: Option<String>,
}

/// What init says before it is the supervisor; the end of the stream is the success of the exec.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Says {
    /// The layers that it opened itself, as descriptors: merged, upper, and where there is one, lower.
    Layers,
    /// It ends.
    Failed(Failure),
}

/// The descriptors that every order brings.
struct Given {
    null: OwnedFd,
    listener: OwnedFd,
    keeper: OwnedFd,
    config: OwnedFd,
    program: OwnedFd,
    certificates: OwnedFd,
}

/// Builds the ground of a root from the trees that the keeper opened, and leaves the host's tree behind: an init that
/// waits for its order keeps no file system of the host busy but those that it shows.
pub(super) fn stand(ground: &Ground, talk: &UnixStream, steps: &Steps) -> Result<Root, Failure> {
    let (indices, fds) = steps.take(Step::Order, || wire::receive::<Vec<usize>>(talk))?;
    steps.take(Step::MountNamespace, rootfs::enter_private_mounts)?;
    let binds = steps.take(Step::Order, || rootfs::given(&indices, fds.into_iter()))?;
    let mut root = steps.take(Step::Root, || Root::make(&ground.links))?;
    steps.take(Step::Mounts, || root.attach_ground(&ground.mounts, binds))?;
    steps.take(Step::Pivot, || root.enter())?;
    Ok(root)
}

/// Waits for the order and carries it out; returns the exit code of its failure.
pub(super) fn obey(order: &UnixStream, ids: Ids, filter: &Program, root: Option<Root>) -> i32 {
    let Ok((order_frame, fds)) = wire::receive::<Order>(order) else {
        // The keeper let go: nobody wants this sandbox.
        return 0;
    };
    let Err(failure) = carry_out(&order_frame, fds, ids, filter, (order, root));
    // Where nobody listens any more, nobody is left to be told.
    let _told = wire::send(order, &Says::Failed(failure), &[]);
    1
}

fn carry_out(
    order: &Order,
    fds: Vec<OwnedFd>,
    ids: Ids,
    filter: &Program,
    (talk, root): (&UnixStream, Option<Root>),
) -> Result<Infallible, Failure> {
    let plan = &order.plan;
    let steps = Steps::new(order.failpoint.clone());
    let (given, rest) = steps.take(Step::Order, || Given::take(fds))?;
    // INVARIANT: namespaces are forbidden after the last mount was made, for each is born in a mount namespace of its own.
    match root {
        Some(mut root) => {
            let trees = steps.take(Step::Order, || Trees::given(&order.trees, rest))?;
            steps.take(Step::Mounts, || root.attach_own(plan, trees, &given.certificates))?;
            steps.take(Step::Sysctl, || root.forbid_namespaces())?;
        }
        None => {
            steps.take(Step::MountNamespace, rootfs::enter_private_mounts)?;
            let trees = open_here(plan, &steps, talk)?;
            let ground = steps.take(Step::Binds, || binds::open_ground(&plan.mounts, None))?;
            let mut root = steps.take(Step::Root, || Root::make(&plan.links))?;
            steps.take(Step::Mounts, || {
                root.attach_ground(&plan.mounts, ground)?;
                root.attach_own(plan, trees, &given.certificates)
            })?;
            steps.take(Step::Sysctl, || root.forbid_namespaces())?;
            steps.take(Step::Pivot, || root.enter())?;
        }
    }
    steps.take(Step::Hostname, || Ok(rustix::system::sethostname(plan.hostname.as_bytes())?))?;
    steps.take(Step::Keyring, join_new_session_keyring)?;
    confine(plan, ids, &given, filter, &steps)?;
    steps.take(Step::Exec, || given.become_supervisor(talk.as_fd()))
}

/// In user mode only this process, in its own user and mount namespace, may clone mounts.
fn open_here(plan: &Plan, steps: &Steps, talk: &UnixStream) -> Result<Trees, Failure> {
    let state = steps.take(Step::Directories, || layers::open_state(&plan.dir))?;
    let mut idmaps = Idmaps::new(plan.ids);
    let layers = layers::build(plan, state.as_fd(), &mut idmaps, steps)?;
    let opened = steps.take(Step::Binds, || binds::open_own(plan, state.as_fd(), &mut idmaps))?;
    let shown: Vec<BorrowedFd<'_>> =
        [Some(&layers.merged), Some(&layers.upper), layers.lower.as_ref()]
            .into_iter()
            .flatten()
            .map(AsFd::as_fd)
            .collect();
    steps.take(Step::Order, || wire::send(talk, &Says::Layers, &shown))?;
    Ok(Trees { merged: layers.merged, binds: opened })
}

fn confine(
    plan: &Plan,
    ids: Ids,
    given: &Given,
    filter: &Program,
    steps: &Steps,
) -> Result<(), Failure> {
    steps.take(Step::Landlock, || {
        forbid_new_privileges()?;
        let toolchains: Vec<&Path> = plan.toolchain_paths().map(AsRef::as_ref).collect();
        let layout = Layout {
            workspace: plan.workspace.as_path(),
            home: plan.home.as_path(),
            toolchains: &toolchains,
        };
        let mut rules = rules(layout);
        // The supervisor's own file lies outside: its path is the descriptor's.
        let program = std::os::fd::AsRawFd::as_raw_fd(&given.program);
        rules.push(PathRule {
            path: PathBuf::from(format!("/proc/self/fd/{program}")),
            access: Access::ReadExecute,
        });
        restrict(&rules).map(|_restricted| ()).map_err(io::Error::other)
    })?;
    steps.take(Step::Capabilities, || match ids {
        Ids::Range { .. } => settle(KEPT, AtExec::Kept),
        Ids::Single { .. } => settle(CapabilitySet::empty(), AtExec::Lost),
    })?;
    steps.take(Step::Seccomp, || filter.install())
}

impl Given {
    /// How many come before the trees.
    fn take(fds: Vec<OwnedFd>) -> io::Result<(Self, std::vec::IntoIter<OwnedFd>)> {
        let mut fds = fds.into_iter();
        let mut next = || {
            fds.next().ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "a descriptor is missing")
            })
        };
        let given = Self {
            null: next()?,
            listener: next()?,
            keeper: next()?,
            config: next()?,
            program: next()?,
            certificates: next()?,
        };
        Ok((given, fds))
    }

    fn become_supervisor(&self, report: BorrowedFd<'_>) -> io::Result<Infallible> {
        let null = self.null.as_fd();
        let arguments: [&CStr; 2] = [c"sandbar", c"__supervise"];
        let descriptors =
            [null, null, null, self.listener.as_fd(), self.keeper.as_fd(), self.config.as_fd()];
        become_program(self.program.as_fd(), &arguments, &descriptors, report)
    }
}

/// A mount namespace of this process's own.
pub(super) fn own_mounts() -> io::Result<()> {
    unshare(Namespace::Mount)
}
