//! An application as Coolify describes it: only the named fields of an answer that holds much more.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::words::{id, loose_bool, loose_text, word};

/// What Coolify calls the repository of an application that is built from none.
const PLACEHOLDER: &str = "coollabsio/coolify";
/// The fields that say what the next deployment brings.
const TAG: &str = "docker_registry_image_tag";
const NAME: &str = "docker_registry_image_name";
const PIN: &str = "git_commit_sha";
/// What the name of an image ends with when somebody has given its digest.
const BY_DIGEST: &str = "@sha256";

/// What a deployment of the application is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// An image of a registry, by tag.
    #[default]
    Image,
    /// A commit, which Coolify builds.
    Git,
    /// A Dockerfile typed into Coolify, or no source at all: no revision tells its builds apart.
    Inline,
}

/// What Coolify says of an application's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// They run, and nothing speaks against them.
    Up,
    /// They have exited, restart again and again, or their health check fails.
    Down,
    /// Starting, paused, or a word that is not known.
    Unclear,
}

/// An application.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Application {
    #[serde(deserialize_with = "id")]
    pub uuid: String,
    #[serde(default, deserialize_with = "word")]
    pub name: String,
    #[serde(default, deserialize_with = "word")]
    pub build_pack: String,
    /// `state:health`, as Coolify says.
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    /// The image's repository, as it was written.
    #[serde(default, deserialize_with = "word")]
    docker_registry_image_name: String,
    /// Its tag, as it was written.
    #[serde(default, deserialize_with = "word")]
    docker_registry_image_tag: String,
    /// The commit that it is pinned to, or `HEAD`.
    #[serde(default, rename = "git_commit_sha", deserialize_with = "word")]
    pub pin: String,
    #[serde(default, rename = "git_branch", deserialize_with = "word")]
    pub branch: String,
    #[serde(default, deserialize_with = "word")]
    git_repository: String,
    /// Not there for a token that may not see it, null where there is none.
    #[serde(default, deserialize_with = "seen")]
    dockerfile: Option<String>,
    #[serde(default, deserialize_with = "word")]
    watch_paths: String,
    #[serde(default, deserialize_with = "word")]
    fqdn: String,
    #[serde(default, deserialize_with = "word")]
    ports_mappings: String,
    #[serde(default, deserialize_with = "word")]
    custom_docker_run_options: String,
    #[serde(default, deserialize_with = "loose_text")]
    pub destination_id: Option<String>,
    /// Whether its server can be reached; `None` when this version does not say.
    #[serde(default, deserialize_with = "loose_bool")]
    pub server_status: Option<bool>,
    #[serde(default)]
    additional_servers_count: Option<u32>,
    #[serde(default)]
    restart_count: Option<u32>,
    #[serde(default)]
    last_restart_type: Option<String>,
    #[serde(default)]
    settings: Option<More>,
}

/// The settings that are part of an application since 4.2.0.
#[derive(Clone, Debug, Default, Deserialize)]
struct More {
    #[serde(default, deserialize_with = "loose_bool")]
    is_auto_deploy_enabled: Option<bool>,
    #[serde(default, deserialize_with = "loose_bool")]
    is_consistent_container_name_enabled: Option<bool>,
    #[serde(default, deserialize_with = "word")]
    custom_internal_name: String,
}

/// A key that is there, whatever its value.
fn seen<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    word(from).map(Some)
}

impl Application {
    /// Whether the token sees what only read:sensitive shows.
    pub fn shows_sensitive(&self) -> bool {
        self.dockerfile.is_some()
    }

    /// One that cannot be asked now.
    pub fn unheard(name: &str) -> Self {
        Application { name: name.to_owned(), status: "not to be asked".into(), ..Application::default() }
    }

    /// What it is made from. A Dockerfile that stands in Coolify goes before everything else, and a token without read:sensitive
    /// does not see it: but such an application has no repository of its own.
    pub fn kind(&self) -> Kind {
        let repository = self.git_repository.trim_end_matches(".git");
        let nowhere = repository.is_empty() || repository.eq_ignore_ascii_case(PLACEHOLDER);
        match self.build_pack.as_str() {
            _ if self.dockerfile.as_ref().is_some_and(|file| !file.is_empty()) => Kind::Inline,
            "dockerimage" => Kind::Image,
            _ if nowhere => Kind::Inline,
            _ => Kind::Git,
        }
    }

    /// The image's repository.
    pub fn image(&self) -> &str {
        let name = self.docker_registry_image_name.as_str();
        name.strip_suffix(BY_DIGEST).unwrap_or(name)
    }

    /// The tag that the next deployment brings; a digest has the form of a tag.
    pub fn tag(&self) -> String {
        let tag = &self.docker_registry_image_tag;
        if self.is_by_digest() { format!("sha256-{tag}") } else { tag.clone() }
    }

