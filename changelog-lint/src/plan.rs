//! Which section a release takes its notes from, which findings stand in its way, or why it cannot be. Pure.

use changelog_lint::changelog::{Changelog, Section, Span};
use changelog_lint::finding::{Finding, Level};
use changelog_lint::manner;
use changelog_lint::notes::{self, Miss, Source};
use changelog_lint::version;
use step::Failure;

/// Why there is no section to release.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Where; at the top for the whole file.
    pub at: Span,
    /// Another place that belongs to it, and why.
    pub also: Option<(Span, &'static str)>,
    /// What to do.
    pub help: String,
    /// Whether it is the command line that makes no sense, and not the file.
    pub usage: bool,
}

impl Refusal {
    fn new(reason: &'static str, at: Span, message: String, help: impl Into<String>) -> Self {
        Refusal { reason, message, at, also: None, help: help.into(), usage: false }
    }
}

/// The section of the wanted version, or of the newest, if a release may take its notes from it.
pub fn choose<'c>(log: &'c Changelog, wanted: Option<&str>) -> Result<(&'c Section, Source), Refusal> {
    let (section, source) = match wanted {
        Some(version) => find(log, version)?,
        None => (newest(log)?, Source::Own),
    };
    if let Some(refusal) = announced(log, section).filter(|_| source == Source::Own) {
        return Err(refusal);
    }
    if log.is_empty(section) {
        let message = format!("the section of {} is empty", section.name());
        return Err(Refusal::new(
            "version-empty",
            log.at(section),
            message,
            "say what changed, at least one entry",
        ));
    }
    Ok((section, source))
}

/// A version whose heading says that it is not released is none to release.
fn announced(log: &Changelog, section: &Section) -> Option<Refusal> {
    let at = section.unreleased.clone().filter(|_| section.version().is_some())?;
    let (name, words) = (section.name(), &log.text[at.clone()]);
    let dated = words.chars().all(|c| !c.is_alphabetic() || "ymdxYMDX".contains(c))
        || words.to_lowercase().contains("date");
    Some(if dated {
        let help = format!("write the day of the release in its place: `changelog-lint promote {name}` does");
        Refusal::new("version-date", at.clone(), format!("{name} has no date yet: `{words}`"), help)
    } else {
        let help = format!("write the day of the release instead: `changelog-lint promote {name}` does");
        Refusal::new(
            "version-unreleased",
            at.clone(),
            format!("the heading of {name} says that it is not released: `{words}`"),
            help,
        )
    })
}

/// The one section of a version.
pub fn find<'c>(log: &'c Changelog, version: &str) -> Result<(&'c Section, Source), Refusal> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let (section, source) = own(log, version, bare)?;
    // Before the notes of another section are taken: perhaps the right heading is only not understood.
    let base = version::base(bare).filter(|_| source == Source::Unreleased);
    let meant = [Some(bare), base].into_iter().flatten().find_map(|name| mistaken(log, name));
    match meant.filter(|_| source != Source::Own) {
        Some(refusal) => Err(refusal),
        None => Ok((section, source)),
    }
}

fn own<'c>(log: &'c Changelog, version: &str, bare: &str) -> Result<(&'c Section, Source), Refusal> {
    notes::find(log, version).map_err(|miss| match miss {
        Miss::Missing => missing(log, bare),
        Miss::NoVersion => {
            let message = format!("`{version}` is no version; one looks like 1.2.0");
            let mut refusal =
                Refusal::new("version", 0..0, message, "ask for a version, for newest, or for unreleased");
            refusal.usage = true;
            refusal
        }
        Miss::Doubled(first, second) => {
            let help = "keep one of the two sections and move the entries of the other into it";
            let message = format!("{bare} has two sections");
            let mut refusal = Refusal::new("version-doubled", log.at(second), message, help);
            refusal.also = Some((log.at(first), "the first one"));
            refusal
        }
    })
}

fn missing(log: &Changelog, version: &str) -> Refusal {
    // A line that names the version but is not understood is the likelier cause than a missing one.
    mistaken(log, version).unwrap_or_else(|| {
        let first = log.releases().next();
        let at = first.map_or(0..0, |section| log.at(section));
        let newest = first.map(|section| format!("; the first one is {}", section.name()));
        let message = format!("no section for {version}{}", newest.unwrap_or_default());
        let heading = manner::heading(log, version, Some("YYYY-MM-DD"));
        let help = format!("write `{heading}` with the day of the release above the version before");
        Refusal::new("version-missing", at, message, help)
    })
}

