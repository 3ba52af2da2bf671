//! Where a server is, who logs in there, and how the way to it is protected.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use step::{Failure, Secret, shell};

use super::Login;
use super::sql::Sql;

/// How a session is kept from being listened to; the words are libpq's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
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

    /// What the setting `key` says; where it says nothing, the way to another machine is protected.
    ///
    /// # Errors
    /// `config`, as [`step::Settings::choice`].
    pub fn read(settings: &step::Settings, key: &str, host: &str) -> Result<Self, Failure> {
        let usual = if is_local(host) { Tls::Disable } else { Tls::VerifyFull };
        let words = [Tls::Disable, Tls::Require, Tls::VerifyFull].map(|tls| (tls.word(), tls));
        Ok(settings.choice(key, &words)?.unwrap_or(usual))
    }
}

/// What a server has said of itself, as far as it decides how its other sessions are opened.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    /// The major version.
    pub major: u32,
    /// Whether the user of the settings is a superuser.
    pub superuser: bool,
    /// Whether any role may connect to the live database.
    pub is_public: bool,
}

impl Met {
    /// What switches event and login triggers off for a session: for who may do that, from 17 on.
    pub fn quiet(self) -> &'static str {
        if self.superuser && self.major >= 17 { " -c event_triggers=off" } else { "" }
    }
}

/// A server, and who logs in.
#[derive(Debug)]
pub struct Place {
    /// The program that asks: its sessions and roles are called by it.
    pub program: &'static str,
    /// A name, an address, or the folder of a socket.
    pub host: String,
    /// The server's own port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With this password.
    pub password: Option<Secret>,
    /// The database from which things are done to others as a whole.
    pub maintenance: String,
    /// How the way is protected.
    pub tls: Tls,
    /// The certificates that sign the server's, PEM.
    pub tls_root: PathBuf,
    /// Nothing that is set: what the first session has learnt.
    pub met: OnceLock<Met>,
    /// Nothing that is set either: who reads users' tables, where we are a superuser.
    pub reader: Mutex<Option<&'static Login>>,
}

impl Place {
    /// What is added to the beginning of a session of the user of the settings, once the server is known.
    pub fn quiet(&self) -> &'static str {
        self.met.get().map_or("", |met| met.quiet())
    }

    /// Whether the server is this machine.
    pub fn is_local(&self) -> bool {
        is_local(&self.host)
    }

    /// A command for people, to be pasted.
    pub fn psql(&self, sql: &Sql) -> String {
        let port = self.port.to_string();
        let words = ["psql", "-h", &self.host, "-p", &port, "-U", &self.user, "-d", &self.maintenance];
        shell::command(words.into_iter().chain(["-c", sql.as_str()]))
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.starts_with('/') || host == "::1" || host.starts_with("127.")
}

/// The system's certificates, where Debian or Red Hat put them.
pub fn bundle() -> PathBuf {
    let known =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let found = known.iter().map(Path::new).find(|path| path.is_file());
    found.unwrap_or(Path::new(known[0])).to_owned()
}
