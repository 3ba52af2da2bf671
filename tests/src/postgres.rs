//! A private PostgreSQL: its own cluster in a folder of its own, on a free port of this machine, stopped when it is
//! dropped. As root it runs as the unprivileged user who owns the folder, because PostgreSQL refuses root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use postgres::{Client, NoTls, SimpleQueryMessage};

/// The password of the user `postgres`.
pub const PASSWORD: &str = "canary-database-5vQ2m8Rk";

/// A running cluster.
pub struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("rilis-postgres-").tempdir().expect("a folder");
        let path = folder.path();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("readable");
        std::fs::write(path.join("password"), PASSWORD).expect("written");
        std::fs::set_permissions(path.join("password"), PermissionsExt::from_mode(0o600)).expect("private");
        std::fs::copy(path.join("password"), path.join("initial")).expect("copied");
        if let Some((uid, gid)) = unprivileged() {
            chown(path, Some(uid), Some(gid)).expect("we are root");
            chown(path.join("initial"), Some(uid), Some(gid)).expect("we are root");
        }
        let data = path.join("data");
        let made = as_owner(&program("initdb"))
            .args([
                "--no-sync",
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg(format!("--pwfile={}", path.join("initial").display()))
            .arg(&data)
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = crate::free_port();
        let server = serve(path, &data, port);
        let mut cluster = Cluster { folder, port, server };
        cluster.wait();
        cluster
    }

    fn wait(&mut self) {
        let config = self.config("postgres");
        let server = &mut self.server;
        crate::wait_for("PostgreSQL", 30, || {
            assert!(server.try_wait().expect("asked").is_none(), "PostgreSQL ended at once");
            config.connect(NoTls).is_ok()
        });
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
        // SIGINT is PostgreSQL's fast shutdown. If it cannot be sent the child has ended already.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

fn serve(folder: &Path, data: &Path, port: u16) -> Child {
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    // The server gets a signal when we die without a word; setpriv is part of util-linux.
    let mut command = as_owner(&program("postgres"));
    command
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-k"])
        .arg(folder)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off"])
        .args(["-c", "shared_buffers=16MB", "-c", "max_connections=60"])
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().expect("postgres starts")
}

/// A command that runs as the user who owns the cluster, and that ends when we do.
fn as_owner(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some((uid, gid)) = unprivileged() {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
    }
    command.arg("--").arg(program).current_dir("/").stdin(Stdio::null());
    command
}

/// The user for PostgreSQL when we are root: `postgres`, else `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    if root { ids("postgres").or_else(|| ids("nobody")) } else { None }
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
