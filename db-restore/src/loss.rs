//! What a restore would lose, exactly, because both databases stand side by side: each table's rows are hashed in buckets on both
//! sides, and where buckets differ the rows in them are held against each other by their keys. Nothing but hashes is carried over,
//! and never more than a row of each side is held.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use step::Failure;

use crate::server::{Rows, Server, Session, get};

/// The most buckets of a table; each takes 24 bytes here.
const BUCKETS: u64 = 1 << 14;
/// A bucket for so many bytes of a table.
const BYTES_A_BUCKET: u64 = 32 << 10;
/// How many tables a report lists.
const LISTED: usize = 50;

/// The tables of users, with what a comparison needs. A type is plain when equal values have equal hashes in any database: enums are
/// not (they are hashed by their OID), nor is what has no hash at all.
const SHAPES: &str = "
    select format('%I.%I', n.nspname, c.relname), pg_relation_size(c.oid),
           coalesce(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid), 0),
           coalesce(pg_relation_filenode(c.oid), 0)::bigint,
           array(select quote_ident(a.attname) from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname),
           array(select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname),
           array(select coalesce(e.typname, t.typname) in ('bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar',
                        'bpchar', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'uuid', 'bytea', 'jsonb', 'inet', 'cidr')
                 from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname),
           array(select quote_ident(a.attname) from pg_index i, unnest(i.indkey::smallint[]) with ordinality k(number, place)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                 where i.indrelid = c.oid and i.indisprimary and i.indisvalid order by k.place)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')";

/// A table as it is on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    bytes: u64,
    /// Moves when the table is written to.
    activity: i64,
    /// Moves when it is rewritten or emptied.
    file: i64,
    /// Name, type, and whether the type is plain.
    columns: Vec<(String, String, bool)>,
    key: Vec<String>,
}

type Shapes = BTreeMap<String, Shape>;

fn shapes(session: &mut Session) -> Result<Shapes, Failure> {
    let rows = session.ask(SHAPES, &[])?;
    let one = |row: &postgres::Row| {
        let (names, types, plain): (Vec<String>, Vec<String>, Vec<bool>) =
            (get(row, 4)?, get(row, 5)?, get(row, 6)?);
        let columns = names.into_iter().zip(types).zip(plain).map(|((n, t), p)| (n, t, p)).collect();
        let bytes = get::<i64>(row, 1)?.unsigned_abs();
        Ok((
            get(row, 0)?,
            Shape { bytes, activity: get(row, 2)?, file: get(row, 3)?, columns, key: get(row, 7)? },
        ))
    };
    rows.iter().map(one).collect()
}

/// How one table is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    table: String,
    /// On which sides it is.
    old: bool,
    new: bool,
    /// SQL for the hash of a row's key, and of the row.
    key: String,
    row: String,
    /// Whether rows have a key of their own: only then can one be said to have changed.
    keyed: bool,
    buckets: u64,
    /// Columns that only the old side has.
    columns_lost: Vec<String>,
    /// SQL for a row's own time, if it has one.
    time: Option<String>,
}

/// Decides how a table is compared. Pure.
fn comparison(table: &str, old: Option<&Shape>, new: Option<&Shape>) -> Comparison {
    let none = Vec::new();
    let (left, right) = (old.map_or(&none, |s| &s.columns), new.map_or(&none, |s| &s.columns));
    let common: Vec<_> = left.iter().filter(|c| right.contains(c)).collect();
    let columns: Vec<&str> = common.iter().map(|(name, ..)| name.as_str()).collect();
    let plain = common.iter().all(|(.., plain)| *plain);
    let row = hash(&columns, plain);
    let key = old.zip(new).filter(|(o, n)| {
        o.key == n.key && !o.key.is_empty() && o.key.iter().all(|k| columns.contains(&k.as_str()))
    });
    let keyed = key.is_some();
    let key = key.map_or_else(
        || row.clone(),
        |(o, _)| hash(&o.key.iter().map(String::as_str).collect::<Vec<_>>(), plain),
    );
    let bytes = old.or(new).map_or(0, |s| s.bytes);
    let buckets = (bytes / BYTES_A_BUCKET).next_power_of_two().clamp(1, BUCKETS);
    let lost = left
        .iter()
        .filter(|(name, ..)| old.is_some() && new.is_some() && !right.iter().any(|(n, ..)| n == name));
    let columns_lost = lost.map(|(name, ..)| name.clone()).collect();
    let times = ["created_at", "updated_at", "inserted_at", "modified_at"];
    let times: Vec<String> = left
        .iter()
        .filter(|(name, kind, _)| times.contains(&name.as_str()) && kind.starts_with("timestamp"))
        .map(|(name, ..)| format!("t.{name}::timestamptz"))
        .collect();
    let time = (!times.is_empty()).then(|| format!("greatest({})", times.join(", ")));
    Comparison {
        table: table.to_owned(),
        old: old.is_some(),
        new: new.is_some(),
        key,
        row,
        keyed,
        buckets,
        columns_lost,
        time,
    }
}

