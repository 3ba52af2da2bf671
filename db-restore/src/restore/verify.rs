//! Whether a side database is what the snapshot holds, and whether it can be lived with: rows, objects, indexes, the files' own
//! consistency, the marker and the team's own questions. Everything that is wrong is said at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use step::{Failure, Permit};

use crate::operation::Operation;
use crate::server::role::TemporaryRole;
use crate::server::sql::{self, name};
use crate::server::{Row, Session, Sql, get};
use crate::snapshot::manifest::Manifest;

/// How many relations, constraints, functions and triggers users have made, by kind, as far as pg_dump writes them: no index that is not valid
/// (`create index concurrently` that failed) but those of partitioned tables, and nothing that hangs on an extension's table.
pub const OBJECTS: &str = "
    with ours as (select oid from pg_namespace n where nspname !~ '^pg_' and nspname <> 'information_schema'),
         of_extensions as (select classid, objid from pg_depend where deptype = 'e')
    select 'relation ' || c.relkind::text, count(*) from pg_class c
        where relnamespace in (select oid from ours) and relpersistence <> 't'
          and (1259, c.oid) not in (select classid::int, objid from of_extensions)
          and not exists (select from pg_index i where i.indexrelid = c.oid
                          and (not i.indisready or (not i.indisvalid and c.relkind = 'i') or (1259, i.indrelid) in (select classid::int, objid from of_extensions)))
          and not exists (select from pg_type t where t.typrelid = c.oid and (1247, t.oid) in (select classid::int, objid from of_extensions)) group by 1
    union all select 'constraint ' || contype::text, count(*) from pg_constraint c join pg_class r on r.oid = c.conrelid
        where contype <> 'n' and r.relnamespace in (select oid from ours)
          and (1259, r.oid) not in (select classid::int, objid from of_extensions) group by 1
    union all select 'large object', count(*) from pg_largeobject_metadata
    union all select 'trigger', count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where not tgisinternal and c.relnamespace in (select oid from ours)
          and (1259, c.oid) not in (select classid::int, objid from of_extensions)
    union all select 'routine', count(*) from pg_proc p
        where pronamespace in (select oid from ours) and (1255, p.oid) not in (select classid::int, objid from of_extensions)";

/// What was looked at, for the record.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// How many tables and indexes amcheck has read; `None` when it could not be asked.
    pub amcheck: Option<u64>,
    pub rows: u64,
    pub probes: usize,
    pub marker: bool,
    /// Whether a copy that was verified before is still what it was, by its seal.
    pub sealed: bool,
    /// What the dump does not hold though the snapshot's database did.
    pub missing: Vec<String>,
    /// Whether there was a manifest to hold it against.
    pub counted: bool,
}

impl Proof {
    /// For the record.
    pub fn to_value(&self) -> Value {
        let mut compared = Vec::new();
        if self.sealed {
            compared.push(
                "the seal of every table, catalog, sequence and large object with that of the verification",
            );
        }
        if self.counted {
            compared.push("rows of each table and objects of each kind with the manifest");
        }
        let mut value = json!({ "probes": self.probes, "marker": self.marker, "compared": compared });
        if !self.sealed {
            value["not_compared"] = json!([
                "values of the restored rows (pg_restore's word)",
                "values of sequences",
                "definitions, rights and comments"
            ]);
        }
        if !self.missing.is_empty() {
            value["missing"] = json!(self.missing);
        }
        if let Some(relations) = self.amcheck {
            value["amcheck"] = json!(relations);
        }
        value
    }
}

/// Objects by kind, from the answer to [`OBJECTS`].
pub fn objects_of(rows: &[Row]) -> Result<BTreeMap<String, u64>, Failure> {
    let one = |row: &Row| Ok((get(row, 0)?, get::<i64>(row, 1)?.unsigned_abs()));
    rows.iter()
        .map(one)
        .filter(|r: &Result<(String, u64), Failure>| r.as_ref().map_or(true, |(_, n)| *n > 0))
        .collect()
}

