//! Which run a command is about: one to go on with, a new one, or none because it is done. Pure.

use step::Procedure;

use crate::record::{Record, State};

/// What a command wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub product: String,
    pub environment: String,
    pub procedure: Procedure,
    pub version: Option<String>,
    pub commit: Option<String>,
    /// The run that a rollback was told to go back from.
    pub of: Option<String>,
    pub again: bool,
}

impl Wanted {
    /// What makes two commands the same one.
    pub fn key(&self) -> String {
        let commit = self.commit.as_deref().map(|c| c.chars().take(12).collect::<String>());
        let environment = crate::names::component(&self.environment);
        let parts = match self.procedure {
            Procedure::Rollback => vec![Some(environment), self.of.as_ref().map(|of| format!("of-{of}"))],
            Procedure::Rehearsal => vec![Some(environment), commit],
            _ => vec![Some(environment), self.version.clone(), commit],
        };
        let parts = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
        crate::names::component(&format!("{}-{parts}", self.procedure))
    }

    fn is_mine(&self, run: &Record) -> bool {
        run.product == self.product && run.environment == self.environment && run.procedure == self.procedure
    }
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<'a> {
    New,
    /// A new one; this one is left behind.
    Instead(&'a Record),
    Resume(&'a Record),
    /// It is done, and nothing has happened since.
    EndedBefore(&'a Record),
    /// It was done, and what it did was taken back since.
    RolledBackSince {
        done: &'a Record,
        by: &'a Record,
    },
    /// Another rollback has changed something and is not at its end.
    Unfinished(&'a Record),
}

/// Decides. `runs` are all that are known, in any order.
pub fn turn<'a>(wanted: &Wanted, runs: &'a [Record]) -> Turn<'a> {
    let mut all: Vec<&Record> = runs
        .iter()
        .filter(|r| {
            r.product == wanted.product && r.environment == wanted.environment && r.state != State::Abandoned
        })
        .collect();
    all.sort_by(|a, b| (a.opened, &a.run).cmp(&(b.opened, &b.run)));
    match wanted.procedure {
        Procedure::Rollback => rollback(wanted, &all),
        Procedure::Rehearsal => match newest(wanted, &all) {
            Some(run) if run.state != State::Finished => resume(wanted, run),
            // One that is finished is no reason against another.
            _ => Turn::New,
        },
        _ => match newest(wanted, &all) {
            None => Turn::New,
            Some(run) if run.state != State::Finished => resume(wanted, run),
            Some(_) if wanted.again => Turn::New,
            Some(done) => match taken_back(done, &all) {
                Some(by) => Turn::RolledBackSince { done, by },
                None => Turn::EndedBefore(done),
            },
        },
    }
}

/// The newest run of the same command.
fn newest<'a>(wanted: &Wanted, all: &[&'a Record]) -> Option<&'a Record> {
    let key = wanted.key();
    all.iter().copied().rfind(|run| wanted.is_mine(run) && run.key == key)
}

fn resume<'a>(wanted: &Wanted, run: &'a Record) -> Turn<'a> {
    // What customers see may have been changed by it already: then it is gone on with.
    if wanted.again && !run.must_go_on() { Turn::Instead(run) } else { Turn::Resume(run) }
}

/// The rollback that has taken back what a run brought.
fn taken_back<'a>(done: &Record, all: &[&'a Record]) -> Option<&'a Record> {
    let left = |run: &Record| {
        let replaces = run.facts.get("replaces");
        let of = |key: &str| replaces.and_then(|r| r.get(key)).and_then(|v| v.as_str());
        run.of.as_deref() == Some(done.run.as_str())
            || of("run").is_some_and(|id| done.document.as_deref() == Some(id) || id == done.run)
            || (of("image").is_some() && of("image") == done.fact("image"))
    };
    all.iter().copied().rfind(|run| {
        run.procedure == Procedure::Rollback
            && run.state == State::Finished
            && run.opened >= done.opened
            && left(run)
    })
}

