//! The deployments on an application's other servers, which Coolify queues when the first one has finished.

use std::time::Instant;

use step::{Acted, Failure};

use super::follow::Follower;
use crate::api::Row;
use crate::next::Next;

impl Follower<'_> {
    /// The deployments on the application's other servers, which Coolify queues when the first one has finished.
    pub(super) async fn others(&mut self, primary: &Row) -> Result<Vec<Row>, Failure> {
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
            Some(bad) => Err(self.server_failed(&self.in_the_list(bad).await)),
            None => rows.iter().try_for_each(|row| self.check(row)).map(|()| rows),
        }
    }

    /// The status comes before the reason, so that it is read once more.
    async fn in_the_list(&self, row: &Row) -> Row {
        if self.world.pause(self.reason_wait()).await.is_err() {
            return row.clone();
        }
        let rows = self.world.api.peek_history(&self.target.app, 20).await.unwrap_or_default();
        rows.into_iter().find(|r| r.uuid == row.uuid).unwrap_or_else(|| row.clone())
    }

    fn servers_missing(&self, rows: &[Row], expected: usize) -> Failure {
        let message = format!(
            "{} was deployed on its first server, but on only {} of its {expected} others as far as Coolify shows",
            self.target.app.name,
            rows.iter().filter(|r| r.is_finished()).count()
        );
        Failure::temporary("deployment-stalled", message).acted(Acted::Yes).next(Next::status(self.world))
    }

    fn server_failed(&self, row: &Row) -> Failure {
        let server = row.server_name.as_deref().unwrap_or("another server");
        let message = format!(
            "{} was deployed on its first server, but on {server} the deployment {} ended as {}",
            self.target.app.name, row.uuid, row.status
        );
        let failure =
            Failure::failed("server-failed", message).acted(Acted::Yes).next(Next::status(self.world));
        row.last_lines().iter().fold(failure, Failure::cause)
    }
}
