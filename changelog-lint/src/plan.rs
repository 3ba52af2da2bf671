//! Which section a release takes its notes from, which findings stand in its way, or why it cannot be. Pure.

use changelog_lint::changelog::{Changelog, Section, Span};
use changelog_lint::finding::{Finding, Level};
use changelog_lint::notes::{self, Miss, Source};

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
}

impl Refusal {
    fn new(reason: &'static str, at: Span, message: String, help: impl Into<String>) -> Self {
        Refusal { reason, message, at, also: None, help: help.into() }
    }
}

/// The section of the wanted version, or of the newest, if a release may take its notes from it.
pub fn choose<'c>(log: &'c Changelog, wanted: Option<&str>) -> Result<(&'c Section, Source), Refusal> {
    let (section, source) = match wanted {
        Some(version) => find(log, version)?,
        None => (newest(log)?, Source::Own),
    };
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

/// The one section of a version.
pub fn find<'c>(log: &'c Changelog, version: &str) -> Result<(&'c Section, Source), Refusal> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    notes::find(log, version).map_err(|miss| match miss {
        Miss::Missing => missing(log, bare),
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
    // A heading that holds the version but is not understood is the likelier cause than a missing one.
    let strangers = log.strangers.iter().map(|index| &log.headings[*index]);
    let stranger = strangers.into_iter().find(|heading| heading.text.contains(version));
    let help = format!("write `## [{version}] - YYYY-MM-DD` above the version before");
    match stranger {
        Some(stranger) => {
            let message = format!("this heading holds {version} but is not the heading of a version");
            Refusal::new("heading-not-understood", log.line_of(&stranger.span), message, help)
        }
        None => {
            let first = log.releases().next();
            let at = first.map_or(0..0, |section| log.at(section));
            let newest = first.map(|section| format!("; the first one is {}", section.name()));
            Refusal::new(
                "version-missing",
                at,
                format!("no section for {version}{}", newest.unwrap_or_default()),
                help,
            )
        }
    }
}

fn newest<'c>(log: &'c Changelog) -> Result<&'c Section, Refusal> {
    let none = || {
        let help = "write `## [1.0.0] - YYYY-MM-DD` and the changes below it";
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

/// The stable word for a finding that is the reason of a failure.
pub fn reason(finding: &Finding) -> &'static str {
    match finding.rule.name {
        "duplicate-version" => "version-doubled",
        "date-format" | "date-impossible" | "date-future" => "version-date",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use changelog_lint::changelog::parse;
    use changelog_lint::rules::{Options, lint};

    /// What a release of `wanted` (or of the newest) would be told.
    fn verdict(text: &str, wanted: Option<&str>) -> &'static str {
        let log = parse(text);
        let name = match choose(&log, wanted) {
            Err(refusal) => return refusal.reason,
            Ok((section, _)) => section.name().to_owned(),
        };
        let mut options = Options::on("2026-11-25".parse().expect("a day"));
        options.release = wanted.map(|_| name.clone());
        let findings = lint(&log, &options);
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
