//! Follows deployments to their ends, all at the same time: at most one request for each application and interval, two clocks (the
//! step's deadline, and how long nothing may move), and the log as it grows.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select};
use step::{Acted, Failure, Permit};

use super::board::Board;
use super::restore::{State, take_back};
use super::start::{Intent, Started};
use crate::api::{Cursor, Row, Trouble};
use crate::look::Target;
use crate::next::Next;
use crate::plan::{Act, Way};
use crate::world::World;

/// The most of a line of a log that is shown, in characters.
const WIDE: usize = 2000;

/// A deployment that has brought its build.
#[derive(Clone, Debug)]
pub struct Ended {
    pub row: Row,
    /// How long it waited for others, as far as this run has seen.
    pub queued: Duration,
    /// How long it took from then on.
    pub ran: Duration,
    /// The same build on the application's other servers.
    pub servers: Vec<Row>,
    /// What could not be put back.
    pub left: Option<String>,
}

/// A deployment that has not.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub failure: Failure,
    /// Its id, if it goes on and can be taken up again.
    pub open: Option<String>,
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Unfinished { failure, open: None }
    }
}

/// Follows all of them; each has its own end.
pub async fn follow_all(
    world: &World<'_>,
    permit: &Permit,
    targets: &[(&Target, &Started)],
    intent: &Intent,
) -> Vec<Result<Ended, Unfinished>> {
    let board = Board::new(world.context, targets.iter().map(|(t, _)| t.app.name.clone()));
    let interval = world.interval(targets.len());
    if interval > world.settings.interval {
        let message = format!(
            "{} applications are asked every {} s each, so that Coolify's limit of requests is kept",
            targets.len(),
            interval.as_secs()
        );
        world.context.voice.say(&message);
    }
    let many = u32::try_from(targets.len()).unwrap_or(1).max(1);
    let each = targets.iter().enumerate().map(|(at, (target, started))| {
        let follower = Follower::new(world, &board, at, target, started, intent, interval);
        async move {
            // Spread over the interval: not all at once, again and again.
            let offset = interval * u32::try_from(at).unwrap_or(0) / many;
            follower.run(permit, offset).await
        }
    });
    let ended = match select(pin!(join_all(each)), pin!(board.tick())).await {
        Either::Left((ended, _)) => ended,
        Either::Right((never, _)) => match never {},
    };
    world.context.voice.progress_done();
    ended
}

/// Follows one deployment.
pub(super) struct Follower<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) board: &'a Board<'a>,
    pub(super) at: usize,
    pub(super) target: &'a Target,
    pub(super) started: &'a Started,
    pub(super) intent: &'a Intent,
    pub(super) interval: Duration,
    cursor: Cursor,
    clocks: Clocks,
    /// Some versions do not find a deployment by its id, but list it.
    in_list: bool,
    /// Since when it has not been found at all.
    lost_since: Option<Instant>,
    /// How it stands, once that is known.
    pub(super) state: Option<State>,
    pub(super) told: Told,
}

/// What is said once.
#[derive(Default)]
pub(super) struct Told {
    pub(super) unreachable: bool,
    odd: bool,
    pub(super) mute: bool,
}

/// When what moved last.
struct Clocks {
    begun: Instant,
    running_since: Option<Instant>,
    moved: Instant,
    last: (String, String, usize),
}

impl Clocks {
    fn new() -> Self {
        let now = Instant::now();
        Clocks { begun: now, running_since: None, moved: now, last: Default::default() }
    }

    /// Who waits in the queue waits for others: that is no silence of its own.
    fn see(&mut self, row: &Row) {
        let now = (row.status.clone(), row.updated_at.clone(), row.logs().map_or(0, str::len));
        if row.is_queued() || now != self.last {
            self.moved = Instant::now();
            self.last = now;
        }
        if !row.is_queued() && self.running_since.is_none() {
            self.running_since = Some(Instant::now());
        }
    }

    fn ended(&self, row: Row, servers: Vec<Row>) -> Ended {
        let running = self.running_since.unwrap_or_else(Instant::now);
        Ended { row, queued: running - self.begun, ran: running.elapsed(), servers, left: None }
    }
}

