//! Large objects are compared like the rows of a table, each by its number. They have no transactions that could be asked.

use step::Failure;

use super::rows::{Differences, merge};
use super::{By, Lost, Sides};
use crate::server::{Row, Server, Sql, get, sql};

/// What they are called in a report.
pub const NAME: &str = "large objects";
/// Each with a hash of all of its pages.
const PRINTS: &str = "
    select m.oid::bigint, hash_record_extended(row(p.n, p.h), 0) from pg_largeobject_metadata m
    left join (select loid, count(*) as n, sum(hash_record_extended(row(pageno, data), 0)) as h from pg_largeobject group by loid) p on p.loid = m.oid
    order by 1";
/// How many there are, whether we may read them, and a number that moves when they are written to.
pub const LOOK: &str = "
    select (select count(*) from pg_largeobject_metadata), has_table_privilege('pg_largeobject', 'select'),
           (select coalesce(sum(pg_stat_get_tuples_inserted(c) + pg_stat_get_tuples_updated(c) + pg_stat_get_tuples_deleted(c)), 0)::bigint
            from unnest(array['pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass]::oid[]) c)";

/// The large objects of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Large {
    pub count: u64,
    pub readable: bool,
    pub activity: i64,
}

/// From the answer to [`LOOK`], whoever of us has asked.
pub fn of(rows: &[Row], server: Server) -> Result<Large, Failure> {
    let row = rows.first().ok_or_else(|| Failure::bug("no row about large objects"))?;
    Ok(Large {
        count: get::<i64>(row, 0)?.unsigned_abs(),
        readable: get::<bool>(row, 1)? || server.is_superuser(),
        activity: get(row, 2)?,
    })
}

/// The question for how many were written since a transaction, by the 32 bits of it that rows carry, for whom may read them.
pub fn written_since(xid: i64) -> Sql {
    sql::fill(
        "select count(*) from (select loid from pg_largeobject where age(xmin) <= age('{}'::xid)
                               union select oid from pg_largeobject_metadata where age(xmin) <= age('{}'::xid)) s",
        &[sql::number(xid), sql::number(xid)],
    )
}

/// What they lose, by sessions of our own; nothing where neither side has any.
pub fn lost(sides: Sides, (there, here): (Large, Large)) -> Result<Option<Lost>, Failure> {
    if there.count + here.count == 0 || !there.readable || !here.readable {
        return Ok(None);
    }
    let (mut old, mut new) = (sides.server.connect(sides.old)?, sides.server.connect(sides.new)?);
    old.ask_and_still(&[], &[])?;
    new.ask_and_still(&[], &[])?;
    let found = merge(true, old.rows(PRINTS, &[])?, new.rows(PRINTS, &[])?)?;
    let Differences { only_in_old, only_in_new, changed } = found;
    Ok(Some(Lost {
        table: NAME.to_owned(),
        rows_old: Some(there.count),
        rows_new: Some(here.count),
        only_in_old,
        only_in_new,
        changed,
        columns_lost: Vec::new(),
        newest_row_at: None,
        by: By::Rows,
    }))
}
