//! The command line and the settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure};

/// The keys of `[release-ledger]`.
pub const KEYS: &[&str] = &["remote", "lease"];

/// Where runbooks keep their runs.
pub const RUNS: &str = "runs";

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
        /// The folder of runs here
        #[arg(long, value_name = "FOLDER", default_value = RUNS)]
        runs: PathBuf,
    },
    /// Take the environment's lock for a run, or renew it
    Lock(Wish),
    /// Prove that the lock is still this run's, before the next change; renews it when half of its time is over
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
    /// Put the documents of a run on the remote
    Store {
        /// The run's folder; its name is the run's
        folder: PathBuf,
    },
    /// Bring the documents of runs from the remote
    Fetch {
        /// Runs whose name has this in it, such as `-release-production-`
        #[arg(
            long,
            value_name = "PART",
            allow_hyphen_values = true,
            default_value = "",
            hide_default_value = true
        )]
        like: String,
        /// Where to put them: a folder of runs
        folder: PathBuf,
    },
    /// Show a fact of a document, such as `snapshot.id`; nothing if it is not there
    Fact {
        /// Its name; below it with dots
        path: String,
        /// The document
        #[arg(value_name = "FILE")]
        document: PathBuf,
    },
    /// Prove that the remote takes these refs, by writing one and removing it again
    Probe,
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
    let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = text.chars().all(usable)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
        && !text.ends_with(['.', '-'])
        && !text.to_ascii_lowercase().ends_with(".lock");
    if good { Ok(text.to_owned()) } else { Err("a run's name has letters, digits, `-`, `_` and `.`".into()) }
}

/// Where the ledger is, and how long a lock lasts.
#[derive(Debug)]
pub struct Settings {
    /// The remote's name.
    pub remote: String,
    /// A lock that nobody renews may be taken over after this long.
    pub lease: Duration,
}

impl Settings {
    /// Reads the settings.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        Ok(Settings {
            remote: settings.text("remote")?.unwrap_or_else(|| "origin".to_owned()),
            lease: settings.duration("lease")?.unwrap_or(Duration::from_secs(3600)),
        })
    }
}

/// A run's name from its folder.
pub fn run_name(folder: &std::path::Path) -> Result<String, Failure> {
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    word(name).map_err(|why| Failure::usage("run", format!("{}: {why}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_name_can_be_part_of_a_ref() {
        assert!(word("20261125T081130Z-release-production-1.2.0-aa7d85cd4cc4").is_ok());
        for wrong in ["", "a/b", "../x", "a b", "-x", "x.lock", "a..b", "x.", "rückwärts"] {
            assert!(word(wrong).is_err(), "{wrong}");
        }
    }
}
