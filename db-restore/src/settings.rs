//! The settings: `[db-restore]` of release.toml, overlaid by the environment's.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use address::BaseUrl;
use jiff::tz::TimeZone;
use step::{Context, Failure, Secret};

/// The keys of `[db-restore]`.
pub const KEYS: &[&str] = &[
    "source",
    "host",
    "port",
    "database",
    "user",
    "password_file",
    "manifest_key_file",
    "maintenance_database",
    "snapshots",
    "rpo",
    "jobs",
    "pg_bin",
    "tls",
    "tls_root",
    "compress",
    "marker_table",
    "probes",
    "app_role",
    "amcheck",
    "dump_timezone",
    "disk_free",
    "shrink",
    "keep",
    "keep_databases",
    "project_ref",
    "api",
    address::CLEARTEXT,
    "token_file",
    "interval",
    "settle",
    "dump_schemas",
];

/// More is a slip of the keyboard.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Where snapshots come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Archive,
    Database,
    Supabase,
}

/// How a session is kept from being listened to; the words are libpq's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Disable,
    /// Encrypted, whoever the other side is.
    Require,
    /// Encrypted, and the server's certificate is of its name and signed by somebody in `tls_root`.
    VerifyFull,
}

impl Tls {
    /// `sslmode`, as libpq calls it.
    pub fn word(self) -> &'static str {
        match self {
            Tls::Disable => "disable",
            Tls::Require => "require",
            Tls::VerifyFull => "verify-full",
        }
    }
}

/// How much room there is where the database lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Look.
    Measure,
    /// Somebody vouches for so many bytes.
    Bytes(u64),
    /// Somebody does not want to know.
    Unchecked,
}

/// What a server has said of itself, as far as it decides how its other sessions are opened.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    pub major: u32,
    /// Whether the user of the settings is a superuser.
    pub superuser: bool,
}

impl Met {
    /// What switches event and login triggers off for a session: whoever may, from 17 on.
    pub fn quiet(self) -> &'static str {
        if self.superuser && self.major >= 17 { " -c event_triggers=off" } else { "" }
    }
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
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Secret>,
    /// Signs the manifests of snapshots.
    pub manifest_key: Option<Secret>,
    /// The database from which others are renamed.
    pub maintenance: String,
    pub snapshots: PathBuf,
    /// How old the recovery point may be.
    pub rpo: Duration,
    /// How many tables are dumped and restored at the same time.
    pub jobs: usize,
    /// Folders with PostgreSQL's programs; where they are installed if empty.
    pub pg_bin: Vec<PathBuf>,
    pub tls: Tls,
    /// The certificates that sign the server's, PEM.
    pub tls_root: PathBuf,
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
    /// Nothing that is set: what the first session has learnt.
    pub met: OnceLock<Met>,
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
        let host = settings.need("host")?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let days = |key: &str, days: u64| {
            Ok::<_, Failure>(settings.duration(key)?.unwrap_or(Duration::from_secs(days * 86_400)))
        };
        let source = kind(settings)?;
        Ok(Settings {
            source,
            tls: tls(settings, &host)?,
            tls_root: settings.path("tls_root")?.unwrap_or_else(bundle),
            host,
            port: settings.number("port")?.unwrap_or(5432),
            database: settings.need("database")?,
            user: settings.text("user")?.unwrap_or_else(|| "postgres".to_owned()),
            password: settings.secret("password", "DATABASE_PASSWORD")?,
            manifest_key: settings.secret("manifest_key", "DB_RESTORE_MANIFEST_KEY")?,
            maintenance: settings.text("maintenance_database")?.unwrap_or_else(|| "postgres".to_owned()),
            snapshots: snapshots(settings, source)?,
            rpo: settings.duration("rpo")?.unwrap_or(Duration::from_secs(3600)),
            jobs: settings.number("jobs")?.unwrap_or(cores.min(8)).max(1),
            pg_bin: settings.list("pg_bin")?.into_iter().map(|p| settings.folder().join(p)).collect(),
            compress: settings.number("compress")?.unwrap_or(1),
            marker: settings.text("marker_table")?,
            probes: settings.list("probes")?,
            app_role: settings.text("app_role")?,
            amcheck: settings.flag("amcheck")?.unwrap_or(true),
            zone: zone(settings)?,
            room: room(settings)?,
            shrink: settings.number("shrink")?.unwrap_or(0.5),
            keep: days("keep", 7)?,
            said: Said {
                keep: settings.text("keep")?.is_some(),
                keep_databases: settings.text("keep_databases")?.is_some(),
            },
            keep_databases: days("keep_databases", 3)?,
            supabase: (source == Kind::Supabase).then(|| supabase(settings)).transpose()?,
            met: OnceLock::new(),
        })
    }

    /// What is added to the beginning of a session of the user of the settings, once the server is known.
    pub fn quiet(&self) -> &'static str {
        self.met.get().map_or("", |met| met.quiet())
    }

    /// Whether the server is this machine.
    pub fn is_local(&self) -> bool {
        local(&self.host)
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
        let Some(path) = context.settings.path(key)?.or_else(from_variable) else { continue };
        let mode = std::fs::metadata(&path).map(|m| m.permissions().mode()).unwrap_or_default();
        if mode & 0o040 != 0 {
            let at = path.display();
            context.voice.warn(&format!("{at}: a whole group may read this secret: chmod 600 {at}"));
        }
    }
    Ok(())
}

