//! JUnit's XML, which many tools write and no two alike: each suite is counted, and compared with what it says about itself. An error may be only a
//! number of a suite without any test, and the numbers at the top may count something else, or nothing.
//!
//! It is read as a stream, in pieces of a bounded size. A document type is refused, so nothing is ever expanded or fetched.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::errors::Error;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::draft::{Counts, Draft};
use super::fold::Text;
use super::shortened::MOST;
use super::{Wrong, counted, source};

/// No tag and no text is larger: the parser keeps a whole one.
const PIECE: usize = 8 << 20;
/// No report has more inside of each other.
const DEPTH: usize = 64;

/// Reads one report.
pub fn parse(source: impl BufRead) -> Result<Draft, String> {
    let mut xml = Reader::from_reader(Pieces { inner: source, left: PIECE });
    xml.config_mut().expand_empty_elements = true;
    let mut state = State::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        xml.get_mut().left = PIECE;
        match xml.read_event_into(&mut buffer).map_err(|e| trouble(&e))? {
            Event::Start(tag) => state.begin(&tag)?,
            Event::End(_) => state.end(),
            Event::Text(text) => state.text(&text),
            Event::CData(text) => state.text(&text),
            Event::GeneralRef(reference) => state.text(&resolved(&reference)),
            Event::DocType(kind) => return Err(document_type(&kind).into()),
            Event::Eof => return state.whole(),
            _ => {}
        }
    }
}

fn trouble(error: &Error) -> String {
    match error {
        Error::Io(error) => source::unreadable(error),
        Error::Syntax(_) => "cut off, or no XML".into(),
        _ => "no well-formed XML".into(),
    }
}

fn document_type(text: &str) -> &'static str {
    if text.trim_start().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("html")) {
        PAGE
    } else {
        "XML with a document type"
    }
}

const PAGE: &str = "a page in HTML";

fn resolved(reference: &BytesRef) -> String {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => character.into(),
        _ => resolve_predefined_entity(reference).unwrap_or_default().into(),
    }
}

/// What an element is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    Suite,
    Case,
    /// Something is wrong, and its text says what.
    Trouble,
    Other,
}

#[derive(Default)]
struct State {
    draft: Draft,
    path: Vec<Kind>,
    suites: Vec<Suite>,
    case: Case,
    cases: u64,
    roots: u64,
}

/// What a suite says about itself, and what was counted before it.
struct Suite {
    name: String,
    tests: u64,
    bad: u64,
    skipped: u64,
    before: Counts,
    outside: u64,
    cases: u64,
}

/// A test that is being read.
#[derive(Default)]
struct Case {
    name: String,
    file: Text,
    line: Option<u64>,
    failed: bool,
    flaky: bool,
    skipped: bool,
    message: String,
}

impl State {
    fn begin(&mut self, tag: &BytesStart) -> Result<(), String> {
        let name = tag.local_name();
        let name = name.as_ref();
        let kind = match (self.path.last(), name) {
            (None, "testsuites") => Kind::All,
            (None | Some(Kind::All | Kind::Suite), "testsuite") => Kind::Suite,
            (Some(Kind::Suite | Kind::All), "testcase") => Kind::Case,
            (Some(Kind::Case), _) => self.inside(name, tag),
            (_, "testcase" | "testsuite" | "testsuites") => {
                return Err("XML of another shape than JUnit's".into());
            }
            (None, "html") => return Err(PAGE.into()),
            (None, _) => return Err("XML, but none in JUnit's form".into()),
            _ => Kind::Other,
        };
        self.roots += u64::from(self.path.is_empty());
        if self.path.len() == DEPTH || self.roots > 1 {
            return Err("XML of another shape than JUnit's".into());
        }
        self.path.push(kind);
        match kind {
            Kind::All | Kind::Suite => self.suites.push(self.suite(tag)?),
            Kind::Case => self.case = Case::new(tag),
            _ => {}
        }
        Ok(())
    }

    fn suite(&self, tag: &BytesStart) -> Result<Suite, String> {
        Ok(Suite {
            name: attribute(tag, "name").unwrap_or_default(),
            tests: number(tag, "tests")?,
            bad: number(tag, "failures")?.saturating_add(number(tag, "errors")?),
            skipped: number(tag, "skipped")?.max(number(tag, "disabled")?),
            before: self.draft.counts,
            outside: self.draft.outside,
            cases: self.cases,
        })
    }

    /// An element within a test.
    fn inside(&mut self, name: &str, tag: &BytesStart) -> Kind {
        match name {
            "failure" | "error" => self.case.failed = true,
            "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => self.case.flaky = true,
            "skipped" | "disabled" => {
                self.case.skipped = true;
                return Kind::Other;
            }
            _ => return Kind::Other,
        }
        if self.case.message.is_empty() {
            self.case.message = attribute(tag, "message").unwrap_or_default();
        }
        Kind::Trouble
    }

