//! Coolify's API, as far as it is needed. Only named fields are read, and no body is ever shown: an application's answer
//! holds the server's secrets.

use std::time::Duration;

use reqwest::{Method, Response, redirect};
use serde_json::{Value, json};
use step::{Again, Context, Failure, Permit, Secret, again};

use crate::args::Settings;

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    pub name: String,
    /// The image's repository.
    pub image: String,
    /// The tag that the next deployment brings.
    pub tag: String,
    pub build_pack: String,
    /// `state:health`, as Coolify says.
    pub status: String,
}

/// A deployment.
#[derive(Clone, Debug)]
pub struct Row {
    pub uuid: String,
    pub status: String,
    pub created_at: String,
    /// The tag that it brings, from its log; `None` when the log cannot be read.
    pub tag: Option<String>,
    /// The last visible lines of its log.
    pub last_lines: Vec<String>,
}

impl Row {
    /// Queued or in progress.
    pub fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "finished" | "failed" | "cancelled-by-user")
    }

    /// It has brought its build.
    pub fn is_finished(&self) -> bool {
        self.status == "finished"
    }

    /// For an answer.
    pub fn to_value(&self) -> Value {
        json!({ "deployment": self.uuid, "status": self.status, "created_at": self.created_at, "tag": self.tag })
    }

    fn of(value: &Value) -> Option<Self> {
        let text = |key| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let lines = visible_lines(value);
        let uuid = Some(text("deployment_uuid")).filter(|u| !u.is_empty())?;
        let tag = lines.iter().find_map(|line| deployed_tag(line));
        let last_lines = lines.iter().rev().take(10).rev().cloned().collect();
        Some(Row { uuid, status: text("status"), created_at: text("created_at"), tag, last_lines })
    }
}

/// The log is a string that holds JSON; hidden lines may show secrets.
fn visible_lines(row: &Value) -> Vec<String> {
    let logs = row
        .get("logs")
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
    let visible = |line: &&Value| line.get("hidden").and_then(Value::as_bool) != Some(true);
    let text = |line: &Value| line.get("output").and_then(Value::as_str).map(str::to_owned);
    logs.unwrap_or_default().iter().filter(visible).filter_map(text).collect()
}

/// `Starting deployment of registry/shop:1.2.0 to localhost.` names the tag that no field names.
fn deployed_tag(line: &str) -> Option<String> {
    let image = line.strip_prefix("Starting deployment of ")?.split_once(" to ")?.0;
    crate::plan::split(image).map(|(_, tag)| tag.to_owned())
}

/// How a request that changes something has ended.
pub enum Sent {
    /// Accepted; the body.
    Done(Value),
    /// Refused; nothing was done.
    Refused(Failure),
    /// It is not known: the answer was lost, or was none.
    Unknown(String),
}

/// The client.
pub struct Api<'a> {
    context: &'a Context,
    client: reqwest::Client,
    base: String,
    token: &'a Secret,
}

