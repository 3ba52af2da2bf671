//! Who does what of a dump: the worker, a role without rights, does all that may run what its makers wrote; the superuser what needs one and
//! runs nothing of it. Owners and rights come last: a table whose owner has given up a right is filled all the same.

#[cfg(test)]
mod tests;

use std::io::BufRead;

use step::{Failure, Permit};

use super::script::{Piece, Script, Statement};
use super::words::{self, Word};
use crate::server::sql::{self, Sql};
use crate::server::{Session, Value, get};

/// How many statements go out together.
const TOGETHER: usize = 100;

/// Who does a statement, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The worker, now.
    Worker,
    /// The superuser, now.
    Superuser,
    /// The superuser, once nothing is executed any more that the worker owns: owners of routines.
    Routine,
    /// The superuser, when everything is there: owners and rights.
    Later,
    /// The superuser, at the very end: what could run a function whenever something is changed.
    Last,
    /// Nobody: a setting that this server does not know.
    Nobody,
}

/// Whose turn a statement is. The error is one sentence.
pub fn turn(statement: &Statement, major: u32) -> Result<Turn, String> {
    let begins = |words: &[&str]| statement.begins(words);
    let on = |words: &[&str]| words.iter().any(|word| statement.has("on", word));
    // The session's own encoding stays what it is: a dump in another one is told to the server as such.
    if (begins(&["set", "transaction_timeout"]) && major < 17) || begins(&["set", "client_encoding"]) {
        return Ok(Turn::Nobody);
    }
    let last = [&["event", "trigger"][..], &["publication"], &["subscription"]];
    for verb in ["create", "alter"] {
        if last.iter().any(|what| begins(&[&[verb], *what].concat())) {
            return Ok(Turn::Last);
        }
    }
    if last.iter().any(|what| begins(&[&["comment", "on"], *what].concat())) {
        return Ok(Turn::Last);
    }
    let rights = begins(&["grant"]) || begins(&["revoke"]);
    let elsewhere = ["database", "tablespace", "parameter", "role", "user"];
    if rights && statement.words.iter().any(|word| word == "on") {
        let odd =
            format!("it gives rights outside of the database: `{}`", step::excerpt(&statement.text, 60));
        return if on(&elsewhere) { Err(odd) } else { Ok(Turn::Later) };
    }
    if begins(&["alter"]) && statement.has("owner", "to") {
        let kind = statement.words.get(1).map(String::as_str).unwrap_or_default();
        return match kind {
            "function" | "procedure" | "aggregate" | "routine" => Ok(Turn::Routine),
            kind if elsewhere.contains(&kind) => Ok(Turn::Worker),
            _ => Ok(Turn::Later),
        };
    }
    let session = [&["set", "session", "authorization"][..], &["reset", "session", "authorization"]];
    if begins(&["alter", "default", "privileges"]) || session.iter().any(|words| begins(words)) {
        return Ok(Turn::Later);
    }
    let superuser = [
        &["create", "extension"][..],
        &["comment", "on", "extension"],
        &["create", "foreign", "data", "wrapper"],
        &["create", "server"],
        &["create", "user", "mapping"],
        &["create", "access", "method"],
    ];
    let language = begins(&["create"])
        && statement.words.iter().take(5).any(|word| word == "language")
        && !defines(statement);
    Ok(if language || superuser.iter().any(|words| begins(words)) { Turn::Superuser } else { Turn::Worker })
}

/// Whether a statement only defines something and runs nothing: one that the worker may not make (in C, of a language that is not
/// trusted, leakproof, an operator class) is made by the superuser.
///
/// A default value and a body of SQL are parsed, which runs what reads a value of a type of theirs. The worker's own error is no reason to
/// believe otherwise: what it says may be said by the dump's makers.
fn defines(statement: &Statement) -> bool {
    let runs = |word: &String| ["default", "atomic", "return"].contains(&word.as_str());
    let signs = words::of(&statement.text);
    let is_routine =
        ["function", "procedure"].iter().any(|kind| statement.words.iter().take(4).any(|word| word == kind));
    let gives_values = is_routine && (has_default(&statement.text) || signs.contains(&Word::Sign('=')));
    if statement.words.iter().any(runs) || gives_values {
        return false;
    }
    let kinds = ["function", "procedure", "cast", "operator", "type", "transform"];
    let at = if statement.begins(&["create", "or", "replace"]) { 3 } else { 1 };
    statement.begins(&["create"])
        && statement.words.get(at).is_some_and(|word| kinds.contains(&word.as_str()))
}

