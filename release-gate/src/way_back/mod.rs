//! The way back: whether there is one before a release changes anything, and what becomes of the data when it is taken.

mod certificate;
pub mod data;

use std::time::Duration;

use facts::{Previous, Replaces};
use git_program::Git;
use jiff::Timestamp;
use migrations::{Applied, Range};
use step::{Context, Failure, Outcome, Procedure, Run};

use crate::args::Part;
use crate::settings::Settings;
use certificate::Seen;
use data::Wish;

/// What lies between two commits. A folder that the team has named must be in one of them.
pub fn read(context: &Context, settings: &Settings, from: &str, to: &str) -> Result<Range, Failure> {
    let (git, folder) = (Git::new(context), &settings.migrations);
    let range = migrations::read(&git, folder, from, to)?;
    let is_there = || {
        Ok::<_, Failure>(
            !migrations::paths(&git, folder, from)?.is_empty()
                || !migrations::paths(&git, folder, to)?.is_empty(),
        )
    };
    if settings.is_said && range.files.is_empty() && range.problem.is_none() && !is_there()? {
        let why = format!(
            "neither build has a migration in {folder}: name the folder of the migrations, or leave the setting out"
        );
        return Ok(Range::unknown(why));
    }
    Ok(range)
}

/// The step of a release. In plan mode nothing was taken and rehearsed, so nothing can be certified yet.
pub fn certify(run: &mut Run, settings: &Settings, without: &[Part]) -> Result<Outcome, Failure> {
    let seen = Seen {
        previous: run.fact("previous")?,
        snapshot: run.fact("snapshot")?,
        rehearsal: run.fact("rehearsal")?,
        edge: run.fact("edge")?,
        channels: run.fact("channels")?.unwrap_or_default(),
        migrations: if without.contains(&Part::Data) { ahead(run, settings)? } else { None },
        is_fix: run.document.procedure() == Procedure::Hotfix,
    };
    if run.context.permit().is_none() {
        return Ok(Outcome::planned("would certify the way back: code, data, edge and team"));
    }
    let broken = seen.previous.as_ref().is_some_and(|previous| previous.trouble.is_some());
    let certificate = certificate::certify(&seen, without, Timestamp::now())?;
    let until = certificate.until.as_ref().map_or(String::new(), |at| format!(", until {at}"));
    run.set("certificate", certificate)?;
    let but = if broken { ", to a build that does not work" } else { "" };
    Ok(Outcome::unchanged(format!("there is a proven way back{but}{until}")))
}

/// What a tree without anything in it is called.
pub const NOTHING: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// The migrations between what runs and what is released from here; none where there is no repository.
fn ahead(run: &Run, settings: &Settings) -> Result<Option<Range>, Failure> {
    let git = Git::new(&run.context);
    let Some(head) = migrations::commit(&git, "HEAD")? else { return Ok(None) };
    let runs: Previous = run.fact("previous")?.unwrap_or_default();
    if let Some(from) = known(&git, runs.commit.as_deref(), runs.version.as_deref())? {
        return read(&run.context, settings, &from, &head).map(Some);
    }
    let all = read(&run.context, settings, NOTHING, &head)?;
    let unknown = || Range::unknown(format!("the commit of what runs is not known here; {}", data::FETCH));
    Ok(Some(if all.files.is_empty() { all } else { unknown() }))
}

/// The step of a rollback.
pub fn judge_data(run: &mut Run, settings: &Settings, wish: &Wish) -> Result<Outcome, Failure> {
    let range = match run.fact("migrations")? {
        // What was judged before is kept: the decision may be asked for again.
        Some(range) => range,
        None => between(run, settings)?,
    };
    run.set("migrations", &range)?;
    let choice = data::decide(wish, &range, since(run)?, settings.most_loss)?;
    if choice == data::Choice::Restore {
        goes_back(run)?;
    }
    run.set("data_plan", choice.word())?;
    let verb = match choice {
        data::Choice::Keep => "the data stays as it is",
        data::Choice::Restore => "the data goes back with it",
    };
    let outcome = Outcome::unchanged(format!("{}; {verb}", data::said(&range)));
    Ok(match wish {
        Wish::Keep(Some(reason)) => outcome.output("although", reason.as_str()),
        _ => outcome,
    })
}

/// Data goes back with a build: where the one that runs stays, a person brings it back by itself.
fn goes_back(run: &Run) -> Result<(), Failure> {
    let left: Replaces = run.fact("replaces")?.unwrap_or_default();
    let (image, commit) = (run.fact::<String>("image")?, run.fact::<String>("commit")?);
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    let runs_already = same(&left.image, &image) || (left.image.is_none() && same(&left.commit, &commit));
    if !runs_already {
        return Ok(());
    }
    let environment = run.context.environment()?;
    let message = format!(
        "the build that this rollback goes back to runs already, so the data alone would go back, which a rollback does not do: if it is wrong, choose a snapshot (db-restore recovery-point --env {environment}) and restore it by itself (db-restore restore --fresh --env {environment} --snapshot ID)"
    );
    Err(Failure::refused("no-build", message).command(["db-restore", "recovery-point", "--env", environment]))
}

/// The migrations between the build that a rollback goes back to and the one that it leaves.
fn between(run: &Run, settings: &Settings) -> Result<Range, Failure> {
    let git = Git::new(&run.context);
    let left: Replaces = run.fact("replaces")?.unwrap_or_default();
    let target = (run.fact::<String>("commit")?, run.fact::<String>("version")?);
    let from = known(&git, target.0.as_deref(), target.1.as_deref())?;
    let to = known(&git, left.commit.as_deref(), left.version.as_deref())?;
    let nameless =
        |what: &str| Ok(Range::unknown(format!("the commit of {what} is not known here; {}", data::FETCH)));
    match (from, to) {
        (None, _) => nameless("the previous build"),
        (_, None) => nameless("the build that is left"),
        (Some(from), Some(to)) => {
            let range = read(&run.context, settings, &from, &to)?;
            let Some(applied) = run.fact::<Applied>("applied")? else { return Ok(range) };
            let before = migrations::paths(&git, &settings.migrations, &from)?;
            let known = [before.clone(), migrations::paths(&git, &settings.migrations, &to)?].concat();
            Ok(narrowed(run, range, &applied, (&before, &known)))
        }
    }
}

/// What is in the way by the database's own word, where that can be believed.
fn narrowed(run: &Run, range: Range, applied: &Applied, (before, known): (&[String], &[String])) -> Range {
    if applied.is_whole(before) {
        return range.applied(applied).beyond(&applied.beyond(known), &applied.table);
    }
    let beyond = applied.beyond(known);
    if !beyond.is_empty() {
        return range.beyond(&beyond, &applied.table);
    }
    run.context.voice.say(&format!(
        "{} does not name every migration of the previous build, so what else it does not name may have run: git alone decides",
        applied.table
    ));
    range
}

/// The commit of a build: as it is named, else that of its tag.
fn known(git: &Git, commit: Option<&str>, version: Option<&str>) -> Result<Option<String>, Failure> {
    let tag = version.map(|v| format!("refs/tags/v{}", v.strip_prefix('v').unwrap_or(v)));
    for name in commit.map(str::to_owned).into_iter().chain(tag) {
        if let Some(found) = migrations::commit(git, &name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The time since the data may be wrong.
fn since(run: &Run) -> Result<Option<Duration>, Failure> {
    let at: Option<Timestamp> = run.fact("incident_at")?;
    Ok(at.and_then(|at| Duration::try_from(Timestamp::now().duration_since(at)).ok()))
}
