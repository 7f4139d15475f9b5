//! Credentials as they are kept.

use sandbar_store::{
    ConfigItemRow, ConfigKey, CredentialRow, Update, config_list, config_put_in_txn,
    credential_fetch, credential_insert_in_txn, credential_list, credential_list_of_scope,
    credential_remove_all_in_txn, credential_update_in_txn,
};
use sandbar_types::{
    ConfigAccess, CredentialId, Generation, InjectionPlace, InjectionRule, TenantId,
};

use crate::support::{Fresh, on_both};

fn row(scope: &str, name: &str) -> CredentialRow {
    CredentialRow {
        id: CredentialId::generate(),
        tenant_id: TenantId::DEFAULT,
        scope_id: scope.to_owned(),
        name: name.parse().unwrap(),
        agent: Some("claude-code".parse().unwrap()),
        env: Some("ANTHROPIC_API_KEY".parse().unwrap()),
        placeholder: "sbx-placeholder-1".to_owned(),
        rules: vec![InjectionRule {
            host: "api.example".to_owned(),
            port: 443,
            methods: vec!["POST".to_owned()],
            path: "/v1".to_owned(),
            place: InjectionPlace::Body,
        }],
        renewal: Some(serde_json::json!({ "host": "auth.example" })),
        generation: Generation::FIRST,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

async fn what_is_written_is_read_and_a_late_writer_loses(Fresh { store, .. }: &Fresh) {
    let new = row("sb_1", "model");
    let mut txn = store.begin().await.unwrap();
    credential_insert_in_txn(&mut txn, &new).await.unwrap();
    let found = credential_fetch(&mut txn, TenantId::DEFAULT, new.id).await.unwrap();
    assert_eq!(found, Some(new.clone()));
    let changed = CredentialRow { agent: None, env: None, renewal: None, ..new.clone() };
    let update = credential_update_in_txn(&mut txn, &changed).await.unwrap();
    assert_eq!(update, Update::Applied(Generation(2)));
    assert_eq!(credential_update_in_txn(&mut txn, &changed).await.unwrap(), Update::Stale);
    assert!(credential_insert_in_txn(&mut txn, &row("sb_1", "model")).await.is_err());
}

async fn a_scope_that_ends_takes_its_credentials_and_their_values(Fresh { store, .. }: &Fresh) {
    let (one, other) = (row("sb_1", "model"), row("sb_2", "model"));
    let mut txn = store.begin().await.unwrap();
    for row in [&one, &other] {
        credential_insert_in_txn(&mut txn, row).await.unwrap();
        let item = ConfigItemRow {
            at: ConfigKey {
                tenant_id: TenantId::DEFAULT,
                scope_id: row.id.to_string(),
                key: "VALUE".parse().unwrap(),
            },
            sealed: Some(b"sealed".to_vec()),
            plain: None,
            access: ConfigAccess::ControlPlaneOnly,
            value_version: 1,
            generation: Generation::FIRST,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            updated_at: jiff::Timestamp::UNIX_EPOCH,
        };
        config_put_in_txn(&mut txn, &item).await.unwrap();
    }
    credential_remove_all_in_txn(&mut txn, TenantId::DEFAULT, "sb_1").await.unwrap();
    let left = credential_list(&mut txn, TenantId::DEFAULT, None, 10).await.unwrap();
    assert_eq!(left, std::slice::from_ref(&other));
    let of_scope = credential_list_of_scope(&mut txn, TenantId::DEFAULT, "sb_2").await.unwrap();
    assert_eq!(of_scope, std::slice::from_ref(&other));
    let values = async |txn: &mut _, id: CredentialId| {
        config_list(txn, TenantId::DEFAULT, &id.to_string()).await
    };
    assert!(values(&mut txn, one.id).await.unwrap().is_empty());
    assert_eq!(values(&mut txn, other.id).await.unwrap().len(), 1);
}

on_both!(what_is_written_is_read_and_a_late_writer_loses);
on_both!(a_scope_that_ends_takes_its_credentials_and_their_values);