/// A rollback goes on until something else has changed what customers see: then it was about a world that is gone.
fn rollback<'a>(wanted: &Wanted, all: &[&'a Record]) -> Turn<'a> {
    let Some(last) = all.iter().copied().rfind(|run| wanted.is_mine(run)) else { return Turn::New };
    let since = |run: &&&Record| {
        run.run != last.run
            && run.procedure != Procedure::Rehearsal
            && run.changed_at().is_some_and(|at| at > last.opened)
    };
    if all.iter().any(|run| since(&run)) {
        return if last.is_over() { Turn::New } else { Turn::Instead(last) };
    }
    let same = wanted.of.is_none() || wanted.of == last.of;
    match (last.state == State::Finished, same) {
        (true, true) if !wanted.again => Turn::EndedBefore(last),
        (true, _) => Turn::New,
        (false, true) => resume(wanted, last),
        (false, false) if last.must_go_on() => Turn::Unfinished(last),
        (false, false) => Turn::Instead(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Changes;
    use crate::record::tests::{at, sample};

    fn wanted(procedure: &str) -> Wanted {
        Wanted {
            product: "shop".into(),
            environment: "production".into(),
            procedure: procedure.into(),
            version: Some("1.2.0".into()),
            commit: Some("aa7d85cd4cc4aa".into()),
            ..Wanted::default()
        }
    }

    fn run(procedure: &str, number: i64, state: State, changed: bool) -> Record {
        let mut run = sample(procedure, &wanted(procedure).key());
        run.run = format!("{}-{number}", run.run);
        run.opened = at(number * 100);
        run.updated = at(number * 100);
        if changed {
            run.begin("deploy", Changes::Customers, at(number * 100 + 1));
            run.end("deploy", "yes", at(number * 100 + 2));
        }
        run.state = state;
        run
    }

    fn word(turn: &Turn) -> &'static str {
        match turn {
            Turn::New => "new",
            Turn::Instead(_) => "instead",
            Turn::Resume(_) => "resume",
            Turn::EndedBefore(_) => "ended",
            Turn::RolledBackSince { .. } => "rolled back",
            Turn::Unfinished(_) => "unfinished",
        }
    }

    #[test]
    fn what_stopped_goes_on_and_what_is_done_is_done() {
        for (state, changed, again, expected) in [
            (State::Open, false, false, "resume"),
            (State::Failed, false, false, "resume"),
            (State::Failed, false, true, "instead"),
            (State::Failed, true, true, "resume"),
            (State::Changing, true, true, "resume"),
            (State::Finished, true, false, "ended"),
            (State::Finished, true, true, "new"),
            (State::Abandoned, true, false, "new"),
        ] {
            let runs = [run("release", 1, state, changed)];
            let turn = turn(&Wanted { again, ..wanted("release") }, &runs);
            assert_eq!(word(&turn), expected, "{state:?} {changed} {again}");
        }
        assert_eq!(turn(&wanted("release"), &[]), Turn::New);
    }

    #[test]
    fn another_product_environment_version_or_procedure_is_another_run() {
        let other = |change: fn(&mut Record)| {
            let mut other = run("release", 1, State::Failed, true);
            change(&mut other);
            [other]
        };
        for runs in [
            other(|r| r.product = "blog".into()),
            other(|r| r.environment = "production-eu".into()),
            other(|r| r.key = "release-production-1.2.0-bbbbbbbbbbbb".into()),
            other(|r| r.procedure = "hotfix".into()),
        ] {
            assert_eq!(turn(&wanted("release"), &runs), Turn::New, "{runs:?}");
        }
    }

    #[test]
    fn the_newest_one_counts() {
        let runs = [run("release", 2, State::Finished, true), run("release", 1, State::Failed, true)];
        assert_eq!(word(&turn(&wanted("release"), &runs)), "ended");
        let runs = [run("release", 1, State::Finished, true), run("release", 2, State::Failed, true)];
        assert_eq!(word(&turn(&wanted("release"), &runs)), "resume");
    }

    #[test]
    fn what_was_rolled_back_is_not_just_done() {
        let done = run("release", 1, State::Finished, true);
        let mut back = run("rollback", 2, State::Finished, true);
        back.of = Some(done.run.clone());
        let runs = [done, back];
        assert_eq!(word(&turn(&wanted("release"), &runs)), "rolled back");
        assert_eq!(word(&turn(&Wanted { again: true, ..wanted("release") }, &runs)), "new");
    }

    #[test]
    fn a_rollback_is_about_what_was_there() {
        let back = |state, changed| run("rollback", 2, state, changed);
        let release = |number| run("release", number, State::Finished, true);
        let word_of = |again: bool, of: Option<&str>, runs: &[Record]| {
            let wanted = Wanted { again, of: of.map(str::to_owned), ..wanted("rollback") };
            word(&turn(&wanted, runs))
        };
        assert_eq!(word_of(false, None, &[release(1)]), "new");
        assert_eq!(word_of(false, None, &[release(1), back(State::Finished, true)]), "ended");
        assert_eq!(word_of(true, None, &[release(1), back(State::Finished, true)]), "new");
        assert_eq!(word_of(false, None, &[release(1), back(State::Failed, false)]), "resume");
        assert_eq!(word_of(true, None, &[release(1), back(State::Failed, false)]), "instead");
        assert_eq!(word_of(true, None, &[release(1), back(State::Changing, true)]), "resume");
        // Something was released since: it was about a world that is gone.
        assert_eq!(word_of(false, None, &[release(1), back(State::Finished, true), release(3)]), "new");
        assert_eq!(word_of(false, None, &[release(1), back(State::Failed, true), release(3)]), "instead");
        // Another run is named.
        assert_eq!(word_of(false, Some("x"), &[release(1), back(State::Finished, true)]), "new");
        assert_eq!(word_of(false, Some("x"), &[release(1), back(State::Failed, true)]), "unfinished");
        assert_eq!(word_of(false, Some("x"), &[release(1), back(State::Failed, false)]), "instead");
        // An attempt that changed nothing is nothing.
        assert_eq!(
            word_of(false, None, &[back(State::Finished, true), run("release", 3, State::Failed, false)]),
            "ended"
        );
    }
}
