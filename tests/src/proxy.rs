//! A proxy that takes CONNECT, and remembers where to and with which credentials.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use crate::listener::Listener;

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    listener: Listener,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts.
    pub fn start() -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let ours = Arc::clone(&seen);
        let listener = Listener::start(move |stream| {
            tunnel(stream, &ours);
        });
        Proxy { listener, seen }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port()
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
