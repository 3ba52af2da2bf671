//! Tells the headings of releases from other headings, and where each section and group ends.

use std::collections::HashMap;

use crate::changelog::{Group, Heading, Kind, Section, Span, Version};
use crate::names;
use crate::title::{self, Certainty, Title};

/// What was found.
pub(crate) struct Found {
    pub sections: Vec<Section>,
    pub strangers: Vec<usize>,
}

/// What a heading is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Opens a section.
    Section,
    /// `### Added`, or deeper.
    Group,
    /// On the level of releases and not understood.
    Stranger,
    /// The file's title, or what stands above the first release.
    Above,
}

/// Finds the sections. `end` is the length of the text.
pub(crate) fn find(end: usize, headings: &[Heading]) -> Found {
    let titles: Vec<Option<Title>> = headings.iter().map(|h| title::read(&h.text)).collect();
    let roles = roles(headings, &titles);
    let mut sections: Vec<Section> = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        if let (Role::Section, Some(title)) = (role, &titles[index]) {
            sections.push(section(headings, index, title));
        }
    }
    let is_border = |role: &Role| matches!(role, Role::Section | Role::Stranger);
    let borders: Vec<usize> = (0..headings.len()).filter(|i| is_border(&roles[*i])).collect();
    for section in &mut sections {
        let next = borders.partition_point(|border| *border <= section.heading);
        let last = borders.get(next).copied().unwrap_or(headings.len());
        section.body.end = headings.get(last).map_or(end, |h| h.span.start);
        section.groups = groups(headings, section.heading + 1..last, section.body.end);
    }
    let strangers = (0..headings.len()).filter(|i| roles[*i] == Role::Stranger).collect();
    Found { sections, strangers }
}

fn roles(headings: &[Heading], titles: &[Option<Title>]) -> Vec<Role> {
    let levels = Levels::of(headings, titles);
    let mut any = false;
    let opens = headings.iter().zip(titles).map(|(heading, title)| {
        let word = title.as_ref().is_some_and(|t| t.certainty == Certainty::Word);
        // Below a release such a word means something else.
        let opens = !(any && word) && title.as_ref().is_some_and(|t| levels.accept(heading.level, t));
        any |= opens;
        opens
    });
    let opens: Vec<bool> = opens.collect();
    let first = opens.iter().position(|opens| *opens).unwrap_or(headings.len());
    let repeated = repeated(headings);
    let mut current = 0;
    let mut roles = Vec::with_capacity(headings.len());
    for (index, heading) in headings.iter().enumerate() {
        let is_title = index == 0 && !heading.text.contains(|c: char| c.is_ascii_digit());
        let known =
            || names::is_known(&heading.text) || repeated.get(heading.text.trim()).is_some_and(|n| *n > 1);
        roles.push(if opens[index] {
            current = heading.level;
            Role::Section
        } else if index < first {
            if heading.level == levels.main && !is_title && !known() { Role::Stranger } else { Role::Above }
        } else if heading.level <= current && current <= levels.main && !known() {
            Role::Stranger
        } else {
            Role::Group
        });
    }
    roles
}

/// How often each text of a heading occurs: what is repeated is a section within releases.
fn repeated(headings: &[Heading]) -> HashMap<&str, usize> {
    let mut count = HashMap::new();
    for heading in headings {
        *count.entry(heading.text.trim()).or_insert(0) += 1;
    }
    count
}

/// On which levels releases stand.
struct Levels {
    /// Where most of them stand.
    main: u8,
    /// Whether there is any heading with a version.
    versions: bool,
}

impl Levels {
    fn of(headings: &[Heading], titles: &[Option<Title>]) -> Self {
        let most = |least: Certainty| {
            let mut count = [0; 7];
            let sure = headings
                .iter()
                .zip(titles)
                .filter(|(_, t)| t.as_ref().is_some_and(|t| t.certainty >= least && t.version.is_some()));
            sure.for_each(|(h, _)| count[usize::from(h.level)] += 1);
            (1..7).filter(|level| count[*level] > 0).max_by_key(|level| (count[*level], 7 - level))
        };
        let found =
            most(Certainty::Full).or_else(|| most(Certainty::Short)).or_else(|| most(Certainty::Loose));
        let unreleased =
            headings.iter().zip(titles).find(|(_, t)| t.is_some()).map(|(h, _)| usize::from(h.level));
        let main = found.or(unreleased).unwrap_or_default();
        Levels { main: u8::try_from(main).unwrap_or_default(), versions: found.is_some() }
    }

    /// Whether such a heading on such a level opens a section.
    fn accept(&self, level: u8, title: &Title) -> bool {
        match (title.certainty, &title.version) {
            (Certainty::Full, Some(_)) => level <= self.main.max(3),
            (Certainty::Full, None) => level <= self.main + 1,
            (Certainty::Short, _) => level <= self.main || title.date.is_some() && level <= self.main + 1,
            (Certainty::Word, _) => level == self.main || !self.versions && level <= 2,
            (Certainty::Loose | Certainty::DayOnly, _) => level == self.main,
        }
    }
}

fn section(headings: &[Heading], index: usize, title: &Title) -> Section {
    let heading = &headings[index];
    let place = |range: &Span| heading.place(range);
    let said = |range: &Span| heading.text[range.clone()].to_owned();
    let kind = title.version.as_ref().map_or(Kind::Unreleased, |at| {
        Kind::Version(Version {
            text: said(at),
            at: place(at),
            // With Markdown between them they are not one word of the file.
            prefixed: title.prefixed
                && place(&(at.start - 1..at.start)) == (place(at).start - 1..place(at).start),
            package: title.package.as_ref().map(said),
            also: title.also.iter().map(said).collect(),
            unreleased: title.unreleased.is_some(),
        })
    });
    Section {
        kind,
        heading: index,
        date: title.date.as_ref().map(place),
        yanked: title.yanked.as_ref().map(place),
        unreleased: title.unreleased.as_ref().map(place),
        body: heading.span.end..heading.span.end,
        groups: Vec::new(),
    }
}

/// The groups among the headings of a section: those of its shallowest level.
fn groups(headings: &[Heading], inside: Span, end: usize) -> Vec<Group> {
    let Some(level) = headings[inside.clone()].iter().map(|h| h.level).min() else { return Vec::new() };
    let indices: Vec<usize> = inside.filter(|i| headings[*i].level == level).collect();
    let ends = indices.iter().skip(1).map(|next| headings[*next].span.start).chain([end]);
    indices.iter().zip(ends).map(|(i, end)| Group { heading: *i, body: headings[*i].span.end..end }).collect()
}
