//! A port on which every connection is served by a thread of its own, until it is dropped.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens on a free port of this machine.
pub struct Listener {
    port: u16,
    stopped: Arc<AtomicBool>,
}

impl Listener {
    /// Gives each connection to `serve`.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (serve, stopped) = (Arc::new(serve), Arc::new(AtomicBool::new(false)));
        let ours = Arc::clone(&stopped);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ours.load(Ordering::SeqCst) {
                    break;
                }
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(client));
            }
        });
        Listener { port, stopped }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees that it has been stopped.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
