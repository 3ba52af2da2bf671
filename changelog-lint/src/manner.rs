//! How a file writes the headings of its releases: what stands around version and date. What is written anew follows it.

use crate::changelog::{Changelog, HeadingLink, Section, Span};
use crate::notes;
use crate::words;

/// The heading of a version as this file would write it. Without brackets, which would need the definition of a link.
pub fn heading(log: &Changelog, version: &str, day: Option<&str>) -> String {
    Style::of(log).heading(version, day)
}

/// How the headings of a file are written.
pub(crate) struct Style {
    level: u8,
    /// As the newest one, without brackets.
    plain: Manner,
    /// As one that has a date.
    dated: Manner,
}

impl Style {
    pub(crate) fn of(log: &Changelog) -> Self {
        let newest = notes::newest(log).or(log.sections.first());
        let mut plain = newest.map_or_else(|| Manner::plain(false), |newest| Manner::of(log, newest));
        if plain.open.ends_with('[') {
            plain.open = "";
        }
        plain.inline = false;
        let shown = log.releases().find(|other| other.date.is_some()).map(|other| Manner::of(log, other));
        Style {
            level: newest.map_or(2, |section| log.heading(section).level),
            plain,
            dated: shown.unwrap_or_else(|| Manner::plain(false)),
        }
    }

    /// The level on which the newest release stands.
    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    /// The heading of a version; with a day where one is known, or where the newest one has one.
    pub(crate) fn heading(&self, version: &str, day: Option<&str>) -> String {
        let mut manner = self.plain.clone();
        if day.is_some() {
            manner.date.get_or_insert_with(|| (" - ".to_owned(), ""));
        }
        let line = manner.write(version, day.unwrap_or("YYYY-MM-DD"), None);
        format!("{} {line}", "#".repeat(usize::from(self.level)))
    }

    /// The heading of a section with a day in it, where the other headings have theirs.
    pub(crate) fn with_day(&self, log: &Changelog, section: &Section, day: &str) -> String {
        let heading = log.heading(section);
        let line = log.text[heading.span.clone()].lines().next().unwrap_or_default().trim_end();
        let Some((between, close)) = self.dated.date.as_ref().filter(|_| !self.dated.date_first) else {
            let start = line.len() - line.trim_start_matches([' ', '#']).len();
            return format!("{}{day} - {}", &line[..start], &line[start..]);
        };
        // The words of a candidate belong to the version: the day stands behind them.
        if section.version().is_some_and(|version| version.spelled) {
            return format!("{line}{between}{day}{close}");
        }
        let version = section.version().map_or(heading.span.start, |version| version.at.end);
        let link = match &heading.link {
            Some(HeadingLink::Inline(span, _) | HeadingLink::Label(span, _)) if span.start < version => {
                span.end
            }
            _ => version,
        };
        let at = (link - heading.span.start).min(line.len());
        let at = line.len() - line[at..].trim_start_matches(['\\', ']', '*', '`', '_']).len();
        format!("{}{between}{day}{close}{}", &line[..at], &line[at..])
    }
}

/// How a release's heading is written around its version and its date.
#[derive(Clone)]
pub(crate) struct Manner {
    lead: String,
    open: &'static str,
    prefixed: bool,
    inline: bool,
    /// Between version and date, and behind the date; none where releases have no date.
    date: Option<(String, &'static str)>,
    date_first: bool,
}

impl Manner {
    pub(crate) fn plain(bracketed: bool) -> Self {
        let open = if bracketed { "[" } else { "" };
        let date = Some((" - ".to_owned(), ""));
        Manner { lead: String::new(), open, prefixed: false, inline: false, date, date_first: false }
    }

    pub(crate) fn of(log: &Changelog, section: &Section) -> Self {
        let Some(version) = section.version() else { return Self::plain(false) };
        let heading = log.heading(section);
        let start = version.at.start - usize::from(version.prefixed);
        let before = log.text[heading.span.start..start].trim_start().trim_start_matches('#').trim_start();
        let open =
            [r"\[", "[", "**", "`"].into_iter().find(|mark| before.ends_with(mark)).unwrap_or_default();
        let mut manner = Manner {
            lead: before[..before.len() - open.len()].to_owned(),
            open,
            prefixed: version.prefixed,
            inline: matches!(heading.link, Some(HeadingLink::Inline(..))),
            date: None,
            date_first: false,
        };
        // A day alone is version and date in one.
        let apart = |date: &&Span| date.end <= start || version.at.end <= date.start;
        if let Some(date) = section.date.as_ref().filter(apart) {
            manner.date_first = date.start < version.at.start;
            if manner.date_first {
                manner.lead = log.text[date.end..start].trim_end_matches(open).to_owned();
                manner.date = Some((String::new(), ""));
            } else {
                let between = between(&log.text[version.at.end..date.start]);
                // The words of a candidate ("RC 2") are its own.
                let between = if words::candidate(between).is_some() { " - " } else { between };
                let close = if between.ends_with('(') { ")" } else { "" };
                manner.date = Some((between.to_owned(), close));
            }
        }
        manner
    }

    pub(crate) fn write(&self, version: &str, day: &str, url: Option<&str>) -> String {
        let close = match self.open {
            r"\[" => r"\]",
            "[" => "]",
            mark => mark,
        };
        let v = if self.prefixed { "v" } else { "" };
        let link = url.filter(|_| self.inline).map(|url| format!("({url})")).unwrap_or_default();
        let name = format!("{}{}{v}{version}{close}{link}", self.lead, self.open);
        match &self.date {
            Some(_) if self.date_first => format!("{day}{name}"),
            Some((between, close)) => format!("{name}{between}{day}{close}"),
            None => name,
        }
    }
}

/// What separates version and date, without the rest of the link.
fn between(text: &str) -> &str {
    let text = text.strip_prefix('\\').unwrap_or(text);
    let text = text.strip_prefix(']').unwrap_or(text).trim_start_matches(['*', '`']);
    if let Some(link) = text.strip_prefix('(').filter(|rest| rest.contains("://")) {
        return link.split_once(')').map_or(text, |(_, rest)| rest);
    }
    text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(_, rest)| rest)
}
