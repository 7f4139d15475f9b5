//! A fresh store of each dialect for each test.

use sandbar_store::Store;
use sandbar_test_store::Dialect;

/// A store that nobody else has.
pub(crate) struct Fresh {
    pub(crate) store: Store,
    _dir: tempfile::TempDir,
}

impl Fresh {
    /// `None` where this machine lacks the database; said aloud.
    pub(crate) async fn of(dialect: Dialect) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let driver = sandbar_test_store::driver_of(dialect, dir.path())?;
        Some(Self { store: driver.open().await.unwrap(), _dir: dir })
    }
}

/// Makes a test for each dialect of a function that takes a [`Fresh`].
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                let fresh = crate::support::Fresh::of(sandbar_test_store::Dialect::Sqlite).await;
                super::$test(&fresh.unwrap()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                let fresh = crate::support::Fresh::of(sandbar_test_store::Dialect::Postgres).await;
                if let Some(fresh) = fresh {
                    super::$test(&fresh).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both;
