//! The command line and the settings.

use clap::{Args as Words, Parser, Subcommand};
use step::{Common, Context, Failure, Setting, SettingKind as Type};

use crate::name::{Style, number};

/// The settings of `[tag-rc]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("remote", Type::Text, "git's remote that gets the tags").default("origin"),
    Setting::new("branch", Type::Text, "the branch that is tagged")
        .otherwise("the environment's branch, else staging or main")
        .example("staging"),
    Setting::new("main", Type::Text, "the branch of production").default("main"),
    Setting::new("staging", Type::Text, "the branch of candidates").default("staging"),
    Setting::new("develop", Type::Text, "the branch of integration").default("develop"),
    Setting::new("features", Type::List(&Type::Text), "patterns of the branches of features")
        .default("feature/*"),
    Setting::new("hotfixes", Type::List(&Type::Text), "patterns of the branches of hotfixes")
        .default("hotfix/*"),
    Setting::new("rc_style", Type::Word(&["plain", "dotted"]), "v1.2.0-rc3 is plain, v1.2.0-rc.3 dotted")
        .default("plain"),
    Setting::new(
        "strict_semver",
        Type::Flag,
        "refuse a number that tools sort wrongly (rc10 in the plain style)",
    )
    .default("false"),
    Setting::new(
        "ignore",
        Type::List(&Type::Text),
        "git pathspecs of files that may be changed and not committed",
    )
    .example("runs/"),
    Setting::new(
        "may_differ",
        Type::List(&Type::Text),
        "git pathspecs of files in which a final may differ from its candidate",
    )
    .example("CHANGELOG.md"),
    Setting::new("no_candidate", Type::Text, "why finals need no candidate; the tag keeps it")
        .example("we have no staging"),
    Setting::new("require_notes", Type::Flag, "refuse a tag without the changelog's notes").default("false"),
    Setting::new("sign", Type::Flag, "sign the tags").default("false"),
    Setting::new("require_signed", Type::Flag, "sign the tags, and push only what git verify-tag accepts")
        .default("false"),
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

/// What is asked for.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Tag the next release candidate (vX.Y.Z-rcN) on staging
    Candidate {
        /// Take the next number although this commit has a candidate of this version
        #[arg(long)]
        again: bool,
        /// When somebody else takes the number in between, take the next one
        #[arg(long)]
        retry: bool,
        /// Take this number instead of the next one, because the remote's host never takes that one again
        #[arg(long, value_name = "N", value_parser = number, conflicts_with = "retry", allow_negative_numbers = true)]
        number: Option<u64>,
        /// How N is written: plain (rc3) or dotted (rc.3)
        #[arg(long, value_name = "STYLE", value_parser = Style::parse)]
        rc_style: Option<Style>,
        /// Refuse a number that tools sort wrongly (rc10 in the plain style) instead of warning
        #[arg(long)]
        strict_semver: bool,
        #[command(flatten)]
        how: How,
    },
    /// Tag the final release (vX.Y.Z) on main, if main is what the last candidate was
    Final {
        /// Release without a candidate where there is none; the reason is kept in the tag
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        no_candidate: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Tag the next patch of the final that runs, on a hotfix branch that was cut from it
    Hotfix {
        /// Tag although the branch is not the final that runs and a fix alone; the reason is kept in the tag
        #[arg(long, value_name = "REASON", value_parser = step::reason)]
        other_base: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Say whether what lies here could be tagged, without asking the remote: what the runbooks begin with
    Ready {
        /// As what
        act: Act,
        /// The branch whose tip would be tagged
        #[arg(long, value_name = "NAME")]
        branch: Option<String>,
    },
    /// Show versions and their candidates, in the order they were counted
    List {
        /// Only this version
        version: Option<String>,
        #[command(flatten)]
        remote: RemoteName,
    },
    /// Show who made a tag, when, whether it is signed, on which branches and from which candidate; exit 1 if it is not sound
    Verify {
        /// The tag, such as v1.2.0
        tag: String,
        /// An unsigned tag, or a signature that cannot be proven, is not sound
        #[arg(long)]
        require_signed: bool,
        #[command(flatten)]
        remote: RemoteName,
    },
    /// Hold the remote's branches against the branching strategy; exit 1 if something is missing somewhere
    Branches {
        #[command(flatten)]
        remote: RemoteName,
    },
}

/// Which remote.
#[derive(Clone, Debug, Default, Words)]
pub struct RemoteName {
    /// The remote; origin
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
}

/// What can be said to everything that tags.
#[derive(Clone, Debug, Words)]
pub struct How {
    /// The branch whose tip is tagged; proven on the remote, whatever is checked out
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Also accept a commit that the branch has left behind
    #[arg(long)]
    allow_behind: bool,
    /// Sign the tag; otherwise git's own tag.gpgSign decides
    #[arg(long)]
    sign: bool,
    /// Sign, and push only if `git verify-tag` accepts the signature
    #[arg(long)]
    require_signed: bool,
    #[command(flatten)]
    remote: RemoteName,
}

/// What is to be tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Act {
    /// The next release candidate.
    Candidate,
    /// The final release.
    Final,
    /// The final of a hotfix.
    Hotfix,
}

