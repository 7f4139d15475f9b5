//! What sandboxes use, and what can be given back.

use std::{fs, path::Path, time::Duration};

use axum::{Json as Answer, extract::State};
use futures_util::{StreamExt as _, stream};
use sandbar_api::{
    DiskUsage, ErrorCode, GcAction, GcOutcome, GcRequest, ReconcilerStatus, SandboxDiskUsage,
    SandboxUsage, Upkeep,
};
use sandbar_engine::{GcMode, Pending, UpkeepStatus};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    extract::{OptionalJson, Sandbox},
    state::AppState,
};

/// LIMIT: upper layers that are walked at once.
const LIMIT_WALKS: usize = 4;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(sandbox_usage))
        .routes(routes!(disk_usage))
        .routes(routes!(upkeep))
        .routes(routes!(gc))
}

/// What a sandbox uses now.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/usage", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = SandboxUsage)))]
async fn sandbox_usage(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Answer<SandboxUsage>, ApiError> {
    let used = state.engine.sandbox_usage(id).await?;
    let size = state.engine.sandbox_size(id).await?;
    Ok(Answer(SandboxUsage {
        memory_bytes: used.memory_bytes,
        pids: used.pids,
        cpu_us: used.cpu_us,
        oom_kills: used.oom_kills,
        upper_bytes: size.upper_bytes,
        upper_files: size.upper_files,
        home_bytes: size.home_bytes,
        logs_bytes: size.logs_bytes,
    }))
}

/// What the sandboxes of the tenant hold on disk, the largest first; measured now.
#[utoipa::path(get, path = "/v1/usage", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "read"}))), responses((status = 200, body = DiskUsage)))]
async fn disk_usage(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
) -> Answer<DiskUsage> {
    let engine = &state.engine;
    let mut sandboxes: Vec<_> = stream::iter(engine.sandbox_list(principal.tenant))
        .map(async |record| {
            // One that is deleted meanwhile holds nothing.
            let size = engine.sandbox_size(record.id).await.ok()?;
            Some(SandboxDiskUsage {
                id: record.id,
                name: record.name,
                upper_bytes: size.upper_bytes,
                upper_files: size.upper_files,
                home_bytes: size.home_bytes,
                logs_bytes: size.logs_bytes,
                updated_at: record.updated_at,
            })
        })
        .buffer_unordered(LIMIT_WALKS)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let bytes = |used: &SandboxDiskUsage| {
        used.upper_bytes.saturating_add(used.home_bytes).saturating_add(used.logs_bytes)
    };
    sandboxes.sort_unstable_by_key(|used| (std::cmp::Reverse(bytes(used)), used.id));
    Answer(DiskUsage {
        total_bytes: sandboxes.iter().map(bytes).fold(0, u64::saturating_add),
        // All tenants have one store; how large it is, is for who runs it.
        store_bytes: if principal.is_instance() { store_bytes(&state.data_dir) } else { 0 },
        sandboxes,
    })
}

/// The store is one file and what SQLite keeps beside it.
fn store_bytes(data_dir: &Path) -> u64 {
    ["sandbar.db", "sandbar.db-wal", "sandbar.db-shm"]
        .iter()
        .filter_map(|name| fs::metadata(data_dir.join(name)).ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// How the server keeps itself in order: what each part of that last did, and when it runs next.
#[utoipa::path(get, path = "/v1/upkeep", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance"}))), responses((status = 200, body = Upkeep)))]
async fn upkeep(State(state): State<AppState>) -> Answer<Upkeep> {
    Answer(Upkeep { reconcilers: state.engine.upkeep().into_iter().map(status).collect() })
}

fn status(status: UpkeepStatus) -> ReconcilerStatus {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    ReconcilerStatus {
        name: status.reconciler.as_str().to_owned(),
        meaning: status.reconciler.meaning().to_owned(),
        is_automatic: status.is_automatic,
        interval_ms: ms(status.interval),
        last_run_at: status.last_run_at,
        duration_ms: ms(status.duration),
        found: status.found,
        done: status.done,
        last_error: status.last_error,
        failed_at: status.failed_at,
        next_run_at: status.next_run_at,
        runs: status.runs,
        failures: status.failures,
        done_total: status.done_total,
    }
}

/// Gives back what nobody needs, or says what that would be. What is pending review goes only by the name of its
/// sandbox, and only where the request says so.
#[utoipa::path(post, path = "/v1/gc", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance", "audit": "gc.collected"}))), request_body = Option<GcRequest>,
    responses((status = 200, body = GcOutcome)))]
async fn gc(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    OptionalJson(request): OptionalJson<GcRequest>,
) -> Result<Answer<GcOutcome>, ApiError> {
    let mode = if request.dry_run { GcMode::DryRun } else { GcMode::Collect };
    let report = match request.sandbox {
        Some(text) => {
            let id = state.engine.sandbox_resolve(principal.tenant, &text).await?;
            let pending = if request.with_changes { Pending::Discarded } else { Pending::Kept };
            state.engine.gc_sandbox(id, pending, mode).await?
        }
        None if request.with_changes => {
            let message = "`with_changes` goes with one `sandbox`, by its name";
            return Err(ApiError::new(ErrorCode::InvalidValue, message));
        }
        None => state.engine.gc(mode).await?,
    };
    let wire = |action: sandbar_engine::GcAction| GcAction {
        reconciler: action.reconciler.as_str().to_owned(),
        sandbox_id: action.sandbox_id,
        what: action.what,
        reason: action.reason,
        bytes: action.bytes,
        error: action.error,
    };
    Ok(Answer(GcOutcome {
        dry_run: report.mode == GcMode::DryRun,
        actions: report.actions.into_iter().map(wire).collect(),
    }))
}
