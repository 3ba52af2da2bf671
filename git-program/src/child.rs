//! Attends a program that was started: its input, what it says, its end, and the deadline.

use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use step::{Acted, Context, Failure};

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Said {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it answered.
    pub stdout: Vec<u8>,
    /// What it told people.
    pub stderr: String,
}

impl Said {
    /// The answer as text, without white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

/// Attends a program that was started: gives it its input, takes what it says, and waits for its end, at most until the deadline,
/// whatever its exit status. A signal does not end it: what it does is not cut in two.
///
/// # Errors
/// `failed` when it cannot be waited for; `temporary` at the deadline, when it is killed.
pub fn attend(context: &Context, mut child: Child, input: &[u8]) -> Result<Said, Failure> {
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // If it does not read its input it says why on stderr.
        let _ = stdin.write_all(input);
    }
    let status = wait(context, &mut child)?;
    let stderr = String::from_utf8_lossy(&collected(&stderr)).into_owned();
    Ok(Said { status, stdout: collected(&stdout), stderr })
}

fn wait(context: &Context, child: &mut Child) -> Result<ExitStatus, Failure> {
    let lost = |e| {
        Failure::failed("child-lost", format!("a program cannot be waited for: {e}")).acted(Acted::Unknown)
    };
    let mut nap = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(status);
        }
        if context.deadline.left().is_zero() {
            // Nothing more can be done about a child that cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
            return Err(context.deadline.over());
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(10));
    }
}

/// Reads a pipe to its end, beside everything else.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = vec![0; 64 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            // Nobody listens any more once the program has ended.
            let _ = sender.send(chunk[..length].to_vec());
        }
    });
    receiver
}

/// What came. The program has ended: a helper that it left behind (ssh's master connection, a credential cache) may keep the pipe open
/// for ever, and is not waited for.
fn collected(pipe: &Receiver<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(chunk) = pipe.recv_timeout(Duration::from_secs(1)) {
        bytes.extend(chunk);
    }
    bytes
}
