//! How a table is compared whole: its rows are hashed in buckets on both sides, and where buckets differ the rows in them are held
//! against each other by their keys. Nothing but hashes is carried over, and never more than a row of each side is held.

use std::collections::BTreeMap;

use step::Failure;

use super::large::Large;
use super::shape::Shape;
use crate::server::sql::{self, Sql};
use crate::server::{Row, Rows, Session, Value, get};

/// The most buckets of a table; each takes 24 bytes here.
const BUCKETS: u64 = 1 << 14;
/// A bucket for so many bytes of a table.
const BYTES_A_BUCKET: u64 = 32 << 10;

/// One of the two databases.
pub struct Side<'a> {
    pub session: Session<'a>,
    /// SQL for which rows `t` count on it; `true` for all.
    pub only: Sql,
    /// Its large objects.
    pub large: Large,
}

/// How one table is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub table: String,
    /// On which sides it is.
    pub old: bool,
    pub new: bool,
    /// SQL for the hash of a row's key, and of the row.
    key: Sql,
    pub row: Sql,
    /// Whether rows have a key of their own: only then can one be said to have changed.
    pub keyed: bool,
    buckets: u64,
    /// Columns that only the old side has.
    pub columns_lost: Vec<String>,
    /// SQL for a row's own time, if it has one.
    time: Option<Sql>,
    /// The columns of the key, and their types.
    pub keys: Vec<(String, String)>,
    /// Whether a row can be looked up by its key: only where its types are PostgreSQL's own is their text nobody else's function.
    pub findable: bool,
    /// How the table is laid out on each side, where both have the same columns and the same key.
    pub layouts: Option<(String, String)>,
}

/// Decides how a table is compared. Pure.
pub fn comparison(table: &str, old: Option<&Shape>, new: Option<&Shape>) -> Comparison {
    let none = Vec::new();
    let (left, right) = (old.map_or(&none, |s| &s.columns), new.map_or(&none, |s| &s.columns));
    let common: Vec<_> = left.iter().filter(|c| right.contains(c)).collect();
    let columns: Vec<&str> = common.iter().map(|(name, ..)| name.as_str()).collect();
    let plain = common.iter().all(|(.., plain)| *plain);
    let row = hash(common.iter().map(|(name, kind, _)| (name.as_str(), kind.as_str())), plain);
    let key = old.zip(new).filter(|(o, n)| {
        o.key == n.key && !o.key.is_empty() && o.key.iter().all(|k| columns.contains(&k.as_str()))
    });
    let keyed = key.is_some();
    let own = |name: &String| common.iter().any(|(column, _, plain)| column == name && *plain);
    let findable = key.is_some_and(|(o, _)| o.key.iter().all(own));
    let keys = key.iter().flat_map(|(o, _)| &o.key);
    let keys =
        keys.filter_map(|k| common.iter().find(|(n, ..)| n == k).map(|(n, t, _)| (n.clone(), t.clone())));
    let keys = keys.collect();
    let alike = old.zip(new).filter(|(o, n)| o.columns == n.columns && o.key == n.key);
    let layouts = alike.map(|(o, n)| (o.layout.clone(), n.layout.clone()));
    let key = key.map_or_else(|| row.clone(), |(o, _)| identity(&o.key, &common));
    let bytes = old.or(new).map_or(0, |s| s.bytes);
    let buckets = (bytes / BYTES_A_BUCKET).next_power_of_two().clamp(1, BUCKETS);
    let lost = left
        .iter()
        .filter(|(name, ..)| old.is_some() && new.is_some() && !right.iter().any(|(n, ..)| n == name));
    let columns_lost = lost.map(|(name, ..)| name.clone()).collect();
    let time = time(left);
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
        keys,
        findable,
        layouts,
    }
}

/// SQL for a row's own time.
fn time(columns: &[(String, String, bool)]) -> Option<Sql> {
    let times = ["created_at", "updated_at", "inserted_at", "modified_at"];
    let times: Vec<Sql> = columns
        .iter()
        .filter(|(name, kind, _)| times.contains(&name.as_str()) && kind.starts_with("timestamp"))
        .map(|(name, ..)| sql::fill("t.{}::timestamptz", &[sql::given(name)]))
        .collect();
    (!times.is_empty()).then(|| sql::fill("greatest({})", &[sql::join(times, ", ")]))
}

/// SQL for the hash of a row's key: of equal keys it is the same.
fn identity(key: &[String], common: &[&(String, String, bool)]) -> Sql {
    let plain = key.iter().all(|k| common.iter().any(|(name, _, plain)| name == k && *plain));
    let row = sql::join(key.iter().map(|k| sql::fill("t.{}", &[sql::given(k)])), ", ");
    digest(row, plain)
}

