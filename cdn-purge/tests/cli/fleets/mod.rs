//! The ground on which fleets stand: one origin, a few real caches and one real balancer that all fleets share (each has paths of its
//! own), and a purger that tells the caches, or does not.

pub mod fleet;
mod origin;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use testkit::http::{Reply, Request, Server};
use testkit::varnish::{Forms, Varnish};
use testkit::{Haproxy, Nginx, Squid, exchange};

use crate::site::opened;
use fleet::{Chance, Fleet, Lie, Way};
use origin::Kept;

/// Customers.
const CROWD: usize = 200;
/// The caches by their numbers: so many of Varnish, then the others.
pub const VARNISHES: usize = 3;
pub const NGINX: usize = VARNISHES;
pub const SQUID: usize = NGINX + 1;

/// Everything that fleets share.
pub struct Ground {
    /// The number of the first fleet.
    first: usize,
    fleets: Arc<RwLock<HashMap<usize, Mutex<Kept>>>>,
    origin: Server,
    /// Where the caches answer.
    ports: Vec<u16>,
    balancer: Haproxy,
    /// Kept running.
    _servers: (Vec<Varnish>, Nginx, Squid),
}

impl Ground {
    /// Starts three Varnish, one nginx and one Squid in front of one origin, and HAProxy in front of them for these fleets.
    pub fn start(numbers: Range<usize>) -> Arc<Self> {
        let fleets: Arc<RwLock<HashMap<usize, Mutex<Kept>>>> = Arc::default();
        let known = Arc::clone(&fleets);
        let origin = Server::start(move |request| origin::served(&known, request));
        let varnish = || Varnish::start_with(origin.port(), origin.port(), Forms::Varied);
        let varnishes: Vec<Varnish> = (0..VARNISHES).map(|_| varnish()).collect();
        let (nginx, squid) = (Nginx::start(origin.port()), Squid::start(origin.port()));
        let port = |url: String| url.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        let mut ports: Vec<u16> = varnishes.iter().map(|v| port(v.production())).collect();
        ports.extend([port(nginx.url()), squid.port()]);
        let first = numbers.start;
        let services: Vec<_> = numbers.map(|n| Fleet::generated(n).service(|node| ports[node])).collect();
        let balancer = Haproxy::start(&services);
        Arc::new(Ground { first, fleets, origin, ports, balancer, _servers: (varnishes, nginx, squid) })
    }

