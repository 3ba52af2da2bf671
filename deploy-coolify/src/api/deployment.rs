//! A deployment as Coolify describes it.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::log::{Line, clean, first, lines};
use super::words::{flag, id, loose_bool, loose_text, whole, word};
use super::{Application, Kind};

/// A deployment.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Row {
    #[serde(default)]
    pub id: i64,
    #[serde(rename = "deployment_uuid", deserialize_with = "id")]
    pub uuid: String,
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    #[serde(default, deserialize_with = "word")]
    pub created_at: String,
    /// Moves with every line of the log, whether the log may be read or not.
    #[serde(default, deserialize_with = "word")]
    pub updated_at: String,
    /// Comes some time after the status.
    #[serde(default, deserialize_with = "loose_text")]
    pub finished_at: Option<String>,
    #[serde(default, deserialize_with = "loose_text")]
    commit: Option<String>,
    /// The commit's message, once Coolify has read it from the repository.
    #[serde(default, deserialize_with = "loose_text")]
    commit_message: Option<String>,
    /// The machine whose worker is at it.
    #[serde(default, deserialize_with = "loose_text")]
    horizon_job_worker: Option<String>,
    #[serde(default, deserialize_with = "loose_text")]
    current_process_id: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    rollback: bool,
    #[serde(default, deserialize_with = "flag")]
    is_webhook: bool,
    /// Whether the API has started it; `None` when this version does not say.
    #[serde(default, deserialize_with = "loose_bool")]
    is_api: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    only_this_server: bool,
    #[serde(default, rename = "pull_request_id", deserialize_with = "whole")]
    pub pull_request: i64,
    #[serde(default, deserialize_with = "loose_text")]
    destination_id: Option<String>,
    #[serde(default, deserialize_with = "loose_text")]
    pub server_name: Option<String>,
    /// Of the settings with which it was carried out; only what has finished has one.
    #[serde(default, deserialize_with = "loose_text")]
    pub configuration_hash: Option<String>,
    #[serde(default, deserialize_with = "loose_text")]
    deployment_url: Option<String>,
    /// JSON in a string; absent when the token may not read it, null before the first line.
    #[serde(default, deserialize_with = "present")]
    logs: Option<Option<String>>,
    /// The tag or the commit that it brings, as far as it can be told.
    #[serde(skip)]
    pub revision: Option<String>,
    /// Whether Coolify shows that the commit was read from the repository, and does not only repeat what it was asked for.
    #[serde(skip)]
    pub is_from_git: bool,
    /// Whether it is the one on the application's first server.
    #[serde(skip)]
    pub is_primary: bool,
}

impl Row {
    /// With what only its application tells.
    pub(super) fn of(mut self, app: &Application) -> Self {
        self.revision = match app.kind() {
            Kind::Image => first(self.logs(), |line| deployed(&line.output, app.image())),
            // A deployment is called by what was asked for; its log says what came of it.
            Kind::Git => first(self.logs(), read_commit).or(self.commit.clone().filter(|c| is_commit(c))),
            Kind::Inline => None,
        };
        self.is_from_git = app.kind() == Kind::Git && self.shows_commit();
        let same = self.destination_id.as_ref().zip(app.destination_id.as_ref()).is_none_or(|(a, b)| a == b);
        self.is_primary = same && !self.only_this_server;
        self
    }

    /// Queued or in progress; a word that is not known is no end.
    pub fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "finished" | "failed" | "cancelled-by-user")
    }

    /// It has brought its build.
    pub fn is_finished(&self) -> bool {
        self.status == "finished"
    }

    /// It waits for others.
    pub fn is_queued(&self) -> bool {
        self.status == "queued"
    }

    /// A word that Coolify is not known to say.
    pub fn is_odd(&self) -> bool {
        self.is_open() && !matches!(self.status.as_str(), "queued" | "in_progress")
    }

    /// Its log, as it is stored.
    pub fn logs(&self) -> Option<&str> {
        self.logs.as_ref()?.as_deref()
    }

    /// Many rows with their logs are much memory.
    pub fn without_log(mut self) -> Self {
        self.logs = self.logs.map(|_| None);
        self
    }

    /// Whether the token may read its log.
    pub fn shows_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// The lines of its log that say why it ended as it did, as far as everybody may see them.
    pub fn last_lines(&self) -> Vec<String> {
        let mut visible = lines(self.logs());
        visible.retain(|line| !line.hidden);
        super::reason::lines(&clean(&visible))
    }

    /// Whether its log says something.
    pub fn says(&self, text: &str) -> bool {
        first(self.logs(), |line| (!line.hidden && line.output.contains(text)).then_some(())).is_some()
    }

    /// A restart of Coolify marks what was on its way as failed, and writes nothing else.
    pub fn was_swept_away(&self) -> bool {
        self.status == "failed" && self.finished_at.is_none() && !self.says("Deployment failed")
    }

    /// Whether a worker has begun with it. Until then nobody has read which image it brings.
    pub fn has_begun(&self) -> bool {
        self.horizon_job_worker.is_some()
            || self.current_process_id.is_some()
            || self.is_finished()
            || self.says("Starting deployment of")
    }

    /// Whether Coolify shows that it has read the commit from the repository, or has taken an image that was built from it. That a
    /// deployment is called by a commit shows nothing: it is called by whatever it was asked for.
    fn shows_commit(&self) -> bool {
        let Some(commit) = self.revision.as_ref().filter(|_| self.is_finished()) else { return false };
        self.commit_message.as_ref().is_some_and(|message| !message.trim().is_empty())
            || first(self.logs(), read_commit).as_ref() == Some(commit)
    }

    /// Whether somebody else has started it: a push, or a person in the browser.
    pub fn is_of_others(&self) -> bool {
        self.is_webhook || self.is_api == Some(false)
    }

    /// The path of its page.
    pub fn page(&self) -> Option<&str> {
        self.deployment_url.as_deref()
    }

    /// For an answer.
    pub fn to_value(&self) -> Value {
        json!({
            "deployment": self.uuid, "status": self.status, "created_at": self.created_at, "revision": self.revision,
            "push": self.is_webhook, "rollback": self.rollback,
        })
    }

    #[cfg(test)]
    pub fn sample(uuid: &str, status: &str, revision: Option<&str>) -> Self {
        Row {
            uuid: uuid.into(),
            status: status.into(),
            revision: revision.map(str::to_owned),
            is_primary: true,
            ..Row::default()
        }
    }
}

