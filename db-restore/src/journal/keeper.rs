//! The session that holds the lock, and what it knows: what the databases said of themselves when it last looked. Nobody else of ours changes
//! that meanwhile; people can, and so it looks again before it writes after a long while.

use std::ops::{Deref, DerefMut};

use step::Failure;

use super::Journal;
use crate::server::{Row, Session, Sql};

/// The session in the maintenance database by which everything is done to databases as a whole.
pub struct Keeper<'a> {
    session: Session<'a>,
    live: String,
    pub journal: Journal,
}

impl<'a> Keeper<'a> {
    /// With what it has seen.
    pub fn new(session: Session<'a>, live: &str, journal: Journal) -> Self {
        Keeper { session, live: live.to_owned(), journal }
    }

    /// By a session that has not looked yet.
    pub fn looking(mut session: Session<'a>, live: &str) -> Result<Self, Failure> {
        let journal = Journal::read(&mut session, live)?;
        Ok(Self::new(session, live, journal))
    }

    /// The session alone.
    pub fn into_session(self) -> Session<'a> {
        self.session
    }

    /// Looks again, and asks more in the same round trip.
    pub fn refresh(&mut self, more: Vec<Sql>) -> Result<Vec<Vec<Row>>, Failure> {
        let mut questions = Journal::questions(&self.live);
        questions.extend(more);
        let mut answers = self.session.ask_these(&questions)?;
        let more = answers.split_off(Journal::QUESTIONS);
        self.journal = Journal::of_answers(&self.live, &answers)?;
        Ok(more)
    }
}

impl<'a> Deref for Keeper<'a> {
    type Target = Session<'a>;

    fn deref(&self) -> &Session<'a> {
        &self.session
    }
}

impl<'a> DerefMut for Keeper<'a> {
    fn deref_mut(&mut self) -> &mut Session<'a> {
        &mut self.session
    }
}