/// What a copy is made of, before anything in it is read.
pub struct Outline {
    pub tables: Vec<String>,
    pub extension_tables: Vec<String>,
    objects: BTreeMap<String, u64>,
    /// Indexes that answer nobody.
    unusable: Vec<String>,
    foreign: bool,
    /// In which schema amcheck is (none: in no one yet); nothing where it cannot be had.
    amcheck: Option<String>,
    event_triggers: Vec<String>,
}

impl Outline {
    /// Asked in one round trip.
    pub fn ask(session: &mut Session) -> Result<Self, Failure> {
        let none: Vec<String> = Vec::new();
        let (ours, theirs): ([&dyn crate::server::Value; 2], [&dyn crate::server::Value; 2]) =
            ([&none, &false], [&none, &true]);
        let answers = session.ask_all(&[
            (Session::tables(), &ours),
            (Session::tables(), &theirs),
            (OBJECTS.into(), &[]),
            (UNUSABLE.into(), &[]),
            (FOREIGN.into(), &[]),
            (AMCHECK.into(), &[]),
            (TRIGGERS.into(), &[]),
        ])?;
        let [tables, extensions, objects, unusable, foreign, amcheck, triggers] = answers.as_slice() else {
            return Err(Failure::bug("seven answers"));
        };
        let texts = |rows: &[Row]| rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<String>, _>>();
        Ok(Outline {
            tables: texts(tables)?,
            extension_tables: texts(extensions)?,
            objects: objects_of(objects)?,
            unusable: texts(unusable)?,
            foreign: foreign.first().map_or(Ok(false), |row| get(row, 0))?,
            amcheck: texts(amcheck)?.pop(),
            event_triggers: texts(triggers)?,
        })
    }
}

/// Verifies a side database whose rows were counted. Gives what is still to be done with it: without statistics the first queries of the shop
/// would be slow.
pub fn verify(
    operation: &Operation,
    session: &mut Session,
    (side, manifest): (&str, Option<&Manifest>),
    (counts, extensions): (&BTreeMap<String, u64>, &BTreeMap<String, u64>),
    outline: Outline,
    amcheck: Option<u64>,
) -> Result<(Proof, Sql), Failure> {
    let (mut wrong, mut missing) = (Vec::new(), Vec::new());
    if let Some(manifest) = manifest {
        wrong.extend(differences(counts, &manifest.tables, "rows", "table"));
        let mut found = outline.objects;
        if manifest.schema < 2 {
            found.remove("large object");
        }
        if !manifest.objects.is_empty() {
            wrong.extend(differences(&found, &manifest.objects, "objects", "object"));
        }
        if manifest.schema >= 2 {
            missing = differences(extensions, &manifest.extension_tables, "rows", "table");
        }
    }
    for table in &missing {
        operation.context.voice.warn(&format!(
            "{table}: it belongs to an extension, and pg_dump takes only what the extension has marked"
        ));
    }
    wrong.extend(outline.unusable);
    if !wrong.is_empty() {
        let failure =
            Failure::failed("unproven", "what was restored is not what the snapshot holds".to_owned());
        return Err(wrong.iter().fold(failure, Failure::cause));
    }
    operation.marker(side)?;
    let probes = probe(operation, side, None)?;
    let analyze = analyze(session, outline.foreign)?;
    let (rows, marker, counted) =
        (counts.values().sum(), operation.settings.marker.is_some(), manifest.is_some());
    Ok((Proof { amcheck, rows, probes, marker, sealed: false, missing, counted }, analyze))
}

/// Where amcheck is, for a superuser.
const AMCHECK: &str = "
    select coalesce((select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where extname = 'amcheck'), '')
    from pg_available_extensions, pg_roles r where name = 'amcheck' and r.rolname = current_user and r.rolsuper";
const TRIGGERS: &str = "select quote_ident(evtname) from pg_event_trigger where evtenabled <> 'D'";
/// Indexes that answer nobody. That of a partitioned table is not valid as long as not every partition has one: it was so before.
const UNUSABLE: &str = "
    select 'index ' || indexrelid::regclass::text || ' is not valid' from pg_index i join pg_class c on c.oid = i.indexrelid
    where not indisvalid and c.relkind = 'i'";
/// Whether a table has foreign ones below it.
const FOREIGN: &str =
    "select exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'f')";

