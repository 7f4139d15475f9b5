//! Apps as they are asked for and shown.

use jiff::Timestamp;
use sandbar_store::{AppFilter, AppRow};
use sandbar_types::{
    AppId, AppName, AppTag, ExternalId, Generation, PresetName, SandboxId, SandboxState, Source,
    TenantId, Visibility,
};
use serde::{Deserialize, Serialize};

/// An app that was found to be one of this tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppRef {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one.
    pub id: AppId,
}

/// An app, as it is at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its name.
    pub name: AppName,
    /// What it is, in words.
    pub description: String,
    /// What it is filed under, sorted.
    pub tags: Vec<AppTag>,
    /// For whom of another program it is.
    pub external_user_id: Option<ExternalId>,
    /// For what of another program it is.
    pub external_project_id: Option<ExternalId>,
    /// What its sandboxes begin with.
    pub preset: Option<PresetName>,
    /// Who may see previews of its sandboxes, where they do not say; `None` for the server's default.
    pub visibility: Option<Visibility>,
    /// Counts the changes of its record.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The sandbox that it is about, and where that is in its life.
    pub current: Option<(SandboxId, SandboxState)>,
}

impl App {
    pub(super) fn of(row: AppRow, current: Option<(SandboxId, SandboxState)>) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            tags: row.tags,
            external_user_id: row.external_user_id,
            external_project_id: row.external_project_id,
            preset: row.preset,
            visibility: row.visibility,
            generation: row.generation,
            created_at: row.created_at,
            updated_at: row.updated_at,
            current,
        }
    }

    /// What a sandbox of it is a view of, where nobody says: its preset, or nothing.
    #[must_use]
    pub fn default_source(&self) -> Source {
        self.preset.map_or(Source::Empty, |preset| Source::Preset { preset })
    }
}

/// What an app shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCreateParams {
    /// Its name.
    pub name: AppName,
    /// What it is, in words.
    pub description: String,
    /// What it is filed under.
    pub tags: Vec<AppTag>,
    /// For whom of another program it is.
    pub external_user_id: Option<ExternalId>,
    /// For what of another program it is.
    pub external_project_id: Option<ExternalId>,
    /// What its sandboxes begin with.
    pub preset: Option<PresetName>,
    /// Who may see previews of its sandboxes.
    pub visibility: Option<Visibility>,
}

/// What of an app shall be different. `None`: as it is; `Some(None)`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppUpdateParams {
    /// The generation that was decided on; `None`: whichever there is.
    pub generation: Option<Generation>,
    /// Its name.
    pub name: Option<AppName>,
    /// What it is, in words.
    pub description: Option<String>,
    /// What it is filed under.
    pub tags: Option<Vec<AppTag>>,
    /// For whom of another program it is.
    pub external_user_id: Option<Option<ExternalId>>,
    /// For what of another program it is.
    pub external_project_id: Option<Option<ExternalId>>,
    /// What its sandboxes begin with.
    pub preset: Option<Option<PresetName>>,
    /// Who may see previews of its sandboxes.
    pub visibility: Option<Option<Visibility>>,
}

/// What of an app was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AppField {
    /// Its name.
    Name,
    /// What it is, in words.
    Description,
    /// What it is filed under.
    Tags,
    /// For whom of another program it is.
    ExternalUserId,
    /// For what of another program it is.
    ExternalProjectId,
    /// What its sandboxes begin with.
    Preset,
    /// Who may see previews of its sandboxes.
    Visibility,
}

/// Which apps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppListParams {
    /// Where the list begins, and for whom of another program they are.
    pub filter: AppFilter,
    /// Only those that are filed under all of these.
    pub tags: Vec<AppTag>,
    /// Only those whose name or description holds this text, whatever its case.
    pub text: Option<String>,
}

impl AppListParams {
    pub(super) fn matches(&self, row: &AppRow) -> bool {
        self.tags.iter().all(|tag| row.tags.contains(tag))
            && self.text.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                row.name.as_str().contains(&text) || row.description.to_lowercase().contains(&text)
            })
    }
}

/// What becomes of the sandbox that an app has, when it is given another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Nothing: the app is given none, unless what it has failed.
    #[default]
    Never,
    /// It is no longer what the app is about, and is kept.
    KeepOld,
    /// The same, and it is removed where nothing of it waits for a decision.
    RemoveOld,
}

/// What an app may take with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Undecided {
    /// Not what somebody has yet to decide about.
    #[default]
    Keep,
    /// That, too.
    Drop,
}

/// What went with an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRemoved {
    /// Its sandboxes.
    pub sandboxes: Vec<SandboxId>,
    /// How many settings and secrets.
    pub config_items: u64,
}
