//! The rules: one table, one function each, sorted by theme into files. A rule is pure: it reads the parsed changelog and what
//! was asked, and returns where it is broken.

mod base;
mod common;
mod dates;
mod file;
mod groups;
mod headings;
mod links;
mod said;
mod tags;
mod top;
mod versions;

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::changelog::{Changelog, Section};
use crate::finding::Level;
use crate::hit::Hit;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its stable code, such as `CL201`.
    pub code: &'static str,
    /// Its stable name, such as `duplicate-version`.
    pub name: &'static str,
    /// What is wrong, in one sentence.
    pub summary: &'static str,
    /// Why, and what to do.
    pub explanation: &'static str,
    /// Its level in each profile: default, strict, common.
    pub levels: [Level; 3],
    pub(crate) check: fn(&Ask) -> Vec<Hit>,
}

/// Which levels the rules have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Errors are wrong in every changelog; what many good ones do otherwise is off.
    #[default]
    Default,
    /// Keep a Changelog to the letter.
    Strict,
    /// Common Changelog.
    Common,
}

impl Profile {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Profile::Default),
            "strict" => Some(Profile::Strict),
            "common" => Some(Profile::Common),
            _ => None,
        }
    }
}

/// What is asked of the rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// The profile.
    pub profile: Profile,
    /// Levels that differ from the profile, by code.
    pub levels: BTreeMap<&'static str, Level>,
    /// Names of sections that are also right.
    pub sections: Vec<String>,
    /// The version that is being released.
    pub release: Option<String>,
    /// Whether the procedure promises a date for it, also where no other release has one.
    pub promised: bool,
    /// Today, UTC.
    pub today: Date,
    /// The file's name without folders.
    pub file_name: String,
    /// The repository's web address, for links that are to be written.
    pub repository: Option<String>,
    /// The repository's tags, if headings are to be compared with them.
    pub tags: Option<Vec<String>>,
    /// The file as it was where the branch began, if added lines are to be looked at.
    pub base: Option<String>,
    /// The 1-based line of the first byte that is no UTF-8.
    pub not_utf8: Option<usize>,
}

impl Options {
    /// The default profile on a day.
    pub fn on(today: Date) -> Self {
        Options {
            profile: Profile::Default,
            levels: BTreeMap::new(),
            sections: Vec::new(),
            release: None,
            promised: false,
            today,
            file_name: "CHANGELOG.md".to_owned(),
            repository: None,
            tags: None,
            base: None,
            not_utf8: None,
        }
    }

    /// The level of a rule.
    pub fn level(&self, rule: &Rule) -> Level {
        let index = self.profile as usize;
        self.levels.get(rule.code).copied().unwrap_or(rule.levels[index])
    }
}

/// A changelog and what is asked about it.
pub struct Ask<'a> {
    log: &'a Changelog<'a>,
    options: &'a Options,
    /// Whether it keeps to Keep a Changelog, or means to.
    keeps: bool,
    releases: Vec<&'a Section>,
}

const OFF: Level = Level::Off;
const WARN: Level = Level::Warning;
const ERROR: Level = Level::Error;

macro_rules! rules {
    ($($code:literal $name:literal [$default:ident $strict:ident $common:ident] $check:path, $summary:literal, $explanation:literal;)*) => {
        /// All rules, in the order of their codes.
        pub static RULES: &[Rule] = &[$(Rule {
            code: $code, name: $name, summary: $summary, explanation: $explanation,
            levels: [$default, $strict, $common], check: $check,
        }),*];
    };
}

