//! Where everything stands, on one screen: for each environment its lock, its hold, its runs with their last step, and the next command.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Answer, Failure, Procedure, ago, plain_line};

use crate::args::Writes;
use crate::debt;
use crate::lock;
use crate::lock::entry::{Hold, Lock};
use crate::names::{Name, Scope};
use crate::next;
use crate::record::{Record, State};
use crate::remote::Index;
use crate::runs;

/// An environment with what is known of it.
#[derive(Debug, Default)]
struct Place {
    lock: Option<Lock>,
    hold: Option<Hold>,
    /// Why the lock or the hold cannot be read.
    strange: Option<Failure>,
    runs: Vec<Record>,
}

/// What is to be shown.
pub struct Picture<'a> {
    pub index: &'a Index,
    pub runs: Vec<Record>,
    pub product: &'a str,
    /// This one alone.
    pub environment: Option<&'a str>,
    pub last: usize,
    /// Why the remote could not be asked.
    pub unseen: Option<&'a Failure>,
    /// Runs of this clone whose keeper is gone, although the lock is still theirs.
    pub dead: Vec<String>,
    /// Runs of this clone that are not on the remote, each with the hold that it wanted.
    pub owed: Vec<(String, Option<String>)>,
    /// Whether customers can write, where a page was asked.
    pub writes: Option<&'a Writes>,
    /// Fixes that all long-lived branches have, as they were last fetched, by the names of their runs.
    pub merged: Vec<String>,
    /// Runs on the remote that are not signed by anybody who may, where that is needed.
    pub refused: usize,
}

impl Picture<'_> {
    /// The whole picture as text and as a value.
    pub fn show(&self, now: Timestamp) -> Answer {
        let mut lines = Vec::new();
        if let Some(failure) = self.unseen {
            lines.push(format!(
                "the remote was not seen: {}; what follows is from this machine",
                failure.message
            ));
        }
        let places = self.places();
        let mut values = Vec::new();
        let mut shown = Vec::new();
        for (name, place) in &places {
            let (more, value) = self.place(name, place, &mut shown, now);
            lines.extend(more);
            values.push(value);
        }
        let old = self.index.tips.iter().filter(|tip| matches!(tip.name, Name::OldRun(_))).count();
        if old > 0 {
            lines.push(format!("{old} runs of an earlier version are on the remote, as they were"));
        }
        if self.refused > 0 {
            lines.push(crate::remote::unsigned(self.refused, "the remote"));
        }
        if let Some(names) = self.index.passed_over() {
            lines.push(format!("passed over on the remote, because they are not ours: {names}"));
        }
        for scope in &self.index.flooded {
            lines.extend(self.index.is_whole(scope).err().map(|failure| failure.message.clone()));
        }
        if shown.is_empty() {
            lines.push("no run yet".to_owned());
        }
        Answer::new(plain_lines(&lines), json!({ "environments": values, "runs": shown }))
    }

    /// One environment: its lock, hold and way back, and its runs.
    fn place(
        &self,
        name: &str,
        place: &Place,
        shown: &mut Vec<Value>,
        now: Timestamp,
    ) -> (Vec<String>, Value) {
        let (mut lines, mut value) = environment(name, place, now);
        let held = place.lock.as_ref().filter(|lock| lock.held).map(|lock| &lock.run);
        let is_dead = held.is_some_and(|run| self.dead.contains(run));
        lines.extend(left(name, place.lock.as_ref(), is_dead, now));
        if let Some((sentence, back)) = newest_change(place).and_then(|record| way_back(record, now)) {
            lines.push(format!("{name}: {sentence}"));
            value["way_back"] = back;
        }
        let can = self.writes.filter(|said| said.environment == name).map(|said| said.can);
        if can == Some(false) {
            lines.push(format!("{name}: customers CANNOT WRITE, by the page that says so"));
        }
        if let Some(record) = runs::paused(&place.runs) {
            lines.extend(stopped(name, record, can));
            value["maintenance"] = json!({ "run": record.run, "since": record.fact("maintenance") });
        }
        for (run, hold) in self.owed.iter().filter(|(run, _)| place.runs.iter().any(|r| r.run == *run)) {
            let not_held = if hold.is_some() { ", and NOT on hold although it should be" } else { "" };
            lines.push(format!(
                "{name}: {run} is not on the remote{not_held}: the next run there from this clone sees to it"
            ));
        }
        let (more, debts) = self.debts(name, place);
        lines.extend(more);
        if !debts.is_empty() {
            value["debts"] = debts.into();
        }
        let mut over_taken = false;
        for record in place.runs.iter().take(self.last) {
            let at_work = !is_dead && held == Some(&record.run);
            lines.extend(run(record, (at_work, over_taken), shown, now));
            over_taken |= record.changed_customers();
        }
        if place.runs.len() > self.last {
            lines.push(format!("  and {} older (--last N)", place.runs.len() - self.last));
        }
        (lines, value)
    }

    /// What runs owe that are over.
    fn debts(&self, name: &str, place: &Place) -> (Vec<String>, Vec<Value>) {
        let owes = |record: &Record| {
            let is_open = |item: &String| item != debt::MERGE || !self.merged.contains(&record.run);
            record.owes().into_iter().filter(is_open).collect::<Vec<_>>()
        };
        let all: Vec<(&Record, Vec<String>)> = place
            .runs
            .iter()
            .filter(|record| record.is_over())
            .map(|record| (record, owes(record)))
            .filter(|(_, owed)| !owed.is_empty())
            .collect();
        let line = |(record, owed): &(&Record, Vec<String>)| {
            format!("{name}: {} owes {}", record.run, owed.join(", "))
        };
        let next = all.first().map(|(record, owed)| {
            let words = ["release-run", "paid", &record.run, &owed[0], step::REASON];
            format!("  next: {}", step::shell::command(words))
        });
        let values = all.iter().map(|(record, owed)| json!({ "run": record.run, "owes": owed })).collect();
        (all.iter().map(line).chain(next).collect(), values)
    }

    fn places(&self) -> BTreeMap<String, Place> {
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        let product = crate::names::component(self.product);
        let ours = |scope: &Scope| scope.product == product;
        for tip in &self.index.tips {
            match &tip.name {
                Name::Lock(scope) if ours(scope) => {
                    let place = places.entry(scope.environment.clone()).or_default();
                    place.lock = Lock::parse(&tip.message);
                }
                Name::Hold(scope) if ours(scope) => {
                    let place = places.entry(scope.environment.clone()).or_default();
                    place.hold = Hold::parse(&tip.message);
                }
                _ => {}
            }
        }
        for record in self.runs.iter().filter(|r| r.product == self.product) {
            let environment = crate::names::component(&record.environment);
            places.entry(environment).or_default().runs.push(record.clone());
        }
        for environment in self.index.skipped.iter().filter_map(|skipped| skipped.environment(&product)) {
            places.entry(environment).or_default();
        }
        for (environment, place) in &mut places {
            let scope = Scope { product: product.clone(), environment: environment.clone() };
            place.strange = lock::place::readable(self.index, &scope, environment).err();
            place.runs.sort_by(runs::newest_first);
        }
        let wanted = self.environment.map(crate::names::component);
        places.retain(|name, _| wanted.as_ref().is_none_or(|w| w == name));
        places
    }
}

