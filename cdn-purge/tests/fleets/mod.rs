//! The ground on which fleets stand: one origin, a few real caches that all fleets share (each has paths of its own), a balancer, and
//! a purger that tells the caches, or does not.

mod balancer;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use testkit::http::{Reply, Request, Server};
use testkit::varnish::{Forms, Varnish};
use testkit::{Nginx, exchange};

use crate::site::opened;
use balancer::Balancer;

/// What browsers and tools of all ages say, and what nobody lists.
const ACCEPTED: [&str; 10] = [
    "",
    "gzip, deflate, br, zstd",
    "gzip, deflate, br",
    "gzip, deflate",
    "gzip",
    "br",
    "deflate, gzip;q=1.0, *;q=0.5",
    "gzip,deflate",
    "br;q=1.0, gzip;q=0.8, *;q=0.1",
    "identity",
];
/// Customers.
const CROWD: usize = 200;

/// In which way a purge is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    None,
    /// Nobody is told.
    Deaf,
    /// One cache is not told.
    Node(usize),
    /// One cache is not told of one page.
    Page(usize, usize),
    /// The cache's purge leaves the copies that it keeps apart by `Vary` (nginx).
    Variants,
    /// One of two instances of the origin is still old.
    Rolling,
}

/// One fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub n: usize,
    /// Which of the caches are its own.
    pub nodes: Vec<usize>,
    /// Whether their addresses are known; else they are behind one.
    pub listed: bool,
    /// Whether the balancer chooses by chance, or in turn.
    pub chance: bool,
    pub pages: usize,
    pub vary: &'static str,
    pub packed: bool,
    /// Whether pages say their build in their HTML alone.
    pub html: bool,
    pub soft: bool,
    pub lie: Lie,
}

/// Numbers by chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).expect("small")
    }
}

const VARNISHES: usize = 3;

impl Fleet {
    /// The n-th fleet.
    pub fn generated(n: usize) -> Self {
        let mut chance = Chance(0x9e37_79b9 ^ (n as u64) << 17);
        // The first ones are much the same for neighbours.
        for _ in 0..8 {
            chance.below(2);
        }
        let nginx = chance.below(3) == 0;
        let count = 2 + chance.below(2);
        let varies = chance.below(2) == 0;
        // nginx is one of the caches of a fleet, or none is.
        let mut nodes: Vec<usize> = (0..VARNISHES).collect();
        nodes.rotate_left(chance.below(VARNISHES));
        nodes.truncate(count);
        if nginx {
            nodes[0] = VARNISHES;
        }
        let pages = 1 + chance.below(3);
        let lie = match chance.below(12) {
            0 => Lie::Deaf,
            1 => Lie::Node(chance.below(count)),
            2 | 3 => Lie::Page(chance.below(count), chance.below(pages)),
            4 => Lie::Rolling,
            _ if nginx && varies => Lie::Variants,
            _ => Lie::None,
        };
        let soft = !nginx && !varies && chance.below(4) == 0;
        let vary =
            if varies { ["Accept-Encoding", "accept-encoding, X-Shop"][chance.below(4) / 3] } else { "" };
        let (listed, chosen) = (chance.below(2) == 0, chance.below(2) == 0);
        let (packed, html) = (varies && chance.below(3) > 0, chance.below(2) == 0);
        Fleet { n, nodes, listed, chance: chosen, pages, vary, packed, html, soft, lie }
    }

    fn path(&self, page: usize) -> String {
        format!("/f{}/p{page}", self.n)
    }
}

/// What the origin has of a fleet.
struct Kept {
    fleet: Fleet,
    new: bool,
    asked: usize,
}

/// Everything that fleets share.
pub struct Ground {
    fleets: Arc<RwLock<HashMap<usize, Mutex<Kept>>>>,
    origin: Server,
    caches: Vec<Cache>,
    /// Kept running.
    _servers: (Vec<Varnish>, Nginx),
}

/// A cache, by its port.
#[derive(Clone, Copy)]
struct Cache {
    port: u16,
    nginx: bool,
}

