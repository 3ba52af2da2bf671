//! The side database: made like the live one, filled from an archive, and given what belongs to the database itself.

use std::cell::RefCell;
use std::io::BufRead;
use std::time::Instant;

use step::{Context, Failure, Permit};

use crate::copy::apply::Apply;
use crate::copy::dump::Dump;
use crate::copy::parts::{self, Parts};
use crate::copy::rights;
use crate::journal::{self, Beside, Journal, Keeper, Note};
use crate::plan::{self, Names};
use crate::server::role::{self, TemporaryRole};
use crate::server::sql::{self, name, text};
use crate::server::{Live, Login, Row, Server, Session, Sql, Value, get};
use crate::settings::Settings;
use crate::tools::Job;

/// How a database is made. Its locale's provider has moved between versions: it is read by name.
const LIKE: &str = "
    select pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_get_userbyid(d.datdba),
           case when d.dattablespace <> (select dattablespace from pg_database where datname = 'template0') then t.spcname::text end, d.datconnlimit,
           j->>'datlocprovider', coalesce(j->>'datlocale', j->>'daticulocale', '')
    from pg_database d join pg_tablespace t on t.oid = d.dattablespace, to_jsonb(d) j
    where d.datname = $1";
/// Makes the empty side database, like the live one. Gives its oid.
pub fn make(keeper: &mut Keeper, permit: &Permit, names: &Names, run: &str) -> Result<u32, Failure> {
    let rows = keeper.ask(LIKE, &[&names.live])?;
    let missing = || Failure::failed("database", format!("{} is not there any more", names.live));
    let create = like(rows.first().ok_or_else(missing)?, &names.side)?;
    let note = journal::first(&names.side, &Note::Filling { run: run.to_owned() })?;
    let which = sql::fill("select oid from pg_database where datname = {}::text", &[text(&names.side)]);
    let answers = keeper.change_all(permit, &[create, note, which])?;
    let row = answers.last().and_then(|rows| rows.first());
    row.map_or_else(
        || Err(Failure::failed("database", format!("{} is not there", names.side))),
        |r| get(r, 0),
    )
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
    // Where it lies where every database does, nobody needs a right to put it there.
    let tablespace = get::<Option<String>>(row, 4)?;
    let tablespace =
        tablespace.map_or_else(|| "".into(), |space| sql::fill(" tablespace {}", &[name(&space)]));
    Ok(sql::fill(
        "create database {} template template0 encoding {} lc_collate {} lc_ctype {} owner {}{} connection limit {} {}",
        &[
            name(side),
            text(&encoding),
            text(&column(1)?),
            text(&column(2)?),
            name(&column(3)?),
            tablespace,
            sql::number(get::<i32>(row, 5)?),
            provider,
        ],
    ))
}

/// Says in its comment what a database is, by what the keeper has seen last.
pub fn mark(keeper: &mut Keeper, permit: &Permit, database: &str, remark: &Note) -> Result<(), Failure> {
    let statements = keeper.journal.replace(database, database, Some(remark))?;
    keeper.change(permit, sql::join(statements, ";\n"))
}

/// The statements that say in its comment that a copy is done, and close it, in one: a killed run leaves one that is made anew, or one that is
/// used.
pub fn finishing(journal: &Journal, copy: &str, remark: &Note) -> Result<Sql, Failure> {
    let note = sql::join(journal.replace(copy, copy, Some(remark))?, ";\n");
    Ok(sql::fill("begin; alter database {} allow_connections false; {}; commit", &[name(copy), note]))
}

/// Throws a side database away, with whoever is still in it. A subscription in it, which came with a dump and does nothing, goes first.
pub fn discard(keeper: &mut Keeper, permit: &Permit, side: &str) -> Result<(), Failure> {
    let drop = || sql::fill("drop database if exists {} with (force)", &[name(side)]);
    keeper.journal.forget(side);
    let Err(failure) = keeper.change(permit, drop()) else { return Ok(()) };
    if !failure.causes.iter().any(|cause| cause.contains("subscription")) {
        return Err(failure);
    }
    keeper.change(permit, sql::fill("alter database {} allow_connections true", &[name(side)]))?;
    let mut inside = keeper.server().connect(side)?;
    // Whose function an event trigger calls matters to nobody: it is not to run.
    let triggers = "select quote_ident(evtname) from pg_event_trigger where evtenabled <> 'D'";
    let here = "select quote_ident(subname) from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())";
    for trigger in inside.texts(triggers, &[])? {
        inside.change(permit, sql::fill("alter event trigger {} disable", &[sql::given(&trigger)]))?;
    }
    for subscription in inside.texts(here, &[])? {
        let gone = sql::given(&subscription);
        let end = "alter subscription {} disable; alter subscription {} set (slot_name = none); drop subscription {}";
        inside.change(permit, sql::fill(end, &[gone.clone(), gone.clone(), gone]))?;
    }
    std::mem::drop(inside);
    keeper.change(permit, drop())
}

