//! Pages of lists that say how long they are, with no more of them than is needed: whatever else GitHub sends is not kept. A field that is
//! there twice makes a page that cannot be read.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::FULL;
use super::checks::{Run, Status};
use crate::bounded::Bounded;

/// Such a page.
pub trait Counted: DeserializeOwned + 'static {
    type Item: Clone;
    /// How many there are in all.
    fn total(&self) -> usize;
    fn items(&self) -> &[Self::Item];
    /// What tells one from the other.
    fn id(item: &Self::Item) -> u64;
    /// The commit that the whole page is about, where it says one.
    fn sha(&self) -> Option<&str> {
        None
    }
}

/// The check runs of a commit.
#[derive(Deserialize)]
pub struct CheckRuns {
    total_count: usize,
    check_runs: Bounded<Run, FULL>,
}

/// The jobs of a run of Actions.
#[derive(Deserialize)]
pub struct Jobs {
    total_count: usize,
    jobs: Bounded<Run, FULL>,
}

/// The runs of Actions of a commit.
#[derive(Deserialize)]
pub struct Workflows {
    total_count: usize,
    workflow_runs: Bounded<Workflow, FULL>,
}

/// A run of Actions.
#[derive(Clone, Deserialize)]
pub struct Workflow {
    pub id: u64,
    pub head_sha: String,
}

/// The statuses of a commit.
#[derive(Deserialize)]
pub struct Statuses {
    total_count: usize,
    sha: String,
    statuses: Bounded<Status, FULL>,
}

impl Counted for CheckRuns {
    type Item = Run;

    fn total(&self) -> usize {
        self.total_count
    }

    fn items(&self) -> &[Run] {
        &self.check_runs.0
    }

    fn id(item: &Run) -> u64 {
        item.id
    }
}

impl Counted for Jobs {
    type Item = Run;

    fn total(&self) -> usize {
        self.total_count
    }

    fn items(&self) -> &[Run] {
        &self.jobs.0
    }

    fn id(item: &Run) -> u64 {
        item.id
    }
}

impl Counted for Workflows {
    type Item = Workflow;

    fn total(&self) -> usize {
        self.total_count
    }

    fn items(&self) -> &[Workflow] {
        &self.workflow_runs.0
    }

    fn id(item: &Workflow) -> u64 {
        item.id
    }
}

impl Counted for Statuses {
    type Item = Status;

    fn total(&self) -> usize {
        self.total_count
    }

    fn items(&self) -> &[Status] {
        &self.statuses.0
    }

    fn id(item: &Status) -> u64 {
        item.id
    }

    fn sha(&self) -> Option<&str> {
        Some(&self.sha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_or_a_list_that_is_too_long_is_no_page() {
        let run = r#"{"id":1,"name":"unit","head_sha":"a","status":"completed","conclusion":"success"}"#;
        let page = |text: &str| serde_json::from_str::<CheckRuns>(text);
        let good = format!(r#"{{"total_count":1,"check_runs":[{run}],"x":{{"a":[1,{{}}],"a":2}}}}"#);
        assert_eq!(page(&good).expect("a page").items().len(), 1);
        let twice = run.replace(r#""status""#, r#""conclusion":"failure","status""#);
        for text in [
            good.replace(run, &twice),
            good.replace(r#""total_count":1"#, r#""total_count":2,"total_count":1"#),
            good.replace(r#""x":"#, r#""check_runs":[],"x":"#),
            good.replace(run, &vec![run; FULL + 1].join(",")),
            good.replace("check_runs", "jobs"),
            good.replace(r#""total_count":1"#, r#""total_count":-1"#),
            good.replace(r#""total_count":1"#, r#""total_count":1.0"#),
        ] {
            assert!(page(&text).is_err_and(|e| e.is_data()), "{text}");
        }
    }
}
