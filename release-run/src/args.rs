//! The command line and the settings.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure, Setting, SettingKind as Type, parse_duration};

use crate::lock::entry::LONGEST;
use crate::plan::When;
use crate::record::Changes;
use crate::remote::Signing;

/// The settings of `[release-run]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("remote", Type::Text, "git's remote that has the lock, the runs and the hold")
        .default("origin"),
    Setting::new("lease", Type::Time, "after so long a lock that nobody renews may be taken over")
        .default("5m"),
    Setting::new(
        "require_signed",
        Type::Flag,
        "sign what is written to the remote, and believe nothing that is not signed",
    )
    .default("false"),
    Setting::new("allowed_signers", Type::Path, "whose SSH signatures count")
        .otherwise("git's gpg.ssh.allowedSignersFile")
        .example("allowed_signers"),
];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show who is at work, what is held, and where each run stands (this is what happens without a subcommand)
    Status {
        /// Show so many runs of each environment
        #[arg(long, value_name = "N", default_value_t = 10)]
        last: usize,
        /// What a page says of whether customers can write: `production=stopped` or `production=possible`
        #[arg(long, value_name = "SAID", hide = true, value_parser = writes)]
        writes: Option<Writes>,
    },
    /// Keep a run: find or open it, hold the locks while RUNBOOK works, then store, unlock and tell
    Exec(Exec),
    /// In a runbook: run a step if it is to run, on the run's last document
    Step(Step),
    /// In a runbook: whether a keeper is above it (exit 0 or 1)
    Kept,
    /// In a runbook: this run goes without a step; what comes after it keeps its number
    Skip { name: String },
    /// In a runbook: whether a step of this run is done (exit 0 or 1)
    Did { name: String },
    /// In a runbook: whether this run was begun from this clone (exit 0 or 1)
    BegunHere,
    /// In a runbook: whether this run was finished before, by the word of the outside too (exit 0 or 1)
    Ended,
    /// In a runbook: what was done before in this run is not taken for done, and each step looks again
    Doubt,
    /// In a runbook: the team's message has this line besides
    Note { text: String },
    /// In a runbook: whether a run of this clone has stopped what customers write, and not allowed it again (exit 0 or 1)
    Paused,
    /// In a runbook: what follows is a document of its own
    Anew,
    /// In a runbook: the path of the last document, or of the run's folder
    Path {
        /// `last`, or a file of the run
        file: String,
    },
    /// In a runbook: it has come to its end
    Finish,
    /// Close a run that nobody goes on with; it must not have changed anything for customers, or the reason says why that is right
    Abandon {
        /// Its name or folder
        run: String,
        #[arg(value_parser = step::reason)]
        reason: String,
    },
    /// Note that something is done which a run owed after its end; rilis-status shows what is
    Paid {
        /// Its name or folder
        run: String,
        /// What was owed, such as `qa` or `ci`
        item: String,
        /// How it was done
        #[arg(value_parser = step::reason)]
        reason: String,
    },
    /// Take the environment's lock for work by hand
    Lock(Wish),
    /// Prove that the lock is still this run's
    Fence {
        /// What `lock` has written
        #[arg(long, value_name = "FILE")]
        lease: PathBuf,
    },
    /// Give the lock back; with --reason the lock of somebody else, which is recorded
    Unlock {
        /// What `lock` has written
        #[arg(long, value_name = "FILE", required_unless_present = "reason", conflicts_with = "reason")]
        lease: Option<PathBuf>,
        /// Why somebody else's lock is opened
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        reason: Option<String>,
    },
    /// From now on releases to the environment are refused, until the hold is lifted
    Hold {
        /// Why
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        reason: String,
    },
    /// Lift the hold of the environment
    Lift {
        /// Why
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        reason: String,
    },
    /// Bring the documents of runs from the remote
    Fetch {
        /// Runs whose name has this in it, such as `release`
        #[arg(
            long,
            value_name = "PART",
            allow_hyphen_values = true,
            default_value = "",
            hide_default_value = true
        )]
        like: String,
    },
    /// Show a fact of a document, such as `snapshot.id`; nothing if it is not there
    Fact {
        /// Its name; below it with dots
        path: String,
        /// The document; in a runbook its last one
        #[arg(value_name = "FILE")]
        document: Option<PathBuf>,
    },
    /// Write down what a rehearsal has shown: from where to where, and how long each part of the way back took
    Rehearsed {
        /// The last document of the way back
        #[arg(long, value_name = "FILE")]
        of: PathBuf,
        /// The step that was killed on purpose
        #[arg(long, value_name = "STEP", value_parser = named)]
        killed: Option<String>,
    },
    /// Write down what a hotfix skips, and why: it is owed afterwards
    Debt {
        /// Why this cannot wait for a release
        #[arg(long, value_name = "REASON", requires = "skipped", value_parser = step::reason)]
        reason: Option<String>,
        /// What is skipped, such as `candidate`
        #[arg(long, value_name = "WHAT", requires = "reason", value_parser = named)]
        skipped: Vec<String>,
    },
    /// Prove that the remote takes these refs, by writing one and removing it again
    Probe,
}

