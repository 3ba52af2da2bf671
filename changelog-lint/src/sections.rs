//! Tells the headings of releases from other headings, and where each section and group ends.

use std::collections::HashMap;

use crate::changelog::{Block, BlockKind, Group, Heading, Kind, Section, Span, Version};
use crate::claim;
use crate::names;
use crate::text::lines;
use crate::title::{self, Certainty, Title};
use crate::{date, words};

/// What was found.
pub(crate) struct Found {
    pub sections: Vec<Section>,
    pub strangers: Vec<usize>,
    pub families: Vec<usize>,
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
    /// Stands above releases that belong together (`# Version 0.16`, `# Older releases`), or is the title again.
    Heads,
    /// The file's title, or what stands above the first release.
    Above,
}

/// Finds the sections.
pub(crate) fn find(text: &str, headings: &[Heading], blocks: &[Block]) -> Found {
    let read = |h: &Heading| title::read(&h.text).filter(|title| !claim::is_misread(&h.text, title));
    let titles: Vec<Option<Title>> = headings.iter().map(read).collect();
    let (roles, families) = roles(headings, &titles, blocks);
    let mut sections: Vec<Section> = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        if let (Role::Section, Some(title)) = (role, &titles[index]) {
            sections.push(section(headings, index, title));
        }
    }
    let is_border = |role: &Role| matches!(role, Role::Section | Role::Stranger | Role::Heads);
    let borders: Vec<usize> = (0..headings.len()).filter(|i| is_border(&roles[*i])).collect();
    for section in &mut sections {
        let next = borders.partition_point(|border| *border <= section.heading);
        let last = borders.get(next).copied().unwrap_or(headings.len());
        section.body.end = headings.get(last).map_or(text.len(), |h| h.span.start);
        section.groups = groups(headings, section.heading + 1..last, section.body.end);
        below(text, blocks, section);
    }
    let strangers = (0..headings.len()).filter(|i| roles[*i] == Role::Stranger).collect();
    Found { sections, strangers, families }
}

/// What each heading is, and which of them name a family of releases.
fn roles(headings: &[Heading], titles: &[Option<Title>], blocks: &[Block]) -> (Vec<Role>, Vec<usize>) {
    let levels = Levels::of(headings, titles);
    let mut any = false;
    let opens = headings.iter().zip(titles).map(|(heading, title)| {
        let word = title.as_ref().is_some_and(|t| t.certainty == Certainty::Word);
        // Below a release such a word means something else.
        let address =
            || heading.level != levels.main && title.as_ref().is_some_and(|t| is_address(heading, t));
        let opens =
            !(any && word) && title.as_ref().is_some_and(|t| levels.accept(heading.level, t)) && !address();
        any |= opens;
        opens
    });
    let all: Vec<bool> = opens.collect();
    let over = Over { headings, titles, blocks, opens: &all };
    let series: Vec<bool> = (0..all.len()).map(|index| all[index] && over.is_series(index)).collect();
    let opens = |index: usize| all[index] && !series[index];
    let first = (0..all.len()).find(|index| opens(*index)).unwrap_or(headings.len());
    let repeated = repeated(headings);
    let (mut current, mut families) = (0, Vec::new());
    let mut roles = Vec::with_capacity(headings.len());
    for (index, heading) in headings.iter().enumerate() {
        let is_title = index == 0 && !heading.text.contains(|c: char| c.is_ascii_digit());
        // What is repeated is a part of releases, unless it names one.
        let again = || {
            repeated.get(heading.text.trim()).is_some_and(|n| *n > 1)
                && !claim::names_a_release(&heading.text)
        };
        let known = || names::is_known(&heading.text) || again();
        let title_again = index > first && over.is_title_again(index);
        let family =
            series[index] || index > first && !opens(index) && !title_again && over.heads_releases(index);
        families.extend(family.then_some(index));
        roles.push(if opens(index) {
            current = heading.level;
            Role::Section
        } else if index < first {
            if heading.level == levels.main && !is_title && !known() { Role::Stranger } else { Role::Above }
        } else if family || title_again {
            Role::Heads
        } else if heading.level <= current && current <= levels.main && !known() {
            Role::Stranger
        } else {
            Role::Group
        });
    }
    (roles, families)
}

/// `### 127.0.0.1` is no release where releases stand on another level.
fn is_address(heading: &Heading, title: &Title) -> bool {
    title.version.as_ref().is_some_and(|at| claim::is_address(&heading.text[at.clone()]))
}

/// Looks for headings that stand above releases and are none.
struct Over<'a> {
    headings: &'a [Heading],
    titles: &'a [Option<Title>],
    blocks: &'a [Block],
    opens: &'a [bool],
}

