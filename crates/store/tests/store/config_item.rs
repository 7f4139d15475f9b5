//! Settings and secrets, in each dialect.

use jiff::Timestamp;
use sandbar_store::{
    ConfigItemRow, ConfigKey, config_fetch, config_list, config_list_sealed, config_put_in_txn,
    config_remove_all_in_txn, config_remove_in_txn, config_reseal_in_txn,
};
use sandbar_types::{ConfigAccess, Generation, TenantId};

use crate::support::{Fresh, on_both};

on_both!(an_item_is_replaced_sealed_again_and_removed, secrets_come_a_page_at_a_time);

fn item(scope: &str, key: &str, sealed: Option<&[u8]>) -> ConfigItemRow {
    let now = Timestamp::from_microsecond(1_700_000_000_000_001).unwrap();
    ConfigItemRow {
        at: ConfigKey {
            tenant_id: TenantId::DEFAULT,
            scope_id: scope.to_owned(),
            key: key.parse().unwrap(),
        },
        sealed: sealed.map(<[u8]>::to_vec),
        plain: sealed.is_none().then(|| "a\u{301}\n".to_owned()),
        access: ConfigAccess::Both,
        value_version: 1,
        generation: Generation::FIRST,
        created_at: now,
        updated_at: now,
    }
}

async fn an_item_is_replaced_sealed_again_and_removed(Fresh { store, .. }: &Fresh) {
    let mut one = item("sb_1", "A", Some(b"\0\xff"));
    let other = item("sb_2", "A", None);
    let mut txn = store.begin().await.unwrap();
    for row in [&one, &other] {
        config_put_in_txn(&mut txn, row).await.unwrap();
    }
    assert_eq!(config_fetch(&mut txn, &one.at).await.unwrap().as_ref(), Some(&one));
    // A value that was written meanwhile is not replaced by what was read before it.
    let before = ConfigItemRow { sealed: Some(vec![9]), ..one.clone() };
    config_reseal_in_txn(&mut txn, &before, vec![7]).await.unwrap();
    assert_eq!(config_fetch(&mut txn, &one.at).await.unwrap().as_ref(), Some(&one));
    config_reseal_in_txn(&mut txn, &one, vec![7]).await.unwrap();
    one.sealed = Some(vec![7]);
    assert_eq!(config_list(&mut txn, TenantId::DEFAULT, "sb_1").await.unwrap(), [one.clone()]);
    let plain = ConfigItemRow {
        generation: Generation(2),
        access: ConfigAccess::AgentAccess,
        ..item("sb_1", "A", None)
    };
    config_put_in_txn(&mut txn, &plain).await.unwrap();
    assert_eq!(config_list(&mut txn, TenantId::DEFAULT, "sb_1").await.unwrap(), [plain]);
    config_remove_in_txn(&mut txn, &one.at).await.unwrap();
    assert_eq!(config_list(&mut txn, TenantId::DEFAULT, "sb_1").await.unwrap(), []);
    assert_eq!(config_list(&mut txn, TenantId::DEFAULT, "sb_2").await.unwrap(), [other]);
    config_remove_all_in_txn(&mut txn, TenantId::DEFAULT, "sb_2").await.unwrap();
    assert_eq!(config_list(&mut txn, TenantId::DEFAULT, "sb_2").await.unwrap(), []);
    txn.commit().await.unwrap();
}

async fn secrets_come_a_page_at_a_time(Fresh { store, .. }: &Fresh) {
    let mut txn = store.begin().await.unwrap();
    for (scope, key) in [("sb_1", "A"), ("sb_1", "B"), ("sb_2", "A"), ("sb_2", "_")] {
        config_put_in_txn(&mut txn, &item(scope, key, Some(b"x"))).await.unwrap();
    }
    config_put_in_txn(&mut txn, &item("sb_1", "AA", None)).await.unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = config_list_sealed(&mut txn, after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.at.clone());
        seen.extend(page.into_iter().map(|row| format!("{} {}", row.at.scope_id, row.at.key)));
    }
    assert_eq!(seen, ["sb_1 A", "sb_1 B", "sb_2 A", "sb_2 _"]);
}