/// The branches of the team's strategy.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// Production; `main`.
    pub main: String,
    /// QA and candidates; `staging`.
    pub staging: String,
    /// Integration; `develop`.
    pub develop: String,
    /// Patterns of feature branches; `feature/*`.
    pub features: Vec<String>,
    /// Patterns of hotfix branches; `hotfix/*`.
    pub hotfixes: Vec<String>,
}

impl Strategy {
    /// Reads the branches' names.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        Ok(Strategy {
            main: settings.value("main")?,
            staging: settings.value("staging")?,
            develop: settings.value("develop")?,
            features: settings.list("features")?,
            hotfixes: settings.list("hotfixes")?,
        })
    }
}

/// Where and how to tag.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is to be tagged.
    pub act: Act,
    /// The remote's name or URL; `origin`.
    pub remote: String,
    /// The branch whose tip may be tagged; `None` for a hotfix whose branch is the one checked out.
    pub branch: Option<String>,
    /// `--branch` named it: what is checked out may have another name.
    pub branch_given: bool,
    /// A commit below the tip will do.
    pub allow_behind: bool,
    /// The next number although the commit has one.
    pub again: bool,
    /// The next number when this one is lost.
    pub retry: bool,
    /// The number that a person has chosen.
    pub number: Option<u64>,
    /// How N is written.
    pub style: Style,
    /// Refuse rc10 in the plain style.
    pub strict_semver: bool,
    /// Paths (git pathspecs) that may be uncommitted.
    pub ignore: Vec<String>,
    /// Paths (git pathspecs) in which a final may differ from its candidate.
    pub may_differ: Vec<String>,
    /// Why there is no candidate.
    pub no_candidate: Option<String>,
    /// Why a hotfix may be built on something else than what runs.
    pub other_base: Option<String>,
    /// Notes are needed even when no changelog was read in this run.
    pub require_notes: bool,
    /// Sign.
    pub sign: bool,
    /// Prove the signature.
    pub require_signed: bool,
    /// The branch that production is deployed from.
    pub production: String,
    /// The branches.
    pub strategy: Strategy,
}

impl Args {
    /// What is to be tagged, if the command line says so: --check and --man need no word.
    pub fn act(&self) -> Option<Act> {
        match self.command.as_ref()? {
            Command::Candidate { .. } => Some(Act::Candidate),
            Command::Final { .. } => Some(Act::Final),
            Command::Hotfix { .. } => Some(Act::Hotfix),
            _ => None,
        }
    }