impl Over<'_> {
    /// `# Version 0.16` above `## Version 0.16.2`, with nothing in between but words.
    fn is_series(&self, index: usize) -> bool {
        let bare =
            |title: &&Title| title.date.is_none() && title.yanked.is_none() && title.unreleased.is_none();
        let Some(title) = self.titles[index].as_ref().filter(bare) else { return false };
        let (Some(version), true) = (title.name(&self.headings[index].text), self.is_above_a_release(index))
        else {
            return false;
        };
        let names = (index + 1..self.headings.len().min(index + 3))
            .map(|next| self.titles[next].as_ref().and_then(|title| title.name(&self.headings[next].text)));
        names
            .into_iter()
            .find(Option::is_some)
            .flatten()
            .is_some_and(|next| next.strip_prefix(&version).is_some_and(|rest| rest.starts_with('.')))
    }

    /// `# Older releases` above `## 0.1.0`.
    fn heads_releases(&self, index: usize) -> bool {
        self.is_above_a_release(index) && !claim::names_a_release(&self.headings[index].text)
    }

    /// The title once more, as two files that were joined have it.
    fn is_title_again(&self, index: usize) -> bool {
        let (title, heading) = (&self.headings[0], &self.headings[index]);
        heading.level == 1
            && title.level == 1
            && !self.opens[0]
            && heading.text.trim() == title.text.trim()
            && self.opens.iter().zip(self.headings).all(|(opens, heading)| !opens || heading.level > 1)
    }

    /// Whether the next heading is one of a release, deeper, and no entry stands before it.
    fn is_above_a_release(&self, index: usize) -> bool {
        let Some(next) = self.headings.get(index + 1).filter(|_| self.opens[index + 1]) else { return false };
        let start = self.headings[index].span.end;
        let from = self.blocks.partition_point(|block| block.span.start < start);
        let between = self.blocks[from..].iter().take_while(|block| block.span.start < next.span.start);
        let entries = between
            .into_iter()
            .any(|block| !matches!(block.kind, BlockKind::Paragraph | BlockKind::Html | BlockKind::Rule));
        next.level > self.headings[index].level && !entries
    }
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
            text: title.name(&heading.text).unwrap_or_else(|| said(at)),
            spelled: title.candidate.is_some(),
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
        released: None,
        yanked: title.yanked.as_ref().map(place),
        unreleased: title.unreleased.as_ref().map(place),
        body: heading.span.end..heading.span.end,
        groups: Vec::new(),
    }
}

/// What the lines below the heading say of the release: its day, that it is not released, that it is a candidate.
fn below(text: &str, blocks: &[Block], section: &mut Section) {
    let from = blocks.partition_point(|block| block.span.start < section.body.start);
    let spoken = |block: &&Block| {
        matches!(block.kind, BlockKind::Paragraph | BlockKind::Other | BlockKind::Html)
            && block.span.end <= section.body.end
    };
    let Some(block) = blocks.get(from).filter(spoken) else { return };
    let said = text[block.span.clone()].trim_end();
    if said.len() > 160 || said.contains(['|', '!']) && !said.contains("[!") || said.starts_with("<!--") {
        return;
    }
    for (at, line) in lines(said).take(3).filter(|(_, line)| line.len() <= 80) {
        let place =
            |inner: Span| block.span.start + at.start + inner.start..block.span.start + at.start + inner.end;
        let Kind::Version(version) = &mut section.kind else { return };
        if section.date.is_none()
            && section.released.is_none()
            && block.kind == BlockKind::Paragraph
            && !said.contains('\n')
        {
            section.released = date::released(line).map(place);
        }
        if let Some(at) = words::says_not_released(&tagless(line)) {
            section.unreleased.get_or_insert(place(at));
            version.unreleased = true;
        } else if let Some(candidate) = words::says_candidate(&tagless(line))
            && crate::version::base(&version.text).is_none()
            && !said.contains('\n')
        {
            version.text = format!("{}-{}", version.text, candidate.name);
            version.spelled = true;
        }
    }
}

/// A line with blanks where tags of HTML stand.
fn tagless(line: &str) -> String {
    let mut result = line.to_owned();
    while let Some(open) = result.find('<') {
        let Some(end) = result[open..].find('>').map(|end| open + end + 1) else { break };
        result.replace_range(open..end, &" ".repeat(end - open));
    }
    result
}

/// The groups among the headings of a section: those of its shallowest level.
fn groups(headings: &[Heading], inside: Span, end: usize) -> Vec<Group> {
    let Some(level) = headings[inside.clone()].iter().map(|h| h.level).min() else { return Vec::new() };
    let indices: Vec<usize> = inside.filter(|i| headings[*i].level == level).collect();
    let ends = indices.iter().skip(1).map(|next| headings[*next].span.start).chain([end]);
    indices.iter().zip(ends).map(|(i, end)| Group { heading: *i, body: headings[*i].span.end..end }).collect()
}