/// Whether customers can write in an environment, by a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes {
    pub environment: String,
    pub can: bool,
}

/// What a runbook wants of its keeper.
#[derive(Debug, clap::Args)]
pub struct Exec {
    /// The run, folder or document that a rollback goes back from
    #[arg(long, value_name = "RUN", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub of: Option<String>,
    /// Why it is done, where its procedure wants a reason: kept in the run, for the person who goes on with it
    #[arg(long, value_name = "REASON", value_parser = step::reason)]
    pub reason: Option<String>,
    /// Begin another run although this one is finished, stale, or has stopped before it changed anything
    #[arg(long)]
    pub again: bool,
    /// Go on without the environment's lock, when the remote cannot be reached
    #[arg(long, value_name = "REASON", value_parser = step::reason)]
    pub no_lock: Option<String>,
    /// Go on although the environment is on hold, and lift the hold with the first change
    #[arg(long, value_name = "REASON", value_parser = step::reason)]
    pub lift_hold: Option<String>,
    /// Go on although the environment is on hold, and leave the hold: for a rollback
    #[arg(long, conflicts_with = "lift_hold")]
    pub despite_hold: bool,
    /// Wait so long for somebody else's lock
    #[arg(long, value_name = "TIME", value_parser = |s: &str| parse_duration(s))]
    pub lock_wait: Option<Duration>,
    /// The runbook and its words
    #[arg(last = true, required = true, value_name = "RUNBOOK")]
    pub runbook: Vec<OsString>,
}

/// A step of a runbook.
#[derive(Debug, clap::Args)]
pub struct Step {
    /// Its name in this run: the name of its document
    #[arg(value_parser = word)]
    pub name: String,
    /// When it runs again in a run that goes on
    #[arg(long, value_enum, default_value_t = When::Once)]
    pub when: When,
    /// What it may change
    #[arg(long, value_enum, default_value_t = Changes::No)]
    pub changes: Changes,
    /// It looks whether what another machine says it has done in this run is so; it has no number, and is done where that is in question
    #[arg(long)]
    pub claim: bool,
    /// Kill it on purpose after so many seconds, once in a run, and run it again
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub torn: Option<Duration>,
    /// The step and its words
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Who wants the lock, and what for.
#[derive(Debug, clap::Args)]
pub struct Wish {
    /// The run's name
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub run: String,
    /// Where to note that the lock is this run's
    #[arg(long, value_name = "FILE")]
    pub lease: PathBuf,
    /// Take the lock although the environment is on hold, and lift the hold; the reason is recorded
    #[arg(long, value_name = "REASON", value_parser = step::reason)]
    pub lift_hold: Option<String>,
    /// Take the lock although the environment is on hold, and leave the hold: for a rollback
    #[arg(long, conflicts_with = "lift_hold")]
    pub despite_hold: bool,
}

/// A name that can be part of a ref.
fn word(text: &str) -> Result<String, String> {
    let good = crate::names::is_word(text);
    if good { Ok(text.to_owned()) } else { Err("a name has letters, digits, `-`, `_` and `.`".into()) }
}

fn writes(text: &str) -> Result<Writes, String> {
    let of = |environment: &str, can| Writes { environment: environment.to_owned(), can };
    match text.split_once('=') {
        Some((environment, "stopped")) => Ok(of(environment, false)),
        Some((environment, "possible")) => Ok(of(environment, true)),
        _ => Err("an environment, `=`, and `stopped` or `possible`".to_owned()),
    }
}

/// A line that names something.
fn named(text: &str) -> Result<String, String> {
    step::reason(text).map_err(|_| "write its name".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|_| "a number of seconds".into())
}

/// Where the remote is, and how long a lock lasts.
#[derive(Debug)]
pub struct Settings {
    /// Whose runs they are.
    pub product: String,
    /// The remote's name.
    pub remote: String,
    /// A lock that nobody renews may be taken over after this long.
    pub lease: Duration,
    /// Runs on the remote count only when they are signed.
    pub signing: Option<Signing>,
}

impl Settings {
    /// Reads the settings.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        Ok(Settings {
            product: settings.product("name")?.ok_or_else(nameless)?,
            remote: settings.value("remote")?,
            lease: lease(settings)?,
            signing: Signing::read(context)?,
        })
    }
}

/// A lock that nobody renews is free after a week at the latest, whatever it says; and one that is renewed all the time is none.
fn lease(settings: &step::Settings) -> Result<Duration, Failure> {
    let lease: Duration = settings.value("lease")?;
    if (Duration::from_secs(1)..=Duration::from_secs(LONGEST)).contains(&lease) {
        return Ok(lease);
    }
    Err(settings.wrong("lease", "it must be from 1s to 7d; 5m is usual"))
}

/// Locks and runs of two products in one repository must not be taken for each other's.
fn nameless() -> Failure {
    let message = "release.toml does not say which product this is: add `name = \"shop\"` below [product], with its own name";
    Failure::config("setting", message)
}
