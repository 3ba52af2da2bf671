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
    shard: Option<Shard>,
}

/// The part of all tests that was run; `merge-reports` says that there is none.
#[derive(Deserialize)]
struct Shard {
    current: u64,
    total: u64,
}

#[derive(Deserialize)]
pub struct Stats {
    expected: u64,
    skipped: u64,
    unexpected: u64,
    flaky: u64,
    #[serde(default)]
    status: Text,
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
    #[serde(default)]
    ok: Option<bool>,
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
    errors: Folded<Errors, Failure>,
    #[serde(default)]
    error: Option<Failure>,
}

/// How many there are, and what the first one says.
#[derive(Default)]
struct Errors {
    count: u64,
    message: Text,
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
        if self.ok == Some(false) && tests.counts.failed == 0 && tests.outside == 0 {
            let message = "it is said to be not ok, and no test of it failed".into();
            tests.outside(Wrong { message, ..Wrong::default() });
        }
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
    let all = ends.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
    // Nothing else can be expected: what is not known here is no success because it is said twice.
    let good = if matches!(expected, Status::Passed | Status::Failed) { ends[expected as usize] } else { 0 };
    let without = ends[Status::Skipped as usize].saturating_add(ends[Status::Interrupted as usize]);
    let has_bad = all > good.saturating_add(without);
    match said {
        "expected" | "flaky" if has_bad && good == 0 => Outcome::Failed,
        "skipped" if has_bad => Outcome::Failed,
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
        let mut errors = self.errors.0;
        if let Some(error) = self.error {
            error.add_to(&mut errors);
        }
        let status = match self.status.unwrap_or(Status::Unknown) {
            // A try that has an error did not pass, and was not left out.
            Status::Passed | Status::Skipped if errors.count > 0 => Status::Unknown,
            status => status,
        };
        let count = &mut sum.ends[status as usize];
        *count = count.saturating_add(1);
        errors.message.add_to(&mut sum.message);
    }
}

impl Part<Errors> for Failure {
    fn add_to(self, sum: &mut Errors) {
        sum.count = sum.count.saturating_add(1);
        self.message.or(self.value).add_to(&mut sum.message);
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

/// What the report says of the whole run is in `status`.
pub fn draft(mut suites: Draft, errors: Draft, stats: Stats, config: Config, status: Text) -> Draft {
    suites.add(errors);
    let Stats { expected: passed, skipped, unexpected: failed, flaky, status: other } = stats;
    let announced = Counts { passed, failed, flaky, skipped };
    suites.announced(announced, announced.total());
    if let Some(Shard { current, total }) = config.shard.filter(|shard| shard.total > 1) {
        let message = format!("it is shard {current} of {total}: merge the shards");
        suites.outside(Wrong { name: "the report".into(), message, ..Wrong::default() });
    }
    let is_bad = |word: &Text| !matches!(word.0.as_str(), "" | "passed");
    let bad = [status, other].into_iter().find(is_bad);
    if let Some(word) = bad.filter(|_| suites.outside == 0 && suites.counts.failed == 0) {
        let message = format!("its status is {}", word.0);
        suites.outside(Wrong { name: "the run".into(), message, ..Wrong::default() });
    }
    suites.version = config.version;
    suites.base = config.root;
    suites
}