    /// Whether somebody has made it from a digest: then its name ends so, and its tag is the digest.
    fn is_by_digest(&self) -> bool {
        self.docker_registry_image_name.ends_with(BY_DIGEST)
    }

    /// The revision that the next deployment brings, as it is configured: a tag, or the commit it is pinned to.
    pub fn configured(&self) -> String {
        if self.kind() == Kind::Image { self.tag() } else { self.pin.clone() }
    }

    /// What has to be written, so that the next deployment brings this revision.
    pub fn fields_for(&self, revision: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        if self.kind() != Kind::Image {
            fields.insert(PIN.into(), json!(revision));
            return fields;
        }
        match revision.strip_prefix("sha256-") {
            Some(digest) if self.is_by_digest() => {
                fields.insert(TAG.into(), json!(digest));
            }
            _ => {
                fields.insert(TAG.into(), json!(revision));
                if self.is_by_digest() {
                    fields.insert(NAME.into(), json!(self.image()));
                }
            }
        }
        fields
    }

    /// What has to be written, so that everything is as it is now.
    pub fn fields_now(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if self.kind() != Kind::Image {
            let pin = if self.pin.is_empty() { "HEAD" } else { &self.pin };
            fields.insert(PIN.into(), json!(pin));
            return fields;
        }
        // An empty tag is stored as none.
        let tag = Some(&self.docker_registry_image_tag).filter(|tag| !tag.is_empty());
        fields.insert(TAG.into(), json!(tag));
        if self.is_by_digest() {
            fields.insert(NAME.into(), json!(self.docker_registry_image_name));
        }
        fields
    }

    /// How many servers besides its first one it runs on.
    pub fn extra_servers(&self) -> usize {
        self.additional_servers_count.unwrap_or_default() as usize
    }

    /// Whether a push deploys it; `None` when this version does not say.
    pub fn auto_deploys(&self) -> Option<bool> {
        match self.kind() {
            Kind::Git => self.settings.as_ref()?.is_auto_deploy_enabled,
            Kind::Image | Kind::Inline => Some(false),
        }
    }

    /// Whether only pushes that touch some paths deploy it.
    pub fn watches_paths(&self) -> bool {
        !self.watch_paths.is_empty()
    }

    /// Whether a deployment that fails leaves the old containers running. With fixed ports or names they are stopped first.
    pub fn keeps_old(&self) -> bool {
        let more = self.settings.clone().unwrap_or_default();
        self.ports_mappings.is_empty()
            && self.build_pack != "dockercompose"
            && !self.custom_docker_run_options.contains("--ip")
            && more.is_consistent_container_name_enabled != Some(true)
            && more.custom_internal_name.is_empty()
    }

    /// The addresses as Coolify has them.
    pub fn addresses(&self) -> Vec<url::Url> {
        self.fqdn.split(',').filter_map(|text| url::Url::parse(text.trim()).ok()).collect()
    }

    /// The public addresses; the port in Coolify's own is the container's.
    pub fn urls(&self) -> Vec<String> {
        self.addresses()
            .into_iter()
            .filter_map(|mut url| {
                url.set_port(None).ok()?;
                Some(url.to_string())
            })
            .collect()
    }

    /// What Coolify says of it, as far as that can be believed: right after a deployment it calls what runs unhealthy for some
    /// seconds, and later a changed health takes minutes to show.
    pub fn opinion(&self) -> Opinion {
        let crashes =
            self.restart_count.unwrap_or_default() > 0 && self.last_restart_type.as_deref() == Some("crash");
        let mut words = self.status.split([':', ' ', '(', ')']).filter(|w| !w.is_empty());
        let (state, health) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match (state, health) {
            _ if crashes => Opinion::Down,
            ("exited" | "degraded" | "restarting" | "dead", _) | ("running", "unhealthy") => Opinion::Down,
            // Without a health check nothing more is known; a word that Coolify is not known to say tells nothing.
            ("running", "" | "healthy" | "unknown" | "excluded") => Opinion::Up,
            _ => Opinion::Unclear,
        }
    }

