//! What a run of another machine says it has done: the remote's word alone, until the outside says the same.

use std::collections::BTreeMap;

use serde_json::json;
use step::{Document, Failure};

use crate::keeper::folder::Folder;
use crate::record::Record;
use crate::remote::Remote;

/// The file beside the run's documents that says what is to be looked for.
pub const FILE: &str = "claim.json";

/// What the outside says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its build runs.
    Runs,
    /// Its build was deployed, and does not run, or not everywhere.
    Deployed,
    /// There is nothing of it.
    Nothing,
}

/// Writes down what is to be looked for: the build by the tags that the remote has, not by what the run says of itself.
pub fn write(folder: &Folder, record: &Record, remote: &Remote) -> Result<(), Failure> {
    let version = record.version.clone().unwrap_or_default();
    let tags: BTreeMap<String, String> = remote.tags_of(&version)?;
    let claim = json!({
        "run": record.run, "procedure": record.procedure, "version": version, "opened": record.opened,
        "finished": record.is_over(), "head": remote.head, "tags": tags,
    });
    folder.write(FILE, claim.to_string().as_bytes())
}

/// What a step has found out.
pub fn verdict(document: &Document) -> Option<Verdict> {
    match document.steps().last()?.get("output")?.get("claim")?.as_str()? {
        "runs" => Some(Verdict::Runs),
        "deployed" => Some(Verdict::Deployed),
        "nothing" => Some(Verdict::Nothing),
        _ => None,
    }
}
