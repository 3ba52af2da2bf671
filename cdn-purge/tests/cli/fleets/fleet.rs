//! One fleet: its caches, how they are reached, what its pages are like before and after the release, and how its purge lies.

use testkit::haproxy::Service;

use crate::fleets::{NGINX, SQUID, VARNISHES};

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
/// What else customers send, by what a `Vary` names. `X-Shop` has the value that the settings list.
const SENT: [(&str, &[&str]); 4] = [
    ("X-Shop", &["", "a"]),
    ("Accept-Language", &["", "en", "id-ID,id;q=0.9"]),
    ("RSC", &["", "1"]),
    ("Cookie", &["", "s=1"]),
];
/// What pages vary by; most of them by encodings alone, as most pages do.
const VARY: [&str; 8] = [
    "Accept-Encoding",
    "Accept-Encoding",
    "Accept-Encoding",
    "accept-encoding, X-Shop",
    "Accept-Encoding, Accept-Language",
    "Accept-Language",
    "RSC, Accept-Encoding",
    "Accept-Encoding, Cookie",
];
/// How long caches keep a page, and may serve its old copy when that is over: before the release, and after it.
const LIVES: [(&str, &str); 5] = [
    ("s-maxage=3600", "s-maxage=3600"),
    ("s-maxage=3600, stale-while-revalidate=60", "s-maxage=3600, stale-while-revalidate=60"),
    ("s-maxage=3600, stale-while-revalidate=0", "s-maxage=3600, stale-while-revalidate=0"),
    ("s-maxage=1, stale-while-revalidate=60", "s-maxage=3600"),
    ("s-maxage=3600", "s-maxage=2, stale-while-revalidate=30"),
];
/// The last page's status before and after the release.
const STATUSES: [(u16, u16); 6] = [(404, 200), (410, 200), (301, 200), (200, 404), (200, 410), (200, 301)];

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
    /// The cache's purge leaves the copies that it keeps apart by `Vary` (nginx, Squid).
    Variants,
    /// One of two instances of the origin is still old.
    Rolling,
}

/// How customers reach the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By addresses that are known.
    Addresses,
    /// HAProxy gives each request to the next one,
    Turns,
    /// or each connection,
    Connections,
    /// or chooses by chance,
    Chance,
    /// or has one for each address of a page,
    Hash,
    /// or one for the first page, and the others for the others.
    Paths,
}

/// One fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub n: usize,
    /// Which of the caches are its own.
    pub nodes: Vec<usize>,
    pub way: Way,
    pub pages: usize,
    pub vary: &'static str,
    /// Before and after.
    pub life: (&'static str, &'static str),
    /// The last page's status before and after.
    pub status: (u16, u16),
    pub packed: bool,
    /// Whether pages say their build in their HTML alone.
    pub html: bool,
    /// Whether answers say no more than Varnish says by itself.
    pub terse: bool,
    /// Whether the origin's answers have an age, as those of a shield.
    pub aged: bool,
    pub soft: bool,
    pub lie: Lie,
}

/// Numbers by chance, the same each time.
pub struct Chance(u64);

impl Chance {
    pub fn of(n: usize) -> Self {
        let mut chance = Chance(0x9e37_79b9 ^ (n as u64) << 17);
        // The first ones are much the same for neighbours.
        for _ in 0..8 {
            chance.below(2);
        }
        chance
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).expect("small")
    }

    pub fn of_all<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

