//! Attends a program that was started: its input, what it says, its end, and the deadline.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use step::{Acted, Context, Deadline, Failure};

use crate::group;

/// How long a pipe is waited for before the program itself is looked at: a helper that it left behind (ssh's master connection, a
/// credential cache) may keep the pipe open for ever.
const LOOK: Duration = Duration::from_millis(50);

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Said {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it answered.
    pub stdout: Vec<u8>,
    /// What it told people, which may be what a server told it: nothing in it steers a terminal.
    pub stderr: String,
}

impl Said {
    /// The answer as text, without white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// All that it said, fit for people.
    pub fn words(&self) -> String {
        format!("{}\n{}", plain(&self.stdout).trim(), self.stderr)
    }
}

/// Text whose lines are lines: a server may send what moves the cursor or changes a terminal's title.
fn plain(bytes: &[u8]) -> String {
    step::plain(&String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n")).into_owned()
}

/// Attends a program that was started: gives it its input, takes what it says, and waits for its end, at most until the deadline,
/// whatever its exit status. After a signal it may go on for `grace`, so that what it changes is not cut in two.
///
/// # Errors
/// `failed` when it cannot be waited for; `temporary` at the deadline or when the grace is over: it is ended then, with whatever it
/// has started ([`crate::alone`]).
pub fn attend(context: &Context, child: Child, input: &[u8], grace: Duration) -> Result<Said, Failure> {
    attend_within(context, child, input, Limits { deadline: context.deadline, grace: Some(grace) })
}

/// How long a program may go on.
#[derive(Clone, Copy)]
pub struct Limits {
    /// No longer than this.
    pub deadline: Deadline,
    /// So long after a signal; `None`: a signal does not end it.
    pub grace: Option<Duration>,
}

/// The same within other limits than the step's.
pub fn attend_within(context: &Context, child: Child, input: &[u8], limits: Limits) -> Result<Said, Failure> {
    attend_while(context, child, input, limits, &mut || None)
}

/// The same, as long as nothing forbids it: `forbids` is asked again and again, and its failure ends the program.
///
/// # Errors
/// As [`attend`]; and what `forbids` says.
pub fn attend_while(
    context: &Context,
    mut child: Child,
    input: &[u8],
    limits: Limits,
    forbids: &mut dyn FnMut() -> Option<Failure>,
) -> Result<Said, Failure> {
    let mut pipes = Pipes {
        input,
        stdin: child.stdin.take().and_then(without_waiting),
        stdout: (child.stdout.take().and_then(without_waiting), Vec::new()),
        stderr: (child.stderr.take().and_then(without_waiting), Vec::new()),
    };
    let mut nap = Duration::from_micros(200);
    let mut watch = Watch { context, limits, signalled: None };
    let status = loop {
        if pipes.are_open() {
            pipes.pass(limits.deadline.left().min(LOOK));
        } else {
            // It has said all, so it is about to end.
            std::thread::sleep(nap);
            nap = (nap * 2).min(LOOK);
        }
        if let Some(status) = child.try_wait().map_err(lost)? {
            break status;
        }
        if let Some(failure) = watch.over().or_else(&mut *forbids) {
            group::end(&mut child);
            return Err(failure);
        }
    };
    // What it said before its end lies in the pipes.
    pipes.take();
    Ok(Said { status, stderr: plain(&pipes.stderr.1), stdout: pipes.stdout.1 })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn lost(error: std::io::Error) -> Failure {
    Failure::failed("child-lost", format!("a program cannot be waited for: {error}")).acted(Acted::Unknown)
}

/// A program at work, within its limits.
struct Watch<'a> {
    context: &'a Context,
    limits: Limits,
    signalled: Option<Instant>,
}

impl Watch<'_> {
    /// Why it may not.
    fn over(&mut self) -> Option<Failure> {
        if let (Some(grace), Some(interrupted)) = (self.limits.grace, self.context.interrupted()) {
            let since = self.signalled.get_or_insert_with(Instant::now);
            if since.elapsed() >= grace {
                return Some(interrupted);
            }
        }
        self.limits.deadline.left().is_zero().then(|| self.limits.deadline.over())
    }
}

/// What goes to a program and comes from it, all at once and without a thread.
struct Pipes<'a> {
    input: &'a [u8],
    stdin: Option<ChildStdin>,
    stdout: (Option<ChildStdout>, Vec<u8>),
    stderr: (Option<ChildStderr>, Vec<u8>),
}

impl Pipes<'_> {
    fn are_open(&self) -> bool {
        self.stdout.0.is_some() || self.stderr.0.is_some()
    }

    /// Waits until there is something to read or room to write, and does so.
    fn pass(&mut self, at_most: Duration) {
        self.give();
        let wants: [(Option<BorrowedFd>, PollFlags); 3] = [
            (self.stdin.as_ref().map(AsFd::as_fd), PollFlags::OUT),
            (self.stdout.0.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (self.stderr.0.as_ref().map(AsFd::as_fd), PollFlags::IN),
        ];
        let mut all: Vec<PollFd> =
            wants.iter().filter_map(|(fd, flags)| Some(PollFd::from_borrowed_fd((*fd)?, *flags))).collect();
        let at_most = Timespec::try_from(at_most).ok();
        // Interrupted or not, the pipes are looked at.
        let _ = poll(&mut all, at_most.as_ref());
        self.take();
    }

    /// Gives as much of the input as there is room for. If it is not read, the program says why on stderr.
    fn give(&mut self) {
        while let Some(stdin) = self.stdin.as_mut() {
            match stdin.write(self.input) {
                Ok(length @ 1..) => self.input = &self.input[length..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                _ => self.stdin = None,
            }
        }
    }

    /// Takes what is there.
    fn take(&mut self) {
        take(&mut self.stdout.0, &mut self.stdout.1);
        take(&mut self.stderr.0, &mut self.stderr.1);
    }
}

fn take(pipe: &mut Option<impl Read>, bytes: &mut Vec<u8>) {
    while let Some(open) = pipe {
        match open.read_to_end(bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => return,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            _ => *pipe = None,
        }
    }
}

/// A pipe that is never waited for; one that cannot be made so is closed.
fn without_waiting<P: AsFd>(pipe: P) -> Option<P> {
    let flags = fcntl_getfl(&pipe).ok()?;
    fcntl_setfl(&pipe, flags | OFlags::NONBLOCK).ok()?;
    Some(pipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_does_not_steer_a_terminal() {
        let said = plain(b"remote: no\r\nremote: \x1b]0;owned\x07\x1b[2Jno\rtab\there");
        assert_eq!(said, "remote: no\nremote: no\ntab here");
    }
}
