//! How a table is compared by what was written since the snapshot: the rows of the old side that its transactions cannot date before
//! it are looked up by their keys on the new side. Every other row of the old side is on the new side as it is; so what is only there is
//! the rest of its rows, and needs no look. The new side's number of rows must be the snapshot's.

use step::Failure;

use super::rows::{Comparison, Differences, Side};
use crate::server::{Row, Sql, Value, get, sql};
use crate::snapshot::origin::Origin;

/// How many rows are looked up at once.
const BATCH: usize = 1000;
/// So many rows are always looked up; of more, only if they are no more than this part of the table. Else reading it whole is faster.
const FEW: u64 = 4000;
const PART: u64 = 32;

/// How many rows a table has on each side, and how many of the old ones may be newer than the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub old: u64,
    pub newer: u64,
    pub new: u64,
}

impl Origin {
    /// Whether rows that are older than the snapshot read as they did then.
    pub fn covers(&self, c: &Comparison) -> bool {
        let Some((old, new)) = &c.layouts else { return false };
        // A clone's tables are the very ones of then.
        let then = self.tables.as_ref().map_or(Some(new), |tables| tables.get(&c.table));
        !old.is_empty() && then == Some(old)
    }

    /// Whether a table can be compared by what is newer. Pure.
    pub fn serves(&self, c: &Comparison, counts: Counts) -> bool {
        let complete = self.rows.as_ref().is_none_or(|rows| rows.get(&c.table) == Some(&counts.new));
        let Counts { old, newer, .. } = counts;
        // Without a key by which it can be looked up, a newer row may stand for one that was deleted.
        let few = newer == 0 || (c.findable && (newer <= FEW || newer <= old / PART));
        complete && few && self.covers(c)
    }

    /// The old side's rows of each table, and how many of them may be newer; asked together.
    pub fn counts(&self, tables: &[&Comparison], old: &mut Side) -> Result<Vec<(u64, u64)>, Failure> {
        let one = |c: &&Comparison| {
            let parts = [self.newer(), sql::given(&c.table)];
            sql::fill("select count(*), count(*) filter (where {}) from only {} t", &parts)
        };
        let questions: Vec<(Sql, &[&dyn Value])> = tables.iter().map(|c| (one(c), &[][..])).collect();
        let count = |rows: Vec<Row>| {
            let row = rows.first().ok_or_else(|| Failure::bug("no row from a count"))?;
            Ok((get::<i64>(row, 0)?.unsigned_abs(), get::<i64>(row, 1)?.unsigned_abs()))
        };
        old.session.ask_all(&questions)?.into_iter().map(count).collect()
    }

    /// What differs; `None` if the numbers contradict each other.
    pub fn differences(
        &self,
        c: &Comparison,
        counts: Counts,
        (old, new): (&mut Side, &mut Side),
    ) -> Result<Option<Differences>, Failure> {
        let mut found = Differences::default();
        if counts.newer > 0 {
            // As bytes: where a database has no encoding, a key need not be text for us.
            let keys = c.keys.iter().map(|(key, _)| {
                sql::fill("convert_to(t.{}::text, getdatabaseencoding()::name)", &[sql::given(key)])
            });
            let sql = sql::fill(
                "select {}, array[{}] from only {} t where {}",
                &[c.row.clone(), sql::join(keys, ", "), sql::given(&c.table), self.newer()],
            );
            let mut rows = old.session.rows(sql, &[])?;
            let mut batch = Vec::with_capacity(BATCH);
            while let Some(row) = rows.next_row()? {
                batch.push((get::<i64>(&row, 0)?, get::<Vec<Vec<u8>>>(&row, 1)?));
                if batch.len() == BATCH {
                    look_up(c, &batch, new, &mut found)?;
                    batch.clear();
                }
            }
            look_up(c, &batch, new, &mut found)?;
        }
        let both = counts.old.checked_sub(found.only_in_old);
        let only_in_new = both.and_then(|both| counts.new.checked_sub(both));
        Ok(only_in_new.map(|only_in_new| Differences { only_in_new, ..found }))
    }
}

