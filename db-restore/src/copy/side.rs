//! The side database: made like the live one, filled from an archive, and given what belongs to the database itself.

use std::cell::RefCell;
use std::io::Write;
use std::time::Instant;

use step::{Context, Failure, Permit};

use crate::copy::apply::{self, Apply};
use crate::copy::rights;
use crate::copy::role::{self, TemporaryRole};
use crate::journal::{self, Note};
use crate::plan::{self, Names};
use crate::server::sql::{self, name, text};
use crate::server::{Live, Login, Row, Server, Session, Sql, get};
use crate::settings::Settings;
use crate::sources::archive::Dump;
use crate::tools::Job;

/// How a database is made. Its locale's provider has moved between versions: it is read by name.
const LIKE: &str = "
    select pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_get_userbyid(d.datdba), t.spcname::text, d.datconnlimit,
           j->>'datlocprovider', coalesce(j->>'datlocale', j->>'daticulocale', '')
    from pg_database d join pg_tablespace t on t.oid = d.dattablespace, to_jsonb(d) j
    where d.datname = $1";
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
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e' where c.relkind = 'r'";

/// Makes the empty side database, like the live one. Gives its oid.
pub fn make(keeper: &mut Session, permit: &Permit, names: &Names, run: &str) -> Result<u32, Failure> {
    let rows = keeper.ask(LIKE, &[&names.live])?;
    let missing = || Failure::failed("database", format!("{} is not there any more", names.live));
    let create = like(rows.first().ok_or_else(missing)?, &names.side)?;
    keeper.change(permit, create)?;
    let note = journal::first(&names.side, &Note::Filling { run: run.to_owned() })?;
    keeper.change(permit, note)?;
    oid(keeper, &names.side)
}

/// The statement that makes a database like the one that a row of [`LIKE`] tells of.
fn like(row: &Row, side: &str) -> Result<Sql, Failure> {
    let column = |n| get::<String>(row, n);
    let encoding: String = column(0)?;
    let provider = match get::<Option<String>>(row, 6)?.as_deref() {
        Some("i") => sql::fill("locale_provider icu icu_locale {}", &[text(&column(7)?)]),
        Some("b") => sql::fill("locale_provider builtin builtin_locale {}", &[text(&column(7)?)]),
        _ => "".into(),
    };
    Ok(sql::fill(
        "create database {} template template0 encoding {} lc_collate {} lc_ctype {} owner {} tablespace {} connection limit {} {}",
        &[
            name(side),
            text(&encoding),
            text(&column(1)?),
            text(&column(2)?),
            name(&column(3)?),
            name(&column(4)?),
            sql::number(get::<i32>(row, 5)?),
            provider,
        ],
    ))
}

/// The oid of a database that must be there.
pub fn oid(keeper: &mut Session, database: &str) -> Result<u32, Failure> {
    let oid = keeper.one("select oid from pg_database where datname = $1", &[&database])?;
    oid.ok_or_else(|| Failure::failed("database", format!("{database} is not there")))
}

/// Says in its comment what a side database is.
pub fn mark(keeper: &mut Session, permit: &Permit, side: &str, remark: &Note) -> Result<(), Failure> {
    let statement = journal::replace(keeper, side, side, Some(remark))?;
    keeper.change(permit, &statement)
}

/// Says in its comment that a copy is done, and closes it, in one: a killed run leaves one that is made anew, or one that is used.
pub fn finish(keeper: &mut Session, permit: &Permit, copy: &str, remark: &Note) -> Result<(), Failure> {
    let note = journal::replace(keeper, copy, copy, Some(remark))?;
    let close =
        sql::fill("begin; alter database {} allow_connections false; {}; commit", &[name(copy), note]);
    keeper.change(permit, close)
}

/// Throws a side database away, with whoever is still in it.
pub fn discard(keeper: &mut Session, permit: &Permit, side: &str) -> Result<(), Failure> {
    keeper.change(permit, sql::fill("drop database if exists {} with (force)", &[name(side)]))
}

/// Opens a copy to be looked at, in whose name, or closes it again: what nobody can enter nobody can change.
pub fn look(keeper: &mut Session, permit: &Permit, copy: &str, by: Option<&str>) -> Result<(), Failure> {
    let note = journal::closed(keeper, copy, by)?;
    let open = if by.is_some() { "true" } else { "false" };
    keeper.change(
        permit,
        sql::fill(
            "begin; alter database {} allow_connections {}; {}; commit",
            &[name(copy), open.into(), note],
        ),
    )
}

/// Throws away what killed attempts have left: we hold the lock, so nobody is at work on them.
pub fn sweep(keeper: &mut Session, permit: &Permit, live: &str) -> Result<(), Failure> {
    let superuser = "select rolsuper from pg_roles where rolname = current_user";
    let superuser = keeper.one(superuser, &[])? == Some(true);
    for beside in journal::beside(keeper, live)?.values() {
        let half = match &beside.remark {
            Some(Note::Filling { .. }) => true,
            // One that a person has written a comment on is theirs to drop.
            None if !beside.bare => false,
            // Nor is a clone that says nothing dropped where it could say it in a comment only: that may have been taken away.
            None => {
                plan::is_beside(&beside.name, live, "dbr")
                    || (superuser && plan::is_beside(&beside.name, live, "snap"))
            }
            Some(_) => false,
        };
        if half {
            discard(keeper, permit, &beside.name)?;
        } else if beside.open && beside.noted && beside.name != live {
            look(keeper, permit, &beside.name, None)?;
        }
    }
    role::sweep(keeper, permit, live)
}

