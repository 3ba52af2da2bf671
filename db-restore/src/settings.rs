//! The settings: `[db-restore]` of release.toml, overlaid by the environment's.

use std::path::PathBuf;
use std::time::Duration;

use address::BaseUrl;
use jiff::tz::TimeZone;
use step::{ADDRESS, Context, Failure, Form, Secret, Setting, SettingKind as Type};

use crate::server::{Place, Room, settings};

/// The settings of `[db-restore]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "source",
        Type::Word(&["archive", "database", "supabase"]),
        "where snapshots come from: files of pg_dump, databases beside the live one, or Supabase's backups",
    )
    .default("archive"),
    settings::HOST,
    settings::PORT,
    settings::DATABASE,
    settings::USER,
    settings::PASSWORD,
    Setting::new(
        "manifest_key",
        Type::Secret("DB_RESTORE_MANIFEST_KEY"),
        "signs the manifests (HMAC-SHA-256); with it, one that is not signed is no snapshot",
    ),
    settings::MAINTENANCE,
    Setting::new("snapshots", Type::Path, "the folder of the snapshots")
        .example("/var/backups/rilis/production"),
    Setting::new(
        "rpo",
        Type::Time,
        "how old the recovery point may be; what is uncertain counts against the snapshot",
    )
    .default("1h"),
    Setting::new("jobs", Type::Whole(1, 1024), "how many tables are dumped and restored at the same time")
        .otherwise("the processors of this machine, at most 8")
        .example("4"),
    Setting::new("pg_bin", Type::List(&Type::Path), "folders with PostgreSQL's programs")
        .otherwise("where Debian and Red Hat install them, and PATH")
        .example("/usr/lib/postgresql/17/bin"),
    settings::TLS,
    settings::TLS_ROOT,
    Setting::new("compress", Type::Whole(0, 9), "how much gzip compresses").default("1"),
    settings::MARKER,
    settings::PROBES,
    Setting::new("app_role", Type::Text, "the role as which the probes are asked after the swap")
        .example("shop_app"),
    Setting::new("amcheck", Type::Flag, "let amcheck read every table and index of a copy").default("true"),
    Setting::new(
        "dump_timezone",
        Type::Text,
        "the time zone of the machine that makes dumps without a manifest",
    )
    .default("UTC"),
    settings::DISK_FREE,
    Setting::new(
        "shrink",
        Type::Part,
        "a snapshot smaller than this part of the one before is incomplete; 0 never",
    )
    .default("0.5"),
    Setting::new("keep", Type::Time, "for prune: how long snapshots are kept").default("168h"),
    Setting::new("keep_databases", Type::Time, "for prune: how long databases beside the live one are kept")
        .default("72h"),
    Setting::new("project_ref", Type::Form(&PROJECT), "Supabase's name of the project")
        .example("abcdefghijklmnopqrst"),
    Setting::new("api", Type::Form(&ADDRESS), "Supabase's API").default("https://api.supabase.com"),
    Setting::new(address::CLEARTEXT, Type::Flag, "the token may go over plain HTTP to another machine")
        .default("false"),
    Setting::new(
        "token",
        Type::Secret("SUPABASE_ACCESS_TOKEN"),
        "Supabase's token, with project_admin_read, backups_read and backups_write",
    ),
    Setting::new("interval", Type::Time, "Supabase: between two looks").default("5s"),
    Setting::new(
        "settle",
        Type::Time,
        "Supabase: how long the evidence is waited for before the outcome is unknown",
    )
    .default("15m"),
    Setting::new(
        "dump_schemas",
        Type::List(&Type::Text),
        "Supabase: what is dumped before the project is set back",
    )
    .otherwise("everything")
    .example("public"),
];

const PROJECT: Form = Form {
    name: "20 small letters",
    pattern: "^[a-z]{20}$",
    fits: |text| text.len() == 20 && text.bytes().all(|b| b.is_ascii_lowercase()),
};

/// More is a slip of the keyboard.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Where snapshots come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Archive,
    Database,
    Supabase,
}

/// What only `source = "supabase"` needs.
#[derive(Debug)]
pub struct Supabase {
    pub project_ref: String,
    pub api: String,
    pub token: Secret,
    /// Between two looks.
    pub interval: Duration,
    /// How long the evidence may keep us waiting before the outcome is unknown.
    pub settle: Duration,
    /// What is dumped before the project is set back; everything if empty.
    pub schemas: Vec<String>,
}

/// Which of the times after which something is too old were said.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub keep: bool,
    pub keep_databases: bool,
}

