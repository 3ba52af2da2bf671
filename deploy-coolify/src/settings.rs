//! The settings: `[deploy-coolify]` of release.toml and what the command line says over it.

use std::time::Duration;

use address::BaseUrl;
use step::{Context, Failure, Secret};
use web_page::Marker;

use crate::args::{Args, Wait};

/// The keys of `[deploy-coolify]`.
pub const KEYS: &[&str] = &[
    "url",
    "token_file",
    address::CLEARTEXT,
    "applications",
    "coolify_tag",
    "max_targets",
    "image",
    "registry",
    "registry_user",
    "registry_password_file",
    "probe_urls",
    "status",
    "body",
    "successes",
    "bake",
    "health_timeout",
    "proof",
    "interval",
    "stall",
    "attach_window",
    "auto_rollback",
    "keep_auto_deploy",
    "cancel",
    "tested_in",
    "soak",
];

/// Whoever waits longer than that waits for ever.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What proves that a build runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The public pages say so themselves.
    Pages,
    /// Coolify's word is enough: for what has no pages.
    Coolify,
}

/// Where the registry is, and who asks.
#[derive(Debug)]
pub struct Registry {
    /// Its base URL.
    pub url: String,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// Where Coolify is, which applications, which image, and how a build is proven.
#[derive(Debug)]
pub struct Settings {
    /// The base URL, without `/api/v1`.
    pub url: String,
    pub token: Secret,
    /// Their uuids.
    pub applications: Vec<String>,
    /// Or all that carry this tag in Coolify.
    pub coolify_tag: Option<String>,
    /// More applications and servers than this are not touched.
    pub max_targets: usize,
    /// What the command line said of that.
    pub meant_targets: Option<usize>,
    /// The images with placeholders, one for each application that has an image of its own; the first is the document's.
    pub images: Vec<String>,
    pub registry: Option<Registry>,
    /// The pages that people see.
    pub public_urls: Vec<String>,
    /// The pages that decide whether the build answers; past the edge's cache.
    pub probe_urls: Vec<String>,
    pub marker: Option<Marker>,
    /// The status that a page must have.
    pub status: u16,
    /// A text that a page must hold; `{version}`, `{tag}` and `{commit}` are filled.
    pub body: Option<String>,
    pub proof: Proof,
    /// How often Coolify and the pages are asked while waiting.
    pub interval: Duration,
    /// How many right answers in a row prove a page.
    pub successes: u32,
    /// For how long the answers must be right.
    pub bake: Duration,
    /// How long a finished deployment may take to answer right.
    pub health_timeout: Duration,
    /// How long a deployment in progress may be silent.
    pub stall: Duration,
    /// How long a push's deployment may take to appear.
    pub attach_window: Duration,
    pub auto_rollback: bool,
    pub keep_auto_deploy: bool,
    pub cancel: bool,
    /// Whether hidden entries of the log are shown.
    pub hidden_log: bool,
    /// The environment in which candidates are tested.
    pub tested_in: String,
    /// How long a candidate must have run there.
    pub soak: Duration,
}

impl Settings {
    /// Reads the settings of the environment; the command line lies over them.
    pub fn read(context: &Context, args: &Args) -> Result<Self, Failure> {
        context.environment()?;
        Settings::of(&context.settings, &args.command().wait().cloned().unwrap_or_default())
    }

    /// Those of another environment, as release.toml has them.
    pub fn at(context: &Context, environment: &str) -> Result<Self, Failure> {
        Settings::of(&context.settings.at(environment)?, &Wait::default())
    }

