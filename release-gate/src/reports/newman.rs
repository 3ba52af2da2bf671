//! Newman: what it counts is assertions. A request that got no answer, a script that broke and an answer of HTTP 500 that no test looks at are no
//! failed assertions, an empty collection has none, and a skipped one counts as passed.
//!
//! The report holds the environment's values and whole answers: of the first the texts are remembered until the report is made, to mask them in
//! messages, and of the second nothing is read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::draft::{Counts, Draft};
use super::fold::{Folded, Part, Text};
use super::hidden::Hidden;
use super::sensitive::Sensitive;
use super::{Wrong, counted};

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Run {
    stats: Option<Stats>,
    executions: Option<Folded<Executions, Execution>>,
    failures: Option<Folded<Failures, Failure>>,
    error: Option<IgnoredAny>,
    aborted: Text,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Stats {
    iterations: Stat,
    items: Stat,
    requests: Stat,
    assertions: Stat,
    scripts: Stat,
    prerequests: Stat,
    tests: Stat,
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
    listed: u64,
    /// The highest number of an iteration, from 1 on.
    iterations: u64,
    hidden: Hidden,
}

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    #[serde(default)]
    cursor: Option<Cursor>,
    #[serde(default)]
    item: Named,
    #[serde(default)]
    request: Sensitive,
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cursor {
    iteration: Option<u64>,
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
        *sum = sum.saturating_add(u64::from(self.error.is_some()));
    }
}

impl Part<Executions> for Execution {
    fn add_to(self, sum: &mut Executions) {
        let mut assertions = self.assertions.0;
        let scripts = self.test_script.0.saturating_add(self.prerequest_script.0);
        let errors = scripts.saturating_add(u64::from(self.request_error.is_some()));
        let counts = assertions.counts;
        let is_seen = errors > 0 || counts.passed > 0 || counts.failed > 0;
        // A request without a test is at least looked at: a set-up may be one, an error is none.
        match self.response.map(|response| response.code) {
            // Its tests may look at nothing that came from there.
            None if errors == 0 => assertions.outside(unseen("no answer".into())),
            _ if is_seen => {}
            Some(Some(code)) if code < 400 => assertions.warnings = assertions.warnings.saturating_add(1),
            Some(Some(code)) => assertions.outside(unseen(format!("HTTP {code}, and no test looks at it"))),
            _ => assertions.outside(unseen("no answer".into())),
        }
        assertions.within(&self.item.name.0, &Text::default(), None);
        sum.sum.add(assertions);
        sum.errors = sum.errors.saturating_add(errors);
        sum.listed = sum.listed.saturating_add(1);
        sum.iterations = sum
            .iterations
            .max(self.cursor.and_then(|cursor| cursor.iteration).unwrap_or(0).saturating_add(1));
        sum.hidden.add(self.request.0);
    }
}

fn unseen(message: String) -> Wrong {
    Wrong { message, ..Wrong::default() }
}

impl Part<Failures> for Failure {
    fn add_to(self, sum: &mut Failures) {
        if self.at.0.starts_with("assertion:") {
            sum.assertions = sum.assertions.saturating_add(1);
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
    let executions = run.executions.ok_or_else(without("executions"))?.0;
    let Failures { assertions, mut others } = run.failures.ok_or_else(without("failures"))?.0;
    hidden.add(executions.hidden);
    let listed = [executions.listed, executions.iterations];
    let mut sum = executions.sum;
    others.outside = others.outside.max(executions.errors).max(stats.failed());
    sum.add(others);
    if run.error.is_some() {
        sum.outside(unseen("the run ended with an error".into()));
    }
    if !matches!(run.aborted.0.as_str(), "" | "false") {
        sum.outside(unseen("the run was aborted".into()));
    }
    stats.whole(listed, &mut sum);
    let Counts { skipped, .. } = sum.counts;
    let failed = stats.assertions.failed.max(assertions);
    let passed = stats.assertions.total.saturating_sub(failed).saturating_sub(skipped);
    sum.announced(Counts { passed, failed, flaky: 0, skipped }, stats.assertions.total);
    hidden.ready();
    sum.hidden = hidden;
    Ok(sum)
}

impl Stats {
    /// How often something failed that is no assertion. What contains it may count it again: the largest number is no less than what happened.
    fn failed(&self) -> u64 {
        let kinds = self.test_scripts.failed.saturating_add(self.prerequest_scripts.failed);
        let scripts = self.scripts.failed.max(kinds);
        let requests = self.requests.failed.saturating_add(scripts);
        let around = [&self.iterations, &self.items, &self.prerequests, &self.tests];
        around.iter().map(|stat| stat.failed).fold(requests, u64::max)
    }

    /// Whether everything that was begun is done, and is in the list: so many requests, and iterations.
    fn whole(&self, listed: [u64; 2], sum: &mut Draft) {
        let done = [&self.iterations, &self.items, &self.requests, &self.assertions, &self.scripts];
        let parts = [&self.prerequests, &self.tests, &self.test_scripts, &self.prerequest_scripts];
        let open = done.iter().chain(&parts).map(|stat| stat.pending).fold(0, u64::max);
        if open > 0 {
            sum.outside(unseen("the run ended before everything was done".into()));
        }
        // A script may send requests of its own, and a request may follow others: they are no items.
        let [requests, iterations] = listed;
        for (what, total, listed) in
            [("item", self.items.total, requests), ("iteration", self.iterations.total, iterations)]
        {
            if total > listed {
                let message = format!("it counts {}, and lists {listed}", counted(total, what));
                sum.outside(Wrong { name: "the report".into(), message, ..Wrong::default() });
            }
        }
    }
}
