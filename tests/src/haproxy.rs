//! A private HAProxy: one process for many services. All have one port and each an address of its own on this machine (127.1.0.1,
//! 127.1.0.2 and so on), so that one free port is enough.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

/// A running HAProxy.
pub struct Haproxy {
    // Dropped after the child has ended.
    _folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

/// What it does at one address.
#[derive(Clone, Debug)]
pub struct Service {
    /// `http` hands on each request by itself, `tcp` each connection.
    pub mode: &'static str,
    /// `roundrobin`, `random`, `uri` and what else HAProxy knows.
    pub balance: &'static str,
    /// Ports of this machine.
    pub servers: Vec<u16>,
    /// Paths that begin so go to other servers.
    pub apart: Option<(String, Vec<u16>)>,
}

const GLOBAL: &str = "global
    maxconn 2000
    nbthread 1
defaults
    timeout connect 10s
    timeout client 60s
    timeout server 60s
";

impl Service {
    fn config(&self, n: usize, address: SocketAddr) -> String {
        let Service { mode, balance, .. } = self;
        let mut text =
            format!("frontend f{n}\n    mode {mode}\n    bind {address}\n    default_backend b{n}\n");
        let backend = |name: String, servers: &[u16]| {
            let mut backend = format!("backend {name}\n    mode {mode}\n    balance {balance}\n");
            for port in servers {
                let _ = writeln!(backend, "    server s{port} 127.0.0.1:{port}"); // a text takes everything
            }
            backend
        };
        let own = backend(format!("b{n}"), &self.servers);
        let other = self.apart.iter().map(|(path, servers)| {
            let _ = writeln!(text, "    use_backend a{n} if {{ path_beg {path} }}");
            backend(format!("a{n}"), servers)
        });
        let other: String = other.collect();
        text + &own + &other
    }
}

fn address(n: usize, port: u16) -> SocketAddr {
    let part = |n: usize| u8::try_from(n).expect("not so many services");
    SocketAddr::from((Ipv4Addr::new(127, 1, part(n / 250), part(n % 250 + 1)), port))
}

impl Haproxy {
    /// Starts with these services, at least one.
    pub fn start(services: &[Service]) -> Self {
        let folder = tempfile::Builder::new().prefix("rilis-haproxy-").tempdir().expect("a folder");
        let port = crate::free_port();
        let each = services.iter().enumerate().map(|(n, service)| service.config(n, address(n, port)));
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, GLOBAL.to_owned() + &each.collect::<String>()).expect("written");
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "haproxy", "-db", "-f"])
            .arg(&file)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("haproxy starts");
        crate::wait_for("HAProxy", 30, || {
            let ended = child.try_wait().expect("asked").is_some();
            assert!(
                !ended,
                "haproxy: {}",
                std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
            );
            std::net::TcpStream::connect(address(0, port)).is_ok()
        });
        Haproxy { _folder: folder, port, child }
    }

    /// Where the n-th service answers.
    pub fn address(&self, n: usize) -> SocketAddr {
        address(n, self.port)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // With -db it is one process. If it cannot be killed it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