fn hash(columns: &[&str], plain: bool) -> String {
    if columns.is_empty() {
        return "0::bigint".to_owned();
    }
    let row = columns.iter().map(|c| format!("t.{c}")).collect::<Vec<_>>().join(", ");
    if plain {
        format!("hash_record_extended(row({row}), 0)")
    } else {
        format!("hashtextextended(row({row})::text, 0)")
    }
}

fn comparisons(old: &Shapes, new: &Shapes) -> Vec<Comparison> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().map(|table| comparison(table, old.get(table), new.get(table))).collect()
}

/// A bucket: how many rows, and the sum of their hashes.
type Bucket = (u64, i128);

impl Comparison {
    fn from(&self) -> String {
        format!("(select {} as k, {} as r from only {} t) s", self.key, self.row, self.table)
    }

    fn buckets(&self, session: &mut Session) -> Result<Vec<Bucket>, Failure> {
        let mut buckets = vec![(0, 0); usize::try_from(self.buckets).unwrap_or(1)];
        let sql = format!(
            "select k & {}, count(*), sum(r)::text from {} group by 1",
            self.buckets - 1,
            self.from()
        );
        let mut rows = session.rows(&sql, &[])?;
        while let Some(row) = rows.next()? {
            let at = usize::try_from(get::<i64>(&row, 0)?).unwrap_or_default();
            let sum = get::<String>(&row, 2)?
                .parse()
                .map_err(|e| Failure::bug(format!("a sum of PostgreSQL: {e}")))?;
            if let Some(bucket) = buckets.get_mut(at) {
                *bucket = (get::<i64>(&row, 1)?.unsigned_abs(), sum);
            }
        }
        Ok(buckets)
    }

    /// The rows of some buckets, in the order of their keys.
    fn sql(&self) -> String {
        format!("select k, r from {} where k & {} = any($1) order by 1, 2", self.from(), self.buckets - 1)
    }

    fn newest(&self, old: &mut Session) -> Result<Option<String>, Failure> {
        let Some(time) = &self.time else { return Ok(None) };
        let sql = format!(
            "select to_char(max({time}) filter (where isfinite({time})), 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') from only {} t",
            self.table
        );
        Ok(old.ask(&sql, &[])?.first().and_then(|row| row.try_get::<_, Option<String>>(0).ok().flatten()))
    }
}

/// The rows of every table of one side.
pub type Prints = BTreeMap<String, Vec<Bucket>>;

fn prints(session: &mut Session, comparisons: &[Comparison], old: bool) -> Result<Prints, Failure> {
    let mut prints = BTreeMap::new();
    for c in comparisons.iter().filter(|c| if old { c.old } else { c.new }) {
        prints.insert(c.table.clone(), c.buckets(session)?);
    }
    Ok(prints)
}

fn count(buckets: &[Bucket]) -> u64 {
    buckets.iter().map(|(rows, _)| rows).sum()
}

/// What a table would lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub table: String,
    /// `None` where it is not there.
    pub rows_old: Option<u64>,
    pub rows_new: Option<u64>,
    pub only_in_old: u64,
    pub only_in_new: u64,
    pub changed: u64,
    pub columns_lost: Vec<String>,
    /// The newest row on the old side, by its own time.
    pub newest_row_at: Option<String>,
}

impl Lost {
    fn is_nothing(&self) -> bool {
        self.only_in_old == 0
            && self.only_in_new == 0
            && self.changed == 0
            && self.columns_lost.is_empty()
            && self.rows_old.is_some() == self.rows_new.is_some()
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "table": self.table, "only_in_old": self.only_in_old, "only_in_new": self.only_in_new, "changed": self.changed });
        for (key, rows) in [("rows_old", self.rows_old), ("rows_new", self.rows_new)] {
            if let Some(rows) = rows {
                value[key] = json!(rows);
            }
        }
        if !self.columns_lost.is_empty() {
            value["columns_lost"] = json!(self.columns_lost);
        }
        if let Some(at) = &self.newest_row_at {
            value["newest_row_at"] = json!(at);
        }
        value
    }

    /// For people.
    pub fn line(&self) -> String {
        let mut text = format!(
            "{}: {} rows only in the present data, {} changed, {} come back",
            self.table, self.only_in_old, self.changed, self.only_in_new
        );
        if self.rows_new.is_none() {
            text.push_str("; the table goes");
        }
        if !self.columns_lost.is_empty() {
            text.push_str(&format!("; columns that go: {}", self.columns_lost.join(", ")));
        }
        if let Some(at) = &self.newest_row_at {
            text.push_str(&format!("; newest row {at}"));
        }
        text
    }
}

