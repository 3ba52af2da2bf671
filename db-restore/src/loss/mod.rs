//! What a restore would lose, exactly, because both databases stand side by side. Where the old side descends from the very point that
//! the snapshot holds, what was written since is enough (`since`); else every row of both sides is read (`rows`). Both say the same.

mod large;
mod report;
mod rows;
mod shape;
mod since;

use std::collections::{BTreeMap, BTreeSet};

use step::Failure;

use crate::restore::seal;
use crate::server::{self, Row, Server, Sql, get, sql};
use crate::snapshot::origin::Origin;
use large::{LOOK, Large};
use rows::{Bucket, Comparison, Differences, Side, comparison, count};
use shape::{OTHERS, Shapes, UNREADABLE, others_of, shapes_of};
use since::Counts;

pub use report::{By, Lost, Report};
pub use shape::{SHAPES, layouts};

/// How many rows were ever written in a database, by its identity; nothing where nobody counts. Moves whenever anything is written.
pub const WRITTEN: &str = "select case when current_setting('track_counts')::boolean then tup_inserted + tup_updated + tup_deleted end
                           from pg_stat_database where datid = {}";

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

/// Compares the two sides, each by a thread of its own; `beside` is done at the same time. With `sealed`, also the seal of the new side.
pub fn report<T: Send>(
    sides: Sides,
    sealed: bool,
    beside: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<(Report, T, Option<String>), Failure> {
    let mut pair = Pair::open(sides, "true".into(), sealed)?;
    let Before { shapes: before, written, large, derived, mut unread } = pair.before.clone();
    let other = pair.other.clone();
    let names: BTreeSet<&String> = before.keys().chain(other.keys()).collect();
    let all: Vec<_> = names.iter().map(|t| comparison(t, before.get(*t), other.get(*t))).collect();
    let (losses, done) = std::thread::scope(|scope| {
        let done = scope.spawn(beside);
        (pair.losses(&all), joined(done.join()))
    });
    let ((losses, seal), done) = (losses?, done?);
    unread.extend(
        (large.count > 0 && !large.readable)
            .then(|| format!("{} {}, which only a superuser may read", large.count, large::NAME)),
    );
    let counts = losses.iter().filter_map(|l| Some((l.table.clone(), l.rows_new?)));
    let (extensions, counts) = counts.partition(|(table, _)| other.get(table).is_some_and(|s| s.extension));
    let origin = sides.origin.cloned();
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
    large::lost(sides, (large, pair.new.large))?.into_iter().for_each(|lost| report.put(lost));
    Ok((report, done, seal))
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
    let quiet = sides.server.connect(sides.old)?.ask_these(&[LOOK.into(), SHAPES.into()])?;
    let [large, shapes] = quiet.as_slice() else { return Err(Failure::bug("two answers")) };
    let large = large::of(large, sides.server)?;
    if shapes_of(shapes)? == report.old && large == report.large {
        return Ok(());
    }
    let mut pair = Pair::open(Sides { origin: origin.as_ref(), ..sides }, only, false)?;
    let (now, other) = (pair.before.shapes.clone(), pair.other.clone());
    let names: BTreeSet<&String> = now.keys().chain(report.old.keys()).collect();
    let moved = names.into_iter().filter(|t| now.get(*t) != report.old.get(*t));
    let moved: Vec<String> = moved.cloned().collect();
    if large != report.large {
        large::lost(sides, (large, pair.new.large))?.into_iter().for_each(|lost| report.put(lost));
        report.large = large;
    }
    if moved.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = moved.iter().map(|t| comparison(t, now.get(t), other.get(t))).collect();
    for lost in pair.losses(&all)?.0 {
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

/// What the old side is, looked at before its sight begins: who writes later is noticed.
#[derive(Clone)]
struct Before {
    shapes: Shapes,
    /// What [`WRITTEN`] says of it.
    written: Option<i64>,
    large: Large,
    /// What is not compared: what is no data of its own, and what we may not read.
    derived: Vec<String>,
    unread: Vec<String>,
}

/// Both sides, the rows of each seen as they are at one instant; large objects, which other sessions read, at a later one.
struct Pair<'a> {
    sides: Sides<'a>,
    old: Side<'a>,
    new: Side<'a>,
    before: Before,
    /// The new side's tables.
    other: Shapes,
    /// What is asked of the new side for its seal.
    seal: Option<seal::Names>,
    /// What was written since is known by this.
    origin: Option<&'a Origin>,
}

impl<'a> Pair<'a> {
    /// Both sides are opened at the same time, and each is asked in as few round trips as there can be.
    fn open(sides: Sides<'a>, only: Sql, sealed: bool) -> Result<Self, Failure> {
        let (left, right) = std::thread::scope(|scope| {
            let left = scope.spawn(|| Self::old_side(sides));
            let right = Self::new_side(sides, only, sealed);
            (joined(left.join()), right)
        });
        let ((old, before, doubt), (new, other, seal)) = (left?, right?);
        if let Some(doubt) = doubt {
            sides.server.detail(&format!("every row is compared: {doubt}"));
        }
        let origin = sides.origin.filter(|_| doubt.is_none());
        Ok(Pair { sides, old, new, before, other, seal, origin })
    }

    fn old_side(sides: Sides<'a>) -> Result<(Side<'a>, Before, Option<&'static str>), Failure> {
        let mut session = sides.server.readers()?.connect(sides.old)?;
        let here: [&dyn server::Value; 1] = [&sides.old];
        let first = [WRITTEN_HERE, SHAPES, LOOK, OTHERS, UNREADABLE].map(Sql::from);
        let first: Vec<(Sql, &[&dyn server::Value])> = first
            .into_iter()
            .enumerate()
            .map(|(n, sql)| (sql, if n == 0 { &here[..] } else { &[] }))
            .collect();
        let question = sides.origin.map(Origin::question);
        let values: Option<[&dyn server::Value; 2]> = question.as_ref().map(|q| [&q.xids as _, &q.ends as _]);
        let mut then: Vec<(Sql, &[&dyn server::Value])> = vec![(PREPARE.into(), &[]), (LOOK.into(), &[])];
        then.extend(values.as_ref().map(|values| (Origin::QUESTION.into(), &values[..])));
        let (first, then) = session.ask_and_still(&first, &then)?;
        let [written, shapes, large, others, unreadable] = first.as_slice() else {
            return Err(Failure::bug("five answers"));
        };
        let (derived, unread) = others_of(others, unreadable)?;
        let before = Before {
            shapes: shapes_of(shapes)?,
            written: written.first().map(|row| get::<Option<i64>>(row, 0)).transpose()?.flatten(),
            large: large::of(large, sides.server)?,
            derived,
            unread,
        };
        let answer = |n: usize| then.get(n).map_or(&[][..], Vec::as_slice);
        let doubt = sides.origin.map(|origin| origin.doubt(answer(2))).transpose()?.flatten();
        Ok((Side { session, only: "true".into(), large: large::of(answer(1), sides.server)? }, before, doubt))
    }

    fn new_side(
        sides: Sides<'a>,
        only: Sql,
        sealed: bool,
    ) -> Result<(Side<'a>, Shapes, Option<seal::Names>), Failure> {
        let mut session = sides.server.readers()?.connect(sides.new)?;
        let names = if sealed { &seal::NAMES[..] } else { &[] };
        let then = [&[PREPARE, SHAPES, LOOK][..], names].concat();
        let then: Vec<(Sql, &[&dyn server::Value])> =
            then.into_iter().map(|sql| (sql.into(), &[][..])).collect();
        let (_, then) = session.ask_and_still(&[], &then)?;
        let [_, shapes, large, names @ ..] = then.as_slice() else {
            return Err(Failure::bug("three answers"));
        };
        let names = sealed.then(|| seal::Names::of_answers(names)).transpose()?;
        Ok((Side { session, only, large: large::of(large, sides.server)? }, shapes_of(shapes)?, names))
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

    /// What each table loses, and the new side's seal if it was asked for.
    fn losses(&mut self, all: &[Comparison]) -> Result<(Vec<Lost>, Option<String>), Failure> {
        let (counts, seal) = self.counts(all)?;
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
        Ok((all.iter().map(&mut one).collect::<Result<_, _>>()?, seal))
    }

    /// The tables for which it is enough to look at what was written since; and the seal, which is asked together with their numbers.
    fn counts(&mut self, all: &[Comparison]) -> Result<(BTreeMap<String, Counts>, Option<String>), Failure> {
        let (origin, names) = (self.origin, self.seal.take());
        let covered: Vec<&Comparison> =
            all.iter().filter(|c| origin.is_some_and(|origin| origin.covers(c))).collect();
        let more = names.as_ref().map(seal::Names::questions).unwrap_or_default();
        let (olds, (news, answers)) = self.both(
            |old| origin.map_or(Ok(Vec::new()), |origin| origin.counts(&covered, old)),
            |new| rows::counts(&covered, &more, new),
        )?;
        let large = if names.is_some() && self.new.large.count > 0 {
            seal::large(&mut self.sides.server.connect(self.sides.new)?)?
        } else {
            String::new()
        };
        let seal = names.map(|names| names.seal(&answers, &large)).transpose()?;
        let Some(origin) = origin else { return Ok((BTreeMap::new(), seal)) };
        let all = covered.into_iter().zip(olds.into_iter().zip(news));
        let all = all.map(|(c, ((old, newer), new))| (c, Counts { old, newer, new }));
        let all = all.filter(|(c, counts)| origin.serves(c, *counts)).map(|(c, n)| (c.table.clone(), n));
        Ok((all.collect(), seal))
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
pub fn written_since(server: Server, database: &str, xid: u64) -> Result<BTreeMap<String, u64>, Failure> {
    let session = &mut server.readers()?.connect(database)?;
    // Transaction numbers are compared in the 32 bits in which rows carry them.
    let xid = i64::try_from(xid & 0xffff_ffff).unwrap_or_default();
    let answers = session.ask_these(&[SHAPES.into(), LOOK.into()])?;
    let [shapes, large] = answers.as_slice() else { return Err(Failure::bug("two answers")) };
    let tables = shapes_of(shapes)?.into_keys();
    let one = |table: &String| {
        sql::fill(
            "select count(*) from only {} where age(xmin) <= age('{}'::xid)",
            &[sql::given(table), sql::number(xid)],
        )
    };
    let questions: Vec<(String, Sql)> = tables.map(|table| (table.clone(), one(&table))).collect();
    let (names, questions): (Vec<String>, Vec<Sql>) = questions.into_iter().unzip();
    let count = |rows: Vec<Row>| rows.first().map_or(Ok(0), |row| get::<i64>(row, 0)).map(i64::unsigned_abs);
    let counts: Vec<u64> = session.ask_these(&questions)?.into_iter().map(count).collect::<Result<_, _>>()?;
    let mut all: BTreeMap<String, u64> =
        names.into_iter().zip(counts).filter(|(_, rows)| *rows > 0).collect();
    let large = large::of(large, server)?;
    if large.readable && large.count > 0 {
        let rows = server.connect(database)?.one::<i64>(large::written_since(xid), &[])?.unwrap_or_default();
        all.extend((rows > 0).then(|| (large::NAME.to_owned(), rows.unsigned_abs())));
    }
    Ok(all)
}