impl<'a> Follower<'a> {
    fn new(
        world: &'a World<'a>,
        board: &'a Board<'a>,
        at: usize,
        target: &'a Target,
        started: &'a Started,
        intent: &'a Intent,
        interval: Duration,
    ) -> Self {
        let (cursor, clocks, told) = (Cursor::default(), Clocks::new(), Told::default());
        let (in_list, lost_since, state) = (false, None, None);
        Follower {
            world,
            board,
            at,
            target,
            started,
            intent,
            interval,
            cursor,
            clocks,
            in_list,
            lost_since,
            state,
            told,
        }
    }

    async fn run(mut self, permit: &Permit, offset: Duration) -> Result<Ended, Unfinished> {
        if let Act::Nothing(id) | Act::Configure(id) = &self.target.act {
            let row = self.target.rows.iter().find(|r| r.uuid == *id).cloned().unwrap_or_default();
            self.board.end(self.at, "runs already");
            return Ok(self.clocks.ended(row, Vec::new()));
        }
        match self.until_ended(offset).await {
            Ok(mut ended) => {
                ended.left = self.pin_back(permit).await;
                self.board.end(self.at, "deployed");
                Ok(ended)
            }
            Err(failure) => {
                self.board.end(self.at, &failure.reason);
                let failure = self.cancelled(permit, failure).await;
                let failure = self.restored(permit, failure).await;
                let goes_on =
                    failure.next.as_deref().is_some_and(|next| next.starts_with("deploy-coolify attach"));
                Err(Unfinished { failure, open: goes_on.then(|| self.started.deployment.clone()) })
            }
        }
    }

    /// A pin goes back when the deployment has ended well, too.
    async fn pin_back(&self, permit: &Permit) -> Option<String> {
        let pinned = matches!(self.target.act, Act::Start(Way::Pin { .. }));
        let before = self.started.old.before().filter(|_| pinned)?;
        let left = take_back(self.world, permit, self.target, before).await?;
        self.world.context.voice.warn(&left);
        Some(left)
    }

    async fn until_ended(&mut self, offset: Duration) -> Result<Ended, Failure> {
        self.wait(offset).await?;
        let row = self.primary().await?;
        if let Err(wrong) = self.check(&row) {
            self.state = Some(State::Other);
            return Err(wrong);
        }
        let servers = self.others(&row).await?;
        Ok(self.clocks.ended(row, servers))
    }

    /// The first server's deployment.
    async fn primary(&mut self) -> Result<Row, Failure> {
        loop {
            let peek = self.world.api.peek(&self.target.app, &self.started.deployment, self.in_list).await;
            let wait = match peek {
                Ok(Some(row)) => {
                    self.lost_since = None;
                    self.seen(&row)?;
                    if row.is_finished() {
                        self.state = Some(State::Finished);
                        return Ok(row);
                    }
                    if !row.is_open() {
                        self.state = Some(State::Ended);
                        let row = self.once_more(row).await;
                        return Err(self.ended_badly(&row));
                    }
                    self.interval
                }
                Ok(None) => {
                    self.not_found()?;
                    self.interval
                }
                Err(trouble) => self.trouble(trouble)?,
            };
            self.wait(wait).await?;
        }
    }

    /// The status comes before the reason: the lines that tell it, and the time at which it ended, are written some hundred
    /// milliseconds later.
    async fn once_more(&mut self, row: Row) -> Row {
        if self.world.pause(self.reason_wait()).await.is_err() {
            return row;
        }
        let again = self.world.api.peek(&self.target.app, &self.started.deployment, self.in_list).await;
        match again {
            Ok(Some(again)) if again.status == row.status => {
                self.tell(&again);
                again
            }
            _ => row,
        }
    }

    /// How long the reason of an end may take to be written.
    pub(super) fn reason_wait(&self) -> Duration {
        self.interval.clamp(Duration::from_millis(400), Duration::from_secs(1))
    }

