//! What can be said to every step, and how `--help` looks: examples first, exit codes last.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, Args, ColorChoice, Command};

use crate::exit;
use crate::{Procedure, Program, parse_duration};

/// The options that every step has.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every step")]
pub struct Common {
    /// Show what would be done and change nothing; the document stays in plan mode for every later step
    #[arg(long, short = 'n', visible_alias = "dry-run", global = true)]
    pub(crate) plan: bool,
    /// Check settings, secrets and access with one authorised read; no document
    #[arg(long, global = true)]
    pub(crate) check: bool,
    /// The environment, such as staging or production
    #[arg(long, value_name = "NAME", global = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) env: Option<String>,
    /// The version that is released, such as 1.2.0 (--version shows this program's own)
    #[arg(long, value_name = "VERSION", global = true, value_parser = release)]
    pub(crate) release: Option<String>,
    /// The time that the whole step may take
    #[arg(long, value_name = "TIME", global = true, value_parser = |s: &str| parse_duration(s))]
    pub(crate) timeout: Option<Duration>,
    /// Open a new document; stdin is not read
    #[arg(long, global = true)]
    pub(crate) fresh: bool,
    /// What a new document is called: candidate, release, hotfix, rollback, rehearsal or manual
    #[arg(long, value_name = "NAME", global = true, value_parser = procedure(), hide_possible_values = true)]
    pub(crate) procedure: Option<Procedure>,
    /// Read these settings instead of the release.toml found upwards from here
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Show the document or the answer as JSON on a terminal too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say each request
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Colour on stderr: auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) color: ColorChoice,
}

impl Common {
    /// What a new document is called, if that was said.
    pub fn procedure(&self) -> Option<&Procedure> {
        self.procedure.as_ref()
    }
}

/// A version is a plain word: what kind of versions a product has is the changelog's affair.
fn procedure() -> impl TypedValueParser<Value = Procedure> {
    let words = ["candidate", "release", "hotfix", "rollback", "rehearsal", "manual"];
    PossibleValuesParser::new(words).map(Procedure::from)
}

fn release(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let version = bare.unwrap_or(text);
    let usable = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
    if version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(usable) {
        Ok(version.to_owned())
    } else {
        Err("a version looks like 1.2.0".into())
    }
}

/// The command of a program, with its examples first and the exit codes last.
pub(crate) fn command<P: Program>() -> Command {
    let template = "{about-with-newline}\n{before-help}\n{usage-heading} {usage}\n\n{all-args}{after-help}";
    let examples = format!("Examples:\n{}", indented(P::EXAMPLES));
    let command = P::command().before_help(examples).after_help(exit::table()).help_template(template);
    command.subcommand(settings())
}

/// The subcommand that every program has.
pub(crate) const SETTINGS: &str = "settings";
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const KEYS: &str = "keys";

fn settings() -> Command {
    let schema = Arg::new(SCHEMA).long(SCHEMA).action(ArgAction::SetTrue);
    Command::new(SETTINGS)
        .about("Show each setting, its value and where it comes from; no secret is read")
        .arg(Arg::new(KEYS).value_name("KEY").num_args(0..).help("Only the keys that begin so"))
        .arg(
            schema
                .conflicts_with(KEYS)
                .help("Print the JSON Schema of release.toml as this program knows it, for editors"),
        )
}

fn indented(examples: &str) -> String {
    examples.trim().lines().map(|line| format!("  {}\n", line.trim())).collect()
}
