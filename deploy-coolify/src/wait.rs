//! Waiting without holding the thread: for an instant, or for an answer that is not needed so much.

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use step::{Context, Failure};
use tokio::time::Instant;

/// How often whoever waits looks whether it still should.
const TICK: Duration = Duration::from_millis(100);
/// How many questions are on their way at the same time, before anything is waited for.
const AT_ONCE: usize = 8;

/// Waits, but not past a signal or the deadline.
pub async fn pause(context: &Context, wait: Duration) -> Result<(), Failure> {
    let end = Instant::now() + wait;
    loop {
        context.checkpoint()?;
        let now = Instant::now();
        if now >= end {
            return Ok(());
        }
        tokio::time::sleep_until(end.min(next_tick(now))).await;
    }
}

/// All who wait look at the same instants: the process wakes once for fifty of them.
fn next_tick(now: Instant) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| now);
    let ticks = (now - first).as_millis() / TICK.as_millis() + 1;
    first + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The work, unless a signal comes first; then it gets so much grace. Whoever wants us to stop does not wait for whoever does not answer.
pub async fn stopping<T>(
    context: &Context,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    match select(pin!(work), pin!(signal(context, grace))).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right((stopped, _)) => Err(stopped),
    }
}

/// Comes so long after a signal.
async fn signal(context: &Context, grace: Duration) -> Failure {
    loop {
        match context.checkpoint() {
            Err(stopped) if stopped.is_interrupted() => {
                tokio::time::sleep(grace).await;
                return stopped;
            }
            // The end of the time ends each request by itself.
            _ => tokio::time::sleep_until(next_tick(Instant::now())).await,
        }
    }
}

/// The answer to a question that nothing hangs on, if it comes in time: one that does not is not known.
pub async fn within<T>(limit: Duration, question: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, question).await.ok()
}

/// Asks the same of many, some at a time; the first failure counts.
pub async fn each<'t, T: 't, R, F: Future<Output = Result<R, Failure>>>(
    items: impl IntoIterator<Item = &'t T>,
    ask: impl FnMut(&'t T) -> F,
) -> Result<Vec<R>, Failure> {
    stream::iter(items).map(ask).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}
