//! The settings: whom to tell, how, and where to note what was told.

use std::path::PathBuf;

use step::{Context, Failure, PAGE, Setting, SettingKind as Type, Settings as File};

use crate::args::Args;
use crate::channels::{self, Channel, Reader};
use crate::listing::named;
use crate::message::Link;
use crate::message::words::LANGUAGES;
use crate::wanted;

/// The settings of `[notify]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("channel", Type::List(&Type::Text), "who is told: one or several of the channels below")
        .example("team")
        .required(),
    Setting::new("fallback", Type::Text, "the channel that gets what another may not have got")
        .example("ops"),
    Setting::new("lang", Type::Word(&LANGUAGES), "the language").default("en"),
    Setting::new("templates", Type::Path, "a folder with templates and words of your own").example("notify"),
    Setting::new("state", Type::Path, "the folder in which notify keeps what it has told, and what waits")
        .otherwise("$XDG_STATE_HOME/rilis/notify, else ~/.local/state/rilis/notify")
        .example("/var/lib/rilis/notify"),
    Setting::new("best_effort", Type::Flag, "a message that cannot be sent is a warning").default("false"),
    Setting::new(
        "links.*",
        Type::Text,
        "the address of a button below each message, with holes such as {environment}",
    )
    .example("https://grafana.example/d/shop?var-env={environment}"),
    Setting::new(
        "channels.*.kind",
        Type::Word(&["apprise", "discord", "ntfy", "slack", "telegram", "webhook"]),
        "what the channel is",
    )
    .example("telegram")
    .required(),
    Setting::new("channels.*.lang", Type::Word(&LANGUAGES), "its language").otherwise("the one above"),
    Setting::new(
        "channels.*.on",
        Type::List(&Type::Text),
        "which messages it gets, as patterns with one * at the beginning or the end",
    )
    .otherwise("all")
    .example("*_failed"),
    Setting::new("channels.*.required", Type::Flag, "notify fails when it cannot be told").default("true"),
    Setting::new(
        "channels.*.follow_up",
        Type::Word(&["reply", "edit"]),
        "how more about the same run is said",
    )
    .default("reply"),
    Setting::new(
        "channels.*.url",
        Type::Form(&PAGE),
        "the address of its API; needed for apprise and webhook",
    )
    .otherwise("the service's own")
    .example("https://ntfy.example"),
    Setting::new("channels.*.cleartext", Type::Flag, "its secrets may go over plain HTTP to another machine")
        .default("false"),
    Setting::new(
        "channels.*.chat_id",
        Type::Id,
        "telegram: a number, @name of a public group or channel, -100...:TOPIC, or a link https://t.me/c/...",
    )
    .example("-1001234567890"),
    Setting::new(
        "channels.*.topic",
        Type::Id,
        "telegram: the topic's number; discord: the thread's; ntfy: the topic's name",
    )
    .example("42"),
    Setting::new("channels.*.main_chat", Type::Flag, "telegram: leave a topic out that takes no messages")
        .default("true"),
    Setting::new("channels.*.channel", Type::Text, "slack: the channel's id, for a bot's token")
        .otherwise("an incoming webhook")
        .example("C0123456789"),
    Setting::new("channels.*.tag", Type::Text, "apprise: the tag of whom it tells").example("ops"),
    Setting::new(
        "channels.*.token",
        Type::Secret("TELEGRAM_BOT_TOKEN, SLACK_BOT_TOKEN or NTFY_TOKEN, by the kind"),
        "its token",
    ),
    Setting::new(
        "channels.*.webhook",
        Type::Secret("SLACK_WEBHOOK_URL or DISCORD_WEBHOOK_URL, by the kind"),
        "its incoming webhook's address",
    ),
    Setting::new(
        "channels.*.secret",
        Type::Secret("NOTIFY_WEBHOOK_SECRET"),
        "webhook: what signs; several while one replaces another",
    ),
    Setting::new("channels.*.key", Type::Secret("APPRISE_KEY"), "apprise: the key of its configuration"),
];

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
        let settings = &context.settings;
        let mut early = Complaints { care, all: Vec::new() };
        let names = if args.to.is_empty() {
            early.take(settings.list("channel"), Vec::new())?
        } else {
            args.to.clone()
        };
        let said = names.is_empty() && early.all.is_empty();
        early.all.extend(said.then(|| settings.missing("channel")));
        // Nobody is named, or not so that it can be read: then the fallback is told.
        let others = || {
            early
                .all
                .first()
                .filter(|_| names.is_empty())
                .and_then(|_| settings.text("fallback").ok().flatten())
        };
        let all = others().map_or_else(|| names.clone(), |other| vec![other]);
        if all.is_empty() || (said && care != Care::Lenient) {
            return Err(early.all.pop().unwrap_or_else(|| settings.missing("channel")));
        }
        let read = Self::of(context, args, &all, care)?;
        early.all.extend(settings.trouble().cloned());
        let complaints = early.all.into_iter().chain(read.complaints).collect();
        Ok(Settings { complaints, ..read })
    }

    /// Reads the settings of these channels.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn of(context: &Context, args: &Args, names: &[String], care: Care) -> Result<Self, Failure> {
        let settings = &context.settings;
        let mut complaints = Complaints { care, all: Vec::new() };
        let own = complaints.take(settings.text("lang"), None)?;
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
            best_effort: args.best_effort || complaints.take(settings.value("best_effort"), false)?,
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
        let kind = settings.value::<String>(&reader.key("kind"))?;
        let own = settings.text(&reader.key("lang"))?.filter(|_| !self.fixed);
        let on = settings.list::<String>(&reader.key("on"))?;
        let wrong = on.iter().find_map(|pattern| wanted::trouble(pattern));
        let checked = wrong.map_or(Ok(on), |why| Err(settings.wrong(&reader.key("on"), &why)));
        Ok(Target {
            channel: channels::open(&reader, &kind)?,
            lang: own.unwrap_or_else(|| self.lang.to_owned()),
            // Urgent news goes there rather than nowhere.
            on: complaints.take(checked, Vec::new())?,
            required: settings.value(&reader.key("required"))?,
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
    let words = [("reply", FollowUp::Reply), ("edit", FollowUp::Edit)];
    Ok(settings.choice(key, &words)?.unwrap_or(FollowUp::Reply))
}

/// The folder with the team's own templates.
pub fn templates(settings: &File) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = settings.optional::<PathBuf>("templates")? else { return Ok(None) };
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    Err(settings.wrong("templates", &format!("there is no folder {}", folder.display())))
}

/// The links that each message has, by their labels.
pub fn links(settings: &File) -> Result<Vec<Link>, Failure> {
    let mut links = Vec::new();
    for label in settings.names("links") {
        let key = format!("links.{}", File::part(&label));
        let url = settings.value::<String>(&key)?;
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
    settings.optional("state")?.or_else(default).ok_or_else(|| settings.missing("state"))
}
