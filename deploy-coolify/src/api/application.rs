//! An application as Coolify describes it: only the named fields of an answer that holds much more.

use serde::{Deserialize, Deserializer};

use super::deployment::{loose_bool, loose_text};

/// What a deployment of the application is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// An image of a registry, by tag.
    #[default]
    Image,
    /// A commit, which Coolify builds.
    Git,
    /// A Dockerfile typed into Coolify: no revision tells its builds apart.
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
    #[serde(deserialize_with = "word")]
    pub uuid: String,
    #[serde(default, deserialize_with = "word")]
    pub name: String,
    #[serde(default, deserialize_with = "word")]
    pub build_pack: String,
    /// `state:health`, as Coolify says.
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    /// The image's repository.
    #[serde(default, rename = "docker_registry_image_name", deserialize_with = "word")]
    pub image: String,
    /// The tag that the next deployment brings.
    #[serde(default, rename = "docker_registry_image_tag", deserialize_with = "word")]
    pub tag: String,
    /// The commit that it is pinned to, or `HEAD`.
    #[serde(default, rename = "git_commit_sha", deserialize_with = "word")]
    pub pin: String,
    #[serde(default, rename = "git_branch", deserialize_with = "word")]
    pub branch: String,
    #[serde(default, deserialize_with = "word")]
    git_repository: String,
    #[serde(default, deserialize_with = "word")]
    dockerfile: String,
    #[serde(default, deserialize_with = "word")]
    watch_paths: String,
    #[serde(default, deserialize_with = "word")]
    fqdn: String,
    #[serde(default, deserialize_with = "word")]
    ports_mappings: String,
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

/// Null is as good as nothing.
fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(loose_text(from)?.unwrap_or_default())
}

impl Application {
    /// One that cannot be asked now.
    pub fn unheard(name: &str) -> Self {
        Application { name: name.to_owned(), status: "not to be asked".into(), ..Application::default() }
    }

    /// What it is made from.
    pub fn kind(&self) -> Kind {
        match self.build_pack.as_str() {
            "dockerimage" => Kind::Image,
            "dockerfile" if !self.dockerfile.is_empty() || self.git_repository.is_empty() => Kind::Inline,
            _ => Kind::Git,
        }
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
            && more.is_consistent_container_name_enabled != Some(true)
            && more.custom_internal_name.is_empty()
    }

    /// The public addresses; the port in Coolify's own is the container's.
    pub fn urls(&self) -> Vec<String> {
        let urls = self.fqdn.split(',').filter_map(|text| url::Url::parse(text.trim()).ok());
        urls.filter_map(|mut url| {
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
            ("running", _) => Opinion::Up,
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

    fn app(value: serde_json::Value) -> Application {
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
        let kind = |pack, repository: serde_json::Value, file: serde_json::Value| {
            app(json!({ "uuid": "a", "build_pack": pack, "git_repository": repository, "dockerfile": file }))
                .kind()
        };
        assert_eq!(kind("dockerimage", json!(null), json!(null)), Kind::Image);
        assert_eq!(kind("nixpacks", json!("a/b"), json!(null)), Kind::Git);
        assert_eq!(kind("dockerfile", json!("a/b"), json!(null)), Kind::Git);
        assert_eq!(kind("dockerfile", json!("a/b"), json!("FROM x")), Kind::Inline);
    }
}