impl Fleet {
    /// The n-th fleet.
    pub fn generated(n: usize) -> Self {
        let mut chance = Chance::of(n);
        let count = 2 + chance.below(2);
        // nginx or Squid is one of the caches of a fleet, or none is.
        let mut nodes: Vec<usize> = (0..VARNISHES).collect();
        nodes.rotate_left(chance.below(VARNISHES));
        nodes.truncate(count);
        let special = chance.below(4);
        if special < 2 {
            nodes[0] = [NGINX, SQUID][special];
        }
        let (pages, vary) = (1 + chance.below(3), if chance.once_in(2) { "" } else { chance.of_all(&VARY) });
        let by_chance = match chance.below(12) {
            0 => Lie::Deaf,
            1 => Lie::Node(chance.below(count)),
            2 | 3 => Lie::Page(chance.below(count), chance.below(pages)),
            4 => Lie::Rolling,
            _ => Lie::None,
        };
        let lie =
            if by_chance == Lie::None && special < 2 && !vary.is_empty() { Lie::Variants } else { by_chance };
        let life = LIVES[chance.below(LIVES.len() - usize::from(lie != Lie::None))];
        // A page that is gone in one instance alone is another story.
        let odd = lie != Lie::Rolling && chance.once_in(4);
        let status = if odd { chance.of_all(&STATUSES) } else { (200, 200) };
        let way = match chance.below(2) {
            0 => Way::Addresses,
            _ => chance.of_all(&[Way::Turns, Way::Connections, Way::Chance, Way::Hash, Way::Paths]),
        };
        let soft = special >= 2 && vary.is_empty() && !gone(status.1) && chance.once_in(4);
        let packed = vary.to_ascii_lowercase().contains("accept-encoding") && !chance.once_in(3);
        let (html, terse) = (chance.once_in(2), chance.once_in(4));
        let aged = life == LIVES[0] && chance.once_in(2);
        Fleet { n, nodes, way, pages, vary, life, status, packed, html, terse, aged, soft, lie }
    }

    /// In some fleets each page is in another part of the site.
    pub fn path(&self, page: usize) -> String {
        match self.way == Way::Paths || self.n.is_multiple_of(4) {
            true => format!("/f{}-{page}/p", self.n),
            false => format!("/f{}/p{page}", self.n),
        }
    }

    /// The fleet and page of a path.
    pub fn of_path(path: &str) -> Option<(usize, usize)> {
        let mut numbers = path.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    }

    /// Whether a person has to name the pages.
    pub fn by_hand(&self) -> bool {
        gone(self.status.1)
    }

    /// Whether everybody gets a page from the same cache: then what others have of it does not count.
    pub fn is_fixed(&self) -> bool {
        matches!(self.way, Way::Hash | Way::Paths)
    }

    /// Whether the old copies are at their end when the release comes: each may be served once more.
    pub fn is_ended(&self) -> bool {
        self.life == LIVES[3]
    }

    fn varies_by(&self, name: &str) -> bool {
        self.vary.to_ascii_lowercase().contains(&name.to_ascii_lowercase())
    }

    /// Whether copies are left that nobody can look at: then there is nothing to be sure of.
    pub fn is_blind(&self) -> bool {
        self.varies_by("Cookie")
    }

    /// Whether all that customers can get can be looked at.
    pub fn is_plain(&self) -> bool {
        !self.is_blind()
    }

    /// Everything that customers say which makes a difference.
    pub fn wishes(&self) -> Vec<String> {
        let named = SENT.iter().filter(|(name, _)| self.varies_by(name));
        // Of so many together, every other one.
        let each = if named.clone().count() > 0 { 2 } else { 1 };
        let accepted = ACCEPTED.iter().step_by(each);
        let mut wishes: Vec<String> = accepted.map(|value| line("Accept-Encoding", value)).collect();
        for (name, values) in named {
            wishes = wishes
                .iter()
                .flat_map(|wish| values.iter().map(move |value| format!("{wish}{}", line(name, value))))
                .collect();
        }
        wishes
    }

    /// What HAProxy does for it.
    pub fn service(&self, port: impl Fn(usize) -> u16) -> Service {
        let ports: Vec<u16> = self.nodes.iter().map(|node| port(*node)).collect();
        let (mode, balance) = match self.way {
            Way::Addresses | Way::Turns | Way::Paths => ("http", "roundrobin"),
            Way::Connections => ("tcp", "roundrobin"),
            Way::Chance => ("http", "random"),
            Way::Hash => ("http", "uri"),
        };
        let (last, others) = ports.split_last().expect("caches");
        let apart = (self.way == Way::Paths).then(|| (self.path(0), vec![*last]));
        let servers = if apart.is_some() { others.to_vec() } else { ports.clone() };
        Service { mode, balance, servers, apart }
    }
}

fn gone(status: u16) -> bool {
    status >= 400
}

fn line(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("{name}: {value}\r\n") }
}
