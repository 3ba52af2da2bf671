//! Tags a release candidate on staging or the final release on main, and proves it on the remote.

mod args;
mod git;
mod plan;
mod repo;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Settings};
use git::{Git, Pushed};
use plan::{Observed, Plan};
use repo::Repo;
use serde_json::json;
use step::{Acted, Answer, Common, Context, Failure, Outcome, Permit, Program, Run};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        tag-rc candidate --release 1.2.0        tag v1.2.0-rcN on staging, N from the remote
        tag-rc final --release 1.2.0            tag v1.2.0 on main
        tag-rc candidate --release 1.2.0 -n     say which tag it would be
        changelog-lint | tag-rc candidate       take version and notes from the document";
    const KEYS: &'static [&'static str] = args::KEYS;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        self.act().map(plan::Act::word)
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let missing = || Failure::usage("arguments", "tag what? say `tag-rc candidate` or `tag-rc final`");
        let act = self.act().ok_or_else(missing)?;
        let settings = Settings::read(&run.context, act)?;
        let version: String =
            run.need("version", "give --release, or let changelog-lint open the document")?;
        let seen =
            observe(&Git::new(&run.context, &settings.remote), &settings, &version, run.document.id())?;
        let plan = plan::decide(act, &version, &settings, &seen)?;
        if let Some(warning) = plan::warning(plan.tag()) {
            run.context.voice.warn(&warning);
        }
        let outcome = carry_out(run, &settings, &seen.head, &plan)?;
        run.set("commit", &seen.head)?;
        run.set("tag", plan.tag())?;
        Ok(outcome)
    }

    fn answer(&self, _: &Context) -> Result<Answer, Failure> {
        Err(Failure::bug("tag-rc has no question yet"))
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context, self.act().unwrap_or(plan::Act::Candidate))?;
        let repo = Repo::open().map_err(|f| Failure::config(&f.reason, f.message))?;
        let tip = Git::new(context, &settings.remote).remote(&settings.branch, "")?.branch;
        let tip = tip.ok_or_else(|| {
            let message = format!("{} has no branch {}", settings.remote, settings.branch);
            Failure::config("branch-missing", message)
        })?;
        let identity = repo.identity()?;
        let text = format!(
            "{} can be read, {} is at {}; tags will be by {identity}; that a tag may be pushed cannot be proven without pushing",
            settings.remote,
            settings.branch,
            &tip[..12]
        );
        Ok(Answer::new(text, json!({ "remote": settings.remote, "branch": settings.branch, "tip": tip })))
    }
}

/// Everything that the plan needs to know, from the working copy and from the remote.
fn observe(git: &Git, settings: &Settings, version: &str, run: &str) -> Result<Observed, Failure> {
    let repo = Repo::open()?;
    let remote = git.remote(&settings.branch, version)?;
    let head = repo.head()?;
    let relation = repo.relation(&head.commit, remote.branch.as_deref())?;
    Ok(Observed {
        branch: head.branch,
        dirty: repo.dirty()?,
        busy: repo.busy(),
        relation,
        own_local_tags: repo.tags_of_run(version, run)?,
        local_tags: repo.tags(version)?,
        remote_tags: remote.tags,
        head: head.commit,
    })
}

/// Makes and pushes the tag, unless it is there already or this is a plan.
fn carry_out(run: &Run, settings: &Settings, head: &str, plan: &Plan) -> Result<Outcome, Failure> {
    let (at, remote) = (&head[..12], &settings.remote);
    let Plan::Push { tag, create } = plan else {
        return Ok(Outcome::unchanged(format!("{} is on {remote} already, at {at}", plan.tag())));
    };
    let Some(permit) = run.permit() else {
        return Ok(Outcome::planned(format!("would tag {at} as {tag} and push it to {remote}")));
    };
    let git = Git::new(&run.context, remote);
    if *create {
        let message = plan::message(tag, run.fact("notes")?, run.document.id());
        git.tag(&permit, tag, head, &message)?;
    }
    let object = push(&permit, &git, tag)?;
    Ok(Outcome::changed(format!("tagged {at} as {tag}, and {remote} has it")).output("object", object))
}

/// Pushes exactly this tag, and believes only what the remote says afterwards.
fn push(permit: &Permit, git: &Git, tag: &str) -> Result<String, Failure> {
    let ours = git.object(tag)?;
    let pushed = git.push(permit, tag);
    let theirs = git.remote_object(tag).map_err(|failure| failure.acted(Acted::Unknown))?;
    match (theirs, pushed) {
        (Some(object), _) if object == ours => Ok(ours),
        (Some(_), _) => {
            git.forget(permit, tag, &ours)?;
            let message = format!(
                "{tag} was taken by somebody else in the meantime; the next run takes the next number"
            );
            Err(Failure::temporary("tag-taken", message))
        }
        (None, Pushed::Declined(why)) => {
            git.forget(permit, tag, &ours)?;
            Err(Failure::failed("push-declined", format!("the remote declined {tag}")).cause(why))
        }
        (None, Pushed::Unclear(why)) => {
            let message = format!("{tag} could not be pushed; it is kept here and the next run pushes it");
            Err(Failure::temporary("push-failed", message).cause(why))
        }
        (None, Pushed::Done) => {
            let message = format!("git says that {tag} was pushed, but the remote does not have it");
            Err(Failure::failed("tag-not-there", message).acted(Acted::Unknown))
        }
    }
}
