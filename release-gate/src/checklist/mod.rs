//! QA's list for a candidate: whether each item that is required was passed on exactly what is released. The list is a table in which people
//! answer; it is asked for through Supabase's API, or in PostgreSQL itself.

mod answer;
mod candidate;
mod database;
mod judge;
mod list;
mod rows;
mod seed;
mod source;
mod supabase;
mod tls;

use facts::{Evidence, Verdict};
use step::{Context, Failure};

use crate::gate::{Finding, Subject};
use crate::policy::Policy;
use candidate::Candidate;
use judge::{Judged, Terms, judge};
use rows::counted;
use source::Source;

pub use seed::seed;

/// The tables, as SQL.
pub const TABLES: &str = include_str!("tables.sql");

/// So many open items stand in the verdict's sentence; of more there is a line each.
const NAMED: usize = 3;

/// Asks where the list is; `candidate` is its tag.
pub fn look(
    context: &Context,
    policy: &Policy,
    subject: &Subject,
    candidate: &str,
) -> Result<Finding, Failure> {
    let source = Source::of(context)?;
    let least = policy.least::<usize>("checklist.min_items")?.unwrap_or(1);
    let asked = format!(
        "at least {}, and each that is required passed, or waived with a note",
        counted(least, "item")
    );
    let found = |verdict| Finding::new(verdict, source.place(), &asked);
    let candidate = match Candidate::find(context, candidate)? {
        Ok(candidate) => candidate,
        Err(why) => return Ok(found(Verdict::Unknown(why))),
    };
    if let Some(other) = candidate.differs_from(subject) {
        return Ok(found(Verdict::No(Evidence::of(other))).detail("candidate", candidate.tag));
    }
    let rows = match source.ask(context, &candidate.tag)? {
        Ok(rows) => rows,
        Err(trouble) => {
            let finding = found(Verdict::Unknown(trouble.why)).detail("candidate", candidate.tag);
            return Ok(if trouble.is_passing { finding.passing() } else { finding });
        }
    };
    let empty = source.empty(&candidate.tag);
    let terms = Terms { tag: &candidate.tag, commit: &candidate.commit, least, empty: &empty };
    let Judged { verdict, is_passing, details, open } = judge(&rows, &terms);
    if open.len() > NAMED {
        open.iter().for_each(|line| context.voice.say(line));
    }
    let mut finding = found(verdict).detail("candidate", candidate.tag);
    finding.details.extend(details);
    Ok(if is_passing { finding.passing() } else { finding })
}

/// Whether the table can be read; for `--check`. No candidate has this name, so what comes is an empty list.
pub fn check(context: &Context) -> Result<Result<String, (String, bool)>, Failure> {
    let source = Source::of(context)?;
    Ok(match source.ask(context, "v0.0.0-rc0")? {
        Ok(_) => {
            Ok(format!("{} can be asked; that it shows rows is proven by a candidate's", source.place()))
        }
        Err(trouble) => Err((trouble.why, trouble.is_passing)),
    })
}
