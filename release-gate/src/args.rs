//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Words, Parser, Subcommand, ValueEnum};
use step::{Common, Failure, parse_duration};

use crate::way_back::data::Wish;

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
}

/// What every gate can be told.
#[derive(Debug, Words)]
pub struct Asked {
    /// The commit that is asked about, where no document names it
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,
    /// The candidate that people have seen, where no document names it
    #[arg(long, value_name = "TAG")]
    pub candidate: Option<String>,
    /// Go on although the answer is not yes; who says so and why is kept, and owed
    #[arg(long, value_name = "REASON", value_parser = step::reason)]
    pub waive: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say which gates are asked here, by the policy of the production branch too
    Gates,
    /// Say which merged branches and work items there are since the last final
    Contents,
    /// Ask whether the commit is green and reviewed
    Ci {
        #[command(flatten)]
        asked: Asked,
        /// Wait so long for checks that are not over
        #[arg(long, value_name = "TIME", value_parser = |text: &str| parse_duration(text))]
        wait: Option<Duration>,
    },
    /// Ask whether the tests that are required have run on this tree, and passed
    Tests {
        #[command(flatten)]
        asked: Asked,
    },
    /// Ask whether QA's list for this candidate is done
    Checklist {
        #[command(flatten)]
        asked: Asked,
        /// Make the candidate's rows from a Markdown list, that of checklist.list if none is named; answers that are there are left alone
        #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["init", "waive"])]
        seed: Option<Option<PathBuf>>,
        /// Print the tables that the database needs, as SQL
        #[arg(long, conflicts_with = "waive")]
        init: bool,
    },
    /// Ask whether enough people have approved exactly what is released
    Approval {
        #[command(flatten)]
        asked: Asked,
    },
    /// Ask whether something may be released now, by the calendar
    Window {
        #[command(flatten)]
        asked: Asked,
    },
    /// Ask whether the cluster is healthy
    Cluster {
        #[command(flatten)]
        asked: Asked,
    },
    /// Ask window, approval and cluster once more, directly before the first change for customers; what ships must be what was judged
    Still,
    /// Approve what is to be released, or reject it, with a signature; this is what rilis-approve does
    Approve(Approve),
    /// Run a command that tests this tree, and store what its report says on the release remote
    Record(Record),
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

impl Command {
    /// Its name in the document's records; that of a question is `None`.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Command::Gates => Some("gates"),
            Command::Contents => Some("contents"),
            Command::Ci { .. } => Some("ci"),
            Command::Tests { .. } => Some("tests"),
            Command::Checklist { .. } => Some("checklist"),
            Command::Approval { .. } => Some("approval"),
            Command::Window { .. } => Some("window"),
            Command::Cluster { .. } => Some("cluster"),
            Command::Still => Some("still"),
            Command::Approve(_) => Some("approve"),
            Command::Data { .. } => Some("data"),
            Command::Certificate { .. } => Some("certificate"),
            Command::Record(_) | Command::Migrations { .. } => None,
        }
    }
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

/// What is recorded.
#[derive(Debug, Words)]
pub struct Record {
    /// The name of the record, such as unit; settings ask for it by this name
    #[arg(long = "as", value_name = "NAME", value_parser = name)]
    pub name: String,
    /// The report that the command writes; without one only its exit code is known
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The page that is tested: it must serve this commit's build before and after
    #[arg(long, value_name = "URL")]
    pub against: Option<String>,
    /// The command and its words, behind --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// A record's name is a part of a ref.
fn name(text: &str) -> Result<String, String> {
    let usable = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_word = !text.is_empty() && text.len() <= 60 && text.chars().all(usable) && !text.starts_with('-');
    if is_word { Ok(text.to_owned()) } else { Err("a name is made of letters, digits, - and _".to_owned()) }
}

/// What somebody says of a candidate.
#[derive(Debug, Words)]
pub struct Approve {
    /// The candidate, such as v1.2.0-rc2; with --branch the version that it will have
    #[arg(
        value_name = "CANDIDATE",
        required_unless_present = "list",
        default_value = "",
        hide_default_value = true
    )]
    pub candidate: String,
    /// The branch of a fix that was never a candidate
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
    /// The role in which you approve, where you have several
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
    /// Reject it for good: a new candidate must be made
    #[arg(long, value_name = "REASON", value_parser = step::reason, conflicts_with = "role")]
    pub reject: Option<String>,
    /// Take back a statement of yours, by its number
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["role", "reject"])]
    pub revoke: Option<String>,
    /// Show what was approved and rejected, and nothing else
    #[arg(long, conflicts_with_all = ["role", "reject", "revoke"])]
    pub list: bool,
    /// Confirm without a terminal: the candidate once more
    #[arg(long, value_name = "CANDIDATE")]
    pub confirm: Option<String>,
}
