//! Which section the release takes its notes from, or why it cannot. Pure.

use std::ops::Range;

use jiff::civil::Date;

use crate::changelog::{Changelog, Release};
use crate::version::Order;

/// Something wrong with the changelog, with its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The stable word.
    pub reason: &'static str,
    /// Whether it stops the release.
    pub fatal: bool,
    /// One sentence.
    pub message: String,
    /// Where; empty for the whole file.
    pub at: Range<usize>,
    /// Another place that belongs to it, and why.
    pub also: Option<(Range<usize>, &'static str)>,
    /// What to do.
    pub help: String,
}

impl Finding {
    fn fatal(reason: &'static str, at: Range<usize>, message: String, help: impl Into<String>) -> Self {
        Finding { reason, fatal: true, message, at, also: None, help: help.into() }
    }
}

/// The section of the wanted version, or of the newest, if a release may take its notes from it.
pub fn choose<'c>(changelog: &'c Changelog, wanted: Option<&str>) -> Result<&'c Release, Finding> {
    let section = match wanted {
        Some(version) => find(changelog, version)?,
        None => newest(changelog)?,
    };
    // By its own name as well: the newest may stand twice.
    let section = find(changelog, &section.version)?;
    not_empty(changelog, section)?;
    in_order(changelog, section)?;
    well_dated(changelog, section)?;
    Ok(section)
}

/// The one section of a version.
pub fn find<'c>(changelog: &'c Changelog, version: &str) -> Result<&'c Release, Finding> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let mut named = changelog.releases.iter().filter(|r| r.version == bare);
    let Some(first) = named.next() else { return Err(missing(changelog, bare)) };
    match named.next() {
        None => Ok(first),
        Some(second) => {
            let help = "keep one of the two sections and move the entries of the other into it";
            let message = format!("{bare} has two sections");
            let mut finding = Finding::fatal("version-doubled", second.at.clone(), message, help);
            finding.also = Some((first.at.clone(), "the first one"));
            Err(finding)
        }
    }
}

fn missing(changelog: &Changelog, version: &str) -> Finding {
    // A heading that holds the version but is not understood is the likelier cause than a missing one.
    let text = changelog.text();
    let stranger = changelog.strangers.iter().find(|s| text[s.heading.clone()].contains(version));
    let help = format!("write `## [{version}] - YYYY-MM-DD` above the version before");
    match stranger {
        Some(stranger) => {
            let message = format!("this heading holds {version} but is not the heading of a version");
            Finding::fatal("heading-not-understood", stranger.heading.clone(), message, help)
        }
        None => {
            let at = changelog.releases.first().map_or(0..0, |r| r.at.clone());
            let newest = changelog.releases.first().map(|r| format!("; the first one is {}", r.version));
            let message = format!("no section for {version}{}", newest.unwrap_or_default());
            Finding::fatal("version-missing", at, message, help)
        }
    }
}

fn newest<'c>(changelog: &'c Changelog) -> Result<&'c Release, Finding> {
    let none = || {
        let help = "write `## [1.0.0] - YYYY-MM-DD` and the changes below it";
        Finding::fatal("version-missing", 0..0, "no section of a version".to_owned(), help)
    };
    changelog.releases.first().ok_or_else(none)
}

fn not_empty(changelog: &Changelog, section: &Release) -> Result<(), Finding> {
    if changelog.entries(section).next().is_some() {
        return Ok(());
    }
    let message = format!("the section of {} is empty", section.version);
    let help = "say what changed, at least one entry";
    Err(Finding::fatal("version-empty", section.at.clone(), message, help))
}

/// Above a version stand only newer ones, below it only older ones.
fn in_order(changelog: &Changelog, section: &Release) -> Result<(), Finding> {
    let Some(order) = Order::of(&section.version) else { return Ok(()) };
    let (above, below): (Vec<_>, Vec<_>) =
        changelog.releases.iter().filter(|r| *r != section).partition(|r| r.at.start < section.at.start);
    let older = above.iter().find(|r| Order::of(&r.version).is_some_and(|o| o < order));
    let newer = below.iter().find(|r| Order::of(&r.version).is_some_and(|o| o > order));
    let (other, why) = match (older, newer) {
        (Some(older), _) => (older, "is older and stands above it"),
        (None, Some(newer)) => (newer, "is newer and stands below it"),
        (None, None) => return Ok(()),
    };
    let message = format!("{} is out of order: {} {why}", section.version, other.version);
    let help = "the latest version comes first";
    let mut finding = Finding::fatal("version-order", section.at.clone(), message, help);
    finding.also = Some((other.at.clone(), "this one"));
    Err(finding)
}

