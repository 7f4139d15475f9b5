//! The server's parts, put together.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbar_cli::{Listen, ServeFailure, ServeFailureKind, ServeOptions, ServeResult};
use sandbar_engine::{Driver, EngineConfig, WorkerApplier, WorkerGit};
use sandbar_runtime::{
    Caller,
    native::{NativeConfig, NativeRuntime},
};
use sandbar_server::{
    Config, ConfigError, HttpCourier, ServeConfig, ServeError, ServerNetwork, TcpListen,
};
use sandbar_store_postgres::{AddressError, PostgresAddress, PostgresDriver};
use sandbar_store_sqlite::SqliteDriver;

use crate::{backup, caller};

/// Our own binary, as it is in memory: a server whose file was replaced by an upgrade goes on starting launchers and
/// supervisors of its own version, which speak its protocol.
const OWN_EXE: &str = "/proc/self/exe";
/// Launchers that are kept warm: a person starts one sandbox at a time, an orchestrator a few.
const POOL_SIZE: usize = 4;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(options: ServeOptions) -> ServeResult {
    backup::recover(&options.data_dir)?;
    let settings = settings(&options)?;
    let caller = caller::current().map_err(|error| ServeFailure {
        kind: ServeFailureKind::Unexpected,
        error: error.into(),
        hint: Some("set HOME to your home directory".to_owned()),
    })?;
    // Before the runtime exists, which may have something to say.
    settings.start_logging();
    let network = ServerNetwork::new(&settings, caller.home.as_path().to_owned());
    let store = store(&options)?;
    sandbar_server::serve(|| config(options, settings, store, caller, network)).map_err(
        |error: ServeError| {
            let kind = if error.is_in_use() {
                ServeFailureKind::InUse
            } else {
                ServeFailureKind::Unexpected
            };
            ServeFailure { kind, hint: error.hint(), error: error.into() }
        },
    )
}

/// Says everything that a server of this data directory would be started with.
pub(crate) fn settings_text(data_dir: &Path) -> Result<String, ServeFailure> {
    Config::load(data_dir, environment()).map(|settings| settings.to_toml()).map_err(misconfigured)
}

fn settings(options: &ServeOptions) -> Result<Config, ServeFailure> {
    let mut settings = Config::load(&options.data_dir, environment()).map_err(misconfigured)?;
    if let Some(listen) = options.listen {
        settings = settings.with_listen(match listen {
            Listen::None => TcpListen::None,
            Listen::Usual => TcpListen::Usual,
            Listen::At(address) => TcpListen::At(address),
        });
    }
    match &options.log {
        Some(filter) => settings.with_log_filter(filter).map_err(misconfigured),
        None => Ok(settings),
    }
}

/// What of the environment is text; a name or value that is not, is none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn misconfigured(error: ConfigError) -> ServeFailure {
    ServeFailure {
        kind: ServeFailureKind::Usage,
        error: error.into(),
        hint: Some(
            "docs/operations.md lists every setting; `sandbar config check` tells without starting"
                .to_owned(),
        ),
    }
}

/// The file in the data directory, or the database that was named.
fn store(options: &ServeOptions) -> Result<Arc<dyn Driver>, ServeFailure> {
    let Some(url) = &options.store else {
        return Ok(Arc::new(SqliteDriver::new(&options.data_dir)));
    };
    let address: PostgresAddress = url.reveal().parse().map_err(|error| ServeFailure {
        kind: ServeFailureKind::Usage,
        error: StoreUrlError(error).into(),
        hint: Some("docs/operations.md shows what `--store` and SANDBAR_STORE may say".to_owned()),
    })?;
    Ok(Arc::new(PostgresDriver::new(address)))
}

/// What is wrong with the URL of a store.
#[derive(Debug, thiserror::Error)]
#[error("the URL of `--store` or SANDBAR_STORE {0}")]
struct StoreUrlError(AddressError);

fn config(
    options: ServeOptions,
    settings: Config,
    store: Arc<dyn Driver>,
    caller: Caller,
    network: ServerNetwork,
) -> ServeConfig {
    let exe = PathBuf::from(OWN_EXE);
    let runtime = NativeRuntime::new(NativeConfig {
        exe: exe.clone(),
        data_dir: options.data_dir.clone(),
        instance: instance(&options.data_dir),
        pool_size: POOL_SIZE,
    });
    let applier = WorkerApplier { exe: exe.clone() };
    let key = credential(std::env::var_os("CREDENTIALS_DIRECTORY"));
    let mut engine =
        EngineConfig::new(options.data_dir, store, Arc::new(runtime), Arc::new(applier));
    engine.secrets_key = key.unwrap_or(engine.secrets_key);
    engine.git = Arc::new(WorkerGit { exe });
    engine.network = Arc::new(network);
    engine.courier = Arc::new(HttpCourier::new(&settings));
    ServeConfig { engine, caller, socket: options.socket, settings }
}

/// The key file of secrets that the service manager hands over, where it does.
fn credential(dir: Option<std::ffi::OsString>) -> Option<PathBuf> {
    let path = PathBuf::from(dir?).join("sandbar.secrets.key");
    path.exists().then_some(path)
}

/// Names the servers of one host apart by their data directories, the same after every restart and upgrade, because
/// the names of control groups begin with it. FNV-1a: the standard library's own hash may change between versions.
fn instance(data_dir: &Path) -> String {
    let hash = data_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_the_same_for_ever_and_differs_by_directory() {
        // A published value of FNV-1a.
        assert_eq!(instance(Path::new("a")), "af63dc4c8601ec8c");
        assert_ne!(instance(Path::new("/a")), instance(Path::new("/b")));
    }
}
