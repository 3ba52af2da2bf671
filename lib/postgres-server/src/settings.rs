//! The settings that say where a database is. They are those of `[db-restore]`; another program that works on the same database reads them there
//! ([`step::Settings::of`]), so that nothing has to be written twice.

use std::sync::{Mutex, OnceLock};

use step::{Failure, Form, Setting, SettingKind as Type};

use super::{Place, Tls, bundle};

/// The table in which they are.
pub const TABLE: &str = "db-restore";

/// The server.
pub const HOST: Setting =
    Setting::new("host", Type::Text, "the server's name or address, or the folder of its socket")
        .example("10.0.0.12")
        .required();
/// Its port.
pub const PORT: Setting =
    Setting::new("port", Type::Whole(1, 65_535), "the server's own port, not a pooler's").default("5432");
/// The live database.
pub const DATABASE: Setting =
    Setting::new("database", Type::Text, "the live database").example("shop").required();
/// Who logs in.
pub const USER: Setting = Setting::new("user", Type::Text, "a superuser, or the owner with CREATEDB (and with CREATE on the database's tablespace, if it has one of its own)").default("postgres");
/// With which password.
pub const PASSWORD: Setting = Setting::new("password", Type::Secret("DATABASE_PASSWORD"), "the password");
/// From where databases are renamed.
pub const MAINTENANCE: Setting =
    Setting::new("maintenance_database", Type::Text, "the database from which others are renamed")
        .default("postgres");
/// How the way is protected.
pub const TLS: Setting = Setting::new(
    "tls",
    Type::Word(&["disable", "require", "verify-full"]),
    "how the way to the server is protected",
)
.otherwise("verify-full; disable on loopback and sockets")
.example("verify-full");
/// Who may have signed the server's certificate.
pub const TLS_ROOT: Setting =
    Setting::new("tls_root", Type::Path, "the certificates that may have signed the server's, PEM")
        .otherwise("the system's")
        .example("/etc/rilis/database-ca.pem");
/// The table that says whose data it is.
pub const MARKER: Setting = Setting::new(
    "marker_table",
    Type::Text,
    "a table with columns `product` and `environment` and one row: the wrong one refuses",
)
.example("rilis_marker");
/// What must be true.
pub const PROBES: Setting = Setting::new(
    "probes",
    Type::List(&Type::Text),
    "queries whose one answer must be true; they cannot write",
)
.example("select count(*) > 100 from products");
/// What the server has free.
pub const DISK_FREE: Setting = Setting::new("disk_free", Type::Form(&SIZE), "what the server has free, if it is another machine, or unchecked; what is needed is what the database held when the snapshot was taken (a full disk stops the live database too)").otherwise("measured, where the server is this machine").example("200GB");

/// All of them, for a program that only reads them.
pub const ALL: &[Setting] =
    &[HOST, PORT, DATABASE, USER, PASSWORD, MAINTENANCE, TLS, TLS_ROOT, MARKER, PROBES, DISK_FREE];

/// What is free on a disk.
const SIZE: Form = Form {
    name: "a size, such as 200GB (MB, GB, TB), or unchecked",
    pattern: "^(unchecked|0*[1-9][0-9]{0,6} ?(MB|GB|TB))$",
    fits: |text| text == "unchecked" || bytes(text).is_some(),
};

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

/// Where the server is, and who logs in.
///
/// # Errors
/// `config` where a setting is missing or wrong.
pub fn place(settings: &step::Settings, program: &'static str) -> Result<Place, Failure> {
    let host: String = settings.value("host")?;
    Ok(Place {
        program,
        tls: Tls::read(settings, "tls", &host)?,
        tls_root: settings.optional("tls_root")?.unwrap_or_else(bundle),
        host,
        port: settings.value("port")?,
        user: settings.value("user")?,
        password: settings.secret("password", "DATABASE_PASSWORD")?,
        maintenance: settings.value("maintenance_database")?,
        met: OnceLock::new(),
        reader: Mutex::new(None),
    })
}

/// How much room there is.
///
/// # Errors
/// `config`, `setting`.
pub fn room(settings: &step::Settings) -> Result<Room, Failure> {
    let Some(text) = settings.text("disk_free")? else { return Ok(Room::Measure) };
    if text == "unchecked" {
        return Ok(Room::Unchecked);
    }
    bytes(&text)
        .map(Room::Bytes)
        .ok_or_else(|| settings.wrong("disk_free", &format!("it must be {}", SIZE.name)))
}

/// A size as people write it: at most seven digits, which is more than anybody has.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "MB" | " MB" => 1 << 20,
        "GB" | " GB" => 1 << 30,
        "TB" | " TB" => 1_u64 << 40,
        _ => return None,
    };
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && digits.trim_start_matches('0').len() <= 7;
    digits.parse::<u64>().ok().filter(|n| plain && *n > 0).map(|n| n * unit)
}
