//! Rules about the links of versions: defined once, each from the version before to its own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use jiff::civil::Date;

use super::Ask;
use crate::changelog::{Broken, Definition, HeadingLink, Section, Span, folded};
use crate::finding::{Edit, Hit};
use crate::host::{self, Shown};
use crate::links::{Neighbours, Scheme, definition_edit};
use crate::version::{self, Order};

/// The address that a heading links to, and its place in the file.
fn address(ask: &Ask, section: &Section) -> Option<Span> {
    match ask.log.heading(section).link.as_ref()? {
        HeadingLink::Inline(span, url) => {
            let start = span.start + ask.text(span).rfind(url.as_str())?;
            Some(start..start + url.len())
        }
        HeadingLink::Label(_, label) => ask.log.definition(label).map(|definition| definition.url_at.clone()),
    }
}

/// A tag in a link: its place in the file and the version that it names.
fn tag(ask: &Ask, url: &Span, part: &Range<usize>) -> Option<(Span, String)> {
    let at = url.start + part.start..url.start + part.end;
    let tag = host::decoded(ask.text(&at));
    version::of_tag(&tag).map(|version| (at, version.to_owned()))
}

/// The same tag with another version in it.
fn retagged(tag: &str, version: &str, wanted: &str) -> String {
    tag.strip_suffix(version).map_or_else(|| wanted.to_owned(), |prefix| format!("{prefix}{wanted}"))
}

pub(super) fn target(ask: &Ask) -> Vec<Hit> {
    let before = Before::of(ask);
    let wrong = |(index, section): (usize, &&Section)| {
        let url = address(ask, section)?;
        let shown = host::read(ask.text(&url))?;
        let (Shown::Range { target: part, .. } | Shown::Tag(part)) = &shown;
        let (at, found) = tag(ask, &url, part)?;
        let version = section.version()?;
        let right = std::iter::once(&version.text).chain(&version.also).any(|v| version::same(v, &found));
        (!right).then(|| {
            let base = if let Shown::Range { base, .. } = &shown { tag(ask, &url, base) } else { None };
            let base = base.filter(|(_, from)| !before.is_right(index, from));
            let expected = base.and_then(|(at, from)| Some((at, from, before.expected(index)?)));
            wrong_target(ask, section, at, &found, expected)
        })
    };
    ask.releases.iter().enumerate().filter_map(wrong).collect()
}

/// `base` is where the link begins if that is wrong too: its place, the version there, the right one.
fn wrong_target(
    ask: &Ask,
    section: &Section,
    at: Span,
    found: &str,
    base: Option<(Span, String, &str)>,
) -> Hit {
    let hit = Hit::new(at.clone(), format!("the link of {} leads to {found}", section.name()))
        .section(section.name());
    let hit = hit.related(ask.log.at(section), "this version");
    let right = retagged(ask.text(&at), found, section.name());
    let hit = hit.help(format!("write `{right}`"));
    let mut edits = vec![Edit { span: at, text: right }];
    if let Some((at, from, expected)) = base {
        edits.push(Edit { text: retagged(ask.text(&at), &from, expected), span: at });
    }
    hit.fix(true, edits)
}

pub(super) fn base(ask: &Ask) -> Vec<Hit> {
    let before = Before::of(ask);
    let wrong = |(index, section): (usize, &&Section)| {
        let url = address(ask, section)?;
        let Shown::Range { base: part, target } = host::read(ask.text(&url))? else { return None };
        let (at, found) = tag(ask, &url, &part)?;
        // A link to a wrong version is said once.
        tag(ask, &url, &target).filter(|(_, to)| version::same(to, section.name()))?;
        (!before.is_right(index, &found)).then(|| wrong_base(ask, section, &before, index, at, &found))
    };
    ask.releases.iter().enumerate().filter_map(wrong).collect()
}

fn wrong_base(ask: &Ask, section: &Section, before: &Before, index: usize, at: Span, found: &str) -> Hit {
    let hit = Hit::new(at.clone(), format!("the link of {} begins at {found}", section.name()))
        .section(section.name());
    let hit = hit.related(ask.log.at(section), "this version");
    match before.expected(index) {
        Some(expected) => {
            let right = retagged(ask.text(&at), found, expected);
            hit.help(format!("the version before is {expected}: write `{right}`")).safe(at, right)
        }
        None => hit.help("it must begin at the version before"),
    }
}