/// The statement that makes statistics. Where a table has foreign ones below it, it would be asked of another server: such tables are left to
/// whoever may reach it.
fn analyze(session: &mut Session, foreign: bool) -> Result<Sql, Failure> {
    if !foreign {
        return Ok("analyze".into());
    }
    let own = "
        with recursive above as (
            select i.inhparent as oid from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'f'
            union select i.inhparent from pg_inherits i join above a on i.inhrelid = a.oid)
        select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_toast' and c.oid not in (select oid from above)
          and not (c.relkind = 'm' and not c.relispopulated)";
    let tables = session.texts(own, &[])?;
    Ok(sql::fill("analyze {}", &[sql::join(tables.iter().map(|table| sql::given(table)), ", ")]))
}

/// Asks the team's own questions, as a role if one is given; each must answer with one row whose one value is true. What they call may be
/// anybody's code: they are asked in a session that was authenticated as a role without rights of its own, which may do what the named
/// role may, or else read everything.
pub fn probe(operation: &Operation, database: &str, role: Option<&str>) -> Result<usize, Failure> {
    if operation.settings.probes.is_empty() {
        return Ok(0);
    }
    let mut keeper = operation.server.connect(&operation.settings.place.maintenance)?;
    let superuser = "select rolsuper from pg_roles where rolname = current_user";
    if keeper.one(superuser, &[])? != Some(true) {
        return ask(operation, &mut operation.server.connect_for_the_team(database)?, database, role);
    }
    let permit = operation.context.permit().ok_or_else(|| Failure::bug("probes are asked in a plan"))?;
    let minutes = std::time::Duration::from_secs(3600);
    let rights = |asker: &Sql| match role {
        Some(role) => sql::fill("grant {} to {}", &[name(role), asker.clone()]),
        None => sql::fill(
            "grant pg_read_all_data to {}; alter role {} bypassrls",
            &[asker.clone(), asker.clone()],
        ),
    };
    let database_name = &operation.settings.database;
    let asker = TemporaryRole::make(operation.server, &permit, &mut keeper, database_name, minutes, rights)
        .map_err(|failure| match failure.reason.as_str() {
        "query" | "rights" => wrong(database, role, "a role that asks", &failure.causes.join(" ")),
        _ => failure,
    })?;
    let mut session = operation.server.of(&asker.login).connect_for_the_team(database)?;
    ask(operation, &mut session, database, role)
}

fn wrong(database: &str, role: Option<&str>, probe: &str, why: &str) -> Failure {
    let by = role.map(|r| format!(" as {r}")).unwrap_or_default();
    Failure::failed("probe", format!("{database} does not answer{by} as it should"))
        .cause(format!("{probe}: {why}"))
}

fn ask(
    operation: &Operation,
    session: &mut Session,
    database: &str,
    role: Option<&str>,
) -> Result<usize, Failure> {
    if let Some(role) = role {
        session
            .ask(sql::fill("set role {}", &[name(role)]), &[])
            .map_err(|f| wrong(database, Some(role), "set role", &f.causes.join(" ")))?;
    }
    for probe in &operation.settings.probes {
        let query = sql::of_the_settings(probe);
        let answer = session.ask_and_undo(&sql::fill("select (select ({}))::text", &[query]));
        let texts = |rows: Vec<Row>| {
            rows.iter().map(|row| get::<Option<String>>(row, 0)).collect::<Result<Vec<_>, _>>()
        };
        match answer.and_then(texts) {
            Ok(rows) if rows == [Some("true".to_owned())] => {}
            Ok(rows) => {
                let said: Vec<String> =
                    rows.into_iter().map(|said| said.unwrap_or_else(|| "nothing".into())).collect();
                return Err(wrong(database, role, probe, &format!("it says {}", said.join(", "))));
            }
            Err(failure) => return Err(wrong(database, role, probe, &failure.causes.join(" "))),
        }
    }
    Ok(operation.settings.probes.len())
}

