//! Above the newest release a line is judged by the manner of the file's own headings, and more strictly than below: whoever passes
//! over one there opens an older version.

use super::{Finder, LONGEST, Lookalike, Place, ReadAs, is_line};
use crate::changelog::{Section, Version};
use crate::claim::{self, Like};
use crate::version::Order;

/// A line of prose is longer than a heading, bytes.
const HEADING: usize = 160;

impl Finder<'_> {
    /// Judges a line above the newest release that the forms of headings do not tell.
    pub(super) fn judge_above(&self, index: usize, start: usize) -> Option<Lookalike> {
        let (span, line) = &self.lines[index];
        let line = super::without_comments(line);
        if line.len() > LONGEST || !line.contains(|c: char| c.is_numeric()) {
            return None;
        }
        let place = self.place(index);
        if let Some(level) = place.level {
            let version = self.named_by(&place, index)?;
            return Some(Lookalike {
                span: start..span.start + self.lines[index].1.trim_end().len(),
                version,
                read_as: ReadAs::Heading(level),
            });
        }
        let (like, within) = match claim::like(&line, &self.ways) {
            Some(like) => (like, false),
            // `- fixed. ## 1.3.0`: a line break is missing.
            None => {
                let at = line.find(" ##")? + 1;
                (claim::like(&line[at..], &self.ways).filter(|like| like.bare)?, true)
            }
        };
        if !within && !self.is_heading(&like, &place, index, start)
            || !self.is_new(&like.version, like.name.as_deref(), &place)
        {
            return None;
        }
        let read_as = match like.dress {
            _ if place.html => ReadAs::Html,
            dress if dress.quoted => ReadAs::Quote,
            dress if dress.row => ReadAs::Row,
            dress if dress.item || self.item(start).is_some() => ReadAs::Item,
            _ => ReadAs::Text,
        };
        let end = span.start + self.lines[index].1.trim_end().len();
        Some(Lookalike { span: start..end, version: like.version, read_as })
    }

    /// The version of a heading that opens no release: it leads, as those of the file do; or, where nothing stands above that it could
    /// be a part of, it is in it at all.
    fn named_by(&self, place: &Place, index: usize) -> Option<String> {
        let heading = place.heading?;
        if self.found.families.contains(&heading) {
            return None;
        }
        let text = &self.read.headings[heading].text;
        let line = self.lines[index].1;
        let leads = claim::like(line, &self.ways)
            .filter(|like| !like.dress.item)
            .map(|like| (like.version, like.name));
        let version = leads.or_else(|| {
            let title = heading == 0 && self.read.headings[0].level == 1;
            (place.section.is_none() && !title)
                .then(|| claim::may_be_release(text))
                .flatten()
                .map(|version| (version, None))
        });
        let (version, name) = version?;
        (claim::versions(text).len() < 3 && self.is_new(&version, name.as_deref(), place)).then_some(version)
    }

    /// Whether a version is neither that of a section (of the same name, if it has one) nor a part of the section that it stands in.
    fn is_new(&self, version: &str, name: Option<&str>, place: &Place) -> bool {
        let Some(order) = Order::of(version) else { return true };
        let own = place.section.and_then(Section::version).and_then(|own| Order::of(&own.text));
        let part = own.is_some_and(|own| own.same_numbers(&order) || own.is_series_of(&order));
        let ours = |other: &&Version| name.is_none_or(|name| claim::is_named(other.package.as_deref(), name));
        let mut known = self.found.sections.iter().filter_map(Section::version).filter(ours);
        !part && !known.any(|other| Order::of(&other.text).is_some_and(|other| other == order))
    }

    /// Whether a line that is no heading to Markdown is one to a reader.
    fn is_heading(&self, like: &Like, place: &Place, index: usize, start: usize) -> bool {
        let dress = like.dress;
        let line = self.lines[index].1;
        if like.leads_away && (!like.dated || dress.item) {
            return false;
        }
        let framed = is_border(place.before) && is_border(place.behind);
        let listed = !framed && (dress.item || self.item(start).is_some());
        if dress.hash {
            return !listed || like.headed;
        }
        if listed || !like.headed || line.len() > HEADING {
            return false;
        }
        match dress {
            _ if framed || place.html => true,
            _ if dress.row => dress.bold,
            _ if dress.quoted => {
                like.dated || is_line(place.behind) || place.before.is_empty() && place.behind.is_empty()
            }
            _ if dress.code && !like.bare && !line.trim_end().ends_with(['`', '*', '_']) => false,
            _ => like.dated || self.stands_alone(place, index),
        }
    }
}

/// `+-----+`, `******`, `┌────┐`: the edge of a box that is drawn around a line.
fn is_border(text: &str) -> bool {
    let drawn = |c: char| "+-=*#|_~/\\".contains(c) || ('\u{2500}'..='\u{257f}').contains(&c);
    text.chars().count() >= 4
        && text.chars().all(|c| drawn(c) || c == ' ')
        && text.chars().filter(|c| drawn(*c)).count() >= 4
}
