//! The calendar at the instants where calendars are wrong: ends of weeks and years, the leap day, and clocks that are changed.

use super::*;

fn entries(zone_name: &str, texts: &[&str]) -> Vec<Entry> {
    let zone = zone(jiff::tz::db(), zone_name).expect(zone_name);
    texts.iter().map(|text| Entry::read(text, zone_name, &zone).expect(text)).collect()
}

/// The verdict and the first thing that was seen.
fn said(entries: &[Entry], now: &str) -> String {
    let found = finding(entries, now.parse().expect(now));
    match &found.verdict {
        Verdict::Yes(seen) | Verdict::No(seen) => {
            format!("{}: {}", found.verdict.word(), seen.all().next().unwrap_or_default())
        }
        Verdict::Unknown(why) => format!("unknown: {why}"),
    }
}

const JAKARTA: &str = "Asia/Jakarta";
const BERLIN: &str = "Europe/Berlin";
const WEEKEND: &[&str] = &["Fri 16:00..Mon 08:00"];

/// Zone, entries, now, and how what is said begins and ends.
type Case = (&'static str, &'static [&'static str], &'static str, &'static str, &'static str);

fn judged(cases: &[Case]) {
    for (zone, texts, now, begin, end) in cases {
        let said = said(&entries(zone, texts), now);
        assert!(said.starts_with(begin) && said.ends_with(end), "{zone} {texts:?} at {now}: {said}");
    }
}

#[test]
fn weeks_wrap() {
    let fridays = &["fri 16:00 .. FRIDAY 8:00"];
    judged(&[
        (
            JAKARTA,
            WEEKEND,
            "2026-11-27T08:59:59Z",
            "yes: nothing is frozen; the next freeze begins Fri 2026-11-27 16:00 +07 (09:00 UTC)",
            "",
        ),
        (
            JAKARTA,
            WEEKEND,
            "2026-11-27T09:00:00Z",
            "no: frozen by `Fri 16:00..Mon 08:00` until ",
            "until Mon 2026-11-30 08:00 +07 (01:00 UTC)",
        ),
        (JAKARTA, WEEKEND, "2026-11-29T17:00:00Z", "no", "Mon 2026-11-30 08:00 +07 (01:00 UTC)"),
        (JAKARTA, WEEKEND, "2026-11-30T00:59:59Z", "no", "Mon 2026-11-30 08:00 +07 (01:00 UTC)"),
        (
            JAKARTA,
            WEEKEND,
            "2026-11-30T01:00:00Z",
            "yes: nothing is frozen; the next freeze begins Fri 2026-12-04 16:00 +07",
            "",
        ),
        (
            JAKARTA,
            &["Sat 00:00..Tue 06:00"],
            "2026-11-30T12:00:00Z",
            "no",
            "Tue 2026-12-01 06:00 +07 (Mon 2026-11-30 23:00 UTC)",
        ),
        (JAKARTA, fridays, "2026-11-27T03:00:00Z", "yes", ""),
        (JAKARTA, fridays, "2026-11-26T03:00:00Z", "no", "Fri 2026-11-27 08:00 +07 (01:00 UTC)"),
        (JAKARTA, fridays, "2026-11-27T00:59:59Z", "no", "Fri 2026-11-27 08:00 +07 (01:00 UTC)"),
        (
            JAKARTA,
            &["Fri 16:00..Fri 17:00"],
            "2026-11-27T10:00:00Z",
            "yes: nothing is frozen; the next freeze begins Fri 2026-12-04",
            "",
        ),
        (JAKARTA, fridays, "2026-11-27T09:00:00Z", "no", "Fri 2026-12-04 08:00 +07 (01:00 UTC)"),
    ]);
}

#[test]
fn days_wrap_and_zones_have_half_hours() {
    judged(&[
        (JAKARTA, &["18:00..08:00"], "2026-11-25T12:00:00Z", "no", "Thu 2026-11-26 08:00 +07 (01:00 UTC)"),
        (JAKARTA, &["18:00..08:00"], "2026-11-25T18:00:00Z", "no", "Thu 2026-11-26 08:00 +07 (01:00 UTC)"),
        (
            JAKARTA,
            &["18:00..08:00"],
            "2026-11-26T05:00:00Z",
            "yes: nothing is frozen; the next freeze begins Thu 2026-11-26 18:00 +07 (11:00 UTC)",
            "",
        ),
        (JAKARTA, &["12:00..13:00"], "2026-11-26T04:59:59Z", "yes", ""),
        (JAKARTA, &["12:00..13:00"], "2026-11-26T05:00:00Z", "no", "Thu 2026-11-26 13:00 +07 (06:00 UTC)"),
        (
            "Asia/Kolkata",
            &["10:00..11:00"],
            "2026-11-25T05:00:00Z",
            "no",
            "Wed 2026-11-25 11:00 +05:30 (05:30 UTC)",
        ),
        ("America/New_York", WEEKEND, "2026-11-29T05:00:00Z", "no", "Mon 2026-11-30 08:00 -05 (13:00 UTC)"),
    ]);
}

#[test]
fn dates_are_whole_days_over_the_end_of_a_year_and_the_leap_day() {
    let holidays = &["2026-12-24..2027-01-02"];
    let leap = &["2028-02-29..2028-02-29"];
    let feast = &["2026-12-24 18:00..2026-12-26 08:00"];
    judged(&[
        (
            JAKARTA,
            holidays,
            "2026-12-23T16:59:59Z",
            "yes: nothing is frozen; the next freeze begins Thu 2026-12-24 00:00 +07 (Wed 2026-12-23 17:00 UTC)",
            "",
        ),
        (
            JAKARTA,
            holidays,
            "2026-12-23T17:00:00Z",
            "no",
            "Sun 2027-01-03 00:00 +07 (Sat 2027-01-02 17:00 UTC)",
        ),
        (JAKARTA, holidays, "2027-01-02T16:59:59Z", "no", ""),
        (
            JAKARTA,
            holidays,
            "2027-01-02T17:00:00Z",
            "yes: nothing is frozen; warning: all freezes lie in the past",
            "",
        ),
        ("UTC", leap, "2028-02-28T23:59:59Z", "yes", ""),
        ("UTC", leap, "2028-02-29T12:00:00Z", "no", "Wed 2028-03-01 00:00 +00 (00:00 UTC)"),
        (JAKARTA, feast, "2026-12-24T10:59:59Z", "yes", ""),
        (JAKARTA, feast, "2026-12-24T11:00:00Z", "no", "Sat 2026-12-26 08:00 +07 (01:00 UTC)"),
        (
            JAKARTA,
            &["Thu 16:00..Mon 08:00"],
            "2027-01-01T00:00:00Z",
            "no",
            "Mon 2027-01-04 08:00 +07 (01:00 UTC)",
        ),
        (
            JAKARTA,
            &["22:00..06:00"],
            "2026-12-31T17:00:00Z",
            "no",
            "Fri 2027-01-01 06:00 +07 (Thu 2026-12-31 23:00 UTC)",
        ),
    ]);
}

/// Berlin's clocks go from 02:00 to 03:00 on 2027-03-28, and from 03:00 back to 02:00 on 2026-10-25; both at 01:00 UTC.
#[test]
fn a_time_that_is_not_there_or_is_there_twice_makes_the_freeze_longer() {
    let (into, out_of) = (&["Sat 20:00..Sun 02:30"], &["Sun 02:30..Sun 05:00"]);
    judged(&[
        (BERLIN, into, "2027-03-28T01:29:59Z", "no", "Sun 2027-03-28 03:30 +02 (01:30 UTC)"),
        (BERLIN, into, "2027-03-28T01:30:00Z", "yes", ""),
        (BERLIN, out_of, "2027-03-28T00:29:59Z", "yes", ""),
        (BERLIN, out_of, "2027-03-28T00:30:00Z", "no", "Sun 2027-03-28 05:00 +02 (03:00 UTC)"),
        (BERLIN, into, "2026-10-25T00:45:00Z", "no", "Sun 2026-10-25 02:30 +01 (01:30 UTC)"),
        (BERLIN, into, "2026-10-25T01:29:59Z", "no", ""),
        (BERLIN, into, "2026-10-25T01:30:00Z", "yes", ""),
        (BERLIN, out_of, "2026-10-25T00:29:59Z", "yes", ""),
        (BERLIN, out_of, "2026-10-25T00:30:00Z", "no", "Sun 2026-10-25 05:00 +01 (04:00 UTC)"),
        (BERLIN, &["02:15..02:45"], "2026-10-25T01:44:59Z", "no", "Sun 2026-10-25 02:45 +01 (01:45 UTC)"),
        // The same times of the clock before and after the change.
        (BERLIN, WEEKEND, "2026-10-23T13:59:59Z", "yes", ""),
        (BERLIN, WEEKEND, "2026-10-23T14:00:00Z", "no", "Mon 2026-10-26 08:00 +01 (07:00 UTC)"),
        (BERLIN, WEEKEND, "2027-03-29T05:59:59Z", "no", "Mon 2027-03-29 08:00 +02 (06:00 UTC)"),
        (
            BERLIN,
            &["2027-03-28..2027-03-28"],
            "2027-03-28T21:59:59Z",
            "no",
            "Mon 2027-03-29 00:00 +02 (Sun 2027-03-28 22:00 UTC)",
        ),
        // A day that was left out: Samoa had no 2011-12-30.
        ("Pacific/Apia", &["2011-12-30..2011-12-30"], "2011-12-30T09:59:59Z", "no", ""),
    ]);
}

#[test]
fn freezes_that_touch_or_overlap_are_one() {
    let touching = &["Fri 16:00..Mon 08:00", "Mon 08:00..Mon 12:00"];
    let through = &["Fri 16:00..Mon 08:00", "2026-11-28..2026-12-01"];
    judged(&[
        (
            JAKARTA,
            touching,
            "2026-11-28T00:00:00Z",
            "no: frozen by `Fri 16:00..Mon 08:00` and `Mon 08:00..Mon 12:00` until ",
            "Mon 2026-11-30 12:00 +07 (05:00 UTC)",
        ),
        (
            JAKARTA,
            through,
            "2026-11-27T10:00:00Z",
            "no",
            "Wed 2026-12-02 00:00 +07 (Tue 2026-12-01 17:00 UTC)",
        ),
        (
            JAKARTA,
            &["Mon 00:00..Sun 00:00", "Sun 00:00..Mon 00:00"],
            "2026-11-28T00:00:00Z",
            "no",
            "it never ends: no moment is left between its entries",
        ),
        (
            JAKARTA,
            &["00:00..12:00", "12:00..00:00"],
            "2026-11-28T00:00:00Z",
            "no",
            "it never ends: no moment is left between its entries",
        ),
    ]);
    let mut both = entries(JAKARTA, WEEKEND);
    both.extend(entries(BERLIN, &["Mon 00:00..Mon 09:00"]));
    // Monday in Berlin begins before Jakarta's freeze ends.
    let said = said(&both, "2026-11-28T00:00:00Z");
    assert!(said.ends_with("until Mon 2026-11-30 15:00 +07 (08:00 UTC)"), "{said}");
}

#[test]
fn a_yes_names_what_was_read() {
    let found = finding(&entries(JAKARTA, WEEKEND), "2026-11-26T00:00:00Z".parse().expect("an instant"));
    let Verdict::Yes(seen) = &found.verdict else { panic!("{found:?}") };
    assert_eq!(seen.all().nth(1), Some("read: `Fri 16:00..Mon 08:00`, Asia/Jakarta"));
    assert_eq!(found.details["next"], "2026-11-27T09:00:00Z");
    let found = finding(&entries(JAKARTA, WEEKEND), "2026-11-28T00:00:00Z".parse().expect("an instant"));
    assert_eq!(found.details["until"], "2026-11-30T01:00:00Z");
}

#[test]
fn what_is_no_entry_is_said_with_an_example() {
    let zone = zone(jiff::tz::db(), JAKARTA).expect("a zone");
    for (text, words) in [
        ("", "no `..`"),
        ("..", "a begin and an end"),
        ("weekend", "no `..`"),
        ("Fri 16:00", "no `..`"),
        ("Fri 16:00-Mon 08:00", "no `..`"),
        ("Fri..Mon", "a begin and an end"),
        ("Fri 16:00..Mon", "a begin and an end"),
        ("Fri 16:00..08:00", "written alike"),
        ("2026-12-24..2026-12-26 08:00", "written alike"),
        ("Jum 16:00..Sen 08:00", "a day is Mon"),
        ("Fr 16:00..Mo 08:00", "a day is Mon"),
        ("Fri 24:00..Mon 08:00", "from 00:00 to 23:59"),
        ("Fri 4pm..Mon 8am", "from 00:00 to 23:59"),
        ("16:0..17:00", "from 00:00 to 23:59"),
        ("+1:00..17:00", "from 00:00 to 23:59"),
        ("16:00..16:00", "ends when it begins"),
        ("Fri 16:00..Friday 16:00", "ends when it begins"),
        ("2027-01-02..2026-12-24", "ends before it begins"),
        ("2026-12-24 18:00..2026-12-24 18:00", "ends before it begins"),
        ("2027-02-29..2027-03-01", "a day that there is"),
        ("24-12-2026..26-12-2026", "a day that there is"),
        ("2026-12-24T18:00..2026-12-26T08:00", "from 00:00 to 23:59"),
        ("9999-12-31..9999-12-31", "too far away"),
    ] {
        let why = Entry::read(text, JAKARTA, &zone).expect_err(text);
        assert!(why.contains(words) && why.contains("`Fri 16:00..Mon 08:00`"), "{text}: {why}");
    }
    let why = Entry::read("\u{1b}[2J..\u{202e}x", JAKARTA, &zone).expect_err("hostile");
    assert!(!why.contains(['\u{1b}', '\u{202e}']), "{why:?}");
}

#[test]
fn a_zone_that_is_not_there_is_no_utc() {
    for name in ["Asia/Atlantis", "", "WIB", "+07:00", "../../etc/passwd", "Etc/Unknown", "\u{1b}[2J"] {
        let why = zone(jiff::tz::db(), name).expect_err(name);
        assert!(why.contains("install tzdata") && !why.contains('\u{1b}'), "{name}: {why}");
    }
    let why = zone(&TimeZoneDatabase::none(), JAKARTA).expect_err("no database");
    assert_eq!(why, "this machine has no time zone database: install tzdata");
}