/// Lines in which nothing of others steers a terminal, or looks like a line of ours.
fn plain_lines(lines: &[String]) -> String {
    lines.iter().map(|line| plain_line(line)).collect::<Vec<_>>().join("\n")
}

fn environment(name: &str, place: &Place, now: Timestamp) -> (Vec<String>, Value) {
    let mut lines = Vec::new();
    let mut value = json!({ "environment": name });
    match place.lock.as_ref().filter(|lock| lock.held) {
        Some(lock) => {
            let job = lock.job.as_ref().map(|j| format!(" ({j})")).unwrap_or_default();
            let since = lock.since.map(|s| format!(", since {}", ago(s, now))).unwrap_or_default();
            lines.push(format!("{name}: locked by {}{job} for {}{since}", lock.who, lock.run));
            value["lock"] = json!({ "run": lock.run, "holder": lock.who.holder, "host": lock.who.host, "expires": lock.expires.to_string(), "generation": lock.generation });
        }
        None if place.strange.is_some() => lines.push(format!("{name}: who is at work is unknown")),
        None => lines.push(format!("{name}: nobody is at work")),
    }
    if let Some(strange) = &place.strange {
        lines.push(format!("{name}: {}", strange.message));
        lines.extend(strange.next.as_ref().map(|next| format!("  next: {next}")));
    }
    if let Some(hold) = place.hold.as_ref().filter(|h| h.on) {
        lines.push(format!("{name}: on hold since {} by {}: {}", hold.since, hold.who, hold.reason));
        value["hold"] =
            json!({ "since": hold.since.to_string(), "by": hold.who.holder, "reason": hold.reason });
    }
    (lines, value)
}

/// What is to be done about a lock whose holder is gone, or may be.
fn left(name: &str, lock: Option<&Lock>, is_dead: bool, now: Timestamp) -> Vec<String> {
    if is_dead {
        return vec![format!(
            "{name}: the process that had the lock is gone: the next run from this clone takes it back"
        )];
    }
    let Some(lock) = lock.filter(|lock| lock.has_run_out(now)) else { return Vec::new() };
    let late = ago(lock.expires, now);
    vec![
        format!(
            "{name}: by its holder's clock that lock ran out {late}: if its process is gone, release the lock"
        ),
        format!("  next: {}", lock::unlock(name)),
    ]
}