    fn of(settings: &step::Settings, wait: &Wait) -> Result<Self, Failure> {
        let public_urls = settings.shared_list("public_urls")?;
        let probe_urls = Some(settings.list("probe_urls")?).filter(|l| !l.is_empty());
        let seconds =
            |key, usual| settings.duration(key).map(|d| d.unwrap_or(Duration::from_secs(usual)).min(LONGEST));
        let (applications, coolify_tag) = selection(settings)?;
        Ok(Settings {
            url: BaseUrl::with_secret(settings, "url", &settings.need("url")?)?
                .without(&["/api/v1", "/api"])
                .to_string(),
            token: settings.need_secret("token", "COOLIFY_TOKEN")?,
            applications,
            coolify_tag,
            meant_targets: wait.max_targets,
            max_targets: wait.max_targets.or(settings.number("max_targets")?).unwrap_or(10),
            images: images(settings)?,
            registry: registry(settings)?,
            probe_urls: probe_urls.unwrap_or_else(|| public_urls.clone()),
            public_urls,
            marker: Marker::of(settings)?,
            status: settings.number("status")?.unwrap_or(200),
            body: settings.text("body")?.filter(|text| !text.is_empty()),
            proof: proof(settings)?,
            interval: seconds("interval", 3)?,
            successes: settings.number("successes")?.unwrap_or(2).max(1),
            bake: seconds("bake", 10)?,
            health_timeout: seconds("health_timeout", 60)?,
            stall: wait.stall.map_or_else(|| seconds("stall", 600), |stall| Ok(stall.min(LONGEST)))?,
            attach_window: seconds("attach_window", 60)?,
            auto_rollback: settings.flag("auto_rollback")?.unwrap_or_default(),
            keep_auto_deploy: settings.flag("keep_auto_deploy")?.unwrap_or_default(),
            cancel: wait.cancel || settings.flag("cancel")?.unwrap_or_default(),
            hidden_log: wait.hidden_log,
            tested_in: settings.text("tested_in")?.unwrap_or_else(|| "staging".into()),
            soak: seconds("soak", 600)?,
        })
    }
}

/// The applications by their uuids, or by a tag.
fn selection(settings: &step::Settings) -> Result<(Vec<String>, Option<String>), Failure> {
    let mut applications = settings.list("applications")?;
    let tag = settings.text("coolify_tag")?.filter(|t| !t.is_empty());
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if let Some(odd) = applications.iter().find(|uuid| !plain(uuid)) {
        return Err(settings.wrong("applications", &format!("`{odd}` is no uuid of Coolify's")));
    }
    if let Some(tag) = tag.as_ref().filter(|tag| !plain(tag)) {
        return Err(settings.wrong("coolify_tag", &format!("`{tag}` is no tag of Coolify's")));
    }
    match (applications.is_empty(), &tag) {
        (true, None) => Err(settings.missing("applications")),
        (false, Some(_)) => {
            Err(settings.wrong("coolify_tag", "name the applications or their tag, not both"))
        }
        _ => {
            // Twice the same would be deployed twice.
            let mut seen = std::collections::HashSet::new();
            applications.retain(|uuid| seen.insert(uuid.clone()));
            Ok((applications, tag))
        }
    }
}

fn images(settings: &step::Settings) -> Result<Vec<String>, Failure> {
    let own = settings.list("image")?;
    Ok(if own.is_empty() { settings.product("image")?.into_iter().collect() } else { own })
}

fn registry(settings: &step::Settings) -> Result<Option<Registry>, Failure> {
    let Some(text) = settings.text("registry")?.filter(|t| !t.is_empty()) else { return Ok(None) };
    let user = settings.text("registry_user")?;
    let password = match user {
        Some(_) => Some(settings.need_secret("registry_password", "REGISTRY_PASSWORD")?),
        None => None,
    };
    let url = match password {
        Some(_) => BaseUrl::with_secret(settings, "registry", &text)?,
        None => BaseUrl::of(settings, "registry", &text)?,
    };
    Ok(Some(Registry { url: url.to_string(), user, password }))
}

fn proof(settings: &step::Settings) -> Result<Proof, Failure> {
    match settings.text("proof")?.as_deref() {
        None | Some("pages") => Ok(Proof::Pages),
        Some("coolify") => Ok(Proof::Coolify),
        Some(other) => Err(settings.wrong("proof", &format!("`{other}` is neither pages nor coolify"))),
    }
}
