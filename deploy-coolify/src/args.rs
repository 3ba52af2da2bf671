//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, Parser, Subcommand};
use step::{Common, parse_duration};

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
    /// Show what is configured, deployed and answering (this is what happens without a subcommand)
    Status,
    /// Write down what runs, before anything changes
    Observe {
        /// Open a rollback's document: what is left, where it goes back to, and since when it went wrong
        #[arg(long)]
        rollback: bool,
        /// The document of the run that is rolled back, finished or failed; else Coolify's history is asked
        #[arg(long, value_name = "FILE", requires = "rollback", conflicts_with = "run")]
        of: Option<PathBuf>,
        /// With --rollback: the runs of this environment, as their keeper lists them; the one that brought what runs is gone back from
        #[arg(long, value_name = "FILE", requires = "rollback")]
        history: Option<PathBuf>,
        /// Go back from this one of them, whatever runs
        #[arg(long, value_name = "NAME", requires = "history")]
        run: Option<String>,
        /// Since when the data is wrong, RFC 3339; else the start of the deployment that is rolled back
        #[arg(long, value_name = "TIME", requires = "rollback", value_parser = instant)]
        incident_at: Option<String>,
        /// With --rollback: another machine has begun it, and what its document says must be what Coolify's history says
        #[arg(long, requires = "rollback")]
        elsewhere: bool,
        /// Write nothing down, and look whether what another machine says it has deployed is so, as the keeper of its run has noted it
        #[arg(long, value_name = "FILE", conflicts_with = "rollback")]
        claimed: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Ask the environment where candidates are tested whether one of this version runs there, and for how long
    Tested {
        /// Release another build than the image that was tested; the reason is kept
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        rebuilt: Option<String>,
    },
    /// Deploy the document's build, wait, and prove that it answers
    Deploy {
        /// Deploy to production although nothing says what ran before; the reason is kept
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        no_previous: Option<String>,
        /// Go back to the previous build, once, if the new one has replaced it and is unhealthy
        #[arg(long)]
        auto_rollback: bool,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        wait: Wait,
    },
    /// Deploy the previous build, wait, and prove that it answers
    Rollback {
        /// The document of the run that is rolled back; else the document on stdin, else Coolify's history
        #[arg(long, value_name = "FILE")]
        of: Option<PathBuf>,
        /// Leave auto-deploy on, although the next push brings the bad build back
        #[arg(long)]
        keep_auto_deploy: bool,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        wait: Wait,
    },
    /// Wait for the deployment that a push has started, and prove that its build answers
    Attach {
        /// This deployment, such as one that an earlier run has left behind; one for each application
        #[arg(long, value_name = "UUID", value_parser = deployment)]
        deployment: Vec<String>,
        /// How long the push's deployment may take to appear
        #[arg(long, value_name = "TIME", value_parser = |s: &str| parse_duration(s))]
        window: Option<Duration>,
        /// Start one if none appears
        #[arg(long)]
        or_start: bool,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        wait: Wait,
    },
}

/// Which build, by hand; else the document says.
#[derive(Arguments, Clone, Debug, Default)]
pub struct Target {
    /// This image, with its tag or digest; one for each repository
    #[arg(long, value_name = "IMAGE", value_parser = image)]
    pub image: Vec<String>,
    /// This commit, 40 hex digits (for applications that Coolify builds)
    #[arg(long, value_name = "SHA", value_parser = commit)]
    pub commit: Option<String>,
}

/// How to wait; each is a setting too.
#[derive(Arguments, Clone, Debug, Default)]
pub struct Wait {
    /// Give up on a deployment that shows no progress for so long
    #[arg(long, value_name = "TIME", value_parser = |s: &str| parse_duration(s))]
    pub stall: Option<Duration>,
    /// Refuse when more applications and servers than this would be touched
    #[arg(long, value_name = "N")]
    pub max_targets: Option<usize>,
    /// Cancel what was started here when it stalls, the time is over or a signal comes
    #[arg(long)]
    pub cancel: bool,
    /// Show the hidden entries of the log too; they may hold what a build prints of its secrets
    #[arg(long)]
    pub hidden_log: bool,
}

impl Command {
    /// The subcommand's word.
    pub fn word(&self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Observe { .. } => "observe",
            Command::Tested { .. } => "tested",
            Command::Deploy { .. } => "deploy",
            Command::Rollback { .. } => "rollback",
            Command::Attach { .. } => "attach",
        }
    }

    /// How the command line wants to wait.
    pub fn wait(&self) -> Option<&Wait> {
        match self {
            Command::Deploy { wait, .. } | Command::Rollback { wait, .. } | Command::Attach { wait, .. } => {
                Some(wait)
            }
            Command::Status | Command::Observe { .. } | Command::Tested { .. } => None,
        }
    }
}

impl Args {
    /// What is to be done; without a word, show where things stand.
    pub fn command(&self) -> &Command {
        self.command.as_ref().unwrap_or(&Command::Status)
    }
}

fn instant(text: &str) -> Result<String, String> {
    let at: jiff::Timestamp =
        text.parse().map_err(|_| "a time looks like 2026-11-24T12:00:00Z".to_owned())?;
    Ok(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn image(text: &str) -> Result<String, String> {
    let wrong = || "an image has its tag or digest, such as registry.example/shop:1.2.0".to_owned();
    image::split(text).map(|_| text.to_owned()).ok_or_else(wrong)
}

fn deployment(text: &str) -> Result<String, String> {
    let wrong = || "a deployment's id has letters and digits, as `deploy-coolify status` shows it".to_owned();
    crate::api::is_id(text).then(|| text.to_owned()).ok_or_else(wrong)
}

fn commit(text: &str) -> Result<String, String> {
    let whole = crate::api::is_commit(text);
    let wrong = || "a commit has 40 hex digits; a short one would not find its image".to_owned();
    whole.then(|| text.to_ascii_lowercase()).ok_or_else(wrong)
}
