//! What a run owes when it is over: what a fix has skipped, and the gates that were waived.

use facts::{GATES, Gate};
use git_program::Git;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use step::{Answer, Context, Failure, Outcome, Run};

use crate::abandon::{Known, write as store};
use crate::args::Settings;
use crate::hand::said;
use crate::keeper::folder::Places;
use crate::record::{Paid, Record};
use crate::remote::Remote;

/// What a fix owes until all branches have it.
pub const MERGE: &str = "merge";
/// Branches that live on.
const BRANCHES: [&str; 3] = ["main", "staging", "develop"];

/// The runs whose fix all long-lived branches have, as they were last fetched.
pub fn merged(context: &Context, settings: &Settings, runs: &[Record]) -> Result<Vec<String>, Failure> {
    let git = Git::new(context);
    let below = format!("refs/remotes/{}/", settings.remote);
    let (mut all, mut tips): (Vec<String>, Option<Vec<String>>) = (Vec::new(), None);
    for record in runs.iter().filter(|record| record.owes().iter().any(|item| item == MERGE)) {
        // Somebody may have written a word for git into it.
        let is_id = |commit: &&str| commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        let Some(commit) = record.fact("commit").filter(is_id) else { continue };
        let tips = match &tips {
            Some(tips) => tips,
            None => tips.insert(
                BRANCHES
                    .iter()
                    .map(|name| format!("{below}{name}"))
                    .filter(|name| is_there(&git, name))
                    .collect(),
            ),
        };
        let has = |tip: &String| {
            git.run(&["merge-base", "--is-ancestor", commit, tip], b"")
                .is_ok_and(|said| said.status.success())
        };
        if !tips.is_empty() && tips.iter().all(has) {
            all.push(record.run.clone());
        }
    }
    Ok(all)
}

fn is_there(git: &Git, name: &str) -> bool {
    git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", name], b"")
        .is_ok_and(|said| said.status.success())
}

/// Writes the fact `debt`, if anything is owed.
pub fn write(run: &mut Run, reason: Option<&str>, skipped: &[String]) -> Result<Outcome, Failure> {
    let waived = waived(run)?;
    if waived.is_empty() && skipped.is_empty() {
        return Ok(Outcome::unchanged("nothing is owed"));
    }
    let mut fact = Map::new();
    if let Some(reason) = reason {
        fact.insert("reason".to_owned(), json!(reason));
        fact.insert("skipped".to_owned(), json!(skipped));
    }
    let names: Vec<&str> = waived.iter().map(|(name, _)| *name).collect();
    let all = skipped.iter().map(String::as_str).chain(names.iter().copied()).collect::<Vec<_>>().join(", ");
    if !waived.is_empty() {
        fact.insert("waived".to_owned(), waived.iter().map(|(_, value)| value.clone()).collect());
    }
    run.set("debt", Value::Object(fact))?;
    let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    Ok(Outcome::unchanged(format!("owed after this: {all}{why}")))
}

/// The gates that did not say yes, and who went on all the same.
fn waived(run: &Run) -> Result<Vec<(&'static str, Value)>, Failure> {
    let mut all = Vec::new();
    for name in GATES {
        let Some(Gate { verdict, waived: Some(waiver), .. }) = run.fact::<Gate>(name)? else { continue };
        all.push((
            name,
            json!({ "gate": name, "verdict": verdict, "by": waiver.by, "reason": waiver.reason }),
        ));
    }
    Ok(all)
}

/// Somebody has done what a run owed; who and how is kept in its record.
pub fn paid(
    context: &Context,
    settings: &Settings,
    (run, item, reason): (&str, &str, &str),
) -> Result<Answer, Failure> {
    let remote = Remote::open(context, settings)?;
    let places = Places::open(&remote.own)?;
    let Known { name, mut record, theirs } = Known::find(&places, &remote.look()?, run)?;
    if !record.is_over() {
        return Err(Failure::refused(
            "at-work",
            format!("{name} is not over: what it owes is known at its end"),
        ));
    }
    let owed = record.owes();
    if !owed.iter().any(|owed| owed == item) {
        let others = if owed.is_empty() { "nothing".to_owned() } else { owed.join(", ") };
        return Err(Failure::usage("item", format!("{name} does not owe {item}; it owes {others}")));
    }
    let _hand = places
        .hand(&name)?
        .ok_or_else(|| Failure::temporary("at-work", format!("somebody is at work in {name}")))?;
    let Some(permit) = context.permit() else {
        return Ok(said(format!("would note that {item} of {name} is paid")));
    };
    let by = remote.who.holder.clone();
    record.pay(Paid { item: item.to_owned(), by, reason: reason.to_owned(), at: Timestamp::now() });
    store(&remote, &places, &permit, (&record, theirs), None, "paid")?;
    let left = record.owes();
    let left = if left.is_empty() {
        "nothing is owed any more".to_owned()
    } else {
        format!("still owed: {}", left.join(", "))
    };
    Ok(said(format!("{item} of {name} is paid: {reason}; {left}")))
}
