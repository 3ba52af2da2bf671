//! A balancer of connections: in turn, or by chance.

use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;

use testkit::listener::Listener;

/// Hands each connection to one of its servers; it ends when it is dropped.
pub struct Balancer(Listener);

impl Balancer {
    /// In front of servers on this machine, given by their ports.
    pub fn start(servers: Vec<u16>, chance: bool) -> Self {
        let state = Mutex::new(1_u64);
        Balancer(Listener::start(move |client| {
            let turn = next(&mut state.lock().expect("the state"), chance);
            joined(&client, servers[usize::try_from(turn % servers.len() as u64).expect("small")]);
        }))
    }

    /// Where it answers.
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}

/// The number of the next turn.
fn next(state: &mut u64, chance: bool) -> u64 {
    *state = if chance {
        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
    } else {
        state.wrapping_add(1 << 33)
    };
    *state >> 33
}

fn joined(client: &TcpStream, server: u16) -> Option<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).ok()?;
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server); // either side may go away at any time
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (&server, client);
    let _ = std::io::copy(&mut from_server, &mut to_client);
    let _ = client.shutdown(Shutdown::Both);
    up.join().ok()
}
