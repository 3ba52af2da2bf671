//! Removes what is too old. The rule: snapshots of ours are kept for `keep`, databases beside the live one (kept, undone, staged) for
//! `keep_databases`, and the newest good snapshot for ever. Archives of others, and what cannot be read, are left alone.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use step::{Failure, Outcome, Permit, Run, shell};

use crate::args::PruneArgs;
use crate::copy::side;
use crate::journal::{Beside, Journal, Keeper, Note};
use crate::operation::{Confirmation, Operation};
use crate::plan::{self, Moment, Snapshot};
use crate::server::Live;
use crate::settings::{Kind, Said, Settings};
use crate::snapshot::{folder, manifest};
use crate::sources;

/// A dump that was not finished is somebody's at work for so long after its last file was written to.
const UNFINISHED: Duration = Duration::from_secs(86_400);

/// What is to be removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Old {
    databases: Vec<String>,
    snapshots: Vec<String>,
    leftovers: Vec<String>,
}

impl Old {
    /// Only what a setting speaks of: the usual times are for a person who looks at the list.
    fn narrowed_to(mut self, said: Said) -> Self {
        if !said.keep_databases {
            self.databases.clear();
        }
        if !said.keep {
            self.snapshots.clear();
            self.leftovers.clear();
        }
        self
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.databases.iter().chain(&self.snapshots).chain(&self.leftovers)
    }
}

/// The step.
pub fn run(run: &Run, settings: &Settings, args: &PruneArgs) -> Result<Outcome, Failure> {
    if args.by_settings && !(settings.said.keep || settings.said.keep_databases) {
        return Ok(Outcome::unchanged("no setting says what is too old (keep, keep_databases): all is kept"));
    }
    let operation = Operation::new(&run.context, settings);
    let (live, mut keeper, _) = operation.live_and_lock(&[])?;
    let old = find(&operation, &live, &keeper.journal)?;
    let old = if args.by_settings { old.narrowed_to(settings.said) } else { old };
    let list = old.names().cloned().collect::<Vec<_>>().join(", ");
    if list.is_empty() {
        return Ok(Outcome::unchanged("nothing is older than it may be"));
    }
    let Some(permit) = run.permit() else { return Ok(Outcome::planned(format!("would remove {list}"))) };
    let phrase = format!("{}@prune", settings.database);
    let environment = run.context.environment()?;
    let next = shell::command(["db-restore", "prune", "--fresh", "--env", environment, "--confirm", &phrase]);
    let confirmed = if args.by_settings { Some(phrase.clone()) } else { args.sure.confirm.clone() };
    operation
        .confirm(&Confirmation { what: format!("removing {list}"), phrase, next }, confirmed.as_deref())?;
    remove(&operation, &permit, &mut keeper, &old)?;
    Ok(Outcome::changed(format!("removed {list}"))
        .output("removed", old.names().cloned().collect::<Vec<_>>()))
}

fn find(operation: &Operation, live: &Live, journal: &Journal) -> Result<Old, Failure> {
    let settings = operation.settings;
    let databases = journal.besides().filter(|b| is_old(b, live.now, settings.keep_databases));
    let mut old = Old { databases: databases.map(|b| b.name.clone()).collect(), ..Old::default() };
    if settings.source == Kind::Supabase {
        return Ok(old);
    }
    let snapshots = sources::of(operation)?.list(live, &Moment::Now)?;
    let ours = |s: &Snapshot| {
        settings.source == Kind::Database || settings.snapshots.join(&s.id).join(manifest::FILE).is_file()
    };
    let newest = newest(operation, live, &snapshots)?;
    let old_ones = too_old(&snapshots, newest.as_ref(), live.now, settings.keep);
    old.snapshots = old_ones.filter(|s| ours(s)).map(|s| s.id.clone()).collect();
    old.leftovers = leftovers(&settings.snapshots);
    Ok(old)
}

