//! Bodies of `/v1/apps`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sandbar_types::{
    AcceptanceRules, AppId, AppName, AppStart, AppTag, EnvName, Expiry, ExternalId, Generation,
    GitIdentity, HostPath, IdlePolicy, Limits, NetworkSpec, PresetName, SandboxId, SandboxName,
    SandboxSpec, Source, ToolchainPolicy, Visibility, WorkspacePath,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::StateName;

/// An app: a named project that outlives its sandboxes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    /// Names it for ever.
    pub id: AppId,
    /// Names it among the apps of its tenant.
    pub name: AppName,
    /// Grows with each change of the record; also the `ETag`.
    pub generation: Generation,
    /// What it is, in words.
    #[serde(default)]
    pub description: String,
    /// What it is filed under, sorted.
    #[serde(default)]
    pub tags: Vec<AppTag>,
    /// For whom of another program it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<ExternalId>,
    /// For what of another program it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_project_id: Option<ExternalId>,
    /// What its sandboxes begin with, where nothing else is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetName>,
    /// Who may see the previews of its sandboxes, where they do not say; absent for the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// The sandbox that it is about; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sandbox_id: Option<SandboxId>,
    /// Where that sandbox is in its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sandbox_state: Option<StateName>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Makes an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppCreateRequest {
    /// Its name, unique in the tenant.
    pub name: AppName,
    /// What it is, in words: at most 4096 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is filed under: at most 32 tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<AppTag>,
    /// For whom of another program it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<ExternalId>,
    /// For what of another program it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_project_id: Option<ExternalId>,
    /// What its sandboxes begin with, where nothing else is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetName>,
    /// Who may see the previews of its sandboxes, where they do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// Changes an app. What is absent stays as it is; `null` takes it away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppUpdateRequest {
    /// Its name, unique in the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<AppName>,
    /// What it is, in words: at most 4096 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is filed under: at most 32 tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<AppTag>>,
    /// For whom of another program it is.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<ExternalId>)]
    pub external_user_id: Option<Option<ExternalId>>,
    /// For what of another program it is.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<ExternalId>)]
    pub external_project_id: Option<Option<ExternalId>>,
    /// What its sandboxes begin with, where nothing else is asked for.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<PresetName>)]
    pub preset: Option<Option<PresetName>>,
    /// Who may see the previews of its sandboxes, where they do not say. What runs is shown accordingly at once.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<Visibility>)]
    pub visibility: Option<Option<Visibility>>,
}

/// A field that is there, with a value or with `null`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which apps to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AppListQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only those that are filed under this tag; given more than once, under all of them.
    pub tag: Vec<AppTag>,
    /// Only those for this user of another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<ExternalId>,
    /// Only those for this project of another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_project_id: Option<ExternalId>,
    /// Only those whose name or description holds this text, whatever its case.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

/// How to remove an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AppRemoveQuery {
    /// Remove it with changes that nobody decided about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Keep the snapshots of its sandboxes. There are no snapshots yet: it is honored once there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_snapshots: Option<bool>,
}

/// What went with an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppRemoved {
    /// Its sandboxes, with their files.
    pub sandboxes: Vec<SandboxId>,
    /// How many settings and secrets of the app.
    pub config_items: u64,
}

/// Makes an app like another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppCloneRequest {
    /// Its name, unique in the tenant.
    pub name: AppName,
}

/// The sandbox that an app shall have: what a sandbox can be asked to be, and what becomes of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppSandboxRequest {
    /// Make it although the app has one: once the new one runs, it is what the app is about, and the old one is kept.
    #[serde(default)]
    pub replace: bool,
    /// Remove the one that is replaced where nobody has to decide about changes of it.
    #[serde(default)]
    pub remove_replaced: bool,
    /// A name of its own; when absent that of the app where it is free, else a generated one.
    #[serde(default)]
    pub name: Option<SandboxName>,
    /// What the workspace is a view of. Default: the preset of the app, else nothing.
    #[serde(default)]
    pub source: Option<Source>,
    /// Where the workspace is inside. Default: the source's own path, or `/workspace`.
    #[serde(default)]
    pub workspace_path: Option<HostPath>,
    /// The subtree that may change; the rest is read-only inside. Default: everything.
    #[serde(default)]
    pub scope: Option<WorkspacePath>,
    /// Subtrees that no other sandbox over the same source may reserve while this one lives.
    #[serde(default)]
    pub reserve: Vec<WorkspacePath>,
    /// Reserves the whole source.
    #[serde(default)]
    pub reserve_all: bool,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Variables that every exec sees.
    #[serde(default)]
    pub env: BTreeMap<EnvName, String>,
    /// Toolchains of the caller's home.
    #[serde(default = "known")]
    pub toolchains: ToolchainPolicy,
    /// Package caches of the caller's home: read from there, written to the sandbox. Default: as `toolchains`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caches: Option<ToolchainPolicy>,
    /// When it ends by itself.
    #[serde(default)]
    pub expiry: Expiry,
    /// Whether its processes are started with it.
    #[serde(default)]
    pub app: AppStart,
    /// What becomes of it when nobody uses it.
    #[serde(default)]
    pub idle_policy: IdlePolicy,
    /// Who may see its previews. Default: as the app says.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Whom it may reach.
    #[serde(default)]
    pub network: NetworkSpec,
    /// Who makes the commits inside, where the repository does not say; nobody when absent.
    #[serde(default)]
    pub git_identity: Option<GitIdentity>,
    /// What may be approved without a person; nothing when absent.
    #[serde(default)]
    pub acceptance: Option<AcceptanceRules>,
}

const fn known() -> ToolchainPolicy {
    ToolchainPolicy::Known
}

impl AppSandboxRequest {
    /// What is asked for; `default` is its source where the request names none.
    #[must_use]
    pub fn into_spec(self, default: Source) -> SandboxSpec {
        // Every field by name: one that a sandbox gets is one of this request, too.
        SandboxSpec {
            name: self.name,
            source: self.source.unwrap_or(default),
            workspace_path: self.workspace_path,
            scope: self.scope,
            reserve: self.reserve,
            reserve_all: self.reserve_all,
            limits: self.limits,
            env: self.env,
            toolchains: self.toolchains,
            caches: self.caches,
            expiry: self.expiry,
            app: self.app,
            idle_policy: self.idle_policy,
            visibility: self.visibility,
            network: self.network,
            git_identity: self.git_identity,
            acceptance: self.acceptance,
        }
    }
}