    fn cache(&self, node: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[node]).into()
    }

    fn balancer(&self, fleet: &Fleet) -> SocketAddr {
        self.balancer.address(fleet.n - self.first)
    }

    /// Every cache of the fleet has the old pages in every form that the crowd asks for.
    pub fn warm(&self, fleet: &Fleet) {
        let kept = Mutex::new(Kept { fleet: fleet.clone(), new: false, asked: 0 });
        self.fleets.write().expect("fleets").insert(fleet.n, kept);
        let wishes = fleet.wishes();
        let forms = if fleet.vary.is_empty() { 1 } else { wishes.len() };
        for node in &fleet.nodes {
            for page in 0..fleet.pages {
                for wish in &wishes[..forms] {
                    assert_eq!(truth(&asked(self.cache(*node), fleet, page, wish)), "1.1.4", "{fleet:?}");
                }
            }
        }
    }

    /// The origin has the new build.
    pub fn release(&self, fleet: &Fleet) {
        if fleet.is_ended() {
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
        self.fleets.read().expect("fleets")[&fleet.n].lock().expect("a fleet").new = true;
    }

    /// Purges with the real program, while some of the crowd are asking; whether it says `observed`, and what it says.
    pub fn purged(self: &Arc<Self>, fleet: &Fleet) -> (bool, String) {
        let purger = self.purger(fleet);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("release.toml"), self.settings(fleet, &purger)).expect("written");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut chance = Chance::of(fleet.n + 1);
                while !over.load(Ordering::Relaxed) {
                    self.customer(fleet, &mut chance);
                    std::thread::sleep(std::time::Duration::from_millis(3));
                }
            });
            let mut command = Command::new(env!("CARGO_BIN_EXE_cdn-purge"));
            if fleet.by_hand() {
                command.args(pages(fleet));
            }
            let (code, done, stderr) =
                exchange(command.current_dir(folder.path()).env_clear(), Some(&opened("1.2.0")));
            over.store(true, Ordering::Relaxed);
            let claim = done["steps"][0]["output"]["claim"].as_str().unwrap_or("none").to_owned();
            let reason = done["failure"]["reason"].as_str().unwrap_or_default().to_owned();
            let last = stderr.lines().last().unwrap_or_default().to_owned();
            (code == 0 && claim == "observed", format!("{code} {claim} {reason}: {last}"))
        })
    }

    fn settings(&self, fleet: &Fleet, purger: &Server) -> String {
        let quoted = |items: Vec<String>| {
            items.iter().map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", ")
        };
        let nodes = match fleet.way {
            Way::Addresses => fleet.nodes.iter().map(|node| self.cache(*node).to_string()).collect(),
            _ => vec![self.balancer(fleet).to_string()],
        };
        let marker = if fleet.html { "html:data-build" } else { "X-Release" };
        let soft = if fleet.soft { "soft_headers.X-Soft = \"1\"\n" } else { "" };
        // What lies is not waited for; what is honest gets as long as a slow machine needs.
        let settle = if fleet.lie == Lie::None { "20s" } else { "1200ms" };
        format!(
            "[product]\nname = \"shop\"\n[environment.production]\npublic_urls = [{}]\nmarker = \"{marker}\"\n\
             [cdn-purge]\ndriver = \"http\"\nendpoint = \"{}\"\norigin = \"{}\"\nnodes = [{}]\nbake = \"60ms\"\n\
             settle = \"{settle}\"\nquiet_time = \"300ms\"\nassets = false\n{soft}{}",
            quoted(pages(fleet)),
            purger.url(),
            self.origin.url(),
            quoted(nodes),
            if fleet.vary.contains("X-Shop") { "vary.X-Shop = [\"a\"]\n" } else { "" },
        )
    }

    /// Answers a purge with yes, and tells the caches as the fleet's lie has it.
    fn purger(self: &Arc<Self>, fleet: &Fleet) -> Server {
        let (fleet, ground) = (fleet.clone(), Arc::clone(self));
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
                    purge(ground.cache(*node), *node == NGINX, request);
                }
            }
            Reply::text(200, "text/plain", "Purged")
        })
    }

    /// The whole crowd asks; how many get an old page.
    pub fn crowd(&self, fleet: &Fleet) -> usize {
        let mut chance = Chance::of(fleet.n);
        (0..CROWD).filter(|_| self.customer(fleet, &mut chance) == "1.1.4").count()
    }

    /// One customer's answer: of any cache, if any may be his.
    fn customer(&self, fleet: &Fleet, chance: &mut Chance) -> String {
        let (node, page) = (chance.of_all(&fleet.nodes), chance.below(fleet.pages));
        let wishes = fleet.wishes();
        let address = if fleet.is_fixed() { self.balancer(fleet) } else { self.cache(node) };
        truth(&asked(address, fleet, page, &wishes[chance.below(wishes.len())]))
    }
}

/// The name by which customers ask: no cache minds it.
fn host(fleet: &Fleet) -> String {
    format!("shop-{}.test", fleet.n)
}

fn pages(fleet: &Fleet) -> Vec<String> {
    (0..fleet.pages).map(|page| format!("http://{}{}", host(fleet), fleet.path(page))).collect()
}

fn purge(cache: SocketAddr, nginx: bool, request: &Request) {
    let soft = if request.header("x-soft") == "1" { "X-Soft: 1\r\n" } else { "" };
    let line = match nginx {
        true => format!("GET /purge{}", request.target),
        false => format!("PURGE {}", request.target),
    };
    sent(cache, &format!("{line} HTTP/1.1\r\nHost: {}\r\n{soft}", request.header("host")));
}

fn asked(address: SocketAddr, fleet: &Fleet, page: usize, wish: &str) -> String {
    sent(address, &format!("GET {} HTTP/1.1\r\nHost: {}\r\n{wish}", fleet.path(page), host(fleet)))
}

/// Sends a request, on a connection of its own; the answer's head.
fn sent(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_else(|e| panic!("{address}: {e}: {head}"));
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(answer.len());
    String::from_utf8_lossy(&answer[..end]).into_owned()
}

/// The build that an answer has in truth.
fn truth(head: &str) -> String {
    let line =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-truth: ").map(str::to_owned));
    line.unwrap_or_else(|| panic!("no page: {head}"))
}
