//! pg_dump and pg_restore as children: the right version of them, with the password in a file that only they are told of.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use step::{Context, Failure};

use crate::args::Settings;

/// A program of PostgreSQL that is able to serve a server of this major version: `pg_bin`, else Debian's folder of that
/// version, else the newest of Debian's, else PATH. An older one than the server is refused.
pub fn find(settings: &Settings, name: &str, major: u32) -> Result<PathBuf, Failure> {
    let debian = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<u32> = std::fs::read_dir(debian)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|v| *v > major)
        .collect();
    versions.sort_unstable();
    versions.insert(0, major);
    let debians = versions.iter().map(|v| debian.join(v.to_string()).join("bin").join(name));
    let given = settings.pg_bin.as_ref().map(|folder| folder.join(name));
    let path = match given {
        Some(path) => path,
        None => debians.into_iter().find(|p| p.is_file()).unwrap_or_else(|| PathBuf::from(name)),
    };
    let remedy = format!("install PostgreSQL {major}'s client programs, or set pg_bin to their folder");
    let missing = |e: &dyn std::fmt::Display| {
        Failure::config("tool-missing", format!("{} cannot be started: {e}; {remedy}", path.display()))
    };
    let output = Command::new(&path).arg("--version").env_clear().env("PATH", search()).output();
    let output = output.map_err(|e| missing(&e))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u32>().ok());
    match version {
        Some(version) if version >= major => Ok(path),
        Some(version) => {
            let message =
                format!("{} is of version {version}, the server of {major}; {remedy}", path.display());
            Err(Failure::config("tool-too-old", message))
        }
        None => Err(missing(&"it does not say its version")),
    }
}

fn search() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned())
}

/// Runs a tool against a database until it ends, the deadline passes or a signal comes; then it is killed. It gets a clean
/// environment and the password by a file that goes away with it. Without a database it only reads files.
pub fn run(
    context: &Context,
    settings: &Settings,
    tool: &Path,
    database: Option<&str>,
    args: &[&str],
    doing: &str,
) -> Result<(), Failure> {
    let name = tool.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let secret = database.map(|_| Passfile::write(settings)).transpose()?;
    let mut command = Command::new(tool);
    command.env_clear().env("PATH", search()).env("LC_ALL", "C");
    if let (Some(database), Some(secret)) = (database, &secret) {
        command
            .env("PGPASSFILE", secret.path())
            .env("PGCONNECT_TIMEOUT", "15")
            .env("PGAPPNAME", "db-restore");
        command.env("PGSSLMODE", "disable").args([
            "--host",
            &settings.host,
            "--port",
            &settings.port.to_string(),
        ]);
        command.args(["--username", &settings.user, "--no-password", "--dbname", database]);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    context.checkpoint()?;
    context.voice.detail(&format!("{name} {}", args.join(" ")));
    let mut child = command
        .spawn()
        .map_err(|e| Failure::config("tool-missing", format!("{name} cannot be started: {e}")))?;
    let lines = child.stderr.take().map(|pipe| {
        std::thread::spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).collect::<Vec<_>>())
    });
    context.voice.progress(doing);
    let ended = wait(context, &mut child);
    context.voice.progress_done();
    let lines = lines.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if ended? {
        return Ok(());
    }
    let failure = Failure::failed("tool-failed", format!("{name} failed"));
    Err(lines.iter().fold(failure, Failure::cause))
}

fn wait(context: &Context, child: &mut Child) -> Result<bool, Failure> {
    let mut ticks = 0_u32;
    loop {
        let lost = |e| Failure::failed("tool-failed", format!("a child process cannot be waited for: {e}"));
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(status.success());
        }
        if let Err(failure) = context.checkpoint() {
            // It writes only beside the live database, so it may end in the middle.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failure);
        }
        std::thread::sleep(Duration::from_millis(if ticks < 50 { 5 } else { 20 }));
        ticks = ticks.saturating_add(1);
    }
}

/// A password file without a name: a child finds it by way of our own process, and it is gone with us, however we end.
struct Passfile(File);

impl Passfile {
    fn write(settings: &Settings) -> Result<Self, Failure> {
        let wrong = |e: std::io::Error| {
            Failure::temporary("passfile", format!("no password file can be written: {e}"))
        };
        let mut file = tempfile::tempfile().map_err(wrong)?;
        // Readable by its owner alone before anything is in it; libpq insists on that.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(wrong)?;
        let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let password = settings.password.as_ref().map(|p| escaped(p.expose())).unwrap_or_default();
        let line = format!("*:*:*:{}:{password}\n", escaped(&settings.user));
        file.write_all(line.as_bytes()).map_err(wrong)?;
        Ok(Passfile(file))
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}
