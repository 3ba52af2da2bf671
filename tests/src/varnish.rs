//! A private Varnish in front of two origins: one port for production, one for staging. PURGE drops a URL, or all objects with the
//! surrogate keys in `xkey` (softly with `X-Soft: 1`); BAN drops all URLs of the host that match `X-Ban-Url` or begin with
//! `X-Ban-Prefix`, or all with the tag in `X-Ban-Tag`; only this machine may do any of it. An origin that says `X-Say: x-varnish` has
//! the answer say no more than Varnish says by itself.

use std::process::{Child, Command, Stdio};

/// A running Varnish.
pub struct Varnish {
    // Dropped after the child has ended.
    _folder: tempfile::TempDir,
    production: u16,
    staging: u16,
    child: Child,
}

const VCL: &str = r#"vcl 4.1;
import purge;
import xkey;
import std;
backend production { .host = "127.0.0.1"; .port = "PRODUCTION"; }
backend staging { .host = "127.0.0.1"; .port = "STAGING"; }
acl local { "127.0.0.1"; }
sub vcl_recv {
    if (local.socket == "staging") { set req.backend_hint = staging; } else { set req.backend_hint = production; }
    if (req.method == "PURGE" || req.method == "BAN") {
        if (client.ip !~ local) { return (synth(405, "Not allowed")); }
        if (req.http.xkey) {
            if (req.http.x-soft) { set req.http.n-gone = xkey.softpurge(req.http.xkey); } else { set req.http.n-gone = xkey.purge(req.http.xkey); }
            return (synth(200, "Invalidated"));
        }
        # A soft purge of one URL needs its object: it is looked up first.
        if (req.method == "PURGE" && req.http.x-soft) { return (hash); }
        if (req.method == "PURGE") { return (purge); }
        if (req.http.x-ban-tag) { set req.http.x-ban = "obj.http.x-tags ~ (^|[, ])" + req.http.x-ban-tag + "([, ]|$)"; }
        else if (req.http.x-ban-prefix) { set req.http.x-ban = "obj.http.x-host == " + req.http.host + " && obj.http.x-url ~ ^" + req.http.x-ban-prefix; }
        else { set req.http.x-ban = "obj.http.x-host == " + req.http.host + " && obj.http.x-url ~ " + req.http.x-ban-url; }
        if (!std.ban(req.http.x-ban)) { return (synth(400, std.ban_error())); }
        return (synth(200, "Banned"));
    }
    if (req.url ~ "^/api/") { return (pass); }
    return (hash);
}
sub vcl_hit {
    if (req.method == "PURGE") { purge.soft(0s); return (synth(200, "Purged softly")); }
}
sub vcl_miss {
    if (req.method == "PURGE") { purge.soft(0s); return (synth(200, "Not there")); }
}
sub vcl_synth {
    if (req.http.n-gone) { set resp.http.x-purged = req.http.n-gone; }
}
sub vcl_backend_response {
    set beresp.http.x-url = bereq.url;
    set beresp.http.x-host = bereq.http.host;
    set beresp.http.x-tags = beresp.http.cache-tag;
    if (beresp.http.cache-control !~ "stale-while-revalidate") { set beresp.grace = 60s; }
    if (beresp.http.cache-control ~ "no-store" || beresp.status >= ERRORS) { set beresp.uncacheable = true; set beresp.ttl = 0s; }
}
sub vcl_deliver {
    unset resp.http.x-url;
    unset resp.http.x-host;
    unset resp.http.x-tags;
    if (obj.uncacheable) { set resp.http.x-cache = "MISS"; } else if (obj.ttl < 0s) { set resp.http.x-cache = "STALE"; } else if (obj.hits > 0) { set resp.http.x-cache = "HIT"; } else { set resp.http.x-cache = "MISS"; }
    if (resp.http.x-say == "x-varnish") { unset resp.http.x-cache; }
    unset resp.http.x-say;
}
"#;

/// Gives each encoding and React's wire format an object of its own: a PURGE without those headers drops the plain one alone.
const KEYED: &str = "sub vcl_hash { hash_data(req.http.accept-encoding); hash_data(req.http.rsc); }\n";

/// How the forms of a page are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// One copy, which Varnish unpacks for whom that does not take gzip.
    Unpacked,
    /// One for each value of what the origin's `Vary` names, all below one key; errors of clients (404, 410) too.
    Varied,
    /// Each below a key of its own.
    Keyed,
}

impl Varnish {
    /// Starts in front of two origins on this machine, given by their ports.
    pub fn start(production_origin: u16, staging_origin: u16) -> Self {
        Self::start_with(production_origin, staging_origin, Forms::Unpacked)
    }

    /// Starts, and keeps the forms of a page in such a way.
    pub fn start_with(production_origin: u16, staging_origin: u16, forms: Forms) -> Self {
        let folder = tempfile::Builder::new().prefix("rilis-varnish-").tempdir().expect("a folder");
        let vcl = VCL
            .replace("PRODUCTION", &production_origin.to_string())
            .replace("STAGING", &staging_origin.to_string())
            .replace("ERRORS", if forms == Forms::Varied { "500" } else { "400" });
        let vcl = if forms == Forms::Keyed { vcl + KEYED } else { vcl };
        let gzip = if forms == Forms::Unpacked { "http_gzip_support=on" } else { "http_gzip_support=off" };
        let file = folder.path().join("edge.vcl");
        std::fs::write(&file, vcl).expect("written");
        let (production, staging) = (crate::free_port(), crate::free_port());
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "varnishd", "-F", "-j", "none", "-s", "malloc,16m"])
            .arg("-n")
            .arg(folder.path().join("work"))
            .arg("-f")
            .arg(&file)
            .arg("-a")
            .arg(format!("production=127.0.0.1:{production}"))
            .arg("-a")
            .arg(format!("staging=127.0.0.1:{staging}"))
            .args(["-p", "thread_pool_min=10", "-p", "thread_pools=1", "-p", gzip])
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("varnishd starts");
        crate::wait_for("Varnish", 30, || {
            let ended = child.try_wait().expect("asked").is_some();
            assert!(
                !ended,
                "varnishd: {}",
                std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
            );
            std::net::TcpStream::connect(("127.0.0.1", staging)).is_ok()
        });
        Varnish { _folder: folder, production, staging, child }
    }

    /// The edge of production.
    pub fn production(&self) -> String {
        format!("http://127.0.0.1:{}", self.production)
    }

    /// The edge of staging.
    pub fn staging(&self) -> String {
        format!("http://127.0.0.1:{}", self.staging)
    }
}

/// varnishd lies in /usr/sbin, which users do not have in their PATH.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

impl Drop for Varnish {
    fn drop(&mut self) {
        // SIGTERM has the manager end its worker as well. If it cannot be sent the child has ended already.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
