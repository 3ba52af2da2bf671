//! The command line and the settings.

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure};

use crate::plan::Act;

/// The keys of `[tag-rc]`.
pub const KEYS: &[&str] = &["remote", "branch"];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Tag the next release candidate (vX.Y.Z-rcN) on staging
    Candidate,
    /// Tag the final release (vX.Y.Z) on main
    Final,
}

impl Args {
    /// What is to be tagged, if the command line says so: --check and --man need no word.
    pub fn act(&self) -> Option<Act> {
        self.command.map(|command| match command {
            Command::Candidate => Act::Candidate,
            Command::Final => Act::Final,
        })
    }
}

/// Where to tag and where to push.
#[derive(Debug)]
pub struct Settings {
    /// The remote's name; `origin`.
    pub remote: String,
    /// The branch whose tip may be tagged: that of the environment, else `staging` for candidates and `main` for finals.
    pub branch: String,
}

impl Settings {
    /// Reads the settings for an act.
    pub fn read(context: &Context, act: Act) -> Result<Self, Failure> {
        let own = context.settings.text("branch")?;
        let shared = context.settings.shared("branch")?;
        let usual = match act {
            Act::Candidate => "staging",
            Act::Final => "main",
        };
        Ok(Settings {
            remote: context.settings.text("remote")?.unwrap_or_else(|| "origin".to_owned()),
            branch: own.or(shared).unwrap_or_else(|| usual.to_owned()),
        })
    }
}
