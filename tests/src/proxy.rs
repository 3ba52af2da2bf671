//! A proxy that takes CONNECT, and remembers where to and with which credentials.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A running proxy; its threads end with the process.
pub struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let ours = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ours = Arc::clone(&ours);
                std::thread::spawn(move || tunnel(stream, &ours));
            }
        });
        Proxy { port, seen }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The heads of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("log").clone()
    }
}

fn tunnel(client: TcpStream, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    seen.lock().expect("log").push(head.clone());
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let server = TcpStream::connect(target).ok()?;
    let (mut from_client, mut to_client) = (client.try_clone().ok()?, client);
    let (mut from_server, mut to_server) = (server.try_clone().ok()?, server);
    to_client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server); // either side may go away at any time
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut from_server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Both);
    up.join().ok()
}
