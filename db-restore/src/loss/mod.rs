//! What a restore would lose, exactly, because both databases stand side by side. Where the old side descends from the very point that
//! the snapshot holds, what was written since is enough (`since`); else every row of both sides is read (`rows`). Both say the same.

mod large;
mod report;
mod rows;
mod shape;
mod since;

use std::collections::{BTreeMap, BTreeSet};

use step::Failure;

use crate::server::{self, Server, Session, Sql, get, sql};
use crate::snapshot::origin::Origin;
use rows::{Bucket, Comparison, Differences, Side, comparison, count};
use shape::{Shapes, others, shapes, shapes_of};
use since::Counts;

pub use report::{By, Lost, Report};
pub use shape::{SHAPES, layouts};

/// How many rows were ever written in a database, `$1` its identity; nothing where nobody counts. Moves whenever anything is written.
pub const WRITTEN: &str = "select case when current_setting('track_counts')::boolean then tup_inserted + tup_updated + tup_deleted end
                           from pg_stat_database where datid = $1";

/// The same of the database with this name.
const WRITTEN_HERE: &str = "select case when current_setting('track_counts')::boolean then tup_inserted + tup_updated + tup_deleted end
                            from pg_stat_database where datname = $1";

/// The two databases.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    pub server: Server<'a>,
    pub old: &'a str,
    pub new: &'a str,
    /// Where the snapshot stands that the new one was made of, if it is known.
    pub origin: Option<&'a Origin>,
}

/// Compares the two sides, each by a thread of its own; `beside` is done at the same time.
pub fn report<T: Send>(
    sides: Sides,
    beside: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<(Report, T), Failure> {
    let (mut pair, other) = Pair::open(sides, "true".into())?;
    let before = pair.before.clone();
    let names: BTreeSet<&String> = before.keys().chain(other.keys()).collect();
    let all: Vec<_> = names.iter().map(|t| comparison(t, before.get(*t), other.get(*t))).collect();
    let (losses, done) = std::thread::scope(|scope| {
        let done = scope.spawn(beside);
        (pair.losses(&all), joined(done.join()))
    });
    let (losses, done) = (losses?, done?);
    let (derived, mut unread) = others(&mut pair.old.session)?;
    let large = large::look(&mut pair.old.session)?;
    unread.extend(
        (large.count > 0 && !large.readable)
            .then(|| format!("{} {}, which only a superuser may read", large.count, large::NAME)),
    );
    let counts = losses.iter().filter_map(|l| Some((l.table.clone(), l.rows_new?)));
    let (extensions, counts) = counts.partition(|(table, _)| other.get(table).is_some_and(|s| s.extension));
    let (origin, written) = (sides.origin.cloned(), pair.written);
    let mut report = Report {
        counts,
        extensions,
        derived,
        unread,
        old: before,
        large,
        origin,
        written,
        ..Report::default()
    };
    losses.into_iter().for_each(|lost| report.put(lost));
    large::lost(&mut pair.old, &mut pair.new)?.into_iter().for_each(|lost| report.put(lost));
    Ok((report, done))
}

/// Brings a report up to date now that the old side is quiet: only tables that were written to since are compared again. The new
/// side is not quiet any more: rows that were written to it from transaction `from` on are not looked at.
pub fn finish(sides: Sides, (from, written): (u64, Option<i64>), report: &mut Report) -> Result<(), Failure> {
    // Most of the time nothing has moved, and nobody need be asked.
    if written.is_some() && written == report.written {
        return Ok(());
    }
    let first = from & 0xffff_ffff;
    let only = sql::fill("not (age(t.xmin) >= 0 and age(t.xmin) <= age('{}'::xid))", &[sql::number(first)]);
    let origin = report.origin.clone();
    let mut quiet = sides.server.connect(sides.old)?;
    let large = large::look(&mut quiet)?;
    if shapes(&mut quiet)? == report.old && large == report.large {
        return Ok(());
    }
    drop(quiet);
    let (mut pair, other) = Pair::open(Sides { origin: origin.as_ref(), ..sides }, only)?;
    let now = pair.before.clone();
    let names: BTreeSet<&String> = now.keys().chain(report.old.keys()).collect();
    let moved = names.into_iter().filter(|t| now.get(*t) != report.old.get(*t));
    let moved: Vec<String> = moved.cloned().collect();
    if large != report.large {
        large::lost(&mut pair.old, &mut pair.new)?.into_iter().for_each(|lost| report.put(lost));
        report.large = large;
    }
    if moved.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = moved.iter().map(|t| comparison(t, now.get(t), other.get(t))).collect();
    for lost in pair.losses(&all)? {
        // One that it had and has no more may have been lost by the swap or by what came after it.
        let counted = report.counts.get(&lost.table).or_else(|| report.extensions.get(&lost.table));
        if lost.rows_new != counted.copied() {
            report.overtaken.insert(lost.table.clone());
        }
        report.put(lost);
    }
    report.tables.sort_by(|a, b| a.table.cmp(&b.table));
    report.old = now;
    Ok(())
}

fn joined<T>(thread: std::thread::Result<Result<T, Failure>>) -> Result<T, Failure> {
    thread.unwrap_or_else(|_| Err(Failure::bug("a thread that compares has panicked")))
}

/// The old side's tables, and what [`WRITTEN`] says of it.
type Before = (Shapes, Option<i64>);

/// Both sides, each seen as it is at one instant.
struct Pair<'a> {
    old: Side<'a>,
    new: Side<'a>,
    /// The old side's tables, looked at before that instant: who writes later is noticed.
    before: Shapes,
    written: Option<i64>,
    /// What was written since is known by this.
    origin: Option<&'a Origin>,
}

