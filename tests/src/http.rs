//! A small HTTP server for the stand-ins. It owns its sockets, so a test can have it hang, or act and then drop the
//! answer; and it keeps a log of what was asked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// Without the query.
    pub path: String,
    /// Decoded query.
    pub query: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(&name.to_ascii_lowercase()).map_or("", String::as_str)
    }

    /// The body as JSON, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The path's segments.
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|s| !s.is_empty()).collect()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Text of some type.
    pub fn text(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply { status, headers: vec![("Content-Type".into(), kind.into())], body: body.into() }
    }

    /// JSON.
    #[expect(clippy::needless_pass_by_value, reason = "made by json!() at the call")]
    pub fn json(status: u16, body: Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// Adds a header.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike")]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered like this, and nothing is done.
    Answer(Reply),
    /// The connection is closed, and nothing is done.
    DropBefore,
    /// It is done, and the connection is closed without an answer.
    DropAfter,
    /// It is done, and the answer comes this much later.
    Hang(Duration),
    /// It is done, and the connection is closed in the middle of the answer.
    Cut,
}

struct Planned {
    method: String,
    prefix: String,
    spare: usize,
    times: usize,
    fault: Fault,
}

/// What requests come over.
pub trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

#[derive(Default)]
struct Shared {
    log: Mutex<Vec<Request>>,
    faults: Mutex<Vec<Planned>>,
    stopped: AtomicBool,
    /// Whether connections stay open for the next request.
    keep_alive: AtomicBool,
    connections: AtomicUsize,
}

/// A server on a port of its own; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts to answer.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_over(|stream| Some(Box::new(stream)), handler)
    }

    /// Starts to answer over connections that are made something else of, such as TLS.
    pub fn start_over(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Connection>> + Send + Sync + 'static,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let wrap = Arc::new(wrap);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        let handler: Arc<Handler> = Arc::new(handler);
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ours.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (ours, handler, wrap) = (Arc::clone(&ours), Arc::clone(&handler), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    // Nobody waits longer for a request.
                    let timed = stream.set_read_timeout(Some(Duration::from_secs(30)));
                    // An answer in several packets would wait for the other side's word on the first.
                    let timed = timed.and_then(|()| stream.set_nodelay(true));
                    if let (Ok(()), Some(stream)) = (timed, wrap(stream)) {
                        ours.serve(stream, &*handler);
                    }
                });
            }
        });
        Server { address, shared }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on connections stay open for the next request.
    pub fn keep_alive(&self) {
        self.shared.keep_alive.store(true, Ordering::Relaxed);
    }

    /// How many connections have come so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// What was asked so far.
    pub fn log(&self) -> Vec<Request> {
        self.shared.log.lock().expect("log").clone()
    }

    /// How many requests of this method have come whose path begins so.
    pub fn count(&self, method: &str, prefix: &str) -> usize {
        self.log().iter().filter(|r| r.method == method && r.path.starts_with(prefix)).count()
    }

    /// How many requests that change something have come.
    pub fn changes(&self) -> usize {
        self.log().iter().filter(|r| !matches!(r.method.as_str(), "GET" | "HEAD")).count()
    }

    /// The next `times` requests of this method whose path begins so go wrong.
    pub fn fault(&self, method: &str, prefix: &str, times: usize, fault: Fault) {
        let planned = Planned { method: method.into(), prefix: prefix.into(), spare: 0, times, fault };
        self.shared.faults.lock().expect("faults").push(planned);
    }

    /// What was planned to go wrong goes well from now on.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().expect("faults").clear();
    }

    /// The next `spare` such requests go well, and the one after them goes wrong.
    pub fn fault_after(&self, method: &str, prefix: &str, spare: usize, fault: Fault) {
        let planned = Planned { method: method.into(), prefix: prefix.into(), spare, times: 1, fault };
        self.shared.faults.lock().expect("faults").push(planned);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that it has been stopped.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: Box<dyn Connection>, handler: &Handler) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        while self.serve_one(&mut *stream, handler).is_some() {}
    }

    /// Answers one request; `None` when the connection ends with it.
    fn serve_one(&self, stream: &mut dyn Connection, handler: &Handler) -> Option<()> {
        let request = read(stream)?;
        self.log.lock().expect("log").push(request.clone());
        let reply = match self.fault_for(&request) {
            None => handler(&request),
            Some(Fault::Answer(reply)) => reply,
            Some(Fault::DropBefore) => return None,
            Some(Fault::DropAfter) => {
                handler(&request);
                return None;
            }
            Some(Fault::Cut) => {
                let _ = Self::cut(stream, &handler(&request)); // whoever asked may be gone by now
                return None;
            }
            Some(Fault::Hang(time)) => {
                let reply = handler(&request);
                std::thread::sleep(time);
                reply
            }
        };
        // Whoever asked may be gone by now.
        let keep = self.keep_alive.load(Ordering::Relaxed);
        write(stream, &request.method, &reply, keep).ok().filter(|()| keep)
    }

    /// Half of an answer.
    fn cut(stream: &mut dyn Connection, reply: &Reply) -> std::io::Result<()> {
        let length = reply.body.len().max(2);
        write!(stream, "HTTP/1.1 {} Stand-in\r\nContent-Length: {length}\r\n\r\n", reply.status)?;
        stream.write_all(&reply.body[..reply.body.len() / 2])
    }

    fn fault_for(&self, request: &Request) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("faults");
        let fits =
            |p: &Planned| p.times > 0 && p.method == request.method && request.path.starts_with(&p.prefix);
        let planned = faults.iter_mut().find(|p| fits(p))?;
        if planned.spare > 0 {
            planned.spare -= 1;
            return None;
        }
        planned.times -= 1;
        Some(planned.fault.clone())
    }
}

fn read(stream: &mut dyn Connection) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(start) = parsed.parse(&bytes).ok()? {
            let mut request = request(&parsed)?;
            let length: usize = request.header("content-length").parse().unwrap_or(0);
            while bytes.len() < start + length {
                match stream.read(&mut chunk).ok()? {
                    0 => return None,
                    n => bytes.extend_from_slice(&chunk[..n]),
                }
            }
            request.body = bytes[start..start + length].to_vec();
            return Some(request);
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

fn request(parsed: &httparse::Request) -> Option<Request> {
    let target = parsed.path?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    let header = |h: &httparse::Header| {
        (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).trim().to_owned())
    };
    Some(Request {
        method: parsed.method?.to_owned(),
        target: target.to_owned(),
        path: path.to_owned(),
        query: query.split('&').filter(|p| !p.is_empty()).map(pair).collect(),
        headers: parsed.headers.iter().map(header).collect(),
        body: Vec::new(),
    })
}

/// Percent-decoding, enough for the words that tests send.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write(stream: &mut dyn Connection, method: &str, reply: &Reply, keep: bool) -> std::io::Result<()> {
    let connection = if keep { "keep-alive" } else { "close" };
    let mut head = format!("HTTP/1.1 {} Stand-in\r\nConnection: {connection}\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", reply.body.len()));
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&reply.body)?;
    }
    stream.flush()
}
