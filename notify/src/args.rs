//! The command line and the settings.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure, Settings as File};

use crate::channels::{self, Channel, Reader};
use crate::listing::named;
use crate::message::Link;
use crate::message::words::LANGUAGES;
use crate::wanted;

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
    "channels.*.cleartext",
    "channels.*.chat_id",
    "channels.*.topic",
    "channels.*.main_chat",
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

/// How much of the settings must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// All of it.
    Strict,
    /// Nothing will be sent: secrets may be missing.
    Dry,
    /// What is wrong is kept as a complaint: a channel that is set wrong must not keep urgent news from the others.
    Lenient,
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
    /// Channels that are set wrong and cannot be told, and why.
    pub misset: Vec<(String, Failure)>,
    /// What else is wrong.
    pub complaints: Vec<Failure>,
}

/// What is wrong with the settings so far.
struct Complaints {
    care: Care,
    all: Vec<Failure>,
}

impl Complaints {
    /// The value, or `otherwise` where complaints are kept.
    fn take<T>(&mut self, read: Result<T, Failure>, otherwise: T) -> Result<T, Failure> {
        match read {
            Err(why) if self.care == Care::Lenient => {
                self.all.push(why);
                Ok(otherwise)
            }
            read => read,
        }
    }
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// `config`, naming the place and the remedy.
    pub fn read(context: &Context, args: &Args, care: Care) -> Result<Self, Failure> {
        let names = if args.to.is_empty() { context.settings.list("channel")? } else { args.to.clone() };
        if names.is_empty() {
            return Err(context.settings.missing("channel"));
        }
        Self::of(context, args, &names, care)
    }

    /// Reads the settings of these channels.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn of(context: &Context, args: &Args, names: &[String], care: Care) -> Result<Self, Failure> {
        let settings = &context.settings;
        let mut complaints = Complaints { care, all: Vec::new() };
        let own = complaints.take(language(settings, "lang"), None)?;
        let lang = args.lang.clone().or(own).unwrap_or_else(|| "en".to_owned());
        let fallback = complaints.take(settings.text("fallback"), None)?.filter(|_| args.to.is_empty());
        let (mut targets, mut misset): (Vec<Target>, Vec<(String, Failure)>) = (Vec::new(), Vec::new());
        let reading = Reading { settings, lang: &lang, fixed: args.lang.is_some(), care };
        for name in names.iter().map(|name| plain(name)) {
            // One that is named twice is told once.
            if targets.iter().any(|t| t.name == name) {
                continue;
            }
            match reading.target(&name, &mut complaints) {
                Ok(target) => targets.push(target),
                Err(why) if care == Care::Lenient => misset.push((name, why)),
                Err(why) => return Err(why),
            }
        }
        let read = fallback.map(|name| reading.target(&plain(&name), &mut complaints)).transpose();
        Ok(Settings {
            targets,
            misset,
            fallback: complaints.take(read, None)?,
            templates: complaints.take(templates(settings), None)?,
            links: complaints.take(links(settings), Vec::new())?,
            // Nothing can be written there, which is what is then said.
            state: complaints.take(state(settings), PathBuf::from("/dev/null"))?,
            best_effort: args.best_effort
                || complaints.take(settings.flag("best_effort"), None)?.unwrap_or_default(),
            complaints: complaints.all,
        })
    }

    /// Every channel, the fallback last.
    pub fn all(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().chain(&self.fallback)
    }
}

/// People write a channel's name as they call it.
fn plain(name: &str) -> String {
    name.trim_start_matches('#').to_owned()
}

/// What every channel's settings are read with.
struct Reading<'a> {
    settings: &'a File,
    lang: &'a str,
    /// The language is the command line's, whatever a channel's own is.
    fixed: bool,
    care: Care,
}

impl Reading<'_> {
    fn target(&self, name: &str, complaints: &mut Complaints) -> Result<Target, Failure> {
        let settings = self.settings;
        self.known(name)?;
        let reader = Reader { settings, name, dry: self.care == Care::Dry };
        let kind = settings.need(&reader.key("kind"))?;
        let own = language(settings, &reader.key("lang"))?.filter(|_| !self.fixed);
        let on = settings.list(&reader.key("on"))?;
        let wrong = on.iter().find_map(|pattern| wanted::trouble(pattern));
        let checked = wrong.map_or(Ok(on), |why| Err(settings.wrong(&reader.key("on"), &why)));
        Ok(Target {
            channel: channels::open(&reader, &kind)?,
            lang: own.unwrap_or_else(|| self.lang.to_owned()),
            // Urgent news goes there rather than nowhere.
            on: complaints.take(checked, Vec::new())?,
            required: settings.flag(&reader.key("required"))?.unwrap_or(true),
            follow_up: follow_up(settings, &reader.key("follow_up"))?,
            kind,
            name: name.to_owned(),
        })
    }

    fn known(&self, name: &str) -> Result<(), Failure> {
        let known = self.settings.names("channels");
        if known.iter().any(|k| k == name) {
            return Ok(());
        }
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there is {}", named(&known)) };
        Err(self.settings.wrong("channel", &format!("no [notify.channels.{name}]: {known}")))
    }
}

fn follow_up(settings: &File, key: &str) -> Result<FollowUp, Failure> {
    match settings.text(key)?.as_deref() {
        None | Some("reply") => Ok(FollowUp::Reply),
        Some("edit") => Ok(FollowUp::Edit),
        Some(other) => Err(settings.wrong(key, &format!("`{other}` is not known; reply and edit are"))),
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
        let link = Link { label, url };
        if let Some((word, known)) = link.wrong_hole() {
            let known = known.iter().map(|k| format!("{{{k}}}")).collect::<Vec<_>>().join(", ");
            return Err(settings.wrong(&key, &format!("`{{{word}}}` is never filled; {known} are")));
        }
        links.push(link);
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

impl Args {
    /// What is told beside the document.
    pub fn beside(&self) -> crate::message::Beside {
        crate::message::Beside { stopped: self.stopped, note: self.note.clone() }
    }
}
