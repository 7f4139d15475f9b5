//! Apps: named projects that outlive their sandboxes. At most one living sandbox of an app is current, which the store
//! itself sees to; the others were replaced, and are kept for what nobody decided about yet.
//!
//! What a sandbox runs, as its manifest says, is in `processes`.

mod clone;
mod model;
mod place;
mod remove;
mod sandbox;

use std::collections::BTreeMap;

use sandbar_store::{
    AppRow, EventAt, EventSubject, ReadConn, Reads, Update, WriteTxn, app_count, app_fetch,
    app_find_name, app_insert_in_txn, app_list, app_update_in_txn, event_insert_in_txn,
    sandbox_fetch_current, sandbox_list_current,
};
use sandbar_types::{
    AppId, AppName, AppTag, Generation, SandboxId, SandboxState, TenantId, Visibility,
};

pub use self::model::{
    App, AppCreateParams, AppField, AppListParams, AppRef, AppRemoved, AppUpdateParams, Replace,
    Undecided,
};
pub(crate) use self::{
    place::{Place, Placed},
    sandbox::has_none,
};
use crate::{Engine, Error, ErrorKind, Result, Sandbox, engine::Inner, event::EventPayload};

/// LIMIT: apps of one tenant.
const APPS_MAX: u64 = 10_000;
/// LIMIT: characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 4096;
/// LIMIT: tags of one app.
const TAGS_MAX: usize = 32;
/// Apps that are looked at at once.
const BATCH: u32 = 200;

pub(crate) fn not_found(text: &str) -> Error {
    Error::new(ErrorKind::NotFound, "app_not_found", format!("there is no app `{text}`"))
        .hint("`sandbar app ls` lists them")
}

fn name_taken(name: &AppName) -> Error {
    let message = format!("there is an app `{name}` already");
    Error::new(ErrorKind::Conflict, "app_name_taken", message).hint("choose another name")
}

/// Fetches an app that was there when it was resolved.
pub(crate) async fn fetch(conn: &mut impl Reads, app: AppRef) -> Result<AppRow> {
    app_fetch(conn, app.tenant, app.id).await?.ok_or_else(|| not_found(&app.id.to_string()))
}

fn check_description(description: &str) -> Result<()> {
    if description.contains('\0') || description.chars().count() > DESCRIPTION_CHARS_MAX {
        let message = format!(
            "a `description` has at most {DESCRIPTION_CHARS_MAX} characters, and no NUL among them"
        );
        return Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
    }
    Ok(())
}

/// In order, and each once.
fn sorted(mut tags: Vec<AppTag>) -> Result<Vec<AppTag>> {
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > TAGS_MAX {
        let message = format!("an app has at most {TAGS_MAX} `tags`");
        return Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
    }
    Ok(tags)
}

impl Inner {
    /// Appends an event to the history of an app and of its tenant.
    pub(crate) async fn app_event_in_txn(
        &self,
        txn: &mut WriteTxn,
        (app, sandbox_id): (AppRef, Option<SandboxId>),
        payload: &EventPayload,
    ) -> Result<EventAt> {
        let subject = EventSubject { tenant_id: app.tenant, app_id: Some(app.id), sandbox_id };
        let now = self.config.clock.now();
        Ok(event_insert_in_txn(txn, &subject, now, &payload.to_value()).await?)
    }

