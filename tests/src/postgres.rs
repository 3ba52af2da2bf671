//! A private PostgreSQL: its own cluster in a folder of its own, on a free port of this machine, stopped when it is
//! dropped. As root it runs as the unprivileged user who owns the folder, because PostgreSQL refuses root.

mod template;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use postgres::{Client, NoTls, SimpleQueryMessage};

/// The password of the user `postgres`.
pub const PASSWORD: &str = "canary-database-5vQ2m8Rk";

/// A running cluster.
pub struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    /// Where its programs lie.
    bin: PathBuf,
    /// More of the command line.
    extra: Vec<String>,
    server: Mutex<Child>,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        Self::of(program("postgres").parent().expect("a folder"), &[])
    }

    /// Makes a cluster with the programs of a folder, and starts it with more words on its command line. It is a copy of one that was made once:
    /// all of them have the same system identifier.
    pub fn of(bin: &Path, extra: &[&str]) -> Self {
        Self::with(bin, extra, &|data| template::copied(bin, data))
    }

    /// The same, and no other cluster has its system identifier.
    pub fn stranger(bin: &Path) -> Self {
        Self::with(bin, &[], &|data| template::made(bin, data))
    }

    fn with(bin: &Path, extra: &[&str], make: &dyn Fn(&Path)) -> Self {
        let folder = folder();
        let path = folder.path();
        std::fs::write(path.join("password"), PASSWORD).expect("written");
        std::fs::set_permissions(path.join("password"), PermissionsExt::from_mode(0o600)).expect("private");
        make(&path.join("data"));
        certificate(path);
        let (port, bin) = (crate::free_port(), bin.to_owned());
        let extra: Vec<String> = extra.iter().map(|word| (*word).to_owned()).collect();
        let server = Mutex::new(serve(&bin, path, port, &extra));
        let cluster = Cluster { folder, port, bin, extra, server };
        cluster.wait();
        cluster
    }

    fn wait(&self) {
        let config = self.config("postgres");
        crate::wait_for("PostgreSQL", 30, || {
            let ended = self.server.lock().expect("the server").try_wait().expect("asked");
            assert!(ended.is_none(), "PostgreSQL ended at once");
            config.connect(NoTls).is_ok()
        });
    }

    /// Stops it and starts it again on the same port.
    pub fn restart(&self) {
        self.stop("-INT");
        *self.server.lock().expect("the server") =
            serve(&self.bin, self.folder.path(), self.port, &self.extra);
        self.wait();
    }

    /// Stops it, does something to its data folder, and starts it again.
    pub fn while_stopped(&self, act: impl FnOnce(&Path)) {
        self.stop("-INT");
        act(&self.folder.path().join("data"));
        *self.server.lock().expect("the server") =
            serve(&self.bin, self.folder.path(), self.port, &self.extra);
        self.wait();
    }

    /// Kills it as a power cut would, without a word to anybody, and starts it again.
    pub fn crash(&self) {
        self.stop("-KILL");
        // Its children end when they see that it is gone.
        let left = || self.postmaster_file().exists() && self.busy();
        crate::wait_for("the end of the crashed server's children", 30, || !left());
        let _ = std::fs::remove_file(self.postmaster_file());
        *self.server.lock().expect("the server") =
            serve(&self.bin, self.folder.path(), self.port, &self.extra);
        self.wait();
    }

    fn postmaster_file(&self) -> PathBuf {
        self.folder.path().join("data/postmaster.pid")
    }

    /// Whether a process still works in the data folder.
    fn busy(&self) -> bool {
        let data = self.folder.path().join("data");
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.filter_map(|p| std::fs::read_link(p.path().join("cwd")).ok()).any(|cwd| cwd == data)
    }

    fn stop(&self, signal: &str) {
        let mut server = self.server.lock().expect("the server");
        // If it cannot be sent the server has ended already.
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let _ = server.wait();
    }

    /// Starts it again so that none of its files can grow beyond this: what a full disk does to it.
    pub fn limit_files(&self, bytes: u64) {
        self.stop("-INT");
        let mut command = Command::new("prlimit");
        let serving = served(&self.bin, self.folder.path(), self.port, &self.extra);
        command.arg(format!("--fsize={bytes}")).arg(serving.get_program()).args(serving.get_args());
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log(self.folder.path()));
        *self.server.lock().expect("the server") = command.spawn().expect("prlimit, of util-linux");
        self.wait();
    }

    /// A program of this cluster's version.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("PGPASSWORD", PASSWORD).env("PGHOST", self.host()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").stdin(Stdio::null());
        command
    }

    /// The folder of the server's Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate that a client must trust; it is made out to `localhost`.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    /// `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A file with the password, readable by its owner alone.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// How to connect to a database as the superuser.
    pub fn config(&self, database: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host(self.host()).port(self.port).user("postgres").password(PASSWORD).dbname(database);
        config
    }

    /// A session.
    pub fn session(&self, database: &str) -> Client {
        self.config(database).connect(NoTls).expect("a session")
    }

    /// Runs statements.
    pub fn execute(&self, database: &str, sql: &str) {
        self.session(database).batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// The rows of a query, every value as text.
    pub fn query(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        let answer = self.session(database).simple_query(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        answer.iter().filter_map(row).collect()
    }

    /// The one value of a query.
    pub fn value(&self, database: &str, sql: &str) -> String {
        self.query(database, sql).remove(0).remove(0)
    }

    /// Makes a database.
    pub fn create_database(&self, name: &str) {
        self.execute("postgres", &format!("create database \"{name}\""));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // PostgreSQL's fast shutdown.
        self.stop("-INT");
    }
}

fn serve(bin: &Path, folder: &Path, port: u16, extra: &[String]) -> Child {
    served(bin, folder, port, extra).spawn().expect("postgres starts")
}

fn log(folder: &Path) -> std::fs::File {
    std::fs::File::options().append(true).create(true).open(folder.join("log")).expect("a log")
}

fn served(bin: &Path, folder: &Path, port: u16, extra: &[String]) -> Command {
    // The server gets a signal when we die without a word; setpriv is part of util-linux.
    let mut command = as_owner(&bin.join("postgres"));
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-k"])
        .arg(folder)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off"])
        .args(["-c", "shared_buffers=16MB", "-c", "max_connections=60"])
        .args(extra)
        .stdout(Stdio::null())
        .stderr(log(folder));
    command
}

/// A key and a certificate for `localhost`, for servers that are started with `ssl=on`.
fn certificate(folder: &Path) {
    let (key, cert) = (folder.join("server.key"), folder.join("server.crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("private");
    if let Some((uid, gid)) = crate::unprivileged("postgres") {
        chown(&key, Some(uid), Some(gid)).expect("we are root");
    }
}

/// A folder that the server's user can write to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("rilis-postgres-").tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("readable");
    if let Some((uid, gid)) = crate::unprivileged("postgres") {
        chown(folder.path(), Some(uid), Some(gid)).expect("we are root");
    }
    folder
}

/// A command that runs as the user who owns the cluster, and that ends when we do.
fn as_owner(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some((uid, gid)) = crate::unprivileged("postgres") {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
    }
    command.arg("--").arg(program).current_dir("/").stdin(Stdio::null());
    command
}

/// A program of PostgreSQL: of the newest version under /usr/lib/postgresql, else from PATH.
pub fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let mut folders: Vec<PathBuf> =
        versions.map(|e| e.path()).filter(|p| p.join("bin").join(name).is_file()).collect();
    folders.sort_by_key(|path| number(path));
    folders.pop().map_or_else(|| PathBuf::from(name), |folder| folder.join("bin").join(name))
}
