//! What a run of another machine says it has done: the remote's word alone, until the outside says the same.

use std::collections::BTreeMap;

use git_program::Git;
use serde_json::json;
use step::{Context, Document, Failure};

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
pub fn write(context: &Context, folder: &Folder, record: &Record, remote: &Remote) -> Result<(), Failure> {
    let version = record.version.clone().unwrap_or_default();
    let mut tags: BTreeMap<String, String> = remote.tags_of(&version)?;
    // A tag that this clone knows elsewhere has been moved: it is no evidence of anything.
    let here = tags_here(context)?;
    tags.retain(|tag, commit| here.get(tag).is_none_or(|known| known == commit));
    let claim = json!({
        "run": record.run, "procedure": record.procedure, "version": version, "opened": record.opened,
        "finished": record.is_over(), "head": remote.head, "tags": tags,
    });
    folder.write(FILE, claim.to_string().as_bytes())
}

/// The tags of this clone, each with the commit that it leads to.
fn tags_here(context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let format = "--format=%(refname:strip=2) %(objectname) %(*objectname)";
    let said = Git::new(context).ask(&["for-each-ref", format, "refs/tags"], b"")?;
    let text = said.text();
    let pair = |line: &str| {
        let mut words = line.split(' ');
        let (name, own) = (words.next()?, words.next()?);
        // An annotated tag leads to another object.
        let commit = words.next().filter(|id| !id.is_empty()).unwrap_or(own);
        Some((name.to_owned(), commit.to_owned()))
    };
    Ok(text.lines().filter_map(pair).collect())
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
