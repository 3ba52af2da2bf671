//! The addresses behind a name, each of which may be another server with other copies: all are asked, one by one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// The addresses of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Those that can be asked from here, each once, in the order of the system's resolver.
    pub reached: Vec<SocketAddr>,
    /// Those to which this machine has no route (IPv6, most often): nothing is known of them.
    pub unrouted: Vec<IpAddr>,
}

/// Looks a name up, as the system does.
///
/// # Errors
/// Why it has no address.
pub fn places(host: &str, port: u16) -> Result<Places, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = (host, port).to_socket_addrs().map_err(|_| format!("the name {host} was not found"))?;
    Ok(sorted(found))
}

fn sorted(found: impl Iterator<Item = SocketAddr>) -> Places {
    let mut places = Places::default();
    for address in found {
        if places.reached.contains(&address) || places.unrouted.contains(&address.ip()) {
            continue;
        }
        if is_routed(address) { places.reached.push(address) } else { places.unrouted.push(address.ip()) }
    }
    // `localhost` has two addresses on most machines, and most servers listen at one of them.
    if places.reached.len() > 1 && places.reached.iter().all(|address| address.ip().is_loopback()) {
        let there =
            |address: &SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok();
        let up: Vec<SocketAddr> = places.reached.iter().copied().filter(there).collect();
        let named = |ip: IpAddr| ip == IpAddr::V6(Ipv6Addr::LOCALHOST) || ip == IpAddr::from([127, 0, 0, 1]);
        if !up.is_empty() {
            places.reached.retain(|address| up.contains(address) || !named(address.ip()));
        }
    }
    places
}

/// Whether this machine has a way there at all. Nothing is sent.
fn is_routed(address: SocketAddr) -> bool {
    let any: SocketAddr =
        if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    UdpSocket::bind(any).and_then(|socket| socket.connect(address)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_a_place_and_a_listener_decides_for_localhost() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let ours = SocketAddr::from(([127, 0, 0, 1], port));
        let both = [ours, SocketAddr::from((Ipv6Addr::LOCALHOST, port)), ours];
        assert_eq!(sorted(both.into_iter()).reached, [ours]);
        // Two servers of one name are two, whether one of them is up or not.
        let two = [ours, SocketAddr::from(([127, 0, 0, 9], port))];
        assert_eq!(sorted(two.into_iter()).reached, two);
        assert_eq!(places("127.0.0.1", port).expect("found").reached, [ours]);
        assert!(places("no-such-name.invalid", 80).is_err());
    }
}