/// What the whole database would lose.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Only tables that differ.
    pub tables: Vec<Lost>,
    /// Rows of every table on the new side.
    pub counts: BTreeMap<String, u64>,
    old: Shapes,
}

impl Report {
    /// Rows that only the old side has.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.only_in_old).sum()
    }

    /// Rows that the old side has changed.
    pub fn changed(&self) -> u64 {
        self.tables.iter().map(|t| t.changed).sum()
    }

    /// For the record; the tables that lose most come first, and at most 50 of them.
    pub fn to_value(&self) -> Value {
        let mut tables: Vec<&Lost> = self.tables.iter().collect();
        tables.sort_by_key(|t| std::cmp::Reverse(t.only_in_old + t.changed));
        let listed: Vec<Value> = tables.iter().take(LISTED).map(|t| t.to_value()).collect();
        let (rows, changed) = (self.rows(), self.changed());
        json!({ "exact": true, "only_in_old": rows, "changed": changed, "tables_that_differ": tables.len(), "tables": listed })
    }
}

/// Compares the two sides, each by a thread of its own; `beside` is done at the same time.
pub fn report<T: Send>(
    server: Server,
    old: &str,
    new: &str,
    beside: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<(Report, T), Failure> {
    let (mut left, mut right) = (server.connect(old)?, server.connect(new)?);
    let (before, other) = (shapes(&mut left)?, shapes(&mut right)?);
    let comparisons = comparisons(&before, &other);
    let (olds, news, done) = std::thread::scope(|scope| {
        let olds = scope.spawn(|| prints(&mut left, &comparisons, true));
        let done = scope.spawn(beside);
        let news = prints(&mut right, &comparisons, false);
        (joined(olds.join()), news, joined(done.join()))
    });
    let (olds, news, done) = (olds?, news?, done?);
    let counts = news.iter().map(|(table, buckets)| (table.clone(), count(buckets))).collect();
    let mut report = Report { tables: Vec::new(), counts, old: before };
    for c in &comparisons {
        let lost = compare(c, &mut left, &mut right, olds.get(&c.table), news.get(&c.table))?;
        report.tables.extend((!lost.is_nothing()).then_some(lost));
    }
    Ok((report, done))
}

fn joined<T>(thread: std::thread::Result<Result<T, Failure>>) -> Result<T, Failure> {
    thread.unwrap_or_else(|_| Err(Failure::bug("a thread that compares has panicked")))
}

/// Brings a report up to date now that the old side is quiet: only tables that were written to since are compared again.
pub fn finish(server: Server, old: &str, new: &str, report: &mut Report) -> Result<(), Failure> {
    let (mut left, mut right) = (server.connect(old)?, server.connect(new)?);
    let now = shapes(&mut left)?;
    let names: BTreeSet<&String> = now.keys().chain(report.old.keys()).collect();
    let moved: Vec<String> =
        names.into_iter().filter(|t| now.get(*t) != report.old.get(*t)).cloned().collect();
    if moved.is_empty() {
        return Ok(());
    }
    let other = shapes(&mut right)?;
    for table in &moved {
        let c = comparison(table, now.get(table), other.get(table));
        let olds = c.old.then(|| c.buckets(&mut left)).transpose()?;
        let news = c.new.then(|| c.buckets(&mut right)).transpose()?;
        let lost = compare(&c, &mut left, &mut right, olds.as_ref(), news.as_ref())?;
        report.tables.retain(|t| t.table != *table);
        report.tables.extend((!lost.is_nothing()).then_some(lost));
    }
    report.tables.sort_by(|a, b| a.table.cmp(&b.table));
    report.old = now;
    Ok(())
}

fn compare(
    c: &Comparison,
    old: &mut Session,
    new: &mut Session,
    olds: Option<&Vec<Bucket>>,
    news: Option<&Vec<Bucket>>,
) -> Result<Lost, Failure> {
    let rows = |buckets: Option<&Vec<Bucket>>| buckets.map(|b| count(b));
    let mut lost = Lost {
        table: c.table.clone(),
        rows_old: rows(olds),
        rows_new: rows(news),
        only_in_old: 0,
        only_in_new: 0,
        changed: 0,
        columns_lost: c.columns_lost.clone(),
        newest_row_at: None,
    };
    match (olds, news) {
        (Some(olds), Some(news)) => {
            let differ = (0_i64..).zip(olds.iter().zip(news)).filter(|(_, (a, b))| a != b).map(|(at, _)| at);
            let differ: Vec<i64> = differ.collect();
            if !differ.is_empty() {
                let sql = c.sql();
                merge(c, old.rows(&sql, &[&differ])?, new.rows(&sql, &[&differ])?, &mut lost)?;
            }
        }
        _ => (lost.only_in_old, lost.only_in_new) = (lost.rows_old.unwrap_or(0), lost.rows_new.unwrap_or(0)),
    }
    if c.old && lost.only_in_old + lost.changed > 0 {
        lost.newest_row_at = c.newest(old)?;
    }
    Ok(lost)
}

fn pair(rows: &mut Rows) -> Result<Option<(i64, i64)>, Failure> {
    rows.next()?.map(|row| Ok((get(&row, 0)?, get(&row, 1)?))).transpose()
}

/// Walks both sides in the order of their keys.
fn merge(c: &Comparison, mut old: Rows, mut new: Rows, lost: &mut Lost) -> Result<(), Failure> {
    let (mut left, mut right) = (pair(&mut old)?, pair(&mut new)?);
    loop {
        // Rows without a key of their own are held against each other whole.
        let order = match (left, right) {
            (None, None) => return Ok(()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) if c.keyed => a.0.cmp(&b.0),
            (Some(a), Some(b)) => a.cmp(&b),
        };
        match order {
            std::cmp::Ordering::Less => lost.only_in_old += 1,
            std::cmp::Ordering::Greater => lost.only_in_new += 1,
            std::cmp::Ordering::Equal => lost.changed += u64::from(left != right),
        }
        if order.is_le() {
            left = pair(&mut old)?;
        }
        if order.is_ge() {
            right = pair(&mut new)?;
        }
    }
}

/// Rows that were written since a transaction, by table: what an undo would lose.
pub fn written_since(session: &mut Session, xid: u64) -> Result<BTreeMap<String, u64>, Failure> {
    let mut written = BTreeMap::new();
    // Transaction numbers are compared in the 32 bits in which rows carry them.
    let xid = i64::try_from(xid & 0xffff_ffff).unwrap_or_default();
    for table in shapes(session)?.into_keys() {
        let sql = format!("select count(*) from only {table} where age(xmin) <= age($1::bigint::text::xid)");
        let rows: i64 = session.one(&sql, &[&xid])?.unwrap_or_default();
        if rows > 0 {
            written.insert(table, rows.unsigned_abs());
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: &[(&str, &str, bool)], key: &[&str]) -> Shape {
        let columns = columns.iter().map(|(n, t, p)| ((*n).to_owned(), (*t).to_owned(), *p)).collect();
        Shape {
            bytes: 1 << 20,
            activity: 0,
            file: 0,
            columns,
            key: key.iter().map(|k| (*k).to_owned()).collect(),
        }
    }

    #[test]
    fn tables_are_compared_by_what_both_sides_have() {
        let old = shape(
            &[
                ("created_at", "timestamp with time zone", true),
                ("id", "integer", true),
                ("paid", "text", true),
            ],
            &["id"],
        );
        let new =
            shape(&[("created_at", "timestamp with time zone", true), ("id", "integer", true)], &["id"]);
        let c = comparison("public.orders", Some(&old), Some(&new));
        assert_eq!(c.key, "hash_record_extended(row(t.id), 0)");
        assert_eq!(c.row, "hash_record_extended(row(t.created_at, t.id), 0)");
        assert_eq!((c.keyed, c.columns_lost.as_slice(), c.buckets), (true, &["paid".to_owned()][..], 32));
        assert_eq!(c.time.as_deref(), Some("greatest(t.created_at::timestamptz)"));
    }

    #[test]
    fn what_has_no_hash_of_its_own_is_compared_as_text_and_what_has_no_key_by_the_whole_row() {
        let mood = shape(&[("id", "integer", true), ("mood", "mood", false)], &[]);
        let c = comparison("public.moods", Some(&mood), Some(&mood));
        assert_eq!((c.row.as_str(), c.keyed), ("hashtextextended(row(t.id, t.mood)::text, 0)", false));
        assert_eq!(c.key, c.row);
        let gone = comparison("public.moods", Some(&mood), None);
        assert!(gone.old && !gone.new && !gone.keyed);
    }
}
