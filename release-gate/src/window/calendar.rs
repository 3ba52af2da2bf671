//! What a calendar says of an instant: open, or frozen and until when. Freezes that touch or overlap are one.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::entry::Entry;

/// Freezes that follow each other without a gap are followed so far: more of them never end.
const MOST: usize = 1000;

/// What holds at an instant.
#[derive(Clone, Debug, PartialEq)]
pub enum State<'a> {
    /// Nothing is frozen; the freeze that begins next, if one is in the calendar.
    Open { next: Option<(Timestamp, &'a Entry)> },
    /// By these, until it is really open; `None` is never.
    Frozen { by: Vec<&'a Entry>, until: Option<Timestamp> },
}

/// What a calendar says of an instant.
pub fn state(entries: &[Entry], now: Timestamp) -> Result<State<'_>, jiff::Error> {
    let (mut by, mut at): (Vec<&Entry>, _) = (Vec::new(), now);
    for _ in 0..MOST {
        let Some(end) = frozen_until(entries, at, &mut by)? else {
            return if by.is_empty() {
                next(entries, now)
            } else {
                Ok(State::Frozen { by, until: Some(at) })
            };
        };
        at = end;
    }
    Ok(State::Frozen { by, until: None })
}

/// When the last of those ends that hold at an instant; `by` gets them.
fn frozen_until<'a>(
    entries: &'a [Entry],
    at: Timestamp,
    by: &mut Vec<&'a Entry>,
) -> Result<Option<Timestamp>, jiff::Error> {
    let mut last = None;
    for entry in entries {
        let around = entry.around(at)?;
        let end = around
            .iter()
            .filter(|freeze| freeze.begin <= at && at < freeze.end)
            .map(|freeze| freeze.end)
            .max();
        if end.is_some() && !by.contains(&entry) {
            by.push(entry);
        }
        last = last.max(end);
    }
    Ok(last)
}

fn next(entries: &[Entry], now: Timestamp) -> Result<State<'_>, jiff::Error> {
    let mut next: Option<(Timestamp, &Entry)> = None;
    for entry in entries {
        let begins =
            entry.around(now)?.into_iter().map(|freeze| freeze.begin).filter(|begin| *begin > now).min();
        if let Some(begin) = begins.filter(|begin| next.is_none_or(|(known, _)| *begin < known)) {
            next = Some((begin, entry));
        }
    }
    Ok(State::Open { next })
}

/// An instant for people, in a zone and in UTC: `Mon 2026-11-30 08:00 +07 (01:00 UTC)`.
pub fn instant(at: Timestamp, zone: &TimeZone) -> String {
    let (local, utc) = (zone.to_datetime(at), TimeZone::UTC.to_datetime(at));
    let form = if local.date() == utc.date() { "%H:%M" } else { "%a %Y-%m-%d %H:%M" };
    let seconds = zone.to_offset(at).seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    let rest = if minutes % 60 == 0 { String::new() } else { format!(":{:02}", minutes % 60) };
    let offset = format!("{sign}{:02}{rest}", minutes / 60);
    format!("{} {offset} ({} UTC)", local.strftime("%a %Y-%m-%d %H:%M"), utc.strftime(form))
}
