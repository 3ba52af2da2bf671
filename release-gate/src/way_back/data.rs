//! What becomes of the data in a rollback. Pure.

use std::time::Duration;

use step::Failure;

use migrations::{Class, Range};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Let the migrations decide.
    Auto,
    /// Bring the data back.
    Restore,
    /// Leave the data as it is; with a reason also where the migrations speak against it.
    Keep(Option<String>),
}

/// The fact `data_plan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Restore,
    Keep,
}

impl Choice {
    /// Its word in the document.
    pub fn word(self) -> &'static str {
        match self {
            Choice::Restore => "restore",
            Choice::Keep => "keep",
        }
    }
}

/// Decides. `since` is the time since the data may be wrong, if it is known; `most` is how much may be taken out without
/// being asked for.
pub fn decide(
    wish: &Wish,
    range: &Range,
    since: Option<Duration>,
    most: Duration,
) -> Result<Choice, Failure> {
    match (wish, range.class) {
        (Wish::Restore, _) => Ok(Choice::Restore),
        (Wish::Auto | Wish::Keep(_), Class::None | Class::Expand) => Ok(Choice::Keep),
        (Wish::Keep(Some(_)), _) => Ok(Choice::Keep),
        (Wish::Keep(None), _) => Err(with_files(keep_refused(range), range)),
        (Wish::Auto, Class::Unknown) => Err(with_files(unclear(range), range)),
        (Wish::Auto, Class::Contract) => match since {
            Some(since) if since <= most => Ok(Choice::Restore),
            _ => Err(with_files(too_much(since, most), range)),
        },
    }
}

/// What helps where a commit is not in this clone.
pub const FETCH: &str = "fetch the tags";

fn keep_refused(range: &Range) -> Failure {
    let message = if range.class == Class::Contract {
        "the previous build cannot run on this data: bring the data back (--database restore), or say why it can (--database keep --although REASON)"
    } else {
        "whether the previous build can run on this data is not known: bring the data back (--database restore), or say why it can (--database keep --although REASON)"
    };
    Failure::refused("data-needed", message)
}

fn unclear(range: &Range) -> Failure {
    let why = range.problem.as_deref().unwrap_or("not every migration can be judged");
    let message = format!(
        "whether the data must go back too is not known ({why}); say --database restore, or --database keep --although REASON"
    );
    let failure = Failure::refused("data-unclear", message);
    // What only this clone does not know is fetched in a moment.
    if range.problem.as_ref().is_some_and(|problem| problem.ends_with(FETCH)) {
        failure.command(["git", "fetch", "--tags"])
    } else {
        failure
    }
}

fn too_much(since: Option<Duration>, most: Duration) -> Failure {
    let time = since.map_or_else(|| "an unknown time".to_owned(), step::human);
    let message = format!(
        "the previous build needs the data from before, and that takes out {time} of writes, more than {}: \
         fix forward, or say --database restore",
        step::human(most)
    );
    Failure::refused("loss-too-great", message)
}

fn with_files(failure: Failure, range: &Range) -> Failure {
    let lines = range.files.iter().flat_map(|f| f.why.iter().map(move |why| format!("{} {why}", f.path)));
    lines.fold(failure, Failure::cause)
}

/// One sentence about a range.
pub fn said(range: &Range) -> String {
    let files = match range.files.len() {
        0 => "no migration".to_owned(),
        1 => "1 migration".to_owned(),
        n => format!("{n} migrations"),
    };
    match range.class {
        Class::None => format!("{files} between the two builds"),
        Class::Expand if range.files.len() == 1 => {
            format!("{files} that only adds: the previous build runs on this data")
        }
        Class::Expand => format!("{files} that only add: the previous build runs on this data"),
        Class::Contract => format!("{files}, and the previous build cannot run on this data"),
        Class::Unknown => match &range.problem {
            Some(problem) => format!("the migrations are not known: {problem}"),
            None => format!("{files}, not all of which can be judged"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

    fn range(class: Class) -> Range {
        Range { class, from: None, to: None, files: Vec::new(), problem: None }
    }

    fn choice(wish: &Wish, class: Class, since: Option<Duration>) -> Result<Choice, String> {
        decide(wish, &range(class), since, DAY).map_err(|f| f.reason.clone())
    }

    #[test]
    fn the_migrations_decide_when_nobody_does() {
        let auto = |class| choice(&Wish::Auto, class, HOUR);
        assert_eq!(auto(Class::None), Ok(Choice::Keep));
        assert_eq!(auto(Class::Expand), Ok(Choice::Keep));
        assert_eq!(auto(Class::Contract), Ok(Choice::Restore));
        assert_eq!(auto(Class::Unknown), Err("data-unclear".into()));
    }

    #[test]
    fn much_is_not_taken_out_without_being_asked_for() {
        for since in [None, Some(2 * DAY)] {
            assert_eq!(choice(&Wish::Auto, Class::Contract, since), Err("loss-too-great".into()));
            assert_eq!(choice(&Wish::Restore, Class::Contract, since), Ok(Choice::Restore));
        }
    }

    #[test]
    fn an_image_alone_does_not_go_back_over_a_contract() {
        let keep = |reason: Option<&str>, class| choice(&Wish::Keep(reason.map(str::to_owned)), class, HOUR);
        assert_eq!(keep(None, Class::Expand), Ok(Choice::Keep));
        assert_eq!(keep(None, Class::Contract), Err("data-needed".into()));
        assert_eq!(keep(None, Class::Unknown), Err("data-needed".into()));
        assert_eq!(keep(Some("the column was unused"), Class::Contract), Ok(Choice::Keep));
    }
}
