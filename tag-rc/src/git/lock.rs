//! One run at a time in one clone. The lock is the kernel's, on the folder that all worktrees share: it leaves no file behind,
//! and whatever kills its holder opens it.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use step::{Context, Failure, Permit};

use super::Repo;

/// Held until it is dropped; empty where the file system knows no such locks.
pub struct Lock {
    _folder: Option<File>,
}

impl Lock {
    /// Waits until nobody else tags in this clone.
    pub fn take(_: &Permit, context: &Context, repo: &Repo) -> Result<Self, Failure> {
        let folder = File::open(repo.common());
        let Ok(folder) = folder else { return Ok(Lock { _folder: None }) };
        let mut told = false;
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _folder: Some(folder) }),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                // Some network file systems: two runs at once are then told apart by the remote alone.
                Err(_) => return Ok(Lock { _folder: None }),
            }
            if !std::mem::replace(&mut told, true) {
                context.voice.say("another run is tagging in this clone; waiting for it");
            }
            context.pause(Duration::from_millis(50))?;
        }
    }
}