/// What a dump held besides definitions and data.
struct Held {
    owners: bool,
    rights: bool,
    /// What could run a function whenever something is changed.
    last: Vec<Sql>,
}

/// A side database that is being filled.
pub struct Side<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
    pub name: &'a str,
}

impl Side<'_> {
    /// Restores a dump that will take about `bytes`; any error is one. A superuser's session runs nothing that the dump's makers wrote.
    pub fn fill(
        &self,
        permit: &Permit,
        keeper: &mut Session,
        live: &Live,
        dump: &Dump,
        bytes: u64,
    ) -> Result<(), Failure> {
        if !live.superuser {
            return self.fill_as(permit, None, live, dump, bytes);
        }
        let budget = self.context.deadline.left();
        let worker = TemporaryRole::make(self.server, permit, keeper, &self.settings.database, budget)?;
        keeper.change(
            permit,
            sql::fill("alter database {} owner to {}", &[name(self.name), worker.quoted()]),
        )?;
        self.fill_as(permit, Some(&worker.login), live, dump, bytes)?;
        let owner = "select pg_get_userbyid(datdba) from pg_database where datname = $1";
        let owner: String = keeper.one(owner, &[&self.settings.database])?.unwrap_or_default();
        keeper
            .change(permit, sql::fill("alter database {} owner to {}", &[name(self.name), name(&owner)]))?;
        worker.end(keeper)
    }

    fn fill_as(
        &self,
        permit: &Permit,
        login: Option<&Login>,
        live: &Live,
        dump: &Dump,
        bytes: u64,
    ) -> Result<(), Failure> {
        let mut worker = login.map_or(self.server, |login| self.server.of(login)).connect(self.name)?;
        let mut superuser = self.server.connect(self.name)?;
        let mut apply = Apply::new(permit, &mut worker, &mut superuser, live.major());
        apply.begin()?;
        let held = if dump.form == "plain" {
            let unreadable = |e| Failure::refused("corrupt", format!("{}: {e}", dump.path.display()));
            let file = std::fs::File::open(&dump.path).map_err(unreadable)?;
            apply.script(std::io::BufReader::new(file), false)?;
            Held { owners: apply.names_owners(), rights: apply.names_rights(), last: apply.finish()? }
        } else {
            self.archive(&mut apply, login, dump, bytes)?
        };
        drop(worker);
        if let Some(login) = login {
            self.nothing_left(permit, &mut superuser, login, held.owners)?;
        }
        if dump.foreign && !held.rights {
            self.rights(permit, &mut superuser)?;
        }
        apply::all(&mut superuser, &held.last)
    }

    /// An archive without rights gets those of the live database: an application that lived on them would read nothing, and what was taken from
    /// everybody would be everybody's again.
    fn rights(&self, permit: &Permit, copy: &mut Session) -> Result<(), Failure> {
        let (voice, database) = (&self.context.voice, &self.settings.database);
        let given = rights::give(permit, &mut self.server.connect(database)?, copy)?;
        voice.warn(&format!(
            "the archive holds no rights (--no-acl): those on {} objects were taken from {database}, and what is revoked there is revoked",
            given.count
        ));
        for routine in given.unknown {
            voice.warn(&format!(
                "{routine} is not in {database}, so everybody may run it: revoke that if they must not"
            ));
        }
        Ok(())
    }

    /// The definitions first: a role, a type or an extension that is missing is found in a moment, not after hours of copying. Then the
    /// data, by pg_restore, in parallel.
    fn archive(
        &self,
        apply: &mut Apply,
        login: Option<&Login>,
        dump: &Dump,
        bytes: u64,
    ) -> Result<Held, Failure> {
        apply.script(self.script(dump, &["--section=pre-data"])?, false)?;
        apply.script(self.script(dump, &["--section=post-data"])?, true)?;
        let (mut ours, mut extensions, mut large) = (Vec::new(), Vec::new(), Vec::new());
        let of_extensions = apply.superuser.texts(EXTENSIONS, &[])?;
        for line in self.list(dump)? {
            let what =
                line.split_once("; ").and_then(|(_, rest)| rest.splitn(3, ' ').nth(2)).unwrap_or_default();
            if LAST.iter().any(|last| what.starts_with(last)) {
                continue;
            }
            if of_extensions.iter().any(|table| what.starts_with(&format!("TABLE DATA {table} "))) {
                extensions.push(line);
                continue;
            }
            if what.starts_with("BLOB METADATA ") || what.starts_with("ACL - LARGE OBJECT") {
                large.push(line.clone());
            }
            ours.push(line);
        }
        if !large.is_empty() {
            let list = written(&large)?;
            let used = format!("--use-list={}", list.path().display());
            apply.script(self.script(dump, &[&used])?, true)?;
        }
        let (owners, rights) = (apply.names_owners(), apply.names_rights());
        apply.own_routines()?;
        self.restore(dump, login, &ours, bytes)?;
        if !extensions.is_empty() {
            self.restore(dump, None, &extensions, bytes)?;
        }
        Ok(Held { owners, rights, last: apply.finish()? })
    }

    /// Part of an archive as pg_restore would run it.
    fn script(&self, dump: &Dump, parts: &[&str]) -> Result<impl std::io::BufRead + use<>, Failure> {
        let unwritable = |e: std::io::Error| {
            Failure::temporary("temporary", format!("no temporary file can be used: {e}"))
        };
        let file = tempfile::NamedTempFile::new().map_err(unwritable)?;
        let (to, path) = (format!("--file={}", file.path().display()), dump.path.display().to_string());
        self.job(dump, "reading the schema").run(&[parts, &[&to, &path]].concat())?;
        Ok(std::io::BufReader::new(file.reopen().map_err(unwritable)?))
    }

    /// The lines of the archive's list that have data or come after it.
    fn list(&self, dump: &Dump) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        let mut each =
            |line: &str| lines.extend((!line.starts_with(';') && !line.is_empty()).then(|| line.to_owned()));
        let path = dump.path.display().to_string();
        let list = ["--list", "--section=data", "--section=post-data", &path];
        self.job(dump, "listing the archive").lines(&list, Some(&mut each))?;
        Ok(lines)
    }

    /// Has pg_restore do these lines of the list, as whom.
    fn restore(
        &self,
        dump: &Dump,
        login: Option<&Login>,
        lines: &[String],
        bytes: u64,
    ) -> Result<(), Failure> {
        let objects = lines.len() as u64;
        let list = written(lines)?;
        let (used, path) = (format!("--use-list={}", list.path().display()), dump.path.display().to_string());
        let doing = format!("restoring into {}", self.name);
        let session: RefCell<Option<Session>> = RefCell::new(None);
        let began = Instant::now();
        let progress = |done: u64| {
            let mut session = session.borrow_mut();
            if session.is_none() {
                *session = self.server.connect(&self.settings.maintenance).ok();
            }
            let sql = "select pg_database_size($1::text::name)";
            let size: Option<i64> = session.as_mut()?.one(sql, &[&self.name]).ok()?;
            Some(estimate(done, objects, size?.unsigned_abs(), bytes, began.elapsed().as_secs()))
        };
        let job = Job { database: Some(self.name), login, lenient: dump.lenient, ..self.job(dump, &doing) };
        let job = Job { progress: Some(&progress), ..job };
        let jobs = format!("--jobs={}", if dump.parallel { self.settings.jobs } else { 1 });
        let strict: &[&str] = if dump.lenient { &[] } else { &["--exit-on-error"] };
        job.run(&[strict, &["--verbose", "--no-owner", "--no-acl", &jobs, &used, &path]].concat())
    }

    /// The worker must own nothing any more: what it still owns was made by what ran, or by a dump that names no owners.
    fn nothing_left(
        &self,
        permit: &Permit,
        superuser: &mut Session,
        login: &Login,
        named: bool,
    ) -> Result<(), Failure> {
        if !named {
            let database = &self.settings.database;
            let mut live = self.server.connect(database)?;
            let (given, unknown) = rights::owners(permit, &mut live, superuser, (&login.user, database))?;
            self.context.voice.warn(&format!(
                "the archive names no owners (--no-owner): {given} objects have those of {database}, {} that are not there the database's own",
                unknown.len()
            ));
            unknown.iter().for_each(|what| self.context.voice.detail(&format!("not in {database}: {what}")));
            return Ok(());
        }
        let sql = "select pg_describe_object(d.classid, d.objid, d.objsubid) from pg_shdepend d join pg_roles r on r.oid = d.refobjid
                   where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and r.rolname = $1
                     and d.dbid = (select oid from pg_database where datname = current_database()) order by 1 limit 20";
        let left = superuser.texts(sql, &[&login.user])?;
        if left.is_empty() {
            return Ok(());
        }
        let message = "something in the dump has made objects of its own while it was restored, or its owner is not in the dump";
        Err(left.iter().fold(Failure::failed("unproven", message), Failure::cause))
    }

    fn job<'b>(&'b self, dump: &'b Dump, doing: &'b str) -> Job<'b> {
        Job::new(self.context, self.settings, &dump.tool.path, doing)
    }
}

/// A list for pg_restore.
fn written(lines: &[String]) -> Result<tempfile::NamedTempFile, Failure> {
    let unwritable = |e| Failure::temporary("temporary", format!("no temporary file can be written: {e}"));
    let mut file = tempfile::NamedTempFile::new().map_err(unwritable)?;
    lines.iter().try_for_each(|line| writeln!(file, "{line}")).map_err(unwritable)?;
    Ok(file)
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