impl Ground {
    /// Starts three Varnish and one nginx in front of one origin.
    pub fn start() -> Arc<Self> {
        let fleets: Arc<RwLock<HashMap<usize, Mutex<Kept>>>> = Arc::default();
        let known = Arc::clone(&fleets);
        let origin = Server::start(move |request| served(&known, request));
        let varnishes: Vec<Varnish> = (0..VARNISHES)
            .map(|_| Varnish::start_with(origin.port(), origin.port(), Forms::Varied))
            .collect();
        let nginx = Nginx::start(origin.port());
        let port = |url: String| url.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        let mut caches: Vec<Cache> =
            varnishes.iter().map(|v| Cache { port: port(v.production()), nginx: false }).collect();
        caches.push(Cache { port: port(nginx.url()), nginx: true });
        Arc::new(Ground { fleets, origin, caches, _servers: (varnishes, nginx) })
    }

    /// Every cache of the fleet has the old pages in every form that the crowd asks for.
    pub fn warm(&self, fleet: &Fleet) {
        let kept = Mutex::new(Kept { fleet: fleet.clone(), new: false, asked: 0 });
        self.fleets.write().expect("fleets").insert(fleet.n, kept);
        let forms = if fleet.vary.is_empty() { 1 } else { ACCEPTED.len() };
        for node in &fleet.nodes {
            for page in 0..fleet.pages {
                for accepted in &ACCEPTED[..forms] {
                    let port = self.caches[*node].port;
                    assert_eq!(truth(&ask(port, "GET", &fleet.path(page), &host(fleet), accepted)), "1.1.4");
                }
            }
        }
    }

    /// The origin has the new build.
    pub fn release(&self, fleet: &Fleet) {
        self.fleets.read().expect("fleets")[&fleet.n].lock().expect("a fleet").new = true;
    }

    /// Purges with the real program, while some of the crowd are asking; whether it says `observed`, and what it says.
    pub fn purged(self: &Arc<Self>, fleet: &Fleet) -> (bool, String) {
        let balancer =
            Balancer::start(fleet.nodes.iter().map(|n| self.caches[*n].port).collect(), fleet.chance);
        let purger = self.purger(fleet);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("release.toml"), self.settings(fleet, &balancer, &purger))
            .expect("written");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                while !over.load(Ordering::Relaxed) {
                    self.customer(fleet, n);
                    n += 7;
                    std::thread::sleep(std::time::Duration::from_millis(3));
                }
            });
            let mut command = Command::new(env!("CARGO_BIN_EXE_cdn-purge"));
            let (code, done, stderr) =
                exchange(command.current_dir(folder.path()).env_clear(), Some(&opened("1.2.0")));
            over.store(true, Ordering::Relaxed);
            let claim = done["steps"][0]["output"]["claim"].as_str().unwrap_or("none").to_owned();
            let reason = done["failure"]["reason"].as_str().unwrap_or_default().to_owned();
            let last = stderr.lines().last().unwrap_or_default().to_owned();
            (code == 0 && claim == "observed", format!("{code} {claim} {reason}: {last}"))
        })
    }

    fn settings(&self, fleet: &Fleet, balancer: &Balancer, purger: &Server) -> String {
        let edge = format!("http://{}", host(fleet));
        let pages: Vec<String> = (0..fleet.pages).map(|n| format!("\"{edge}{}\"", fleet.path(n))).collect();
        let nodes: Vec<String> = if fleet.listed {
            fleet.nodes.iter().map(|n| format!("\"127.0.0.1:{}\"", self.caches[*n].port)).collect()
        } else {
            vec![format!("\"127.0.0.1:{}\"", balancer.port())]
        };
        let marker = if fleet.html { "html:data-build" } else { "X-Release" };
        let soft = if fleet.soft { "soft_headers.X-Soft = \"1\"\n" } else { "" };
        // What lies is not waited for; what is honest gets as long as a slow machine needs.
        let settle = if fleet.lie == Lie::None { "20s" } else { "1200ms" };
        format!(
            "[product]\nname = \"shop\"\n[environment.production]\npublic_urls = [{}]\nmarker = \"{marker}\"\n\
             [cdn-purge]\ndriver = \"http\"\nendpoint = \"{}\"\norigin = \"{}\"\nnodes = [{}]\nbake = \"60ms\"\n\
             settle = \"{settle}\"\nquiet_time = \"300ms\"\nassets = false\n{soft}{}",
            pages.join(", "),
            purger.url(),
            self.origin.url(),
            nodes.join(", "),
            if fleet.vary.contains("X-Shop") { "vary.X-Shop = [\"a\"]\n" } else { "" },
        )
    }

    /// Answers a purge with yes, and tells the caches as the fleet's lie has it.
    fn purger(self: &Arc<Self>, fleet: &Fleet) -> Server {
        let (fleet, caches) = (fleet.clone(), self.caches.clone());
        Server::start(move |request| {
            for (n, node) in fleet.nodes.iter().enumerate() {
                let page = |page| request.path == fleet.path(page);
                let told = match fleet.lie {
                    Lie::Deaf => false,
                    Lie::Node(other) => other != n,
                    Lie::Page(other, not) => other != n || !page(not),
                    Lie::None | Lie::Variants | Lie::Rolling => true,
                };
                if told {
                    purge(caches[*node], request);
                }
            }
            Reply::text(200, "text/plain", "Purged")
        })
    }

    /// The whole crowd asks every cache of the fleet; how many get an old page.
    pub fn crowd(&self, fleet: &Fleet) -> usize {
        (0..CROWD).filter(|n| self.customer(fleet, *n) == "1.1.4").count()
    }

    /// One customer's answer.
    fn customer(&self, fleet: &Fleet, n: usize) -> String {
        let node = fleet.nodes[n % fleet.nodes.len()];
        let (page, accepted) = (n / fleet.nodes.len() % fleet.pages, ACCEPTED[n / 3 % ACCEPTED.len()]);
        truth(&ask(self.caches[node].port, "GET", &fleet.path(page), &host(fleet), accepted))
    }
}

