//! The lines of an archive's list, by who restores what they name, and when. A line is bytes: an archive may be in any encoding.

use std::io::Write;

use step::Failure;

use super::apply::Apply;
use crate::server::{Session, get};

/// What pg_restore is not to make: a superuser makes it, at the very end.
const LAST: &[&str] = &[
    "EVENT TRIGGER ",
    "PUBLICATION",
    "SUBSCRIPTION",
    "COMMENT - EVENT TRIGGER",
    "COMMENT - PUBLICATION",
    "COMMENT - SUBSCRIPTION",
];
/// Tables of extensions, as the list names them.
const EXTENSIONS: &str = "
    select n.nspname || ' ' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    join pg_roles o on o.oid = c.relowner and o.rolsuper where c.relkind = 'r'";

/// Tables and sequences, as the list names them.
const RELATIONS: &str = "
    select n.nspname || ' ' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'S')";

/// The lines by what becomes of them.
#[derive(Debug, Default)]
pub struct Parts {
    /// What the worker restores, many at the same time.
    pub ours: Vec<Vec<u8>>,
    /// Rows of extensions' tables, which the superuser restores.
    pub extensions: Vec<Vec<u8>>,
    /// Large objects, whose owners and rights come later.
    pub large: Vec<Vec<u8>>,
    /// Triggers, one after the other.
    pub triggers: Vec<Vec<u8>>,
}

impl Parts {
    /// Sorts the lines. What went with an extension that is left out has no table, and what is made last is not among them.
    pub fn of(lines: Vec<Vec<u8>>, apply: &mut Apply) -> Result<Self, Failure> {
        let extensions = apply.superuser.texts(EXTENSIONS, &[])?;
        let tables =
            if apply.left_out.is_empty() { None } else { Some(apply.superuser.texts(RELATIONS, &[])?) };
        let gone = |what: &str| {
            let data = what.strip_prefix("TABLE DATA ").or_else(|| what.strip_prefix("SEQUENCE SET "));
            let known =
                |tables: &Vec<String>, data: &str| tables.iter().any(|t| data.starts_with(&format!("{t} ")));
            tables.as_ref().zip(data).is_some_and(|(tables, data)| !known(tables, data))
        };
        let mut parts = Parts::default();
        for line in lines {
            let shown = String::from_utf8_lossy(&line).into_owned();
            let what =
                shown.split_once("; ").and_then(|(_, rest)| rest.splitn(3, ' ').nth(2)).unwrap_or_default();
            if LAST.iter().any(|last| what.starts_with(last)) || gone(what) {
                continue;
            }
            if extensions.iter().any(|table| what.starts_with(&format!("TABLE DATA {table} "))) {
                parts.extensions.push(line);
            } else if what.starts_with("TRIGGER ") || what.contains(" TRIGGER ") {
                parts.triggers.push(line);
            } else {
                if what.starts_with("BLOB METADATA ") || what.starts_with("ACL - LARGE OBJECT") {
                    parts.large.push(line.clone());
                }
                parts.ours.push(line);
            }
        }
        if !parts.triggers.is_empty() {
            parts.triggers = in_order(apply.superuser, parts.triggers)?;
        }
        Ok(parts)
    }
}

impl Parts {
    /// The rows of extensions' tables go into tables of extensions still: what has run meanwhile may have dropped one, and made its own in that
    /// place, which a superuser must not fill. Nobody else is at work in the copy now.
    pub fn are_extensions(&self, superuser: &mut Session) -> Result<(), Failure> {
        let there = superuser.texts(EXTENSIONS, &[])?;
        let shown = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        let is_there = |line: &str| there.iter().any(|table| line.contains(&format!(" TABLE DATA {table} ")));
        match self.extensions.iter().map(shown).find(|line| !is_there(line)) {
            None => Ok(()),
            Some(line) => {
                let message = "something that the dump has made has replaced a table of an extension: nothing is filled into it";
                Err(Failure::failed("unproven", message).cause(line))
            }
        }
    }
}

/// Triggers in the order in which they can be made: what is said about a partition's presupposes its parent's, which pg_dump knows of one level
/// only, and so pg_restore may begin with either.
fn in_order(superuser: &mut Session, lines: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Failure> {
    let sql = "select n.nspname || ' ' || c.relname, (select count(*) from pg_partition_ancestors(c.oid))
               from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relispartition";
    let rows = superuser.ask(sql, &[])?;
    let depths: Vec<(String, i64)> =
        rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect::<Result<_, Failure>>()?;
    let depth = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        let of = |table: &String| line.contains(&format!(" TRIGGER {table} "));
        depths.iter().find(|(table, _)| of(table)).map_or(0, |(_, depth)| *depth)
    };
    let mut lines: Vec<(i64, Vec<u8>)> = lines.into_iter().map(|line| (depth(&line), line)).collect();
    lines.sort_by_key(|(depth, _)| *depth);
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

/// A list for pg_restore.
pub fn written(lines: &[Vec<u8>]) -> Result<tempfile::NamedTempFile, Failure> {
    let unwritable = |e| Failure::temporary("temporary", format!("no temporary file can be written: {e}"));
    let mut file = tempfile::NamedTempFile::new().map_err(unwritable)?;
    lines
        .iter()
        .try_for_each(|line| file.write_all(line).and_then(|()| file.write_all(b"\n")))
        .map_err(unwritable)?;
    Ok(file)
}