/// Has amcheck read every table and every B-tree, in a transaction that leaves no trace of the extension. `None` when the server does
/// not have it or does not let us.
pub fn amcheck(
    operation: &Operation,
    permit: &Permit,
    (side, outline): (&str, &Outline),
    session: &mut Session,
) -> Result<Option<u64>, Failure> {
    if !operation.settings.amcheck {
        return Ok(None);
    }
    let Some(schema) = &outline.amcheck else {
        operation
            .context
            .voice
            .warn("amcheck is not to be had on this server: the files of the copy are not checked");
        return Ok(None);
    };
    // What an event trigger says to our own extension matters to nobody: this is undone.
    let off = |trigger: &String| sql::fill("alter event trigger {} disable", &[sql::given(trigger)]);
    let mut first: Vec<Sql> = outline.event_triggers.iter().map(off).collect();
    let schema = if schema.is_empty() {
        first.push(
            "create schema db_restore_amcheck; create extension amcheck schema db_restore_amcheck".into(),
        );
        name("db_restore_amcheck")
    } else {
        sql::given(schema)
    };
    let found = session.attempt(permit, &sql::join(first, ";"), &checks(&schema)).and_then(|a| checked(&a));
    match found {
        Ok((checked, wrong)) if wrong.is_empty() => Ok(Some(checked)),
        Ok((_, wrong)) => Err(wrong.iter().fold(damaged(side), Failure::cause)),
        Err(failure) if failure.reason == "query" => {
            Err(failure.causes.iter().fold(damaged(side), Failure::cause))
        }
        Err(failure) => Err(failure),
    }
}

fn damaged(side: &str) -> Failure {
    Failure::failed("unproven", format!("amcheck finds {side} damaged"))
}

/// What amcheck is asked. An index that is damaged is an error of its own. Who owns the schema in which amcheck is can put functions of the same
/// names beside its own: these arguments fit its own ones exactly, so no other is taken.
fn checks(schema: &Sql) -> [Sql; 3] {
    let ours =
        || Sql::from("n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'");
    let heaps = sql::fill(
        "select c.oid::regclass::text || ': ' || v.msg from pg_class c join pg_namespace n on n.oid = c.relnamespace,
                lateral {}.verify_heapam(c.oid::regclass, false, false, 'none'::text, null::bigint, null::bigint) v where c.relkind in ('r', 'm') and {} limit 20",
        &[schema.clone(), ours()],
    );
    let trees = sql::fill(
        "select count(*), count({}.bt_index_check(c.oid::regclass)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                join pg_index i on i.indexrelid = c.oid join pg_am a on a.oid = c.relam
         where a.amname = 'btree' and c.relkind = 'i' and i.indisvalid and {}",
        &[schema.clone(), ours()],
    );
    let tables = sql::fill(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm') and {}",
        &[ours()],
    );
    [heaps, trees, tables]
}

/// How many relations were read, and what is wrong with them.
fn checked(answers: &[Vec<Row>]) -> Result<(u64, Vec<String>), Failure> {
    let [wrong, trees, tables] = answers else { return Err(Failure::bug("three answers")) };
    let wrong = wrong.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let count = |rows: &[Row]| rows.first().map_or(Ok(0), |row| get::<i64>(row, 0));
    let checked = count(trees)? + count(tables)?;
    Ok((checked.unsigned_abs(), wrong))
}

/// Where what was counted is not what was expected.
fn differences(
    found: &BTreeMap<String, u64>,
    expected: &BTreeMap<String, u64>,
    unit: &str,
    thing: &str,
) -> Vec<String> {
    let said = |n: Option<&u64>| n.map_or_else(|| format!("no {thing}"), |n| format!("{n} {unit}"));
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differ = names.into_iter().filter(|t| found.get(*t) != expected.get(*t));
    differ.map(|t| format!("{t}: {} instead of {}", said(found.get(t)), said(expected.get(t)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_held_against_each_other() {
        let tables = |list: &[(&str, u64)]| {
            list.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect::<BTreeMap<_, _>>()
        };
        let then = tables(&[("orders", 5), ("products", 3), ("gone", 1)]);
        let now = tables(&[("orders", 7), ("products", 1), ("new", 2)]);
        assert_eq!(
            differences(&now, &then, "rows", "table"),
            [
                "gone: no table instead of 1 rows",
                "new: 2 rows instead of no table",
                "orders: 7 rows instead of 5 rows",
                "products: 1 rows instead of 3 rows"
            ]
        );
        assert!(differences(&then, &then, "rows", "table").is_empty());
    }
}
