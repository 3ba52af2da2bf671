//! The four kinds of JSON, told by which keys are there, in whatever order: a merged report may begin with another one.

use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::draft::Draft;
use super::fold::{Folded, Text};
use super::sensitive::{Sensitive, Values};
use super::shortened::Shortened;
use super::{Tool, eslint, newman, playwright, source, vitest};

const SEVERAL: &str = "JSON with parts of the reports of several tools";
const OTHER: &str = "JSON, but none of ESLint, Vitest, Jest, Playwright or Newman";

/// Everything that the objects of all tools may have at the top.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    // ESLint's json-with-metadata.
    results: Option<Folded<Draft, eslint::File>>,
    metadata: Option<IgnoredAny>,
    // Vitest and Jest.
    num_total_tests: Option<u64>,
    num_passed_tests: Option<u64>,
    num_failed_tests: Option<u64>,
    num_pending_tests: Option<u64>,
    num_todo_tests: Option<u64>,
    num_failed_test_suites: Option<u64>,
    num_runtime_error_test_suites: Option<u64>,
    success: Option<bool>,
    was_interrupted: Option<bool>,
    test_results: Option<Folded<Draft, vitest::File>>,
    snapshot: Option<vitest::Snapshot>,
    // Playwright.
    config: Option<playwright::Config>,
    suites: Option<Folded<Draft, playwright::Suite>>,
    errors: Option<Folded<Draft, playwright::Failure>>,
    stats: Option<playwright::Stats>,
    status: Text,
    // Newman.
    collection: Option<Sensitive>,
    environment: Option<Values>,
    globals: Option<Values>,
    run: Option<newman::Run>,
}

/// Reads a list or an object, and that there is nothing behind it.
pub fn parse(source: impl BufRead, first: u8) -> Result<(Tool, Draft), String> {
    if first == b'[' {
        whole::<Folded<Draft, eslint::File>>(source).map(|files| (Tool::Eslint, files.0))
    } else {
        whole::<Object>(source)?.draft()
    }
}

fn whole<T: DeserializeOwned>(source: impl BufRead) -> Result<T, String> {
    let source = BufReader::with_capacity(source::CHUNK, Shortened::new(source));
    let mut json = serde_json::Deserializer::from_reader(source);
    let value = T::deserialize(&mut json).map_err(trouble)?;
    json.end().map_err(|_| "JSON with something else behind it".to_owned())?;
    Ok(value)
}

fn trouble(error: serde_json::Error) -> String {
    if error.is_io() {
        source::unreadable(&error.into())
    } else if error.is_eof() {
        "cut off: it ends in the middle".into()
    } else if error.is_data() {
        OTHER.into()
    } else {
        "no well-formed JSON".into()
    }
}

impl Object {
    /// The report of the one tool whose keys are there.
    fn draft(self) -> Result<(Tool, Draft), String> {
        let is_vitest = self.num_total_tests.is_some() || self.test_results.is_some();
        let is_eslint = self.results.is_some() && self.metadata.is_some();
        if self.tools() > 1 {
            return Err(SEVERAL.into());
        }
        match (is_eslint, is_vitest, self.suites.is_some(), self.run.is_some()) {
            (true, false, false, false) => Ok((Tool::Eslint, self.results.unwrap_or_default().0)),
            (false, true, false, false) => Ok((Tool::Vitest, self.vitest()?)),
            (false, false, true, false) => Ok((Tool::Playwright, self.playwright()?)),
            (false, false, false, true) => Ok((Tool::Newman, self.newman()?)),
            (false, false, false, false) => Err(OTHER.into()),
            _ => Err(SEVERAL.into()),
        }
    }

    /// How many tools have keys here that no other one writes.
    fn tools(&self) -> usize {
        let numbers = [
            self.num_total_tests,
            self.num_passed_tests,
            self.num_failed_tests,
            self.num_pending_tests,
            self.num_todo_tests,
            self.num_failed_test_suites,
            self.num_runtime_error_test_suites,
        ];
        let vitest = numbers.iter().any(Option::is_some) || self.success.is_some();
        [
            self.results.is_some(),
            vitest || self.test_results.is_some() || self.was_interrupted.is_some(),
            self.suites.is_some() || self.errors.is_some() || self.stats.is_some(),
            self.run.is_some() || self.collection.is_some(),
        ]
        .into_iter()
        .filter(|is_there| *is_there)
        .count()
    }

    fn vitest(self) -> Result<Draft, String> {
        let without = |key| move || format!("a report of Vitest or Jest without `{key}`");
        let totals = vitest::Totals {
            total: self.num_total_tests.ok_or_else(without("numTotalTests"))?,
            passed: self.num_passed_tests.ok_or_else(without("numPassedTests"))?,
            failed: self.num_failed_tests.ok_or_else(without("numFailedTests"))?,
            skipped: self.num_pending_tests.unwrap_or(0).saturating_add(self.num_todo_tests.unwrap_or(0)),
            success: self.success.ok_or_else(without("success"))?,
            failed_suites: self.num_failed_test_suites.max(self.num_runtime_error_test_suites).unwrap_or(0),
            interrupted: self.was_interrupted.unwrap_or(false),
            snapshot: self.snapshot.unwrap_or_default(),
        };
        Ok(vitest::draft(self.test_results.ok_or_else(without("testResults"))?.0, &totals))
    }

    fn playwright(self) -> Result<Draft, String> {
        let without = |key| move || format!("a report of Playwright without `{key}`");
        let errors = self.errors.ok_or_else(without("errors"))?.0;
        let stats = self.stats.ok_or_else(without("stats"))?;
        Ok(playwright::draft(
            self.suites.unwrap_or_default().0,
            errors,
            stats,
            self.config.unwrap_or_default(),
            self.status,
        ))
    }

    fn newman(self) -> Result<Draft, String> {
        let mut hidden = self.collection.ok_or("a report of Newman without `collection`")?.0;
        hidden.add(self.environment.unwrap_or_default().values.0);
        hidden.add(self.globals.unwrap_or_default().values.0);
        newman::draft(self.run.unwrap_or_default(), hidden)
    }
}
