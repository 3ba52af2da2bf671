//! stdin: read to its end before anything is touched, because all programs of a pipe start at once.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::document::{Document, LIMIT};
use crate::interrupt::Interrupt;
use crate::{Failure, Voice};

/// After this silence one line says what is being waited for.
const SILENCE: Duration = Duration::from_secs(5);
/// After a signal the step before still gets this long to hand its document on.
const GRACE: Duration = Duration::from_secs(5);

/// What stood on stdin.
pub(crate) enum Input {
    /// A terminal, /dev/null, or closed: no document is meant to come.
    None,
    /// A document, and the bytes it was read from.
    Document(Document, Vec<u8>),
    /// Something came that is no document, or nothing where one had to come; one sentence.
    Unusable(String),
    /// A signal came while waiting, and no document.
    Interrupted(Failure),
}

/// Reads stdin to its end, unless no document can come from there.
pub(crate) fn read(voice: &Voice, interrupt: &Interrupt) -> Input {
    if nobody_there() {
        return Input::None;
    }
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes);
        // The receiver is gone only when the process is about to end.
        let _ = sender.send(result.map(|_| bytes));
    });
    let started = Instant::now();
    let mut told = false;
    let mut signalled = None;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(Ok(bytes)) => return parse(bytes),
            Ok(Err(error)) => return Input::Unusable(format!("stdin cannot be read: {error}")),
            Err(RecvTimeoutError::Disconnected) => return Input::Unusable("stdin cannot be read".into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if !told && started.elapsed() >= SILENCE {
            told = true;
            voice.say("waiting for a document on stdin; with --fresh a new one is opened instead");
        }
        if let Some(failure) = interrupt.came() {
            let since = *signalled.get_or_insert_with(Instant::now);
            if since.elapsed() >= GRACE || std::io::stdin().is_terminal() {
                return Input::Interrupted(failure);
            }
        }
    }
}

fn parse(bytes: Vec<u8>) -> Input {
    if bytes.len() as u64 > LIMIT {
        return Input::Unusable(format!("stdin holds more than {} MiB: that is no document", LIMIT >> 20));
    }
    match Document::parse(&bytes) {
        Ok(document) => Input::Document(document, bytes),
        Err(sentence) => Input::Unusable(sentence),
    }
}

/// A terminal, or /dev/null (which is also what a closed stdin is turned into before `main`).
fn nobody_there() -> bool {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return true;
    }
    let device = |file: File| file.metadata().ok().map(|m| (m.mode() & 0o170_000, m.rdev()));
    let stdin = stdin.as_fd().try_clone_to_owned().ok().and_then(|fd| device(File::from(fd)));
    let null = File::open("/dev/null").ok().and_then(device);
    stdin.is_none() || stdin == null
}