/// So many candidates, withdrawn or later releases in a row are passed over, and no more.
const PASSED: usize = 200;

/// Which versions come before each release.
struct Before<'a> {
    releases: &'a [&'a Section],
    orders: Vec<Option<Order>>,
    days: HashMap<usize, Date>,
    /// The next release of the same package further down in the file.
    next: Vec<Option<usize>>,
    /// By package and version.
    sorted: BTreeSet<(Option<&'a str>, Order, usize)>,
}

impl<'a> Before<'a> {
    fn of(ask: &'a Ask<'a>) -> Self {
        let releases = &ask.releases;
        let orders: Vec<_> = releases.iter().map(|section| Order::of(section.name())).collect();
        let keys = releases.iter().enumerate().zip(&orders);
        let sorted = keys
            .filter_map(|((index, section), order)| Some((package(section), order.clone()?, index)))
            .collect();
        let days = releases
            .iter()
            .filter_map(|section| Some((section.heading, super::versions::day(ask, section)?)))
            .collect();
        let mut last = HashMap::new();
        let mut next: Vec<_> = releases
            .iter()
            .enumerate()
            .rev()
            .map(|(index, section)| last.insert(package(section), index))
            .collect();
        next.reverse();
        Before { releases, orders, days, next, sorted }
    }

    /// The next lower versions of the file, nearest first.
    fn lower(&self, index: usize) -> impl Iterator<Item = &'a Section> {
        let package = package(self.releases[index]);
        let order = self.orders[index].clone();
        let below = order.into_iter().flat_map(move |order| self.sorted.range(..(package, order, 0)).rev());
        let same = below.take_while(move |(other, ..)| *other == package);
        same.map(|(.., index)| self.releases[*index])
    }

    /// The next releases further down in the file.
    fn below(&self, index: usize) -> impl Iterator<Item = &'a Section> {
        let indices = std::iter::successors(self.next[index], |index| self.next[*index]);
        indices.map(|index| self.releases[index])
    }

    /// What the link should begin at.
    fn expected(&self, index: usize) -> Option<&'a str> {
        let is_lower = |section: &&Section| Order::of(section.name()) < self.orders[index];
        let below = self.below(index).next().filter(is_lower);
        below.or_else(|| self.lower(index).next()).map(Section::name)
    }

    /// Whether a link may begin there: at the release below it or the next lower version, leaving out candidates and
    /// withdrawn ones if it likes, or at a version in between that the file does not have.
    fn is_right(&self, index: usize, found: &str) -> bool {
        let Some(order) = Order::of(found) else { return true };
        if self.orders[index].as_ref().is_none_or(|own| order >= *own) {
            return self.orders[index].is_none();
        }
        let own_day = self.days.get(&self.releases[index].heading);
        let passed = |section: &&Section| {
            // A patch of the line before that came out later was not there to begin at.
            let later = self.days.get(&section.heading).zip(own_day).is_some_and(|(day, own)| day >= own);
            later
                || section.yanked.is_some()
                || Order::of(section.name()).is_some_and(|o| o.is_before_release())
        };
        let is_found = |section: &Section| {
            let names = section.version().into_iter().flat_map(|v| std::iter::once(&v.text).chain(&v.also));
            names.into_iter().any(|name| version::same(name, found))
        };
        // Everything that may be passed over, and the first one that may not.
        let reached = |sections: &mut dyn Iterator<Item = &Section>| {
            for section in sections.take(PASSED) {
                if is_found(section) {
                    return Some(true);
                }
                if !passed(&section) {
                    return Some(false);
                }
            }
            None
        };
        let file = reached(&mut self.below(index));
        let numeric = reached(&mut self.lower(index));
        if file == Some(true) || numeric == Some(true) {
            return true;
        }
        match self.lower(index).next().and_then(|section| Order::of(section.name())) {
            Some(nearest) => order > nearest,
            None => true,
        }
    }
}

fn package(section: &Section) -> Option<&str> {
    section.version().and_then(|version| version.package.as_deref())
}

