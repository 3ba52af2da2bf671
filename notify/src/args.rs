//! The command line and the settings.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure, Secret};

/// The keys of `[notify]`.
pub const KEYS: &[&str] = &[
    "channel",
    "state",
    "channels.*.kind",
    "channels.*.chat_id",
    "channels.*.topic",
    "channels.*.token_file",
    "channels.*.url",
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
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a text of your own; no document is read
    Send {
        /// What to say
        text: String,
    },
    /// Show the message about a document, and send nothing
    Preview {
        /// A document, as it lies in runs/
        #[arg(long, value_name = "FILE")]
        of: PathBuf,
    },
}

/// Where to tell, and where to note what was told.
#[derive(Debug)]
pub struct Settings {
    /// The channel's name.
    pub name: String,
    pub channel: Telegram,
    pub state: PathBuf,
}

/// A chat of Telegram.
#[derive(Debug)]
pub struct Telegram {
    /// A number, or `@name` of a public channel.
    pub chat: String,
    pub topic: Option<i64>,
    pub token: Secret,
    /// The Bot API's address.
    pub url: String,
}

impl Settings {
    /// Reads the settings.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        // People write it as they call it.
        let name = settings.need("channel")?.trim_start_matches('#').to_owned();
        let table = format!("channels.{name}");
        let known = settings.names("channels");
        if !known.contains(&name) {
            let known = if known.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there is {}", known.join(", "))
            };
            return Err(settings.wrong("channel", &format!("no [notify.{table}]: {known}")));
        }
        let kind = settings.need(&format!("{table}.kind"))?;
        if kind != "telegram" {
            return Err(
                settings.wrong(&format!("{table}.kind"), &format!("`{kind}` is not known; telegram is"))
            );
        }
        let chat = settings.need(&format!("{table}.chat_id"))?;
        if chat.parse::<i64>().is_err() && !chat.starts_with('@') {
            let why =
                format!("`{chat}` is no chat: a number like -1001234567890, or @name of a public channel");
            return Err(settings.wrong(&format!("{table}.chat_id"), &why));
        }
        let url =
            settings.text(&format!("{table}.url"))?.unwrap_or_else(|| "https://api.telegram.org".to_owned());
        let channel = Telegram {
            chat,
            topic: settings.number(&format!("{table}.topic"))?,
            token: settings.need_secret(&format!("{table}.token"), "TELEGRAM_BOT_TOKEN")?,
            url: url.trim_end_matches('/').to_owned(),
        };
        Ok(Settings { name, channel, state: state(settings)? })
    }
}

/// Where programs of a user keep what they must not forget.
fn state(settings: &step::Settings) -> Result<PathBuf, Failure> {
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
