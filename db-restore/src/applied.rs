//! Which migrations the database says were applied, by the table in which the usual tools write it down. What git has between two builds is
//! only what might have been.

use std::collections::BTreeSet;

use serde_json::json;
use step::{Failure, Outcome, Run};

use crate::journal::{Journal, Note, Record};
use crate::operation::Operation;
use crate::plan;
use crate::server::{Session, get};
use crate::settings::Settings;

/// The tables of the usual tools (dbmate, Rails, golang-migrate; Supabase; sqlx; Flyway; knex; Prisma), as the catalog has them, with the
/// columns that name a migration. Reading them runs nothing of the database's own: plain tables without their children (which may be
/// foreign), columns of the server's own types (numbers, texts) that are stored, and they are copied out: no question about them is planned.
const TABLES: &str = "select format('%I.%I', n.nspname, c.relname), format('%I', a.attname) \
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v' \
    and a.atttypid in (19, 20, 21, 23, 25, 1042, 1043, 1700) \
    and c.relname in ('schema_migrations', '_sqlx_migrations', 'flyway_schema_history', 'knex_migrations', '_prisma_migrations') \
    and a.attname in ('version', 'name', 'filename', 'script', 'description', 'migration_name') \
    and n.nspname not in ('auth', 'storage', 'realtime', '_realtime', 'supabase_functions', 'pgbouncer') \
    order by 1, 2";
/// More names are not kept; the newest count.
const MOST: usize = 2000;

/// Writes the facts `applied`, and `restored` or `brought_back`.
pub fn run(run: &mut Run, settings: &Settings, lenient: bool) -> Result<Outcome, Failure> {
    let asked = {
        let operation = Operation::new(&run.context, settings);
        ask(&operation, settings)
    };
    let (found, brought) = match asked {
        Err(failure) if lenient && !failure.is_interrupted() => {
            return Ok(Outcome::skipped(format!("the database was not asked: {}", failure.message)));
        }
        asked => asked?,
    };
    match brought {
        // The restore of this run is done; what it has left no document of is in the database.
        Some(record) if record.run == run.document.id() => run.set("restored", record.snapshot)?,
        Some(record) => run.set(
            "brought_back",
            json!({ "snapshot": record.snapshot, "taken_at": plan::instant(record.taken_at),
                    "at": plan::instant(record.frozen_at), "kept_in": record.kept_in }),
        )?,
        None => {}
    }
    let Some((tables, names)) = found else {
        return Ok(Outcome::unchanged(format!(
            "{} has no table of migrations that is known here: git alone says what was applied",
            settings.database
        )));
    };
    let sentence = format!("{} has {} applied migrations, by {tables}", settings.database, names.len());
    run.set("applied", json!({ "table": tables, "names": names }))?;
    Ok(Outcome::unchanged(sentence))
}

/// What the database says: which migrations were applied, and by its own note which restore has brought its data back.
type Asked = (Option<(String, BTreeSet<String>)>, Option<Record>);

fn ask(operation: &Operation, settings: &Settings) -> Result<Asked, Failure> {
    // Another environment's database would say that nothing was applied here.
    operation.marker(&settings.database)?;
    let mut session = operation.server.connect(&settings.database)?;
    let found = applied(&mut session)?;
    let journal = Journal::read(&mut session, &settings.database)?;
    let oid = session.one("select oid from pg_database where datname = current_database()", &[])?;
    let note = oid.and_then(|oid| journal.of_live(oid));
    let record = note.and_then(|note| if let Note::Live(record) = note { Some(record) } else { None });
    Ok((found, record))
}

/// The tables, and the names in them; `None` without a table.
fn applied(session: &mut Session) -> Result<Option<(String, BTreeSet<String>)>, Failure> {
    let rows = session.ask(TABLES, &[])?;
    let mut tables = BTreeSet::new();
    let mut names = BTreeSet::new();
    for row in &rows {
        let (table, column): (String, String) = (get(row, 0)?, get(row, 1)?);
        let rows = session.copied(&table, &[&column])?;
        let mut own: Vec<String> = rows.into_iter().filter_map(|mut row| row.pop().flatten()).collect();
        own.sort_unstable_by(|a, b| b.cmp(a));
        own.truncate(MOST);
        names.extend(own);
        tables.insert(table);
    }
    if tables.is_empty() {
        return Ok(None);
    }
    Ok(Some((tables.into_iter().collect::<Vec<_>>().join(", "), names)))
}