/// `Starting deployment of registry/shop:1.2.0 to localhost.` names the tag that no field names. A digest has a tag's form too:
/// `sha256-...` is how Coolify is told to deploy one. The image of another repository is no tag of this one: it is named as a whole.
fn deployed(line: &str, repository: &str) -> Option<String> {
    let image = line.strip_prefix("Starting deployment of ")?.split_once(" to ")?.0;
    let (name, tag) = image::split(image)?;
    Some(if name == repository { tag } else { image::join(name, &tag) })
}

/// The commit that was read from the repository, or whose image was taken: `Importing a/b:main (commit sha SHA) to /artifacts/x.`, or
/// `No build configuration changed & image found (NAME:SHA) with the same Git Commit SHA. Build step skipped.`
fn read_commit(line: &Line) -> Option<String> {
    let text = line.output.trim_start();
    let commit = if text.starts_with("Importing ") {
        text.split_once("(commit sha ")?.1.split_once(')')?.0
    } else if text.contains("image found (") {
        text.split_once(") with the same Git Commit SHA")?.0.rsplit_once(':')?.1
    } else {
        return None;
    };
    (!line.hidden && is_commit(commit)).then(|| commit.to_owned())
}

/// A whole commit; a short one or a branch's name would not find its image.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_read_from_the_first_line() {
        assert_eq!(
            deployed("Starting deployment of r.example:5000/shop:1.2.0 to localhost.", "r.example:5000/shop"),
            Some("1.2.0".into())
        );
        assert_eq!(
            deployed("Starting deployment of r.example/shop@sha256:ab12 to localhost.", "r.example/shop"),
            Some("sha256-ab12".into())
        );
        assert_eq!(
            deployed("Starting deployment of r.example:5000/shop to localhost.", "r.example:5000/shop"),
            None
        );
        assert_eq!(deployed("Something else", "r.example/shop"), None);
        let other = deployed("Starting deployment of r.example/other:1.2.0 to localhost.", "r.example/shop");
        assert_eq!(other.as_deref(), Some("r.example/other:1.2.0"), "the same tag of another repository");
    }

    fn row(value: Value) -> Row {
        serde_json::from_value(value).expect("a row")
    }

    #[test]
    fn a_row_without_logs_is_still_a_row() {
        let odd =
            row(json!({ "deployment_uuid": "d", "status": "odd", "rollback": 1, "pull_request_id": "0" }));
        assert!(odd.is_open() && odd.is_odd() && odd.rollback && !odd.shows_logs(), "{odd:?}");
        assert!(row(json!({ "deployment_uuid": "d", "logs": null })).shows_logs());
    }

    #[test]
    fn a_commit_is_a_revision_only_where_coolify_builds() {
        let sha = "9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c";
        let of = |pack: &str, commit: &str| {
            let app: Application =
                serde_json::from_value(json!({ "uuid": "a", "build_pack": pack, "git_repository": "a/b" }))
                    .expect("an application");
            row(json!({ "deployment_uuid": "d", "commit": commit })).of(&app).revision
        };
        assert_eq!(of("nixpacks", sha).as_deref(), Some(sha));
        assert_eq!(of("nixpacks", "HEAD"), None);
        assert_eq!(of("dockerimage", sha), None);
        // What the log says that was read goes before what was asked for.
        let app: Application =
            serde_json::from_value(json!({ "uuid": "a", "build_pack": "nixpacks", "git_repository": "a/b" }))
                .expect("an application");
        let other = "d".repeat(40);
        for (line, brought) in [
            (format!("Importing a/b:main (commit sha {other}) to /artifacts/x."), other.as_str()),
            (
                format!("image found (x:{other}) with the same Git Commit SHA. Build step skipped."),
                other.as_str(),
            ),
            ("Importing a/b:main (commit sha HEAD) to /artifacts/x.".to_owned(), sha),
            // What a build prints is no word of Coolify's.
            (format!("echo (commit sha {other})"), sha),
        ] {
            let logs = json!([{ "output": line }]).to_string();
            let row = row(json!({ "deployment_uuid": "d", "commit": sha, "logs": logs })).of(&app);
            assert_eq!(row.revision.as_deref(), Some(brought), "{line}");
        }
    }
}
