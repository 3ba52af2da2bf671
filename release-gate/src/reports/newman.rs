//! Newman: what it counts is assertions. A request that got no answer, a script that broke and an answer of HTTP 500 that no test looks at are no
//! failed assertions, an empty collection has none, and a skipped one counts as passed.
//!
//! The report holds the environment's values and whole answers: of the first the texts are remembered until the report is made, to mask them in
//! messages, and of the second nothing is read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Wrong;
use super::draft::{Counts, Draft, Hidden};
use super::fold::{Folded, Part, Text};

/// The variables of a collection.
#[derive(Deserialize)]
pub struct Collection {
    #[serde(default)]
    variable: Folded<Hidden, Variable>,
}

/// An environment, or what is global.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Values {
    values: Folded<Hidden, Variable>,
}

#[derive(Deserialize)]
struct Variable {
    #[serde(default)]
    value: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Run {
    stats: Option<Stats>,
    executions: Option<Folded<Executions, Execution>>,
    failures: Option<Folded<Failures, Failure>>,
    error: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Stats {
    iterations: Stat,
    items: Stat,
    requests: Stat,
    assertions: Stat,
    scripts: Stat,
    test_scripts: Stat,
    prerequest_scripts: Stat,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stat {
    total: u64,
    pending: u64,
    failed: u64,
}

/// The assertions of all requests, and how often something went wrong around them.
#[derive(Default)]
struct Executions {
    sum: Draft,
    errors: u64,
}

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    #[serde(default)]
    item: Named,
    #[serde(default)]
    response: Option<Response>,
    #[serde(default)]
    request_error: Option<IgnoredAny>,
    #[serde(default)]
    assertions: Folded<Draft, Assertion>,
    #[serde(default)]
    test_script: Folded<u64, Script>,
    #[serde(default)]
    prerequest_script: Folded<u64, Script>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Text,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    code: Option<u64>,
}

#[derive(Deserialize)]
struct Assertion {
    #[serde(default)]
    assertion: Text,
    #[serde(default)]
    skipped: Option<bool>,
    #[serde(default)]
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Script {
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    name: Text,
    message: Text,
}

/// Failed assertions, and everything else.
#[derive(Default)]
struct Failures {
    assertions: u64,
    others: Draft,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    at: Text,
    #[serde(default)]
    error: Option<Error>,
    #[serde(default)]
    source: Option<Named>,
}

impl Part<Hidden> for Variable {
    fn add_to(self, sum: &mut Hidden) {
        self.value.add_to(sum);
    }
}

impl Collection {
    pub fn hidden(self) -> Hidden {
        self.variable.0
    }
}

impl Values {
    pub fn hidden(self) -> Hidden {
        self.values.0
    }
}

impl Part<Draft> for Assertion {
    fn add_to(self, sum: &mut Draft) {
        match self.error {
            Some(error) => {
                sum.failed(Wrong {
                    name: self.assertion.0,
                    message: error.message.or(error.name).0,
                    ..Wrong::default()
                });
            }
            None if self.skipped == Some(true) => sum.skipped(),
            None => sum.passed(),
        }
    }
}

impl Part<u64> for Script {
    fn add_to(self, sum: &mut u64) {
        *sum += u64::from(self.error.is_some());
    }
}

impl Part<Executions> for Execution {
    fn add_to(self, sum: &mut Executions) {
        let mut assertions = self.assertions.0;
        let errors = self.test_script.0 + self.prerequest_script.0 + u64::from(self.request_error.is_some());
        // A request without a test is at least looked at: a set-up may be one, an error is none.
        if errors == 0 && assertions.counts.passed + assertions.counts.failed == 0 {
            match self.response.and_then(|response| response.code) {
                Some(code) if code < 400 => assertions.warnings += 1,
                Some(code) => assertions.outside(unseen(format!("HTTP {code}, and no test looks at it"))),
                None => assertions.outside(unseen("no answer".into())),
            }
        }
        assertions.within(&self.item.name.0, &Text::default(), None);
        sum.sum.add(assertions);
        sum.errors = sum.errors.saturating_add(errors);
    }
}

fn unseen(message: String) -> Wrong {
    Wrong { message, ..Wrong::default() }
}

impl Part<Failures> for Failure {
    fn add_to(self, sum: &mut Failures) {
        if self.at.0.starts_with("assertion:") {
            sum.assertions += 1;
            return;
        }
        let error = self.error.unwrap_or_default();
        let message = format!("{}: {}", self.at.0, error.message.or(error.name).0);
        sum.others.outside(Wrong {
            name: self.source.unwrap_or_default().name.0,
            message,
            ..Wrong::default()
        });
    }
}

pub fn draft(run: Run, mut hidden: Hidden) -> Result<Draft, String> {
    let without = |key| move || format!("a report of Newman without `run.{key}`");
    let stats = run.stats.ok_or_else(without("stats"))?;
    let Executions { mut sum, errors } = run.executions.ok_or_else(without("executions"))?.0;
    let Failures { assertions, mut others } = run.failures.ok_or_else(without("failures"))?.0;
    let scripts =
        stats.scripts.failed.max(stats.test_scripts.failed.saturating_add(stats.prerequest_scripts.failed));
    others.outside = others.outside.max(errors).max(stats.requests.failed.saturating_add(scripts));
    sum.add(others);
    if run.error.is_some() {
        sum.outside(unseen("the run ended with an error".into()));
    }
    let open = [&stats.iterations, &stats.items, &stats.requests, &stats.assertions, &stats.scripts];
    if open.iter().any(|stat| stat.pending > 0) {
        sum.outside(unseen("the run ended before everything was done".into()));
    }
    let Counts { skipped, .. } = sum.counts;
    let failed = stats.assertions.failed.max(assertions);
    let passed = stats.assertions.total.saturating_sub(failed).saturating_sub(skipped);
    sum.announced(Counts { passed, failed, flaky: 0, skipped }, stats.assertions.total);
    hidden.sort();
    sum.hidden = hidden;
    Ok(sum)
}