/// Opens a copy to be looked at, in whose name.
pub fn open(keeper: &mut Keeper, permit: &Permit, copy: &str, run: &str) -> Result<(), Failure> {
    let note = keeper.journal.closed(copy, Some(run));
    keeper.change(
        permit,
        sql::fill("begin; alter database {} allow_connections true; {}; commit", &[name(copy), note]),
    )
}

/// The statements that close it again: what nobody can enter nobody can change.
pub fn closing(journal: &Journal, copy: &str) -> Sql {
    let note = journal.closed(copy, None);
    sql::fill("begin; alter database {} allow_connections false; {}; commit", &[name(copy), note])
}

/// Closes it again, whatever has come meanwhile, with what people have written into its comment.
pub fn close(keeper: &mut Keeper, permit: &Permit, copy: &str) -> Result<(), Failure> {
    keeper.see_through();
    let closed = keeper.refresh(Vec::new()).and_then(|_| {
        let closing = closing(&keeper.journal, copy);
        keeper.change(permit, closing)
    });
    keeper.heed();
    closed
}

/// Throws away what killed attempts have left: we hold the lock, so nobody is at work on them.
pub fn sweep(keeper: &mut Keeper, permit: &Permit, live: &str) -> Result<(), Failure> {
    let superuser = keeper.journal.superuser;
    let half = |beside: &Beside| match &beside.remark {
        Some(Note::Filling { .. }) => true,
        // One that a person has written a comment on is theirs to drop.
        None if !beside.is_bare() => false,
        // Nor is a clone that says nothing dropped where it could say it in a comment only: that may have been taken away.
        None => {
            plan::is_beside(&beside.name, live, "dbr")
                || (superuser && plan::is_beside(&beside.name, live, "snap"))
        }
        Some(_) => false,
    };
    let (left, others): (Vec<&Beside>, Vec<&Beside>) = keeper.journal.besides().partition(|b| half(b));
    let names = |list: Vec<&Beside>| list.iter().map(|b| b.name.clone()).collect::<Vec<_>>();
    let opened = names(others.into_iter().filter(|b| b.open && b.noted).collect());
    for database in names(left) {
        discard(keeper, permit, &database)?;
    }
    for database in opened {
        let closing = closing(&keeper.journal, &database);
        keeper.change(permit, closing)?;
        keeper.journal.is_closed(&database);
    }
    let roles = std::mem::take(&mut keeper.journal.roles);
    role::sweep(keeper, permit, roles);
    Ok(())
}

/// A side database that is being filled.
pub struct Side<'a, 'n> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
    pub name: &'n str,
}