    /// What its log has that is new.
    fn tell(&mut self, row: &Row) {
        let mut lines = self.cursor.fresh(row.logs(), self.world.settings.hidden_log);
        if !row.is_open() {
            lines.extend(self.cursor.rest());
        }
        for line in lines {
            let line = step::excerpt(&line, WIDE);
            self.world.context.voice.say(&format!("{} | {line}", self.target.app.name));
        }
    }

    /// A row that is there: its log, its state, its clocks.
    fn seen(&mut self, row: &Row) -> Result<(), Failure> {
        self.tell(row);
        let voice = &self.world.context.voice;
        let name = &self.target.app.name;
        if !row.shows_logs() && !std::mem::replace(&mut self.told.mute, true) {
            voice.say(&format!(
                "{name}: this token may not read logs (read:sensitive): only the state is shown"
            ));
        }
        if row.is_odd() && !std::mem::replace(&mut self.told.odd, true) {
            voice.warn(&format!(
                "{name}: Coolify says `{}`, a state that is not known: waiting on",
                row.status
            ));
        }
        self.board.set(self.at, &format!("deployment {}", row.status.replace('_', " ")));
        self.clocks.see(row);
        if row.is_open() && self.clocks.moved.elapsed() >= self.world.settings.stall {
            return Err(self.stalled());
        }
        Ok(())
    }

    /// An id that is answered with 404 is looked for in the list, and the other way round.
    fn not_found(&mut self) -> Result<(), Failure> {
        self.in_list = !self.in_list;
        let since = *self.lost_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.world.sight() {
            return Ok(());
        }
        let message = format!(
            "the deployment {} of {} is no longer there: its application or its history may have been removed",
            self.started.deployment, self.target.app.name
        );
        Err(Failure::temporary("deployment-lost", message)
            .acted(Acted::Unknown)
            .next(Next::status(self.world)))
    }

    /// Coolify restarts, or wants to be asked less often: both pass. While nobody can be asked nothing stalls.
    fn trouble(&mut self, trouble: Trouble) -> Result<Duration, Failure> {
        self.world.context.checkpoint().map_err(|stopped| self.stopped(stopped))?;
        if !trouble.passes() {
            return Err(self.stopped(trouble.failure));
        }
        self.clocks.moved = Instant::now();
        if !std::mem::replace(&mut self.told.unreachable, true) {
            self.world.context.voice.warn(&format!("{} (waiting on)", trouble.failure.message));
        }
        Ok(trouble.wait().unwrap_or(self.interval).max(self.interval))
    }

    /// The build that was deployed is the one that was wanted, as far as Coolify says which one it was.
    pub(super) fn check(&self, row: &Row) -> Result<(), Failure> {
        let wanted = &self.target.revision;
        let labels_lie = matches!(self.target.act, Act::Start(Way::Pin { force: true, .. }));
        match &row.revision {
            Some(brought) if brought != wanted && !labels_lie => {
                let message =
                    format!("{}: Coolify deployed {brought}, and {wanted} was wanted", self.target.app.name);
                Err(Failure::failed("wrong-build", message).acted(Acted::Yes).next(Next::status(self.world)))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn wait(&self, wait: Duration) -> Result<(), Failure> {
        self.world.pause(wait).await.map_err(|failure| self.stopped(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_of_a_running_deployment_counts() {
        let mut clocks = Clocks::new();
        let row = |status: &str, updated: &str| {
            let mut row = Row::sample("d", status, None);
            row.updated_at = updated.into();
            row
        };
        clocks.see(&row("queued", "1"));
        let first = clocks.moved;
        clocks.see(&row("queued", "1"));
        assert!(clocks.moved > first && clocks.running_since.is_none(), "a queue is no silence");
        clocks.see(&row("in_progress", "1"));
        let started = clocks.moved;
        clocks.see(&row("in_progress", "1"));
        assert_eq!(clocks.moved, started, "nothing has moved");
        clocks.see(&row("in_progress", "2"));
        assert!(clocks.moved > started, "a line of the log moves it");
    }
}