/// SQL for the hash of a row: two rows that read differently anywhere have different ones, also where PostgreSQL calls their values equal.
fn hash<'c>(columns: impl Iterator<Item = (&'c str, &'c str)>, plain: bool) -> Sql {
    let values: Vec<Sql> = columns
        .map(|(name, kind)| if plain { exact(name, kind) } else { sql::fill("t.{}", &[sql::given(name)]) })
        .collect();
    if values.is_empty() { "0::bigint".into() } else { digest(sql::join(values, ", "), plain) }
}

fn digest(row: Sql, plain: bool) -> Sql {
    if plain {
        sql::fill("hash_record_extended(row({}), 0)", &[row])
    } else {
        sql::fill("hashtextextended(row({})::text, 0)", &[row])
    }
}

/// SQL for a column of a plain type whose hash tells apart what can be told apart. Equal numbers may be written differently (1.0 and 1.00, 0 and
/// -0), so may intervals (a day and 24 hours), and a collation may call different texts equal.
fn exact(name: &str, kind: &str) -> Sql {
    let column = sql::fill("t.{}", &[sql::given(name)]);
    let base = kind.trim_end_matches("[]");
    let base = base.split('(').next().unwrap_or_default().trim_end();
    match base {
        "text" | "character varying" => sql::fill("{} collate \"C\"", &[column]),
        // A cast to text would take the blanks from its end.
        "character" | "bpchar" if !kind.ends_with("[]") => {
            sql::fill("textin(bpcharout({})) collate \"C\"", &[column])
        }
        "numeric" | "real" | "double precision" | "interval" | "jsonb" | "character" | "bpchar" => {
            sql::fill("{}::text collate \"C\"", &[column])
        }
        _ => column,
    }
}

/// A bucket: how many rows, and the sum of their hashes.
pub type Bucket = (u64, i128);

impl Comparison {
    fn from(&self, only: &Sql) -> Sql {
        sql::fill(
            "(select {} as k, {} as r from only {} t where {}) s",
            &[self.key.clone(), self.row.clone(), sql::given(&self.table), only.clone()],
        )
    }

    /// The buckets of one side.
    pub fn buckets(&self, side: &mut Side) -> Result<Vec<Bucket>, Failure> {
        let mut buckets = self.empty();
        let mut rows = side.session.rows(self.question(&side.only), &[])?;
        while let Some(row) = rows.next_row()? {
            put(&mut buckets, &row)?;
        }
        Ok(buckets)
    }

    /// Whether its buckets are few enough to be asked for together with those of other tables.
    pub fn is_small(&self) -> bool {
        self.buckets <= 64
    }

    fn empty(&self) -> Vec<Bucket> {
        vec![(0, 0); usize::try_from(self.buckets).unwrap_or(1)]
    }

    fn question(&self, only: &Sql) -> Sql {
        sql::fill(
            "select k & {}, count(*), sum(r)::text from {} group by 1",
            &[sql::number(self.buckets - 1), self.from(only)],
        )
    }

    /// The rows of some buckets, in the order of their keys.
    fn sorted<'s>(&self, side: &'s mut Side, buckets: &[i64]) -> Result<Rows<'s>, Failure> {
        let (from, mask) = (self.from(&side.only), sql::number(self.buckets - 1));
        let sql = sql::fill("select k, r from {} where k & {} = any($1) order by 1, 2", &[from, mask]);
        side.session.rows(sql, &[&buckets.to_vec()])
    }

    /// What differs, from the buckets of both sides.
    pub fn whole(
        &self,
        (old, new): (&mut Side, &mut Side),
        (olds, news): (&[Bucket], &[Bucket]),
    ) -> Result<Differences, Failure> {
        let differ = (0_i64..).zip(olds.iter().zip(news)).filter(|(_, (a, b))| a != b).map(|(at, _)| at);
        let differ: Vec<i64> = differ.collect();
        if differ.is_empty() {
            return Ok(Differences::default());
        }
        merge(self.keyed, self.sorted(old, &differ)?, self.sorted(new, &differ)?)
    }

    /// The time of the newest row, by its own word.
    pub fn newest(&self, old: &mut Session) -> Result<Option<String>, Failure> {
        let Some(time) = &self.time else { return Ok(None) };
        let sql = sql::fill(
            "select to_char(max({}) filter (where isfinite({})), 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') from only {} t",
            &[time.clone(), time.clone(), sql::given(&self.table)],
        );
        Ok(old.ask(sql, &[])?.first().and_then(|row| row.try_get::<_, Option<String>>(0).ok().flatten()))
    }
}

fn put(buckets: &mut [Bucket], row: &Row) -> Result<(), Failure> {
    let at = usize::try_from(get::<i64>(row, 0)?).unwrap_or_default();
    let sum = get::<String>(row, 2)?.parse();
    let sum = sum.map_err(|e| Failure::bug(format!("a sum of PostgreSQL: {e}")))?;
    if let Some(bucket) = buckets.get_mut(at) {
        *bucket = (get::<i64>(row, 1)?.unsigned_abs(), sum);
    }
    Ok(())
}

