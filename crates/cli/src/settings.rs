//! Where the server is: told by a flag or a variable, else the user's own.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

use crate::failure::Failure;

/// The data directory of the system service, and of root.
const SYSTEM_DATA_DIR: &str = "/var/lib/sandbar";

/// How to reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The user's own server: its socket below the data directory. Started when none runs.
    Own {
        /// The data directory, absolute.
        data_dir: PathBuf,
    },
    /// A unix socket that somebody else looks after.
    Socket(PathBuf),
    /// `host:port` on loopback, with a token.
    Tcp {
        /// As written, without the scheme.
        authority: String,
        /// Sent as a bearer token.
        token: Option<String>,
    },
}

impl Endpoint {
    /// Reads `--server` (or `SANDBAR_SERVER`) and `--data-dir` (or `SANDBAR_DATA_DIR`).
    ///
    /// # Errors
    /// A server that is neither `http://…` nor `unix:…`; no home directory.
    pub(crate) fn parse(
        server: Option<&str>,
        data_dir: Option<&Path>,
        token: Option<String>,
    ) -> Result<Self, Failure> {
        let Some(server) = server else {
            return Ok(Self::Own { data_dir: resolve_data_dir(data_dir)? });
        };
        if let Some(path) = server.strip_prefix("unix:") {
            return Ok(Self::Socket(PathBuf::from(path.strip_prefix("//").unwrap_or(path))));
        }
        match server.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) {
            Some(authority) if is_authority(authority) => {
                Ok(Self::Tcp { authority: authority.to_owned(), token })
            }
            Some(_) | None => {
                Err(Failure::usage(format!("`{server}` is not the address of a server"))
                    .hint("write it as http://127.0.0.1:PORT or unix:/path/to/sandbar.sock"))
            }
        }
    }
}

/// The server's socket below `data_dir`.
pub(crate) fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("run/sandbar.sock")
}

/// The data directory, absolute: as given, else root's or the user's own.
///
/// # Errors
/// There is no home directory, or no current one to make a relative path absolute.
pub(crate) fn resolve_data_dir(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = given {
        return std::path::absolute(dir).map_err(|error| {
            Failure::usage(format!("data directory `{}` cannot be used", dir.display()))
                .caused_by(&error)
        });
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(SYSTEM_DATA_DIR));
    }
    let dirs = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Failure::usage("there is no home directory for the data")
            .caused_by(&error)
            .hint("set SANDBAR_DATA_DIR")
    })?;
    Ok(dirs.data_dir().join("sandbar"))
}

/// The token of the TCP listener, from the environment only: arguments are visible to every user of the host.
pub(crate) fn token_from_environment() -> Option<String> {
    env::var_os("SANDBAR_TOKEN")
        .and_then(|token: OsString| token.into_string().ok())
        .filter(|token| !token.is_empty())
}

fn is_authority(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_loopback_address_or_a_socket() {
        let parse = |server| Endpoint::parse(Some(server), None, None);
        assert_eq!(
            parse("http://127.0.0.1:7070/").unwrap(),
            Endpoint::Tcp { authority: "127.0.0.1:7070".to_owned(), token: None }
        );
        for socket in ["unix:/run/x.sock", "unix:///run/x.sock"] {
            assert_eq!(parse(socket).unwrap(), Endpoint::Socket(PathBuf::from("/run/x.sock")));
        }
        for wrong in ["", "localhost:7070", "https://x", "http://", "http://a b", "http://x/y"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_relative_data_directory_is_made_absolute() {
        let Endpoint::Own { data_dir } =
            Endpoint::parse(None, Some(Path::new("data")), None).unwrap()
        else {
            panic!("not our own")
        };
        assert!(data_dir.is_absolute() && data_dir.ends_with("data"));
        assert_eq!(socket_path(Path::new("/data")), PathBuf::from("/data/run/sandbar.sock"));
    }
}
