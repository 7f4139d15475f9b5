//! Apps, and the one living sandbox that each is about.

use jiff::Timestamp;
use sandbar_store::{
    AppFilter, AppRow, SandboxRow, Update, app_count, app_fetch, app_find_name, app_insert_in_txn,
    app_list, app_list_visibilities, app_remove_in_txn, app_update_in_txn, sandbox_fetch_current,
    sandbox_insert_in_txn, sandbox_list_current, sandbox_list_of_app, sandbox_set_current_in_txn,
    sandbox_update_in_txn,
};
use sandbar_types::{AppId, Generation, PresetName, TenantId, Visibility};

use crate::{
    sandbox::row as sandbox,
    support::{Fresh, on_both},
};

fn row(name: &str) -> AppRow {
    let now = Timestamp::from_microsecond(1_700_000_000_000_000).unwrap();
    AppRow {
        id: AppId::generate(),
        tenant_id: TenantId::DEFAULT,
        name: name.parse().unwrap(),
        description: "Sells \"things\"".to_owned(),
        tags: vec!["demo".parse().unwrap(), "web".parse().unwrap()],
        external_user_id: Some("u1".parse().unwrap()),
        external_project_id: None,
        preset: Some(PresetName::NextJs),
        visibility: Some(Visibility::Private),
        generation: Generation::FIRST,
        created_at: now,
        updated_at: now,
    }
}

on_both!(
    what_is_recorded_of_an_app_is_what_is_read_and_by_its_tenant_alone,
    a_list_of_apps_begins_where_it_is_told_to,
    a4_the_store_itself_lets_an_app_have_one_current_sandbox,
);

async fn what_is_recorded_of_an_app_is_what_is_read_and_by_its_tenant_alone(
    Fresh { store, .. }: &Fresh,
) {
    let mut app = row("shop");
    let mut txn = store.begin().await.unwrap();
    app_insert_in_txn(&mut txn, &app).await.unwrap();
    txn.commit().await.unwrap();
    let mut conn = store.read().await.unwrap();
    let (own, other) = (TenantId::DEFAULT, TenantId::generate());
    assert_eq!(app_fetch(&mut conn, own, app.id).await.unwrap(), Some(app.clone()));
    assert_eq!(app_find_name(&mut conn, own, &app.name).await.unwrap(), Some(app.clone()));
    assert_eq!(app_fetch(&mut conn, other, app.id).await.unwrap(), None);
    assert_eq!(app_find_name(&mut conn, other, &app.name).await.unwrap(), None);
    let shown_as = app_list_visibilities(&mut conn).await.unwrap();
    assert_eq!(shown_as, [(app.id, Generation::FIRST, Visibility::Private)]);
    drop(conn);
    let mut txn = store.begin().await.unwrap();
    assert!(app_insert_in_txn(&mut txn, &row("shop")).await.unwrap_err().is_taken());
    drop(txn);
    let late = app.clone();
    app.visibility = None;
    app.preset = None;
    app.tags.clear();
    let mut txn = store.begin().await.unwrap();
    let next = Generation::FIRST.next();
    assert_eq!(app_update_in_txn(&mut txn, &app).await.unwrap(), Update::Applied(next));
    assert_eq!(app_update_in_txn(&mut txn, &late).await.unwrap(), Update::Stale);
    app_remove_in_txn(&mut txn, other, app.id).await.unwrap();
    app.generation = next;
    assert_eq!(app_fetch(&mut txn, own, app.id).await.unwrap(), Some(app.clone()));
    assert_eq!(app_list_visibilities(&mut txn).await.unwrap(), []);
    app_remove_in_txn(&mut txn, own, app.id).await.unwrap();
    assert_eq!(app_count(&mut txn, own).await.unwrap(), 0);
    drop(txn);
    store.close().await;
}

async fn a_list_of_apps_begins_where_it_is_told_to(Fresh { store, .. }: &Fresh) {
    let mut txn = store.begin().await.unwrap();
    let mut apps = ["a", "b", "c"].map(row);
    apps[1].external_user_id = None;
    apps.sort_unstable_by_key(|app| app.id);
    for app in &apps {
        app_insert_in_txn(&mut txn, app).await.unwrap();
    }
    let tenant = TenantId::DEFAULT;
    let ids = |rows: Vec<AppRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let all = app_list(&mut txn, tenant, &AppFilter::default(), 2).await.unwrap();
    assert_eq!(ids(all), [apps[2].id, apps[1].id]);
    let after = AppFilter { before: Some(apps[1].id), ..AppFilter::default() };
    assert_eq!(ids(app_list(&mut txn, tenant, &after, 2).await.unwrap()), [apps[0].id]);
    let user = Some("u1".parse().unwrap());
    let of_user = AppFilter { external_user_id: user, ..AppFilter::default() };
    let found = app_list(&mut txn, tenant, &of_user, 9).await.unwrap();
    assert_eq!(found.len(), 2);
    drop(txn);
    store.close().await;
}

async fn a4_the_store_itself_lets_an_app_have_one_current_sandbox(Fresh { store, .. }: &Fresh) {
    let app = AppId::generate();
    let of_app = |name: &str| SandboxRow { app_id: Some(app), is_current: true, ..sandbox(name) };
    let (mut first, second) = (of_app("one"), SandboxRow { is_current: false, ..of_app("two") });
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &first).await.unwrap();
    sandbox_insert_in_txn(&mut txn, &second).await.unwrap();
    txn.commit().await.unwrap();
    let mut txn = store.begin().await.unwrap();
    assert!(sandbox_insert_in_txn(&mut txn, &of_app("three")).await.unwrap_err().is_taken());
    drop(txn);
    let mut txn = store.begin().await.unwrap();
    assert_eq!(sandbox_list_of_app(&mut txn, app).await.unwrap().len(), 2);
    assert!(sandbox_set_current_in_txn(&mut txn, app, Some(second.id)).await.unwrap());
    // The one who writes a sandbox writes nothing of that.
    assert!(matches!(sandbox_update_in_txn(&mut txn, &first).await.unwrap(), Update::Applied(_)));
    let current = sandbox_fetch_current(&mut txn, app).await.unwrap();
    assert_eq!(current.map(|row| row.id), Some(second.id));
    let listed = sandbox_list_current(&mut txn, TenantId::DEFAULT).await.unwrap();
    assert_eq!(listed, [(app, second.id)]);
    first.generation = first.generation.next();
    first.deleted_at = Some(first.created_at);
    assert!(matches!(sandbox_update_in_txn(&mut txn, &first).await.unwrap(), Update::Applied(_)));
    assert!(!sandbox_set_current_in_txn(&mut txn, app, Some(first.id)).await.unwrap());
    assert_eq!(sandbox_fetch_current(&mut txn, app).await.unwrap(), None);
    drop(txn);
    store.close().await;
}