/// Looks up rows of the old side by their keys.
fn look_up(
    c: &Comparison,
    batch: &[(i64, Vec<Vec<u8>>)],
    new: &mut Side,
    found: &mut Differences,
) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    let columns = 0..c.keys.len();
    let place = |n: usize| sql::number(i64::try_from(n).unwrap_or_default());
    let arrays = columns.clone().map(|n| sql::fill("${}::bytea[]", &[place(n + 1)]));
    let names = columns.clone().map(|n| sql::fill("k{}", &[place(n)]));
    // The name of an encoding has a collation of its own, which would stand against that of the key's column.
    let texts = columns.clone().map(|n| {
        let text = "convert_from(u.k{}, getdatabaseencoding()::name) collate \"default\" as k{}";
        sql::fill(text, &[place(n), place(n)])
    });
    let same = c.keys.iter().enumerate().map(|(n, (key, kind))| {
        sql::fill("t.{} = c.k{}::{}", &[sql::given(key), place(n), sql::signature(kind)])
    });
    let sql = sql::fill(
        "select c.place, {} from (select u.place, {} from unnest({}) with ordinality u({}, place)) c join only {} t on {} where {}",
        &[
            c.row.clone(),
            sql::join(texts, ", "),
            sql::join(arrays, ", "),
            sql::join(names, ", "),
            sql::given(&c.table),
            sql::join(same, " and "),
            new.only.clone(),
        ],
    );
    let values: Vec<Vec<Vec<u8>>> =
        columns.map(|n| batch.iter().map(|(_, key)| key[n].clone()).collect()).collect();
    let values: Vec<&dyn Value> = values.iter().map(|v| v as _).collect();
    let mut there: Vec<Option<i64>> = vec![None; batch.len()];
    for row in new.session.ask(sql, &values)? {
        let place = usize::try_from(get::<i64>(&row, 0)?).unwrap_or_default();
        if let Some(slot) = place.checked_sub(1).and_then(|n| there.get_mut(n)) {
            *slot = Some(get(&row, 1)?);
        }
    }
    for ((row, _), there) in batch.iter().zip(there) {
        match there {
            None => found.only_in_old += 1,
            Some(other) => found.changed += u64::from(*row != other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::rows::comparison;
    use crate::loss::shape::Shape;

    fn shape(key: &[&str], layout: &str) -> Shape {
        Shape {
            bytes: 8192,
            activity: 0,
            file: 0,
            columns: vec![("id".into(), "integer".into(), true)],
            key: key.iter().map(|k| (*k).to_owned()).collect(),
            layout: layout.to_owned(),
            extension: false,
        }
    }

    fn origin(tables: Option<&[(&str, &str)]>, rows: Option<u64>) -> Origin {
        Origin {
            database: 1,
            xmin: 700,
            seal: String::new(),
            tables: tables.map(|t| t.iter().map(|(n, l)| ((*n).to_owned(), (*l).to_owned())).collect()),
            rows: rows.map(|n| [("t".to_owned(), n)].into()),
        }
    }

    #[test]
    fn a_table_is_compared_by_what_is_newer_only_if_nothing_speaks_against_it() {
        let c = |old: &Shape, new: &Shape| comparison("t", Some(old), Some(new));
        let keyed = c(&shape(&["id"], "a"), &shape(&["id"], "b"));
        let counts = |old, newer, new| Counts { old, newer, new };
        let dump = origin(Some(&[("t", "a")]), Some(10));
        assert!(dump.serves(&keyed, counts(10, 0, 10)));
        assert!(dump.serves(&keyed, counts(4000, 4000, 10)));
        assert!(!dump.serves(&keyed, counts(5000, 5000, 10)), "most of it is new");
        assert!(dump.serves(&keyed, counts(1 << 20, 1 << 15, 10)));
        assert!(!dump.serves(&keyed, counts(10, 0, 11)), "not the snapshot's rows");
        assert!(!origin(Some(&[("t", "b")]), Some(10)).serves(&keyed, counts(10, 0, 10)), "laid out anew");
        assert!(!origin(Some(&[]), Some(10)).serves(&keyed, counts(10, 0, 10)), "not in the snapshot");
        let mood = |key: &[&str]| Shape {
            columns: vec![("id".into(), "app.mood".into(), false)],
            ..shape(key, "a")
        };
        let theirs = c(&mood(&["id"]), &mood(&["id"]));
        assert!(dump.serves(&theirs, counts(9, 0, 10)));
        assert!(!dump.serves(&theirs, counts(9, 1, 10)), "what makes a text of its key may be anybody's");
        let heap = c(&shape(&[], "a"), &shape(&[], "b"));
        assert!(dump.serves(&heap, counts(9, 0, 10)));
        assert!(!dump.serves(&heap, counts(9, 1, 10)), "no key to look it up by");
        let unsteady = c(&shape(&["id"], ""), &shape(&["id"], ""));
        assert!(!origin(None, None).serves(&unsteady, counts(10, 0, 10)), "it reads differently unwritten");
        let rekeyed = c(&shape(&["id"], "a"), &shape(&[], "a"));
        assert!(!origin(None, None).serves(&rekeyed, counts(10, 0, 10)), "another key");
        let clone = c(&shape(&["id"], "a"), &shape(&["id"], "a"));
        assert!(
            origin(None, None).serves(&clone, counts(10, 0, 10))
                && !origin(None, None).serves(&keyed, counts(10, 0, 10))
        );
    }
}
