//! What a person confirms before data is replaced, and the command that does it.

use step::{Failure, Procedure, Run, shell};

use crate::args::RestoreArgs;
use crate::operation::{Confirmation, Operation};
use crate::plan::{self, Snapshot};

/// What a person confirms.
pub fn act(
    run: &Run,
    operation: &Operation,
    wish: &RestoreArgs,
    chosen: &Snapshot,
    age: &str,
) -> Result<Confirmation, Failure> {
    let database = &operation.settings.database;
    let phrase = format!("{database}@{}", chosen.id);
    let what = format!("replacing {database} by {} ({age})", chosen.id);
    let incident = wish.incident_at.map(plan::instant);
    let environment = run.context.environment()?;
    // Within the runbook the restore is a step of the run: done beside it, the run would do it once more.
    let next = if run.document.procedure() == Procedure::Rollback
        && run.document.facts().contains_key("data_plan")
    {
        shell::command([
            "rilis-rollback",
            "--env",
            environment,
            "--database",
            "restore",
            "--confirm",
            &phrase,
        ])
    } else {
        let words = ["db-restore", "restore", "--env", environment, "--snapshot", &chosen.id];
        let incident = incident.as_deref().map(|at| ["--incident-at", at]);
        let words = words.into_iter().chain(incident.into_iter().flatten());
        shell::command(words.chain(["--confirm", &phrase]))
    };
    Ok(Confirmation { what, phrase, next })
}
