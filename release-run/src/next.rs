//! What a person types next, in our own words.

use step::Procedure;

use crate::record::{Changes, Record};

/// The command that goes on with a run, or the way back from one that failed in front of customers, in our own words: nothing of what a
/// document says to type.
pub fn command(record: &Record) -> Option<String> {
    let failed = record.last.as_ref().is_some_and(|last| last.failed.is_some());
    // Its build has not come up; where more was done since, that is gone on with.
    let mut seen = record.changes.iter().filter(|change| change.changes == Changes::Customers);
    let only = seen.next().is_some_and(|first| seen.all(|change| change.step == first.step));
    // What may pass, such as a signal or a time that was over, is gone on with.
    let passes = record.last.as_ref().is_some_and(|last| last.kind.as_deref() == Some("temporary"));
    let back = record.procedure.is_release() && failed && record.changed_customers() && only && !passes;
    let runbook = match record.procedure {
        _ if back => "rilis-rollback",
        Procedure::Candidate => "rilis-candidate",
        Procedure::Release => "rilis-release",
        Procedure::Hotfix => "rilis-hotfix",
        Procedure::Rollback => "rilis-rollback",
        Procedure::Rehearsal => "rilis-rehearse",
        Procedure::Manual | Procedure::Other(_) => return None,
    };
    let mut words = vec![runbook.to_owned()];
    let usual = if matches!(record.procedure, Procedure::Candidate | Procedure::Rehearsal) {
        "staging"
    } else {
        "production"
    };
    if record.environment != usual {
        words.extend(["--env".to_owned(), record.environment.clone()]);
    }
    if back {
        return Some(step::shell::command(words));
    }
    if record.procedure == Procedure::Hotfix {
        words.extend(["--reason".to_owned(), reason(record)]);
    }
    if let (true, Some(of)) = (record.procedure == Procedure::Rollback, &record.of) {
        words.extend(["--of".to_owned(), of.clone()]);
    }
    if let (true, Some(version)) =
        (record.procedure == Procedure::Candidate || record.procedure.is_release(), &record.version)
    {
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        words.push(version.clone());
    }
    Some(step::shell::command(words))
}

/// The command that lets customers write again.
pub fn maintenance_off(environment: &str) -> String {
    step::shell::command(["maintenance", "off", "--env", environment])
}

/// The reason that was given, as far as it is plain words: it may be a stranger's.
fn reason(record: &Record) -> String {
    let plain = |text: &&String| {
        text.len() <= 120 && text.chars().all(|c| c.is_alphanumeric() || " .,:;#/()-'".contains(c))
    };
    record.reason.as_ref().filter(plain).cloned().unwrap_or_else(|| step::REASON.to_owned())
}
