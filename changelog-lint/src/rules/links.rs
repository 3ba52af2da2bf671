//! Rules about the links of versions: each leads from the version before to its own.

mod before;
mod definitions;

use std::ops::Range;

use self::before::Before;
pub(super) use self::definitions::{broken, duplicate, not_linked, stray, undefined, unused};
use super::Ask;
use crate::changelog::{Section, Span};
use crate::finding::Edit;
use crate::hit::Hit;
use crate::host::{self, Shown};
use crate::links::address;
use crate::version::{self, Order};

/// A tag in a link: its place in the file and the version that it names.
fn tag(ask: &Ask, url: &Span, part: &Range<usize>) -> Option<(Span, String)> {
    let at = url.start + part.start..url.start + part.end;
    let tag = host::decoded(ask.text(&at));
    version::of_tag(&tag).map(|version| (at, version.to_owned()))
}

/// What the tag in a link should be, and whether that is certain: the one that the version's own link names, else the same tag with
/// another version in it. Where a word stands behind the version (`v0.4.0-polycool`), nobody knows what another one is called.
fn right_tag(ask: &Ask, tag: &str, found: &str, wanted: &Section) -> (String, bool) {
    if let Some(own) = crate::links::own_tag(ask.log, wanted) {
        return (own.to_owned(), true);
    }
    let version = wanted.name();
    let right =
        tag.strip_suffix(found).map_or_else(|| version.to_owned(), |prefix| format!("{prefix}{version}"));
    let plain = Order::of(found).is_some() && !version::has_word(found);
    (right, plain && wanted.version().is_some_and(|version| !version.spelled))
}

/// Whether a tag's version is that of a section.
fn is_of(section: &Section, found: &str) -> bool {
    let Some(version) = section.version() else { return false };
    let same = |name: &String| version::same(name, found) || version::is_form_of(found, name);
    // What a tag is called whose candidate the heading names in words is not known.
    let spelled = || {
        version.spelled
            && Order::of(found)
                .zip(Order::of(&version.text))
                .is_some_and(|(one, other)| one.same_numbers(&other))
    };
    std::iter::once(&version.text).chain(&version.also).any(same) || spelled()
}

pub(super) fn target(ask: &Ask) -> Vec<Hit> {
    let before = Before::of(ask);
    let wrong = |(index, section): (usize, &&Section)| {
        let url = address(ask.log, section)?;
        let shown = host::read(ask.text(&url))?;
        let (Shown::Range { target: part, .. } | Shown::Tag(part)) = &shown;
        let (at, found) = tag(ask, &url, part)?;
        (!is_of(section, &found)).then(|| {
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
    base: Option<(Span, String, &Section)>,
) -> Hit {
    let hit = Hit::new(at.clone(), format!("the link of {} leads to {found}", section.name()))
        .section(section.name());
    let hit = hit.related(ask.log.at(section), "this version");
    let (right, mut safe) = right_tag(ask, ask.text(&at), found, section);
    let hit = hit.help(format!("write `{right}`"));
    let mut edits = vec![Edit { span: at, text: right }];
    if let Some((at, from, expected)) = base {
        let (text, sure) = right_tag(ask, ask.text(&at), &from, expected);
        safe &= sure;
        edits.push(Edit { text, span: at });
    }
    hit.fix(safe, edits)
}

pub(super) fn base(ask: &Ask) -> Vec<Hit> {
    let before = Before::of(ask);
    let wrong = |(index, section): (usize, &&Section)| {
        let url = address(ask.log, section)?;
        let Shown::Range { base: part, target } = host::read(ask.text(&url))? else { return None };
        let (at, found) = tag(ask, &url, &part)?;
        // A link to a wrong version is said once.
        tag(ask, &url, &target).filter(|(_, to)| is_of(section, to))?;
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
            let (right, safe) = right_tag(ask, ask.text(&at), found, expected);
            let help = format!("the version before is {}: write `{right}`", expected.name());
            hit.help(help).fix(safe, vec![Edit { span: at, text: right }])
        }
        None => hit.help("it must begin at the version before"),
    }
}

pub(super) fn stale(ask: &Ask) -> Vec<Hit> {
    let section = ask.log.sections.iter().find(|section| section.version().is_none());
    let url = match section {
        Some(section) => address(ask.log, section),
        None => ask.log.definition("unreleased").map(|definition| definition.url_at.clone()),
    };
    let Some(url) = url else { return Vec::new() };
    let Some(Shown::Range { base, .. }) = host::read(ask.text(&url)) else { return Vec::new() };
    let Some((at, found)) = tag(ask, &url, &base) else { return Vec::new() };
    let Some(newest) = crate::notes::newest(ask.log) else { return Vec::new() };
    if newest_ones(ask).iter().any(|section| is_of(section, &found)) {
        return Vec::new();
    }
    let (right, safe) = right_tag(ask, ask.text(&at), &found, newest);
    let hit = Hit::new(
        at.clone(),
        format!("the link of `Unreleased` begins at {found}, but {} is out", newest.name()),
    );
    vec![
        hit.section("Unreleased")
            .related(ask.log.at(newest), "the newest release")
            .help(format!("write `{right}`"))
            .fix(safe, vec![Edit { span: at, text: right }]),
    ]
}

/// What counts as the newest release: the first of the file or the highest, with or without candidates.
fn newest_ones<'a>(ask: &'a Ask) -> Vec<&'a Section> {
    let stable =
        |section: &&&Section| Order::of(section.name()).is_some_and(|order| !order.is_before_release());
    let highest =
        |sections: Vec<&'a Section>| sections.into_iter().max_by_key(|section| Order::of(section.name()));
    let all: Vec<&Section> = ask.releases.clone();
    let finals: Vec<&Section> = ask.releases.iter().filter(stable).copied().collect();
    let first = [crate::notes::newest(ask.log), finals.first().copied()];
    first.into_iter().chain([highest(all), highest(finals)]).flatten().collect()
}