/// That a run has stopped what customers write; a page that says otherwise `can` be one that is kept somewhere, and is said beside it.
fn stopped(name: &str, record: &Record, can: Option<bool>) -> Vec<String> {
    let since = record.fact("maintenance").map(|at| format!(" since {at}")).unwrap_or_default();
    let run = &record.run;
    if can == Some(true) {
        return vec![format!(
            "{name}: {run} has stopped what customers write{since} and not allowed it again, and the page answers as if they could"
        )];
    }
    let mut lines = vec![format!(
        "{name}: by {run} customers cannot write{since}, and it has not allowed it again; look: maintenance --env {name}"
    )];
    if record.is_over() {
        // One that goes on allows it itself, when the right build runs.
        lines.push(format!("  next: {}", next::maintenance_off(&record.environment)));
    }
    lines
}

/// The run that has changed last what customers see.
fn newest_change(place: &Place) -> Option<&Record> {
    place.runs.iter().find(|r| r.changed_customers() && r.procedure != Procedure::Rehearsal)
}

/// What it wrote down as its way back, and how old that is; after a rollback there is none.
fn way_back(record: &Record, now: Timestamp) -> Option<(String, Value)> {
    if !record.changed_customers() || record.procedure == Procedure::Rollback {
        return None;
    }
    let of = |fact: &str, key: &str| record.facts.get(fact)?.get(key)?.as_str().map(str::to_owned);
    // A run that was done once more has found its own build running.
    if record.fact("image").is_some() && of("previous", "image").as_deref() == record.fact("image") {
        return None;
    }
    let build = of("previous", "version").or(of("previous", "image")).or(of("previous", "commit"))?;
    let data = of("snapshot", "id").map(|id| {
        let age = of("snapshot", "taken_at").and_then(|at| at.parse().ok()).map(|at| ago(at, now));
        format!("{id}{}", age.map(|age| format!(", {age}")).unwrap_or_default())
    });
    let sentence = format!(
        "the way back of its last change was {build}, {}",
        data.as_ref().map_or("without data".to_owned(), |data| format!("data {data}"))
    );
    Some((sentence, json!({ "run": record.run, "build": build, "snapshot": of("snapshot", "id") })))
}

/// One run: its name, one sentence, what to type next: nothing where a later run has changed what it saw.
fn run(
    record: &Record,
    (at_work, over_taken): (bool, bool),
    shown: &mut Vec<Value>,
    now: Timestamp,
) -> Vec<String> {
    let (state, sentence) = sentence(record, at_work, now);
    let next = if at_work || over_taken || record.is_over() { None } else { next::command(record) };
    shown.push(json!({ "run": record.run, "state": state, "sentence": sentence, "next": next }));
    let mut lines = vec![format!("  {}", record.run), format!("    {sentence}")];
    lines.extend(next.map(|next| format!("  next: {next}")));
    lines
}