    /// The settings for what is to be tagged.
    pub fn settings(&self, context: &Context, act: Act) -> Result<Settings, Failure> {
        let mut settings = Settings::read(context, act)?;
        let how = match &self.command {
            Some(Command::Candidate { again, retry, number, rc_style, strict_semver, how }) => {
                (settings.again, settings.retry, settings.number) = (*again, *retry, *number);
                settings.style = rc_style.unwrap_or(settings.style);
                settings.strict_semver |= strict_semver;
                Some(how)
            }
            Some(Command::Final { no_candidate, how }) => {
                settings.no_candidate = no_candidate.clone().or(settings.no_candidate);
                Some(how)
            }
            Some(Command::Hotfix { other_base, how }) => {
                settings.other_base.clone_from(other_base);
                Some(how)
            }
            _ => None,
        };
        if let Some(Command::Ready { branch: Some(named), .. }) = &self.command {
            (settings.branch_given, settings.branch) = (true, Some(branch(named.clone())?));
        }
        if let Some(how) = how {
            settings.branch_given = how.branch.is_some();
            settings.branch = how.branch.clone().or(settings.branch).map(branch).transpose()?;
            settings.allow_behind = how.allow_behind;
            settings.sign |= how.sign;
            settings.require_signed |= how.require_signed;
            settings.remote = remote(context, &how.remote)?;
        }
        Ok(settings)
    }
}

/// The remote: said, else set, else `origin`. A URL with a password would stand in documents and logs.
pub fn remote(context: &Context, said: &RemoteName) -> Result<String, Failure> {
    let remote = said.remote.clone().map_or_else(|| context.settings.value("remote"), Ok)?;
    if git_program::hide_credentials(&remote) {
        let message = "the remote's URL holds a name or password: give the URL without it, and that to git's credential helper";
        return Err(Failure::config("setting", message));
    }
    if remote.trim().is_empty() || remote.starts_with('-') {
        let message =
            "a remote needs a name: say --remote NAME (origin is the usual one), or leave --remote away";
        return Err(Failure::config("setting", message).next("git remote --verbose"));
    }
    Ok(remote)
}

/// A branch as git takes it: its name alone.
fn branch(text: String) -> Result<String, Failure> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    let wrong = text.is_empty()
        || text.starts_with(['-', '/'])
        || text.ends_with(['/', '.'])
        || text.contains("..")
        || text.contains(odd);
    if !wrong {
        return Ok(text);
    }
    let shown = crate::message::printable(&text);
    Err(Failure::config(
        "setting",
        format!("`{shown}` cannot be a branch's name: say --branch NAME, such as staging"),
    ))
}

impl Settings {
    /// Reads `release.toml` for an act.
    fn read(context: &Context, act: Act) -> Result<Self, Failure> {
        let settings = &context.settings;
        let strategy = Strategy::read(context)?;
        let style = Style::parse(&settings.value::<String>("rc_style")?)
            .map_err(|why| settings.wrong("rc_style", &why))?;
        let usual = match act {
            Act::Candidate => Some(strategy.staging.clone()),
            Act::Final => Some(strategy.main.clone()),
            Act::Hotfix => None,
        };
        // The environment's branch is where it is deployed from; a hotfix comes from its own.
        let set =
            if act == Act::Hotfix { None } else { settings.text("branch")?.or(settings.shared("branch")?) };
        Ok(Settings {
            act,
            remote: remote(context, &RemoteName::default())?,
            branch: set.or(usual),
            branch_given: false,
            allow_behind: false,
            again: false,
            retry: false,
            number: None,
            style,
            strict_semver: settings.value("strict_semver")?,
            ignore: settings.list("ignore")?,
            may_differ: settings.list("may_differ")?,
            no_candidate: settings
                .text("no_candidate")?
                .filter(|reason| !reason.is_empty())
                .map(|reason| step::reason(&reason).map_err(|why| settings.wrong("no_candidate", &why)))
                .transpose()?,
            other_base: None,
            require_notes: settings.value("require_notes")?,
            sign: settings.value("sign")?,
            require_signed: settings.value("require_signed")?,
            production: settings.shared("branch")?.unwrap_or_else(|| strategy.main.clone()),
            strategy,
        })
    }
}
