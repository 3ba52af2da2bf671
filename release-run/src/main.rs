//! Keeps a run: its locks, its documents on the release remote, and what runs again when it goes on; so that nothing lives on one laptop.

mod abandon;
mod args;
mod claim;
mod client;
mod debt;
mod fact;
mod hand;
mod history;
mod keeper;
mod lock;
mod names;
mod next;
mod plan;
mod record;
mod rehearsed;
mod remote;
mod resume;
mod role;
mod runs;
mod status;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command, Exec, Settings, Writes};
use hand::Hand;
use jiff::Timestamp;
use keeper::{Of, Order};
use lock::lease;
use remote::Remote;
use serde_json::json;
use step::{Answer, Ask, Common, Context, Document, Failure, Outcome, Procedure, Program, Run, Setting};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        release-run                                                     who is at work, what is held, where each run stands
        release-run unlock --env production --reason \"Rina's laptop died\"
        release-run lift --env production --reason \"1.3.1 fixes the migration\"
        release-run probe                                               does the remote take refs/rilis/*?";
    const SETTINGS: &'static [Setting] = args::SETTINGS;
    /// A run takes as long as it takes; each look at the remote has its own limit.
    const TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        match self.command {
            Some(Command::Rehearsed { .. }) => Some("rehearsed"),
            Some(Command::Debt { .. }) => Some("debt"),
            _ => None,
        }
    }

    fn ask(&self) -> Ask {
        if self.action().is_some() { Ask::Step } else { Ask::Question }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        match &self.command {
            Some(Command::Rehearsed { of, killed }) => rehearsed::write(run, of, killed.as_deref()),
            Some(Command::Debt { reason, skipped }) => debt::write(run, reason.as_deref(), skipped),
            _ => Err(Failure::bug("only what is written down is a step")),
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        match &self.command {
            None => show(context, 10, None),
            Some(Command::Status { last, writes }) => show(context, *last, writes.as_ref()),
            Some(Command::Exec(exec)) => {
                let procedure = self.common.procedure().cloned().unwrap_or_default();
                keeper::exec(context, &Settings::read(context)?, &order(context, procedure, exec))
            }
            Some(command) => in_a_runbook(context, command).unwrap_or_else(|| by_hand(context, command)),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let remote = Remote::open(context, &settings)?;
        let entries = remote.look()?.tips.len();
        let text = if entries > 0 {
            format!("{} has {entries} entries below refs/rilis/", settings.remote)
        } else {
            let proof = "that it takes refs below refs/rilis/ is proven by `release-run probe`";
            format!("{} can be read; {proof}", settings.remote)
        };
        Ok(Answer::new(text, json!({ "remote": settings.remote, "entries": entries })))
    }
}

fn order(context: &Context, procedure: Procedure, exec: &Exec) -> Order {
    Order {
        procedure,
        version: context.release.clone(),
        of: exec.of.as_deref().map(Of::read),
        reason: exec.reason.clone(),
        plan: context.permit().is_none(),
        again: exec.again,
        no_lock: exec.no_lock.clone(),
        lift_hold: exec.lift_hold.clone(),
        despite_hold: exec.despite_hold,
        lock_wait: exec.lock_wait.unwrap_or_default(),
        runbook: exec.runbook.clone(),
    }
}

/// What a runbook asks its keeper.
fn in_a_runbook(context: &Context, command: &Command) -> Option<Result<Answer, Failure>> {
    Some(match command {
        Command::Step(step) => client::step(context, step),
        Command::Kept => Ok(Answer::ended(u8::from(client::Line::find().is_none()))),
        Command::Skip { name } => client::say(&json!({ "ask": "skip", "name": name })),
        Command::Did { name } => client::whether(&json!({ "ask": "did", "name": name })),
        Command::Ended => client::whether(&json!({ "ask": "ended-before" })),
        Command::BegunHere => client::whether(&json!({ "ask": "begun-here" })),
        Command::Doubt => client::say(&json!({ "ask": "doubt" })),
        Command::Note { text } => client::say(&json!({ "ask": "note", "text": text })),
        Command::Paused => client::whether(&json!({ "ask": "paused" })),
        Command::Anew => client::say(&json!({ "ask": "forget-last" })),
        Command::Path { file } => client::text(&json!({ "ask": "path", "file": file })),
        Command::Finish => client::say(&json!({ "ask": "finish" })),
        Command::Fact { path, document: None } => client::text(&json!({ "ask": "fact", "path": path })),
        Command::Hold { reason } => match client::Line::find() {
            Some(_) => client::say(&json!({ "ask": "hold", "reason": reason })),
            None => return None,
        },
        _ => return None,
    })
}

fn by_hand(context: &Context, command: &Command) -> Result<Answer, Failure> {
    if let Command::Fact { path, document: Some(file) } = command {
        let wrong = |why: String| Failure::refused("document", format!("{}: {why}", file.display()));
        let bytes = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
        let document = Document::parse(&bytes).map_err(wrong)?;
        return Ok(Answer::new(fact::text(&document, path), fact::value(&document, path)));
    }
    let settings = Settings::read(context)?;
    let hand = |environment: &str| Hand::open(context, &settings, environment);
    match command {
        Command::Lock(wish) => hand(context.environment()?)?.take(wish),
        Command::Fence { lease } => {
            let ours = lease::needed(lease)?;
            hand(&ours.environment)?.fence(&ours)
        }
        Command::Unlock { lease: Some(file), .. } => {
            let ours = lease::needed(file)?;
            hand(&ours.environment)?.give_back(file, &ours)
        }
        Command::Unlock { reason, .. } => {
            hand(context.environment()?)?.break_open(reason.as_deref().unwrap_or_default())
        }
        Command::Hold { reason } => hand(context.environment()?)?.hold(true, reason),
        Command::Lift { reason } => hand(context.environment()?)?.hold(false, reason),
        Command::Fetch { like } => hand::fetch(&Remote::open(context, &settings)?, like),
        Command::Probe => hand::probe(context, &Remote::open(context, &settings)?),
        Command::Paid { run, item, reason } => debt::paid(context, &settings, (run, item, reason)),
        Command::Abandon { run, reason } => abandon::abandon(context, &settings, run, reason),
        _ => Err(Failure::bug("a command that nobody carries out")),
    }
}

/// One look at the remote; one that cannot be asked is said, and no reason to show nothing.
fn show(context: &Context, last: usize, writes: Option<&Writes>) -> Result<Answer, Failure> {
    let settings = Settings::read(context)?;
    let remote = Remote::open(context, &settings)?;
    let (index, unseen) = match remote.look() {
        Ok(index) => (index, None),
        Err(failure) => (remote.index()?, Some(failure)),
    };
    let places = keeper::folder::Places::open(&remote.own)?;
    let dead = places.leases().into_iter().filter(|run| places.is_dead(run)).collect();
    let mut runs = places.records();
    let (theirs, refused) = remote.evidence(&index, None)?;
    runs::merge(&mut runs, theirs.into_iter().map(|(_, record)| record));
    let product = settings.product.clone();
    let merged = debt::merged(context, &settings, &runs)?;
    let picture = status::Picture {
        merged,
        index: &index,
        runs,
        product: &product,
        environment: context.environment.as_deref(),
        last,
        unseen: unseen.as_ref(),
        dead,
        owed: places.owed(),
        writes,
        refused,
    };
    Ok(picture.show(Timestamp::now()))
}
