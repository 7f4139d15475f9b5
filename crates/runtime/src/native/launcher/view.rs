//! The workspace of a sandbox that does not run: a short-lived process builds it, hands its descriptors over, and ends.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
};

use sandbar_linux::namespace::{Namespace, unshare};
use serde::{Deserialize, Serialize};

use super::{
    layers::{self, Idmaps},
    step::{Failure, Step, Steps},
};
use crate::native::{
    plan::{Ids, Plan},
    wire,
};

/// What is asked for; answered by a `Result<(), Failure>` with the descriptors merged, upper, and where there is one, lower.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::native) struct ViewOrder {
    pub(in crate::native) plan: Plan,
}

pub(super) fn view_main(server: &UnixStream) -> ExitCode {
    let Ok((order, _)) = wire::receive::<ViewOrder>(server) else {
        return ExitCode::FAILURE;
    };
    let built = build(&order.plan);
    let told = match &built {
        Ok(layers) => {
            let fds: Vec<_> = [Some(&layers.merged), Some(&layers.upper), layers.lower.as_ref()]
                .into_iter()
                .flatten()
                .map(AsFd::as_fd)
                .collect();
            wire::send(server, &Ok::<(), Failure>(()), &fds)
        }
        Err(failure) => wire::send(server, &Err::<(), &Failure>(failure), &[]),
    };
    if built.is_ok() && told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn build(plan: &Plan) -> Result<layers::Layers, Failure> {
    let steps = Steps::default();
    steps.take(Step::UserNamespace, || enter(plan.ids))?;
    let state = steps.take(Step::Directories, || layers::prepare_directories(plan))?;
    layers::check_state(state.as_fd())?;
    // So that a keeper that just answered has unmounted, and none mounts while we do.
    let _lock = steps.take(Step::Directories, || layers::lock(state.as_fd()))?;
    layers::build(plan, state.as_fd(), &mut Idmaps::new(plan.ids), &steps)
}

/// Without privileges, overlays can be made in a user namespace of one's own only. Writing its maps is up to the process itself.
fn enter(ids: Ids) -> io::Result<()> {
    match ids {
        Ids::Range { .. } => Ok(()),
        Ids::Single { .. } => {
            let (uid, gid) = ids.maps();
            unshare(Namespace::User)?;
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/gid_map", gid)?;
            std::fs::write("/proc/self/uid_map", uid)?;
            unshare(Namespace::Mount)
        }
    }
}