fn well_dated(changelog: &Changelog, section: &Release) -> Result<(), Finding> {
    let Some((date, at)) = section.date(changelog.text()).zip(section.date.clone()) else { return Ok(()) };
    let shaped = date.len() == 10
        && date.bytes().enumerate().all(|(i, b)| matches!((i, b), (4 | 7, b'-') | (_, b'0'..=b'9')));
    if shaped && date.parse::<Date>().is_ok() {
        return Ok(());
    }
    let message = match shaped {
        true => format!("{} is dated {date}, a day that does not exist", section.version),
        false => format!("{} is dated `{date}`, which is no ISO date", section.version),
    };
    Err(Finding::fatal("version-date", at, message, "write the date as YYYY-MM-DD"))
}

/// What a person should look at, but what does not stop the release.
pub fn warnings(changelog: &Changelog, section: &Release) -> Vec<Finding> {
    let undated = section.date.is_none().then(|| Finding {
        reason: "date-missing",
        fatal: false,
        message: format!("{} has no date", section.version),
        at: section.at.clone(),
        also: None,
        help: format!("write `## [{}] - YYYY-MM-DD`", section.version),
    });
    let strangers = changelog.strangers.iter().map(|stranger| Finding {
        reason: "heading-not-understood",
        fatal: false,
        message: "this heading stands among the versions and is none".to_owned(),
        at: stranger.heading.clone(),
        also: None,
        help: "what stands below it belongs to no version".to_owned(),
    });
    undated.into_iter().chain(strangers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changelog::parse;

    fn reason(text: &str, wanted: Option<&str>) -> &'static str {
        choose(&parse(text), wanted).map_or_else(|finding| finding.reason, |_| "fine")
    }

    #[test]
    fn a_release_is_refused_for_each_fault_of_its_section() {
        let fine = "## [1.2.0] - 2025-10-14\n- a\n## [1.1.0] - 2025-01-01\n- b\n";
        for (text, wanted, expected) in [
            (fine, None, "fine"),
            (fine, Some("1.1.0"), "fine"),
            (fine, Some("v1.2.0"), "fine"),
            (fine, Some("1.3.0"), "version-missing"),
            ("", None, "version-missing"),
            ("# Changelog\n\n## [Unreleased]\n- a\n", None, "version-missing"),
            ("## [1.2.0]\n## [1.1.0]\n- b\n", None, "version-empty"),
            ("## [1.2.0]\n### Added\n\n## [1.1.0]\n- b\n", None, "version-empty"),
            ("## [1.2.0]\n- a\n## [1.2.0]\n- b\n", None, "version-doubled"),
            ("## [1.1.0]\n- a\n## [1.2.0]\n- b\n", Some("1.2.0"), "version-order"),
            ("## [1.1.0]\n- a\n## [1.2.0]\n- b\n", None, "version-order"),
            ("## [1.2.0-rc10]\n- a\n## [1.2.0-rc9]\n- b\n", None, "fine"),
            ("## [1.2.0] - 2025-02-30\n- a\n", None, "version-date"),
            ("## [1.2.0] - 14.10.2025\n- a\n", None, "version-date"),
            ("## [1.2.0] - 2025-1-1\n- a\n", None, "version-date"),
            ("## [1.2.0]\n- a\n", None, "fine"),
            ("## [1.1.0]\n- a\n## New: 1.2.0!\n- b\n", Some("1.2.0"), "heading-not-understood"),
        ] {
            assert_eq!(reason(text, wanted), expected, "{wanted:?} in {text}");
        }
    }

    #[test]
    fn a_doubled_version_names_both_places() {
        let text = "## [1.2.0]\n- a\n## [1.2.0]\n- b\n";
        let finding = choose(&parse(text), None).expect_err("doubled");
        assert_eq!((finding.at, finding.also), (19..24, Some((4..9, "the first one"))));
    }

    #[test]
    fn a_missing_date_is_worth_a_word() {
        let text = "## [1.2.0]\n- a\n";
        let log = parse(text);
        assert_eq!(warnings(&log, &log.releases[0])[0].reason, "date-missing");
    }
}
