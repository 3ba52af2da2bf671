//! Whose data a database holds, and who may work on it.

use step::Failure;

use super::sql::{self, Sql};
use super::{Session, Value};

/// The lock's key: of the cluster and the database's name. One program works on a database at a time, whichever it is.
const KEY: &str = "hashtextextended(format('db-restore:%s:%s', (select system_identifier from pg_control_system()), {}::text), 0)";
/// The marker: a plain table with the two columns, stored.
const MARKER: &str = "select c.oid::regclass::text from pg_class c where oid = to_regclass($1) and relkind = 'r' and 2 = (
                         select count(*) from pg_attribute a where attrelid = c.oid and attname in ('product', 'environment')
                         and attgenerated <> 'v')";

/// The key of the advisory lock that whoever works on this database holds.
pub fn lock_key(database: &str) -> Sql {
    sql::fill(KEY, &[sql::text(database)])
}

impl Session<'_> {
    /// What the marker says: `product environment`, once for each that it names; `None` where there is no such table. Copied out, and not asked
    /// for: what a table's indexes hold would be evaluated with our rights.
    ///
    /// # Errors
    /// As any question.
    pub fn marker(&mut self, table: &str) -> Result<Option<Vec<String>>, Failure> {
        let found: Option<String> = self.one(MARKER, &[&table as &dyn Value])?;
        let Some(table) = found else { return Ok(None) };
        let text = |column: &Option<String>| column.as_deref().unwrap_or_default().trim_end().to_owned();
        let rows = self.copied(&table, &["product", "environment"])?;
        let mut rows: Vec<String> =
            rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect();
        rows.sort_unstable();
        rows.dedup();
        Ok(Some(rows))
    }
}
