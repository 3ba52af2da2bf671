//! Whether the commit is the tip of the remote's branch, and what to do when it is not. Pure.

use step::Failure;
use step::shell::command;

use crate::args::Settings;
use crate::git::Relation;
use crate::message::printable;
use crate::name;
use crate::seen::{Seen, Target};

/// The check `tip`.
pub fn at_tip(settings: &Settings, target: &Target, seen: &Seen) -> Result<String, Failure> {
    let (branch, remote) = (target.branch.as_str(), settings.remote.as_str());
    let is_out = seen.head.branch.as_deref() == Some(branch);
    let here = if is_out { branch } else { "what is checked out" };
    let full = format!("HEAD:refs/heads/{branch}");
    let push = |failure: Failure| failure.command(["git", "push", remote, &full]);
    match seen.relation {
        Relation::Tip => Ok(format!("this is the tip of {branch} on {remote}")),
        Relation::Behind if settings.allow_behind => {
            Ok(format!("this is in the history of {branch} on {remote}, which has gone on"))
        }
        Relation::Behind => {
            let failure = Failure::refused("behind", format!("{here} is behind {remote}/{branch}"));
            Err(if is_out {
                failure.command(["git", "pull", "--ff-only", remote, branch])
            } else {
                tip(failure, remote, branch)
            })
        }
        Relation::Ahead => {
            let message = format!("{here} has commits that {remote}/{branch} does not have");
            Err(push(Failure::refused("not-pushed", message)))
        }
        Relation::Diverged => Err(diverged(here, is_out, remote, branch)),
        Relation::Unknown => {
            let message = format!("{remote}/{branch} is at a commit that is not known here");
            let failure = Failure::refused("behind", message);
            Err(if is_out {
                failure.command(["git", "fetch", remote, branch])
            } else {
                tip(failure, remote, branch)
            })
        }
        Relation::NoBranch => Err(no_branch(settings, branch, is_out, seen)),
    }
}

/// What is checked out is another branch or none, so nothing of it may be moved: the tip is looked up and checked out.
fn tip(failure: Failure, remote: &str, branch: &str) -> Failure {
    let fetch = command(["git", "fetch", remote, branch]);
    failure.next(format!("{fetch} && git switch --detach FETCH_HEAD"))
}

/// Both have commits that the other lacks: only a person knows which of them count.
fn diverged(here: &str, is_out: bool, remote: &str, branch: &str) -> Failure {
    let message =
        format!("{here} and {remote}/{branch} have diverged: each has commits that the other does not have");
    let failure = Failure::refused("diverged", message);
    if is_out {
        failure.command(["git", "pull", "--rebase", remote, branch])
    } else {
        tip(failure, remote, branch)
    }
}

/// A branch that is checked out under this very name may be pushed; any other name is first held against those that there are.
fn no_branch(settings: &Settings, branch: &str, is_out: bool, seen: &Seen) -> Failure {
    let remote = settings.remote.as_str();
    let message = format!("{remote} has no branch {branch}");
    let refused = |message: String| Failure::refused("branch-missing", message);
    let near = name::near(branch, seen.remote.heads.keys().map(String::as_str), remote);
    if let Some(near) = near.filter(|_| settings.branch_given || !is_out) {
        return refused(format!("{message}; did you mean {near}? Say --branch {near}")).command([
            "git",
            "log",
            "--oneline",
            "--max-count=3",
            &format!("{remote}/{near}"),
            "--",
        ]);
    }
    if is_out {
        return refused(message).command(["git", "push", remote, &format!("HEAD:refs/heads/{branch}")]);
    }
    let names: Vec<String> = seen.remote.heads.keys().take(10).map(|name| printable(name)).collect();
    let more = if seen.remote.heads.len() > names.len() { " and others" } else { "" };
    refused(format!("{message}; it has {}{more}", names.join(", "))).command([
        "git",
        "ls-remote",
        "--heads",
        remote,
    ])
}
