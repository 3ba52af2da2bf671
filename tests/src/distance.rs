//! A server that is far away: a TCP proxy that adds a delay to each direction, counts how often a client waits for an answer, swallows all
//! packets from a word on as a broken network does, or takes a session's settings away as a connection pooler does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::listener::Listener;

/// The proxy; it ends when it is dropped.
pub struct Distance {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What happens when a word comes by.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It and everything after it is swallowed, on every connection, and nobody is told.
    Swallow(String),
    /// It arrives; everything after it, the answer first, is swallowed.
    SwallowAnswer(String),
    /// Its connection breaks before it arrives.
    Cut(String),
    /// It arrives, and its connection breaks before the answer.
    CutAnswer(String),
}

#[derive(Default)]
struct Shared {
    delay: Mutex<Duration>,
    /// Round trips of connections that the program opened itself, and of its children.
    own: AtomicUsize,
    children: AtomicUsize,
    connections: AtomicUsize,
    fault: Mutex<Option<Fault>>,
    silent: AtomicBool,
    pooler: AtomicBool,
}

impl Distance {
    /// Leads to a port of this machine, without any delay yet.
    pub fn start(to: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        Distance { listener: Listener::start(move |client| ours.serve(&client, to)), shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Adds so much to each direction.
    pub fn delay(&self, delay: Duration) {
        *self.shared.delay.lock().expect("the delay") = delay;
    }

    /// The next time the word comes by; a fault happens once.
    pub fn fault(&self, fault: Fault) {
        *self.shared.fault.lock().expect("the fault") = Some(fault);
    }

    /// Whether the fault has happened.
    pub fn has_happened(&self) -> bool {
        self.shared.fault.lock().expect("the fault").is_none()
    }

    /// The network works again, for new connections.
    pub fn heal(&self) {
        self.shared.silent.store(false, Ordering::SeqCst);
        *self.shared.fault.lock().expect("the fault") = None;
    }

    /// From now on the settings that a session begins with are dropped, as a pooler does that ignores them.
    pub fn drops_settings(&self) {
        self.shared.pooler.store(true, Ordering::SeqCst);
    }

    /// How often a client waited since the last question: the program itself, its children (by their name), and how many connections the
    /// program opened. A connection's own opening counts as one. The same question twice in a row is a look whether something has ended: how
    /// often there is one depends on how quick the machine is, so that only the first is counted.
    pub fn counted(&self) -> (usize, usize, usize) {
        let take = |n: &AtomicUsize| n.swap(0, Ordering::SeqCst);
        (take(&self.shared.own), take(&self.shared.children), take(&self.shared.connections))
    }
}

/// A direction: what is to be delivered when.
fn deliver(from: Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (at, bytes) in from {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn queue(to: &TcpStream) -> Sender<(Instant, Vec<u8>)> {
    let (sender, receiver) = channel();
    let to = to.try_clone().expect("a handle");
    std::thread::spawn(move || deliver(receiver, to));
    sender
}

fn chunk(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64 << 10];
    let length = from.read(&mut bytes).ok().filter(|n| *n > 0)?;
    bytes.truncate(length);
    Some(bytes)
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

impl Shared {
    fn later(&self) -> Instant {
        Instant::now() + *self.delay.lock().expect("the delay")
    }

    fn serve(&self, client: &TcpStream, to: u16) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { return };
        let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
        let (up, down) = (queue(&server), queue(client));
        let waiting = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                self.upwards(client, &server, &up, &waiting);
                drop(up);
            });
            let mut from = &server;
            while let Some(bytes) = chunk(&mut from) {
                waiting.store(false, Ordering::SeqCst);
                if !self.silent.load(Ordering::SeqCst) && down.send((self.later(), bytes)).is_err() {
                    break;
                }
            }
            drop(down);
            let _ = client.shutdown(Shutdown::Read);
        });
    }

    fn upwards(
        &self,
        mut client: &TcpStream,
        server: &TcpStream,
        up: &Sender<(Instant, Vec<u8>)>,
        waiting: &AtomicBool,
    ) {
        let (mut first, mut child, mut last) = (true, false, Vec::new());
        while let Some(mut bytes) = chunk(&mut client) {
            if first {
                first = false;
                child = holds(&bytes, "application_name\0db-restore\0");
                self.count(child).fetch_add(1, Ordering::SeqCst);
                self.connections.fetch_add(usize::from(!child), Ordering::SeqCst);
                if self.pooler.load(Ordering::SeqCst) {
                    bytes = without_options(&bytes);
                }
            }
            // A goodbye (`X`, four bytes of length) waits for nobody.
            let goodbye = bytes == *b"X\0\0\0\x04";
            if !goodbye && !waiting.swap(true, Ordering::SeqCst) && bytes != last {
                self.count(child).fetch_add(1, Ordering::SeqCst);
            }
            last.clone_from(&bytes);
            if self.strikes(&bytes, up) {
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
                return;
            }
            if !self.silent.load(Ordering::SeqCst) && up.send((self.later(), bytes)).is_err() {
                return;
            }
        }
    }

    fn count(&self, child: bool) -> &AtomicUsize {
        if child { &self.children } else { &self.own }
    }

    /// Lets the fault happen if this is its word; whether the connection breaks.
    fn strikes(&self, bytes: &[u8], up: &Sender<(Instant, Vec<u8>)>) -> bool {
        let mut fault = self.fault.lock().expect("the fault");
        let word = match fault.as_ref() {
            Some(Fault::Swallow(w) | Fault::SwallowAnswer(w) | Fault::Cut(w) | Fault::CutAnswer(w)) => w,
            None => return false,
        };
        if !holds(bytes, word) {
            return false;
        }
        let arrives = || {
            let _ = up.send((Instant::now(), bytes.to_vec()));
            std::thread::sleep(Duration::from_millis(40));
        };
        match fault.take() {
            Some(Fault::Swallow(_)) => self.silent.store(true, Ordering::SeqCst),
            Some(Fault::SwallowAnswer(_)) => {
                self.silent.store(true, Ordering::SeqCst);
                arrives();
            }
            Some(Fault::CutAnswer(_)) => {
                arrives();
                return true;
            }
            _ => return true,
        }
        false
    }
}

/// A startup message without `options`.
fn without_options(bytes: &[u8]) -> Vec<u8> {
    let Some(at) = bytes.windows(9).position(|window| window == b"\0options\0").map(|at| at + 1) else {
        return bytes.to_vec();
    };
    let end = bytes[at + 8..].iter().position(|byte| *byte == 0).map_or(bytes.len(), |end| at + 8 + end + 1);
    let mut rest = [&bytes[..at], &bytes[end..]].concat();
    let length = u32::try_from(rest.len()).expect("short").to_be_bytes();
    rest[..4].copy_from_slice(&length);
    rest
}
