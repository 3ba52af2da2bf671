//! The side database: made like the live one, filled from an archive, and given what belongs to the database itself.

use std::cell::RefCell;
use std::time::Instant;

use step::{Context, Failure, Permit};

use crate::args::Settings;
use crate::plan::{self, Names};
use crate::remark::{self, Remark};
use crate::server::{Server, Session, name};
use crate::sources::archive::Dump;
use crate::tools::Job;

/// How a database like this one is made. `datlocprovider` and its locale have moved between versions: they are read by name.
const LIKE: &str = "
    select format('create database %I template template0 encoding %L lc_collate %L lc_ctype %L owner %I tablespace %I connection limit %s',
                  $2::text, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_get_userbyid(d.datdba), t.spcname, d.datconnlimit)
        || case j->>'datlocprovider'
               when 'i' then format(' locale_provider icu icu_locale %L', coalesce(j->>'datlocale', j->>'daticulocale'))
               when 'b' then format(' locale_provider builtin builtin_locale %L', j->>'datlocale')
               else '' end
    from pg_database d join pg_tablespace t on t.oid = d.dattablespace, to_jsonb(d) j
    where d.datname = $1::text";
/// What pg_dump leaves out because it belongs to the database and not to what is in it: settings and rights, as statements.
/// A setting whose value is a list is quoted already (pg_dump knows the same six).
const PROPERTIES: &str = "
    select case s.setrole when 0 then format('alter database %I', $2::text)
                          else format('alter role %I in database %I', pg_get_userbyid(s.setrole), $2::text) end
        || format(' set %I to ', split_part(c, '=', 1))
        || case when split_part(c, '=', 1) in ('search_path', 'temp_tablespaces', 'unix_socket_directories',
                    'local_preload_libraries', 'session_preload_libraries', 'shared_preload_libraries')
                     and substr(c, strpos(c, '=') + 1) not in ('', '\"\"')
                then substr(c, strpos(c, '=') + 1)
                when substr(c, strpos(c, '=') + 1) in ('', '\"\"') then ''''''
                else quote_literal(substr(c, strpos(c, '=') + 1)) end
    from pg_database d join pg_db_role_setting s on s.setdatabase = d.oid, unnest(s.setconfig) c
    where d.datname = $1::text
    union all
    select format('revoke all on database %I from public, %I', $2::text, pg_get_userbyid(d.datdba))
    from pg_database d where d.datname = $1::text and d.datacl is not null
    union all
    select format('grant %s on database %I to %s%s', a.privilege_type, $2::text,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_database d, aclexplode(d.datacl) a where d.datname = $1::text";

/// The rights on what is in the live database, as statements that name what they are about: schema, relation, routine.
const RIGHTS: &str = "
    select 'schema', quote_ident(n.nspname), format('grant %s on schema %I to %s%s', a.privilege_type, n.nspname,
           case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
           case when a.is_grantable then ' with grant option' else '' end)
    from pg_namespace n, aclexplode(n.nspacl) a where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'relation', format('%I.%I', n.nspname, c.relname), format('grant %s on %s %I.%I to %s%s', a.privilege_type,
           case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname, c.relname,
           case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
           case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'routine', p.oid::regprocedure::text, format('grant %s on routine %s to %s%s', a.privilege_type, p.oid::regprocedure,
           case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
           case when a.is_grantable then ' with grant option' else '' end)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(p.proacl) a
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// Makes the empty side database, like the live one. Gives its oid.
pub fn make(keeper: &mut Session, permit: &Permit, names: &Names, run: &str) -> Result<u32, Failure> {
    let missing = || Failure::failed("database", format!("{} is not there any more", names.live));
    let create: String = keeper.one(LIKE, &[&names.live, &names.side])?.ok_or_else(missing)?;
    keeper.change(permit, &create)?;
    mark(keeper, permit, &names.side, &Remark::Filling { run: run.to_owned() })?;
    oid(keeper, &names.side)
}

/// The oid of a database that must be there.
pub fn oid(keeper: &mut Session, database: &str) -> Result<u32, Failure> {
    let oid = keeper.one("select oid from pg_database where datname = $1", &[&database])?;
    oid.ok_or_else(|| Failure::failed("database", format!("{database} is not there")))
}

/// Says in its comment what a side database is.
pub fn mark(keeper: &mut Session, permit: &Permit, side: &str, remark: &Remark) -> Result<(), Failure> {
    let statement = remark::replace(keeper, side, side, Some(remark))?;
    keeper.change(permit, &statement)
}

/// Says in its comment that a copy is done, and closes it, in one: a killed run leaves one that is made anew, or one that is used.
pub fn finish(keeper: &mut Session, permit: &Permit, copy: &str, remark: &Remark) -> Result<(), Failure> {
    let note = remark::replace(keeper, copy, copy, Some(remark))?;
    keeper.change(
        permit,
        &format!("begin; alter database {} allow_connections false; {note}; commit", name(copy)),
    )
}

/// Gives the side database what belongs to the live database itself and not to what is in it, as it is now.
pub fn dress(keeper: &mut Session, permit: &Permit, live: &str, side: &str) -> Result<(), Failure> {
    let own = "select format('alter database %I owner to %I', $2::text, pg_get_userbyid(datdba)) from pg_database where datname = $1::text
               union all select format('alter database %I connection limit %s', $2::text, datconnlimit) from pg_database where datname = $1::text
               union all select format('alter database %I reset all', $2::text)";
    let mut statements = keeper.texts(own, &[&live, &side])?;
    statements.extend(keeper.texts(PROPERTIES, &[&live, &side])?);
    statements.iter().try_for_each(|statement| keeper.change(permit, statement))
}

/// Throws a side database away, with whoever is still in it.
pub fn discard(keeper: &mut Session, permit: &Permit, side: &str) -> Result<(), Failure> {
    keeper.change(permit, &format!("drop database if exists {} with (force)", name(side)))
}

/// Opens a copy to be looked at, in whose name, or closes it again: what nobody can enter nobody can change.
pub fn look(keeper: &mut Session, permit: &Permit, copy: &str, by: Option<&str>) -> Result<(), Failure> {
    let note = remark::closed(keeper, copy, by)?;
    let (name, open) = (name(copy), by.is_some());
    keeper.change(permit, &format!("begin; alter database {name} allow_connections {open}; {note}; commit"))
}

/// Throws away what killed attempts have left: we hold the lock, so nobody is at work on them.
pub fn sweep(keeper: &mut Session, permit: &Permit, live: &str) -> Result<(), Failure> {
    for beside in remark::beside(keeper, live)?.values() {
        let half = match &beside.remark {
            Some(Remark::Filling { .. }) => true,
            None => plan::is_beside(&beside.name, live, "dbr") || plan::is_beside(&beside.name, live, "snap"),
            Some(_) => false,
        };
        if half {
            discard(keeper, permit, &beside.name)?;
        } else if beside.open && beside.noted && beside.name != live {
            look(keeper, permit, &beside.name, None)?;
        }
    }
    Ok(())
}

/// A side database that is being filled.
pub struct Side<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
    pub name: &'a str,
}

impl Side<'_> {
    /// Restores a dump that will take about `bytes`; any error of pg_restore is one.
    pub fn fill(&self, dump: &Dump, bytes: u64) -> Result<(), Failure> {
        let path = dump.path.display().to_string();
        let doing = format!("restoring into {}", self.name);
        let job = Job { database: Some(self.name), lenient: dump.lenient, ..self.job(dump, &doing) };
        if dump.form == "plain" {
            return job.run(&[
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--single-transaction",
                "--file",
                &path,
            ]);
        }
        let jobs = format!("--jobs={}", if dump.parallel { self.settings.jobs } else { 1 });
        let strict: &[&str] = if dump.lenient { &[] } else { &["--exit-on-error"] };
        // A role, a type or an extension that is missing is found in a moment, not after hours of copying.
        job.run(&[strict, &["--section=pre-data", &path]].concat())?;
        let objects = self.objects(dump, &path)?;
        let session = RefCell::new(self.server.connect(&self.settings.maintenance).ok());
        let began = Instant::now();
        let progress = |done: u64| {
            let sql = "select pg_database_size($1::text::name)";
            let size: Option<i64> = session.borrow_mut().as_mut()?.one(sql, &[&self.name]).ok()?;
            Some(estimate(done, objects, size?.unsigned_abs(), bytes, began.elapsed().as_secs()))
        };
        let job = Job { progress: Some(&progress), ..job };
        job.run(&[strict, &["--verbose", &jobs, "--section=data", "--section=post-data", &path]].concat())
    }

    fn job<'b>(&'b self, dump: &'b Dump, doing: &'b str) -> Job<'b> {
        Job::new(self.context, self.settings, &dump.tool.path, doing)
    }

    /// How many objects have data or come after it.
    fn objects(&self, dump: &Dump, path: &str) -> Result<u64, Failure> {
        let mut objects = 0;
        let mut each = |line: &str| objects += u64::from(!line.starts_with(';') && !line.is_empty());
        let list = ["--list", "--section=data", "--section=post-data", path];
        self.job(dump, "listing the archive").lines(&list, Some(&mut each))?;
        Ok(objects)
    }

    /// Grants in the side database what the live one grants, for archives that hold no rights. Gives how many there were.
    pub fn grant(&self, permit: &Permit) -> Result<usize, Failure> {
        let mut live = self.server.connect(&self.settings.database)?;
        let mut side = self.server.connect(self.name)?;
        let mut granted = 0;
        for row in live.ask(RIGHTS, &[])? {
            let column = |n| crate::server::get::<String>(&row, n);
            let (kind, what, grant) = (column(0)?, column(1)?, column(2)?);
            let look = match kind.as_str() {
                "schema" => "select true where to_regnamespace($1) is not null",
                "relation" => "select true where to_regclass($1) is not null",
                _ => "select true where to_regprocedure($1) is not null",
            };
            if side.one::<bool>(look, &[&what])?.is_some() {
                side.change(permit, &grant)?;
                granted += 1;
            }
        }
        Ok(granted)
    }
}

/// How far a restore is, for people.
fn estimate(done: u64, objects: u64, size: u64, bytes: u64, seconds: u64) -> String {
    let mib = |n: u64| n >> 20;
    let mut text = format!("{done} of {objects} objects, {} of about {} MiB", mib(size), mib(bytes));
    if seconds >= 2 && size > (8 << 20) && bytes > size {
        let left = std::time::Duration::from_secs(seconds * (bytes - size) / size);
        text.push_str(&format!(", about {} left", plan::shown(left)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_made_only_when_something_is_known() {
        assert_eq!(
            estimate(3, 40, 400 << 20, 1600 << 20, 10),
            "3 of 40 objects, 400 of about 1600 MiB, about 30s left"
        );
        assert_eq!(estimate(0, 40, 7 << 20, 1600 << 20, 1), "0 of 40 objects, 7 of about 1600 MiB");
        assert_eq!(estimate(39, 40, 1700 << 20, 1600 << 20, 60), "39 of 40 objects, 1700 of about 1600 MiB");
    }
}
