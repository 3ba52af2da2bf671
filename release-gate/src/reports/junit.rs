//! JUnit's XML, which many tools write and no two alike: each suite is counted, and compared with what it says about itself. An error may be only a
//! number of a suite without any test, and the numbers at the top may count something else, or nothing.
//!
//! It is read as a stream, in pieces of a bounded size. A document type is refused, so nothing is ever expanded or fetched.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::attributes::{Attributes, Said, append};
use super::draft::{Counts, Draft};
use super::fold::Text;
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
            Event::Text(text) => state.text(&text)?,
            Event::CData(text) => state.text(&text)?,
            Event::GeneralRef(reference) => state.text(&resolved(&reference))?,
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
    /// Something is wrong with a test, and its text says what.
    Trouble,
    /// Something is wrong outside of any test.
    Loose,
    Other,
}

/// What tools call the end of a suite's or a test's hopes, whatever its prefix and case.
const FAILURES: &[&str] = &["failure", "error"];
const RETRIED: &[&str] = &["flakyfailure", "flakyerror", "rerunfailure", "rerunerror"];
const SKIPS: &[&str] = &["skipped", "disabled", "ignored", "skip"];
const SHAPE: &str = "XML of another shape than JUnit's";

#[derive(Default)]
struct State {
    draft: Draft,
    path: Vec<Kind>,
    suites: Vec<Suite>,
    /// What is wrong outside of any test, and is being read.
    loose: Vec<Wrong>,
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
    /// It says that it failed, and not how often.
    failed: bool,
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
    /// A word that says that it failed, or is not known here.
    status: String,
    message: String,
}

impl State {
    fn begin(&mut self, tag: &BytesStart) -> Result<(), String> {
        let about = Attributes::new(tag)?;
        let name = tag.local_name().as_ref().to_ascii_lowercase();
        let kind = self.kind(&name)?;
        self.roots = self.roots.saturating_add(u64::from(self.path.is_empty()));
        if self.path.len() == DEPTH || self.roots > 1 {
            return Err(SHAPE.into());
        }
        match kind {
            Kind::All | Kind::Suite => self.suites.push(self.suite(&about)?),
            Kind::Case => self.case = Case::new(&about),
            Kind::Loose => self.loose.push(self.stray(&name, &about)),
            Kind::Trouble => self.case.trouble(&name, &about),
            Kind::Other if SKIPS.contains(&name.as_str()) => {
                self.case.skipped |= self.path.last() == Some(&Kind::Case);
            }
            Kind::Other => {}
        }
        self.path.push(kind);
        Ok(())
    }

    fn kind(&self, name: &str) -> Result<Kind, String> {
        let is_bad = FAILURES.contains(&name) || RETRIED.contains(&name);
        match (self.path.last(), name) {
            (None, "testsuites") => Ok(Kind::All),
            (None | Some(Kind::All | Kind::Suite), "testsuite") => Ok(Kind::Suite),
            (Some(Kind::Suite | Kind::All), "testcase") => Ok(Kind::Case),
            (_, "testcase" | "testsuite" | "testsuites") => Err(SHAPE.into()),
            (None, "html") => Err(PAGE.into()),
            (None, _) => Err("XML, but none in JUnit's form".into()),
            _ if is_bad && self.path.contains(&Kind::Case) => Ok(Kind::Trouble),
            _ if is_bad => Ok(Kind::Loose),
            _ => Ok(Kind::Other),
        }
    }

    fn suite(&self, about: &Attributes) -> Result<Suite, String> {
        let failures = about.number(&["failures", "failure", "failed"])?;
        Ok(Suite {
            name: about.text("name"),
            tests: about.number(&["tests"])?,
            bad: failures.saturating_add(about.number(&["errors", "error"])?),
            skipped: about.number(&["skipped", "disabled", "ignored", "skip"])?,
            failed: about.denies("success")
                || about.has(&["aborted", "interrupted"])
                || matches!(about.said(), Said::Bad(_)),
            before: self.draft.counts,
            outside: self.draft.outside,
            cases: self.cases,
        })
    }

