//! The command line and the settings.

use address::BaseUrl;
use clap::{Parser, Subcommand};
use step::{Common, Context, Failure, PAGE, Setting, SettingKind as Type};

/// The settings of `[maintenance]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "on",
        Type::List(&Type::Text),
        "the command after which customers cannot write, word by word; it may be run twice",
    )
    .example("scripts/read-only"),
    Setting::new(
        "off",
        Type::List(&Type::Text),
        "the command after which they can write again; it may be run twice",
    )
    .example("scripts/read-write"),
    Setting::new("page", Type::Form(&PAGE), "a page that answers `status` while customers cannot write")
        .example("https://shop.example/api/orders"),
    Setting::new("status", Type::Whole(100, 599), "what the page answers while customers cannot write")
        .default("503"),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Nobody writes from now on
    On,
    /// Customers can write again
    Off,
    /// Whether commands are set for it (exit 0 or 1)
    IsSet,
    /// Whether the page says that it is on (exit 0 or 1); 75 where that is unknown
    IsOn,
}

impl Args {
    /// What is to become of writes, if that is what was said.
    pub fn turn(&self) -> Option<Turn> {
        match self.command {
            Some(Command::On) => Some(Turn::On),
            Some(Command::Off) => Some(Turn::Off),
            Some(Command::IsSet | Command::IsOn) | None => None,
        }
    }
}

/// What is to become of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody writes from now on.
    On,
    /// Customers can write again.
    Off,
}

impl Turn {
    /// The word, and the setting with its command.
    pub fn word(self) -> &'static str {
        match self {
            Turn::On => "on",
            Turn::Off => "off",
        }
    }

    /// The fact that says since when it is so.
    pub fn fact(self) -> &'static str {
        match self {
            Turn::On => "maintenance",
            Turn::Off => "maintenance_over",
        }
    }

    /// What it means that there is no command.
    pub fn without(self) -> &'static str {
        match self {
            Turn::On => "customers can write meanwhile",
            Turn::Off => "nothing was changed, and whether customers can write is unknown",
        }
    }
}

/// How the product becomes read-only, and how that is seen.
#[derive(Debug)]
pub struct Settings {
    /// The command that stops writes, word by word.
    pub on: Vec<String>,
    /// The command that allows them again.
    pub off: Vec<String>,
    /// The page that answers otherwise while it is on.
    pub page: Option<String>,
    /// What it answers then.
    pub status: u16,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// `config`, `setting`: one command without the other, or a page that is no address.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        let (on, off): (Vec<String>, Vec<String>) = (settings.list("on")?, settings.list("off")?);
        if on.is_empty() != off.is_empty() {
            let key = if on.is_empty() { "on" } else { "off" };
            return Err(
                settings.wrong(key, "`on` and `off` belong together: what is stopped must be allowed again")
            );
        }
        let page = settings.text("page")?;
        if let Some(page) = &page {
            // What it asks for may be anything; a user's password in it would be shown.
            BaseUrl::of(settings, "page", page.split('?').next().unwrap_or_default())?;
        }
        Ok(Settings { on, off, page, status: settings.value("status")? })
    }

    /// The command of a turn; empty where none is set.
    pub fn command(&self, turn: Turn) -> &[String] {
        match turn {
            Turn::On => &self.on,
            Turn::Off => &self.off,
        }
    }
}
