//! How a database is given what belongs to it: the statements, and what the server makes of each.

use step::{Failure, Permit};

use super::properties::{self, GUARDED, Properties, Setting};
use crate::server::sql::{self, Sql, name};
use crate::server::{Row, Session, get};

/// What the server made of each statement.
type Answers = Vec<Result<Vec<Row>, Failure>>;

/// The statements that give a database what belongs to it, in the place of its own.
pub struct Given {
    /// What takes rights away must succeed.
    must: Vec<Sql>,
    /// A setting or a right that the server refuses (of a role that is gone, say) is told: in which words, and whether its value may be shown.
    may: Vec<(String, bool, Sql)>,
    /// What a snapshot's word is not enough for.
    by_hand: Vec<String>,
}

impl Given {
    /// The statements, each by itself.
    pub fn statements(&self) -> Vec<Sql> {
        self.must.iter().chain(self.may.iter().map(|(.., sql)| sql)).cloned().collect()
    }

    /// What was refused, one sentence each.
    pub fn refused(&self, mut answers: Answers) -> Result<Vec<String>, Failure> {
        let rest = answers.split_off(self.must.len().min(answers.len()));
        answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let refused = self.may.iter().zip(rest).filter_map(|((what, open, _), answer)| {
            let why = answer.err()?.causes.join(" ");
            // The server's words may hold the value.
            Some(if *open { format!("{what}: {why}") } else { format!("{what}: the server refuses it") })
        });
        Ok(refused.chain(self.by_hand.iter().cloned()).collect())
    }
}

/// What the copy has of its own, and what only a superuser may set: asked together.
pub fn questions(copy: &str) -> Vec<Sql> {
    vec![properties::settings(copy), GUARDED.into()]
}

/// The answers to these.
pub fn answers(rows: &[Vec<Row>]) -> Result<(Vec<Setting>, Vec<String>), Failure> {
    let [own, guarded] = rows else { return Err(Failure::bug("two answers")) };
    Ok((properties::settings_of(own)?, guarded.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?))
}

impl Properties {
    /// What gives them to a database in the place of its own settings (`own`). A snapshot's word is not enough for what only a superuser can set
    /// (`guarded`): that is given only where the live database (`before`), or the copy itself, has it too.
    pub fn given(
        &self,
        database: &str,
        before: &Properties,
        (own, guarded): &(Vec<Setting>, Vec<String>),
    ) -> Result<Given, Failure> {
        let on = || name(database);
        let mut must = vec![
            sql::fill("alter database {} owner to {}", &[on(), name(&self.owner)]),
            sql::fill("alter database {} connection limit {}", &[on(), sql::number(self.connection_limit)]),
        ];
        // All of them would take our own note along.
        must.extend(own.iter().map(|setting| setting.reset(database)));
        if self.rights.is_some() {
            must.push(sql::fill("revoke all on database {} from public, {}", &[on(), name(&self.owner)]));
        }
        let known = |s: &Setting| before.settings.contains(s) || own.contains(s);
        let (given, kept_back): (Vec<&Setting>, Vec<&Setting>) =
            self.settings.iter().partition(|setting| known(setting) || !setting.is_guarded(guarded));
        let mut may: Vec<(String, bool, Sql)> =
            given.into_iter().map(|s| (s.said(false), s.is_open(), s.sql(database))).collect();
        for right in self.rights.iter().flatten() {
            may.push((right.said(), true, right.sql("database".into(), on())?));
        }
        let by_hand = kept_back.into_iter().map(|setting| {
            format!(
                "{}: only a superuser can set it, so a snapshot's word is not enough: set it by hand",
                setting.said(true)
            )
        });
        Ok(Given { must, may, by_hand: by_hand.collect() })
    }

    /// Gives them now; what the server refuses is told, one sentence each.
    pub fn give(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        database: &str,
        before: &Properties,
    ) -> Result<Vec<String>, Failure> {
        let own = answers(&keeper.ask_these(&questions(database))?)?;
        let given = self.given(database, before, &own)?;
        let answers = keeper.change_each(permit, &given.statements())?;
        given.refused(answers)
    }
}
