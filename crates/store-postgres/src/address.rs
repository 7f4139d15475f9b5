//! Where the server is, read from a URL that may hold a password.

use std::{fmt, net::IpAddr, str::FromStr};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What may stand in the query of a URL. Anything else is refused: it would be ignored otherwise, and written to the log.
const KEYS: [&str; 8] =
    ["sslmode", "host", "hostaddr", "port", "dbname", "user", "password", "application_name"];

/// `postgres://user@host/database`; says everything but the password when it is printed.
#[derive(Clone)]
pub struct PostgresAddress(pub(crate) PgConnectOptions);

/// Why a URL is not an address of a database that would be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be parsed. What was said is not repeated: it may hold a password.
    #[error("must look like `postgres://user@host/database`")]
    Malformed,
    /// Something in its query is not known.
    #[error("has `{key}` in its query, which is not known here")]
    UnknownKey {
        /// What it says.
        key: String,
    },
    /// This build speaks no TLS.
    #[error("asks for TLS, which this build does not speak")]
    Tls,
    /// Everything would cross a network as it is.
    #[error(
        "names another host, and what is sent there is not encrypted: add `sslmode=disable` if the network between is yours"
    )]
    InClear,
}

impl FromStr for PostgresAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(AddressError::Malformed);
        }
        let query = text.split_once('?').map_or("", |(_, query)| query);
        let mut keys = query.split('&').filter_map(|pair| pair.split('=').next());
        let is_known = |key: &str| key.is_empty() || key == "options" || KEYS.contains(&key);
        if let Some(key) = keys.find(|key| !is_known(key) && !key.starts_with("options[")) {
            return Err(AddressError::UnknownKey { key: key.to_owned() });
        }
        let is_said = query.split('&').any(|pair| pair == "sslmode=disable");
        let options: PgConnectOptions = text.parse().map_err(|_| AddressError::Malformed)?;
        match options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => {}
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => {
                return Err(AddressError::Tls);
            }
        }
        if !is_said && !is_local(&options) {
            return Err(AddressError::InClear);
        }
        Ok(Self(options.ssl_mode(PgSslMode::Disable)))
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.0;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        write!(f, "postgres://{}@", options.get_username())?;
        match options.get_socket() {
            Some(socket) => write!(f, "[{}]", socket.display())?,
            None => f.write_str(options.get_host())?,
        }
        write!(f, ":{}/{database}", options.get_port())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let address: PostgresAddress = "postgres://me:geheim@localhost:7/db".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://me@localhost:7/db");
        assert_eq!(format!("{address:?}"), "postgres://me@localhost:7/db");
        let address: PostgresAddress =
            "postgres:///db?host=/run/pg&user=me&password=geheim".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://me@[/run/pg]:5432/db");
    }

    #[test]
    fn what_would_be_ignored_or_sent_in_clear_is_refused() {
        for (text, expected) in [
            ("mysql://me@localhost/db", AddressError::Malformed),
            ("postgres://me:geheim@localhost:port/db", AddressError::Malformed),
            ("postgres://me@db.example/db", AddressError::InClear),
            ("postgres://me@db.example/db?sslmode=prefer", AddressError::InClear),
            ("postgres://me@db.example/db?sslmode=verify-full", AddressError::Tls),
            (
                "postgres://me@localhost/db?pasword=geheim",
                AddressError::UnknownKey { key: "pasword".to_owned() },
            ),
        ] {
            let err = text.parse::<PostgresAddress>().unwrap_err();
            assert_eq!(err, expected, "{text}");
            assert!(!err.to_string().contains("geheim"), "{err}");
        }
        for text in ["postgres://me@127.0.0.1/db", "postgres://me@db.example/db?sslmode=disable"] {
            assert!(text.parse::<PostgresAddress>().is_ok(), "{text}");
        }
    }
}
