//! Makes a candidate's rows from the team's list. Answers that are there are never touched: only what is missing is made, and a look after it
//! proves that all items are there and no answer is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git_program::Git;
use step::{Acted, Context, Failure, Outcome, Run};

use super::candidate::Candidate;
use super::list::{Item, read};
use super::rows::{Raw, Row, Status, counted, shown};
use super::source::{Added, Source, Trouble};
use crate::bounded::small_file;
use crate::gate::{Subject, short_id};

/// Makes the rows that are missing; `commit` is what `--commit` named.
pub fn seed(run: &mut Run, file: Option<&Path>, commit: Option<&str>) -> Result<Outcome, Failure> {
    let Some(file) = named(&run.context, file)? else {
        return Ok(Outcome::skipped("nothing is made: checklist.list names no list"));
    };
    let items = items(&file)?;
    let source = Source::of(&run.context)?;
    let tag = tag(run)?;
    if run.is_planned("tag") {
        return Ok(Outcome::planned(format!(
            "would make {} for {tag}, which is not tagged yet",
            counted(items.len(), "row")
        )));
    }
    let candidate = candidate(run, &tag, commit)?;
    let before = rows(&run.context, &source, &candidate)?;
    let missing: Vec<&Item> = items.iter().filter(|item| !before.contains_key(&item.slug)).collect();
    let (made, kept) = (missing.len(), before.len());
    let new = counted(made, "row");
    let place = source.place();
    if missing.is_empty() {
        let all = items.len();
        return Ok(Outcome::unchanged(format!(
            "all {all} items of {} are in {place} already",
            candidate.tag
        )));
    }
    let Some(permit) = run.permit() else {
        return Ok(Outcome::planned(format!(
            "would make {new} for {} in {place}; {kept} are there",
            candidate.tag
        )));
    };
    let added = source.add(&run.context, &permit, &candidate, &missing)?;
    proven(&run.context, &source, &candidate, (&before, &missing), added)?;
    let summary =
        format!("made {new} for {} in {place}; {kept} were there; {}", candidate.tag, asked(&missing));
    let outcome = Outcome::changed(summary);
    Ok(outcome.output("candidate", candidate.tag).output("made", made).output("kept", kept))
}

/// What QA is asked, for the team's message: the first items, and how many more.
fn asked(items: &[&Item]) -> String {
    const NAMED: usize = 5;
    let titles = items.iter().take(NAMED).map(|item| step::excerpt(&step::plain_line(&item.title), 60));
    let more = items.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("QA answers {}{more}", titles.collect::<Vec<_>>().join(", "))
}

/// The list that was named, else that of the settings.
fn named(context: &Context, file: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    file.map_or_else(|| context.settings.optional("checklist.list"), |file| Ok(Some(file.to_owned())))
}

fn items(file: &Path) -> Result<Vec<Item>, Failure> {
    let shown = file.display();
    let unreadable = |why: String| Failure::usage("list", format!("{shown}: {why}"));
    let bytes = small_file(file).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is no text in UTF-8".into()))?;
    read(&text).map_err(unreadable)
}

/// The candidate's tag by the document, else by `--release`.
fn tag(run: &Run) -> Result<String, Failure> {
    let tag: Option<String> = run.fact("tag")?;
    let missing = || {
        let message = "which candidate? run tag-rc candidate before, or say --release 1.2.0-rc1";
        Failure::usage("no-candidate", message)
    };
    tag.or_else(|| run.context.release.as_ref().map(|version| format!("v{version}"))).ok_or_else(missing)
}

/// The tag as git has it, which the document and the command line must agree with.
fn candidate(run: &Run, tag: &str, commit: Option<&str>) -> Result<Candidate, Failure> {
    let candidate =
        Candidate::find(&run.context, tag)?.map_err(|why| Failure::refused("no-candidate", why))?;
    let fact: Option<String> = run.fact("commit")?;
    let git = Git::new(&run.context);
    for named in fact.as_deref().into_iter().chain(commit) {
        let named = Subject::named(&git, named)?;
        if named.commit != candidate.commit {
            let message =
                format!("{} is at {}, not at {}", candidate.tag, &candidate.commit[..12], named.short());
            return Err(Failure::refused("other-commit", message));
        }
    }
    Ok(candidate)
}

/// The rows that are there, by their items.
fn rows(context: &Context, source: &Source, candidate: &Candidate) -> Result<BTreeMap<String, Row>, Failure> {
    let values = source.ask(context, &candidate.tag)?.map_err(failure)?;
    let odd = |why: String| Failure::refused("checklist-unknown", format!("the list cannot be read: {why}"));
    let read = |raw: &Raw| Row::read(raw).map(|row| (row.item.clone(), row));
    let rows: BTreeMap<String, Row> = values.iter().map(read).collect::<Result<_, String>>().map_err(odd)?;
    match rows.values().find(|row| row.commit != candidate.commit || row.candidate != candidate.tag) {
        Some(row) => {
            let message = format!(
                "{} has rows about {} at {} already, and the tag is at {}: make another candidate",
                candidate.tag,
                shown(&row.candidate),
                short_id(&row.commit),
                &candidate.commit[..12]
            );
            Err(Failure::refused("other-commit", message))
        }
        None => Ok(rows),
    }
}

fn failure(trouble: Trouble) -> Failure {
    if trouble.is_passing {
        Failure::temporary("checklist-unknown", trouble.why)
    } else {
        Failure::refused("checklist-unknown", trouble.why)
    }
}

fn not_there(absent: usize) -> String {
    format!("{} {} not", counted(absent, "row"), if absent == 1 { "is" } else { "are" })
}

/// Looks again, whatever was said: all that was missing is there, and what was answered still is.
fn proven(
    context: &Context,
    source: &Source,
    candidate: &Candidate,
    (before, missing): (&BTreeMap<String, Row>, &[&Item]),
    added: Added,
) -> Result<(), Failure> {
    let unclear = match added {
        Added::Said => None,
        Added::Unclear(trouble) => Some(trouble),
        Added::Refused(trouble) => return Err(failure(trouble)),
    };
    let after = rows(context, source, candidate).map_err(|failure| failure.acted(Acted::Unknown))?;
    let is_answered = |row: &&Row| row.status != Status::Pending;
    let gone = |row: &&Row| after.get(&row.item).is_none_or(|now| now.status == Status::Pending);
    if let Some(row) = before.values().filter(is_answered).find(gone) {
        let message = format!(
            "the answer to {} is gone since this began: somebody else has changed the list",
            row.name()
        );
        return Err(Failure::failed("answer-gone", message).acted(Acted::Unknown));
    }
    let absent = missing.iter().filter(|item| !after.contains_key(&item.slug)).count();
    match (absent, unclear) {
        (0, _) => Ok(()),
        (_, Some(trouble)) => {
            let message = format!("of {} {} to be seen: run it again", candidate.tag, not_there(absent));
            Err(Failure::temporary("not-seeded", message).acted(Acted::Unknown).cause(trouble.why))
        }
        (_, None) => {
            let message =
                format!("of {} {} to be seen, although all were taken", candidate.tag, not_there(absent));
            let failure = Failure::failed("not-seeded", message).acted(Acted::Unknown);
            Err(failure.cause(source.empty(&candidate.tag)))
        }
    }
}