    /// Inserts an app with the event of it; the caller commits, and then calls [`Inner::app_shown_as`].
    async fn app_insert(
        &self,
        txn: &mut WriteTxn,
        row: &AppRow,
        payload: &EventPayload,
    ) -> Result<EventAt> {
        if app_count(txn, row.tenant_id).await? >= APPS_MAX {
            let message = format!("there are {APPS_MAX} apps already");
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message)
                .hint("delete some: `sandbar app rm`")
                .details(&serde_json::json!({ "limit": "apps_max", "value": APPS_MAX })));
        }
        if app_find_name(txn, row.tenant_id, &row.name).await?.is_some() {
            return Err(name_taken(&row.name));
        }
        app_insert_in_txn(txn, row).await?;
        let app = AppRef { tenant: row.tenant_id, id: row.id };
        self.app_event_in_txn(txn, (app, None), payload).await
    }

    /// Remembers who may see the previews of an app: it is asked at each request for one. What an older record says is
    /// not remembered over what a newer one does.
    fn app_shown_as(&self, row: &AppRow) {
        let mut known = self.app_visibilities_mut();
        if known.get(&row.id).is_none_or(|(generation, _)| *generation < row.generation) {
            known.insert(row.id, (row.generation, row.visibility));
        }
    }

    /// The sandbox that an app is about, in the state in which it is.
    fn app_current(&self, id: SandboxId) -> Option<(SandboxId, SandboxState)> {
        let handle = self.actors().get(&id).cloned()?;
        Some((id, handle.row().state.clone()))
    }
}

impl Engine {
    /// Finds an app of `tenant` by its id or its name. What another tenant has is answered as what nobody has.
    ///
    /// # Errors
    /// `app_not_found`.
    pub async fn app_resolve(&self, tenant: TenantId, text: &str) -> Result<AppRef> {
        let mut conn = self.inner.store.read().await?;
        let found = find(&mut conn, tenant, text).await?;
        found.map(|row| AppRef { tenant, id: row.id }).ok_or_else(|| not_found(text))
    }

    /// Lists at most `limit` apps of `tenant`, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn app_list(
        &self,
        tenant: TenantId,
        params: AppListParams,
        limit: usize,
    ) -> Result<Vec<App>> {
        let mut conn = self.inner.store.read().await?;
        let mut filter = params.filter.clone();
        let mut found = Vec::new();
        loop {
            let rows = app_list(&mut conn, tenant, &filter, BATCH).await?;
            let is_last = rows.len() < BATCH as usize;
            filter.before = rows.last().map(|row| row.id);
            found.extend(rows.into_iter().filter(|row| params.matches(row)));
            if is_last || found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        let current: BTreeMap<_, _> =
            sandbox_list_current(&mut conn, tenant).await?.into_iter().collect();
        let of = |row: AppRow| {
            let current = current.get(&row.id).and_then(|id| self.inner.app_current(*id));
            App::of(row, current)
        };
        Ok(found.into_iter().map(of).collect())
    }

    /// Looks at one.
    ///
    /// # Errors
    /// `app_not_found`.
    pub async fn app_fetch(&self, app: AppRef) -> Result<App> {
        let mut conn = self.inner.store.read().await?;
        let row = fetch(&mut conn, app).await?;
        let current = sandbox_fetch_current(&mut conn, app.id).await?;
        Ok(App::of(row, current.and_then(|row| self.inner.app_current(row.id))))
    }

    /// Makes one. It has no sandbox yet.
    ///
    /// # Errors
    /// `app_name_taken`, `invalid_value`, `limit_reached`.
    pub async fn app_create(&self, tenant: TenantId, params: AppCreateParams) -> Result<App> {
        check_description(&params.description)?;
        let now = self.now();
        let row = AppRow {
            id: AppId::generate(),
            tenant_id: tenant,
            name: params.name,
            description: params.description,
            tags: sorted(params.tags)?,
            external_user_id: params.external_user_id,
            external_project_id: params.external_project_id,
            preset: params.preset,
            visibility: params.visibility,
            generation: Generation::FIRST,
            created_at: now,
            updated_at: now,
        };
        let mut txn = self.inner.store.begin().await?;
        let event = self.inner.app_insert(&mut txn, &row, &EventPayload::AppCreated).await?;
        txn.commit().await?;
        self.inner.event_written(event);
        self.inner.app_shown_as(&row);
        Ok(App::of(row, None))
    }

    /// Changes what of it shall be different.
    ///
    /// # Errors
    /// `app_not_found`, `app_name_taken`, `stale_generation`, `invalid_value`.
    pub async fn app_update(&self, app: AppRef, params: AppUpdateParams) -> Result<App> {
        let mut txn = self.inner.store.begin().await?;
        let before = fetch(&mut txn, app).await?;
        require_seen(&before, params.generation)?;
        let mut row = before.clone();
        apply(&mut row, params)?;
        let fields = changed(&before, &row);
        if fields.contains(&AppField::Name)
            && app_find_name(&mut txn, app.tenant, &row.name).await?.is_some()
        {
            return Err(name_taken(&row.name));
        }
        if !fields.is_empty() {
            row.updated_at = self.now();
            match app_update_in_txn(&mut txn, &row).await? {
                Update::Applied(generation) => row.generation = generation,
                Update::Stale => return Err(stale(&row)),
            }
            let payload = EventPayload::AppUpdated { fields };
            let event = self.inner.app_event_in_txn(&mut txn, (app, None), &payload).await?;
            txn.commit().await?;
            self.inner.event_written(event);
            self.inner.app_shown_as(&row);
        }
        self.app_fetch(app).await
    }

    /// Who may see the previews of a sandbox: as it says, else as its app does; `None` for the server's default.
    #[must_use]
    pub fn visibility_of(&self, sandbox: &Sandbox) -> Option<Visibility> {
        let of_app = || self.inner.app_visibilities().get(&sandbox.app_id?)?.1;
        sandbox.spec.visibility.or_else(of_app)
    }
}

