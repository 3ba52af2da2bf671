//! Days as people write them. Only `YYYY-MM-DD` is right; the others are recognised so that a complaint can say so, and
//! name the right form where it is certain.

use std::ops::Range;

use jiff::civil::Date;

/// What a text that stands where a day belongs says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `2025-10-14`.
    Iso(Date),
    /// `2025-10-14T09:00:00Z`.
    Timestamp(Date),
    /// The numbers name no day of the calendar.
    Impossible,
    /// Another form; the day, if it is certain which one is meant.
    Other(Option<Date>),
}

/// The first year in which software was released.
const FIRST: i16 = 1950;

/// The months in English and Indonesian, each with the ways in which it is shortened.
const MONTHS: [&[&str]; 12] = [
    &["jan", "january", "januari"],
    &["feb", "february", "februari", "pebruari", "peb"],
    &["mar", "march", "maret", "mrt"],
    &["apr", "april"],
    &["may", "mei"],
    &["jun", "june", "juni"],
    &["jul", "july", "juli"],
    &["aug", "august", "agustus", "agu", "agt", "ags"],
    &["sep", "sept", "september"],
    &["oct", "october", "oktober", "okt"],
    &["nov", "november", "nopember", "nop"],
    &["dec", "december", "desember", "des"],
];

/// The length of three numbers with one separator that a text starts with, if one of the outer ones can be a year.
pub fn shape(text: &str) -> Option<usize> {
    let (numbers, length, separator) = numbers(text)?;
    let year = |n: &str| n.len() >= 4 && n.len() <= 5;
    let small = |n: &str| n.len() <= 2;
    let day =
        small(numbers[1]) && (year(numbers[0]) && small(numbers[2]) || small(numbers[0]) && year(numbers[2]));
    // With dots it is a version, unless the year stands last: 2025.10.14 is a calendar version.
    let dotted =
        separator != '.' || year(numbers[2]) && small(numbers[0]) && numbers[2].starts_with(['1', '2']);
    let ends = !text[length..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
    let sentence =
        text[length..].strip_prefix('.').is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    (day && dotted && (ends || sentence || time(&text[length..]).is_some())).then_some(length)
}

/// Three numbers with one separator, their length, the separator.
fn numbers(text: &str) -> Option<([&str; 3], usize, char)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let first = digits(text);
    let separator = text[first..].chars().next().filter(|c| "-/.".contains(*c))?;
    let after = first + 1;
    let second = digits(&text[after..]);
    let last = after + second + 1;
    if !text[after + second..].starts_with(separator) {
        return None;
    }
    let third = digits(&text[last..]);
    let numbers = [&text[..first], &text[after..after + second], &text[last..last + third]];
    numbers.iter().all(|n| !n.is_empty()).then_some((numbers, last + third, separator))
}

/// Where a day stands in a text, in whatever form.
pub fn find(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let edge = |at: usize| at == 0 || !bytes[at - 1].is_ascii_alphanumeric() && bytes[at - 1] != b'.';
    let mut starts = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit() && edge(*at));
    let numeric = starts.find_map(|at| {
        let length = shape(&text[at..])?;
        Some(at..at + length + time(&text[at + length..]).unwrap_or_default())
    });
    numeric.or_else(|| spelled(text))
}

/// Where a day with the month's name stands: `24 May 2026`, `July 13th, 2026`, `Oct 2025`.
fn spelled(text: &str) -> Option<Range<usize>> {
    let words = words(text);
    let month = words.iter().position(|w| month(&text[w.clone()]).is_some())?;
    let numeric = |index: usize| {
        words.get(index).filter(|w| text[(*w).clone()].starts_with(|c: char| c.is_ascii_digit()))
    };
    let before = month.checked_sub(1).and_then(numeric);
    let after = numeric(month + 1);
    let year = |w: &Range<usize>| w.len() == 4 && text[w.clone()].bytes().all(|b| b.is_ascii_digit());
    let later = after.filter(|after| !year(after)).and_then(|_| numeric(month + 2));
    let last = later.or(after)?;
    let first = before.unwrap_or(&words[month]);
    Some(first.start..last.end)
}

fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Whether it is the name of a month.
pub(crate) fn is_month(word: &str) -> bool {
    month(word).is_some()
}

fn month(word: &str) -> Option<i8> {
    let lower = word.to_ascii_lowercase();
    let index = MONTHS.iter().position(|names| names.contains(&lower.as_str()))?;
    i8::try_from(index + 1).ok()
}

/// The length of a time of day that a text starts with: `T09:00:00Z`, ` 09:00 +07:00`, ` 09:00 WIB`.
fn time(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(['T', 't', ' '])?;
    let clock = rest.bytes().take_while(|b| b.is_ascii_digit() || b":.".contains(b)).count();
    let (hour, minute) = rest[..clock].split_once(':')?;
    let two = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_digit());
    if hour.len() != 2 || !two(hour) || !two(minute) {
        return None;
    }
    let after = &rest[clock..];
    let zone = after.trim_start_matches(' ');
    let blanks = after.len() - zone.len();
    let named = ["Z", "z", "UTC", "GMT", "WIB", "WITA", "WIT"].iter().find(|name| {
        zone.strip_prefix(**name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    });
    let shifted = zone
        .strip_prefix(['+', '-'])
        .map(|rest| 1 + rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b':').count());
    let zone = named.map(|name| name.len()).or(shifted.filter(|length| (3..=6).contains(length)));
    Some(1 + clock + zone.map_or(0, |length| blanks + length))
}

/// The day in a line that says when a version was released, and nothing else: `Released 2023-06-05.`, `_Dirilis pada 5 Juni 2023_`.
pub(crate) fn released(line: &str) -> Option<Range<usize>> {
    let at = find(line)?;
    let words = words(&line[..at.start]).into_iter().map(|word| line[word].to_lowercase());
    let lead = [
        "release",
        "released",
        "date",
        "on",
        "published",
        "the",
        "of",
        "dirilis",
        "rilis",
        "tanggal",
        "pada",
        "diterbitkan",
    ];
    let others = words.into_iter().any(|word| !lead.contains(&word.as_str()));
    (!others && !line[at.end..].contains(char::is_alphanumeric)).then_some(at)
}

/// Whether it is a day of the calendar, year first, in whatever form.
pub(crate) fn is_day(text: &str) -> bool {
    text.bytes().take_while(u8::is_ascii_digit).count() == 4
        && matches!(read(text), Reading::Iso(_) | Reading::Other(Some(_)))
}

/// Understands a day.
pub fn read(text: &str) -> Reading {
    let day = shape(text).filter(|length| time(&text[*length..]) == Some(text.len() - length));
    if let Some(length) = day {
        return match read(&text[..length]) {
            Reading::Iso(date) => Reading::Timestamp(date),
            other => other,
        };
    }
    let iso = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| matches!((i, b), (4 | 7, b'-') | (0..=3 | 5..=6 | 8..=9, b'0'..=b'9')));
    let read = match numbers(text) {
        Some((numbers, length, _)) if length == text.len() => by_numbers(numbers),
        _ => by_name(text),
    };
    match read {
        // Nothing was released before there were computers: a place for a day that was never written.
        Some(Some(date)) if date.year() < FIRST => Reading::Impossible,
        Some(Some(date)) if iso => Reading::Iso(date),
        Some(Some(date)) => Reading::Other(Some(date)),
        Some(None) => Reading::Impossible,
        None => Reading::Other(None),
    }
}

/// Year, month, day: `None` when it is not certain which is which, `Some(None)` when there is no such day.
fn by_numbers(numbers: [&str; 3]) -> Option<Option<Date>> {
    let [first, second, third] = numbers;
    if first.len() == 4 {
        return Some(date(first, second, third));
    }
    if third.len() != 4 {
        return None;
    }
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    match (number(first), number(second)) {
        (a, b) if a > 12 && b > 12 => Some(None),
        (a, b) if a > 12 || a == b => Some(date(third, second, first)),
        (_, b) if b > 12 => Some(date(third, first, second)),
        _ => None,
    }
}

