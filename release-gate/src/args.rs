//! The command line and the settings.

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use step::{Common, Context, Failure, Setting, SettingKind as Type};

use crate::plan::Wish;

/// The settings of `[release-gate]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("migrations", Type::Path, "the folder of the migrations, below the repository's")
        .default("db/migrations"),
    Setting::new(
        "most_loss",
        Type::Time,
        "how far back the data may go in a rollback that nobody has told to restore it",
    )
    .default("24h"),
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
    /// Show the migrations between two commits, and what they mean for the previous build
    Migrations {
        /// The previous build: a commit or a tag
        from: String,
        /// The build after it
        #[arg(default_value = "HEAD")]
        to: String,
    },
    /// Decide what becomes of the data in a rollback
    Data {
        /// What becomes of it
        #[arg(long, value_name = "PLAN", default_value = "auto")]
        database: Database,
        /// Keep the data although the migrations speak against it; the reason is kept
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        although: Option<String>,
    },
    /// Certify that there is a way back, before anything in production is changed
    Certificate {
        /// Certify without this part of the way back: the product does not have it
        #[arg(long, value_name = "PART")]
        without: Vec<Part>,
    },
}

/// A part of the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The previous build
    Code,
    /// The data as it was
    Data,
    /// The edge
    Edge,
    /// The team, who must hear of it
    Team,
}

/// What becomes of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Database {
    /// The migrations decide
    Auto,
    /// Bring it back
    Restore,
    /// Leave it as it is
    Keep,
}

impl Database {
    /// The wish, with its reason.
    pub fn wish(self, although: Option<&str>) -> Result<Wish, Failure> {
        match (self, although) {
            (Database::Keep, reason) => Ok(Wish::Keep(reason.map(str::to_owned))),
            (_, Some(_)) => Err(Failure::usage("arguments", "--although goes with --database keep")),
            (Database::Auto, None) => Ok(Wish::Auto),
            (Database::Restore, None) => Ok(Wish::Restore),
        }
    }
}

/// Where the migrations are, and how much may be lost without being asked for.
#[derive(Debug)]
pub struct Settings {
    /// The folder, from the repository's top.
    pub migrations: String,
    /// Whether the team has said so: then it must be there.
    pub is_said: bool,
    /// The time of writes that the migrations alone may decide to take out.
    pub most_loss: Duration,
}

impl Settings {
    /// Reads the settings.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        Ok(Settings {
            migrations: settings.value("migrations")?,
            is_said: settings.is_set("migrations"),
            most_loss: settings.value("most_loss")?,
        })
    }
}
