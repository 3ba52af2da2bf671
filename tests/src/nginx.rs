//! A private nginx in front of an origin, with its cache and the purge module of Debian in a location of its own: `GET /purge/path`
//! drops a page, and is answered 404 when it was not there. (The module crashes a worker when the purge is a method of the same
//! location.)

use std::process::{Child, Command, Stdio};

/// A running nginx.
pub struct Nginx {
    // Dropped after the child has ended.
    _folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

const CONFIG: &str = "load_module /usr/lib/nginx/modules/ngx_http_cache_purge_module.so;
USER
worker_processes 1; daemon off; pid FOLDER/pid; error_log FOLDER/log warn;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path FOLDER/tmp; proxy_temp_path FOLDER/tmp; fastcgi_temp_path FOLDER/tmp; uwsgi_temp_path FOLDER/tmp; scgi_temp_path FOLDER/tmp;
  proxy_cache_path FOLDER/cache levels=1:2 keys_zone=edge:1m;
  server {
    listen 127.0.0.1:PORT;
    location / {
      proxy_pass http://127.0.0.1:ORIGIN; proxy_set_header Host $http_host;
      proxy_cache edge; proxy_cache_key $http_host$request_uri; add_header X-Cache-Status $upstream_cache_status always;
    }
    location ~ ^/purge(/.*)$ { allow 127.0.0.1; deny all; proxy_cache_purge edge $http_host$1$is_args$args; }
  }
}
";

impl Nginx {
    /// Starts in front of an origin on this machine, given by its port.
    pub fn start(origin: u16) -> Self {
        let folder = tempfile::Builder::new().prefix("rilis-nginx-").tempdir().expect("a folder");
        let port = crate::free_port();
        let root =
            std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        let config = CONFIG
            .replace("FOLDER", &folder.path().display().to_string())
            .replace("PORT", &port.to_string())
            .replace("ORIGIN", &origin.to_string())
            .replace("USER", if root { "user root;" } else { "" });
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).expect("written");
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "nginx", "-p"])
            .arg(folder.path())
            .arg("-e")
            .arg(folder.path().join("log"))
            .arg("-c")
            .arg(&file)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        crate::wait_for("nginx", 30, || {
            let ended = child.try_wait().expect("asked").is_some();
            assert!(
                !ended,
                "nginx: {}",
                std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
            );
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Nginx { _folder: folder, port, child }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM has the master end its worker as well. If it cannot be sent the child has ended already.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