impl<'a> Side<'a, '_> {
    /// Restores a dump that will take about `bytes`; any error is one. Gives the extensions that cannot be made in a copy, and the session that can
    /// look at it. A superuser's session runs nothing that the dump's makers wrote.
    pub fn fill(
        &self,
        permit: &Permit,
        keeper: &mut Session,
        live: &Live,
        dump: &Dump,
        bytes: u64,
    ) -> Result<(Vec<String>, Session<'a>), Failure> {
        if !live.superuser {
            return self.fill_as(permit, None, live, dump, bytes);
        }
        let (budget, side) = (self.context.deadline.left(), name(self.name));
        let rights =
            |worker: &Sql| sql::fill("alter database {} owner to {}", &[side.clone(), worker.clone()]);
        let worker =
            TemporaryRole::make(self.server, permit, keeper, &self.settings.database, budget, rights)?;
        let filled = self.fill_as(permit, Some(&worker.login), live, dump, bytes)?;
        worker.end(keeper, sql::fill("alter database {} owner to {}", &[side.clone(), name(&live.owner)]))?;
        Ok(filled)
    }

    fn fill_as(
        &self,
        permit: &Permit,
        login: Option<&Login>,
        live: &Live,
        dump: &Dump,
        bytes: u64,
    ) -> Result<(Vec<String>, Session<'a>), Failure> {
        let mut worker = login.map_or(self.server, |login| self.server.of(login)).connect(self.name)?;
        let mut superuser = self.server.connect(self.name)?;
        let user = login.map(|login| login.user.as_str());
        let mut apply = Apply::new(permit, &mut worker, &mut superuser, live.major(), user);
        apply.begin()?;
        if dump.form == "plain" {
            let unreadable = |e| Failure::refused("corrupt", format!("{}: {e}", dump.path.display()));
            let file = std::fs::File::open(&dump.path).map_err(unreadable)?;
            apply.script(std::io::BufReader::new(file), false)?;
        } else {
            self.archive(&mut apply, login, dump, bytes)?;
        }
        let (owners, rights) = (apply.names_owners, apply.names_rights);
        if let Some(login) = login.filter(|_| !owners) {
            // Before the rights, which their owners may have to give (`--use-set-session-authorization`).
            self.owners(permit, apply.superuser, login)?;
        }
        apply.finish()?;
        if let Some(login) = login {
            nothing_left(permit, apply.superuser, login)?;
        }
        if dump.foreign && !rights {
            self.rights(permit, apply.superuser)?;
        }
        let left_out = std::mem::take(&mut apply.left_out);
        apply.close()?;
        left_out.iter().for_each(|(name, why)| {
            self.context.voice.warn(&format!("the extension {name} cannot be made in a copy and is left out, with the rows of its own tables ({why}): make it again after the restore (create extension), and bring back its rows with pg_restore --data-only"));
        });
        superuser.renew();
        Ok((left_out.into_iter().map(|(name, _)| name).collect(), superuser))
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
    ) -> Result<(), Failure> {
        apply.script(self.script(dump, &["--section=pre-data"])?, false)?;
        apply.script(self.script(dump, &["--section=post-data"])?, true)?;
        let parts = Parts::of(self.list(dump)?, apply)?;
        if !parts.large.is_empty() {
            let list = parts::written(&parts.large)?;
            let used = format!("--use-list={}", list.path().display());
            apply.script(self.script(dump, &[&used])?, true)?;
        }
        apply.own_routines()?;
        self.restore(dump, login, &parts.ours, bytes)?;
        if !parts.extensions.is_empty() {
            parts.are_extensions(apply.superuser)?;
            self.restore(dump, None, &parts.extensions, bytes)?;
        }
        if !parts.triggers.is_empty() {
            self.restore(&dump.one_by_one(), login, &parts.triggers, bytes)?;
        }
        Ok(())
    }

    /// Part of an archive as pg_restore would run it.
    fn script(&self, dump: &Dump, parts: &[&str]) -> Result<impl BufRead + use<>, Failure> {
        dump.written(self.context, self.settings, "reading the schema", parts)
    }

    /// The lines of the archive's list that have data or come after it, in whatever encoding it is.
    fn list(&self, dump: &Dump) -> Result<Vec<Vec<u8>>, Failure> {
        let list = ["--list", "--section=data", "--section=post-data"];
        let list = dump.written(self.context, self.settings, "listing the archive", &list)?;
        let unreadable =
            |e| Failure::temporary("temporary", format!("the archive's list cannot be read: {e}"));
        let lines: Vec<Vec<u8>> = list.split(b'\n').collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(lines.into_iter().filter(|line| !line.starts_with(b";") && !line.is_empty()).collect())
    }

    /// Has pg_restore do these lines of the list, as whom.
    fn restore(
        &self,
        dump: &Dump,
        login: Option<&Login>,
        lines: &[Vec<u8>],
        bytes: u64,
    ) -> Result<(), Failure> {
        let objects = lines.len() as u64;
        let list = parts::written(lines)?;
        let (used, path) = (format!("--use-list={}", list.path().display()), dump.path.display().to_string());
        let doing = format!("restoring into {}", self.name);
        let session: RefCell<Option<Session>> = RefCell::new(None);
        let began = Instant::now();
        let progress = |done: u64| {
            let mut session = session.borrow_mut();
            if session.is_none() {
                *session = self.server.connect(&self.settings.place.maintenance).ok();
            }
            let sql = "select pg_database_size($1::text::name)";
            let size: Option<i64> = session.as_mut()?.one(sql, &[&self.name]).ok()?;
            Some(estimate(done, objects, size?.unsigned_abs(), bytes, began.elapsed().as_secs()))
        };
        let job = Job { database: Some(self.name), login, lenient: dump.lenient, ..self.job(dump, &doing) };
        let job = Job { progress: Some(&progress), filling: true, ..job };
        let jobs = format!("--jobs={}", if dump.parallel { self.settings.jobs } else { 1 });
        let strict: &[&str] = if dump.lenient { &[] } else { &["--exit-on-error"] };
        job.run(&[strict, &["--verbose", "--no-owner", "--no-acl", &jobs, &used, &path]].concat())
    }

    /// An archive that names no owners gets those of the live database.
    fn owners(&self, permit: &Permit, superuser: &mut Session, login: &Login) -> Result<(), Failure> {
        let database = &self.settings.database;
        let mut live = self.server.connect(database)?;
        let (given, unknown) = rights::owners(permit, &mut live, superuser, (&login.user, database))?;
        self.context.voice.warn(&format!(
            "the archive names no owners (--no-owner): {given} objects have those of {database}, {} that are not there the database's own",
            unknown.len()
        ));
        unknown.iter().for_each(|what| self.context.voice.detail(&format!("not in {database}: {what}")));
        Ok(())
    }

    fn job<'b>(&'b self, dump: &'b Dump, doing: &'b str) -> Job<'b> {
        Job::new(self.context, self.settings, &dump.tool.path, doing)
    }
}