    fn text(&mut self, text: &str) {
        if self.path.last() == Some(&Kind::Trouble) {
            append(&mut self.case.message, text);
        }
    }

    fn end(&mut self) {
        match self.path.pop() {
            Some(Kind::Case) => {
                self.cases += 1;
                std::mem::take(&mut self.case).add_to(&mut self.draft);
            }
            Some(kind @ (Kind::All | Kind::Suite)) => {
                if let Some(suite) = self.suites.pop() {
                    self.compare(&suite, kind);
                }
            }
            _ => {}
        }
    }

    /// What a suite announces and does not list is no less true.
    fn compare(&mut self, suite: &Suite, kind: Kind) {
        let Counts { failed, skipped, .. } = self.draft.counts;
        let bad = (failed - suite.before.failed).saturating_add(self.draft.outside - suite.outside);
        let cases = self.cases - suite.cases;
        let wrong = |message| Wrong { name: suite.name.clone(), message, ..Wrong::default() };
        if suite.bad > bad {
            let more = suite.bad - bad;
            self.draft.outside(wrong(format!("{} outside of its tests", counted(more, "error"))));
            self.draft.outside = self.draft.outside.saturating_add(more - 1);
        }
        let unseen = suite.skipped.saturating_sub(skipped - suite.before.skipped);
        let counts = &mut self.draft.counts;
        counts.skipped = counts.skipped.saturating_add(unseen);
        counts.passed = counts.passed.saturating_sub(unseen).max(suite.before.passed);
        // The number at the top may be one of requests, or of files.
        if kind == Kind::Suite && suite.tests > cases {
            self.draft
                .outside(wrong(format!("it announces {}, and lists {cases}", counted(suite.tests, "test"))));
        }
        self.draft.warnings += u64::from(kind == Kind::Suite && cases == 0);
    }

    fn whole(self) -> Result<Draft, String> {
        match (self.roots, self.path.is_empty()) {
            (0, _) => Err("XML, but none in JUnit's form".into()),
            (_, false) => Err("cut off: it ends in the middle".into()),
            _ => Ok(self.draft),
        }
    }
}

impl Case {
    fn new(tag: &BytesStart) -> Self {
        let own = attribute(tag, "name").unwrap_or_default();
        let class = attribute(tag, "classname").unwrap_or_default();
        let status = [attribute(tag, "status"), attribute(tag, "result")].map(Option::unwrap_or_default);
        let says =
            |words: &[&str]| status.iter().any(|s| words.iter().any(|word| s.eq_ignore_ascii_case(word)));
        Case {
            name: if class.is_empty() || class == own { own } else { format!("{class} › {own}") },
            file: Text(attribute(tag, "file").unwrap_or_default()),
            line: attribute(tag, "line").and_then(|line| line.parse().ok()),
            failed: says(&["failed", "failure", "fail", "error"]),
            skipped: says(&["skipped", "notrun", "disabled", "suppressed", "ignored", "pending"]),
            ..Case::default()
        }
    }

    fn add_to(self, draft: &mut Draft) {
        let Case { name, file, line, failed, flaky, skipped, message } = self;
        let wrong = Wrong { name, file: file.some(), line, message };
        match (failed, skipped, flaky) {
            (true, ..) => draft.failed(wrong),
            (_, true, _) => draft.skipped(),
            (.., true) => draft.flaky(wrong),
            _ => draft.passed(),
        }
    }
}

/// The beginning of an attribute's value.
fn attribute(tag: &BytesStart, name: &str) -> Option<String> {
    let found = tag.try_get_attribute(name).ok()??;
    let whole = found.normalized_value(XmlVersion::Implicit1_0);
    let mut value = String::new();
    append(&mut value, &whole.unwrap_or(found.value));
    Some(value)
}

/// What a suite counts; nothing is none, but what cannot be read is not.
fn number(tag: &BytesStart, name: &str) -> Result<u64, String> {
    match attribute(tag, name).as_deref().map(str::trim) {
        None | Some("") => Ok(0),
        Some(text) => text.parse().map_err(|_| format!("XML with a number that is none ({name})")),
    }
}

/// Adds a text, as far as it is kept.
fn append(kept: &mut String, text: &str) {
    let room = MOST.saturating_sub(kept.len());
    let end = if text.len() <= room {
        text.len()
    } else {
        (room..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
    };
    kept.push_str(&text[..end]);
}

/// Ends with an error where one piece of XML is too large.
struct Pieces<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for Pieces<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.spend(read)?;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Pieces<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.spend(0)?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

impl<R> Pieces<R> {
    fn spend(&mut self, amount: usize) -> io::Result<()> {
        self.left = self.left.saturating_sub(amount);
        if self.left == 0 {
            let message = format!(
                "XML with one text of more than {} MiB; have the tool leave the tests' output out",
                PIECE >> 20
            );
            return Err(io::Error::other(message));
        }
        Ok(())
    }
}
