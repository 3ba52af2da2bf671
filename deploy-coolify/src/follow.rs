//! Follows deployments to their ends, all at the same time: at most one request for each application and interval, two clocks (the
//! step's deadline, and how long nothing may move), and the log as it grows.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select};
use step::{Acted, Failure, Permit};

use crate::api::{Cursor, Row, Sent, Trouble};
use crate::board::Board;
use crate::look::Target;
use crate::plan::Act;
use crate::start::{Started, unpin};
use crate::world::World;

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
}

/// Follows all of them; each has its own end.
pub async fn follow_all(
    world: &World<'_>,
    permit: &Permit,
    targets: &[(&Target, &Started)],
) -> Vec<Result<Ended, Failure>> {
    let board = Board::new(world.context, targets.iter().map(|(t, _)| t.app.name.clone()));
    let interval = world.net.interval(world.settings.interval, targets.len());
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
        let follower = Follower::new(world, &board, at, target, started, interval);
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
struct Follower<'a> {
    world: &'a World<'a>,
    board: &'a Board<'a>,
    at: usize,
    target: &'a Target,
    started: &'a Started,
    interval: Duration,
    cursor: Cursor,
    clocks: Clocks,
    /// Some versions do not find a deployment by its id, but list it.
    in_list: bool,
    /// Since when it has not been found at all.
    lost_since: Option<Instant>,
    told: Told,
}

/// What is said once.
#[derive(Default)]
struct Told {
    unreachable: bool,
    odd: bool,
    mute: bool,
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
        Ended { row, queued: running - self.begun, ran: running.elapsed(), servers }
    }
}

impl<'a> Follower<'a> {
    fn new(
        world: &'a World<'a>,
        board: &'a Board<'a>,
        at: usize,
        target: &'a Target,
        started: &'a Started,
        interval: Duration,
    ) -> Self {
        let (cursor, clocks, told) = (Cursor::default(), Clocks::new(), Told::default());
        Follower {
            world,
            board,
            at,
            target,
            started,
            interval,
            cursor,
            clocks,
            in_list: false,
            lost_since: None,
            told,
        }
    }

    async fn run(mut self, permit: &Permit, offset: Duration) -> Result<Ended, Failure> {
        if let Act::Nothing(id) = &self.target.act {
            let row = self.target.rows.iter().find(|r| r.uuid == *id).cloned().unwrap_or_default();
            self.board.end(self.at, "runs already");
            return Ok(self.clocks.ended(row, Vec::new()));
        }
        let ended = self.until_ended(offset).await;
        unpin(self.world, permit, self.target, self.started).await;
        match ended {
            Ok(ended) => {
                self.board.end(self.at, "deployed");
                Ok(ended)
            }
            Err(failure) => {
                self.board.end(self.at, &failure.reason);
                Err(self.cancelled(permit, failure).await)
            }
        }
    }

