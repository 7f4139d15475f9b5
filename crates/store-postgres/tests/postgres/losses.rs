//! Connections that are lost, and locks that somebody else takes.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use sandbar_store::{Driver, SandboxRow, Store, sandbox_count_living, sandbox_insert_in_txn};
use sandbar_store_postgres::PostgresDriver;
use sandbar_types::{Generation, SandboxId, SandboxSpec, SandboxState, Source, TenantId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use super::Database;

fn row(name: &str) -> SandboxRow {
    let now = Timestamp::from_microsecond(1_700_000_000_000_000).unwrap();
    SandboxRow {
        id: SandboxId::generate(),
        tenant_id: TenantId::DEFAULT,
        app_id: None,
        is_current: false,
        name: name.parse().unwrap(),
        spec: SandboxSpec::over(Source::Empty),
        caller: serde_json::json!({}),
        state: SandboxState::Creating,
        generation: Generation::FIRST,
        review_generation: Generation::FIRST,
        nonce: "n".to_owned(),
        boot_id: "b".to_owned(),
        uid_base: None,
        isolation: None,
        created_at: now,
        beginning_ns: 1,
        base_commit: None,
        source_inode: None,
        updated_at: now,
        lease_until: None,
        stop_reason: None,
        keepalive_until: None,
        last_active_at: now,
        upper_bytes: 0,
        upper_files: 0,
        deleted_at: None,
    }
}

async fn living(store: &Store) -> u64 {
    sandbox_count_living(&mut store.read().await.unwrap()).await.unwrap()
}

const END_OF_OURS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE application_name = 'sandbar' AND datname = current_database()";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_after_the_database_has_dropped_its_connections() {
    let Some(database) = Database::fresh() else { return };
    let store = database.open().await.unwrap();
    let mut person = database.person().await;
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &row("half")).await.unwrap();
    sqlx::query(END_OF_OURS).execute(&mut person).await.unwrap();
    let err = sandbox_insert_in_txn(&mut txn, &row("other")).await.unwrap_err();
    assert!(err.is_unavailable() && !err.is_fatal(), "{err:?}");
    drop(txn);
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &row("whole")).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(living(&store).await, 1);
    // The lock was taken again with the connection.
    assert!(database.open().await.unwrap_err().is_in_use);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_the_lock_to_another_server_writes_no_more() {
    let Some(database) = Database::fresh() else { return };
    let store = database.open().await.unwrap();
    let mut person = database.person().await;
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &row("half")).await.unwrap();
    // Queued: it has the lock in the moment in which the first one loses it.
    let mut other = database.person().await;
    let queued = tokio::join!(
        sqlx::query("SELECT pg_advisory_lock(x'53626172'::bigint)").execute(&mut other),
        async {
            // Not before the other one waits: what waits gets it first.
            // In this database: other tests of the cluster wait for locks of theirs.
            let waits = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database \
                 WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
            while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut person).await.unwrap() == 0 {
                tokio::task::yield_now().await;
            }
            sqlx::query(END_OF_OURS).execute(&mut person).await
        },
    );
    queued.0.unwrap();
    assert!(txn.commit().await.unwrap_err().is_unavailable());
    let err = store.begin().await.unwrap_err();
    assert!(err.is_unavailable(), "{err:?}");
    assert_eq!(living(&store).await, 0);
    store.close().await;
}

/// What passes everything on, until it is told to keep the answer to a commit to itself.
async fn cut_answers(listener: UnixListener, server: PathBuf, is_cutting: Arc<AtomicBool>) {
    let mut tasks = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let server = UnixStream::connect(&server).await.unwrap();
        let is_cutting = Arc::clone(&is_cutting);
        tasks.spawn(pass_on(client, server, is_cutting));
    }
}

async fn pass_on(mut client: UnixStream, mut server: UnixStream, is_cutting: Arc<AtomicBool>) {
    let (mut asked, mut said) = ([0; 8192], [0; 8192]);
    let mut is_cut = false;
    loop {
        tokio::select! {
            len = client.read(&mut asked) => match len {
                Ok(0) | Err(_) => return,
                Ok(len) => {
                    is_cut = asked[..len].windows(6).any(|word| word == b"COMMIT")
                        && is_cutting.swap(false, Ordering::SeqCst);
                    server.write_all(&asked[..len]).await.unwrap();
                }
            },
            len = server.read(&mut said) => match len {
                Ok(0) | Err(_) => return,
                // It was committed, and nobody hears of it.
                Ok(_) if is_cut => return,
                Ok(len) => client.write_all(&said[..len]).await.unwrap(),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_still_known_to_be_one() {
    let Some(database) = Database::fresh() else { return };
    let (_, socket) = database.url.split_once("host=").unwrap();
    let (socket, _) = socket.split_once('&').unwrap();
    let server = PathBuf::from(socket).join(".s.PGSQL.5432");
    let listener = UnixListener::bind(database.dir().join(".s.PGSQL.5432")).unwrap();
    let is_cutting = Arc::new(AtomicBool::new(false));
    let mut proxy = JoinSet::new();
    proxy.spawn(cut_answers(listener, server, Arc::clone(&is_cutting)));
    let url = database.url.replace(socket, &database.dir().display().to_string());
    let store = PostgresDriver::new(url.parse().unwrap()).open().await.unwrap();
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &row("one")).await.unwrap();
    is_cutting.store(true, Ordering::SeqCst);
    txn.commit().await.unwrap();
    assert!(!is_cutting.load(Ordering::SeqCst), "no answer was lost");
    assert_eq!(living(&store).await, 1);
    store.close().await;
    proxy.shutdown().await;
}
