//! Vitest and Jest: their numbers know only tests. A file that could not be loaded, a hook that broke, a test that passed at the second try and an
//! error that nobody caught must be looked for elsewhere (the last one is only in the exit code).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Wrong;
use super::draft::{Counts, Draft};
use super::fold::{Folded, Part, Text};

/// What is said about all tests.
pub struct Totals {
    pub total: u64,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    pub success: bool,
    pub failed_suites: u64,
    pub interrupted: bool,
    pub snapshot: Snapshot,
}

/// What became of stored results.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Snapshot {
    failure: Option<bool>,
    unmatched: u64,
    files_unmatched: u64,
    unchecked: u64,
    files_removed: u64,
}

/// How many there are, and the first that says something.
#[derive(Default)]
struct Messages {
    count: u64,
    first: Text,
}

/// A file of tests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    name: Text,
    status: Text,
    #[serde(default)]
    message: Text,
    #[serde(default)]
    test_exec_error: Option<IgnoredAny>,
    assertion_results: Folded<Draft, Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    #[serde(default)]
    full_name: Text,
    #[serde(default)]
    title: Text,
    status: Text,
    #[serde(default)]
    failure_messages: Folded<Messages, Text>,
    #[serde(default)]
    location: Option<Location>,
    /// Jest's: how often it was run, and why again.
    #[serde(default)]
    invocations: Option<u64>,
    #[serde(default)]
    retry_reasons: Folded<Messages, Text>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    line: Option<u64>,
}

impl Part<Messages> for Text {
    fn add_to(self, sum: &mut Messages) {
        sum.count = sum.count.saturating_add(1);
        self.add_to(&mut sum.first);
    }
}

impl Part<Draft> for Test {
    fn add_to(self, sum: &mut Draft) {
        let (failures, retries) = (self.failure_messages.0, self.retry_reasons.0);
        let first = failures.first.or(retries.first).0;
        // What is no text is no less a failure.
        let again = failures.count.saturating_add(retries.count) > 0
            || self.invocations.is_some_and(|count| count > 1);
        let line = self.location.and_then(|location| location.line);
        let wrong = |message| Wrong { name: self.full_name.or(self.title).0, file: None, line, message };
        match self.status.0.as_str() {
            "passed" if again => sum.flaky(wrong(first)),
            "passed" => sum.passed(),
            "skipped" | "pending" | "todo" | "disabled" => sum.skipped(),
            "failed" => sum.failed(wrong(first)),
            other => sum.failed(wrong(format!("it has a status that is not known here: {other}"))),
        }
    }
}

impl Part<Draft> for File {
    fn add_to(self, sum: &mut Draft) {
        let mut tests = self.assertion_results.0;
        tests.within("", &self.name, None);
        let is_good = matches!(self.status.0.as_str(), "passed" | "focused" | "skipped" | "pending");
        // A file that passed has no message: both tools write there what broke.
        let is_good = is_good && self.message.0.trim().is_empty() && self.test_exec_error.is_none();
        if !is_good && tests.counts.failed == 0 {
            let message = self.message.or(Text("something broke outside of its tests".into())).0;
            tests.outside(Wrong { name: "the file".into(), file: self.name.some(), line: None, message });
        }
        sum.add(tests);
    }
}

pub fn draft(mut files: Draft, totals: &Totals) -> Draft {
    let Counts { flaky, .. } = files.counts;
    let announced = Counts {
        passed: totals.passed.saturating_sub(flaky),
        failed: totals.failed,
        flaky,
        skipped: totals.skipped,
    };
    files.announced(announced, totals.total);
    let says_failed = !totals.success || totals.failed_suites > 0;
    let message = match () {
        () if totals.interrupted => "it was interrupted",
        () if says_failed && files.outside == 0 && files.counts.failed == 0 => {
            "it says that it failed, and not where: no file was found, or a limit was not reached"
        }
        () if totals.snapshot.is_bad() && files.outside == 0 && files.counts.failed == 0 && flaky == 0 => {
            "it says that snapshots do not match, and no test failed"
        }
        () => return files,
    };
    files.outside(Wrong { name: "the run".into(), message: message.into(), ..Wrong::default() });
    files
}

impl Snapshot {
    /// Both tools call it a failure too where snapshots are only no longer needed, and let the run pass.
    fn is_bad(&self) -> bool {
        let is_old = self.unchecked > 0 || self.files_removed > 0;
        let unmatched = self.unmatched > 0 || self.files_unmatched > 0;
        unmatched || self.failure == Some(true) && !is_old
    }
}