/// The worker must own nothing any more: what it still owns was made by what ran.
fn nothing_left(permit: &Permit, superuser: &mut Session, login: &Login) -> Result<(), Failure> {
    let left = left_by(permit, superuser, login)?;
    if left.is_empty() {
        return Ok(());
    }
    let message = "something in the dump has made objects of its own while it was restored, or its owner is not in the dump";
    Err(left.iter().fold(Failure::failed("unproven", message), Failure::cause))
}

/// What a role still owns in a copy, in words.
const LEFT: &str = "
    select pg_describe_object(d.classid, d.objid, d.objsubid) from pg_shdepend d join pg_roles r on r.oid = d.refobjid
    where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and r.rolname = $1
      and d.dbid = (select oid from pg_database where datname = current_database()) order by 1 limit 20";
/// Before 17, a range's new owner does not get the multirange that was made with it, and no dump speaks of that.
const MULTIRANGES: &str = "
    select format('%I.%I', n.nspname, m.typname), pg_get_userbyid(t.typowner)
    from pg_range r join pg_type t on t.oid = r.rngtypid join pg_type m on m.oid = r.rngmultitypid join pg_namespace n on n.oid = m.typnamespace
    join pg_roles w on w.oid = m.typowner where w.rolname = $1 and t.typowner <> m.typowner";

/// What the worker still owns, once multiranges belong to whom their ranges do.
fn left_by(permit: &Permit, superuser: &mut Session, login: &Login) -> Result<Vec<String>, Failure> {
    let own: &[&dyn Value] = &[&login.user];
    let answers = superuser.ask_all(&[(MULTIRANGES.into(), own), (LEFT.into(), own)])?;
    let [multiranges, left] = answers.as_slice() else { return Err(Failure::bug("two answers")) };
    if multiranges.is_empty() {
        return left.iter().map(|row| get(row, 0)).collect();
    }
    let mut statements = Vec::new();
    for row in multiranges {
        let (multirange, owner): (String, String) = (get(row, 0)?, get(row, 1)?);
        statements.push(sql::fill("alter type {} owner to {}", &[sql::given(&multirange), name(&owner)]));
    }
    superuser.change(permit, sql::join(statements, ";"))?;
    superuser.texts(LEFT, own)
}

/// How far a restore is, for people.
fn estimate(done: u64, objects: u64, size: u64, bytes: u64, seconds: u64) -> String {
    let mib = |n: u64| n >> 20;
    let mut text = format!("{done} of {objects} objects, {} of about {} MiB", mib(size), mib(bytes));
    if seconds >= 2 && size > (8 << 20) && bytes > size {
        let left = std::time::Duration::from_secs(seconds * (bytes - size) / size);
        text.push_str(&format!(", about {} left", step::human(left)));
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
