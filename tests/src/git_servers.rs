//! Servers that give a folder of bare repositories to git: git's own daemon, its HTTP backend behind a small CGI server,
//! and sshd. Each on a port of its own, and it ends when it is dropped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::git::isolate;
use crate::http::{Reply, Request, Server};

/// A process that is stopped when it is dropped.
struct Running(Child);

impl Running {
    /// Starts it and waits until the port answers.
    fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let running = Running(child.unwrap_or_else(|e| panic!("{command:?}: {e}")));
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended by itself
        let _ = self.0.wait();
    }
}

/// `git daemon`, which takes pushes from anybody.
pub struct Daemon {
    port: u16,
    _running: Running,
}

impl Daemon {
    /// Serves the repositories in a folder.
    pub fn start(folder: &Path) -> Self {
        let port = crate::free_port();
        // The program itself: `git daemon` would be a parent of it, and stopping the parent leaves the child.
        let mut command = Command::new(exec_path().join("git-daemon"));
        isolate(&mut command)
            .args(["--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1"])
            // Otherwise it kills connections of one address when many come at once.
            .arg("--max-connections=0")
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .arg(folder);
        Daemon { port, _running: Running::start(&mut command, port) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a repository in the folder.
    pub fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.port)
    }
}

fn exec_path() -> PathBuf {
    let output = Command::new("git").arg("--exec-path").output().expect("git");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// The name and password that the HTTP server wants.
pub const HTTP_USER: (&str, &str) = ("rina", "canary-git-Qx7Lp2");

/// git's HTTP backend. Only who gives [`HTTP_USER`] may read and push.
pub struct HttpGit(Server);

impl HttpGit {
    /// Serves the repositories in a folder.
    pub fn start(folder: &Path) -> Self {
        let folder = folder.to_owned();
        HttpGit(Server::start(move |request| {
            if request.header("authorization") == basic() {
                backend(&folder, request)
            } else {
                Reply::text(401, "text/plain", "who are you?").with("WWW-Authenticate", "Basic realm=\"git\"")
            }
        }))
    }

    /// The server, for its log and for faults.
    pub fn server(&self) -> &Server {
        &self.0
    }

    /// The URL of a repository in the folder.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.0.url())
    }

    /// A credential helper for git's configuration that knows the password.
    pub fn helper() -> String {
        format!("!f() {{ echo username={}; echo password={}; }}; f", HTTP_USER.0, HTTP_USER.1)
    }
}

/// `rina:canary-git-Qx7Lp2` as basic authentication.
fn basic() -> &'static str {
    "Basic cmluYTpjYW5hcnktZ2l0LVF4N0xwMg=="
}

/// Runs the backend as a CGI program.
fn backend(folder: &Path, request: &Request) -> Reply {
    let query: Vec<String> = request.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut command = Command::new(exec_path().join("git-http-backend"));
    isolate(&mut command)
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", HTTP_USER.0)
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", query.join("&"))
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git-http-backend");
    // It need not read what it refuses.
    let _ = child.stdin.take().expect("a pipe").write_all(&request.body);
    let output = child.wait_with_output().expect("it ends").stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").expect("CGI headers");
    let mut reply = Reply { status: 200, headers: Vec::new(), body: output[end + 4..].to_vec() };
    for (name, value) in String::from_utf8_lossy(&output[..end]).lines().filter_map(|l| l.split_once(": ")) {
        match name {
            "Status" => reply.status = value[..3].parse().expect("a status"),
            _ => reply.headers.push((name.to_owned(), value.to_owned())),
        }
    }
    reply
}

/// sshd, which lets the owner of its key in as whoever runs the tests.
pub struct Sshd {
    port: u16,
    folder: PathBuf,
    _running: Running,
}

impl Sshd {
    /// Starts; its keys and its configuration lie in the folder.
    pub fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let port = crate::free_port();
        for key in ["host", "user"] {
            ssh_key(&folder.join(key));
        }
        let at = folder.display();
        std::fs::copy(folder.join("user.pub"), folder.join("authorized")).expect("copied");
        let host = std::fs::read_to_string(folder.join("host.pub")).expect("the host's key");
        std::fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {host}")).expect("written");
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nPidFile none\n\
             StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        );
        std::fs::write(folder.join("sshd_config"), settings).expect("written");
        // As root it wants this folder, which a starting service would make.
        let _ = std::fs::create_dir("/run/sshd");
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-f").arg(folder.join("sshd_config"));
        Sshd { port, folder: folder.to_owned(), _running: Running::start(&mut command, port) }
    }

    /// The URL of a repository.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://127.0.0.1:{}{}", self.port, path.display())
    }

    /// `core.sshCommand` for git's configuration.
    pub fn command(&self) -> String {
        let at = self.folder.display();
        format!("ssh -F /dev/null -i {at}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={at}/known_hosts")
    }
}

/// An ed25519 key without a passphrase, and its `.pub` beside it.
pub fn ssh_key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .status();
    assert!(made.expect("ssh-keygen").success());
}
