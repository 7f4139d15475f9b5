//! What sandboxes use, and what can be given back.

use std::{fs, path::Path};

use axum::{Json as Answer, extract::State};
use futures_util::{StreamExt as _, stream};
use sandbar_api::{DiskUsage, GcAction, GcOutcome, GcRequest, SandboxDiskUsage, SandboxUsage};
use sandbar_engine::GcMode;
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
        .routes(routes!(gc))
}

/// What a sandbox uses now.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/usage", tag = "sandboxes",
    extensions(("x-sandbar-scope" = json!("read"))),
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
        logs_bytes: size.logs_bytes,
    }))
}

/// What the sandboxes of the tenant hold on disk, the largest first; measured now.
#[utoipa::path(get, path = "/v1/usage", tag = "server",
    extensions(("x-sandbar-scope" = json!("read"))), responses((status = 200, body = DiskUsage)))]
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
                logs_bytes: size.logs_bytes,
                updated_at: record.updated_at,
            })
        })
        .buffer_unordered(LIMIT_WALKS)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let bytes = |used: &SandboxDiskUsage| used.upper_bytes.saturating_add(used.logs_bytes);
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

/// Gives back what nobody needs, or says what that would be. Never what is pending review.
#[utoipa::path(post, path = "/v1/gc", tag = "server",
    extensions(("x-sandbar-scope" = json!("instance"))), request_body = Option<GcRequest>,
    responses((status = 200, body = GcOutcome)))]
async fn gc(
    State(state): State<AppState>,
    OptionalJson(request): OptionalJson<GcRequest>,
) -> Result<Answer<GcOutcome>, ApiError> {
    let mode = if request.dry_run { GcMode::DryRun } else { GcMode::Collect };
    let report = state.engine.gc(mode).await?;
    let wire = |action: sandbar_engine::GcAction| GcAction {
        sandbox_id: action.sandbox_id,
        what: action.what,
        reason: action.reason,
        bytes: action.bytes,
    };
    Ok(Answer(GcOutcome {
        dry_run: report.mode == GcMode::DryRun,
        actions: report.actions.into_iter().map(wire).collect(),
    }))
}
