//! The checks before a tag: each has a name, a verdict and a reason, and all of them stand in the document, whatever the
//! first failure was. Pure.

use serde_json::{Value, json};
use step::Failure;

#[derive(Clone, Debug)]
enum Verdict {
    Pass,
    Skip,
    Fail(Box<Failure>),
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    verdict: Verdict,
    why: String,
}

impl Check {
    /// It is as it should be.
    pub fn pass(name: &'static str, why: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Pass, why: why.into() }
    }

    /// It was not looked at, and why.
    pub fn skip(name: &'static str, why: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Skip, why: why.into() }
    }

    /// It is not as it should be.
    pub fn fail(name: &'static str, failure: Failure) -> Self {
        Check { name, why: failure.message.clone(), verdict: Verdict::Fail(Box::new(failure)) }
    }

    /// Passes with a sentence, or fails.
    pub fn of(name: &'static str, result: Result<String, Failure>) -> Self {
        match result {
            Ok(why) => Check::pass(name, why),
            Err(failure) => Check::fail(name, failure),
        }
    }

    fn to_value(&self) -> Value {
        let status = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Skip => "skip",
            Verdict::Fail(_) => "fail",
        };
        json!({ "name": self.name, "status": status, "why": self.why })
    }
}

/// All checks of one run, in order.
#[derive(Clone, Debug, Default)]
pub struct Checks(pub Vec<Check>);

impl Checks {
    /// For the record's `output`.
    pub fn to_value(&self) -> Value {
        self.0.iter().map(Check::to_value).collect()
    }

    /// The first failure, with what else is wrong among its causes and all checks in its output.
    pub fn hold(&self) -> Result<(), Failure> {
        let mut failures = self.0.iter().filter_map(|c| match &c.verdict {
            Verdict::Fail(failure) => Some((**failure).clone()),
            _ => None,
        });
        let Some(first) = failures.next() else { return Ok(()) };
        let all = failures.fold(first, |first, next| first.cause(format!("also: {}", next.message)));
        Err(all.output("checks", self.to_value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts_and_all_are_told() {
        let checks = Checks(vec![
            Check::pass("clean", "nothing differs"),
            Check::fail("branch", Failure::refused("branch", "on main")),
            Check::skip("notes", "by hand"),
            Check::fail("tip", Failure::refused("behind", "staging is behind")),
        ]);
        let failure = checks.hold().expect_err("two fail");
        assert_eq!((failure.reason.as_str(), failure.causes.len()), ("branch", 1));
        let status: Vec<&str> = failure.output["checks"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|c| c["status"].as_str())
            .collect();
        assert_eq!(status, ["pass", "fail", "skip", "fail"]);
        assert!(Checks(vec![Check::pass("a", "b")]).hold().is_ok());
    }
}
