//! A role for as long as a copy is filled or a question is asked: it may log in with a password by chance, and nothing else.

use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use step::{Failure, Permit, Secret};

use super::sql::{self, name, text};
use super::{Login, Server, Session};

/// Begins the names of such roles.
fn head(program: &str) -> String {
    format!("{}_tmp_", program.replace('-', "_"))
}

/// A role whose run was killed cannot log in for longer than this after its deadline.
const AFTER: Duration = Duration::from_secs(600);

/// Such a role; it is dropped with this, or by the next run that holds the lock.
pub struct TemporaryRole<'a> {
    server: Server<'a>,
    permit: &'a Permit,
    ended: bool,
    /// How it logs in.
    pub login: Login,
}

impl<'a> TemporaryRole<'a> {
    /// Makes one for work on a database. `rights` gives it what it may do, from its name.
    pub fn make(
        server: Server<'a>,
        permit: &'a Permit,
        keeper: &mut Session,
        database: &str,
        budget: Duration,
        rights: impl FnOnce(&sql::Sql) -> sql::Sql,
    ) -> Result<Self, Failure> {
        let password = random(16)?;
        let login = Login {
            user: format!("{}{}", head(server.place.program), random(8)?),
            password: Secret::new(password.as_str()),
            is_quiet: false,
        };
        let until = Timestamp::now() + budget.min(Duration::from_secs(86_400 * 30)) + AFTER;
        // The server is told what proves the password, not the password: it may write statements to its log.
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let role = name(&login.user);
        let create = sql::fill(
            "create role {} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password {} valid until {};
             comment on role {} is {}; {}",
            &[
                role.clone(),
                text(&verifier),
                text(&until.to_string()),
                role.clone(),
                text(&note(server.place.program, database, &server.who())),
                rights(&role),
            ],
        );
        keeper.batch(permit, create)?;
        Ok(TemporaryRole { server, permit, ended: false, login })
    }
}

impl TemporaryRole<'_> {
    /// Drops it by a session that is there already, once something is done that takes away what it owns.
    pub fn end(mut self, keeper: &mut Session, first: sql::Sql) -> Result<(), Failure> {
        self.ended = true;
        drop_role(keeper, self.permit, &self.login.user, first)
    }

    /// The same where it owns nothing.
    pub fn let_go(mut self, keeper: &mut Session) -> Result<(), Failure> {
        self.ended = true;
        self.release(keeper)
    }

    /// What others have given to it meanwhile, which nobody can forbid them, is taken from it where it is; a role that stays all the same can
    /// do nothing any more, and a person is told.
    fn release(&self, keeper: &mut Session) -> Result<(), Failure> {
        let role = &self.login.user;
        if drop_role(keeper, self.permit, role, "".into()).is_ok() {
            return Ok(());
        }
        disarm(keeper, self.permit, role)?;
        let elsewhere = "select distinct d.datname::text from pg_shdepend s join pg_database d on d.oid = s.dbid join pg_roles r on r.oid = s.refobjid
                         where s.refclassid = 'pg_authid'::regclass and r.rolname = $1 and d.datallowconn";
        for database in keeper.texts(elsewhere, &[role])? {
            let owned = sql::fill("drop owned by {}", &[name(role)]);
            let session = self.server.connect_regardless(&database);
            let _ = session.and_then(|mut session| session.change(self.permit, owned));
        }
        if drop_role(keeper, self.permit, role, "".into()).is_err() {
            self.server.warn(&format!("the temporary role {role} cannot be dropped, because somebody gives it rights; it can do nothing any more: drop it by hand"));
        }
        Ok(())
    }
}

impl Drop for TemporaryRole<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The next run that holds the lock drops what cannot be dropped now.
        let session = self.server.connect_regardless(&self.server.maintenance());
        let _ = session.and_then(|mut session| self.release(&mut session));
    }
}

/// For whom it was made: who works without the lock (a snapshot) is not to be taken for a run that was killed.
fn note(program: &str, database: &str, who: &str) -> String {
    format!("{program}, for a copy of {database}: {who}")
}

/// In one message, and one transaction.
fn drop_role(session: &mut Session, permit: &Permit, role: &str, first: sql::Sql) -> Result<(), Failure> {
    let gone = sql::fill(
        "{}; select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = {}; drop owned by {}; drop role {}",
        &[first, text(role), name(role), name(role)],
    );
    session.change(permit, gone)
}

/// A role that cannot be dropped can do nothing any more.
fn disarm(session: &mut Session, permit: &Permit, role: &str) -> Result<(), Failure> {
    let less = "alter role {} nologin nobypassrls; revoke pg_read_all_data from {}";
    session.change(permit, sql::fill(less, &[name(role), name(role)]))
}

/// The question for the roles that killed runs on a database have left.
pub fn left(program: &str, database: &str) -> sql::Sql {
    sql::fill(
        "select rolname::text from pg_roles r, shobj_description(r.oid, 'pg_authid') d where starts_with(rolname, {})
         and (d = {} or starts_with(d, {}) and not exists (select from pg_stat_activity a where a.usename <> r.rolname and d = {} || a.application_name and a.application_name <> current_setting('application_name')))",
        &[
            text(&head(program)),
            text(&format!("{program}, for a copy of {database}")),
            text(&note(program, database, "")),
            text(&note(program, database, "")),
        ],
    )
}

/// Drops such roles: we hold the lock. What they own in copies goes with those copies first.
pub fn sweep(keeper: &mut Session, permit: &Permit, roles: Vec<String>) {
    // Not who reads for this command.
    let reader = keeper.server().reader().map(|login| login.user.clone());
    for role in roles.into_iter().filter(|role| Some(role) != reader.as_ref()) {
        // One that still owns something elsewhere cannot be dropped.
        if drop_role(keeper, permit, &role, "".into()).is_err() {
            let _ = disarm(keeper, permit, &role);
        }
    }
}

/// So many bytes by chance, in hexadecimal digits.
fn random(bytes: usize) -> Result<String, Failure> {
    let mut buffer = vec![0; bytes];
    let wrong = |e| Failure::failed("random", format!("/dev/urandom cannot be read: {e}"));
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut buffer)).map_err(wrong)?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}
