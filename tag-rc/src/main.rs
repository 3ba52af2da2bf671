//! Tags a release candidate on staging or the final release on main, and proves it on the remote.

mod args;
mod base;
mod check;
mod gates;
mod git;
mod message;
mod name;
mod observe;
mod plan;
mod promotion;
mod questions;
mod ready;
mod remote;
mod seen;
mod tagging;
mod tip;

use std::process::ExitCode;
use std::time::Duration;

use args::{Act, Args, Command, Settings};
use git::{Git, Lock, Repo};
use plan::Plan;
use questions::{branches, list, verify};
use serde_json::json;
use step::{Answer, Ask, Common, Context, Failure, Kind, Outcome, Program, Run, Setting};
use tagging::End;

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        tag-rc candidate --release 1.2.0        tag v1.2.0-rcN on staging, N from the remote
        tag-rc final --release 1.2.0            tag v1.2.0 on main, if main is what the last candidate was
        tag-rc hotfix                           tag the next patch of the final that runs, on hotfix/*
        tag-rc candidate --release 1.2.0 -n     say which tag it would be
        tag-rc list; tag-rc verify v1.2.0; tag-rc branches
        changelog-lint | tag-rc candidate       take version and notes from the document";
    const SETTINGS: &'static [Setting] = args::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        match self.command.as_ref()? {
            Command::Candidate { .. } => Some("candidate"),
            Command::Final { .. } => Some("final"),
            Command::Hotfix { .. } => Some("hotfix"),
            _ => None,
        }
    }

    fn ask(&self) -> Ask {
        if self.command.is_some() && self.act().is_none() { Ask::Question } else { Ask::Step }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let missing = || {
            Failure::usage("arguments", "tag what? say `tag-rc candidate`, `tag-rc final` or `tag-rc hotfix`")
        };
        let act = self.act().ok_or_else(missing)?;
        let settings = self.settings(&run.context, act)?;
        let (outcome, plan, commit) = until_done(run, &settings)?;
        run.set("version", plan.target.version.to_string())?;
        run.set("commit", &commit)?;
        run.set("tag", &plan.target.name)?;
        Ok(outcome)
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        match &self.command {
            Some(Command::Ready { act, .. }) => ready::answer(context, &self.settings(context, *act)?, *act),
            Some(Command::List { version, remote }) => {
                list::answer(&Git::new(context, &args::remote(context, remote)?)?, version.as_deref())
            }
            Some(Command::Verify { tag, require_signed, remote }) => {
                verify::answer(context, &args::remote(context, remote)?, tag, *require_signed)
            }
            Some(Command::Branches { remote }) => branches::answer(context, &args::remote(context, remote)?),
            _ => Err(Failure::bug("tag-rc was asked for what is no question")),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = self.settings(context, self.act().unwrap_or(Act::Candidate))?;
        let (_repo, git) = here(context, &settings.remote).map_err(|failure| match failure.kind {
            Kind::Refused => Failure::config(&failure.reason, failure.message.as_str()),
            _ => failure,
        })?;
        let remote = git.look()?;
        let branch = settings.branch.as_deref().unwrap_or(&settings.strategy.main);
        let tip = remote.heads.get(branch).ok_or_else(|| {
            Failure::config("branch-missing", format!("{} has no branch {branch}", settings.remote))
        })?;
        let identity = git.identity()?;
        let text = format!(
            "{} can be read, {branch} is at {}; tags will be by {identity}; that a tag may be pushed cannot be proven without pushing",
            settings.remote,
            name::short(tip)
        );
        Ok(Answer::new(
            text,
            json!({ "remote": settings.remote, "branch": branch, "tip": tip, "identity": identity }),
        ))
    }
}

/// The repository around the working directory, and the remote, which must be another one.
fn here<'a>(context: &'a Context, remote: &str) -> Result<(Repo<'a>, Git<'a>), Failure> {
    let repo = Repo::open(context)?;
    let git = Git::new(context, remote)?;
    git.is_elsewhere(&repo)?;
    Ok((repo, git))
}

/// Observes, plans and tags; once more when the number was lost to somebody else and the next one will do.
fn until_done(run: &Run, settings: &Settings) -> Result<(Outcome, Plan, String), Failure> {
    let (repo, git) = here(&run.context, &settings.remote)?;
    let permit = run.permit();
    let _alone = permit.map(|permit| Lock::take(&permit, &run.context, &repo)).transpose()?;
    loop {
        let (target, seen) = observe::observe(run, &git, &repo, settings)?;
        let plan = plan::decide(settings, target, &seen)?;
        plan.warnings.iter().for_each(|(_, warning)| run.context.voice.warn(warning));
        plan.listing.iter().for_each(|line| run.context.voice.say(line));
        let commit = seen.head.commit;
        match tagging::carry_out(run, &git, &repo, settings, &plan, &commit)? {
            End::Done(outcome) => return Ok((*outcome, plan, commit)),
            // Somebody else has tagged this very commit: that is what was wanted.
            End::Lost(other) if other.commit == commit && !settings.again => {}
            End::Lost(other) if settings.retry => {
                let sentence = format!("{} was taken by somebody else; taking the next number", other.name);
                run.context.voice.say(&sentence);
            }
            End::Lost(other) => return Err(taken(settings, &other.name)),
        }
    }
}

fn taken(settings: &Settings, tag: &str) -> Failure {
    let message = format!("{tag} was taken by somebody else in the meantime");
    if settings.act == Act::Candidate {
        let message = format!("{message}; the next run takes the next number, and --retry does so at once");
        Failure::temporary("tag-taken", message)
    } else {
        Failure::failed("tag-taken", format!("{message}, for another commit"))
            .command(["tag-rc", "verify", tag])
    }
}