pub(super) fn stale(ask: &Ask) -> Vec<Hit> {
    let section = ask.log.sections.iter().find(|section| section.version().is_none());
    let url = match section {
        Some(section) => address(ask, section),
        None => ask.log.definition("unreleased").map(|definition| definition.url_at.clone()),
    };
    let Some(url) = url else { return Vec::new() };
    let Some(Shown::Range { base, .. }) = host::read(ask.text(&url)) else { return Vec::new() };
    let Some((at, found)) = tag(ask, &url, &base) else { return Vec::new() };
    let Some(newest) = crate::notes::newest(ask.log) else { return Vec::new() };
    if newest_ones(ask).iter().any(|name| version::same(name, &found)) {
        return Vec::new();
    }
    let right = retagged(ask.text(&at), &found, newest.name());
    let hit = Hit::new(
        at.clone(),
        format!("the link of `Unreleased` begins at {found}, but {} is out", newest.name()),
    );
    vec![
        hit.section("Unreleased")
            .related(ask.log.at(newest), "the newest release")
            .help(format!("write `{right}`"))
            .safe(at, right),
    ]
}

/// What counts as the newest release: the first of the file or the highest, with or without candidates.
fn newest_ones<'a>(ask: &'a Ask) -> Vec<&'a str> {
    let stable =
        |section: &&&Section| Order::of(section.name()).is_some_and(|order| !order.is_before_release());
    let highest =
        |sections: Vec<&'a Section>| sections.into_iter().max_by_key(|section| Order::of(section.name()));
    let all: Vec<&Section> = ask.releases.clone();
    let finals: Vec<&Section> = ask.releases.iter().filter(stable).copied().collect();
    let first = [crate::notes::newest(ask.log), finals.first().copied()];
    first.into_iter().chain([highest(all), highest(finals)]).flatten().map(Section::name).collect()
}

/// The bracketed name of a section that is no link: the reference without a definition.
fn unlinked<'a>(ask: &'a Ask, section: &Section) -> Option<&'a Broken> {
    let heading = ask.log.heading(section);
    let from = ask.log.broken.partition_point(|broken| broken.span.start < heading.span.start);
    let inside = ask.log.broken[from..].iter().take_while(|broken| broken.span.start < heading.span.end);
    let name = section.name();
    inside.into_iter().find(|broken| {
        let label = broken.label.trim_start_matches(['v', 'V']);
        label.eq_ignore_ascii_case(name)
            || version::of_tag(&broken.label).is_some_and(|v| v == name)
            || broken.full && ask.text(&broken.span).contains(name)
    })
}

pub(super) fn undefined(ask: &Ask) -> Vec<Hit> {
    let unlinked: Vec<(usize, &Broken)> = ask
        .log
        .sections
        .iter()
        .enumerate()
        .filter_map(|(index, section)| Some((index, unlinked(ask, section)?)))
        .collect();
    if unlinked.is_empty() {
        return Vec::new();
    }
    let light = !ask
        .releases
        .iter()
        .any(|section| matches!(ask.log.heading(section).link, Some(HeadingLink::Label(..))));
    let repair = Repair::of(ask);
    let hit = |(index, broken): (usize, &Broken)| {
        let hit = Hit::new(
            broken.span.clone(),
            format!("`[{}]` is not linked: the label is not defined", broken.label),
        );
        let hit = hit.help(format!("define it: `[{}]: address`", broken.label)).warning_if(light);
        match repair.as_ref().and_then(|repair| repair.edit(ask, index, &broken.label)) {
            Some((proven, edit)) => hit.fix(proven, vec![edit]),
            None => hit,
        }
    };
    unlinked.into_iter().map(hit).collect()
}

/// What it takes to write a definition that is missing.
struct Repair<'a> {
    scheme: Scheme,
    neighbours: Neighbours<'a>,
    before: Before<'a>,
    /// For each section by its heading its index among the releases.
    releases: HashMap<usize, usize>,
}

impl<'a> Repair<'a> {
    fn of(ask: &'a Ask<'a>) -> Option<Self> {
        let scheme = Scheme::of(ask.log, ask.options.repository.as_deref(), ask.options.tags.as_deref())?;
        let releases =
            ask.releases.iter().enumerate().map(|(index, section)| (section.heading, index)).collect();
        Some(Repair { scheme, neighbours: Neighbours::of(ask.log), before: Before::of(ask), releases })
    }

    /// Whether the file itself shows how, and the edit.
    fn edit(&self, ask: &Ask, index: usize, label: &str) -> Option<(bool, Edit)> {
        let release = self.releases.get(&ask.log.sections[index].heading);
        let before = release.and_then(|index| self.before.expected(*index));
        let edit = definition_edit(ask.log, &self.scheme, &self.neighbours, index, label, before)?;
        Some((self.scheme.proven, edit))
    }
}

