//! One entry of the calendar, as people write it.

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use step::{excerpt, plain_line};

/// One of each form.
pub const EXAMPLES: &str = "`Fri 16:00..Mon 08:00`, `18:00..08:00`, `2026-12-24..2027-01-02` or `2026-12-24 18:00..2026-12-26 08:00`";
/// What recurs is looked at for so many days before and after: more than a week, and whatever clocks are changed by.
const DAYS: i64 = 9;

/// An entry, and in whose time it is meant.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As it is written, on one line.
    pub text: String,
    /// The zone's name.
    pub name: String,
    pub zone: TimeZone,
    span: Span,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.span, &self.name) == (other.span, &other.name)
    }
}

/// When: the end belongs to it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Daily(Time, Time),
    Weekly((Weekday, Time), (Weekday, Time)),
    Once(DateTime, DateTime),
}

/// From when until when something is frozen; the end belongs to it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub begin: Timestamp,
    pub end: Timestamp,
}

impl Entry {
    /// Reads one, or says what is wrong with it.
    pub fn read(text: &str, name: &str, zone: &TimeZone) -> Result<Self, String> {
        let shown = excerpt(&plain_line(text), 80);
        let wrong = |why: &str| format!("`{shown}` is no freeze: {why}; write for example {EXAMPLES}");
        let span = span(text).map_err(wrong)?;
        let entry = Entry { text: shown.clone(), name: name.to_owned(), zone: zone.clone(), span };
        // What cannot be reckoned would be no freeze in silence.
        let reckoned = entry.around(Timestamp::UNIX_EPOCH);
        reckoned.map_err(|_| wrong("that is too far away"))?;
        Ok(entry)
    }

    /// Every freeze of this entry that may hold at an instant, and the next one of those that recur.
    pub fn around(&self, at: Timestamp) -> Result<Vec<Freeze>, jiff::Error> {
        if let Span::Once(from, to) = self.span {
            return Ok(vec![self.freeze(from, to)?]);
        }
        let today = self.zone.to_datetime(at).date();
        let mut all = Vec::new();
        for day in -DAYS..=DAYS {
            let day = today.checked_add(day.days())?;
            if let Some((from, to)) = self.on(day)? {
                all.push(self.freeze(from, to)?);
            }
        }
        Ok(all)
    }

    /// What recurs and begins on a day.
    fn on(&self, day: Date) -> Result<Option<(DateTime, DateTime)>, jiff::Error> {
        match self.span {
            Span::Daily(from, to) => {
                let last = if to > from { day } else { day.tomorrow()? };
                Ok(Some((day.to_datetime(from), last.to_datetime(to))))
            }
            Span::Weekly((first, from), (last, to)) if day.weekday() == first => {
                let days = match i64::from(first.until(last)) {
                    0 if to <= from => 7,
                    days => days,
                };
                Ok(Some((day.to_datetime(from), day.checked_add(days.days())?.to_datetime(to))))
            }
            Span::Weekly(..) | Span::Once(..) => Ok(None),
        }
    }

    /// A time that the clock shows twice, or never, is taken so that the freeze is longer.
    fn freeze(&self, from: DateTime, to: DateTime) -> Result<Freeze, jiff::Error> {
        let begin = self.zone.to_ambiguous_timestamp(from).earlier()?;
        let end = self.zone.to_ambiguous_timestamp(to).later()?;
        Ok(Freeze { begin, end })
    }
}

/// One end of an entry.
enum Moment {
    Time(Time),
    Weekly(Weekday, Time),
    Date(Date),
    Once(DateTime),
}

fn span(text: &str) -> Result<Span, &'static str> {
    let (from, to) = text.split_once("..").ok_or("there is no `..` between its begin and its end")?;
    match (moment(from)?, moment(to)?) {
        (Moment::Time(from), Moment::Time(to)) if from != to => Ok(Span::Daily(from, to)),
        (Moment::Weekly(first, from), Moment::Weekly(last, to)) if (first, from) != (last, to) => {
            Ok(Span::Weekly((first, from), (last, to)))
        }
        (Moment::Date(from), Moment::Date(to)) if from <= to => {
            let end = to.tomorrow().map_err(|_| "that is too far away")?;
            Ok(Span::Once(midnight(from), midnight(end)))
        }
        (Moment::Once(from), Moment::Once(to)) if from < to => Ok(Span::Once(from, to)),
        (Moment::Date(_), Moment::Date(_)) | (Moment::Once(_), Moment::Once(_)) => {
            Err("it ends before it begins")
        }
        (Moment::Time(_), Moment::Time(_)) | (Moment::Weekly(..), Moment::Weekly(..)) => {
            Err("it ends when it begins")
        }
        _ => Err("its begin and its end must be written alike"),
    }
}

fn midnight(date: Date) -> DateTime {
    date.to_datetime(Time::midnight())
}

fn moment(text: &str) -> Result<Moment, &'static str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [one] if one.contains(':') => Ok(Moment::Time(time(one)?)),
        [one] if one.contains('-') => Ok(Moment::Date(date(one)?)),
        [day, at] if day.contains('-') => Ok(Moment::Once(date(day)?.to_datetime(time(at)?))),
        [day, at] => Ok(Moment::Weekly(weekday(day)?, time(at)?)),
        _ => Err("a begin and an end are a day and a time, a time, or a date"),
    }
}

/// The digits of a number of such a length.
fn number(text: &str, lengths: &[usize]) -> Option<i16> {
    let is_plain = lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn time(text: &str) -> Result<Time, &'static str> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (number(hour, &[1, 2])?, number(minute, &[2])?);
        Time::new(hour.try_into().ok()?, minute.try_into().ok()?, 0, 0).ok()
    };
    read().ok_or("a time is from 00:00 to 23:59")
}

fn date(text: &str) -> Result<Date, &'static str> {
    let read = || {
        let mut parts = text.splitn(3, '-');
        let mut part = |length| parts.next().and_then(|part| number(part, &[length]));
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
    };
    read().ok_or("a date is a day that there is, as year-month-day")
}

fn weekday(text: &str) -> Result<Weekday, &'static str> {
    const NAMES: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let text = text.to_ascii_lowercase();
    let found = NAMES.iter().find(|(name, _)| *name == text || name[..3] == text);
    found.map(|(_, day)| *day).ok_or("a day is Mon, Tue, Wed, Thu, Fri, Sat or Sun, or its whole name")
}
