//! pg_dump, pg_restore and psql as children: the right version of them, with the password in a file that only they are told of.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use step::{Context, Failure};

use crate::server::Login;
use crate::server::{Place, Tls};
use crate::settings::Settings;

/// The message that a pg_restore from 17 on gets from a server before 17, which does not know the setting; nothing else is
/// wrong then (a fact of PostgreSQL 17's release).
const HARMLESS: &str = "unrecognized configuration parameter \"transaction_timeout\"";
/// What a child's sessions begin with: it is to write, to wait and to read whatever a database or a role has set.
const OPTIONS: &str = "-c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed -c default_transaction_deferrable=off \
    -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=0 -c statement_timeout=0 \
    -c tcp_keepalives_idle=3 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2 -c tcp_user_timeout=8000 -c jit=off";
/// And what those begin with that fill a copy: nobody believes a copy before a later commit of ours has said what it is, and that one is on the
/// disk only behind all that was written before it. So none of theirs has to wait for the disk.
const FILLING: &str = " -c synchronous_commit=off";
/// How many lines of a child's complaints are kept.
const LINES: usize = 200;

/// A program of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Tool {
    pub path: PathBuf,
    pub major: u32,
}

/// The oldest program that is at least of this major version: in `pg_bin`, else in Debian's folders, else from PATH.
pub fn find(settings: &Settings, name: &str, least: u32) -> Result<Tool, Failure> {
    let remedy = format!(
        "install PostgreSQL {least}'s client programs (on Debian: postgresql-client-{least}), or add their folder to pg_bin"
    );
    let mut older = Vec::new();
    for folder in folders(settings, name, least) {
        let path = folder.join(name);
        match version(&path) {
            Some(major) if major >= least => return Ok(Tool { path, major }),
            Some(major) => older.push(format!("{} is of version {major}", path.display())),
            None => {}
        }
    }
    if older.is_empty() {
        return Err(Failure::config("tool-missing", format!("{name} cannot be started; {remedy}")));
    }
    let message = format!("{name} of version {least} or newer is needed; {remedy}");
    Err(older.iter().fold(Failure::config("tool-too-old", message), Failure::cause))
}

fn folders(settings: &Settings, name: &str, least: u32) -> Vec<PathBuf> {
    if !settings.pg_bin.is_empty() {
        return settings.pg_bin.clone();
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions =
        debian.filter_map(|e| Some((e.file_name().to_str()?.parse::<u32>().ok()?, e.path().join("bin"))));
    let mut versions: Vec<_> = versions.filter(|(v, bin)| *v >= least && bin.join(name).is_file()).collect();
    versions.sort();
    versions.into_iter().map(|(_, bin)| bin).chain([PathBuf::new()]).collect()
}

fn version(path: &Path) -> Option<u32> {
    let output = Command::new(path).arg("--version").env_clear().env("PATH", search()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse().ok())
}

fn search() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned())
}

/// A child's work.
pub struct Job<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub tool: &'a Path,
    /// The database it works on; without one it only reads files, and is told no password.
    pub database: Option<&'a str>,
    /// As whom, if not as the settings say.
    pub login: Option<&'a Login>,
    /// For people.
    pub doing: &'a str,
    /// Says how far it is, given how many objects it has finished; asked now and then on a terminal.
    pub progress: Option<&'a dyn Fn(u64) -> Option<String>>,
    /// Whether it fills a copy.
    pub filling: bool,
    /// Whether the one harmless message of a newer pg_restore is no error.
    pub lenient: bool,
}

impl<'a> Job<'a> {
    /// A job without a progress line.
    pub fn new(context: &'a Context, settings: &'a Settings, tool: &'a Path, doing: &'a str) -> Self {
        let (database, login, progress) = (None, None, None);
        Job { context, settings, tool, database, login, doing, progress, filling: false, lenient: false }
    }

    /// Runs it until it ends, the deadline passes or a signal comes; then it is ended.
    pub fn run(&self, args: &[&str]) -> Result<(), Failure> {
        let name = self.tool.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let secret = self.database.map(|_| Passfile::write(self.settings, self.login)).transpose()?;
        let mut command = self.command(secret.as_ref());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.context.checkpoint()?;
        self.context.voice.detail(&format!("{name} {}", args.join(" ")));
        let missing = |e| Failure::config("tool-missing", format!("{name} cannot be started: {e}"));
        let mut child = command.spawn().map_err(missing)?;
        let objects = AtomicU64::new(0);
        let err = child.stderr.take();
        let (ended, said) = std::thread::scope(|scope| {
            let said = err.map(|pipe| scope.spawn(|| complaints(pipe, &objects)));
            let ended = self.wait(&mut child, &objects);
            (ended, said.and_then(|thread| thread.join().ok()).unwrap_or_default())
        });
        self.context.voice.progress_done();
        if ended? || (self.lenient && harmless(&said)) {
            return Ok(());
        }
        Err(said.iter().fold(Failure::failed("tool-failed", format!("{name} failed")), Failure::cause))
    }

