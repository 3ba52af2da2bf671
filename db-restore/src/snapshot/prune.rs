//! Removes what is too old. The rule: snapshots of ours are kept for `keep`, databases beside the live one (kept, undone, staged) for
//! `keep_databases`, and the newest good snapshot for ever. Archives of others, and what cannot be read, are left alone.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use step::{Failure, Outcome, Permit, Run, shell};

use crate::args::ConfirmArgs;
use crate::copy::side;
use crate::journal::{self, Beside, Note};
use crate::operation::{Confirmation, Operation};
use crate::plan::{Moment, Snapshot};
use crate::server::{Live, Session};
use crate::settings::{Kind, Settings};
use crate::snapshot::manifest;
use crate::sources::{self, archive};

/// A dump that was not finished is somebody's at operation for so long at most.
const UNFINISHED: Duration = Duration::from_secs(86_400);

/// What is to be removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Old {
    databases: Vec<String>,
    snapshots: Vec<String>,
    leftovers: Vec<String>,
}

impl Old {
    fn names(&self) -> impl Iterator<Item = &String> {
        self.databases.iter().chain(&self.snapshots).chain(&self.leftovers)
    }
}

/// The step.
pub fn run(run: &Run, settings: &Settings, sure: &ConfirmArgs) -> Result<Outcome, Failure> {
    let operation = Operation::new(&run.context, settings);
    let (live, mut keeper) = operation.live_and_lock()?;
    let old = find(&operation, &live, &mut keeper)?;
    let list = old.names().cloned().collect::<Vec<_>>().join(", ");
    if list.is_empty() {
        return Ok(Outcome::unchanged("nothing is older than it may be"));
    }
    let Some(permit) = run.permit() else { return Ok(Outcome::planned(format!("would remove {list}"))) };
    let phrase = format!("{}@prune", settings.database);
    let environment = run.context.environment()?;
    let next = shell::command(["db-restore", "prune", "--fresh", "--env", environment, "--confirm", &phrase]);
    operation
        .confirm(&Confirmation { what: format!("removing {list}"), phrase, next }, sure.confirm.as_deref())?;
    remove(&operation, &permit, &mut keeper, &old)?;
    Ok(Outcome::changed(format!("removed {list}"))
        .output("removed", old.names().cloned().collect::<Vec<_>>()))
}

fn find(operation: &Operation, live: &Live, keeper: &mut Session) -> Result<Old, Failure> {
    let settings = operation.settings;
    let besides = journal::beside(keeper, &settings.database)?;
    let databases = besides.values().filter(|b| is_old(b, live.now, settings.keep_databases));
    let mut old = Old { databases: databases.map(|b| b.name.clone()).collect(), ..Old::default() };
    if settings.source == Kind::Supabase {
        return Ok(old);
    }
    let snapshots = sources::of(operation)?.list(live, &Moment::Now)?;
    let ours = |s: &Snapshot| {
        settings.source == Kind::Database || settings.snapshots.join(&s.id).join(manifest::FILE).is_file()
    };
    old.snapshots =
        too_old(&snapshots, live.now, settings.keep).filter(|s| ours(s)).map(|s| s.id.clone()).collect();
    old.leftovers = leftovers(&settings.snapshots);
    Ok(old)
}

/// Usable snapshots that are too old, but never the newest.
fn too_old(snapshots: &[Snapshot], now: Timestamp, keep: Duration) -> impl Iterator<Item = &Snapshot> {
    let good = || snapshots.iter().filter(|s| s.problem.is_none());
    let newest = good().max_by_key(|s| s.taken_at).map(|s| s.id.clone());
    good().filter(move |s| s.taken_at + keep < now && Some(&s.id) != newest.as_ref())
}

fn is_old(beside: &Beside, now: Timestamp, keep: Duration) -> bool {
    let since = match &beside.remark {
        Some(Note::Kept { since, .. } | Note::Undone { since, .. }) => *since,
        Some(Note::Staged(staged)) => staged.staged_at,
        _ => return false,
    };
    since + keep < now
}

fn leftovers(folder: &Path) -> Vec<String> {
    let unfinished = |name: &String| [".tmp-", ".gone-"].iter().any(|head| name.starts_with(head));
    let old = |name: &String| {
        let written = std::fs::metadata(folder.join(name)).and_then(|m| m.modified());
        name.starts_with(".gone-") || written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNFINISHED))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(unfinished).filter(old).collect()
}

fn remove(operation: &Operation, permit: &Permit, keeper: &mut Session, old: &Old) -> Result<(), Failure> {
    let folder = &operation.settings.snapshots;
    let stuck = |e: std::io::Error| {
        Failure::failed("snapshots", format!("{} cannot be cleaned: {e}", folder.display()))
            .acted(step::Acted::Yes)
    };
    old.databases.iter().try_for_each(|name| side::discard(keeper, permit, name))?;
    for id in &old.snapshots {
        if operation.settings.source == Kind::Database {
            side::discard(keeper, permit, id)?;
        } else {
            archive::remove(folder, id, permit).map_err(stuck)?;
        }
    }
    old.leftovers.iter().try_for_each(|name| std::fs::remove_dir_all(folder.join(name)).map_err(stuck))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_good_snapshot_is_never_too_old() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let now = at("2026-11-24T12:00:00Z");
        let of = |id: &str, taken_at: &str| Snapshot::new("archive", id, "directory", at(taken_at));
        let broken = Snapshot { problem: Some("truncated".into()), ..of("broken", "2026-11-24T11:00:00Z") };
        let list = [of("a", "2026-10-01T00:00:00Z"), of("b", "2026-10-02T00:00:00Z"), broken];
        let old =
            |list: &[Snapshot]| too_old(list, now, UNFINISHED * 7).map(|s| s.id.clone()).collect::<Vec<_>>();
        assert_eq!(old(&list), ["a"], "what is broken does not make b replaceable");
        assert!(old(&list[1..]).is_empty());
        assert_eq!(old(&[of("a", "2026-10-01T00:00:00Z"), of("c", "2026-11-24T11:00:00Z")]), ["a"]);
    }
}
