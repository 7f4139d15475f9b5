//! Create: checked and recorded in one transaction, then carried out by the sandbox's own actor.

use std::sync::Arc;

use jiff::Timestamp;
use sandbar_store::{
    IdempotencyAt, IdempotencyRow, SandboxRow, WriteTxn, event_insert_of_sandbox_in_txn,
    idempotency_fetch, idempotency_insert_in_txn, idempotency_replayed_in_txn,
    operation_insert_in_txn, reservation_insert_in_txn, reservation_list, sandbox_count_living,
    sandbox_find_name, sandbox_insert_in_txn,
};
use sandbar_types::{Generation, HostPath, SandboxId, SandboxName, SandboxState, Source, TenantId};
use tokio::sync::oneshot;

use super::{IdempotencyKey, Sandbox, SandboxCreateParams, SandboxCreated, admission, quota};
use crate::{
    Error, ErrorKind, Result,
    actor::{ActorHandle, Beginning, Ordinary},
    app::{Place, Placed},
    engine::Inner,
    event::EventPayload,
    idempotency, network,
    record::LAUNCH_STEPS,
    upkeep,
    workspace_view::blocking,
};

/// The route that a key belongs to.
const ROUTE: &str = "sandbox_create";

enum Begun {
    New(ActorHandle, oneshot::Receiver<Result<()>>),
    Replayed(SandboxId),
}

pub(crate) async fn create(
    inner: Arc<Inner>,
    params: SandboxCreateParams,
    place: Place,
) -> Result<SandboxCreated> {
    if inner.leaving.is_cancelled() {
        return Err(Error::new(ErrorKind::Unavailable, "unavailable", "the server is leaving"));
    }
    let mut conn = inner.store.read().await?;
    quota::admit_source(&mut conn, params.tenant, &params.spec.source).await?;
    drop(conn);
    let spec = admission::check(params.spec, &inner.config.data_dir)?;
    network::check(&*inner.config.network, &spec.network)?;
    let params = SandboxCreateParams { spec, ..params };
    upkeep::admit_disk(&inner).await?;
    upkeep::admit_total(&inner)?;
    let glance = glance(&params.spec.source).await?;
    match begin(&inner, (params, place), glance).await? {
        Begun::New(handle, answer) => {
            answer.await.unwrap_or_else(|_gone| {
                Err(Error::new(ErrorKind::Unavailable, "unavailable", "the server is leaving"))
            })?;
            Ok(SandboxCreated::New(Box::new(Sandbox::of(&handle.row()))))
        }
        Begun::Replayed(id) => replay(&inner, id).await,
    }
}

/// What is remembered of a source.
#[derive(Default)]
struct Glance {
    base_commit: Option<String>,
    inode: Option<i64>,
}

/// The commit that the source is at, and which directory it is: a glance, before anything is locked.
async fn glance(source: &Source) -> Result<Glance> {
    let Source::Directory { path } = source else {
        return Ok(Glance::default());
    };
    let path = path.clone();
    blocking(move || Glance {
        base_commit: sandbar_git::head_commit(path.as_path()),
        inode: crate::source::inode_to_remember(path.as_path()),
    })
    .await
}