/// The name by which customers ask: no cache minds it.
fn host(fleet: &Fleet) -> String {
    format!("shop-{}.test", fleet.n)
}

/// A page at the origin.
fn served(fleets: &RwLock<HashMap<usize, Mutex<Kept>>>, request: &Request) -> Reply {
    let n =
        request.path.strip_prefix("/f").and_then(|rest| rest.split('/').next()).and_then(|n| n.parse().ok());
    let fleets = fleets.read().expect("fleets");
    let Some(kept) = n.and_then(|n: usize| fleets.get(&n)) else {
        return Reply::text(404, "text/plain", "none");
    };
    let mut kept = kept.lock().expect("a fleet");
    kept.asked += 1;
    let old = !kept.new || (kept.fleet.lie == Lie::Rolling && kept.asked % 2 == 0);
    let build = if old { "1.1.4" } else { "1.2.0" };
    let page = format!("<!doctype html><html data-build={build}><body>{}</body></html>", request.path);
    let gzip = kept.fleet.packed && request.header("accept-encoding").contains("gzip");
    let reply = if gzip {
        Reply::text(200, "text/html; charset=utf-8", gzipped(&page)).with("Content-Encoding", "gzip")
    } else {
        Reply::text(200, "text/html; charset=utf-8", page)
    };
    let reply = reply.with("Cache-Control", "public, max-age=0, s-maxage=3600").with("X-Truth", build);
    let reply = if kept.fleet.html { reply } else { reply.with("X-Release", build) };
    if kept.fleet.vary.is_empty() { reply } else { reply.with("Vary", kept.fleet.vary) }
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("written");
    encoder.finish().expect("whole")
}

fn purge(cache: Cache, request: &Request) {
    let soft = if request.header("x-soft") == "1" { "X-Soft: 1\r\n" } else { "" };
    let (method, path) = if cache.nginx {
        ("GET", format!("/purge{}", request.target))
    } else {
        ("PURGE", request.target.clone())
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{soft}", request.header("host"));
    sent(cache.port, &head);
}

fn ask(port: u16, method: &str, path: &str, host: &str, accepted: &str) -> String {
    let accepted =
        if accepted.is_empty() { String::new() } else { format!("Accept-Encoding: {accepted}\r\n") };
    sent(port, &format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{accepted}"))
}

/// Sends a request, on a connection of its own; the answer's head.
fn sent(port: u16, head: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a cache");
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(answer.len());
    String::from_utf8_lossy(&answer[..end]).into_owned()
}

/// The build that an answer has in truth.
fn truth(head: &str) -> String {
    let line =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-truth: ").map(str::to_owned));
    line.unwrap_or_else(|| panic!("no page: {head}"))
}