rules! {
    "CL001" "not-utf8" [ERROR ERROR ERROR] file::not_utf8, "a byte is no UTF-8",
        "Convert the file, for example with iconv. Until then the byte is read as U+FFFD, and nothing is repaired.";
    "CL002" "conflict-marker" [ERROR ERROR ERROR] file::conflict_marker, "a merge left its markers",
        "`<<<<<<<`, `=======` or `>>>>>>>` stands in the file: resolve the conflict.";
    "CL003" "mixed-line-ends" [WARN WARN WARN] file::mixed_line_ends, "LF and CRLF are mixed",
        "Some tools take CR for text. `--fix` writes the kind that most lines have.";
    "CL004" "byte-order-mark" [OFF WARN WARN] file::byte_order_mark, "the file begins with a byte order mark",
        "Many tools do not see a heading on the first line then. `--fix` removes it.";
    "CL005" "unclosed-block" [ERROR ERROR ERROR] file::unclosed, "a comment or a code block is never closed and swallows releases",
        "Nothing below it is a heading to a reader. Close it with `-->`, or with its fence.";
    "CL006" "unused-disable" [WARN WARN WARN] file::none, "a comment disables what is not found, or no rule at all",
        "Remove the comment, or write the code or the name of a rule.";
    "CL007" "no-release" [ERROR ERROR ERROR] top::no_release, "the file has no heading of a version and no `Unreleased`",
        "A changelog has a heading for each version, such as `## [1.2.0] - 2025-10-14`.";

    "CL101" "title-missing" [OFF WARN ERROR] top::title_missing, "the file has no title",
        "Begin the file with `# Changelog`.";
    "CL102" "title-text" [OFF WARN ERROR] top::title_text, "the title is not `Changelog`",
        "Keep a Changelog and Common Changelog both begin with `# Changelog`.";
    "CL103" "multiple-titles" [WARN WARN ERROR] top::multiple_titles, "the file has more than one title",
        "Only one heading of the first level stands above the releases.";
    "CL104" "preamble" [OFF WARN ERROR] top::preamble, "the text above the releases is missing, or is not wanted",
        "Keep a Changelog says which format and which versioning scheme the file keeps to; Common Changelog has no text there.";
    "CL105" "file-name" [OFF OFF ERROR] top::file_name, "the file is not called CHANGELOG.md",
        "Common Changelog asks for this name, and tools look for it.";
    "CL111" "unreleased-missing" [OFF WARN OFF] top::unreleased_missing, "there is no `Unreleased` section",
        "Keep a Changelog keeps one at the top for what comes next.";
    "CL112" "unreleased-duplicate" [ERROR ERROR ERROR] top::unreleased_duplicate, "there are two `Unreleased` sections",
        "A merge often leaves two. Move the entries of one into the other.";
    "CL113" "unreleased-not-first" [ERROR ERROR ERROR] top::unreleased_not_first, "`Unreleased` stands below a released version",
        "It belongs to the top, above every release.";
    "CL114" "unreleased-forbidden" [OFF OFF ERROR] top::unreleased_forbidden, "there is an `Unreleased` section",
        "Common Changelog has none: its changes are written when a version is released.";

    "CL201" "duplicate-version" [ERROR ERROR ERROR] versions::duplicate, "a version has two sections",
        "Nobody knows which one counts. Keep one and move the entries of the other into it.";
    "CL202" "version-order" [ERROR ERROR ERROR] versions::order, "versions do not descend",
        "The latest version comes first. A candidate comes below its release; `rc10` is newer than `rc9`. In the default profile versions of several lines may be in the order of their days.";
    "CL203" "heading-not-understood" [ERROR ERROR ERROR] headings::not_understood, "a line looks like the heading of a release and is not read as one",
        "Readers see a release there (`##1.3.0`, `**1.3.0**`, a heading in a list, a slip in the version), and a tool that passes over it takes the notes of another one. A heading among the releases that names none is a warning.";
    "CL204" "version-empty" [OFF WARN ERROR] versions::empty, "a released version says nothing",
        "A version without an entry tells its users nothing.";
    "CL205" "semver" [OFF WARN ERROR] versions::semver, "a version is not one of Semantic Versioning",
        "Semantic Versioning has three numbers: 1.2.0, 1.2.0-rc.1. Leave this rule off if the project has another scheme.";
    "CL206" "v-prefix" [OFF WARN ERROR] versions::prefix, "a version has a `v`",
        "The tag is called v1.2.0, the version is 1.2.0. `--fix --unsafe` removes it, with the label of its definition.";
    "CL207" "heading-shape" [OFF WARN ERROR] headings::shape, "a release's heading has another form than `[1.2.0] - 2025-10-14`",
        "Tools read this form most surely.";
    "CL208" "heading-level" [OFF WARN ERROR] headings::level, "releases stand on different levels",
        "`## 1.1.0` below `# 1.2.0` looks like a part of it.";
    "CL209" "yanked-form" [WARN WARN OFF] headings::yanked, "a withdrawn release is not marked by `[YANKED]`",
        "Keep a Changelog writes `## [0.0.5] - 2014-12-13 [YANKED]`. Only where the file keeps to it.";

    "CL210" "heading-words" [WARN WARN WARN] said::words, "the heading of the version that is released says more than version and date",
        "With --release. A word that is not understood may say that it is a candidate or not released. A code name stands in quotation marks; files in which most headings have a title are left alone.";
    "CL211" "version-withdrawn" [ERROR ERROR ERROR] said::withdrawn, "the version that is released is marked as withdrawn",
        "With --release. What was withdrawn is not released again: release a newer version, or remove the mark.";

    "CL301" "date-missing" [WARN ERROR ERROR] dates::missing, "a released version has no date",
        "Readers want to know when. In the default profile only where other releases of the file have one. With --release it is an error for that version, and in the runbooks always.";
    "CL302" "date-format" [ERROR ERROR ERROR] dates::format, "a date is not written as YYYY-MM-DD",
        "05/06/2025 is two days. `--fix` rewrites it where only one day can be meant. In the default profile only where the file keeps to Keep a Changelog, or mixes forms.";
    "CL303" "date-impossible" [ERROR ERROR ERROR] dates::impossible, "a date is no day of the calendar, or there are two",
        "2025-02-29 never was, nor was anything released in the year 1. Look at the tag's date.";
    "CL304" "date-future" [ERROR ERROR ERROR] dates::future, "a date lies in the future",
        "It is later than tomorrow, UTC. A release that is planned is not released yet.";
    "CL305" "date-order" [WARN WARN WARN] dates::order, "a patch is dated before the one that it follows",
        "1.2.1 cannot be older than 1.2.0. A lower version that came later in another line (a backport) is fine.";

    "CL401" "unknown-section" [WARN WARN ERROR] groups::unknown, "a section of a release has none of the known names",
        "Keep a Changelog has Added, Changed, Deprecated, Removed, Fixed, Security; `sections` of [changelog-lint] allows more. In the default profile only where one of them is meant. `--fix` repairs case and decoration, `--fix --unsafe` also `Fixes`.";
    "CL402" "duplicate-section" [ERROR ERROR ERROR] groups::duplicate, "a release has the same section twice",
        "Merges leave this behind. `--fix --unsafe` moves the second one's content to the first. Only where the file keeps to Keep a Changelog.";
    "CL403" "section-order" [OFF WARN ERROR] groups::order, "sections are not in the order of the format",
        "Keep a Changelog lists Added, Changed, Deprecated, Removed, Fixed, Security; Common Changelog asks for Changed, Added, Removed, Fixed.";
    "CL404" "empty-section" [WARN WARN ERROR] groups::empty, "a section of a release is empty",
        "`--fix --unsafe` removes it. Under `Unreleased` empty sections wait for entries and are fine.";
    "CL405" "section-without-list" [OFF WARN ERROR] groups::no_list, "a section of a release has no list",
        "Entries are items of a list.";
    "CL406" "entry-outside-section" [OFF WARN ERROR] groups::outside, "an entry stands outside of the sections of its release",
        "Put it below Added, Changed, Fixed and so on. A summary in words is fine.";
    "CL407" "section-level" [WARN WARN ERROR] groups::level, "a section of a release stands on the level of releases",
        "`## Added` below `## 1.2.0` looks like a release of its own.";
    "CL408" "duplicate-entry" [OFF WARN WARN] groups::repeated, "a release has the same entry twice in one section",
        "Merges leave this behind. `--fix` removes the second one.";

    "CL501" "undefined-link" [ERROR ERROR ERROR] links::undefined, "a version stands in brackets but its link is not defined",
        "Readers see the brackets. `--fix` writes the definition where the others show how. It is a warning where no version of the file is linked by a definition.";
    "CL502" "duplicate-definition" [ERROR ERROR ERROR] links::duplicate, "a link is defined twice",
        "Only the first one counts. `--fix` removes one that says the same.";
    "CL503" "stray-definition" [WARN WARN WARN] links::stray, "a link is defined for a version that is not in the file",
        "A release was renamed or removed, or its definition was copied and not changed.";
    "CL504" "unused-definition" [OFF WARN WARN] links::unused, "a definition is never used",
        "`--fix` removes it.";
    "CL505" "link-base" [ERROR ERROR ERROR] links::base, "a version's link does not begin at the version before it",
        "The comparison shows other changes than those of the section. `--fix` repairs it.";
    "CL506" "link-target" [ERROR ERROR ERROR] links::target, "a version's link leads to another version",
        "`--fix` repairs it.";
    "CL507" "link-stale" [ERROR ERROR ERROR] links::stale, "the link of `Unreleased` does not begin at the newest release",
        "It was forgotten when the version was released. `--fix` repairs it.";
    "CL508" "version-not-linked" [OFF WARN WARN] links::not_linked, "a version is not linked",
        "Keep a Changelog: make versions linkable.";
    "CL509" "broken-reference" [WARN WARN WARN] links::broken, "`[text][label]` has no definition",
        "Readers see the brackets. Define the label, or write the address.";

    "CL601" "entry-in-released" [ERROR ERROR ERROR] base::entry, "an entry was added to a version that is already released",
        "With --base REF: since the branch left REF; by its words, however they are written. A merge puts entries silently into the section that was `Unreleased` before. Move it, or allow it with a comment.";
    "CL602" "release-lost" [ERROR ERROR ERROR] base::lost, "the heading of a released version has disappeared",
        "With --base REF: since the branch left REF. Bring it back.";
    "CL603" "version-without-tag" [ERROR ERROR ERROR] tags::missing, "a released version has no git tag",
        "With --tags; the newest version may still wait for its tag.";
    "CL604" "tag-without-version" [WARN WARN WARN] tags::undocumented, "a git tag of a release has no section",
        "With --tags. Candidates need none.";

    "CL701" "entry-reference" [OFF OFF ERROR] common::reference, "an entry names no change, issue or commit",
        "Common Changelog ends each entry with at least one reference, such as ([#194](url)).";
    "CL702" "entry-mood" [OFF OFF WARN] common::mood, "an entry does not begin in the imperative",
        "Common Changelog writes `Add`, not `Added` or `Adds`.";
    "CL703" "entry-lines" [OFF OFF ERROR] common::lines, "an entry has more than one line, or a list of its own",
        "Common Changelog has one line for each change.";
    "CL704" "breaking-first" [OFF OFF ERROR] common::breaking, "a breaking change stands below others",
        "Common Changelog puts `**Breaking:**` first in its group.";
    "CL705" "notice" [OFF OFF ERROR] common::notice, "a release has more than a notice above its groups",
        "Common Changelog allows one sentence there, and nothing else.";
}

/// A rule by its code or its name.
pub fn named(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(id) || rule.name.eq_ignore_ascii_case(id))
}

/// Whether it says that it keeps to Keep a Changelog, or most of its sections have those names.
fn keeps(log: &Changelog) -> bool {
    let groups = log.sections.iter().flat_map(|section| &section.groups);
    let (mut known, mut all) = (0, 0);
    for group in groups {
        all += 1;
        known += usize::from(crate::names::decorated(&log.headings[group.heading].text).is_some());
    }
    log.declares_keep_a_changelog() || known * 2 > all
}

impl<'a> Ask<'a> {
    pub(crate) fn of(log: &'a Changelog<'a>, options: &'a Options) -> Self {
        Ask { log, options, keeps: keeps(log), releases: log.releases().collect() }
    }

    fn strict(&self) -> bool {
        self.options.profile != Profile::Default
    }

    /// The text of a span.
    fn text(&self, span: &crate::changelog::Span) -> &str {
        &self.log.text[span.clone()]
    }
}