async fn begin(
    inner: &Arc<Inner>,
    (params, place): (SandboxCreateParams, Place),
    glance: Glance,
) -> Result<Begun> {
    let _creating = inner.creating.lock().await;
    let now = inner.config.clock.now();
    let mut txn = inner.store.begin().await?;
    if let Some(key) = &params.idempotency
        && let Some(id) = find_replay(&mut txn, params.tenant, key, now).await?
    {
        idempotency_replayed_in_txn(&mut txn, &at(params.tenant, key)).await?;
        txn.commit().await?;
        return Ok(Begun::Replayed(id));
    }
    let Glance { base_commit, inode: source_inode } = glance;
    quota::admit(&mut txn, params.tenant, &params.spec, &inner.metrics).await?;
    let placed = place.admit(&mut txn).await?;
    let planned = plan_row(inner, &mut txn, (&params, &placed), now).await?;
    let row = SandboxRow { base_commit, source_inode, ..planned };
    let reserved = admission::reservations(&row.spec)?;
    refuse_overlap(inner, &mut txn, &row, &reserved).await?;
    sandbox_insert_in_txn(&mut txn, &row).await.map_err(|err| placed.refusal(err))?;
    for path in &reserved {
        reservation_insert_in_txn(&mut txn, row.id, path).await?;
    }
    if let Some(key) = params.idempotency {
        let row = IdempotencyRow {
            at: at(params.tenant, &key),
            request_hash: key.request_hash,
            sandbox_id: Some(row.id),
            response: None,
            expires_at: now + inner.settings().idempotency_ttl,
            replays: 0,
        };
        idempotency_insert_in_txn(&mut txn, &row).await?;
    }
    operation_insert_in_txn(&mut txn, row.id, "launch", &LAUNCH_STEPS, &row.nonce, now).await?;
    let event =
        event_insert_of_sandbox_in_txn(&mut txn, row.id, now, &EventPayload::Created.to_value())
            .await?;
    txn.commit().await?;
    inner.event_written(event);
    let (reply, answer) = oneshot::channel();
    let handle = inner.actor_spawn(row, Beginning::Create { reply });
    Ok(Begun::New(handle, answer))
}

fn at(tenant_id: TenantId, key: &IdempotencyKey) -> IdempotencyAt {
    let IdempotencyKey { principal, key, .. } = key;
    IdempotencyAt {
        tenant_id,
        principal: principal.clone(),
        route: ROUTE.to_owned(),
        key: key.clone(),
    }
}