/// Finds an app by its id or its name.
pub(crate) async fn find(
    conn: &mut ReadConn,
    tenant: TenantId,
    text: &str,
) -> Result<Option<AppRow>> {
    if let Ok(id) = text.parse() {
        return Ok(app_fetch(conn, tenant, id).await?);
    }
    match text.parse() {
        Ok(name) => Ok(app_find_name(conn, tenant, &name).await?),
        // What cannot be a name is nobody's.
        Err(_) => Ok(None),
    }
}

fn require_seen(row: &AppRow, seen: Option<Generation>) -> Result<()> {
    if seen.is_some_and(|seen| seen != row.generation) { Err(stale(row)) } else { Ok(()) }
}

fn stale(row: &AppRow) -> Error {
    let message = format!("the app `{}` was changed since", row.name);
    Error::new(ErrorKind::Stale, "stale_generation", message).hint("look again, and decide again")
}

fn apply(row: &mut AppRow, params: AppUpdateParams) -> Result<()> {
    let AppUpdateParams {
        generation: _,
        name,
        description,
        tags,
        external_user_id,
        external_project_id,
        preset,
        visibility,
    } = params;
    if let Some(description) = description {
        check_description(&description)?;
        row.description = description;
    }
    if let Some(tags) = tags {
        row.tags = sorted(tags)?;
    }
    row.name = name.unwrap_or_else(|| row.name.clone());
    row.external_user_id = external_user_id.unwrap_or_else(|| row.external_user_id.clone());
    row.external_project_id =
        external_project_id.unwrap_or_else(|| row.external_project_id.clone());
    row.preset = preset.unwrap_or(row.preset);
    row.visibility = visibility.unwrap_or(row.visibility);
    Ok(())
}

fn changed(before: &AppRow, after: &AppRow) -> Vec<AppField> {
    [
        (AppField::Name, before.name != after.name),
        (AppField::Description, before.description != after.description),
        (AppField::Tags, before.tags != after.tags),
        (AppField::ExternalUserId, before.external_user_id != after.external_user_id),
        (AppField::ExternalProjectId, before.external_project_id != after.external_project_id),
        (AppField::Preset, before.preset != after.preset),
        (AppField::Visibility, before.visibility != after.visibility),
    ]
    .into_iter()
    .filter_map(|(field, is_other)| is_other.then_some(field))
    .collect()
}
