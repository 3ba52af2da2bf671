//! Keeps locks, holds and the documents of runs on the release remote, so that nothing lives on one laptop.

mod args;
mod entry;
mod lease;
mod lock;
mod plan;
mod refs;
mod runs;
mod status;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command, Settings};
use lock::Place;
use refs::{Moved, Refs};
use serde_json::{Value, json};
use step::{Answer, Common, Context, Document, Failure, Outcome, Permit, Program, Run};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        release-ledger                                                     who is at work, what is held, where each run stands
        release-ledger unlock --env production --reason \"Rina's laptop died\"
        release-ledger lift --env production --reason \"1.3.1 mends the migration\"
        release-ledger probe                                               does the remote take refs/rilis/*?";
    const KEYS: &'static [&'static str] = args::KEYS;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn common(&self) -> &Common {
        &self.common
    }

    fn is_question(&self) -> bool {
        true
    }

    fn run(&self, _: &mut Run) -> Result<Outcome, Failure> {
        Err(Failure::bug("release-ledger is no step"))
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        if let Some(Command::Fact { path, document }) = &self.command {
            return fact(path, document);
        }
        let settings = Settings::read(context)?;
        let refs = Refs::open(context, &settings.remote)?;
        let permit = context.permit();
        let place = || -> Result<Place, Failure> {
            Ok(Place { refs: &refs, environment: context.environment()?, length: settings.lease })
        };
        match &self.command {
            None => show(context, &settings, &refs, Path::new(args::RUNS)),
            Some(Command::Status { runs }) => show(context, &settings, &refs, runs),
            Some(Command::Lock(wish)) => place()?.take(permit.as_ref(), wish).map(said),
            Some(Command::Fence { lease }) => {
                let environment = lease::needed(lease)?.environment;
                let place = Place { refs: &refs, environment: &environment, length: settings.lease };
                place.fence(permit.as_ref(), lease).map(said)
            }
            Some(Command::Unlock { lease: Some(lease), .. }) => {
                let environment = lease::needed(lease)?.environment;
                let place = Place { refs: &refs, environment: &environment, length: settings.lease };
                place.give_back(permit.as_ref(), lease).map(said)
            }
            Some(Command::Unlock { reason, .. }) => {
                place()?.break_open(permit.as_ref(), reason.as_deref().unwrap_or_default()).map(said)
            }
            Some(Command::Hold { reason }) => hold(&place()?, permit.as_ref(), true, reason),
            Some(Command::Lift { reason }) => hold(&place()?, permit.as_ref(), false, reason),
            Some(Command::Store { folder }) => runs::store(&refs, permit.as_ref(), folder).map(said),
            Some(Command::Fetch { like, folder }) => {
                let names = runs::fetch(&refs, like, folder)?;
                Ok(Answer::new(names.join("\n"), json!(names)))
            }
            Some(Command::Probe) => probe(&refs, permit.as_ref()),
            Some(Command::Fact { .. }) => Err(Failure::bug("a fact needs no remote")),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let refs = Refs::open(context, &settings.remote)?;
        let entries = refs.list("lock")?.len() + refs.list("runs")?.len();
        let text = if entries > 0 {
            format!("{} has {entries} entries below refs/rilis/", settings.remote)
        } else {
            format!(
                "{} can be read; that it takes refs below refs/rilis/ is proven by `release-ledger probe`",
                settings.remote
            )
        };
        Ok(Answer::new(text, json!({ "remote": settings.remote, "entries": entries })))
    }
}

/// A fact as plain text, for a script.
fn fact(path: &str, file: &Path) -> Result<Answer, Failure> {
    let wrong = |why: String| Failure::refused("document", format!("{}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    let document = Document::parse(&bytes).map_err(wrong)?;
    let mut names = path.split('.');
    let first = names.next().and_then(|name| document.facts().get(name));
    let found = names.try_fold(first, |value, name| value.map(|v| v.get(name)));
    let value = found.flatten().cloned().unwrap_or_default();
    let text = match &value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(Answer::new(text, value))
}

fn said(sentence: String) -> Answer {
    let value = json!({ "said": sentence });
    Answer::new(sentence, value)
}

fn hold(place: &Place, permit: Option<&Permit>, on: bool, reason: &str) -> Result<Answer, Failure> {
    let Some(permit) = permit else {
        let verb = if on { "put on hold" } else { "lift the hold of" };
        return Ok(said(format!("would {verb} {}", place.environment)));
    };
    place.set_hold(permit, on, reason).map(said)
}

/// The remote's entries first, then what lies here; a remote that cannot be asked is said and no reason to show nothing.
fn show(context: &Context, settings: &Settings, refs: &Refs, folder: &Path) -> Result<Answer, Failure> {
    let seen = refs.list("lock").and_then(|locks| {
        if folder.is_dir() {
            runs::fetch(refs, "", folder)?;
        }
        Ok(locks)
    });
    let (locks, unseen) = match seen {
        Ok(locks) => (locks, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let wanted = |name: &&String| context.environment.as_ref().is_none_or(|e| e == *name);
    let places: Vec<Place> = locks
        .iter()
        .map(|(_, name)| name)
        .filter(wanted)
        .map(|name| Place { refs, environment: name, length: settings.lease })
        .collect();
    status::show(&places, &status::runs(folder), unseen.as_ref())
}

/// Writes a ref that nobody reads, and removes it again.
fn probe(refs: &Refs, permit: Option<&Permit>) -> Result<Answer, Failure> {
    let remote = refs.remote();
    let Some(permit) = permit else {
        return Ok(said(format!("would write refs/rilis/probe on {remote} and remove it again")));
    };
    let tree = refs.empty()?;
    let before = refs.tip("probe")?;
    let busy =
        || Failure::temporary("written-elsewhere", "somebody else probes at the same time; run it again");
    if refs.put(permit, "probe", before.as_deref(), &tree, "probe\n")? == Moved::Lost {
        return Err(busy());
    }
    let entry = refs.tip("probe")?.ok_or_else(busy)?;
    match refs.remove(permit, "probe", &entry)? {
        Moved::Done => Ok(said(format!("{remote} takes refs below refs/rilis/"))),
        Moved::Lost => Err(busy()),
    }
}
