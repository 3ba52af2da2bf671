//! What can be told of a tag from here alone, in milliseconds: so that a release does not find out after a dump and a rehearsal that a
//! file was not committed. What it refuses would be refused at the end as well; what only the remote knows is not looked at, and a commit
//! that has the tag here already needs nothing more of the folder around it.

use serde_json::json;
use step::{Answer, Context, Failure};

use crate::args::{Act, Settings};
use crate::check::{Check, Checks};
use crate::gates;
use crate::git::Repo;
use crate::name;
use crate::name::short;

/// Whether what lies here can be tagged, as far as it can be seen here.
///
/// # Errors
/// `refused` with the first check that fails, the others among its causes.
pub fn answer(context: &Context, settings: &Settings, act: Act) -> Result<Answer, Failure> {
    let repo = Repo::open(context)?;
    let head = repo.head()?;
    let version = context.release.as_deref().map(name::version).transpose()?;
    // A candidate's number is the remote's to say.
    let tag = version.filter(|_| act != Act::Candidate).map(|version| format!("v{version}"));
    let there = tag.as_deref().map(|tag| repo.tag(tag)).transpose()?.flatten();
    let mut checks = Vec::new();
    match (tag, there) {
        (_, Some(there)) if there.commit == head.commit => {}
        (Some(tag), Some(there)) => checks.push(taken(&tag, &there.commit, &head.commit)),
        _ => {
            checks.extend([gates::settled(repo.busy()?), gates::clean(&repo.dirty(&settings.ignore)?)]);
            let branch = settings.branch.as_deref();
            checks.extend(branch.map(|branch| gates::on_branch(settings, branch, head.branch.as_deref())));
        }
    }
    Checks(checks).hold()?;
    let text = format!("{} can be tagged, as far as it can be seen here", short(&head.commit));
    Ok(Answer::new(text, json!({ "commit": head.commit, "branch": head.branch })))
}

fn taken(tag: &str, there: &str, here: &str) -> Check {
    let (there, here) = (short(there), short(here));
    let message =
        format!("{tag} is here already, at {there}, and {here} is checked out; a tag is never moved");
    Check::fail("tag-free", Failure::refused("tag-exists", message).command(["tag-rc", "verify", tag]))
}
