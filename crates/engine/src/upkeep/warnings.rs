//! What is nearly reached: said once when it is crossed, and again only after it was better in between.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandbar_store::{EventSubject, event_insert_in_txn, tenant_list, tenant_list_limits};
use sandbar_types::{QuotaKind, SandboxId, SandboxState, TenantId};

use super::plan::{Deed, Planned};
use crate::{Result, engine::Inner, event::EventPayload};

/// How long before the end of a lease it is said.
const LEASE_NOTICE: Duration = Duration::from_mins(10);
/// Shares in percent at which something that fills is said.
const NEAR: [u8; 2] = [80, 90];

/// What somebody may be warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    /// The lease of a sandbox.
    Lease(SandboxId),
    /// A part of a tenant's quota.
    Quota(TenantId, QuotaKind),
    /// The disk that a running sandbox shares with everybody.
    DataDisk(SandboxId),
    /// What all sandboxes may hold.
    Total,
}

/// How near a limit is: a share in percent, of those at which something is said.
pub(super) type Level = u8;

/// How near each limit was when it was last said.
pub(super) type Said = BTreeMap<Limit, Level>;

/// Something that is to be said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Warning {
    limit: Limit,
    level: Level,
    tenant: TenantId,
    sandbox: Option<SandboxId>,
    payload: EventPayload,
}

/// The highest of the shares at which something is said that `used` of `most` reaches; 0 below all of them.
pub(crate) fn level(used: u64, most: u64) -> Level {
    let reached = |share: &&Level| u128::from(used) * 100 >= u128::from(most) * u128::from(**share);
    NEAR.iter().rev().find(reached).copied().unwrap_or(0)
}

/// Decides what is said: what is nearer than when it was last said. What got better is forgotten, also of `said`.
fn plan(near: Vec<Warning>, said: &mut Said) -> Vec<Warning> {
    let now: BTreeMap<_, _> = near.iter().map(|warning| (warning.limit, warning.level)).collect();
    said.retain(|limit, level| match now.get(limit) {
        Some(now) => {
            *level = (*level).min(*now);
            true
        }
        None => false,
    });
    near.into_iter()
        .filter(|warning| said.get(&warning.limit).is_none_or(|level| *level < warning.level))
        .collect()
}

pub(super) async fn find(inner: &Arc<Inner>) -> Result<Vec<Planned>> {
    let mut near = leases(inner);
    near.extend(data_disk(inner).await?);
    near.extend(total(inner));
    near.extend(quotas(inner).await?);
    let planned = plan(near, &mut inner.upkeep.said());
    let planned = planned.into_iter().map(|warning| Planned {
        sandbox_id: warning.sandbox,
        what: "warning".to_owned(),
        reason: format!("{:?} is at {} percent", warning.limit, warning.level),
        bytes: None,
        deed: Deed::Warn(warning),
    });
    Ok(planned.collect())
}

fn leases(inner: &Inner) -> Vec<Warning> {
    let now = inner.config.clock.now();
    let rows: Vec<_> = inner.actors().values().map(|handle| handle.row()).collect();
    let near = rows.iter().filter_map(|row| {
        let until = row.lease_until?;
        let is_alive = matches!(row.state, SandboxState::Running | SandboxState::Paused);
        (is_alive && until > now && until <= now + LEASE_NOTICE).then(|| Warning {
            limit: Limit::Lease(row.id),
            level: 100,
            tenant: row.tenant_id,
            sandbox: Some(row.id),
            payload: EventPayload::LeaseEnding { lease_until: until },
        })
    });
    near.collect()
}

/// Every sandbox that runs is told: it is the one that may write.
async fn data_disk(inner: &Inner) -> Result<Vec<Warning>> {
    let free_bytes = super::disk::free_bytes(inner).await?;
    if free_bytes >= inner.settings().free_bytes_low {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = inner.actors().values().map(|handle| handle.row()).collect();
    let running = rows.iter().filter(|row| row.state == SandboxState::Running);
    let near = running.map(|row| Warning {
        limit: Limit::DataDisk(row.id),
        level: 100,
        tenant: row.tenant_id,
        sandbox: Some(row.id),
        payload: EventPayload::DataDiskLow { free_bytes },
    });
    Ok(near.collect())
}

fn total(inner: &Inner) -> Option<Warning> {
    let (limit_bytes, total_bytes) =
        inner.settings().total_disk_bytes_max.zip(inner.upkeep.total_bytes())?;
    let level = level(total_bytes, limit_bytes);
    (level > 0).then_some(Warning {
        limit: Limit::Total,
        level,
        tenant: TenantId::DEFAULT,
        sandbox: None,
        payload: EventPayload::TotalDiskWarning { total_bytes, limit_bytes, percent: level },
    })
}

async fn quotas(inner: &Inner) -> Result<Vec<Warning>> {
    let mut conn = inner.store.read().await?;
    let mut near = Vec::new();
    for tenant in tenant_list(&mut conn).await? {
        if tenant.quota.is_unlimited() {
            continue;
        }
        let held = tenant_list_limits(&mut conn, tenant.id).await?;
        for (quota, used, most) in tenant.quota.used(&held) {
            let level = level(used, most);
            if level < NEAR[1] {
                continue;
            }
            near.push(Warning {
                limit: Limit::Quota(tenant.id, quota),
                level,
                tenant: tenant.id,
                sandbox: None,
                payload: EventPayload::QuotaWarning { quota, used, most },
            });
        }
    }
    Ok(near)
}

pub(super) async fn carry_out(inner: &Inner, warning: &Warning) -> Result<()> {
    let subject = EventSubject { tenant_id: warning.tenant, app_id: None, sandbox_id: None };
    let (now, payload) = (inner.config.clock.now(), warning.payload.to_value());
    match warning.sandbox {
        Some(id) => inner.event_try_append(id, &warning.payload).await?,
        None => {
            let mut txn = inner.store.begin().await?;
            let event = event_insert_in_txn(&mut txn, &subject, now, &payload).await?;
            txn.commit().await?;
            inner.event_written(event);
        }
    }
    // Only what was written was said; the rest is tried again.
    inner.upkeep.said().insert(warning.limit, warning.level);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn warning(level: Level) -> Warning {
        Warning {
            limit: Limit::Total,
            level,
            tenant: TenantId::DEFAULT,
            sandbox: None,
            payload: EventPayload::DataDiskLow { free_bytes: 0 },
        }
    }

    #[test]
    fn a_share_is_reached_exactly() {
        let levels = [0, 79, 80, 89, 90, 200].map(|used| level(used, 100));
        assert_eq!(levels, [0, 0, 80, 80, 90, 90]);
        assert_eq!(level(u64::MAX, u64::MAX), 90);
    }

    proptest! {
        #[test]
        fn each_crossing_is_said_once(levels in prop::collection::vec(0_usize..3, 1..50)) {
            let mut said = Said::new();
            let mut before = 0;
            for level in levels.into_iter().map(|at| [0, 80, 90][at]) {
                let near = || if level > 0 { vec![warning(level)] } else { Vec::new() };
                let news = plan(near(), &mut said);
                prop_assert_eq!(!news.is_empty(), level > before);
                for warning in news {
                    said.insert(warning.limit, warning.level);
                }
                prop_assert!(plan(near(), &mut said).is_empty(), "it was said already");
                before = level;
            }
        }
    }
}
