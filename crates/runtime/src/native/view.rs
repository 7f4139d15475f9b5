//! Descriptors of a workspace: the keeper's while it runs, a short-lived process's otherwise.

use std::{io, os::fd::OwnedFd, time::Duration};

use super::{
    NativeRuntime,
    ask::{ask, is_gone, unexpected},
    keeper::{Reply, Request},
    launcher::{Failure, ViewOrder},
    plan::{Plan, plan},
    toolchains::Offer,
    wire,
};
use crate::{LaunchError, LaunchSpec, View};

/// LIMIT: for a mount and a few directories.
const PATIENCE: Duration = Duration::from_secs(20);

impl NativeRuntime {
    pub(super) async fn view_of(&self, spec: &LaunchSpec) -> io::Result<View> {
        match ask(&spec.dir, Request::View, Duration::ZERO).await {
            Ok((Reply::View { owner }, fds)) => view(fds, owner),
            Ok(_) => Err(unexpected()),
            Err(err) if is_gone(&err) => self.view_at_rest(spec).await,
            Err(err) => Err(err),
        }
    }

    async fn view_at_rest(&self, spec: &LaunchSpec) -> io::Result<View> {
        let plan = self.plan_at_rest(spec).map_err(io::Error::other)?;
        let owner = plan.ids.agent_outside();
        let stream = self.pool.spawn("view").await?;
        let answer = tokio::time::timeout(PATIENCE, async {
            wire::send_async(&stream, &ViewOrder { plan }).await?;
            wire::receive_async::<Result<(), Failure>>(&stream).await
        });
        let (built, fds) = answer.await.unwrap_or_else(|elapsed| Err(elapsed.into()))?;
        built.map_err(|failure| io::Error::other(LaunchError::from(failure)))?;
        view(fds, owner)
    }

    fn plan_at_rest(&self, spec: &LaunchSpec) -> Result<Plan, LaunchError> {
        let slots = self.pool.slots.of(spec.id).map_err(LaunchError::Lost)?;
        let recorded = slots.last().map(|slot| self.pool.ids(*slot));
        let ids = match spec.uid_base {
            Some(base) => super::slots::Slot::of_base(base).map(|slot| self.pool.ids(slot)),
            None => recorded,
        };
        let ids = ids.ok_or_else(|| LaunchError::Source {
            what: "the sandbox never ran, so there is nothing to look at".to_owned(),
        })?;
        Ok(plan(spec.clone(), ids, &self.pool.facts(), Offer::default())?)
    }
}

fn view(fds: Vec<OwnedFd>, owner: (u32, u32)) -> io::Result<View> {
    let mut fds = fds.into_iter();
    let (Some(merged), Some(upper)) = (fds.next(), fds.next()) else {
        return Err(unexpected());
    };
    Ok(View { merged, upper, lower: fds.next(), owner })
}