    async fn until_ended(&mut self, offset: Duration) -> Result<Ended, Failure> {
        self.wait(offset).await?;
        let row = self.primary().await?;
        self.check(&row)?;
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
                    if !row.is_open() {
                        return if row.is_finished() { Ok(row) } else { Err(self.ended_badly(&row)) };
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

    /// A row that is there: its log, its state, its clocks.
    fn seen(&mut self, row: &Row) -> Result<(), Failure> {
        let voice = &self.world.context.voice;
        let name = &self.target.app.name;
        for line in self.cursor.fresh(row.logs(), self.world.settings.hidden_log) {
            voice.say(&format!("{name} | {line}"));
        }
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
        Err(Failure::temporary("deployment-lost", message).acted(Acted::Unknown).next(self.look_command()))
    }

    /// Coolify restarts, or wants to be asked less often: both pass. While nobody can be asked nothing stalls.
    fn trouble(&mut self, trouble: Trouble) -> Result<Duration, Failure> {
        if !trouble.passes() {
            return Err(self.stopped(trouble.failure));
        }
        self.clocks.moved = Instant::now();
        if !std::mem::replace(&mut self.told.unreachable, true) {
            self.world.context.voice.warn(&format!("{} (waiting on)", trouble.failure.message));
        }
        Ok(trouble.retry_after.map_or(self.interval, Duration::from_secs).max(self.interval))
    }

    /// The build that was deployed is the one that was wanted, as far as Coolify says which one it was.
    fn check(&self, row: &Row) -> Result<(), Failure> {
        let wanted = &self.target.revision;
        let labels_lie = self.started.restore.is_some()
            && matches!(self.target.act, Act::Start(crate::plan::Way::Pin { force: true, .. }));
        match &row.revision {
            Some(brought) if brought != wanted && !labels_lie => {
                let message =
                    format!("{}: Coolify deployed {brought}, and {wanted} was wanted", self.target.app.name);
                Err(Failure::failed("wrong-build", message).acted(Acted::Yes).next(self.look_command()))
            }
            _ => Ok(()),
        }
    }

    /// The deployments on the application's other servers, which Coolify queues when the first one has finished.
    async fn others(&mut self, primary: &Row) -> Result<Vec<Row>, Failure> {
        let expected = self.target.app.extra_servers();
        if expected == 0 {
            return Ok(Vec::new());
        }
        let mut until = Instant::now() + self.world.sight();
        let rows = loop {
            let all = self.world.api.history(&self.target.app, 20).await.map_err(|f| self.stopped(f))?;
            let ours = |r: &Row| !r.is_primary && r.id > primary.id && r.created_at >= primary.created_at;
            let rows: Vec<Row> = all.into_iter().filter(ours).take(expected).collect();
            let open = rows.iter().filter(|r| r.is_open()).count();
            let state =
                format!("deployed; on {expected} more servers: {} of {expected} done", rows.len() - open);
            self.board.set(self.at, &state);
            if rows.len() == expected && open == 0 {
                break rows;
            }
            if open > 0 {
                until = Instant::now() + self.world.settings.stall;
            }
            if Instant::now() >= until {
                return Err(self.servers_missing(&rows, expected));
            }
            self.wait(self.interval).await?;
        };
        match rows.iter().find(|r| !r.is_finished()) {
            Some(bad) => Err(self.server_failed(bad)),
            None => rows.iter().try_for_each(|row| self.check(row)).map(|()| rows),
        }
    }

    fn servers_missing(&self, rows: &[Row], expected: usize) -> Failure {
        let message = format!(
            "{} was deployed on its first server, but on only {} of its {expected} others as far as Coolify shows",
            self.target.app.name,
            rows.iter().filter(|r| r.is_finished()).count()
        );
        Failure::temporary("deployment-stalled", message).acted(Acted::Yes).next(self.look_command())
    }

    fn server_failed(&self, row: &Row) -> Failure {
        let server = row.server_name.as_deref().unwrap_or("another server");
        let message = format!(
            "{} was deployed on its first server, but on {server} the deployment {} ended as {}",
            self.target.app.name, row.uuid, row.status
        );
        let failure = Failure::failed("server-failed", message).acted(Acted::Yes).next(self.look_command());
        row.last_lines().iter().fold(failure, Failure::cause)
    }

    async fn wait(&self, wait: Duration) -> Result<(), Failure> {
        self.world.pause(wait).await.map_err(|failure| self.stopped(failure))
    }

    /// Whatever stops the waiting: the deployment goes on without us.
    fn stopped(&self, failure: Failure) -> Failure {
        let failure = if failure.reason == "deadline" {
            let (id, name) = (&self.started.deployment, &self.target.app.name);
            let message =
                format!("the deployment {id} of {name} has not ended in time; it goes on in Coolify");
            Failure::temporary("deployment-timeout", message)
        } else {
            failure
        };
        failure.acted(Acted::Unknown).next(self.attach_command())
    }

    fn stalled(&self) -> Failure {
        let message = format!(
            "the deployment {} of {} has shown no progress for {:?}",
            self.started.deployment, self.target.app.name, self.world.settings.stall
        );
        Failure::temporary("deployment-stalled", message).acted(Acted::Unknown).next(self.attach_command())
    }

    fn ended_badly(&self, row: &Row) -> Failure {
        let name = &self.target.app.name;
        let failure = if row.was_swept_away() && self.told.unreachable {
            let message = format!(
                "Coolify restarted while it deployed {name}, and gave the deployment {} up",
                row.uuid
            );
            Failure::temporary("interrupted-by-coolify", message).acted(Acted::Unknown)
        } else if row.status == "failed" {
            let message = format!("the deployment {} of {name} ended as failed", row.uuid);
            Failure::failed("deployment-failed", message).acted(Acted::Yes)
        } else {
            let message = format!("the deployment {} of {name} was cancelled in Coolify", row.uuid);
            Failure::failed("deployment-cancelled", message).acted(Acted::Unknown)
        };
        let kept = self.target.app.keeps_old();
        let failure = if kept {
            failure
        } else {
            failure.cause("the old container was stopped first: perhaps nothing runs now")
        };
        row.last_lines().iter().fold(failure.next(self.look_command()), Failure::cause)
    }

    /// Cancels what this run has started and does not wait for any longer, if that is wanted. What Coolify answers is
    /// no proof: some versions say 500 and have cancelled it.
    async fn cancelled(&self, permit: &Permit, failure: Failure) -> Failure {
        let waits =
            matches!(failure.reason.as_str(), "deployment-timeout" | "deployment-stalled" | "interrupted");
        if !(waits && self.world.settings.cancel && self.started.ours) {
            return failure;
        }
        let id = &self.started.deployment;
        let sent = self.world.api.cancel(permit, id).await;
        let status = self.world.api.last_look(&self.target.app, id).await.map(|row| row.status);
        let told = match (status.as_deref(), sent) {
            (Some("cancelled-by-user"), _) => {
                return failure
                    .acted(Acted::Yes)
                    .next(self.look_command())
                    .cause(format!("{id} was cancelled"));
            }
            (Some(status), _) => format!("{id} could not be cancelled: it is {status}"),
            (None, Sent::Refused(refused)) => format!("{id} could not be cancelled: {}", refused.message),
            (None, _) => format!("it is not known whether {id} was cancelled"),
        };
        failure.cause(told)
    }

    fn environment(&self) -> &str {
        self.world.context.environment.as_deref().unwrap_or("production")
    }

    fn look_command(&self) -> String {
        format!("deploy-coolify status --env {}", self.environment())
    }

    fn attach_command(&self) -> String {
        format!("deploy-coolify attach --env {} --deployment {}", self.environment(), self.started.deployment)
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
