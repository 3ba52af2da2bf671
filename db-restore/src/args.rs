//! The command line.

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use step::Common;

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the snapshots, and whether one is young enough (this is what happens without a subcommand)
    RecoveryPoint {
        /// Measure against this instant instead of now, RFC 3339
        #[arg(long, value_name = "TIME", value_parser = instant)]
        incident_at: Option<Timestamp>,
    },
    /// Write down which migrations the database says were applied, and whether its data was brought back
    Applied {
        /// Where it cannot be asked, say so and go on
        #[arg(long)]
        lenient: bool,
    },
    /// Take a snapshot now
    Snapshot,
    /// Restore the newest snapshot beside the live database, verify and time it, and keep it ready to be swapped in
    Rehearse {
        /// This snapshot; else the newest one
        #[arg(long, value_name = "ID")]
        snapshot: Option<String>,
    },
    /// Bring a snapshot back: beside the live database, verified, then swapped in; the old one is kept
    Restore(RestoreArgs),
    /// Swap back what the last restore has put aside; the database that is live now is kept
    Undo(ConfirmArgs),
    /// Remove what is too old: snapshots, staged copies, databases that a restore has kept; never the newest snapshot that proves itself now
    Prune(PruneArgs),
}

/// What may be removed.
#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// Ask nobody, because the settings say it: remove only where `keep` or `keep_databases` is set (for runbooks)
    #[arg(long, conflicts_with = "confirm")]
    pub by_settings: bool,
    #[command(flatten)]
    pub sure: ConfirmArgs,
}

/// What shall be restored.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// This snapshot; else the newest one from before the incident
    #[arg(long, value_name = "ID")]
    pub snapshot: Option<String>,
    /// Since when the data is wrong, RFC 3339; else the document says
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub incident_at: Option<Timestamp>,
    #[command(flatten)]
    pub sure: ConfirmArgs,
}

/// The confirmation of a dangerous act.
#[derive(Debug, clap::Args)]
pub struct ConfirmArgs {
    /// What a person would have to type
    #[arg(long, value_name = "DATABASE@ID")]
    pub confirm: Option<String>,
}

impl Command {
    /// The subcommand's word.
    pub fn word(&self) -> &'static str {
        match self {
            Command::RecoveryPoint { .. } => "recovery-point",
            Command::Applied { .. } => "applied",
            Command::Snapshot => "snapshot",
            Command::Rehearse { .. } => "rehearse",
            Command::Restore(_) => "restore",
            Command::Undo(_) => "undo",
            Command::Prune(_) => "prune",
        }
    }
}

impl Args {
    /// What is to be done; without a word, show where things stand.
    pub fn command(&self) -> &Command {
        const SHOW: &Command = &Command::RecoveryPoint { incident_at: None };
        self.command.as_ref().unwrap_or(SHOW)
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "a time looks like 2026-11-24T12:00:00Z".to_owned())
}