/// The refusal that a version's heading is there and is not understood.
fn mistaken(log: &Changelog, version: &str) -> Option<Refusal> {
    let at = log.mistaken(version)?;
    let message = format!("this line names {version} but is not read as the heading of a version");
    let heading = manner::heading(log, version, Some("YYYY-MM-DD"));
    let help =
        format!("write `{heading}`, with the day of the release, at the beginning of a line of its own");
    Some(Refusal::new("heading-not-understood", at, message, help))
}

fn newest<'c>(log: &'c Changelog) -> Result<&'c Section, Refusal> {
    let none = || {
        let help = "write `## [1.0.0] - YYYY-MM-DD`, with the day of the release, and the changes below it";
        Refusal::new("version-missing", 0..0, "no section of a version".to_owned(), help)
    };
    let newest = notes::newest(log).ok_or_else(none)?;
    // By its own name as well: the newest may stand twice.
    let own = |section: &&Section| section.heading == newest.heading;
    match find(log, newest.name()) {
        Ok((section, _)) if own(&section) => Ok(section),
        Ok(_) => Ok(newest),
        Err(refusal) if newest.version().is_some_and(|v| v.package.is_none()) => Err(refusal),
        Err(_) => Ok(newest),
    }
}

/// The findings that stand in the way. Without a version told, all that weigh enough; with one, those of its section, of the
/// file as bytes, and of what the branch has changed: what is wrong elsewhere in an old section keeps no hotfix back.
pub fn in_the_way<'f>(findings: &'f [Finding], told: Option<&str>, least: Level) -> Vec<&'f Finding> {
    let counts = |finding: &&Finding| {
        let code = finding.rule.code;
        let close = told.is_none_or(|section| {
            finding.section.as_deref() == Some(section)
                || code.starts_with("CL00")
                || code.starts_with("CL60")
        });
        finding.level >= least && close
    };
    findings.iter().filter(counts).collect()
}

/// The failure that what looks like a newer release is read as none, with the way past it.
pub fn hidden(failure: Failure, newest: &str) -> Failure {
    failure.cause(format!("no setting and no comment switches this off above the newest release; if it is {newest} that you mean, say so: --release {newest}"))
}

