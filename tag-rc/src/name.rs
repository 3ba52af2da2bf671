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

/// Whether a tag that is not counted reads like this version: `release-1.2.0`, `app/v1.2`, `v1.2.0.0`, `v1.2.0rc1`, `v1_2_0-final`. Any
/// run of numbers in it counts, with dots or the like between them, with zeros before and behind them or without.
pub fn resembles(tag: &str, version: &Version) -> bool {
    if Name::parse(tag).is_some_and(|name| name.version() == version) {
        return false;
    }
    let wanted = trimmed(vec![version.major, version.minor, version.patch]);
    let joined = |c: char| if matches!(c, '_' | '-') { '.' } else { c };
    let digits: String = tag.chars().map(digit).collect();
    let both = [digits.clone(), digits.chars().map(joined).collect()];
    both.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_digit() && c != '.')).any(|run| {
        let run: Vec<&str> = run.trim_matches('.').split('.').collect();
        let numbers: Option<Vec<u64>> = run.iter().map(|number| number.parse().ok()).collect();
        run.len() > 1 && numbers.is_some_and(|numbers| trimmed(numbers) == wanted)
    })
}

/// Zeros at the end say nothing, but for the first two numbers.
fn trimmed(mut numbers: Vec<u64>) -> Vec<u64> {
    while numbers.len() > 2 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

/// A digit or a dot of another script as ours; anything else as it is.
fn digit(c: char) -> char {
    let from = |zero: char| char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c);
    match c {
        '\u{ff10}'..='\u{ff19}' => from('\u{ff10}'),
        '\u{660}'..='\u{669}' => from('\u{660}'),
        '\u{ff0e}' | '\u{2024}' | '\u{b7}' => '.',
        _ => c,
    }
}

/// Reads a version that can be tagged: three numbers and nothing else.
pub fn version(text: &str) -> Result<Version, Failure> {
    let shown = crate::message::printable(text);
    let parsed = Version::parse(text).map_err(|_| {
        let remedy = match Version::parse(bare(text)) {
            Ok(version) => format!("without the v it is one: {version}"),
            Err(_) => wrong(bare(text)).to_owned(),
        };
        Failure::refused("version", format!("`{shown}` is not a version for a tag: {remedy}"))
    })?;
    let core = Version::new(parsed.major, parsed.minor, parsed.patch);
    if parsed == core {
        return Ok(core);
    }
    let message = format!("`{shown}` carries a pre-release or build part itself; give {core}");
    Err(Failure::refused("version", message))
}

/// What is wrong with it, in words for whoever wrote it.
fn wrong(text: &str) -> &'static str {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let all_digits = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    match (all_digits, numbers.len()) {
        (true, 0..=2) => "it needs three numbers, like 1.2.0",
        (true, 4..) => "it has more than three numbers; write it like 1.2.0",
        (true, _) if numbers.iter().any(|n| n.len() > 1 && n.starts_with('0')) => {
            "a number in it begins with a zero; write it like 1.2.0"
        }
        (true, _) if numbers.iter().any(|n| n.parse::<u64>().is_err()) => "a number in it is too large",
        _ => "write it like 1.2.0",
    }
}

/// The branch that was meant: the same without what git writes before it (`origin/`, `refs/heads/`) or in small letters, or nearly so.
pub fn near<'a>(branch: &str, all: impl Iterator<Item = &'a str> + Clone, remote: &str) -> Option<&'a str> {
    let bare = ["refs/heads/", "refs/remotes/", "remotes/", "heads/"]
        .iter()
        .fold(branch, |b, start| b.strip_prefix(start).unwrap_or(b));
    let bare = bare
        .strip_prefix(remote)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(bare)
        .trim_matches('/')
        .to_lowercase();
    let same = all.clone().find(|name| name.to_lowercase() == bare);
    let score = |name: &str| strsim::jaro_winkler(&bare, &name.to_lowercase());
    same.or_else(|| all.filter(|name| score(name) > 0.85).max_by(|a, b| score(a).total_cmp(&score(b))))
}

/// Reads a candidate's number on the command line.
pub fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().ok().filter(|n| *n > 0).ok_or_else(|| {
        "a candidate's number is a whole number from 1 on, such as 4 for v1.2.0-rc4".to_owned()
    })
}

