//! A balancer of connections: in turn, or by chance.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Hands each connection to one of its servers; it ends when it is dropped.
pub struct Balancer {
    port: u16,
    stopped: Arc<AtomicBool>,
}

impl Balancer {
    /// In front of servers on this machine, given by their ports.
    pub fn start(servers: Vec<u16>, chance: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stopped = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stopped);
        std::thread::spawn(move || {
            let mut state = u64::from(port) | 1;
            for client in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                state = if chance {
                    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
                } else {
                    state + (1 << 33)
                };
                let turn = usize::try_from((state >> 33) % servers.len() as u64).expect("small");
                let server = servers[turn];
                std::thread::spawn(move || joined(&client, server));
            }
        });
        Balancer { port, stopped }
    }

    /// Where it answers.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that it has been stopped.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
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
