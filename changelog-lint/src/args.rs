//! The command line and the settings.

mod values;

use std::path::{Path, PathBuf};

use changelog_lint::finding::Level;
use changelog_lint::report::Format;
use changelog_lint::rules::{self, Options, Profile, Rule};
use clap::{Parser, Subcommand};
use jiff::civil::Date;
use step::{Common, Context, Failure, Setting, SettingKind as Type};

/// The settings of `[changelog-lint]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "profile",
        Type::Word(&["default", "strict", "common"]),
        "which rules count; common is Common Changelog",
    )
    .default("default"),
    Setting::new("error", Type::List(&Type::Text), "rules that are errors, by code or name").example("CL301"),
    Setting::new("warn", Type::List(&Type::Text), "rules that are warnings").example("CL301"),
    Setting::new("off", Type::List(&Type::Text), "rules that do not count").example("CL301"),
    Setting::new(
        "sections",
        Type::List(&Type::Text),
        "names of sections that are right, beside the six of Keep a Changelog",
    )
    .example("Performance"),
    Setting::new("fail_on", Type::Word(&["error", "warning", "never"]), "what refuses a file")
        .default("error"),
];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The changelog; without it `[product] changelog` of release.toml, else CHANGELOG.md
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    pub lint: Lint,
    #[command(flatten)]
    pub common: Common,
}

/// What can be said about linting.
#[derive(Debug, clap::Args)]
pub struct Lint {
    /// The levels of the rules: default, strict or common (Common Changelog)
    #[arg(long, value_name = "NAME", value_parser = ["default", "strict", "common"])]
    profile: Option<String>,
    /// Make a rule an error, by its code or its name; can be repeated
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = values::Rules, hide_possible_values = true)]
    error: Vec<String>,
    /// Make a rule a warning
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = values::Rules, hide_possible_values = true)]
    warn: Vec<String>,
    /// Switch a rule off
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = values::Rules, hide_possible_values = true)]
    off: Vec<String>,
    /// Exit with 1 from this level on: error, warning, or never
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warning", "never"])]
    fail_on: Option<String>,
    /// Entries added since the branch left this git reference must be unreleased, and no release may be lost
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    pub base: Option<String>,
    /// Compare the releases with the tags of the git repository
    #[arg(long)]
    pub tags: bool,
    /// Repair what can be repaired without changing what the file says
    #[arg(long)]
    pub fix: bool,
    /// With --fix or --diff: also repairs that a person should look at
    #[arg(long = "unsafe")]
    pub also_unsafe: bool,
    /// Show what --fix would change on stdout, and change nothing; exit 1 if there is something
    #[arg(long, conflicts_with_all = ["fix", "report"])]
    pub diff: bool,
    /// Report as json, sarif, github or gitlab to a file, or to stdout instead of the document; can be repeated
    #[arg(long, value_name = "FORMAT[=PATH]", value_parser = values::Reports)]
    pub report: Vec<Report>,
}

/// One report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its format.
    pub format: Format,
    /// The file; stdout without one.
    pub path: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the notes of a version as plain text
    Notes {
        /// The version, such as 1.2.0, newest, or unreleased; a candidate's are its own, else its release's, else the unreleased
        version: String,
        /// The changelog
        file: Option<PathBuf>,
    },
    /// Turn Unreleased into a version, with a fresh Unreleased above it, and repair the links
    Promote {
        /// The version, such as 1.2.0; without it the document's
        version: Option<String>,
        /// The changelog
        file: Option<PathBuf>,
        /// The day of the release; today, UTC
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = values::day)]
        date: Option<Date>,
    },
    /// Explain a rule, or list all
    Rule {
        /// Its code or its name, such as CL201 or duplicate-version
        #[arg(value_parser = values::Rules, hide_possible_values = true)]
        id: Option<String>,
    },
}

/// From which level on the exit code says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailOn(pub Option<Level>);

impl Args {
    /// The changelog to read: as given, from the working directory; as set, from the folder of release.toml.
    pub fn file(&self, context: &Context) -> Result<PathBuf, Failure> {
        let given = match &self.command {
            Some(Command::Notes { file, .. } | Command::Promote { file, .. }) => file,
            _ => &self.file,
        };
        if let Some(path) = given {
            return Ok(path.clone());
        }
        let set = context.settings.product("changelog")?;
        let path = set.unwrap_or_else(|| "CHANGELOG.md".to_owned());
        let folder = context.settings.folder();
        Ok(if folder.as_os_str() == "." { path.into() } else { folder.join(path) })
    }

