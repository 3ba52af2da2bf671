//! A Supabase project, set back in place by its point-in-time recovery through the management API (v1). There is nothing to put beside
//! the live database, no undo, and no job to ask about: `in_place` says how it is done all the same.

use std::time::Duration;

use http_client::{Call, Client, Lost, Reply};
use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Context, Failure, Permit};

use super::{Beside, Source, Stamp};
use crate::operation::Operation;
use crate::plan::{self, Moment, Snapshot};
use crate::server::{Live, Session};
use crate::settings::{Settings, Supabase};

/// Begins the id of a recovery point; the rest is its unix seconds.
const HEAD: &str = "pitr-";

/// A project.
pub struct Project<'a> {
    context: &'a Context,
    settings: &'a Settings,
    project: &'a Supabase,
    client: Client<'a>,
}

/// From when to when the project can be set back, unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub earliest: i64,
    pub latest: i64,
}

/// What came of asking for a restore.
pub enum Posted {
    Accepted,
    /// Not carried out: the instant cannot be reached, or not yet.
    OutOfRange(String),
    /// Not carried out.
    Refused(Failure),
    /// Nobody knows.
    Unknown(String),
}

impl<'a> Project<'a> {
    /// The project of the settings.
    pub fn new(operation: &Operation<'a>) -> Result<Self, Failure> {
        let missing = || Failure::bug("no settings of Supabase");
        let project = operation.settings.supabase.as_ref().ok_or_else(missing)?;
        let client = Client::new(operation.context, concat!("db-restore/", env!("CARGO_PKG_VERSION")));
        Ok(Project { context: operation.context, settings: operation.settings, project, client })
    }

    /// The settings that only Supabase needs.
    pub fn settings(&self) -> &Supabase {
        self.project
    }

    fn call(&self, method: &str, path: &str) -> Call {
        let url = format!("{}/v1/projects/{}{path}", self.project.api, self.project.project_ref);
        Call::new(method, url).header("Authorization", format!("Bearer {}", self.project.token.expose()))
    }

    fn get(&self, path: &str) -> Result<Value, Failure> {
        match self.client.persist(&self.call("GET", path))? {
            Err(lost) => {
                Err(Failure::temporary("supabase-unreachable", "Supabase's API does not answer")
                    .cause(lost.why))
            }
            Ok(reply) if reply.status == 200 => {
                let odd = || {
                    Failure::temporary(
                        "supabase-unreachable",
                        "Supabase's API answers with something that is no JSON",
                    )
                };
                reply.json().ok_or_else(odd)
            }
            Ok(reply) => Err(self.refusal(&reply)),
        }
    }

    /// What a status other than success means.
    fn refusal(&self, reply: &Reply) -> Failure {
        let said = message(reply);
        let project = &self.project.project_ref;
        let failure = match reply.status {
            401 => Failure::config(
                "token",
                "Supabase does not know the token: set token_file, or SUPABASE_ACCESS_TOKEN",
            ),
            403 => Failure::config(
                "token",
                format!(
                    "the token may not do this with {project}: it needs project_admin_read, backups_read and backups_write"
                ),
            ),
            404 => Failure::config(
                "project",
                format!("Supabase has no project {project} that this token can see"),
            ),
            429 | 500.. => {
                Failure::temporary("supabase-unreachable", format!("Supabase's API answers {}", reply.status))
            }
            _ => Failure::refused("supabase-refused", format!("Supabase refuses: {said}")),
        };
        failure.cause(said)
    }

    /// The project's status, such as `ACTIVE_HEALTHY` or `RESTORING`.
    pub fn status(&self) -> Result<String, Failure> {
        let project = self.get("")?;
        Ok(project["status"].as_str().unwrap_or("UNKNOWN").to_owned())
    }

    /// Services that are not healthy.
    pub fn ailing(&self) -> Result<Vec<String>, Failure> {
        let services = ["auth", "db", "pooler", "rest", "storage"].map(|s| format!("services={s}")).join("&");
        let health = self.get(&format!("/health?{services}"))?;
        let ill = |s: &&Value| s["status"] != "ACTIVE_HEALTHY";
        let list = health.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(list.iter().filter(ill).map(|s| format!("{} is {}", s["name"], s["status"])).collect())
    }

