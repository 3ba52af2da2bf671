//! Who does what of a dump: the worker, a role without rights, does all that may run what its makers wrote; the superuser what needs one and
//! runs nothing of it. Owners and rights come last: a table whose owner has given up a right is filled all the same.

use std::io::BufRead;

use step::{Failure, Permit};

use super::script::{Piece, Script, Statement};
use crate::server::sql::{self, Sql};
use crate::server::{Session, Value};

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
    if begins(&["set", "transaction_timeout"]) && major < 17 {
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
fn defines(statement: &Statement) -> bool {
    let kinds = ["function", "procedure", "cast", "operator", "type", "transform"];
    let at = if statement.begins(&["create", "or", "replace"]) { 3 } else { 1 };
    statement.begins(&["create"])
        && statement.words.get(at).is_some_and(|word| kinds.contains(&word.as_str()))
}

/// Applies a dump's statements.
pub struct Apply<'a, 's> {
    pub permit: &'a Permit,
    pub worker: &'a mut Session<'s>,
    pub superuser: &'a mut Session<'s>,
    /// Of the server.
    pub major: u32,
    /// What comes later, by its turn.
    pub routines: Vec<Sql>,
    pub later: Vec<Sql>,
    pub last: Vec<Sql>,
    waiting: Vec<Statement>,
}

impl<'a, 's> Apply<'a, 's> {
    /// With nothing done yet.
    pub fn new(
        permit: &'a Permit,
        worker: &'a mut Session<'s>,
        superuser: &'a mut Session<'s>,
        major: u32,
    ) -> Self {
        let (routines, later, last, waiting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Apply { permit, worker, superuser, major, routines, later, last, waiting }
    }

    /// Both sessions get what a script expects.
    pub fn begin(&mut self) -> Result<(), Failure> {
        self.worker.change(self.permit, "set synchronous_commit to off; set check_function_bodies to off")?;
        self.superuser.change(self.permit, "set check_function_bodies to off")
    }

    /// Whether the dump names owners at all.
    pub fn names_owners(&self) -> bool {
        let owner = |sql: &Sql| sql.as_str().starts_with("ALTER ") && sql.as_str().contains(" OWNER TO ");
        self.later.iter().chain(&self.routines).any(owner)
    }

    /// Whether it holds rights at all.
    pub fn names_rights(&self) -> bool {
        let right = |sql: &Sql| ["GRANT ", "REVOKE "].iter().any(|word| sql.as_str().starts_with(word));
        self.later.iter().any(right)
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
                    let session = if self.is_of_an_extension(&statement)? {
                        &mut *self.superuser
                    } else {
                        &mut *self.worker
                    };
                    let mut lines = || script.data().map(|line| line.map(<[u8]>::to_vec)).map_err(corrupt);
                    session.copy_in(&sql::of_a_dump(statement.text), &mut lines)?;
                }
            }
        }
        self.flush()
    }

    fn statement(&mut self, statement: Statement, only_later: bool) -> Result<(), Failure> {
        let odd = |why: String| Failure::refused("corrupt", why);
        match turn(&statement, self.major).map_err(odd)? {
            Turn::Routine => self.routines.push(sql::of_a_dump(statement.text)),
            Turn::Later => self.later.push(sql::of_a_dump(statement.text)),
            Turn::Last => self.last.push(sql::of_a_dump(statement.text)),
            Turn::Nobody => {}
            _ if only_later => {}
            Turn::Superuser => {
                self.flush()?;
                self.superuser.ask(sql::of_a_dump(statement.text), &[])?;
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

    /// Sends what the worker has to do. Where it may not, what only defines something is made by the superuser.
    fn flush(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        let texts: Vec<(Sql, &[&dyn Value])> =
            waiting.iter().map(|statement| (sql::of_a_dump(statement.text.clone()), &[][..])).collect();
        let answers = self.worker.ask_each(&texts)?;
        let mut helped = false;
        for (n, answer) in answers.into_iter().enumerate() {
            // What needs something that the superuser has made meanwhile is tried once more.
            let answer =
                if helped && answer.is_err() { self.worker.ask(texts[n].0.clone(), &[]) } else { answer };
            match answer {
                Err(failure) if failure.reason == "rights" && defines(&waiting[n]) => {
                    self.superuser.ask(texts[n].0.clone(), &[])?;
                    helped = true;
                }
                Err(failure) => {
                    // What came after it is undone with the whole copy.
                    let text = step::excerpt(&waiting[n].text, 120);
                    return Err(Failure::failed(
                        "restore-failed",
                        "PostgreSQL refuses a statement of the dump",
                    )
                    .cause(text)
                    .cause(failure.causes.join(" ")));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn is_of_an_extension(&mut self, statement: &Statement) -> Result<bool, Failure> {
        let table =
            statement.text.get(5..).and_then(|rest| rest.split(" (").next()).unwrap_or_default().trim();
        let sql = "select exists (select from pg_depend where classid = 'pg_class'::regclass and objid = to_regclass($1)::oid and deptype = 'e')";
        Ok(self.superuser.one(sql, &[&table])?.unwrap_or(false))
    }

    /// Gives the routines their owners: from now on what runs cannot change them.
    pub fn own_routines(&mut self) -> Result<(), Failure> {
        let routines = std::mem::take(&mut self.routines);
        self.by_the_superuser(&routines)
    }

    /// Gives everything else its owner and its rights. What is left is made last: from then on a statement may run what the dump's makers wrote.
    pub fn finish(&mut self) -> Result<Vec<Sql>, Failure> {
        let later = std::mem::take(&mut self.later);
        self.own_routines()?;
        self.by_the_superuser(&later)?;
        self.superuser.change(self.permit, "reset session authorization")?;
        Ok(std::mem::take(&mut self.last))
    }

    fn by_the_superuser(&mut self, statements: &[Sql]) -> Result<(), Failure> {
        all(self.superuser, statements)
    }
}

/// Sends statements one after the other, many in a message.
pub fn all(session: &mut Session, statements: &[Sql]) -> Result<(), Failure> {
    for some in statements.chunks(TOGETHER) {
        let questions: Vec<(Sql, &[&dyn Value])> = some.iter().map(|sql| (sql.clone(), &[][..])).collect();
        session.ask_all(&questions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(text: &str) -> Result<Turn, String> {
        let mut script = Script::new(text.as_bytes());
        match script.next()? {
            Some(Piece::Statement(statement)) => turn(&statement, 15),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_may_run_code_is_the_workers() {
        for text in [
            "CREATE TABLE t (a int CHECK (f(a)));",
            "CREATE INDEX i ON t (f(a));",
            "REFRESH MATERIALIZED VIEW m;",
            "SELECT f();",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ select 1 $$;",
            "DO LANGUAGE plpgsql $$ begin end $$;",
            "GRANT boss TO eve;",
            "ALTER ROLE eve SUPERUSER;",
            "ALTER DATABASE x OWNER TO eve;",
            "ALTER TABLE t ADD CONSTRAINT c CHECK (f(a));",
            "COMMENT ON TABLE t IS 'owner to';",
        ] {
            assert_eq!(turned(text), Ok(Turn::Worker), "{text}");
        }
    }

    #[test]
    fn the_superuser_does_what_runs_nothing() {
        let cases = [
            ("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;", Turn::Superuser),
            ("CREATE OR REPLACE PROCEDURAL LANGUAGE plperl;", Turn::Superuser),
            ("ALTER TABLE public.t OWNER TO eve;", Turn::Later),
            ("ALTER FUNCTION public.f(int) OWNER TO eve;", Turn::Routine),
            ("GRANT ALL ON TABLE t TO eve;", Turn::Later),
            ("ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES TO b;", Turn::Later),
            ("SET SESSION AUTHORIZATION a;", Turn::Later),
            ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();", Turn::Last),
            ("ALTER PUBLICATION p OWNER TO a;", Turn::Last),
            ("SET transaction_timeout = 0;", Turn::Nobody),
        ];
        for (text, turn) in cases {
            assert_eq!(turned(text), Ok(turn), "{text}");
        }
        assert!(turned("GRANT CONNECT ON DATABASE shop TO eve;").is_err());
        assert!(turned("GRANT SET ON PARAMETER x TO eve;").is_err());
    }
}