fn sentence(record: &Record, at_work: bool, now: Timestamp) -> (&'static str, String) {
    let what = [Some(record.product.as_str()), record.version.as_deref()];
    let what = what.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let last = record.last.clone().unwrap_or_default();
    let age = ago(record.updated, now);
    if at_work {
        return (
            "at work",
            format!("{what}: at work, after {}", if last.step.is_empty() { "nothing" } else { &last.step }),
        );
    }
    match (record.state, &last.failed) {
        (State::Finished, _) => ("finished", format!("{what}: finished {age}; {}", last.said)),
        (State::Abandoned, _) => ("abandoned", format!("{what}: abandoned {age}; {}", last.said)),
        (_, Some(acted)) => {
            let acted = match acted.as_str() {
                "no" => "that step changed nothing",
                "yes" => "that step has changed something",
                _ => "whether that step changed something is not known",
            };
            ("failed", format!("{what}: failed at {}: {} ({acted})", last.step, last.said))
        }
        (_, None) if last.step.is_empty() => {
            ("open", format!("{what}: stopped before its first step was done ({age})"))
        }
        (_, None) => ("open", format!("{what}: stopped after {}, not finished ({age})", last.step)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Changes;
    use crate::record::Last;
    use crate::record::tests::{at, sample};

    fn stopped(procedure: &str) -> Record {
        let mut run = sample(procedure, procedure);
        run.last = Some(Last { step: "tag-rc".into(), said: "tagged".into(), ..Last::default() });
        run
    }

    #[test]
    fn a_run_says_where_it_stands_and_what_is_next() {
        let open = stopped("release");
        assert_eq!(
            sentence(&open, false, at(60)),
            ("open", "shop 1.2.0: stopped after tag-rc, not finished (1m ago)".into())
        );
        assert_eq!(sentence(&open, true, at(60)).0, "at work");
        let next = |run: &Record| next::command(run).expect("a command");
        assert_eq!(next(&open), "rilis-release 1.2.0");
        assert_eq!(next(&stopped("hotfix")), "rilis-hotfix --reason REASON 1.2.0");
        let hotfix = |reason: &str| Record { reason: Some(reason.into()), ..stopped("hotfix") };
        assert_eq!(next(&hotfix("wrong prices")), "rilis-hotfix --reason 'wrong prices' 1.2.0");
        assert_eq!(next(&hotfix("$(x)")), "rilis-hotfix --reason REASON 1.2.0");
        let mut back = stopped("rollback");
        back.of = Some("20261125T0-release".into());
        assert_eq!(next(&back), "rilis-rollback --of 20261125T0-release");
        let mut staging = stopped("rehearsal");
        staging.environment = "qa".into();
        assert_eq!(next(&staging), "rilis-rehearse --env qa");
        let mut failed = stopped("release");
        failed.last = Some(Last {
            step: "cdn-purge".into(),
            said: "old page".into(),
            failed: Some("yes".into()),
            kind: None,
        });
        let expected = "shop 1.2.0: failed at cdn-purge: old page (that step has changed something)";
        assert_eq!(sentence(&failed, false, at(1)), ("failed", expected.into()));
    }

    #[test]
    fn what_is_next_is_the_way_back_of_a_failure_that_customers_see_and_never_a_word_of_others() {
        let mut failed = stopped("release");
        failed.last = Some(Last {
            step: "deploy".into(),
            said: "HTTP 500".into(),
            failed: Some("yes".into()),
            kind: None,
        });
        assert_eq!(
            next::command(&failed).as_deref(),
            Some("rilis-release 1.2.0"),
            "nobody has seen anything of it"
        );
        failed.begin("deploy", Changes::Customers, at(1));
        assert_eq!(next::command(&failed).as_deref(), Some("rilis-rollback"));
        let mut purging = failed.clone();
        purging.begin("purge", Changes::Customers, at(2));
        assert_eq!(next::command(&purging).as_deref(), Some("rilis-release 1.2.0"), "the build runs");
        let shown = |over_taken| {
            let mut shown = Vec::new();
            run(&failed, (false, over_taken), &mut shown, at(2)).join("\n")
        };
        assert!(shown(false).contains("next: ") && !shown(true).contains("next: "));
        let mut planted = stopped("x/../evil.sh");
        assert_eq!(next::command(&planted), None);
        planted.procedure = Procedure::Release;
        planted.version = Some("--no-snapshot".into());
        assert_eq!(next::command(&planted), None);
    }

    #[test]
    fn the_way_back_of_the_last_change_is_said_with_its_age() {
        let mut run = stopped("release");
        run.facts.insert("previous".into(), json!({ "version": "1.1.4", "image": "shop:1.1.4" }));
        assert_eq!(way_back(&run, at(0)), None, "it changed nothing");
        run.begin("deploy", Changes::Customers, at(1));
        let said = |run: &Record| way_back(run, at(7200)).map(|(sentence, _)| sentence);
        assert_eq!(said(&run).as_deref(), Some("the way back of its last change was 1.1.4, without data"));
        run.facts.insert("snapshot".into(), json!({ "id": "shop-9f", "taken_at": at(0).to_string() }));
        let expected = "the way back of its last change was 1.1.4, data shop-9f, 2h ago";
        assert_eq!(said(&run).as_deref(), Some(expected));
        let back = Record { procedure: "rollback".into(), ..run.clone() };
        assert_eq!(said(&back), None);
        let place = |runs: &[&Record]| Place {
            runs: runs.iter().map(|r| (*r).clone()).collect(),
            ..Place::default()
        };
        let newest = |place: &Place| newest_change(place).map(|r| r.procedure.clone());
        assert_eq!(newest(&place(&[&back, &run])), Some(Procedure::Rollback), "it has taken the change back");
        assert_eq!(
            newest(&place(&[&stopped("release"), &run])),
            Some(Procedure::Release),
            "one that changed nothing"
        );
    }

    #[test]
    fn what_others_wrote_is_one_line_and_steers_nothing() {
        let shown = plain_lines(&["a\u{1b}[2Jb\nnext: rm".to_owned()]);
        assert_eq!(shown, "ab next: rm");
    }
}