fn local(host: &str) -> bool {
    host == "localhost" || host.starts_with('/') || host == "::1" || host.starts_with("127.")
}

fn kind(settings: &step::Settings) -> Result<Kind, Failure> {
    match settings.text("source")?.as_deref() {
        None | Some("archive") => Ok(Kind::Archive),
        Some("database") => Ok(Kind::Database),
        Some("supabase") => Ok(Kind::Supabase),
        Some(other) => {
            Err(settings.wrong("source", &format!("`{other}` is not known; archive, database or supabase")))
        }
    }
}

fn snapshots(settings: &step::Settings, source: Kind) -> Result<PathBuf, Failure> {
    match settings.path("snapshots")? {
        Some(path) => Ok(path),
        None if source == Kind::Database => Ok(PathBuf::new()),
        None => Err(settings.missing("snapshots")),
    }
}

fn tls(settings: &step::Settings, host: &str) -> Result<Tls, Failure> {
    match settings.text("tls")?.as_deref() {
        Some("disable") => Ok(Tls::Disable),
        Some("require") => Ok(Tls::Require),
        Some("verify-full") => Ok(Tls::VerifyFull),
        None if local(host) => Ok(Tls::Disable),
        None => Ok(Tls::VerifyFull),
        Some(other) => {
            Err(settings.wrong("tls", &format!("`{other}` is not known; disable, require or verify-full")))
        }
    }
}

/// The system's certificates, where Debian or Red Hat put them.
fn bundle() -> PathBuf {
    let known =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let found = known.iter().map(PathBuf::from).find(|p| p.is_file());
    found.unwrap_or_else(|| PathBuf::from(known[0]))
}

fn zone(settings: &step::Settings) -> Result<TimeZone, Failure> {
    let Some(name) = settings.text("dump_timezone")? else { return Ok(TimeZone::UTC) };
    TimeZone::get(&name).map_err(|e| {
        settings.wrong(
            "dump_timezone",
            &format!("`{name}` is no time zone of this machine: {e}; write for example America/New_York"),
        )
    })
}

fn room(settings: &step::Settings) -> Result<Room, Failure> {
    let Some(text) = settings.text("disk_free")? else { return Ok(Room::Measure) };
    if text == "unchecked" {
        return Ok(Room::Unchecked);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim() {
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1_u64 << 40,
        _ => 0,
    };
    match digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n > 0) {
        Some(bytes) => Ok(Room::Bytes(bytes)),
        None => Err(settings
            .wrong("disk_free", &format!("`{text}` is no size; write for example 200GB, or unchecked"))),
    }
}

fn supabase(settings: &step::Settings) -> Result<Supabase, Failure> {
    let project_ref = settings.need("project_ref")?;
    if project_ref.len() != 20 || !project_ref.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err(settings.wrong("project_ref", &format!("`{project_ref}` is not 20 small letters")));
    }
    let api = settings.text("api")?.unwrap_or_else(|| "https://api.supabase.com".to_owned());
    Ok(Supabase {
        project_ref,
        api: BaseUrl::with_secret(settings, "api", &api)?.to_string(),
        token: settings.need_secret("token", "SUPABASE_ACCESS_TOKEN")?,
        interval: settings.duration("interval")?.unwrap_or(Duration::from_secs(5)),
        settle: settings.duration("settle")?.unwrap_or(Duration::from_secs(15 * 60)),
        schemas: settings.list("dump_schemas")?,
    })
}