pub(super) fn duplicate(ask: &Ask) -> Vec<Hit> {
    let hit = |void: &Definition| {
        let first = ask.log.definition(&void.label)?;
        let hit = Hit::new(
            void.span.clone(),
            format!("`[{}]` is defined twice; only the first one counts", ask.text(&void.label_at)),
        );
        let hit = hit.related(first.span.clone(), "the first one").help("remove one of them");
        // Saying the same twice misleads nobody.
        let same = ask.log.url(first) == ask.log.url(void);
        Some(if same { hit.warning_if(true).fix(true, vec![removal(ask, void)]) } else { hit })
    };
    ask.log.definitions.iter().filter(|d| d.void).filter_map(hit).collect()
}

/// A definition taken away with its line.
fn removal(ask: &Ask, definition: &Definition) -> Edit {
    let eol = ask.log.text[definition.span.end..].find('\n').map_or(0, |at| at + 1);
    Edit { span: definition.span.start..definition.span.end + eol, text: String::new() }
}

/// The definitions whose label nobody uses; void ones are reported as doubled.
fn idle<'a>(ask: &'a Ask) -> impl Iterator<Item = &'a Definition> {
    let used: HashSet<&str> = ask.log.uses.iter().map(|used| used.label.as_str()).collect();
    // `[//]: # (words)` is how some people write comments.
    let is_comment = |d: &Definition| ask.log.url(d).starts_with('#');
    ask.log.definitions.iter().filter(move |d| !d.void && !used.contains(d.label.as_str()) && !is_comment(d))
}

/// The version that a label is, whole.
fn version_of<'a>(ask: &'a Ask, definition: &Definition) -> Option<&'a str> {
    let label = &ask.log.text[definition.label_at.clone()];
    let found = version::find(label, 0).filter(|found| found.parts >= 2)?;
    (found.at.end == label.len() && found.at.start == usize::from(found.prefixed)).then(|| &label[found.at])
}

pub(super) fn stray(ask: &Ask) -> Vec<Hit> {
    let known: HashSet<String> = ask
        .log
        .sections
        .iter()
        .filter_map(Section::version)
        .flat_map(|v| std::iter::once(&v.text).chain(&v.also))
        .map(|name| folded(name))
        .collect();
    let strays = idle(ask).filter_map(|d| version_of(ask, d).map(|version| (d, version)));
    let unknown = strays.filter(|(_, version)| !known.contains(&folded(version)));
    let hit = |(definition, version): (&Definition, &str)| {
        let hit = Hit::new(
            definition.span.clone(),
            format!("a link is defined for {version}, which is not in the file"),
        );
        hit.help("remove it, or bring the version's section back")
    };
    unknown.map(hit).collect()
}

pub(super) fn unused(ask: &Ask) -> Vec<Hit> {
    let others = idle(ask).filter(|d| version_of(ask, d).is_none());
    let hit = |definition: &Definition| {
        let hit = Hit::new(
            definition.span.clone(),
            format!("`[{}]` is never used", ask.text(&definition.label_at)),
        );
        hit.help("remove it").fix(true, vec![removal(ask, definition)])
    };
    others.map(hit).collect()
}

pub(super) fn not_linked(ask: &Ask) -> Vec<Hit> {
    let bare = ask
        .releases
        .iter()
        .filter(|section| ask.log.heading(section).link.is_none() && unlinked(ask, section).is_none());
    let hit = |section: &&Section| {
        Hit::new(ask.log.at(section), format!("{} is not linked", section.name()))
            .help("write it in brackets and define the link below")
    };
    bare.map(hit).collect()
}

pub(super) fn broken(ask: &Ask) -> Vec<Hit> {
    let headings: HashSet<usize> =
        ask.log.sections.iter().filter_map(|section| unlinked(ask, section)).map(|b| b.span.start).collect();
    let full = ask.log.broken.iter().filter(|b| b.full && !headings.contains(&b.span.start));
    let hit = |broken: &Broken| {
        Hit::new(broken.span.clone(), format!("the label `{}` is not defined", broken.label))
            .help(format!("define it: `[{}]: address`", broken.label))
    };
    full.map(hit).collect()
}
