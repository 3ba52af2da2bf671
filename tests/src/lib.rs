//! Everything that the tests and the demo stand on: stand-ins with state for what cannot run on one machine (Coolify,
//! Telegram, Proxmox, the vendors of edges), private servers of what can (PostgreSQL, Varnish, nginx, Squid, HAProxy, git), a small shop, and the sandbox that
//! puts them together. Never published, and it depends on no step.

use std::path::PathBuf;

pub mod bunny;
pub mod cache;
pub mod chats;
pub mod cloudflare;
pub mod cloudfront;
pub mod coolify;
pub mod cut;
pub mod distance;
mod exchange;
pub mod fastly;
pub mod git;
pub mod git_servers;
pub mod github;
pub mod gnupg;
pub mod haproxy;
pub mod http;
pub mod listener;
pub mod lockstep;
pub mod nginx;
pub mod postgres;
pub mod postgrest;
pub mod proxmox;
pub mod proxy;
pub mod reports;
pub mod sandbox;
pub mod schema;
pub mod settings;
pub mod shop;
pub mod slack;
pub mod snapshots;
pub mod souin;
pub mod squid;
pub mod supabase;
pub mod telegram;
pub mod telegram_html;
pub mod tls;
pub mod varnish;

pub use bunny::Bunny;
pub use cloudflare::Cloudflare;
pub use cloudfront::CloudFront;
pub use coolify::Coolify;
pub use exchange::exchange;
pub use fastly::Fastly;
pub use github::Github;
pub use haproxy::Haproxy;
pub use nginx::Nginx;
pub use postgrest::Postgrest;
pub use proxmox::Proxmox;
pub use sandbox::Sandbox;
pub use shop::Shop;
pub use souin::Souin;
pub use squid::Squid;
pub use supabase::Supabase;
pub use telegram::Telegram;

/// The folder that holds the workspace's binaries: that of our own executable, or the one above a test's.
pub fn bin_dir() -> PathBuf {
    let own = std::env::current_exe().expect("our own executable");
    let folder = own.parent().expect("it lies in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("target/debug").to_owned()
    } else {
        folder.to_owned()
    }
}

/// Every program that is installed, by the one list of them.
pub fn programs() -> impl Iterator<Item = &'static str> {
    include_str!("../../scripts/programs").lines()
}

/// A program of the workspace.
pub fn bin(name: &str) -> PathBuf {
    let path = bin_dir().join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &std::path::Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let open = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = open.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.write_all(text.as_bytes()).expect("written");
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).expect("private");
}

/// A port of this machine that was free a moment ago, from below those that the kernel gives out by itself (32768 and up): a stand-in
/// of a parallel test never gets it before the server has started that it is for, whose callers would then ask the stand-in.
pub(crate) fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TURN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    // Other test programs may be at work: each begins elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    let next = || FIRST + begin.wrapping_add(TURN.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..COUNT).filter_map(|_| u16::try_from(next()).ok());
    ports.find(is_free).expect("a free port")
}

/// Who runs a server that refuses root, when we are root: the user whom its package has made, else `nobody`; user and group.
pub(crate) fn unprivileged(user: &str) -> Option<(u32, u32)> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    if root { ids(user).or_else(|| ids("nobody")) } else { None }
}

/// Waits until something is there, at most `seconds`.
pub fn wait_for(what: &str, seconds: u64, mut there: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !there() {
        assert!(std::time::Instant::now() < end, "{what} is not there after {seconds} s");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