    /// Whether Coolify says plainly that nothing runs, which no delay explains.
    pub fn is_gone(&self) -> bool {
        self.opinion() == Opinion::Down && !self.status.starts_with("running")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn app(value: Value) -> Application {
        serde_json::from_value(value).expect("an application")
    }

    #[test]
    fn a_status_is_an_opinion() {
        for (status, opinion) in [
            ("running:healthy", Opinion::Up),
            ("running:unknown", Opinion::Up),
            ("running (healthy)", Opinion::Up),
            ("running:healthy:excluded", Opinion::Up),
            ("running:unhealthy", Opinion::Down),
            ("exited:unhealthy", Opinion::Down),
            ("degraded:excluded", Opinion::Down),
            ("restarting:unknown", Opinion::Down),
            ("starting:unknown", Opinion::Unclear),
            ("running:starting", Opinion::Unclear),
            ("running:glowing", Opinion::Unclear),
            ("running", Opinion::Up),
            ("glowing", Opinion::Unclear),
            ("", Opinion::Unclear),
        ] {
            assert_eq!(app(json!({ "uuid": "a", "status": status })).opinion(), opinion, "{status}");
        }
        let crashing = json!({ "uuid": "a", "status": "running:healthy", "restart_count": 3, "last_restart_type": "crash" });
        assert_eq!(app(crashing).opinion(), Opinion::Down);
    }

    #[test]
    fn addresses_lose_the_containers_port() {
        let found = app(json!({ "uuid": "a", "fqdn": "https://shop.example:3000,http://b.example/x" }));
        assert_eq!(found.urls(), ["https://shop.example/", "http://b.example/x"]);
        assert!(app(json!({ "uuid": "a", "fqdn": null })).urls().is_empty());
    }

    #[test]
    fn kinds_are_told_apart() {
        for (pack, repository, file, kind) in [
            ("dockerimage", json!("coollabsio/coolify"), None, Kind::Image),
            ("dockerimage", json!(null), Some(json!(null)), Kind::Image),
            ("nixpacks", json!("a/b"), None, Kind::Git),
            ("dockerfile", json!("a/b"), Some(json!(null)), Kind::Git),
            ("dockerfile", json!("a/b"), None, Kind::Git),
            ("dockerfile", json!("a/b"), Some(json!("FROM x")), Kind::Inline),
            // Whatever the pack is called: Coolify looks for the Dockerfile first.
            ("nixpacks", json!("a/b"), Some(json!("FROM x")), Kind::Inline),
            // The key is hidden from a token without read:sensitive.
            ("dockerfile", json!("coollabsio/coolify"), None, Kind::Inline),
            ("dockerfile", json!("coollabsio/coolify.git"), None, Kind::Inline),
            ("dockerfile", json!("Coollabsio/Coolify"), None, Kind::Inline),
            ("dockerfile", json!("coollabsio/coolify"), Some(json!(null)), Kind::Inline),
            ("dockerfile", json!(null), None, Kind::Inline),
            ("dockerfile", json!(""), None, Kind::Inline),
            ("nixpacks", json!("coollabsio/coolify"), None, Kind::Inline),
            ("a-pack-of-tomorrow", json!("a/b"), None, Kind::Git),
            ("a-pack-of-tomorrow", json!(null), None, Kind::Inline),
            ("dockerfile", json!("coollabsio/coolify-examples"), None, Kind::Git),
        ] {
            let mut value = json!({ "uuid": "a", "build_pack": pack, "git_repository": repository });
            if let Some(file) = &file {
                value["dockerfile"] = file.clone();
            }
            assert_eq!(app(value).kind(), kind, "{pack} {repository} {file:?}");
        }
    }

    #[test]
    fn an_application_is_told_a_revision_in_its_own_form() {
        let of = |name: &str, tag: Value| {
            app(json!({ "uuid": "a", "build_pack": "dockerimage", "docker_registry_image_name": name,
                "docker_registry_image_tag": tag }))
        };
        let (digest, other) = ("a".repeat(64), "b".repeat(64));
        let plain = of("r.example/shop", json!("1.1.4"));
        assert_eq!((plain.image(), plain.tag()), ("r.example/shop", "1.1.4".into()));
        assert_eq!(Value::Object(plain.fields_for("1.2.0")), json!({ TAG: "1.2.0" }));
        let exact = format!("sha256-{other}");
        assert_eq!(Value::Object(plain.fields_for(&exact)), json!({ TAG: exact }));
        assert_eq!(Value::Object(plain.fields_now()), json!({ TAG: "1.1.4" }));
        // Made from a digest in Coolify: its name says so, and its tag is bare.
        let exact_one = of("nginx@sha256", json!(digest));
        assert_eq!((exact_one.image(), exact_one.tag()), ("nginx", format!("sha256-{digest}")));
        assert_eq!(Value::Object(exact_one.fields_for(&exact)), json!({ TAG: other }));
        assert_eq!(Value::Object(exact_one.fields_for("1.2.0")), json!({ TAG: "1.2.0", NAME: "nginx" }));
        assert_eq!(Value::Object(exact_one.fields_now()), json!({ TAG: digest, NAME: "nginx@sha256" }));
        // Never deployed: no tag at all, and none again.
        let new = of("r.example/shop", Value::Null);
        assert_eq!((new.tag(), Value::Object(new.fields_now())), (String::new(), json!({ TAG: null })));
        let git = app(
            json!({ "uuid": "a", "build_pack": "nixpacks", "git_repository": "a/b", "git_commit_sha": "" }),
        );
        assert_eq!(Value::Object(git.fields_now()), json!({ PIN: "HEAD" }));
        assert_eq!(Value::Object(git.fields_for("abc")), json!({ PIN: "abc" }));
    }
}
