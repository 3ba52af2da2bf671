//! Rules about what the heading of the version that is being released says beside version and date.

use super::Ask;
use crate::changelog::Section;
use crate::hit::Hit;
use crate::title;

/// The section of the version that is being released.
fn asked<'a>(ask: &'a Ask) -> Option<&'a Section> {
    let wanted = ask.options.release.as_deref()?;
    ask.log.sections.iter().find(|section| section.version().is_some() && section.name() == wanted)
}

/// The words of a section's heading that say something that is not understood.
fn unsaid<'a>(ask: &'a Ask, section: &Section) -> Vec<&'a str> {
    title::unsaid(&ask.log.heading(section).text)
}

pub(super) fn words(ask: &Ask) -> Vec<Hit> {
    let Some(section) = asked(ask) else { return Vec::new() };
    let words = unsaid(ask, section);
    let others = || ask.releases.iter().filter(|other| other.heading != section.heading);
    let titled = || others().filter(|other| !unsaid(ask, other).is_empty()).count();
    if words.is_empty() || titled() * 2 > others().count() {
        return Vec::new();
    }
    let (name, said) = (section.name(), words.join(" "));
    let hit = Hit::new(
        ask.log.line_of(&ask.log.heading(section).span),
        format!("the heading of {name} also says `{said}`, which is not understood"),
    );
    vec![hit.help(format!(
        "put a code name into quotation marks; if {name} is a candidate, say so in its version: `{name}-rc1`; if it is not released yet, write `unreleased`"
    ))]
}

pub(super) fn withdrawn(ask: &Ask) -> Vec<Hit> {
    let marked = asked(ask).and_then(|section| Some((section, section.yanked.clone()?)));
    let hit = |(section, at): (&Section, _)| {
        Hit::new(at, format!("{} is marked as withdrawn", section.name()))
            .help("release a newer version, or remove the mark if it is wrong")
    };
    marked.map(hit).into_iter().collect()
}