/// The buckets of one side of small tables; asked together.
pub fn small(tables: &[&Comparison], side: &mut Side) -> Result<BTreeMap<String, Vec<Bucket>>, Failure> {
    let questions: Vec<(Sql, &[&dyn Value])> =
        tables.iter().map(|c| (c.question(&side.only), &[][..])).collect();
    questions.iter().for_each(|(sql, _)| side.session.tell(sql));
    let mut prints = BTreeMap::new();
    for (c, rows) in tables.iter().zip(side.session.ask_all(&questions)?) {
        let mut buckets = c.empty();
        rows.iter().try_for_each(|row| put(&mut buckets, row))?;
        prints.insert(c.table.clone(), buckets);
    }
    Ok(prints)
}

/// The rows of one side of each table; asked together, and with more questions, to which it gives the answers.
pub fn counts(
    tables: &[&Comparison],
    more: &[Sql],
    side: &mut Side,
) -> Result<(Vec<u64>, Vec<Vec<Row>>), Failure> {
    let one = |c: &&Comparison| {
        sql::fill("select count(*) from only {} t where {}", &[sql::given(&c.table), side.only.clone()])
    };
    let questions: Vec<Sql> = tables.iter().map(one).chain(more.iter().cloned()).collect();
    let count = |rows: Vec<Row>| {
        let rows: i64 = rows.first().map(|row| get(row, 0)).transpose()?.unwrap_or_default();
        Ok(rows.unsigned_abs())
    };
    let mut answers = side.session.ask_these(&questions)?;
    let more = answers.split_off(tables.len());
    Ok((answers.into_iter().map(count).collect::<Result<_, Failure>>()?, more))
}

/// All rows of some buckets.
pub fn count(buckets: &[Bucket]) -> u64 {
    buckets.iter().map(|(rows, _)| rows).sum()
}

/// In how many rows two sides differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub only_in_old: u64,
    pub only_in_new: u64,
    pub changed: u64,
}

fn pair(rows: &mut Rows) -> Result<Option<(i64, i64)>, Failure> {
    rows.next_row()?.map(|row| Ok((get(&row, 0)?, get(&row, 1)?))).transpose()
}

/// Walks both sides in the order of their keys.
pub fn merge(keyed: bool, mut old: Rows, mut new: Rows) -> Result<Differences, Failure> {
    let mut found = Differences::default();
    let (mut left, mut right) = (pair(&mut old)?, pair(&mut new)?);
    loop {
        // Rows without a key of their own are held against each other whole.
        let order = match (left, right) {
            (None, None) => return Ok(found),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) if keyed => a.0.cmp(&b.0),
            (Some(a), Some(b)) => a.cmp(&b),
        };
        match order {
            std::cmp::Ordering::Less => found.only_in_old += 1,
            std::cmp::Ordering::Greater => found.only_in_new += 1,
            std::cmp::Ordering::Equal => found.changed += u64::from(left != right),
        }
        if order.is_le() {
            left = pair(&mut old)?;
        }
        if order.is_ge() {
            right = pair(&mut new)?;
        }
    }
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
            layout: "l".to_owned(),
            extension: false,
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
        assert_eq!(c.key.as_str(), "hash_record_extended(row(t.id), 0)");
        assert_eq!(c.row.as_str(), "hash_record_extended(row(t.created_at, t.id), 0)");
        assert_eq!(c.key.as_str(), "hash_record_extended(row(t.id), 0)");
        assert_eq!((c.keyed, c.columns_lost.as_slice(), c.buckets), (true, &["paid".to_owned()][..], 32));
        assert_eq!(c.time.as_ref().map(Sql::as_str), Some("greatest(t.created_at::timestamptz)"));
    }

    #[test]
    fn what_postgresql_calls_equal_is_told_apart() {
        let said = |kind: &str| exact("v", kind).as_str().to_owned();
        for kind in ["numeric(10,2)", "interval", "double precision", "jsonb", "numeric[]", "character(3)[]"]
        {
            assert_eq!(said(kind), "t.v::text collate \"C\"", "{kind}");
        }
        assert_eq!(said("character varying(9)"), "t.v collate \"C\"");
        assert_eq!(said("text[]"), "t.v collate \"C\"");
        assert_eq!(said("character(8)"), "textin(bpcharout(t.v)) collate \"C\"");
        assert_eq!(said("timestamp(3) without time zone"), "t.v");
        let table = shape(&[("id", "numeric", true), ("mood", "mood", false)], &["id"]);
        let c = comparison("t", Some(&table), Some(&table));
        assert_eq!(c.key.as_str(), "hash_record_extended(row(t.id), 0)", "1.0 and 1.00 are one key");
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
