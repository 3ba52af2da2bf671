//! How a runbook's steps talk to the keeper: a socket in a folder that is ours alone, one JSON object a line, each question answered.
//! Everything that happens to the keeper comes as one kind of event.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use step::keeper::Lent;

use crate::remote::Put;

/// A question is not longer.
const LINE: u64 = 64 << 10;

/// What happens to the keeper.
pub enum Event {
    /// Somebody on this connection asks, and waits for the answer.
    Asked(u64, Value, Sender<Value>),
    /// A connection is gone.
    Gone(u64),
    Signal(i32),
    /// The runbook has ended.
    Ended(std::io::Result<ExitStatus>),
    /// A push that was sent then has come to its end.
    Put {
        sent: u64,
        put: Put,
    },
}

/// A folder that nobody else can look into; it goes with its holder.
pub struct Den(PathBuf);

impl Den {
    /// Makes it.
    pub fn make() -> std::io::Result<Self> {
        let name = format!("rilis-{}-{:x}", std::process::id(), step::keeper::now());
        let make = |above: &Path| {
            let path = above.join(&name);
            std::fs::DirBuilder::new().mode(0o700).create(&path).map(|()| path)
        };
        let usual = std::env::temp_dir();
        sweep(&usual);
        // A socket's path is short.
        if usual.as_os_str().len() < 60 {
            return make(&usual).map(Den);
        }
        make(Path::new("/tmp")).map(Den)
    }

    /// The file that is lent to everything below, and the socket.
    pub fn open(&self) -> std::io::Result<(Lent, UnixListener)> {
        let socket = self.0.join("socket");
        let listener = UnixListener::bind(&socket)?;
        let page = self.0.join("lent");
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&page)?;
        std::fs::remove_file(&page)?;
        Ok((Lent::write(file, &socket)?, listener))
    }
}

/// Removes what keepers that were killed have left behind: nobody listens there any more. The number in the name alone says nothing, for
/// a container has its own; it keeps one that is being made from being taken for one that was left.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("rilis-").and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
        let is_gone = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
        let is_silent = || {
            let asked = UnixStream::connect(entry.path().join("socket"));
            asked.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
        };
        if pid.is_some_and(is_gone) && is_silent() {
            // Of others it cannot be removed, which is as it should be.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        // What is left of it is in a folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Listens to the steps.
pub fn listen(listener: UnixListener, events: &Sender<Event>) {
    let events = events.clone();
    std::thread::spawn(move || {
        for (id, stream) in (1..).zip(listener.incoming().flatten()) {
            let events = events.clone();
            std::thread::spawn(move || {
                converse(id, &stream, &events);
                let _ = events.send(Event::Gone(id));
            });
        }
    });
}

fn converse(id: u64, stream: &UnixStream, events: &Sender<Event>) {
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        match (&mut lines).take(LINE).read_line(&mut line) {
            Ok(1..) => {}
            _ => return,
        }
        let Ok(question) = serde_json::from_str(&line) else { return };
        let (sender, answer) = channel();
        if events.send(Event::Asked(id, question, sender)).is_err() {
            return;
        }
        let answer = answer.recv().unwrap_or_else(|_| json!({ "do": "stop", "code": 75 }));
        let mut out = stream;
        if writeln!(out, "{answer}").is_err() {
            return;
        }
    }
}

/// Signals come as events, each as often as it comes.
pub fn hear(events: &Sender<Event>) -> std::io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let (mut read, write) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(signal, write)?;
        let events = events.clone();
        std::thread::spawn(move || {
            let mut byte = [0];
            while read.read_exact(&mut byte).is_ok() {
                if events.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// Waits for the runbook.
pub fn attend(mut child: Child, events: &Sender<Event>) {
    let events = events.clone();
    std::thread::spawn(move || {
        let ended = child.wait();
        let _ = events.send(Event::Ended(ended));
    });
}
