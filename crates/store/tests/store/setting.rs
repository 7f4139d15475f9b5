//! Settings that were changed.

use sandbar_store::{SettingRow, setting_list, setting_put_in_txn};
use sandbar_types::{Actor, Generation};

use crate::support::{Fresh, on_both};

async fn a_setting_has_one_row_which_outlives_its_value(Fresh { store, .. }: &Fresh) {
    let mut row = SettingRow {
        key: "sandbox.max".to_owned(),
        value: Some(serde_json::json!("nul \0")),
        generation: Generation(1),
        changed_by: Actor::Token,
        changed_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut txn = store.begin().await.unwrap();
    setting_put_in_txn(&mut txn, &row).await.unwrap();
    assert_eq!(setting_list(&mut txn).await.unwrap(), [row.clone()]);
    row.value = None;
    row.generation = Generation(2);
    row.changed_by = Actor::Unknown;
    setting_put_in_txn(&mut txn, &row).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(setting_list(&mut store.read().await.unwrap()).await.unwrap(), [row]);
}

on_both!(a_setting_has_one_row_which_outlives_its_value);
