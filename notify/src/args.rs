//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use step::Common;

use crate::message::words::LANGUAGES;

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The run stopped behind this document with this exit code, and no document says why
    #[arg(long, value_name = "CODE")]
    pub stopped: Option<u8>,
    /// A line that the message has besides
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Only look which channels can be reached, for a release's certificate; nothing is sent
    #[arg(long, conflicts_with = "stopped")]
    pub ready: bool,
    /// Tell this channel, by its name in release.toml, instead of the ones that are set; may be repeated
    #[arg(long, value_name = "CHANNEL", global = true)]
    pub to: Vec<String>,
    /// The language: en or id
    #[arg(long, value_name = "LANG", global = true, value_parser = LANGUAGES, hide_possible_values = true)]
    pub lang: Option<String>,
    /// A message that could not be delivered is a warning and no failure
    #[arg(long, global = true)]
    pub best_effort: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a text of your own; no document is read
    Send {
        /// What to say
        #[arg(required_unless_present = "file")]
        text: Option<String>,
        /// The text is HTML as Telegram knows it
        #[arg(long)]
        html: bool,
        /// A log that goes with it, as a document where the channel takes one
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show the message about a document, and send nothing; with --json exactly what would be sent
    Preview {
        /// A document, as it lies in runs/
        #[arg(long, value_name = "FILE")]
        of: PathBuf,
    },
    /// Show what waits to be sent and what was given up
    Outbox,
    /// Send what waits in the outbox
    Flush {
        /// Also what was given up
        #[arg(long)]
        dead: bool,
    },
    /// Prove every template on sample documents, the team's own too
    Templates {
        /// Write the built-in templates and words there, to be changed
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
}

impl Args {
    /// What is told beside the document.
    pub fn beside(&self) -> crate::message::Beside {
        crate::message::Beside { stopped: self.stopped, note: self.note.clone() }
    }
}
