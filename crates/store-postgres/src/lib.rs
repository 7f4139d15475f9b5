//! The store in a database of a PostgreSQL server: how it is opened and refused, its schema, and what its answers mean.

mod address;
mod database;
mod driver;

pub use address::{AddressError, PostgresAddress};
pub use database::BACKUP_HINT;
pub use driver::{PostgresDriver, PostgresOpenError};
