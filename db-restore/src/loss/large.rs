//! Large objects are compared like the rows of a table, each by its number. They have no transactions that could be asked.

use step::Failure;

use super::rows::{Differences, Side, merge};
use super::{By, Lost};
use crate::server::{Session, get};

/// What they are called in a report.
pub const NAME: &str = "large objects";
/// Each with a hash of all of its pages.
const PRINTS: &str = "
    select m.oid::bigint, hash_record_extended(row(p.n, p.h), 0) from pg_largeobject_metadata m
    left join (select loid, count(*) as n, sum(hash_record_extended(row(pageno, data), 0)) as h from pg_largeobject group by loid) p on p.loid = m.oid
    order by 1";
/// How many there are, whether we may read them, and a number that moves when they are written to.
const LOOK: &str = "
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

/// Looks at them.
pub fn look(session: &mut Session) -> Result<Large, Failure> {
    let rows = session.ask(LOOK, &[])?;
    let row = rows.first().ok_or_else(|| Failure::bug("no row about large objects"))?;
    Ok(Large { count: get::<i64>(row, 0)?.unsigned_abs(), readable: get(row, 1)?, activity: get(row, 2)? })
}

/// How many were written since a transaction, by the 32 bits of it that rows carry; nothing where we may not read them.
pub fn written_since(session: &mut Session, xid: i64) -> Result<Option<u64>, Failure> {
    if !look(session)?.readable {
        return Ok(None);
    }
    let sql = "select count(*) from (select loid from pg_largeobject where age(xmin) <= age($1::text::xid)
                                     union select oid from pg_largeobject_metadata where age(xmin) <= age($1::text::xid)) s";
    Ok(session.one::<i64>(sql, &[&xid.to_string()])?.map(i64::unsigned_abs))
}

/// What they lose; nothing where neither side has any.
pub fn lost(old: &mut Side, new: &mut Side) -> Result<Option<Lost>, Failure> {
    let (there, here) = (look(&mut old.session)?, look(&mut new.session)?);
    if there.count + here.count == 0 || !there.readable || !here.readable {
        return Ok(None);
    }
    let found = merge(true, old.session.rows(PRINTS, &[])?, new.session.rows(PRINTS, &[])?)?;
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
