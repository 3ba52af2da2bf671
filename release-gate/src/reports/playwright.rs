//! Playwright: what did not run counts as skipped, and why it did not run (a time limit, a file that could not be loaded, a set-up that failed, too
//! many failures) is only in the list of errors at the top.

use serde::Deserialize;

use super::Wrong;
use super::draft::{Counts, Draft};
use super::fold::{Folded, Part, Text};

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Config {
    version: Text,
    #[serde(rename = "rootDir")]
    root: Text,
}

#[derive(Deserialize)]
pub struct Stats {
    expected: u64,
    skipped: u64,
    unexpected: u64,
    flaky: u64,
}

/// A file, or a group in it.
#[derive(Deserialize)]
pub struct Suite {
    #[serde(default)]
    title: Text,
    #[serde(default)]
    file: Text,
    #[serde(default)]
    specs: Folded<Draft, Spec>,
    #[serde(default)]
    suites: Folded<Draft, Suite>,
}

/// A test as it is written: it runs once for each project.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    title: Text,
    #[serde(default)]
    file: Text,
    #[serde(default)]
    line: Option<u64>,
    tests: Folded<Draft, Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    #[serde(default)]
    project_name: Text,
    #[serde(default)]
    expected_status: Status,
    status: Text,
    results: Folded<Tries, Try>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    #[default]
    Passed,
    Failed,
    TimedOut,
    Skipped,
    Interrupted,
    #[serde(other)]
    Unknown,
}

/// How often each status was the end of a try, and the first error.
#[derive(Default)]
struct Tries {
    ends: [u64; 6],
    message: Text,
}

#[derive(Deserialize)]
struct Try {
    status: Option<Status>,
    #[serde(default)]
    errors: Folded<Text, Failure>,
}

/// An error, within a test or outside of any.
#[derive(Deserialize)]
pub struct Failure {
    #[serde(default)]
    message: Text,
    /// What was thrown, if it was no error.
    #[serde(default)]
    value: Text,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    file: Text,
    #[serde(default)]
    line: Option<u64>,
}

impl Part<Draft> for Suite {
    fn add_to(self, sum: &mut Draft) {
        let mut all = self.specs.0;
        all.add(self.suites.0);
        // A file is no part of a test's name.
        let title = if self.title == self.file { "" } else { &self.title.0 };
        all.within(title, &self.file, None);
        sum.add(all);
    }
}

impl Part<Draft> for Spec {
    fn add_to(self, sum: &mut Draft) {
        let mut tests = self.tests.0;
        tests.within(&self.title.0, &self.file, self.line);
        sum.add(tests);
    }
}

impl Part<Draft> for Test {
    fn add_to(self, sum: &mut Draft) {
        let Tries { ends, message } = self.results.0;
        let project = self.project_name.0;
        let name = if project.is_empty() { project } else { format!("[{project}]") };
        let wrong = |message| Wrong { name: name.clone(), message, ..Wrong::default() };
        if ends[Status::Interrupted as usize] > 0 {
            sum.outside(wrong("it was interrupted".into()));
        }
        match outcome(&self.status.0, self.expected_status, ends) {
            Outcome::Passed => sum.passed(),
            Outcome::Skipped => sum.skipped(),
            Outcome::Flaky => sum.flaky(wrong(message.0)),
            Outcome::Failed if message.0.is_empty() => sum.failed(wrong(unsaid(self.expected_status).into())),
            Outcome::Failed => sum.failed(wrong(message.0)),
        }
    }
}

enum Outcome {
    Passed,
    Failed,
    Flaky,
    Skipped,
}

/// What Playwright says of a test, or what its tries tell, if that is worse.
fn outcome(said: &str, expected: Status, ends: [u64; 6]) -> Outcome {
    let all: u64 = ends.iter().sum();
    let good = if expected == Status::Skipped { 0 } else { ends[expected as usize] };
    let without = ends[Status::Skipped as usize] + ends[Status::Interrupted as usize];
    let has_bad = all > good + without;
    match said {
        "expected" | "flaky" | "skipped" if has_bad && good == 0 => Outcome::Failed,
        "expected" | "flaky" if good == 0 => Outcome::Skipped,
        "expected" if !has_bad => Outcome::Passed,
        "expected" | "flaky" => Outcome::Flaky,
        "skipped" => Outcome::Skipped,
        _ => Outcome::Failed,
    }
}

fn unsaid(expected: Status) -> &'static str {
    if expected == Status::Failed { "it passed, and was expected to fail" } else { "it failed" }
}

impl Part<Tries> for Try {
    fn add_to(self, sum: &mut Tries) {
        sum.ends[self.status.unwrap_or(Status::Unknown) as usize] += 1;
        self.errors.0.add_to(&mut sum.message);
    }
}

impl Part<Text> for Failure {
    fn add_to(self, sum: &mut Text) {
        self.message.or(self.value).add_to(sum);
    }
}

impl Part<Draft> for Failure {
    fn add_to(self, sum: &mut Draft) {
        let Location { file, line } = self.location.unwrap_or(Location { file: Text::default(), line: None });
        sum.outside(Wrong {
            name: String::new(),
            file: file.some(),
            line,
            message: self.message.or(self.value).0,
        });
    }
}

pub fn draft(mut suites: Draft, errors: Draft, stats: &Stats, config: Config) -> Draft {
    suites.add(errors);
    let Stats { expected: passed, skipped, unexpected: failed, flaky } = *stats;
    let announced = Counts { passed, failed, flaky, skipped };
    suites.announced(announced, announced.total());
    suites.version = config.version;
    suites.base = config.root;
    suites
}