fn by_name(text: &str) -> Option<Option<Date>> {
    let words: Vec<&str> = words(text).into_iter().map(|w| &text[w]).collect();
    let number = |word: &str| word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).to_owned();
    let (year, month, day) = match *words.as_slice() {
        [day, name, year] if month(name).is_some() => (year, month(name)?, number(day)),
        [name, day, year] if month(name).is_some() => (year, month(name)?, number(day)),
        _ => return None,
    };
    (year.len() == 4).then(|| date(year, &month.to_string(), &day))
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_understood_in_every_usual_form() {
        let day = |text: &str| Some(text.parse().expect("a day"));
        for (text, expected) in [
            ("2025-10-14", Reading::Iso("2025-10-14".parse().expect("a day"))),
            ("2025-02-29", Reading::Impossible),
            ("2025-13-01", Reading::Impossible),
            ("2025/10/14", Reading::Other(day("2025-10-14"))),
            ("2025-1-5", Reading::Other(day("2025-01-05"))),
            ("14.10.2025", Reading::Other(day("2025-10-14"))),
            ("10/14/2025", Reading::Other(day("2025-10-14"))),
            ("05.06.2025", Reading::Other(None)),
            ("24 May 2026", Reading::Other(day("2026-05-24"))),
            ("20 Sept. 2025", Reading::Other(day("2025-09-20"))),
            ("November 17th, 2026", Reading::Other(day("2026-11-17"))),
            ("30 Feb 2026", Reading::Impossible),
            ("20226-03-26", Reading::Other(None)),
            ("soon", Reading::Other(None)),
            ("14 Oktober 2025", Reading::Other(day("2025-10-14"))),
            ("17 Agustus 2025", Reading::Other(day("2025-08-17"))),
            ("1 Mei 2025", Reading::Other(day("2025-05-01"))),
            ("31 Des 2025", Reading::Other(day("2025-12-31"))),
            ("2025-10-14T09:00:00Z", Reading::Timestamp("2025-10-14".parse().expect("a day"))),
            ("2025-10-14 09:00 WIB", Reading::Timestamp("2025-10-14".parse().expect("a day"))),
            ("2025-10-14T09:00:00.123+07:00", Reading::Timestamp("2025-10-14".parse().expect("a day"))),
            ("2025-02-30T09:00:00Z", Reading::Impossible),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_says_when_a_version_was_released_has_a_day() {
        for (line, day) in [
            ("Released 2023-06-05.", Some("2023-06-05")),
            ("*Released on June 5, 2023*", Some("June 5, 2023")),
            ("Release date: 2023-06-05", Some("2023-06-05")),
            ("_Dirilis pada 5 Juni 2023_", Some("5 Juni 2023")),
            ("2023-06-05", Some("2023-06-05")),
            ("Since 2023-06-05 the shop is closed.", None),
            ("Released 2023-06-05 with bugs.", None),
            ("Words.", None),
        ] {
            assert_eq!(released(line).map(|at| &line[at]), day, "{line}");
        }
    }

    #[test]
    fn a_day_is_found_in_a_text() {
        for (text, found) in [
            (" - 2025-10-14 [YANKED]", "2025-10-14"),
            ("(24 May 2026)", "24 May 2026"),
            (" (July 13, 2026) and", "July 13, 2026"),
            ("/ 2018-07-19", "2018-07-19"),
            ("(20226-03-26)", "20226-03-26"),
            ("14.10.2025", "14.10.2025"),
            ("(Selasa, 14 Oktober 2025)", "14 Oktober 2025"),
            (" - 2025-10-14T09:00:00Z", "2025-10-14T09:00:00Z"),
            (" - 2025-10-14 09:00 +0700 x", "2025-10-14 09:00 +0700"),
            ("Released 2023-06-05.", "2023-06-05"),
        ] {
            assert_eq!(find(text).map(|at| &text[at]), Some(found), "{text}");
        }
        for text in ["1.2.0", "2025.10.14", "rc1", "may be", "(maybe 3)"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