    /// The window, or why there is none.
    pub fn window(&self) -> Result<Result<Window, String>, Failure> {
        let backups = self.get("/database/backups")?;
        if backups["pitr_enabled"] != json!(true) {
            return Ok(Err("point-in-time recovery is not enabled for this project, and a daily backup cannot be younger than an hour: enable the add-on (pitr_7 or more)".into()));
        }
        let physical = &backups["physical_backup_data"];
        let at = |key: &str| physical[key].as_i64();
        let ends = at("earliest_physical_backup_date_unix").zip(at("latest_physical_backup_date_unix"));
        Ok(ends
            .map(|(earliest, latest)| Window { earliest, latest })
            .ok_or_else(|| "point-in-time recovery is enabled, but no backup is there yet".into()))
    }

    /// Asks for the restore, once; only what was certainly not carried out is asked for again.
    pub fn post(&self, permit: &Permit, target: i64) -> Result<Posted, Failure> {
        let call = self
            .call("POST", "/database/backups/restore-pitr")
            .json(&json!({ "recovery_time_target_unix": target }));
        loop {
            let reply = match self.client.change(permit, &call)? {
                Err(Lost { why, sent: true, .. }) => return Ok(Posted::Unknown(why)),
                Err(Lost { why, sent: false, .. }) => {
                    return Ok(Posted::Refused(
                        Failure::temporary("supabase-unreachable", "Supabase's API does not answer")
                            .cause(why),
                    ));
                }
                Ok(reply) => reply,
            };
            let said = message(&reply);
            return Ok(match reply.status {
                200..=299 => Posted::Accepted,
                429 => {
                    let reset =
                        reply.retry_after().or_else(|| reply.header("x-ratelimit-reset")?.parse().ok());
                    self.context.pause(Duration::from_secs(reset.unwrap_or(5).clamp(1, 60)))?;
                    continue;
                }
                400 if said.starts_with("Recovery time target must be within range") => {
                    Posted::OutOfRange(said)
                }
                400..=499 => Posted::Refused(self.refusal(&reply)),
                status => Posted::Unknown(format!("HTTP {status}: {said}")),
            });
        }
    }
}

/// Supabase's errors have one field.
fn message(reply: &Reply) -> String {
    let said = reply.json().and_then(|j| j["message"].as_str().map(str::to_owned));
    said.unwrap_or_else(|| step::excerpt(&reply.body, 200))
}

/// A recovery point of so many unix seconds.
pub fn point(seconds: i64) -> Result<Snapshot, Failure> {
    let at = Timestamp::from_second(seconds)
        .map_err(|e| Failure::refused("no-snapshot", format!("{seconds}: {e}")))?;
    Ok(Snapshot::new("supabase", &format!("{HEAD}{seconds}"), "pitr", at))
}

/// The unix seconds of a recovery point's id.
pub fn seconds(id: &str) -> Option<i64> {
    id.strip_prefix(HEAD)?.parse().ok()
}

impl Source for Project<'_> {
    fn word(&self) -> &'static str {
        "supabase"
    }

    /// One recovery point: the newest that fits. Seconds are whole, and what was committed within the last one counts as before.
    fn list(&self, _live: &Live, moment: &Moment) -> Result<Vec<Snapshot>, Failure> {
        let window = match self.window()? {
            Ok(window) => window,
            Err(problem) => return Ok(vec![Snapshot::unusable("supabase", "pitr", "pitr", problem)]),
        };
        let target = match moment {
            Moment::Now => window.latest,
            // The second before the one in which the incident began.
            Moment::Incident { at, .. } => at.as_second() - 1,
        };
        if target < window.earliest {
            let problem =
                format!("the window begins at {} only", plan::instant(point(window.earliest)?.taken_at));
            return Ok(vec![Snapshot::unusable("supabase", &format!("{HEAD}{target}"), "pitr", problem)]);
        }
        Ok(vec![point(target)?])
    }

    fn prove(&self, _live: &Live, _snapshot: &Snapshot) -> Result<(), Failure> {
        Ok(())
    }

    /// The present is a recovery point as soon as Supabase has archived it, some two minutes from now: nothing has to be made.
    fn take(
        &self,
        _permit: &Permit,
        (live, _): (&Live, &mut Session),
        stamp: &Stamp,
    ) -> Result<Snapshot, Failure> {
        let list = self.list(live, &Moment::Now)?;
        let newest = plan::recovery_point(&list, &Moment::Now, live.now, self.settings.rpo)?;
        let archived = plan::instant(newest.taken_at);
        let remark = format!("this instant; Supabase has archived everything up to {archived}");
        Ok(Snapshot {
            document: Some(stamp.document.clone()),
            remark: Some(remark),
            ..point(live.now.as_second())?
        })
    }

    fn beside(&self) -> Option<&dyn Beside> {
        None
    }
}
