//! A sandbox as a launch needs it, and as a file beside its layers that outlives the database.

use jiff::Timestamp;
use sandbar_runtime::{Caller, LaunchSpec, SandboxDir};
use sandbar_store::SandboxRow;
use sandbar_types::{SandboxId, SandboxName, SandboxSpec, Source, TenantId};
use serde::{Deserialize, Serialize};

use crate::sandbox::workspace_path;

pub(crate) const STEP_PREPARE: &str = "prepare_directories";
pub(crate) const STEP_RECORD: &str = "write_record";
pub(crate) const STEP_LAUNCH: &str = "launch";
pub(crate) const STEP_SEED: &str = "seed";
/// Every step of a launch, in order.
pub(crate) const LAUNCH_STEPS: [&str; 4] = [STEP_PREPARE, STEP_RECORD, STEP_LAUNCH, STEP_SEED];

/// What `record.json` holds: enough to know a sandbox again without the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    id: SandboxId,
    #[serde(default = "default_tenant")]
    tenant_id: TenantId,
    name: SandboxName,
    spec: SandboxSpec,
    caller: serde_json::Value,
    nonce: String,
    boot_id: String,
    uid_base: Option<u32>,
    created_at: Timestamp,
}

/// Whose a record from before there were tenants is.
const fn default_tenant() -> TenantId {
    TenantId::DEFAULT
}

impl Record {
    pub(crate) fn of(row: &SandboxRow) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            name: row.name.clone(),
            spec: row.spec.clone(),
            caller: row.caller.clone(),
            nonce: row.nonce.clone(),
            boot_id: row.boot_id.clone(),
            uid_base: row.uid_base,
            created_at: row.created_at,
        }
    }
}

/// Everything that a launch of `row` needs, and a view of it.
pub(crate) fn launch_spec(row: &SandboxRow, dir: SandboxDir) -> LaunchSpec {
    let spec = &row.spec;
    LaunchSpec {
        id: row.id,
        nonce: row.nonce.clone(),
        dir,
        source: match &spec.source {
            Source::Directory { path } => Some(path.clone()),
            Source::Empty | Source::Preset { .. } => None,
        },
        fork_of: None,
        workspace_path: workspace_path(spec),
        scope: spec.scope.clone(),
        limits: spec.limits.clone(),
        env: spec.env.clone(),
        toolchains: spec.toolchains.clone(),
        caches: spec.caches.clone(),
        caller: caller(row),
        uid_base: row.uid_base,
        hostname: row.name.as_str().to_owned(),
        git_identity: spec.git_identity.clone(),
        certificates: None,
    }
}

fn caller(row: &SandboxRow) -> Caller {
    // Written by us from a `Caller`; should a later version not read it, an empty home offers nothing and leaks nothing.
    serde_json::from_value(row.caller.clone()).unwrap_or_else(|_err| Caller {
        home: sandbar_types::HostPath::parse("/nonexistent").expect("it is absolute and short"),
        name: "agent".to_owned(),
        path: String::new(),
    })
}
