//! A statement with its parameters.

use crate::{DriverError, Param, Reads, Row, WriteTxn};

/// A statement, and what stands for `$1`, `$2` and so on in it.
#[derive(Debug)]
pub(crate) struct Query {
    sql: &'static str,
    params: Vec<Param>,
}

/// Begins a query. The text is one that SQLite and PostgreSQL take; it is never put together at run time.
pub(crate) fn query(sql: &'static str) -> Query {
    Query { sql, params: Vec::new() }
}

impl Query {
    /// Gives the next parameter.
    pub(crate) fn bind(mut self, param: impl Into<Param>) -> Self {
        self.params.push(param.into());
        self
    }

    /// Runs it and returns how many rows it changed.
    pub(crate) async fn execute(self, txn: &mut WriteTxn) -> Result<u64, DriverError> {
        txn.execute(self.sql, self.params).await
    }

    /// Runs it and returns every row.
    pub(crate) async fn fetch_all(self, conn: &mut impl Reads) -> Result<Vec<Row>, DriverError> {
        conn.fetch(self.sql, self.params).await
    }

    /// Runs it and returns its row. The statement sees to it that there is one at most.
    pub(crate) async fn fetch_optional(
        self,
        conn: &mut impl Reads,
    ) -> Result<Option<Row>, DriverError> {
        Ok(conn.fetch(self.sql, self.params).await?.into_iter().next())
    }

    /// Runs it and returns its one row.
    pub(crate) async fn fetch_one(self, conn: &mut impl Reads) -> Result<Row, DriverError> {
        let rows = conn.fetch(self.sql, self.params).await?;
        Ok(rows.into_iter().next().expect("an aggregate and a RETURNING have one row"))
    }
}
