//! The command line and the settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use step::{Common, Context, Failure, Secret};

/// The keys of `[db-restore]`.
pub const KEYS: &[&str] = &[
    "host",
    "port",
    "database",
    "user",
    "password_file",
    "maintenance_database",
    "snapshots",
    "rpo",
    "jobs",
    "pg_bin",
    "tls",
];

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
    /// Take a snapshot now
    Snapshot,
    /// Bring a snapshot back: beside the live database, checked, then swapped in; the old one is kept
    Restore(Wish),
}

/// What shall be restored.
#[derive(Debug, clap::Args)]
pub struct Wish {
    /// This snapshot; else the newest one from before the incident
    #[arg(long, value_name = "ID")]
    pub snapshot: Option<String>,
    /// Since when the data is wrong, RFC 3339; else the document says
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub incident_at: Option<Timestamp>,
    /// What a person would have to type
    #[arg(long, value_name = "DATABASE@ID")]
    pub confirm: Option<String>,
}

impl Command {
    /// The subcommand's word.
    pub fn word(&self) -> &'static str {
        match self {
            Command::RecoveryPoint { .. } => "recovery-point",
            Command::Snapshot => "snapshot",
            Command::Restore(_) => "restore",
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

/// Where the database is, and where its snapshots go.
#[derive(Debug)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Secret>,
    /// The database from which others are renamed.
    pub maintenance: String,
    pub snapshots: PathBuf,
    /// How old the recovery point may be.
    pub rpo: Duration,
    /// How many tables are dumped and restored at the same time.
    pub jobs: usize,
    pub pg_bin: Option<PathBuf>,
}

impl Settings {
    /// Reads the settings of the environment.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        context.environment()?;
        let settings = &context.settings;
        let host = settings.need("host")?;
        let local = host == "localhost" || host.starts_with('/') || host == "::1" || host.starts_with("127.");
        match settings.text("tls")?.as_deref() {
            Some("disable") => {}
            None if local => {}
            None => {
                let why = format!(
                    "{host} is another machine, and this version speaks to PostgreSQL without TLS only; say tls = \"disable\" if the network between is yours"
                );
                return Err(settings.wrong("tls", &why));
            }
            Some(other) => {
                return Err(settings.wrong("tls", &format!("`{other}` is not known yet; only disable is")));
            }
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Settings {
            host,
            port: settings.number("port")?.unwrap_or(5432),
            database: settings.need("database")?,
            user: settings.text("user")?.unwrap_or_else(|| "postgres".to_owned()),
            password: settings.secret("password", "DATABASE_PASSWORD")?,
            maintenance: settings.text("maintenance_database")?.unwrap_or_else(|| "postgres".to_owned()),
            snapshots: settings.path("snapshots")?.ok_or_else(|| settings.missing("snapshots"))?,
            rpo: settings.duration("rpo")?.unwrap_or(Duration::from_secs(3600)),
            jobs: settings.number("jobs")?.unwrap_or(cores.min(4)).max(1),
            pg_bin: settings.path("pg_bin")?,
        })
    }
}
