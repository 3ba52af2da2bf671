//! The names of tags: `v1.2.0` for a final, `v1.2.0-rc3` (or `v1.2.0-rc.3`) for a candidate. The same without the `v`, or with
//! a large one, was made by somebody else, but says the same, and counts. Pure.

use semver::Version;
use step::Failure;

/// How a candidate's number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `rc3`
    Plain,
    /// `rc.3`
    Dotted,
}

impl Style {
    /// The word for it on the command line and in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Style::Plain => "plain",
            Style::Dotted => "dotted",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "plain" => Ok(Style::Plain),
            "dotted" => Ok(Style::Dotted),
            _ => Err(format!("`{word}` is not a style: write plain (v1.2.0-rc3) or dotted (v1.2.0-rc.3)")),
        }
    }

    /// A candidate's tag.
    pub fn tag(self, version: &Version, number: u64) -> String {
        match self {
            Style::Plain => format!("v{version}-rc{number}"),
            Style::Dotted => format!("v{version}-rc.{number}"),
        }
    }
}

/// What a tag's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `v1.2.0`
    Final(Version),
    /// `v1.2.0-rc3`: version, style, number. The first may be 0: others begin there.
    Candidate(Version, Style, u64),
    /// Meant as a candidate of a version, but its number cannot be counted: `v1.2.0-rc03`, `v1.2.0-RC3`.
    Odd(Version),
}

impl Name {
    /// Reads a name without `refs/tags/`; `None` for tags that are about something else.
    pub fn parse(tag: &str) -> Option<Self> {
        let rest = bare(tag);
        let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
        let version = Version::parse(core).ok().filter(|v| v.build.is_empty())?;
        let Some(pre) = pre else { return Some(Name::Final(version)) };
        if !pre.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("rc")) {
            return None;
        }
        let (style, digits) = match pre.strip_prefix("rc.") {
            Some(digits) => (Style::Dotted, digits),
            None => (Style::Plain, pre.strip_prefix("rc").unwrap_or_default()),
        };
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let number = digits.parse().ok().filter(|_| plain);
        Some(number.map_or(Name::Odd(version.clone()), |n| Name::Candidate(version, style, n)))
    }

    /// The version that it belongs to.
    pub fn version(&self) -> &Version {
        match self {
            Name::Final(version) | Name::Candidate(version, ..) | Name::Odd(version) => version,
        }
    }
}

/// A tag's name without its `v`.
pub fn bare(tag: &str) -> &str {
    tag.strip_prefix(['v', 'V']).unwrap_or(tag)
}

/// Whether a tag that is not counted reads like this version: `release-1.2.0`, `shop/v1.2.0-rc1`.
pub fn resembles(tag: &str, version: &Version, product: &str) -> bool {
    let words = ["release", "releases", "version", "rel", "ver", product];
    let lower = tag.to_lowercase();
    let rest = words
        .iter()
        .filter(|word| !word.is_empty())
        .find_map(|word| lower.strip_prefix(&word.to_lowercase()));
    let rest = rest.map(|rest| rest.trim_start_matches(['-', '_', '/', '@', '.']));
    rest.and_then(Name::parse).is_some_and(|name| name.version() == version)
}

/// Reads a version that can be tagged: three numbers and nothing else.
pub fn version(text: &str) -> Result<Version, Failure> {
    let parsed = Version::parse(text).map_err(|e| {
        let remedy = match Version::parse(bare(text)) {
            Ok(version) => format!("without the v it is one: {version}"),
            Err(_) => "write it like 1.2.0".to_owned(),
        };
        Failure::refused("version", format!("`{text}` is not a version for a tag ({e}); {remedy}"))
    })?;
    let core = Version::new(parsed.major, parsed.minor, parsed.patch);
    if parsed == core {
        return Ok(core);
    }
    let message = format!("`{text}` carries a pre-release or build part itself; give {core}");
    Err(Failure::refused("version", message))
}

/// Whether sorters that follow `SemVer` put this candidate after all with a lower number: `rc10` is below `rc2` for them.
pub fn sorts_as_counted(style: Style, number: u64) -> bool {
    style == Style::Dotted || number < 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them() {
        let v = Version::new(1, 2, 0);
        let candidate = |style, n| Some(Name::Candidate(v.clone(), style, n));
        for (tag, expected) in [
            ("v1.2.0", Some(Name::Final(v.clone()))),
            ("v1.2.0-rc3", candidate(Style::Plain, 3)),
            ("v1.2.0-rc.10", candidate(Style::Dotted, 10)),
            ("v1.2.0-rc03", Some(Name::Odd(v.clone()))),
            ("v1.2.0-rc0", candidate(Style::Plain, 0)),
            ("v1.2.0-rc.0", candidate(Style::Dotted, 0)),
            ("v1.2.0-rc00", Some(Name::Odd(v.clone()))),
            ("1.2.0", Some(Name::Final(v.clone()))),
            ("V1.2.0", Some(Name::Final(v.clone()))),
            ("1.2.0-rc3", candidate(Style::Plain, 3)),
            ("V1.2.0-rc.3", candidate(Style::Dotted, 3)),
            ("1.2.0-RC3", Some(Name::Odd(v.clone()))),
            ("v1.2.0-RC3", Some(Name::Odd(v.clone()))),
            ("v1.2.0-rc", Some(Name::Odd(v.clone()))),
            ("v1.2.0-rc3-fix", Some(Name::Odd(v.clone()))),
            ("v1.2.0-rc99999999999999999999999", Some(Name::Odd(v.clone()))),
            ("v1.2.0-beta1", None),
            ("v1.2.0-r\u{e9}", None),
            ("v1.2", None),
            ("v01.2.0", None),
            ("vv1.2.0", None),
            ("v-1.2.0", None),
            ("release-1.2.0", None),
            ("v1.2.0+build", None),
            ("release", None),
        ] {
            assert_eq!(Name::parse(tag), expected, "{tag}");
        }
    }

    #[test]
    fn what_reads_like_a_version_is_noticed() {
        let version = Version::new(1, 2, 0);
        for tag in [
            "release-1.2.0",
            "release/v1.2.0",
            "Release_1.2.0-rc1",
            "version1.2.0",
            "rel-1.2.0",
            "shop-1.2.0",
            "shop@1.2.0",
            "shop/v1.2.0-rc.3",
        ] {
            assert!(resembles(tag, &version, "Shop"), "{tag}");
        }
        for tag in ["release-1.2.1", "web-1.2.0", "release", "v1.2.0", "shop-1.2.0-beta1", "release-1.2", ""]
        {
            assert!(!resembles(tag, &version, "Shop"), "{tag}");
        }
        assert!(!resembles("-1.2.0", &version, ""));
    }

    #[test]
    fn a_style_writes_what_it_reads() {
        for style in [Style::Plain, Style::Dotted] {
            let name = Name::parse(&style.tag(&Version::new(1, 2, 0), 12));
            assert_eq!(name, Some(Name::Candidate(Version::new(1, 2, 0), style, 12)));
            assert_eq!(Style::parse(style.word()), Ok(style));
        }
        assert!(Style::parse("roman").is_err());
        assert!(sorts_as_counted(Style::Plain, 9) && !sorts_as_counted(Style::Plain, 10));
        assert!(sorts_as_counted(Style::Dotted, 10));
    }

    #[test]
    fn only_a_plain_version_is_tagged() {
        assert!(version("1.2.0").is_ok());
        for text in ["1.2", "1.2.0-rc1", "01.2.0", "next", "1.2.0+7", ""] {
            assert_eq!(version(text).expect_err(text).reason, "version");
        }
    }
}