/// Where the database is, and where its snapshots go.
#[derive(Debug)]
pub struct Settings {
    pub source: Kind,
    /// Where the server is, and who logs in.
    pub place: Place,
    pub database: String,
    /// Signs the manifests of snapshots.
    pub manifest_key: Option<Secret>,
    pub snapshots: PathBuf,
    /// How old the recovery point may be.
    pub rpo: Duration,
    /// How many tables are dumped and restored at the same time.
    pub jobs: usize,
    /// Folders with PostgreSQL's programs; where they are installed if empty.
    pub pg_bin: Vec<PathBuf>,
    /// pg_dump's compression level.
    pub compress: u8,
    /// A table with one row that says of which product and environment the data is.
    pub marker: Option<String>,
    /// Queries whose one answer must be true.
    pub probes: Vec<String>,
    /// The role as which the application works.
    pub app_role: Option<String>,
    pub amcheck: bool,
    /// The zone of the host that makes archives without a manifest.
    pub zone: TimeZone,
    pub room: Room,
    /// A snapshot smaller than this part of the one before is taken for incomplete.
    pub shrink: f64,
    /// How long snapshots are kept.
    pub keep: Duration,
    /// Whether `keep` and `keep_databases` were said, or are the usual times.
    pub said: Said,
    /// How long databases beside the live one are kept.
    pub keep_databases: Duration,
    pub supabase: Option<Supabase>,
}

impl Settings {
    /// Reads the settings of the environment.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        context.environment()?;
        let settings = &context.settings;
        readable_by_a_group(context)?;
        if context.deadline.left() > LONGEST {
            let message = "a --timeout of more than a week: nobody waits so long, and the lock is held all the time; write at most 168h";
            return Err(Failure::refused("timeout", message));
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let source = kind(settings)?;
        Ok(Settings {
            source,
            place: settings::place(settings, "db-restore")?,
            database: settings.value("database")?,
            manifest_key: settings.secret("manifest_key", "DB_RESTORE_MANIFEST_KEY")?,
            snapshots: snapshots(settings, source)?,
            rpo: settings.value("rpo")?,
            jobs: settings.optional("jobs")?.unwrap_or(cores.min(8)),
            pg_bin: settings.list("pg_bin")?,
            compress: settings.value("compress")?,
            marker: settings.text("marker_table")?,
            probes: settings.list("probes")?,
            app_role: settings.text("app_role")?,
            amcheck: settings.value("amcheck")?,
            zone: zone(settings)?,
            room: settings::room(settings)?,
            shrink: settings.value("shrink")?,
            keep: settings.value("keep")?,
            said: Said { keep: settings.is_set("keep"), keep_databases: settings.is_set("keep_databases") },
            keep_databases: settings.value("keep_databases")?,
            supabase: (source == Kind::Supabase).then(|| supabase(settings)).transpose()?,
        })
    }
}

/// The files of secrets that a whole group may read are named; those that everybody may read are refused where they are read.
fn readable_by_a_group(context: &Context) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let files = [
        ("password_file", "DATABASE_PASSWORD_FILE"),
        ("token_file", "SUPABASE_ACCESS_TOKEN_FILE"),
        ("manifest_key_file", "DB_RESTORE_MANIFEST_KEY_FILE"),
    ];
    for (key, variable) in files {
        let from_variable = || std::env::var_os(variable).map(PathBuf::from);
        let Some(path) = context.settings.optional(key)?.or_else(from_variable) else { continue };
        let mode = std::fs::metadata(&path).map(|m| m.permissions().mode()).unwrap_or_default();
        if mode & 0o040 != 0 {
            let at = path.display();
            context.voice.warn(&format!("{at}: a whole group may read this secret: chmod 600 {at}"));
        }
    }
    Ok(())
}

fn kind(settings: &step::Settings) -> Result<Kind, Failure> {
    let words = [("archive", Kind::Archive), ("database", Kind::Database), ("supabase", Kind::Supabase)];
    Ok(settings.choice("source", &words)?.unwrap_or(Kind::Archive))
}

fn snapshots(settings: &step::Settings, source: Kind) -> Result<PathBuf, Failure> {
    match settings.optional("snapshots")? {
        Some(path) => Ok(path),
        None if source == Kind::Database => Ok(PathBuf::new()),
        None => Err(settings.missing("snapshots")),
    }
}

fn zone(settings: &step::Settings) -> Result<TimeZone, Failure> {
    let name: String = settings.value("dump_timezone")?;
    TimeZone::get(&name).map_err(|e| {
        settings.wrong(
            "dump_timezone",
            &format!("`{name}` is no time zone of this machine: {e}; write for example America/New_York"),
        )
    })
}

fn supabase(settings: &step::Settings) -> Result<Supabase, Failure> {
    Ok(Supabase {
        project_ref: settings.value("project_ref")?,
        api: BaseUrl::with_secret(settings, "api", &settings.value::<String>("api")?)?.to_string(),
        token: settings.need_secret("token", "SUPABASE_ACCESS_TOKEN")?,
        interval: settings.value("interval")?,
        settle: settings.value("settle")?,
        schemas: settings.list("dump_schemas")?,
    })
}