impl<'a> Pair<'a> {
    /// Both sides are opened at the same time, and each is asked in as few round trips as there can be. Gives the new side's tables too.
    fn open(sides: Sides<'a>, only: Sql) -> Result<(Self, Shapes), Failure> {
        let (left, right) = std::thread::scope(|scope| {
            let left = scope.spawn(|| Self::old_side(sides));
            let right = Self::new_side(sides);
            (joined(left.join()), right)
        });
        let ((old, (before, written), doubt), (new, other)) = (left?, right?);
        if let Some(doubt) = doubt {
            sides.server.detail(&format!("every row is compared: {doubt}"));
        }
        let origin = sides.origin.filter(|_| doubt.is_none());
        let (old, new) = (Side { session: old, only: "true".into() }, Side { session: new, only });
        Ok((Pair { old, new, before, written, origin }, other))
    }

    fn old_side(sides: Sides<'a>) -> Result<(Session<'a>, Before, Option<&'static str>), Failure> {
        let mut old = sides.server.connect(sides.old)?;
        // Before the sight begins: who writes later is noticed.
        let here: [&dyn server::Value; 1] = [&sides.old];
        let answers = old.ask_all(&[(WRITTEN_HERE.into(), &here), (SHAPES.into(), &[])])?;
        let [written, before] = answers.as_slice() else { return Err(Failure::bug("two answers")) };
        let written = written.first().map(|row| get::<Option<i64>>(row, 0)).transpose()?.flatten();
        let before = (shapes_of(before)?, written);
        let question = sides.origin.map(Origin::question);
        let values: Option<[&dyn server::Value; 2]> = question.as_ref().map(|q| [&q.xids as _, &q.ends as _]);
        let mut questions: Vec<(Sql, &[&dyn server::Value])> = vec![(PREPARE.into(), &[])];
        questions.extend(values.as_ref().map(|values| (Origin::QUESTION.into(), &values[..])));
        let answers = old.still_and_ask(&questions)?;
        let doubt = sides.origin.map(|origin| origin.doubt(answers.get(1).map_or(&[], Vec::as_slice)));
        Ok((old, before, doubt.transpose()?.flatten()))
    }

    fn new_side(sides: Sides<'a>) -> Result<(Session<'a>, Shapes), Failure> {
        let mut new = sides.server.connect(sides.new)?;
        let answers = new.still_and_ask(&[(PREPARE.into(), &[]), (SHAPES.into(), &[])])?;
        let shapes = shapes_of(answers.get(1).map_or(&[], Vec::as_slice))?;
        Ok((new, shapes))
    }

    /// Asks both sides at the same time.
    fn both<A: Send, B>(
        &mut self,
        old: impl FnOnce(&mut Side) -> Result<A, Failure> + Send,
        new: impl FnOnce(&mut Side) -> Result<B, Failure>,
    ) -> Result<(A, B), Failure> {
        let Pair { old: left, new: right, .. } = self;
        let (a, b) = std::thread::scope(|scope| {
            let a = scope.spawn(|| old(left));
            let b = new(right);
            (joined(a.join()), b)
        });
        Ok((a?, b?))
    }

    /// What each table loses.
    fn losses(&mut self, all: &[Comparison]) -> Result<Vec<Lost>, Failure> {
        let counts = self.counts(all)?;
        let served = |c: &Comparison| counts.contains_key(&c.table);
        let whole: Vec<&Comparison> = all.iter().filter(|c| !served(c)).collect();
        let (mut olds, mut news) = self.both(
            |old| prints(old, whole.iter().filter(|c| c.old)),
            |new| prints(new, whole.iter().filter(|c| c.new)),
        )?;
        let mut one = |c: &Comparison| match counts.get(&c.table) {
            Some(counts) => self.since(c, *counts),
            None => self.whole(c, olds.remove(&c.table).as_deref(), news.remove(&c.table).as_deref()),
        };
        all.iter().map(&mut one).collect()
    }

