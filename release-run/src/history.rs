//! The runs of an environment for whoever decides what to go back from: what each brought, what ran before it, and whether it was begun
//! from this clone. Pure but for the file.

use serde_json::{Value, json};
use step::{Failure, Procedure};

use crate::keeper::folder::{Folder, Places};
use crate::record::Record;

/// More are not needed: what is older is Coolify's history.
const MOST: usize = 200;

/// The runs that have changed what customers see, the newest first.
pub fn entries(all: &[Record], product: &str, environment: &str, ours: impl Fn(&str) -> bool) -> Vec<Value> {
    let mut runs: Vec<&Record> = all
        .iter()
        .filter(|r| r.product == product && r.environment == environment && r.changed_customers())
        .collect();
    runs.sort_by_key(|run| std::cmp::Reverse((run.changed_at(), run.run.clone())));
    runs.truncate(MOST);
    let entry = |run: &&Record| {
        json!({
            "run": run.run, "document": run.document, "procedure": run.procedure, "state": run.state, "ours": ours(&run.run),
            "changed_at": run.changed_at(), "of": run.of, "facts": run.facts,
            "changes": run.changes.iter().map(|c| &c.step).collect::<Vec<_>>(),
        })
    };
    runs.iter().map(entry).collect()
}

/// Writes them beside the run's documents.
pub fn write(folder: &Folder, all: &[Record], places: &Places) -> Result<(), Failure> {
    let Some(record) =
        folder.record().filter(|r| matches!(r.procedure, Procedure::Rollback | Procedure::Rehearsal))
    else {
        return Ok(());
    };
    let entries = entries(all, &record.product, &record.environment, |run| places.is_ours(run));
    folder.write("history.json", json!(entries).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Changes;
    use crate::record::tests::{at, sample};

    #[test]
    fn runs_that_changed_nothing_are_none_and_the_newest_comes_first() {
        let run = |name: &str, second: i64, changes: Changes| {
            let mut run = sample("release", name);
            run.begin("x", changes, at(second));
            run
        };
        let mut other = run("d", 4, Changes::Customers);
        other.environment = "production-eu".into();
        let all = [
            run("a", 1, Changes::Customers),
            run("b", 2, Changes::Aside),
            run("c", 3, Changes::Customers),
            other,
        ];
        let found = entries(&all, "shop", "production", |_| true);
        let names: Vec<&str> = found.iter().filter_map(|e| e["run"].as_str()).collect();
        assert_eq!(names, [all[2].run.as_str(), all[0].run.as_str()]);
    }
}