    /// A clean environment, and the password by a file that goes away with us.
    fn command(&self, secret: Option<&Passfile>) -> Command {
        let mut command = Command::new(self.tool);
        command.env_clear().env("PATH", search()).env("LC_ALL", "C").env("TZ", "UTC");
        if let (Some(database), Some(secret)) = (self.database, secret) {
            let Place { host, port, tls, tls_root, .. } = &self.settings.place;
            let user = self.login.map_or(&self.settings.place.user, |login| &login.user);
            let quiet =
                if self.login.is_none_or(|login| login.is_quiet) { self.settings.place.quiet() } else { "" };
            let filling = if self.filling { FILLING } else { "" };
            command
                .env("PGPASSFILE", secret.path())
                .env("PGCONNECT_TIMEOUT", "15")
                .env("PGAPPNAME", "db-restore");
            command.env("PGSSLMODE", tls.word()).env("PGOPTIONS", format!("{OPTIONS}{quiet}{filling}"));
            if *tls == Tls::VerifyFull {
                command.env("PGSSLROOTCERT", tls_root);
            }
            command.args(["--host", host, "--port", &port.to_string()]);
            command.args(["--username", user, "--no-password", "--dbname", database]);
        }
        command
    }

    fn wait(&self, child: &mut Child, objects: &AtomicU64) -> Result<bool, Failure> {
        let terminal = std::io::stderr().is_terminal();
        self.context.voice.progress(self.doing);
        let (mut ticks, mut shown) = (0_u32, Instant::now());
        loop {
            let lost =
                |e| Failure::failed("tool-failed", format!("a child process cannot be waited for: {e}"));
            if let Some(status) = child.try_wait().map_err(lost)? {
                return Ok(status.success());
            }
            if let Err(failure) = self.context.checkpoint() {
                end(child);
                return Err(failure);
            }
            if let Some(progress) = self.progress.filter(|_| terminal && shown.elapsed().as_millis() > 500) {
                shown = Instant::now();
                if let Some(far) = progress(objects.load(Ordering::Relaxed)) {
                    self.context.voice.progress(&format!("{}: {far}", self.doing));
                }
            }
            std::thread::sleep(Duration::from_millis(if ticks < 50 { 5 } else { 20 }));
            ticks = ticks.saturating_add(1);
        }
    }
}

/// It writes only beside the live database, so it may end in the middle; told to, it ends its workers too.
fn end(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // If it cannot be told it has ended already.
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
    let patience = Instant::now() + Duration::from_secs(2);
    while Instant::now() < patience && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// What a child complains about; the lines in which pg_restore says what it has finished are counted instead.
fn complaints(pipe: impl Read, objects: &AtomicU64) -> Vec<String> {
    let mut kept = Vec::new();
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(": finished item ") || line.contains(": dumping contents of table ") {
            objects.fetch_add(1, Ordering::Relaxed);
        }
        let talk = line.starts_with("pg_restore: ") || line.starts_with("pg_dump: ");
        let trouble = ["error:", "warning:", "detail:", "hint:", "from TOC entry", "while PROCESSING"];
        if kept.len() < LINES && (!talk || trouble.iter().any(|word| line.contains(word))) {
            kept.push(line);
        }
    }
    kept
}

/// Whether every error is the one that a newer pg_restore gets from an older server.
fn harmless(said: &[String]) -> bool {
    let mut errors = said.iter().filter(|l| l.contains("error:") || l.contains("FATAL:")).peekable();
    said.len() < LINES && errors.peek().is_some() && errors.all(|l| l.contains(HARMLESS))
}

/// A password file without a name: a child finds it by way of our own process, and it is gone with us, however we end.
struct Passfile(File);

impl Passfile {
    fn write(settings: &Settings, login: Option<&Login>) -> Result<Self, Failure> {
        let wrong = |e: std::io::Error| {
            Failure::temporary("passfile", format!("no password file can be written: {e}"))
        };
        let mut file = tempfile::tempfile().map_err(wrong)?;
        // Readable by its owner alone before anything is in it; libpq insists on that.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(wrong)?;
        let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let user = login.map_or(&settings.place.user, |login| &login.user);
        let password = login.map(|login| &login.password).or(settings.place.password.as_ref());
        let password = password.map(|p| escaped(p.expose())).unwrap_or_default();
        let line = format!("*:*:*:{}:{password}\n", escaped(user));
        file.write_all(line.as_bytes()).map_err(wrong)?;
        Ok(Passfile(file))
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}