/// The newest snapshot that proves itself now, and is not of the future. Those after it that do not are named: nothing counts on them.
fn newest(operation: &Operation, live: &Live, snapshots: &[Snapshot]) -> Result<Option<Snapshot>, Failure> {
    let source = sources::of(operation)?;
    let mut good: Vec<&Snapshot> =
        snapshots.iter().filter(|s| s.problem.is_none() && !plan::is_future(s, live.now)).collect();
    good.sort_by_key(|s| std::cmp::Reverse(s.taken_at));
    for snapshot in good {
        match source.prove(live, snapshot) {
            Ok(()) => return Ok(Some(snapshot.clone())),
            Err(failure) if failure.reason == "corrupt" => {
                operation
                    .context
                    .voice
                    .warn(&format!("it proves nothing, and is left alone: {}", failure.message));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(None)
}

/// Usable snapshots that are too old and older than the newest that has proven itself; without one, none.
fn too_old<'s>(
    snapshots: &'s [Snapshot],
    newest: Option<&Snapshot>,
    now: Timestamp,
    keep: Duration,
) -> impl Iterator<Item = &'s Snapshot> {
    let before = newest.map(|newest| newest.taken_at);
    let older = move |s: &&Snapshot| before.is_some_and(|before| s.taken_at < before);
    snapshots
        .iter()
        .filter(|s| s.problem.is_none())
        .filter(older)
        .filter(move |s| s.taken_at.checked_add(keep).is_ok_and(|end| end < now))
}

fn is_old(beside: &Beside, now: Timestamp, keep: Duration) -> bool {
    let since = match &beside.remark {
        Some(Note::Kept { since, .. } | Note::Undone { since, .. }) => *since,
        Some(Note::Staged(staged)) => staged.staged_at,
        _ => return false,
    };
    since.checked_add(keep).is_ok_and(|end| end < now)
}

fn leftovers(folder: &Path) -> Vec<String> {
    let idle = |name: &String| {
        written(&folder.join(name)).is_some_and(|at| at.elapsed().is_ok_and(|age| age > UNFINISHED))
    };
    let old = |name: &String| name.starts_with(".gone-") || (name.starts_with(".tmp-") && idle(name));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(old).collect()
}

/// When anything in a folder was written to for the last time; nothing if that cannot be told.
fn written(path: &Path) -> Option<std::time::SystemTime> {
    let found = std::fs::symlink_metadata(path).ok()?;
    let mut last = found.modified().ok()?;
    if found.is_dir() {
        for entry in std::fs::read_dir(path).ok()? {
            last = last.max(written(&entry.ok()?.path())?);
        }
    }
    Some(last)
}

fn remove(operation: &Operation, permit: &Permit, keeper: &mut Keeper, old: &Old) -> Result<(), Failure> {
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
            folder::remove(folder, id, permit).map_err(stuck)?;
        }
    }
    old.leftovers.iter().try_for_each(|name| std::fs::remove_dir_all(folder.join(name)).map_err(stuck))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_proven_itself_makes_others_replaceable() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let now = at("2026-11-24T12:00:00Z");
        let of = |id: &str, taken_at: &str| Snapshot::new("archive", id, "directory", at(taken_at));
        let broken = Snapshot { problem: Some("truncated".into()), ..of("broken", "2026-11-24T11:00:00Z") };
        let list = [of("a", "2026-10-01T00:00:00Z"), of("b", "2026-10-02T00:00:00Z"), broken];
        let old = |newest: Option<&Snapshot>| {
            too_old(&list, newest, now, UNFINISHED * 7).map(|s| s.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(old(Some(&list[1])), ["a"]);
        assert_eq!(old(Some(&list[0])), [""; 0], "b is damaged: a is all there is");
        assert_eq!(old(None), [""; 0]);
        assert_eq!(old(Some(&of("c", "2026-11-24T11:00:00Z"))), ["a", "b"]);
    }

    #[test]
    fn a_dump_is_at_work_while_anything_in_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let dump = folder.path().join(".tmp-run/dump");
        std::fs::create_dir_all(&dump).expect("made");
        std::fs::write(dump.join("1.dat.gz"), "x").expect("written");
        let aged = |path: &Path| {
            let old = std::time::SystemTime::now() - UNFINISHED * 2;
            std::fs::File::open(path).and_then(|f| f.set_modified(old)).expect("aged");
        };
        aged(&folder.path().join(".tmp-run"));
        aged(&dump);
        assert_eq!(leftovers(folder.path()), [""; 0], "a file of it was written just now");
        aged(&dump.join("1.dat.gz"));
        assert_eq!(leftovers(folder.path()), [".tmp-run"]);
    }
}
