//! A private Squid in front of an origin, as an accelerator: copies in memory alone, `PURGE` from this machine alone, and errors that
//! the origin has a lifetime for are kept. As root it runs as an unprivileged user who owns its folder, because Squid refuses root.

use std::os::unix::fs::chown;
use std::process::{Child, Command, Stdio};

/// A running Squid.
pub struct Squid {
    // Dropped after the child has ended.
    _folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

const CONFIG: &str = "http_port 127.0.0.1:PORT accel vhost
cache_peer 127.0.0.1 parent ORIGIN 0 no-query no-digest originserver
never_direct allow all
acl purge method PURGE
acl local src 127.0.0.1
http_access allow purge local
http_access deny purge
http_access allow all
cache_mem 64 MB
memory_cache_shared off
negative_ttl 1 hour
minimum_expiry_time 0 seconds
visible_hostname mission.edge.test
max_filedescriptors 1024
pid_filename none
netdb_filename none
hosts_file none
access_log none
cache_store_log none
cache_log FOLDER/log
coredump_dir FOLDER
pinger_enable off
logfile_rotate 0
";

impl Squid {
    /// Starts in front of an origin on this machine, given by its port.
    pub fn start(origin: u16) -> Self {
        let folder = tempfile::Builder::new().prefix("rilis-squid-").tempdir().expect("a folder");
        let port = crate::free_port();
        let config = CONFIG
            .replace("FOLDER", &folder.path().display().to_string())
            .replace("PORT", &port.to_string())
            .replace("ORIGIN", &origin.to_string());
        let file = folder.path().join("squid.conf");
        std::fs::write(&file, config).expect("written");
        let owner = crate::unprivileged("proxy");
        if let Some((uid, gid)) = owner {
            chown(folder.path(), Some(uid), Some(gid)).expect("we are root");
        }
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        if let Some((uid, gid)) = owner {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
        }
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut child = command
            .args(["--", "squid", "-N", "-f"])
            .arg(&file)
            .env("PATH", path)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("squid starts");
        crate::wait_for("Squid", 30, || {
            let ended = child.try_wait().expect("asked").is_some();
            assert!(
                !ended,
                "squid: {}",
                std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
            );
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Squid { _folder: folder, port, child }
    }

    /// Where it answers.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        // It is one process and has nothing to save; asked politely it takes a second more. If it cannot be killed it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
