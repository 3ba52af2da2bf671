//! What changes something in a session: each of these wants the permit, which a plan does not have.

use futures_util::future::{join, join_all, join3};
use step::{Failure, Permit};
use tokio_postgres::{Row, SimpleQueryMessage};

use super::session::{Asked, Typed, Value, flat, typed};
use super::sql::{self, Sql};
use super::{Session, broken};

impl Session<'_> {
    /// Runs statements in one go, with transactions of their own; gives the first column of all rows.
    pub fn batch(&mut self, _permit: &Permit, sql: impl Into<Sql>) -> Result<Vec<String>, Failure> {
        let sql = sql.into();
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        let answer = watch.wait(runtime, client.simple_query(sql.as_str()))?;
        let one = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(answer.iter().filter_map(one).collect())
    }

    /// Changes something; several statements are one transaction.
    pub fn change(&mut self, _permit: &Permit, sql: impl Into<Sql>) -> Result<(), Failure> {
        let sql = sql.into();
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        watch.checkpoint()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        watch.wait(runtime, client.batch_execute(sql.as_str()))
    }

    /// Changes something by exactly one statement: two in one text are refused by PostgreSQL.
    pub fn change_one(&mut self, permit: &Permit, statement: &Sql) -> Result<(), Failure> {
        self.change_each(permit, std::slice::from_ref(statement))?
            .into_iter()
            .try_for_each(|one| one.map(|_| ()))
    }

    /// Changes several things, each by itself, in one round trip; gives what became of each. They are not said: values may be secret.
    pub fn change_each(
        &mut self,
        _permit: &Permit,
        statements: &[Sql],
    ) -> Result<Vec<Result<Vec<Row>, Failure>>, Failure> {
        self.prove()?;
        let all: Vec<Typed> = statements.iter().map(|sql| (sql, Vec::new())).collect();
        self.send(&all, "", "")
    }

    /// Asks in a transaction that begins with `first` and is always rolled back; one round trip. The first error counts.
    pub fn attempt(
        &mut self,
        _permit: &Permit,
        first: &Sql,
        questions: &[Sql],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        let begin = sql::fill("begin; {}", std::slice::from_ref(first));
        watch.context.voice.detail(&flat(begin.as_str()));
        let all = async {
            let begun = client.batch_execute(begin.as_str());
            let asked = questions.iter().map(|sql| client.query_typed(sql.as_str(), &[]));
            let undone = client.batch_execute("rollback");
            Ok(join3(begun, join_all(asked), undone).await)
        };
        let (begun, asked, undone) = watch.wait(runtime, all)?;
        begun.map_err(|e| broken(&e))?;
        let answers = asked.into_iter().map(|answer| answer.map_err(|e| broken(&e))).collect();
        undone.map_err(|e| broken(&e)).and(answers)
    }

    /// Changes several things, one after the other, in one round trip. The first error counts.
    pub fn change_all(&mut self, permit: &Permit, statements: &[Sql]) -> Result<Asked, Failure> {
        statements.iter().for_each(|sql| self.tell(sql));
        self.change_each(permit, statements)?.into_iter().collect()
    }

    /// Changes something, several statements are one transaction, and asks, in one round trip.
    pub fn change_and_ask(
        &mut self,
        _permit: &Permit,
        change: &Sql,
        question: (&Sql, &[&dyn Value]),
    ) -> Result<Vec<Row>, Failure> {
        self.prove()?;
        self.tell(change);
        let (client, runtime, watch) = self.parts()?;
        let (sql, values) = (question.0.as_str(), typed(question.1));
        let both =
            async { Ok(join(client.batch_execute(change.as_str()), client.query_typed(sql, &values)).await) };
        let (changed, answer) = watch.wait(runtime, both)?;
        changed.and(answer).map_err(|e| broken(&e))
    }
}