/// A client without redirects, with ring.
pub fn client() -> Result<reqwest::Client, Failure> {
    // Somebody else may have installed it: it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
    let builder = builder.user_agent(concat!("deploy-coolify/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|e| Failure::config("tls", format!("no HTTPS client: {e}")))
}

impl<'a> Api<'a> {
    /// A client for the environment's Coolify.
    pub fn new(context: &'a Context, settings: &'a Settings) -> Result<Self, Failure> {
        Ok(Api {
            context,
            client: client()?,
            base: format!("{}/api/v1", settings.url),
            token: &settings.token,
        })
    }

    /// Coolify's version.
    pub async fn version(&self) -> Result<String, Failure> {
        let text = self.get("/version").await?.unwrap_or_default();
        Ok(text.trim().trim_start_matches('v').to_owned())
    }

    /// An application, which must be there.
    pub async fn application(&self, uuid: &str) -> Result<Application, Failure> {
        let missing = || {
            let message = format!("Coolify has no application {uuid} that this token may see");
            Failure::config("application", message)
        };
        let value = self.json(&format!("/applications/{uuid}")).await?.ok_or_else(missing)?;
        let text = |key| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Application {
            name: text("name"),
            image: text("docker_registry_image_name"),
            tag: text("docker_registry_image_tag"),
            build_pack: text("build_pack"),
            status: text("status"),
        })
    }

    /// A deployment, if it is there: an id that Coolify answered with may never have been stored.
    pub async fn deployment(&self, uuid: &str) -> Result<Option<Row>, Failure> {
        Ok(self.json(&format!("/deployments/{uuid}")).await?.as_ref().and_then(Row::of))
    }

    /// An application's deployments, newest first.
    pub async fn history(&self, application: &str, take: u32) -> Result<Vec<Row>, Failure> {
        let path = format!("/deployments/applications/{application}?skip=0&take={take}");
        let value = self.json(&path).await?.unwrap_or_default();
        let rows = value.get("deployments").unwrap_or(&value).as_array().cloned().unwrap_or_default();
        // Previews have a life of their own.
        let ours = |row: &&Value| row.get("pull_request_id").and_then(Value::as_i64).unwrap_or_default() == 0;
        let mut rows: Vec<Row> = rows.iter().filter(ours).filter_map(Row::of).collect();
        rows.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        Ok(rows)
    }

    /// Writes the tag that the next deployment brings.
    pub async fn set_tag(&self, permit: &Permit, application: &str, tag: &str) -> Result<Sent, Failure> {
        let body = json!({ "docker_registry_image_tag": tag });
        self.send(permit, Method::PATCH, &format!("/applications/{application}"), &body).await
    }

    /// Queues one deployment. Forced, because Coolify takes another tag of the same image for a duplicate.
    pub async fn deploy(&self, permit: &Permit, application: &str) -> Result<Sent, Failure> {
        self.send(permit, Method::POST, "/deploy", &json!({ "uuid": application, "force": true })).await
    }

    async fn json(&self, path: &str) -> Result<Option<Value>, Failure> {
        let Some(text) = self.get(path).await? else { return Ok(None) };
        let wrong =
            |e| Failure::temporary("answer", format!("Coolify's answer to GET {path} is not JSON: {e}"));
        serde_json::from_str(&text).map(Some).map_err(wrong)
    }

    /// Reads; what fails for the moment is asked again until the deadline. `None` is Coolify's own 404.
    async fn get(&self, path: &str) -> Result<Option<String>, Failure> {
        let mut attempt = 1;
        loop {
            self.context.checkpoint()?;
            let (status, retry_after, failure) = match self.request(Method::GET, path, None).await {
                Err(failure) => (None, None, failure),
                Ok(answer) => {
                    let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
                    let body = answer.text().await.unwrap_or_default();
                    if status == 200 {
                        return Ok(Some(body));
                    }
                    let message = message(&body);
                    // A 404 without JSON is the proxy's: Coolify is down or restarting.
                    let status = if status == 404 && message.is_none() { 503 } else { status };
                    if status == 404 && !body.contains("coolify.io/docs") {
                        return Ok(None);
                    }
                    (Some(status), retry_after, self.refusal("GET", path, status, message))
                }
            };
            match again(status, retry_after, attempt, true, self.context.deadline.left()) {
                Again::Stop => return Err(failure),
                Again::After(wait) => crate::pause(self.context, wait).await?,
            }
            attempt += 1;
        }
    }

    /// Sends what changes something, once. Only what was turned away for its rate is sent again.
    async fn send(&self, _: &Permit, method: Method, path: &str, body: &Value) -> Result<Sent, Failure> {
        let mut attempt = 1;
        loop {
            self.context.checkpoint()?;
            let answer = match self.request(method.clone(), path, Some(body)).await {
                Err(failure) => return Ok(Sent::Unknown(failure.message)),
                Ok(answer) => answer,
            };
            let (status, wait) = (answer.status().as_u16(), retry_after(&answer));
            let Ok(text) = answer.text().await else {
                return Ok(Sent::Unknown(format!("HTTP {status}, cut short")));
            };
            match status {
                200..=299 => return Ok(Sent::Done(serde_json::from_str(&text).unwrap_or_default())),
                429 => match again(Some(429), wait, attempt, false, self.context.deadline.left()) {
                    Again::After(wait) => crate::pause(self.context, wait).await?,
                    Again::Stop => {
                        return Ok(Sent::Refused(self.refusal(method.as_str(), path, 429, message(&text))));
                    }
                },
                500.. => return Ok(Sent::Unknown(format!("HTTP {status}"))),
                _ => return Ok(Sent::Refused(self.refusal(method.as_str(), path, status, message(&text)))),
            }
            attempt += 1;
        }
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, Failure> {
        let timeout = self.context.deadline.request()?;
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        request =
            request.bearer_auth(self.token.expose()).header("Accept", "application/json").timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let shown = answer.as_ref().map_or_else(cause, |a| a.status().to_string());
        self.context.voice.detail(&format!("{method} {path}: {shown}"));
        answer.map_err(|e| {
            let message = format!("Coolify at {} cannot be reached: {}", self.base, cause(&e));
            Failure::temporary("coolify-unreachable", message)
        })
    }

    /// What an answer means that is no success.
    fn refusal(&self, method: &str, path: &str, status: u16, message: Option<String>) -> Failure {
        let said = message.unwrap_or_else(|| format!("HTTP {status}"));
        let path = path.split('?').next().unwrap_or(path);
        let text = format!("Coolify refuses {method} {path}: {said}");
        match status {
            401 => Failure::config("token", format!("{text} (is the token right, and not expired?)")),
            403 => Failure::config("token-ability", text),
            300..=399 | 405 => {
                Failure::config("url", format!("{text}; is {} the right URL, with https?", self.base))
            }
            404 => Failure::refused("not-found", text),
            429 | 500.. => Failure::temporary("coolify-unreachable", text),
            _ => Failure::refused("rejected", text),
        }
    }
}

fn retry_after(answer: &Response) -> Option<u64> {
    answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok())
}

/// Coolify's own word, if the body is its JSON.
fn message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let message = value.get("message").and_then(Value::as_str)?.to_owned();
    let errors = value.get("errors").map(|e| format!(" {e}")).unwrap_or_default();
    Some(format!("{message}{errors}"))
}

/// The last cause of an error, which says most; the URL is left out.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// How long a deployment that was just queued may stay out of sight.
pub const SIGHT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_read_from_the_first_line() {
        let tag = |line| deployed_tag(line);
        assert_eq!(
            tag("Starting deployment of r.example:5000/shop:1.2.0 to localhost."),
            Some("1.2.0".into())
        );
        assert_eq!(tag("Starting deployment of r.example:5000/shop to localhost."), None);
        assert_eq!(tag("Something else"), None);
    }

    #[test]
    fn a_row_without_logs_is_still_a_row() {
        let row = Row::of(&json!({ "deployment_uuid": "d", "status": "odd" })).expect("a row");
        assert!(row.is_open() && row.tag.is_none(), "an unknown word is never an end");
    }
}
