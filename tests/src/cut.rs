//! A wire that is cut when it hurts: a TCP proxy that lets a push through to the server and swallows the answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::listener::Listener;

/// The proxy; it ends when it is dropped.
pub struct Wire {
    listener: Listener,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The next pack that passes gets no answer.
    armed: AtomicBool,
    /// No connection is taken any more.
    dead: AtomicBool,
    /// Nothing is taken after the cut either.
    stays_dead: AtomicBool,
}

impl Wire {
    /// Leads to a port of this machine.
    pub fn start(to: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let listener = Listener::start(move |client| {
            if !ours.dead.load(Ordering::SeqCst) {
                ours.connect(&client, to);
            }
        });
        Wire { listener, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// The next push arrives, and its answer does not. With `for_good` nothing works after that.
    pub fn cut(&self, for_good: bool) {
        self.shared.stays_dead.store(for_good, Ordering::SeqCst);
        self.shared.armed.store(true, Ordering::SeqCst);
    }

    /// It works again.
    pub fn mend(&self) {
        self.shared.dead.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn connect(&self, client: &TcpStream, to: u16) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { return };
        let pushed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut from, mut onto) = (client, &server);
                while let Some(bytes) = chunk(&mut from) {
                    if bytes.windows(4).any(|w| w == b"PACK") {
                        pushed.store(true, Ordering::SeqCst);
                    }
                    if onto.write_all(&bytes).is_err() {
                        break;
                    }
                }
                let _ = server.shutdown(std::net::Shutdown::Write);
            });
            let (mut from, mut onto) = (&server, client);
            while let Some(bytes) = chunk(&mut from) {
                // The server speaks only after it has done what it was sent.
                if pushed.load(Ordering::SeqCst) && self.armed.swap(false, Ordering::SeqCst) {
                    self.dead.store(self.stays_dead.load(Ordering::SeqCst), Ordering::SeqCst);
                    break;
                }
                if onto.write_all(&bytes).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = server.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn chunk(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 16 << 10];
    let length = from.read(&mut bytes).ok().filter(|n| *n > 0)?;
    bytes.truncate(length);
    Some(bytes)
}