/// Whether sorters that follow `SemVer` put this candidate after all with a lower number: `rc10` is below `rc2` for them.
pub fn sorts_as_counted(style: Style, number: u64) -> bool {
    style == Style::Dotted || number < 10
}

/// The first twelve digits of an id.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
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

    /// Names that read like 1.6.0.
    const LIKE: &str = "release-1.6.0 release/v1.6.0 Release_1.6.0-rc1 version1.6.0 rel-1.6.0 shop@1.6.0 web-1.6.0 \
        v1.6 v1.6.0.0 v01.6.0 vv1.6.0 v.1.6.0 v1.6.0-final v1.6.0+build app/v1.6.0 app/v1.6.0-rc1 \
        v1.6.0rc1 1.6.0rc1 v1.6.0_rc1 v1.6.0-c1 v1.6.0-candidate1 v1.6.0-beta1 v1.6.0-r\u{441}1 v1_6_0 \
        v1-6-0 1.6 v1.06.0 v1.6.00 k8s-v1.6.0 v-1.6.0 V1.6.0.RC1 v1.6.0.rc.1 v1.6-rc1 v1.6.0-hotfix \
        2026-11-27-v1.6.0 v\u{ff11}.\u{ff16}.\u{ff10} refs/tags/v1.6.0 v1.6.0-20251127";
    /// Names that do not, or that are counted.
    const UNLIKE: &str = "release-1.6.1 release v1.6.0 1.6.0-rc2 V1.6.0-RC3 v11.6.0 v1.60.0 v1.6.0.1 v2.1.6.0 v16 v1 \
        nightly-20251127 v1.6.1-rc1 ...";

    #[test]
    fn what_reads_like_a_version_is_noticed() {
        let version = Version::new(1, 6, 0);
        for tag in LIKE.split_whitespace() {
            assert!(resembles(tag, &version), "{tag}");
        }
        for tag in UNLIKE.split_whitespace().chain([""]) {
            assert!(!resembles(tag, &version), "{tag}");
        }
        assert!(resembles("v1.0", &Version::new(1, 0, 0)) && !resembles("v1.0", &Version::new(1, 1, 0)));
    }

    #[test]
    fn a_branch_that_is_not_there_leads_to_the_one_that_was_meant() {
        let all = ["develop", "main", "staging", "hotfix/pay"];
        for (branch, meant) in [
            ("stagin", Some("staging")),
            ("origin/staging", Some("staging")),
            ("refs/heads/staging", Some("staging")),
            ("refs/remotes/origin/staging", Some("staging")),
            ("Staging", Some("staging")),
            ("STAGING", Some("staging")),
            ("stagging", Some("staging")),
            ("staging/", Some("staging")),
            ("mian", Some("main")),
            ("devlop", Some("develop")),
            ("hotfix/pya", Some("hotfix/pay")),
            ("qa", None),
            ("", None),
        ] {
            assert_eq!(near(branch, all.into_iter(), "origin"), meant, "{branch}");
        }
    }

    #[test]
    fn what_is_no_version_is_told_in_our_own_words() {
        for (text, words) in [
            ("1.2", "three numbers"),
            ("1", "three numbers"),
            ("v1.2", "three numbers"),
            ("1.2.3.4", "more than three"),
            ("01.2.0", "begins with a zero"),
            ("1.2.99999999999999999999999", "too large"),
            ("", "write it like 1.2.0"),
            ("next", "write it like 1.2.0"),
            ("1..0", "write it like 1.2.0"),
            ("v1.2.0", "without the v it is one: 1.2.0"),
        ] {
            let message = version(text).expect_err(text).message.clone();
            assert!(message.contains(words), "{text}: {message}");
            for parser in ["parsing", "u64", "unexpected", "expected"] {
                assert!(!message.contains(parser), "{message}");
            }
        }
        assert_eq!(number("4"), Ok(4));
        for text in ["0", "-1", "x", "", "99999999999999999999999", "1.5"] {
            assert!(number(text).is_err_and(|why| why.contains("whole number from 1")), "{text}");
        }
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
