//! What can be told of a tag from here alone, in milliseconds: so that a release does not find out after a dump and a rehearsal that a
//! file was not committed. What it refuses would be refused at the end as well; what only the remote knows is not looked at.

use semver::Version;
use serde_json::json;
use step::{Answer, Context, Failure};

use crate::args::{Act, Settings};
use crate::check::{Check, Checks};
use crate::gates;
use crate::git::Repo;
use crate::name;
use crate::seen::short;

/// Whether what lies here can be tagged, as far as it can be seen here.
///
/// # Errors
/// `refused` with the first check that fails, the others among its causes.
pub fn answer(context: &Context, settings: &Settings, act: Act) -> Result<Answer, Failure> {
    let repo = Repo::open(context)?;
    let head = repo.head()?;
    let version = context.release.as_deref().map(name::version).transpose()?;
    let mut checks = vec![gates::settled(repo.busy()?), gates::clean(&repo.dirty(&settings.ignore)?)];
    if let Some(branch) = &settings.branch {
        checks.push(gates::on_branch(settings, branch, head.branch.as_deref()));
    }
    // A candidate's number is the remote's to say.
    if let Some(version) = version.filter(|_| act != Act::Candidate) {
        checks.push(free(&repo, &version, &head.commit)?);
    }
    Checks(checks).hold()?;
    let text = format!("{} can be tagged, as far as it can be seen here", short(&head.commit));
    Ok(Answer::new(text, json!({ "commit": head.commit, "branch": head.branch })))
}

/// No other commit has the tag in this clone.
fn free(repo: &Repo, version: &Version, commit: &str) -> Result<Check, Failure> {
    const NAME: &str = "tag-free";
    let tag = format!("v{version}");
    Ok(match repo.tag(&tag)? {
        Some(there) if there.commit != commit => {
            let (there, here) = (short(&there.commit), short(commit));
            let message =
                format!("{tag} is here already, at {there}, and {here} is checked out; a tag is never moved");
            Check::fail(NAME, Failure::refused("tag-exists", message).command(["tag-rc", "verify", &tag]))
        }
        _ => Check::pass(NAME, format!("no other commit has {tag} here")),
    })
}