    /// The tables for which it is enough to look at what was written since.
    fn counts(&mut self, all: &[Comparison]) -> Result<BTreeMap<String, Counts>, Failure> {
        let Some(origin) = self.origin else { return Ok(BTreeMap::new()) };
        let covered: Vec<&Comparison> = all.iter().filter(|c| origin.covers(c)).collect();
        let (olds, news) =
            self.both(|old| origin.counts(&covered, old), |new| rows::counts(&covered, new))?;
        let all = covered.into_iter().zip(olds.into_iter().zip(news));
        let all = all.map(|(c, ((old, newer), new))| (c, Counts { old, newer, new }));
        Ok(all.filter(|(c, counts)| origin.serves(c, *counts)).map(|(c, n)| (c.table.clone(), n)).collect())
    }

    fn since(&mut self, c: &Comparison, counts: Counts) -> Result<Lost, Failure> {
        let Some(origin) = self.origin else { return Err(Failure::bug("no origin to compare by")) };
        match origin.differences(c, counts, (&mut self.old, &mut self.new))? {
            Some(found) => self.lost(c, Some(counts.old), Some(counts.new), found, By::Transactions),
            None => {
                let (olds, news) = self.both(|old| c.buckets(old), |new| c.buckets(new))?;
                self.whole(c, Some(&olds), Some(&news))
            }
        }
    }

    fn whole(
        &mut self,
        c: &Comparison,
        olds: Option<&[Bucket]>,
        news: Option<&[Bucket]>,
    ) -> Result<Lost, Failure> {
        let (rows_old, rows_new) = (olds.map(count), news.map(count));
        let found = match (olds, news) {
            (Some(olds), Some(news)) => c.whole((&mut self.old, &mut self.new), (olds, news))?,
            _ => Differences {
                only_in_old: rows_old.unwrap_or(0),
                only_in_new: rows_new.unwrap_or(0),
                changed: 0,
            },
        };
        self.lost(c, rows_old, rows_new, found, By::Rows)
    }

    fn lost(
        &mut self,
        c: &Comparison,
        rows_old: Option<u64>,
        rows_new: Option<u64>,
        found: Differences,
        by: By,
    ) -> Result<Lost, Failure> {
        let Differences { only_in_old, only_in_new, changed } = found;
        let newest = c.old && only_in_old + changed > 0;
        let newest_row_at = if newest { c.newest(&mut self.old.session)? } else { None };
        let (table, columns_lost) = (c.table.clone(), c.columns_lost.clone());
        Ok(Lost {
            table,
            rows_old,
            rows_new,
            only_in_old,
            only_in_new,
            changed,
            columns_lost,
            newest_row_at,
            by,
        })
    }
}

/// A row is looked up by an index.
const PREPARE: &str =
    "select set_config(name, 'off', false) from (values ('enable_hashjoin'), ('enable_mergejoin')) s(name)";

fn prints<'c>(
    side: &mut Side,
    comparisons: impl Iterator<Item = &'c &'c Comparison>,
) -> Result<BTreeMap<String, Vec<Bucket>>, Failure> {
    let (small, large): (Vec<&Comparison>, Vec<&Comparison>) =
        comparisons.copied().partition(|comparison| comparison.is_small());
    let mut prints: BTreeMap<String, Vec<Bucket>> = rows::small(&small, side)?;
    for comparison in large {
        prints.insert(comparison.table.clone(), comparison.buckets(side)?);
    }
    Ok(prints)
}

/// Rows, and large objects, that were written since a transaction, by table: what an undo would lose.
pub fn written_since(session: &mut Session, xid: u64) -> Result<BTreeMap<String, u64>, Failure> {
    let mut written = BTreeMap::new();
    // Transaction numbers are compared in the 32 bits in which rows carry them.
    let xid = i64::try_from(xid & 0xffff_ffff).unwrap_or_default();
    let tables: Vec<String> = shapes(session)?.into_keys().collect();
    let one = |table: &String| {
        sql::fill(
            "select count(*) from only {} where age(xmin) <= age($1::bigint::text::xid)",
            &[sql::given(table)],
        )
    };
    if let Some(objects) = large::written_since(session, xid)?.filter(|objects| *objects > 0) {
        written.insert(large::NAME.to_owned(), objects);
    }
    let xid: [&dyn server::Value; 1] = [&xid];
    let questions: Vec<(Sql, &[&dyn server::Value])> = tables.iter().map(|t| (one(t), &xid[..])).collect();
    for (table, rows) in tables.into_iter().zip(session.ask_all(&questions)?) {
        let rows: i64 = rows.first().map(|row| get(row, 0)).transpose()?.unwrap_or_default();
        if rows > 0 {
            written.insert(table, rows.unsigned_abs());
        }
    }
    Ok(written)
}
