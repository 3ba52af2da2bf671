//! SIGHUP, SIGINT and SIGTERM set a flag; the step looks at it before each new request and then hands the document on.

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
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            if signal == SIGHUP && hangs_up_unheard() {
                continue;
            }
            // It can only fail for a signal that cannot be caught, and these two can.
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

/// Whether whoever started us has SIGHUP ignored, as `nohup` does: then it stays so.
fn hangs_up_unheard() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