/// The sandbox that a key made before; an error when the key was used for something else.
async fn find_replay(
    txn: &mut WriteTxn,
    tenant: TenantId,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<SandboxId>> {
    let Some(found) = idempotency_fetch(txn, &at(tenant, key), now).await? else {
        return Ok(None);
    };
    if found.request_hash != key.request_hash {
        return Err(idempotency::reused());
    }
    Ok(found.sandbox_id)
}

async fn replay(inner: &Arc<Inner>, id: SandboxId) -> Result<SandboxCreated> {
    let Ok(handle) = inner.actor(id) else {
        // A retry that comes after the delete must not bring the sandbox back, and cannot return what is gone.
        return Err(Error::new(
            ErrorKind::Conflict,
            "idempotency_key_reused",
            "the sandbox that this idempotency key made was deleted",
        )
        .hint("use a new key to create another one")
        .details(&serde_json::json!({ "sandbox_id": id })));
    };
    if handle.row().state == SandboxState::Creating {
        handle.ask(|reply| Ordinary::Start { reply }).await?;
    }
    Ok(SandboxCreated::Replayed(Box::new(Sandbox::of(&handle.row()))))
}

async fn plan_row(
    inner: &Inner,
    txn: &mut WriteTxn,
    (params, placed): (&SandboxCreateParams, &Placed),
    now: Timestamp,
) -> Result<SandboxRow> {
    let limit = inner.settings().sandboxes_max;
    if sandbox_count_living(txn).await? >= limit {
        return Err(Error::new(
            ErrorKind::LimitReached,
            "limit_reached",
            format!("there are {limit} sandboxes already"),
        )
        .hint("delete some: `sandbar gc` shows which may go")
        .details(&serde_json::json!({ "limit": "sandboxes_max", "value": limit })));
    }
    let id = SandboxId::generate();
    let name = choose_name(txn, (params, placed), id).await?;
    let mut spec = params.spec.clone();
    spec.name = Some(name.clone());
    let lease_until = match spec.expiry.ttl_ms {
        Some(ttl) => {
            Some(now.checked_add(std::time::Duration::from_millis(ttl)).map_err(|_err| {
                Error::new(ErrorKind::Invalid, "invalid_value", "`expiry.ttl_ms` is too long")
            })?)
        }
        None => None,
    };
    Ok(SandboxRow {
        id,
        tenant_id: params.tenant,
        app_id: placed.app.as_ref().map(|app| app.id),
        is_current: placed.is_current,
        name,
        spec,
        caller: serde_json::to_value(&params.caller).map_err(Error::internal)?,
        state: SandboxState::Creating,
        generation: Generation::FIRST,
        review_generation: Generation::FIRST,
        nonce: inner.nonce(),
        boot_id: inner.boot_id.clone(),
        uid_base: None,
        isolation: None,
        created_at: now,
        beginning_ns: sandbar_workspace::Base::beginning_ns(),
        base_commit: None,
        source_inode: None,
        updated_at: now,
        lease_until,
        stop_reason: None,
        keepalive_until: None,
        last_active_at: now,
        upper_bytes: 0,
        upper_files: 0,
        deleted_at: None,
    })
}

async fn choose_name(
    txn: &mut WriteTxn,
    (params, placed): (&SandboxCreateParams, &Placed),
    id: SandboxId,
) -> Result<SandboxName> {
    let SandboxCreateParams { tenant, spec, .. } = params;
    if let Some(name) = &spec.name {
        return match sandbox_find_name(txn, *tenant, name).await? {
            None => Ok(name.clone()),
            Some(holder) => Err(Error::new(
                ErrorKind::Conflict,
                "name_taken",
                format!("sandbox {holder} has the name `{name}`"),
            )
            .hint("choose another name, or none")
            .details(&serde_json::json!({ "holder": holder }))),
        };
    }
    let app = placed.app.as_ref().map(|app| app.name.to_sandbox_name());
    if let Some(name) = &app
        && sandbox_find_name(txn, *tenant, name).await?.is_none()
    {
        return Ok(name.clone());
    }
    let own = match &app {
        Some(name) => Some(name.to_string()),
        None => source_name(&spec.source),
    };
    let id = id.to_string();
    // The end of the id is its random part; the more of it, the surer.
    for len in [4, 8, 32] {
        let name = generated_name(own.as_deref(), &id[id.len() - len..]);
        if sandbox_find_name(txn, *tenant, &name).await?.is_none() {
            return Ok(name);
        }
    }
    Err(Error::internal("no generated name is free"))
}

/// What the source is called.
fn source_name(source: &Source) -> Option<String> {
    match source {
        Source::Directory { path } => {
            path.as_path().file_name().map(|name| name.to_string_lossy().to_lowercase())
        }
        Source::Preset { preset } => Some(preset.to_string()),
        Source::Empty => None,
    }
}

/// A name that says which project it is: the project's own name, as far as a name can hold it.
fn generated_name(own: Option<&str>, tail: &str) -> SandboxName {
    let mut own: String = own
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect::<String>()
        .trim_matches('-')
        .to_owned();
    own.truncate(24);
    let stem = if own.is_empty() { "sandbox" } else { own.trim_end_matches('-') };
    format!("{stem}-{tail}")
        .parse()
        .expect("letters, digits and dashes, a letter or digit first, at most 57 bytes")
}

async fn refuse_overlap(
    inner: &Inner,
    txn: &mut WriteTxn,
    row: &SandboxRow,
    asked: &[HostPath],
) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let held = reservation_list(txn).await?;
    for asked in asked {
        for held in &held {
            let Some(kind) = admission::overlap(asked, &held.path) else { continue };
            let is_own = inner
                .actors()
                .get(&held.sandbox_id)
                .is_some_and(|holder| holder.row().tenant_id == row.tenant_id);
            return Err(if is_own {
                admission::overlap_refusal(held.sandbox_id, kind, &held.path, asked)
            } else {
                admission::overlap_refusal_by_others(asked)
            });
        }
    }
    Ok(())
}
