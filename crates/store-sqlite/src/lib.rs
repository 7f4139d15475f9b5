//! The store in one SQLite file: how it is opened and refused, its schema, and what its answers mean.

mod database;
mod driver;
mod snapshot;

pub use driver::{SqliteDriver, SqliteOpenError};
pub use snapshot::{inspect, snapshot_at_rest};
