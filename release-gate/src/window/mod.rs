//! Whether something may be released now, by the calendar of freezes. Each policy's entries are read in its own time zone, from the
//! system's zone database.

mod calendar;
mod entry;
#[cfg(test)]
mod tests;

use facts::{Evidence, Verdict};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use step::{Failure, Settings, excerpt, plain_line};

use crate::gate::Finding;
use crate::policy::Policy;
use calendar::{State, instant, state};
use entry::Entry;

/// The keys.
const FREEZE: &str = "window.freeze";
const ZONE: &str = "window.timezone";

/// Asks the calendar.
pub fn look(policy: &Policy, now: Timestamp) -> Result<Finding, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    for settings in policy.both() {
        for entry in of(settings)? {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    if let (true, Some(here)) = (entries.is_empty(), policy.both().next()) {
        let why = format!("the gate is on and its calendar is empty: write for example {}", entry::EXAMPLES);
        return Err(here.wrong(FREEZE, &why));
    }
    Ok(finding(&entries, now))
}

/// What one of the policies says.
fn of(settings: &Settings) -> Result<Vec<Entry>, Failure> {
    let texts: Vec<String> = settings.list(FREEZE)?;
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let name: String = settings.optional(ZONE)?.ok_or_else(|| settings.missing(ZONE))?;
    let zone = zone(jiff::tz::db(), &name).map_err(|why| settings.wrong(ZONE, &why))?;
    let read = |text: &String| Entry::read(text, &name, &zone).map_err(|why| settings.wrong(FREEZE, &why));
    texts.iter().map(read).collect()
}

/// A zone of this machine's database.
fn zone(db: &TimeZoneDatabase, name: &str) -> Result<TimeZone, String> {
    if db.is_definitively_empty() {
        return Err("this machine has no time zone database: install tzdata".to_owned());
    }
    let known = db.get(name).ok().filter(|zone| !zone.is_unknown());
    known.ok_or_else(|| {
        let name = excerpt(&plain_line(name), 60);
        format!("`{name}` is not in this machine's time zone database: write a name such as Asia/Jakarta; if it is one, install tzdata")
    })
}

fn finding(entries: &[Entry], now: Timestamp) -> Finding {
    let new =
        |verdict| Finding::new(verdict, format!("the calendar ({FREEZE})"), "that nothing is frozen now");
    let finding = match state(entries, now) {
        Err(why) => new(Verdict::Unknown(format!("the calendar cannot be reckoned: {why}"))),
        Ok(State::Open { next }) => {
            let words = next.map_or_else(
                || "warning: all freezes lie in the past, so write the next ones".to_owned(),
                |(at, entry)| {
                    format!("the next freeze begins {}: `{}`", instant(at, &entry.zone), entry.text)
                },
            );
            let first = Evidence::of(format!("nothing is frozen; {words}"));
            let read = |entry: &Entry| format!("read: `{}`, {}", entry.text, entry.name);
            let finding = new(Verdict::Yes(entries.iter().map(read).fold(first, Evidence::and)));
            next.into_iter().fold(finding, |finding, (at, _)| finding.detail("next", at.to_string()))
        }
        Ok(State::Frozen { by, until }) => {
            let names: Vec<String> = by.iter().map(|entry| format!("`{}`", entry.text)).collect();
            let (names, zone) =
                (names.join(" and "), by.first().map_or(TimeZone::UTC, |entry| entry.zone.clone()));
            let end = until.map_or_else(
                || "and it never ends: no moment is left between its entries".to_owned(),
                |at| format!("until {}", instant(at, &zone)),
            );
            let finding = new(Verdict::No(Evidence::of(format!("frozen by {names} {end}"))));
            until.into_iter().fold(finding, |finding, at| finding.detail("until", at.to_string()))
        }
    };
    finding.detail("entries", entries.len())
}
