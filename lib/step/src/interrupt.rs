//! SIGINT, SIGTERM and SIGHUP (a terminal or an ssh session that goes away) set a flag; the step looks at it before each new request and
//! then hands the document on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::Failure;

/// Which signal has come, if any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Starts to listen.
    pub(crate) fn install() -> Self {
        let flag = Arc::new(AtomicUsize::new(0));
        let hangs_up = Some(SIGHUP).filter(|_| !outlives_its_terminal());
        for signal in [SIGINT, SIGTERM].into_iter().chain(hangs_up) {
            // It can only fail for a signal that cannot be caught, and these can.
            let _ = signal_hook::flag::register_usize(signal, Arc::clone(&flag), signal as usize);
        }
        Interrupt(flag)
    }

    /// The failure to stop with, once a signal has come.
    pub(crate) fn came(&self) -> Option<Failure> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(Failure::interrupted(i32::try_from(signal).unwrap_or(SIGTERM))),
        }
    }
}

/// Whether somebody wants us to go on without the terminal (`nohup`): then SIGHUP is ignored already, as the kernel tells.
fn outlives_its_terminal() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SIGHUP))
}

/// Whether a process ignores a signal: bit N-1 of `SigIgn`.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_to_outlive_its_terminal_ignores_its_end() {
        let of =
            |mask: &str| ignores(&format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n"), SIGHUP);
        assert!(of("0000000000000001") && of("0000000000001003"));
        assert!(!of("0000000000001000") && !of("odd") && !ignores("", SIGHUP));
    }
}