    /// The report that takes stdout.
    pub fn stdout_report(&self) -> Option<Format> {
        self.lint.report.iter().find(|report| report.path.is_none()).map(|report| report.format)
    }

    /// Each report has a place of its own, where nothing else is lost.
    pub fn reports(&self) -> Result<(), Failure> {
        for report in &self.lint.report {
            report
                .path
                .as_deref()
                .map_or(Ok(()), |path| crate::file::may_be_replaced(path, report.format))?;
        }
        let places: Vec<&Option<PathBuf>> = self.lint.report.iter().map(|report| &report.path).collect();
        let twice = places.iter().enumerate().find(|(index, place)| places[..*index].contains(place));
        match twice {
            Some((_, None)) => {
                let message =
                    "stdout can hold one report: write the others to files with --report FORMAT=PATH";
                Err(Failure::usage("stdout-taken", message))
            }
            Some((_, Some(path))) => {
                let message =
                    format!("two reports would be written to {}: name another file", path.display());
                Err(Failure::usage("arguments", message))
            }
            None => Ok(()),
        }
    }

    /// Whether the outcome is a failure from some level on.
    pub fn fail_on(&self, context: &Context) -> Result<FailOn, Failure> {
        let (text, set) = self.said(context, "fail_on", self.lint.fail_on.as_deref())?;
        match text.as_deref() {
            None | Some("error") => Ok(FailOn(Some(Level::Error))),
            Some("warning") => Ok(FailOn(Some(Level::Warning))),
            Some("never") => Ok(FailOn(None)),
            Some(other) => {
                Err(wrong(context, "fail_on", set, &format!("`{other}` is none of error, warning, never")))
            }
        }
    }

    /// What is asked of the rules.
    pub fn options(&self, context: &Context, path: &Path, today: Date) -> Result<Options, Failure> {
        let mut options = Options::on(today);
        let (profile, set) = self.said(context, "profile", self.lint.profile.as_deref())?;
        if let Some(name) = profile {
            let unknown =
                || wrong(context, "profile", set, &format!("`{name}` is none of default, strict, common"));
            options.profile = Profile::named(&name).ok_or_else(unknown)?;
        }
        let keys = [
            ("off", Level::Off, &self.lint.off),
            ("warn", Level::Warning, &self.lint.warn),
            ("error", Level::Error, &self.lint.error),
        ];
        for (key, level, _) in &keys {
            for id in context.settings.list::<String>(key)? {
                options
                    .levels
                    .insert(rule(&id).map_err(|why| context.settings.wrong(key, &why))?.code, *level);
            }
        }
        for (key, level, ids) in &keys {
            for id in *ids {
                let usage = |why: String| Failure::usage("rule", format!("--{key}: {why}"));
                options.levels.insert(rule(id).map_err(usage)?.code, *level);
            }
        }
        options.sections = context.settings.list("sections")?;
        options.repository =
            context.settings.product("repository")?.and_then(|address| changelog_lint::host::web(&address));
        if let Some(name) = path.file_name() {
            options.file_name = name.to_string_lossy().into_owned();
        }
        Ok(options)
    }

    /// A value of the command line, else of the settings; and whether it is of the settings.
    fn said(
        &self,
        context: &Context,
        key: &str,
        given: Option<&str>,
    ) -> Result<(Option<String>, bool), Failure> {
        match given {
            Some(text) => Ok((Some(text.to_owned()), false)),
            None => Ok((context.settings.text(key)?, true)),
        }
    }
}

fn wrong(context: &Context, key: &str, set: bool, why: &str) -> Failure {
    if set {
        context.settings.wrong(key, why)
    } else {
        Failure::usage("arguments", format!("--{}: {why}", key.replace('_', "-")))
    }
}

/// A rule by its code or name; else what it was probably meant to be.
pub fn rule(id: &str) -> Result<&'static Rule, String> {
    rules::named(id).ok_or_else(|| {
        let scored =
            rules::RULES.iter().map(|rule| (strsim::jaro_winkler(&id.to_lowercase(), rule.name), rule));
        let best = scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0));
        let advice = best.map_or("`changelog-lint rule` lists them".to_owned(), |(_, rule)| {
            format!("did you mean {} ({})?", rule.name, rule.code)
        });
        format!("there is no rule `{id}`; {advice}")
    })
}
