//! What the keeper of a run (release-run) lends to whatever runs below it: until when a request may be begun, and where it listens.
//!
//! It is a file without a name whose descriptor is inherited; `RILIS_KEEPER` is the descriptor's number and alone proves nothing.
//! The time is the machine's since its start, suspended or not, so that nobody's clock counts.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::Failure;

/// The variable with the descriptor's number.
pub const VARIABLE: &str = "RILIS_KEEPER";

const MAGIC: &[u8; 8] = b"rilis-k1";
const UNTIL: u64 = 8;
const SOCKET: u64 = 16;
/// A socket's path is not longer.
const PATH: usize = 108;

/// The file.
#[derive(Debug)]
pub struct Lent(File);

impl Lent {
    /// What a keeper writes into an empty file, and lends.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(file: File, socket: &Path) -> std::io::Result<Self> {
        let mut page = [0; SOCKET as usize + PATH];
        page[..8].copy_from_slice(MAGIC);
        let path = socket.as_os_str().as_bytes();
        page.get_mut(SOCKET as usize..SOCKET as usize + path.len())
            .ok_or(std::io::ErrorKind::InvalidFilename)?
            .copy_from_slice(path);
        file.write_all_at(&page, 0)?;
        Ok(Lent(file))
    }

    /// What this process has inherited from a keeper that is alive.
    pub fn inherited() -> Option<Self> {
        let number: u32 = std::env::var(VARIABLE).ok()?.parse().ok()?;
        let file = File::open(format!("/dev/fd/{number}")).ok()?;
        let mut magic = [0; 8];
        file.read_exact_at(&mut magic, 0).ok()?;
        (&magic == MAGIC).then_some(Lent(file))
    }

    /// From now on requests may be begun until then, in nanoseconds since the machine's start.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_until(&self, until: u64) -> std::io::Result<()> {
        self.0.write_all_at(&until.to_le_bytes(), UNTIL)
    }

    /// Until when requests may be begun; 0 when that cannot be read.
    pub fn until(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, UNTIL).map_or(0, |()| u64::from_le_bytes(bytes))
    }

    /// Where the keeper listens.
    pub fn socket(&self) -> PathBuf {
        let mut path = [0; PATH];
        // What cannot be read leads nowhere.
        let _ = self.0.read_exact_at(&mut path, SOCKET);
        let end = path.iter().position(|b| *b == 0).unwrap_or(PATH);
        PathBuf::from(OsStr::from_bytes(&path[..end]))
    }
}

impl AsFd for Lent {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Nanoseconds since the machine's start; a suspended machine counts.
pub fn now() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// Without a keeper nothing is to be proven; below one the time must not be over.
pub(crate) fn still_ours() -> Result<(), Failure> {
    static LENT: OnceLock<Option<Lent>> = OnceLock::new();
    let Some(lent) = LENT.get_or_init(Lent::inherited) else { return Ok(()) };
    if now() < lent.until() {
        return Ok(());
    }
    let message = "the lock of the environment is not proven any more, so nothing more is begun; run the same command again";
    Err(Failure::temporary("lock-lost", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_read() {
        let lent =
            Lent::write(tempfile::tempfile().expect("a file"), Path::new("/tmp/x/socket")).expect("written");
        assert_eq!(lent.until(), 0);
        lent.set_until(u64::MAX).expect("written");
        assert_eq!((lent.until(), lent.socket()), (u64::MAX, PathBuf::from("/tmp/x/socket")));
        let long = "x".repeat(200);
        assert!(Lent::write(tempfile::tempfile().expect("a file"), Path::new(&long)).is_err());
    }

    #[test]
    fn time_goes_on() {
        assert!(now() > 0 && now() <= now());
    }
}
