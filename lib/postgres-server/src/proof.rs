//! What proves that the settings of a session are in force: asked before anything is changed, and together with the first questions. A pooler
//! in front drops the settings, and hands another session to each transaction, so that neither a lock nor a search path would hold.

use futures_util::future::{join, join_all, join4};
use step::Failure;
use tokio_postgres::{Client, Row};

use super::session::{Answers, READING, STILL, Session, Typed};
use super::sql::{self, Sql};
use super::{broken, get};

/// One transaction is one session also behind a pooler: in it names are looked up where nobody has made any.
const PATH: &str = "set local search_path to pg_catalog, pg_temp";
/// Makes a session what it was when it was opened.
const ANEW: &str = "reset session authorization; reset role; reset all";
/// No view may take a table's place between two questions, and no transaction is ended for its age: what only some versions know is set
/// where it is known. In a session that is not ours, but a pooler's, it lasts no longer than this transaction.
const QUESTION: &str = "
    select current_setting('rilis.session', true), current_setting('search_path'),
           (select count(set_config(name, case name when 'transaction_timeout' then '0' else 'view, foreign-table' end,
                                    current_setting('rilis.session', true) is distinct from {}))
            from pg_settings where name in ('transaction_timeout', 'restrict_nonsystem_relation_kind'))";

/// What a session must prove.
pub(super) struct Proof {
    /// A value that nobody else has set.
    pub mark: String,
    /// What is said when it is not there.
    pub refusal: Failure,
}

/// Whether it has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proven {
    No,
    Yes,
    /// It was used for something else, and is to be made what it was.
    Anew,
}

impl Proof {
    fn question(&self) -> Sql {
        sql::fill(QUESTION, &[sql::text(&self.mark)])
    }

    fn holds(&self, answer: Result<Vec<Row>, tokio_postgres::Error>) -> Result<(), Failure> {
        let rows = answer.map_err(|e| broken(&e))?;
        let row = rows.first().ok_or_else(|| Failure::bug("no row about the session"))?;
        let (theirs, path): (Option<String>, String) = (get(row, 0)?, get(row, 1)?);
        let ours = theirs.as_deref() == Some(self.mark.as_str());
        if ours && ["pg_catalog,pg_temp", "pg_catalog, pg_temp"].contains(&path.as_str()) {
            Ok(())
        } else {
            Err(self.refusal.clone())
        }
    }
}

impl Session<'_> {
    /// Whether it has still to prove itself.
    pub(super) fn is_unproven(&self) -> bool {
        self.proof.is_some() && self.proven != Proven::Yes
    }

    /// Another work begins in it: it becomes what it was when it was opened, and proves it, together with the next question.
    pub fn renew(&mut self) {
        self.proven = Proven::Anew;
    }

    /// Proves it now, if that is not done yet: before something is changed by it.
    pub(super) fn prove(&mut self) -> Result<(), Failure> {
        let Some(proof) = self.proof.as_ref().filter(|_| self.is_unproven()) else { return Ok(()) };
        let (client, runtime, watch) = self.parts()?;
        let question = proof.question();
        let all = async {
            let asked = client.query_typed(question.as_str(), &[]);
            Ok(join(client.batch_execute(self.first()), asked).await)
        };
        let (anew, answer) = watch.wait(runtime, all)?;
        anew.map_err(|e| broken(&e))?;
        proof.holds(answer)?;
        self.proven = Proven::Yes;
        Ok(())
    }

    fn first(&self) -> &'static str {
        if self.proven == Proven::Anew { ANEW } else { "" }
    }

    /// Proves it together with the first questions, which are a transaction of their own, up to one that begins another. Where a question
    /// fails, what was set for the session is undone with it: then it proves itself once more.
    pub(super) fn prove_and_ask(&mut self, questions: &[Typed]) -> Result<Answers, Failure> {
        let proof = self.proof.as_ref().ok_or_else(|| Failure::bug("a session without a proof"))?;
        let (client, runtime, watch) = self.parts()?;
        let still = questions.iter().position(|(sql, _)| sql.as_str() == STILL);
        let at = still.unwrap_or(questions.len());
        let own = if still == Some(0) { STILL } else { READING };
        let question = proof.question();
        let begin = format!("{}; {own}; {PATH}", self.first());
        let next = still.filter(|at| *at > 0).map_or(String::new(), |_| format!("commit; {STILL}; {PATH}"));
        // They are sent in this order, and nobody waits in between.
        let all = async {
            let first = join4(
                client.batch_execute(&begin),
                client.query_typed(question.as_str(), &[]),
                ask(client, &questions[..at]),
                client.batch_execute(&next),
            );
            let end = if still.is_some() { "" } else { "commit" };
            let rest = questions.get(at + 1..).unwrap_or_default();
            let then = join(ask(client, rest), client.batch_execute(end));
            Ok(join(first, then).await)
        };
        let ((begun, proven, mut asked, between), (rest, over)) = watch.wait(runtime, all)?;
        begun.map_err(|e| broken(&e))?;
        proof.holds(proven)?;
        asked.extend(still.map(|_| Ok(Vec::new())));
        asked.extend(rest);
        // What a question broke, its own answer says.
        if asked.iter().all(Result::is_ok) {
            between.and(over).map_err(|e| broken(&e))?;
            self.proven = Proven::Yes;
            self.still = still.is_some();
        }
        Ok(asked)
    }
}

/// All of them, sent one after the other without a wait.
async fn ask(client: &Client, questions: &[Typed<'_>]) -> Answers {
    join_all(questions.iter().map(|(sql, values)| client.query_typed(sql.as_str(), values))).await
}
