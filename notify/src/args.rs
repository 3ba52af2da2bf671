//! The command line and the settings.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure, Settings as File};

use crate::channels::{self, Channel, Reader};
use crate::message::Link;
use crate::words::LANGUAGES;

/// The keys of `[notify]`.
pub const KEYS: &[&str] = &[
    "channel",
    "fallback",
    "lang",
    "templates",
    "state",
    "best_effort",
    "links.*",
    "channels.*.kind",
    "channels.*.lang",
    "channels.*.on",
    "channels.*.required",
    "channels.*.follow_up",
    "channels.*.url",
    "channels.*.allow_http",
    "channels.*.chat_id",
    "channels.*.topic",
    "channels.*.channel",
    "channels.*.tag",
    "channels.*.token_file",
    "channels.*.webhook_file",
    "channels.*.secret_file",
    "channels.*.key_file",
];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The run stopped behind this document with this exit code, and no document says why
    #[arg(long, value_name = "CODE")]
    pub stopped: Option<u8>,
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

/// What a second message about the same run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// It answers the first one.
    Reply,
    /// Good news changes the first one; bad news is a message of its own, because an edit makes no sound.
    Edit,
}

/// A channel and how it is used.
pub struct Target {
    pub name: String,
    pub kind: String,
    pub lang: String,
    /// Which messages it gets, as patterns; none means all.
    pub on: Vec<String>,
    /// Whether notify fails when it cannot be told.
    pub required: bool,
    pub follow_up: FollowUp,
    pub channel: Box<dyn Channel>,
}

/// Whom to tell, how, and where to note what was told.
pub struct Settings {
    pub targets: Vec<Target>,
    /// It gets what a required channel may not have got.
    pub fallback: Option<Target>,
    /// A folder with the team's own templates and words.
    pub templates: Option<PathBuf>,
    pub links: Vec<Link>,
    pub state: PathBuf,
    pub best_effort: bool,
}

impl Settings {
    /// Reads the settings. `dry` means that nothing will be sent, and a secret may be missing.
    ///
    /// # Errors
    /// `config`, naming the place and the remedy.
    pub fn read(context: &Context, args: &Args, dry: bool) -> Result<Self, Failure> {
        let settings = &context.settings;
        let lang = match &args.lang {
            Some(lang) => lang.clone(),
            None => language(settings, "lang")?.unwrap_or_else(|| "en".to_owned()),
        };
        let names = if args.to.is_empty() { settings.list("channel")? } else { args.to.clone() };
        if names.is_empty() {
            return Err(settings.missing("channel"));
        }
        let read = |name: &String| Target::read(settings, name, &lang, args.lang.is_some(), dry);
        let fallback = settings.text("fallback")?.filter(|_| args.to.is_empty());
        Ok(Settings {
            targets: names.iter().map(read).collect::<Result<_, _>>()?,
            fallback: fallback.as_ref().map(read).transpose()?,
            templates: templates(settings)?,
            links: links(settings)?,
            state: state(settings)?,
            best_effort: args.best_effort || settings.flag("best_effort")?.unwrap_or_default(),
        })
    }

    /// Every channel, the fallback last.
    pub fn all(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().chain(&self.fallback)
    }
}

impl Target {
    fn read(settings: &File, name: &str, lang: &str, fixed: bool, dry: bool) -> Result<Self, Failure> {
        // People write it as they call it.
        let name = name.trim_start_matches('#').to_owned();
        let known = settings.names("channels");
        if !known.contains(&name) {
            let known = if known.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there is {}", known.join(", "))
            };
            return Err(settings.wrong("channel", &format!("no [notify.channels.{name}]: {known}")));
        }
        let reader = Reader { settings, name: &name, dry };
        let kind = settings.need(&reader.key("kind"))?;
        let own = language(settings, &reader.key("lang"))?.filter(|_| !fixed);
        let follow_up = match settings.text(&reader.key("follow_up"))?.as_deref() {
            None | Some("reply") => FollowUp::Reply,
            Some("edit") => FollowUp::Edit,
            Some(other) => {
                let why = format!("`{other}` is not known; reply and edit are");
                return Err(settings.wrong(&reader.key("follow_up"), &why));
            }
        };
        Ok(Target {
            channel: channels::open(&reader, &kind)?,
            lang: own.unwrap_or_else(|| lang.to_owned()),
            on: settings.list(&reader.key("on"))?,
            required: settings.flag(&reader.key("required"))?.unwrap_or(true),
            follow_up,
            kind,
            name,
        })
    }
}

fn language(settings: &File, key: &str) -> Result<Option<String>, Failure> {
    let Some(lang) = settings.text(key)? else { return Ok(None) };
    if LANGUAGES.contains(&lang.as_str()) {
        return Ok(Some(lang));
    }
    Err(settings.wrong(key, &format!("`{lang}` is not known; {} are", LANGUAGES.join(" and "))))
}

/// The folder with the team's own templates.
pub fn templates(settings: &File) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = settings.path("templates")? else { return Ok(None) };
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    Err(settings.wrong("templates", &format!("there is no folder {}", folder.display())))
}

/// The links that each message has, by their labels.
pub fn links(settings: &File) -> Result<Vec<Link>, Failure> {
    let mut links = Vec::new();
    for label in settings.names("links") {
        let key = format!("links.{label}");
        let url = settings.need(&key)?;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(settings.wrong(&key, &format!("`{url}` is no address: it begins with https://")));
        }
        links.push(Link { label, url });
    }
    Ok(links)
}

/// Where programs of a user keep what they must not forget.
pub fn state(settings: &File) -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let default = || {
        Some(
            folder("XDG_STATE_HOME")
                .or_else(|| Some(folder("HOME")?.join(".local/state")))?
                .join("rilis/notify"),
        )
    };
    settings.path("state")?.or_else(default).ok_or_else(|| settings.missing("state"))
}
