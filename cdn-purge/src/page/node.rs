//! The servers behind a name: every address of it is asked by itself, because each may have copies of its own.

use std::net::{IpAddr, SocketAddr};

use http_client::Client;
use step::{Failure, Settings};
use url::Url;

use crate::select;

/// One address of a page's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The host, as pages name it.
    pub host: String,
    /// `None` where only the name is known: behind a proxy, or when it was not found.
    pub address: Option<SocketAddr>,
}

/// All nodes of some pages.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    pub all: Vec<Node>,
    /// Addresses of them to which this machine has no route.
    pub unrouted: Vec<IpAddr>,
    /// Hosts whose addresses nobody here knows, and why: what answers by their name is one server of however many.
    unknown: Vec<(String, String)>,
}

impl Nodes {
    /// The nodes of the pages' hosts, each once: those of the setting `nodes`, else what the names have.
    pub fn of(client: &Client, pages: &[Url], listed: &[Listed]) -> Self {
        let mut nodes = Nodes::default();
        for page in pages {
            let host = select::host(page);
            if nodes.all.iter().any(|node| node.host == host) {
                continue;
            }
            let addresses = nodes.addresses_of(client, page, listed);
            let named = |address| Node { host: host.clone(), address };
            match addresses.is_empty() {
                // Asked by its name, it says by itself what is wrong.
                true => nodes.all.push(named(None)),
                false => nodes.all.extend(addresses.into_iter().map(|address| named(Some(address)))),
            }
        }
        nodes
    }

    fn addresses_of(&mut self, client: &Client, page: &Url, listed: &[Listed]) -> Vec<SocketAddr> {
        let why = match client.places(page.as_str()) {
            // It goes where it likes, whatever is listed.
            Ok(None) => "a proxy is in front".to_owned(),
            _ if !listed.is_empty() => return at(listed, page),
            Ok(Some(places)) => {
                self.unrouted.extend(places.unrouted);
                return places.reached;
            }
            Err(why) => why,
        };
        self.unknown.push((select::host(page), why));
        Vec::new()
    }

    /// What was not asked, in a sentence; nothing where every address was.
    pub fn unasked(&self) -> Option<String> {
        let unrouted = self.unrouted.first().map(|first| {
            let them = if self.unrouted.len() == 1 {
                "1 address".to_owned()
            } else {
                format!("{} addresses", self.unrouted.len())
            };
            format!("{them} could not be asked from here ({first})")
        });
        let unknown =
            self.unknown.iter().map(|(host, why)| format!("the addresses of {host} are not known ({why})"));
        let all: Vec<String> = unrouted.into_iter().chain(unknown).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The addresses of any URL's host: known ones of a page's, else what the name has. None where only the name is known.
    pub fn addresses(&self, client: &Client, url: &str) -> Vec<SocketAddr> {
        let Ok(parsed) = Url::parse(url) else { return Vec::new() };
        let nodes = self.of_page(&parsed);
        if nodes.is_empty() {
            return client.places(url).ok().flatten().unwrap_or_default().reached;
        }
        nodes.into_iter().filter_map(|n| self.all[n].address).collect()
    }

    /// The nodes of a page, by number.
    pub fn of_page(&self, page: &Url) -> Vec<usize> {
        let host = select::host(page);
        (0..self.all.len()).filter(|n| self.all[*n].host == host).collect()
    }

    /// A node for people; nothing where its host has no other one.
    pub fn named(&self, n: usize) -> String {
        let node = &self.all[n];
        let alone = self.all.iter().filter(|other| other.host == node.host).count() == 1;
        match node.address {
            Some(address) if !alone => format!(" at {address}"),
            _ => String::new(),
        }
    }
}

/// An address of the setting `nodes`; without a port it is the page's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    ip: IpAddr,
    port: Option<u16>,
}

impl Listed {
    /// The setting `nodes`.
    ///
    /// # Errors
    /// `config`, `setting`: no address.
    pub fn read(settings: &Settings) -> Result<Vec<Self>, Failure> {
        let one = |text: String| {
            let whole = text.parse::<SocketAddr>().map(|a| Listed { ip: a.ip(), port: Some(a.port()) });
            let bare = || text.parse::<IpAddr>().map(|ip| Listed { ip, port: None });
            let why = format!("`{text}` is no address; write 203.0.113.7 or 203.0.113.7:8080");
            whole.or_else(|_| bare()).map_err(|_| settings.wrong("nodes", &why))
        };
        settings.list::<String>("nodes")?.into_iter().map(one).collect()
    }
}

fn at(listed: &[Listed], page: &Url) -> Vec<SocketAddr> {
    let port = page.port_or_known_default().unwrap_or(443);
    listed.iter().map(|listed| SocketAddr::new(listed.ip, listed.port.unwrap_or(port))).collect()
}
