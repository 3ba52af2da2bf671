//! The tables of a database, as far as two of them are compared; and what else there is that is not.

use std::collections::BTreeMap;

use step::Failure;

use crate::server::{Row, get};

/// The tables of users, and those of extensions that we may read, with what a comparison needs. A type is plain when equal values have equal hashes in any database: enums are
/// not (they are hashed by their OID), nor is what has no hash at all.
///
/// The last column is the layout: while it is the same, a row that was not written anew reads as it did. It names the table and its
/// columns by what a renaming or a column that was dropped and added again does not keep. It is empty where rows can come to read
/// differently though nobody writes them: generated columns, types that people have made (of an enum, its labels are in the layout).
pub const SHAPES: &str = "
    with columns as not materialized (
        select a.attrelid, a.attnum, a.attname, a.attgenerated, a.atttypid, a.atttypmod, a.attcollation,
               coalesce(e.oid, t.oid) as base,
               coalesce(e.typname, t.typname) in ('bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar',
                   'bpchar', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'uuid', 'bytea', 'jsonb', 'inet', 'cidr')
                   and coalesce(e.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace as plain,
               coalesce(e.typtype, t.typtype) = 'e' or coalesce(e.oid, t.oid) = 'json'::regtype as steady
        from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
        where a.attnum > 0 and not a.attisdropped)
    select format('%I.%I', n.nspname, c.relname), pg_relation_size(c.oid),
           coalesce(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid), 0),
           coalesce(pg_relation_filenode(c.oid), 0)::bigint,
           array(select quote_ident(a.attname) from columns a where a.attrelid = c.oid order by a.attname),
           array(select format_type(a.atttypid, a.atttypmod) from columns a where a.attrelid = c.oid order by a.attname),
           array(select a.plain from columns a where a.attrelid = c.oid order by a.attname),
           array(select quote_ident(a.attname) from pg_index i, unnest(i.indkey::smallint[]) with ordinality k(number, place)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                 where i.indrelid = c.oid and i.indisprimary and i.indisvalid order by k.place),
           coalesce((select encode(sha256(convert_to(c.oid::text || string_agg(format(' %s %I %s %s %s [%s]', a.attnum, a.attname,
                         a.atttypid, a.atttypmod, a.attcollation,
                         (select string_agg(format('%s %I', l.oid, l.enumlabel), ',' order by l.oid) from pg_enum l where l.enumtypid = a.base)),
                         ',' order by a.attnum), 'UTF8')), 'hex')
                     from columns a where a.attrelid = c.oid and c.relam = (select oid from pg_am where amname = 'heap')
                     having bool_and((a.plain or a.steady) and a.attgenerated = '')), ''),
           e.extension
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
         lateral (select exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') as extension) e
    where c.relkind = 'r' and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
      and (not e.extension or has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))";
/// What is not compared, in words; only what is there.
pub const OTHERS: &str = "
    with ours as (select c.* from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)')
    select format(w.words, w.n) from (values
        ('the values of %s sequences', (select count(*) from ours where relkind = 'S')),
        ('the rows of %s materialized views, which are derived', (select count(*) from ours where relkind = 'm')),
        ('the rows behind %s foreign tables, which are elsewhere', (select count(*) from ours where relkind = 'f'))) w(words, n)
    where w.n > 0";
/// Tables of extensions that we may not read.
pub const UNREADABLE: &str = "
    select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    where c.relkind = 'r' and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')) order by 1";

/// A table as it is on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub bytes: u64,
    /// Moves when the table is written to.
    pub activity: i64,
    /// Moves when it is rewritten or emptied.
    pub file: i64,
    /// Name, type, and whether the type is plain.
    pub columns: Vec<(String, String, bool)>,
    pub key: Vec<String>,
    /// While it is the same, rows that were not written anew read as they did; empty where that cannot be said.
    pub layout: String,
    /// Whether it belongs to an extension: a dump holds only what the extension has marked for it.
    pub extension: bool,
}

/// Tables by name.
pub type Shapes = BTreeMap<String, Shape>;

/// The tables of a database, from the answer to [`SHAPES`].
pub fn shapes_of(rows: &[Row]) -> Result<Shapes, Failure> {
    let one = |row: &Row| {
        let (names, types, plain): (Vec<String>, Vec<String>, Vec<bool>) =
            (get(row, 4)?, get(row, 5)?, get(row, 6)?);
        let columns = names.into_iter().zip(types).zip(plain).map(|((n, t), p)| (n, t, p)).collect();
        let bytes = get::<i64>(row, 1)?.unsigned_abs();
        Ok((
            get(row, 0)?,
            Shape {
                bytes,
                activity: get(row, 2)?,
                file: get(row, 3)?,
                columns,
                key: get(row, 7)?,
                layout: get(row, 8)?,
                extension: get(row, 9)?,
            },
        ))
    };
    rows.iter().map(one).collect()
}

/// What a comparison leaves out though it is there: what is no data of its own, and what we may not read; from the answers to [`OTHERS`] and
/// [`UNREADABLE`].
pub fn others_of(others: &[Row], unreadable: &[Row]) -> Result<(Vec<String>, Vec<String>), Failure> {
    let texts = |rows: &[Row]| rows.iter().map(|row| get::<String>(row, 0)).collect::<Result<Vec<_>, _>>();
    let unreadable = texts(unreadable)?.into_iter().map(|table| format!("{table}, which we may not read"));
    Ok((texts(others)?, unreadable.collect()))
}

/// The layouts of the tables, for a snapshot's origin, from the answer to [`SHAPES`].
pub fn layouts(rows: &[Row]) -> Result<BTreeMap<String, String>, Failure> {
    let all = shapes_of(rows)?.into_iter().map(|(table, shape)| (table, shape.layout));
    Ok(all.filter(|(_, layout)| !layout.is_empty()).collect())
}