/// The stable word for a finding that is the reason of a failure.
pub fn reason(finding: &Finding) -> &'static str {
    match finding.rule.name {
        "duplicate-version" => "version-doubled",
        "date-missing" | "date-format" | "date-impossible" | "date-future" => "version-date",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use changelog_lint::changelog::parse;
    use changelog_lint::findings;
    use changelog_lint::rules::Options;

    /// What a release of `wanted` (or of the newest) would be told.
    fn verdict(text: &str, wanted: Option<&str>) -> &'static str {
        let log = parse(text);
        let name = match choose(&log, wanted) {
            Err(refusal) => return refusal.reason,
            Ok((section, _)) => section.name().to_owned(),
        };
        let mut options = Options::on("2026-11-25".parse().expect("a day"));
        options.release = wanted.map(|_| name.clone());
        let findings = findings::of(&log, &options);
        in_the_way(&findings, wanted.map(|_| name.as_str()), Level::Error)
            .first()
            .map_or("fine", |f| reason(f))
    }

    #[test]
    fn a_release_is_refused_for_each_fault_of_its_section() {
        let fine = "## [1.2.0] - 2025-10-14\n- a\n## [1.1.0] - 2025-01-01\n- b\n";
        for (text, wanted, expected) in [
            (fine, None, "fine"),
            (fine, Some("1.1.0"), "fine"),
            (fine, Some("v1.2.0"), "fine"),
            (fine, Some("1.3.0"), "version-missing"),
            (fine, Some("1.2.0-rc2"), "fine"),
            ("", None, "version-missing"),
            ("# Changelog\n\n## [Unreleased]\n- a\n", None, "version-missing"),
            ("# Changelog\n\n## [Unreleased]\n- a\n", Some("1.0.0"), "version-missing"),
            ("# Changelog\n\n## [Unreleased]\n- a\n", Some("1.0.0-rc1"), "fine"),
            ("## [1.2.0]\n## [1.1.0]\n- b\n", None, "version-empty"),
            ("## [1.2.0]\n### Added\n\n## [1.1.0]\n- b\n", None, "version-empty"),
            ("## [1.2.0]\n- a\n## [1.2.0]\n- b\n", None, "version-doubled"),
            ("## [1.1.0]\n- a\n## [1.2.0]\n- b\n", Some("1.2.0"), "version-order"),
            ("## [1.2.0-rc10]\n- a\n## [1.2.0-rc9]\n- b\n", None, "fine"),
            ("## [1.2.0] - 2025-02-30\n- a\n", None, "version-date"),
            ("## [1.2.0] - 14.10.2025\n- a\n", Some("1.2.0"), "version-date"),
            ("## [1.2.0] - 2025-1-1\n- a\n", Some("1.2.0"), "version-date"),
            ("## [1.2.0] - 2099-01-01\n- a\n", None, "version-date"),
            ("## [1.2.0]\n- a\n", None, "fine"),
            ("## [1.1.0]\n- a\n## New: 1.2.0!\n- b\n", Some("1.2.0"), "heading-not-understood"),
            ("##1.3.0\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "heading-not-understood"),
            ("##1.3.0\n- n\n## 1.2.0\n- a\n", None, "heading-not-understood"),
            ("##1.3.0\n- n\n## 1.2.0\n- a\n", Some("1.2.0"), "fine"),
            (
                "## Unreleased\n- u\n**1.3.0**\n- n\n## 1.2.0\n- a\n",
                Some("1.3.0-rc1"),
                "heading-not-understood",
            ),
            ("##1.3.0-rc1\n- n\n## 1.3.0\n- a\n", Some("1.3.0-rc1"), "heading-not-understood"),
            ("## lock_api 0.4.14\n- n\n## 0.4.14!\n- n\n## 0.4.0\n- a\n", Some("0.4.1"), "version-missing"),
        ] {
            assert_eq!(verdict(text, wanted), expected, "{wanted:?} in {text}");
        }
    }

    #[test]
    fn what_is_not_released_or_no_version_is_refused() {
        for (text, wanted, expected) in [
            // What says that it is not released.
            ("## 1.3.0 (unreleased)\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "version-unreleased"),
            ("## 1.3.0 (unreleased)\n- n\n## 1.2.0\n- a\n", Some("1.3.0-rc1"), "fine"),
            ("## Draft: 1.3.0\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "version-unreleased"),
            ("## 1.3.0 - belum dirilis\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "version-unreleased"),
            ("## [1.3.0] - YYYY-MM-DD\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "version-date"),
            ("## [1.3.0] - 2025-XX-XX\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "version-date"),
            ("## [1.3.0] - ReleaseDate\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "version-date"),
            // A date is promised where the file has dates, but not of a candidate.
            ("## 1.3.0\n- n\n## 1.2.0 - 2025-01-01\n- a\n", Some("1.3.0"), "version-date"),
            ("## 1.3.0-rc1\n- n\n## 1.2.0 - 2025-01-01\n- a\n", Some("1.3.0-rc1"), "fine"),
            ("## 1.3.0\n- n\n## 1.2.0\n- a\n", Some("1.3.0"), "fine"),
            // Candidates in words.
            (
                "## 1.0.0 RC 2 - 2025-02-01\n- r\n## 0.9.0 - 2025-01-01\n- o\n",
                Some("1.0.0"),
                "version-missing",
            ),
            ("## 1.0.0 RC 2 - 2025-02-01\n- r\n## 0.9.0 - 2025-01-01\n- o\n", Some("1.0.0-rc.2"), "fine"),
            ("## 1.0.0\n- f\n## 1.0.0 RC 2\n- r\n## 1.0.0 RC 1\n- r\n", Some("1.0.0"), "fine"),
            // No version at all.
            ("## 1.0.0\n- f\n", Some("1.0.0("), "version"),
            ("## 1.0.0\n- f\n", Some("1.0.0x"), "version"),
            // What is wrong in another section keeps no release back, and a lint without a version finds it.
            ("## 1.2.0 - 2025-10-14\n- a\n## 1.1.0 - 2025-02-30\n- b\n", Some("1.2.0"), "fine"),
            ("## 1.2.0 - 2025-10-14\n- a\n## 1.1.0 - 2025-02-30\n- b\n", None, "version-date"),
        ] {
            assert_eq!(verdict(text, wanted), expected, "{wanted:?} in {text}");
        }
    }

    #[test]
    fn a_doubled_version_names_both_places() {
        let text = "## [1.2.0]\n- a\n## [1.2.0]\n- b\n";
        let log = parse(text);
        let refusal = choose(&log, None).expect_err("doubled");
        assert_eq!((refusal.at, refusal.also), (19..24, Some((4..9, "the first one"))));
    }
}