/// Whether arguments have default values, wherever that stands: what is quoted may say so too, and then the worker's word stays.
fn has_default(text: &str) -> bool {
    let head = text.split_once('$').map_or(text, |(head, _)| head).to_lowercase();
    head.contains('=') || head.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "default")
}

/// Applies a dump's statements.
pub struct Apply<'a, 'w, 's> {
    pub permit: &'a Permit,
    pub worker: &'a mut Session<'w>,
    pub superuser: &'a mut Session<'s>,
    /// Of the server.
    pub major: u32,
    /// Whether the dump names owners at all.
    pub names_owners: bool,
    /// Whether it holds rights at all.
    pub names_rights: bool,
    /// As whom the worker has logged in, if that is somebody else: rights for the work are given to it.
    pub login: Option<&'a str>,
    /// What comes later, by its turn.
    routines: Vec<Statement>,
    later: Vec<Statement>,
    last: Vec<Statement>,
    waiting: Vec<Statement>,
    /// What takes back the rights that the worker has in the copy alone.
    lent: Vec<Sql>,
    /// Extensions that cannot be made in a copy, and why.
    pub left_out: Vec<(String, String)>,
    /// What switches event triggers of extensions on again.
    silenced: Vec<Sql>,
}

impl<'a, 'w, 's> Apply<'a, 'w, 's> {
    /// With nothing done yet.
    pub fn new(
        permit: &'a Permit,
        worker: &'a mut Session<'w>,
        superuser: &'a mut Session<'s>,
        major: u32,
        login: Option<&'a str>,
    ) -> Self {
        let (routines, later, last, waiting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (lent, left_out, silenced) = (Vec::new(), Vec::new(), Vec::new());
        Apply {
            permit,
            worker,
            superuser,
            major,
            names_owners: false,
            names_rights: false,
            login,
            routines,
            later,
            last,
            waiting,
            lent,
            left_out,
            silenced,
        }
    }

    /// Both sessions get what a script expects.
    pub fn begin(&mut self) -> Result<(), Failure> {
        // The worker has no rights but on the copy: views, which it may be told to read, run as nobody else.
        self.worker.ask_all(&[
            ("set synchronous_commit to off".into(), &[]),
            ("set check_function_bodies to off".into(), &[]),
            ("select set_config(name, '', false) from pg_settings where name = 'restrict_nonsystem_relation_kind'".into(), &[]),
        ])?;
        self.superuser.ask_all(&[("set check_function_bodies to off".into(), &[])]).map(|_| ())
    }

    /// Does all of a script; with `only_later`, nothing now: what is to come later is kept.
    pub fn script(&mut self, input: impl BufRead, only_later: bool) -> Result<(), Failure> {
        let mut script = Script::new(input);
        let corrupt = |why: String| Failure::refused("corrupt", format!("the dump cannot be read: {why}"));
        while let Some(piece) = script.next().map_err(corrupt)? {
            match piece {
                Piece::Statement(statement) => self.statement(statement, only_later)?,
                Piece::Copy(statement) => {
                    self.flush()?;
                    let sql = self.decoded(std::slice::from_ref(&statement))?.remove(0);
                    let sql = match &script.encoding {
                        Some(name) => sql::fill("{} (encoding {})", &[sql, sql::text(name)]),
                        None => sql,
                    };
                    let mut lines = || script.data().map(|line| line.map(<[u8]>::to_vec)).map_err(corrupt);
                    if self.is_of_an_extension(&statement)? {
                        self.superuser.copy_in(self.permit, &sql, &mut lines)?;
                    } else {
                        self.worker.copy_in(self.permit, &sql, &mut lines)?;
                    }
                }
            }
        }
        self.flush()
    }

    fn statement(&mut self, statement: Statement, only_later: bool) -> Result<(), Failure> {
        let odd = |why: String| Failure::refused("corrupt", why);
        self.allow(&statement)?;
        self.names_rights |= statement.begins(&["grant"]) || statement.begins(&["revoke"]);
        self.names_owners |= statement.begins(&["alter"]) && statement.has("owner", "to");
        match turn(&statement, self.major).map_err(odd)? {
            Turn::Routine => self.routines.push(statement),
            Turn::Later => self.later.push(statement),
            Turn::Last => self.last.push(statement),
            Turn::Nobody => {}
            _ if only_later => {}
            Turn::Superuser => {
                self.flush()?;
                if statement.begins(&["create", "extension"]) {
                    self.extension(&statement)?;
                } else if !self.is_left_out(&statement) {
                    self.by_the_superuser(std::slice::from_ref(&statement))?;
                }
                self.lend(&statement)?;
            }
            Turn::Worker => {
                self.waiting.push(statement);
                if self.waiting.len() >= TOGETHER {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    /// The worker may put into a tablespace what the dump puts there. The right goes with the role.
    fn allow(&mut self, statement: &Statement) -> Result<(), Failure> {
        let Some(login) = self.login.filter(|_| statement.begins(&["set", "default_tablespace"])) else {
            return Ok(());
        };
        let name = match words::of(&statement.text).pop() {
            Some(Word::Text(text)) => text.trim_matches('"').to_owned(),
            Some(Word::Plain(name) | Word::Name(name)) => name,
            _ => String::new(),
        };
        if name.is_empty() {
            return Ok(());
        }
        let grant = sql::fill("grant create on tablespace {} to {}", &[sql::name(&name), sql::name(login)]);
        self.superuser.change(self.permit, grant)
    }

    /// Makes an extension. One that cannot be made in a copy is left out: what needs it fails, and says so.
    fn extension(&mut self, statement: &Statement) -> Result<(), Failure> {
        let Err(failure) = self.by_the_superuser(std::slice::from_ref(statement)) else {
            return self.silence();
        };
        let words = words::of(&statement.text);
        let name = words.iter().skip(2).filter_map(Word::name).find(|w| !["if", "not", "exists"].contains(w));
        let Some(name) = name.filter(|_| failure.reason == "restore-failed") else { return Err(failure) };
        let why = failure.causes.last().cloned().unwrap_or_default();
        self.left_out.push((name.to_owned(), why));
        Ok(())
    }

    /// A comment on an extension that is not there.
    fn is_left_out(&self, statement: &Statement) -> bool {
        let about = words::of(&statement.text);
        let named = about.get(3).and_then(Word::name);
        statement.begins(&["comment", "on", "extension"])
            && self.left_out.iter().any(|(name, _)| Some(name.as_str()) == named)
    }

    /// Whether a right or an owner is of something that went with an extension that is left out.
    fn went_along(&self, failure: &Failure) -> bool {
        let missing = ["(3F000)", "(42P01)", "(42883)", "(42704)"];
        !self.left_out.is_empty()
            && failure.causes.iter().any(|cause| missing.iter().any(|code| cause.ends_with(code)))
    }

    /// Switches off the event triggers that an extension has brought: they are not to judge how a copy is filled.
    fn silence(&mut self) -> Result<(), Failure> {
        let rows = self.superuser.ask(
            "select quote_ident(evtname), evtenabled::text from pg_event_trigger where evtenabled <> 'D'",
            &[],
        )?;
        let mut statements = Vec::new();
        for row in &rows {
            let (trigger, enabled): (String, String) = (get(row, 0)?, get(row, 1)?);
            statements.push(sql::fill("alter event trigger {} disable", &[sql::given(&trigger)]));
            let how = match enabled.as_str() {
                "R" => "enable replica",
                "A" => "enable always",
                _ => "enable",
            };
            self.silenced.push(sql::fill("alter event trigger {} {}", &[sql::given(&trigger), how.into()]));
        }
        if statements.is_empty() {
            return Ok(());
        }
        self.superuser.change(self.permit, sql::join(statements, ";"))
    }

    /// The worker may make foreign tables of a server that the superuser has made.
    fn lend(&mut self, statement: &Statement) -> Result<(), Failure> {
        let Some(login) = self.login.filter(|_| statement.begins(&["create", "server"])) else {
            return Ok(());
        };
        let words = words::of(&statement.text);
        let Some(server) = words.get(2).and_then(Word::name) else { return Ok(()) };
        let grant =
            sql::fill("grant usage on foreign server {} to {}", &[sql::name(server), sql::name(login)]);
        let back =
            sql::fill("revoke usage on foreign server {} from {}", &[sql::name(server), sql::name(login)]);
        self.lent.push(back);
        self.superuser.change(self.permit, grant)
    }

    /// The statements as they are sent. What is in another encoding is read by the server, all of it in one round trip.
    fn decoded(&mut self, statements: &[Statement]) -> Result<Vec<Sql>, Failure> {
        let encoded: Vec<&(Vec<u8>, String)> = statements.iter().filter_map(|s| s.encoded.as_ref()).collect();
        let values: Vec<[&dyn Value; 2]> =
            encoded.iter().map(|(bytes, name)| [bytes as &dyn Value, name]).collect();
        let questions: Vec<(Sql, &[&dyn Value])> =
            values.iter().map(|values| ("select convert_from($1, $2)".into(), &values[..])).collect();
        let answers = if questions.is_empty() { Vec::new() } else { self.superuser.ask_all(&questions)? };
        let mut answers = answers.into_iter();
        let one = |statement: &Statement| match &statement.encoded {
            None => Ok(sql::of_a_dump(statement.text.clone())),
            Some(_) => {
                let rows = answers.next().unwrap_or_default();
                let row = rows.first().ok_or_else(|| Failure::bug("no row from convert_from"))?;
                Ok(sql::of_a_dump(get(row, 0)?))
            }
        };
        statements.iter().map(one).collect()
    }

    /// Sends what the worker has to do. Where it may not, what only defines something is made by the superuser.
    fn flush(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let texts = self.decoded(&waiting)?;
        let answers = self.worker.change_each(self.permit, &texts)?;
        let mut helped = false;
        for (n, answer) in answers.into_iter().enumerate() {
            // What needs something that the superuser has made meanwhile is tried once more.
            let answer = if helped && answer.is_err() {
                self.worker.change_one(self.permit, &texts[n])
            } else {
                answer.map(|_| ())
            };
            match answer {
                Err(failure) if failure.reason == "rights" && defines(&waiting[n]) => {
                    self.superuser.change_one(self.permit, &texts[n])?;
                    helped = true;
                }
                // What came after it is undone with the whole copy.
                Err(failure) => return Err(refused(&waiting[n], failure)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn is_of_an_extension(&mut self, statement: &Statement) -> Result<bool, Failure> {
        let table =
            statement.text.get(5..).and_then(|rest| rest.split(" (").next()).unwrap_or_default().trim();
        // Each time: what the worker has run since may have put another table in its place.
        let sql = "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                   join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
                   join pg_roles o on o.oid = c.relowner and o.rolsuper where c.relkind = 'r'";
        Ok(self.superuser.texts(sql, &[])?.iter().any(|known| known == table))
    }

    /// Gives the routines their owners: from now on what runs cannot change them.
    pub fn own_routines(&mut self) -> Result<(), Failure> {
        let routines = std::mem::take(&mut self.routines);
        self.by_the_superuser(&routines)
    }

    /// Gives everything else its owner and its rights.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let (later, lent) = (std::mem::take(&mut self.later), std::mem::take(&mut self.lent));
        if !lent.is_empty() {
            self.superuser.change(self.permit, sql::join(lent, ";"))?;
        }
        self.own_routines()?;
        self.by_the_superuser(&later)?;
        if !later.iter().any(|statement| statement.has("session", "authorization")) {
            return Ok(());
        }
        self.superuser.change(self.permit, "reset session authorization")
    }

    /// Makes what is made last: event triggers after everything else, in whatever order a dump has them, for they would run at whatever comes
    /// after them.
    pub fn close(mut self) -> Result<(), Failure> {
        let begins = |statement: &Statement, words: &[&str]| {
            statement.begins(&[words, &["event", "trigger"]].concat())
        };
        let event = |statement: &Statement| {
            [&["create"][..], &["alter"], &["comment", "on"]].iter().any(|words| begins(statement, words))
        };
        let (triggers, last): (Vec<Statement>, Vec<Statement>) =
            std::mem::take(&mut self.last).into_iter().partition(event);
        self.by_the_superuser(&last)?;
        self.by_the_superuser(&triggers)?;
        if self.silenced.is_empty() {
            return Ok(());
        }
        self.superuser.change(self.permit, sql::join(self.silenced, ";"))
    }

    fn by_the_superuser(&mut self, statements: &[Statement]) -> Result<(), Failure> {
        for some in statements.chunks(TOGETHER) {
            let texts = self.decoded(some)?;
            for (statement, answer) in some.iter().zip(self.superuser.change_each(self.permit, &texts)?) {
                match answer {
                    Err(failure) if !self.went_along(&failure) => return Err(refused(statement, failure)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// What the server says of a statement; a session that broke off, or time that is over, says nothing of it.
fn refused(statement: &Statement, failure: Failure) -> Failure {
    if !["query", "rights"].contains(&failure.reason.as_str()) {
        return failure;
    }
    let refused = Failure::failed("restore-failed", "PostgreSQL refuses a statement of the dump");
    refused.cause(step::excerpt(&statement.text, 120)).cause(failure.causes.join(" "))
}
