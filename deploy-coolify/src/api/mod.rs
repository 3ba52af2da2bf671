//! Coolify's API, as far as it is needed. Only named fields are read, and no body is ever shown: an application's answer
//! holds the server's secrets.

mod answer;
mod application;
mod client;
mod deployment;
mod log;
mod reason;
mod send;
mod version;
mod words;

use reqwest::Method;
use serde_json::{Map, Value, json};
use step::{Failure, Permit};

pub use answer::{cause, retry_after, text};
pub use application::{Application, Kind, Opinion};
pub use client::{Api, Net, Trouble};
pub use deployment::{Row, is_commit};
pub use log::Cursor;
pub use send::{Ability, Sent};
pub use version::{Pins, Version};
pub use words::{is_id, sentence};

/// How far back the deployments of an application are looked at.
const MOST: usize = 200;

impl Api<'_> {
    /// Coolify's version.
    pub async fn version(&self) -> Result<Version, Failure> {
        let text = self.get("/version").await?.unwrap_or_default();
        let text = text.trim();
        // A page in front of Coolify that answers everything with 200 is no version, and must not be taken for a new one.
        if text.is_empty() || text.len() > 64 || text.contains(['<', '{', '\n']) {
            let message = format!("what answers at {} is not Coolify's API: is it the right URL?", self.base);
            return Err(Failure::config("url", message));
        }
        Ok(Version::parse(&sentence(text)))
    }

    /// An application, which must be there.
    pub async fn application(&self, uuid: &str) -> Result<Application, Failure> {
        let missing = || {
            let message = format!("Coolify has no application {uuid} that this token may see");
            Failure::config("application", message)
        };
        self.json(&format!("/applications/{uuid}")).await?.ok_or_else(missing)
    }

    /// The uuids of the applications that carry a tag in Coolify.
    pub async fn tagged(&self, tag: &str) -> Result<Vec<String>, Failure> {
        let found: Vec<Application> =
            self.json(&format!("/applications?tag={tag}")).await?.unwrap_or_default();
        Ok(found.into_iter().map(|a| a.uuid).collect())
    }

    /// The tags of an application's images on its server (4.3.0 and later). Empty also when the server cannot be reached, which
    /// Coolify finds out within minutes only. Asked once.
    pub async fn kept_images(&self, uuid: &str) -> Result<Vec<String>, Trouble> {
        let found: Option<Value> = self.peek_json(&format!("/applications/{uuid}/rollback-images")).await?;
        let images = found.as_ref().and_then(|v| v.get("images")?.as_array().cloned()).unwrap_or_default();
        Ok(images.iter().filter_map(|i| i.get("tag")?.as_str().map(str::to_owned)).collect())
    }

    /// A deployment, if it is there: an id that Coolify answered with may never have been stored. Asked once, because whoever
    /// follows a deployment has a patience of its own.
    pub async fn peek(&self, app: &Application, uuid: &str, in_list: bool) -> Result<Option<Row>, Trouble> {
        if in_list {
            return Ok(self.peek_history(app, 10).await?.into_iter().find(|r| r.uuid == uuid));
        }
        let found: Option<Row> = self.peek_json(&format!("/deployments/{uuid}")).await?;
        Ok(found.map(|row| row.of(app)))
    }

    /// The newest deployments, asked once.
    pub async fn peek_history(&self, app: &Application, take: usize) -> Result<Vec<Row>, Trouble> {
        let mut rows = Vec::new();
        for skip in (0..MOST).step_by(take) {
            let page: Page = self.peek_json(&history_path(app, skip, take)).await?.unwrap_or_default();
            let came = page.len();
            rows.extend(sorted(page, app));
            if came < take || rows.len() >= take {
                break;
            }
        }
        Ok(rows)
    }

    /// The newest deployments of an application, newest first, without previews; those on other servers are among them.
    pub async fn history(&self, app: &Application, take: usize) -> Result<Vec<Row>, Failure> {
        self.whole_history(app, take).await.map(|(rows, _)| rows)
    }

    /// The same, and whether there are no others. Previews may fill a page, and another one: then the next one is asked for.
    pub async fn whole_history(&self, app: &Application, take: usize) -> Result<(Vec<Row>, bool), Failure> {
        let mut rows = Vec::new();
        for skip in (0..MOST).step_by(take) {
            let (came, page) = self.rows(app, skip, take).await?;
            rows.extend(page);
            if came < take {
                return Ok((rows, true));
            }
            if rows.len() >= take {
                break;
            }
        }
        Ok((rows, false))
    }

    /// The newest deployments on the way out.
    pub async fn last_history(&self, app: &Application) -> Vec<Row> {
        let page: Option<Page> = self.last_json(&history_path(app, 0, 10)).await;
        page.map(|page| sorted(page, app)).unwrap_or_default()
    }

    /// As many deployments as `enough` asks for, at most 200, without their logs: previews and restarts may fill a page.
    pub async fn history_until(
        &self,
        app: &Application,
        enough: impl Fn(&[Row]) -> bool,
    ) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        for skip in (0..MOST).step_by(20) {
            let (came, page) = self.rows(app, skip, 20).await?;
            rows.extend(page.into_iter().map(Row::without_log));
            if came < 20 || enough(&rows) {
                break;
            }
        }
        Ok(rows)
    }

    async fn rows(&self, app: &Application, skip: usize, take: usize) -> Result<(usize, Vec<Row>), Failure> {
        let page: Page = self.json(&history_path(app, skip, take)).await?.unwrap_or_default();
        let came = page.len();
        Ok((came, sorted(page, app)))
    }

    /// Writes fields of an application, together.
    pub async fn set(
        &self,
        permit: &Permit,
        uuid: &str,
        fields: Map<String, Value>,
    ) -> Result<Sent, Failure> {
        self.send(permit, Method::PATCH, &format!("/applications/{uuid}"), &Value::Object(fields)).await
    }

    /// The same on the way out: after a signal, or after the deadline, what was changed is put back.
    pub async fn set_last(&self, permit: &Permit, uuid: &str, fields: Map<String, Value>) -> Sent {
        self.send_last(permit, Method::PATCH, &format!("/applications/{uuid}"), &Value::Object(fields)).await
    }

    /// Queues one deployment. Forced where Coolify takes another build for a duplicate.
    pub async fn deploy(&self, permit: &Permit, uuid: &str, force: bool) -> Result<Sent, Failure> {
        self.send(permit, Method::POST, "/deploy", &json!({ "uuid": uuid, "force": force })).await
    }

    /// Queues a deployment of exactly this commit.
    pub async fn deploy_commit(&self, permit: &Permit, uuid: &str, commit: &str) -> Result<Sent, Failure> {
        let body = json!({ "commit": commit });
        self.send(permit, Method::POST, &format!("/applications/{uuid}/rollback"), &body).await
    }

    /// Cancels a deployment, also on the way out.
    pub async fn cancel(&self, permit: &Permit, uuid: &str) -> Sent {
        self.send_last(permit, Method::POST, &format!("/deployments/{uuid}/cancel"), &json!({})).await
    }

    /// A deployment on the way out. Some versions do not find it by its id, but list it.
    pub async fn last_look(&self, app: &Application, uuid: &str) -> Option<Row> {
        if let Some(row) = self.last_json::<Row>(&format!("/deployments/{uuid}")).await {
            return Some(row.of(app));
        }
        self.last_history(app).await.into_iter().find(|row| row.uuid == uuid)
    }

    /// An application on the way out.
    pub async fn last_application(&self, uuid: &str) -> Option<Application> {
        self.last_json(&format!("/applications/{uuid}")).await
    }

    /// An application, asked once.
    pub async fn peek_application(&self, uuid: &str) -> Option<Application> {
        self.peek_json(&format!("/applications/{uuid}")).await.ok()?
    }
}

/// Newest first, without previews, which have a life of their own.
fn sorted(page: Page, app: &Application) -> Vec<Row> {
    let mut rows: Vec<Row> =
        page.rows().into_iter().filter(|r| r.pull_request == 0).map(|r| r.of(app)).collect();
    // Before 4.3.0 rows of the same second come in any order.
    rows.sort_by(|a, b| (&b.created_at, b.id).cmp(&(&a.created_at, a.id)));
    rows
}

fn history_path(app: &Application, skip: usize, take: usize) -> String {
    format!("/deployments/applications/{}?skip={skip}&take={take}", app.uuid)
}

/// The list of an application's deployments: an object, though the schema says an array.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Page {
    Object { deployments: Vec<Row> },
    Array(Vec<Row>),
}

impl Default for Page {
    fn default() -> Self {
        Page::Array(Vec::new())
    }
}

impl Page {
    fn len(&self) -> usize {
        match self {
            Page::Object { deployments } | Page::Array(deployments) => deployments.len(),
        }
    }

    fn rows(self) -> Vec<Row> {
        match self {
            Page::Object { deployments } | Page::Array(deployments) => deployments,
        }
    }
}