    /// An error that is no test's: of a set-up for all of them, for example.
    fn stray(&self, name: &str, about: &Attributes) -> Wrong {
        let suite = self.suites.last().map(|suite| suite.name.clone()).filter(|suite| !suite.is_empty());
        Wrong {
            name: suite.unwrap_or_else(|| name.to_owned()),
            message: about.text("message"),
            ..Wrong::default()
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let message = match self.path.last() {
            None if text.trim_ascii().is_empty() => return Ok(()),
            None => return Err("XML with something else around it".into()),
            Some(Kind::Trouble) => &mut self.case.message,
            Some(Kind::Loose) => match self.loose.last_mut() {
                Some(wrong) => &mut wrong.message,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        append(message, text);
        Ok(())
    }

    fn end(&mut self) {
        match self.path.pop() {
            Some(Kind::Case) => {
                self.cases = self.cases.saturating_add(1);
                std::mem::take(&mut self.case).add_to(&mut self.draft);
            }
            Some(Kind::Loose) => {
                if let Some(wrong) = self.loose.pop() {
                    self.draft.outside(wrong);
                }
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
        let failed = failed.saturating_sub(suite.before.failed);
        let bad = failed.saturating_add(self.draft.outside.saturating_sub(suite.outside));
        let cases = self.cases.saturating_sub(suite.cases);
        let wrong = |message| Wrong { name: suite.name.clone(), message, ..Wrong::default() };
        if suite.bad > bad {
            let more = suite.bad - bad;
            self.draft.outside(wrong(format!("{} outside of its tests", counted(more, "error"))));
            self.draft.outside = self.draft.outside.saturating_add(more - 1);
        } else if suite.failed && bad == 0 {
            self.draft.outside(wrong("it says that it failed, and not where".into()));
        }
        let unseen = suite.skipped.saturating_sub(skipped.saturating_sub(suite.before.skipped));
        let counts = &mut self.draft.counts;
        counts.skipped = counts.skipped.saturating_add(unseen);
        counts.passed = counts.passed.saturating_sub(unseen).max(suite.before.passed);
        // The number at the top may be one of requests, or of files.
        if kind == Kind::Suite && suite.tests > cases {
            self.draft
                .outside(wrong(format!("it announces {}, and lists {cases}", counted(suite.tests, "test"))));
        }
        let is_empty = kind == Kind::Suite && cases == 0;
        self.draft.warnings = self.draft.warnings.saturating_add(u64::from(is_empty));
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
    fn new(about: &Attributes) -> Self {
        let (own, class) = (about.text("name"), about.text("classname"));
        let counted =
            about.has(&["failures", "failure", "failed", "errors", "error", "aborted", "interrupted"]);
        let said = about.said();
        Case {
            name: if class.is_empty() || class == own { own } else { format!("{class} › {own}") },
            file: Text(about.text("file")),
            line: about.text("line").parse().ok(),
            failed: matches!(said, Said::Bad(_)) || counted || about.denies("success"),
            skipped: said == Said::Skipped || about.denies("executed") || about.has(SKIPS),
            status: match said {
                Said::Bad(word) => word,
                _ => String::new(),
            },
            ..Case::default()
        }
    }

    /// An element that says what is wrong, however deep it is within the test.
    fn trouble(&mut self, name: &str, about: &Attributes) {
        let is_failure = FAILURES.contains(&name);
        self.failed |= is_failure;
        self.flaky |= !is_failure;
        if self.message.is_empty() {
            self.message = about.text("message");
        }
    }

    fn add_to(self, draft: &mut Draft) {
        let Case { name, file, line, failed, flaky, skipped, status, mut message } = self;
        if message.is_empty() && !status.is_empty() {
            message = format!("its status is {status}");
        }
        let wrong = Wrong { name, file: file.some(), line, message };
        match (failed, skipped, flaky) {
            (true, ..) => draft.failed(wrong),
            (_, true, _) => draft.skipped(),
            (.., true) => draft.flaky(wrong),
            _ => draft.passed(),
        }
    }
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
