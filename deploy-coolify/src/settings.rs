//! The settings: `[deploy-coolify]` of release.toml and what the command line says over it.

use std::time::Duration;

use address::BaseUrl;
use image::Template;
use step::{ADDRESS, Context, Failure, Form, PAGE, Secret, Setting, SettingKind as Type};
use web_page::Marker;

use crate::args::{Args, Wait};

/// The settings of `[deploy-coolify]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("url", Type::Form(&ADDRESS), "Coolify's address").example("https://coolify.example").required(),
    Setting::new("token", Type::Secret("COOLIFY_TOKEN"), "Coolify's token"),
    Setting::new(
        address::CLEARTEXT,
        Type::Flag,
        "the token (and the registry's password) may go over plain HTTP to another machine",
    )
    .default("false"),
    Setting::new(
        "applications",
        Type::List(&Type::Form(&NAME)),
        "Coolify's uuids of the applications; or set coolify_tag",
    )
    .example("g0sk4w8kc8s0o4ggcwk0c4k8"),
    Setting::new("coolify_tag", Type::Text, "a tag in Coolify that the applications have").example("shop"),
    Setting::new("max_targets", Type::Whole(1, 100_000), "more applications and servers are refused")
        .default("10"),
    Setting::new(
        "image",
        Type::List(&Type::Text),
        "template of the image, or one for each repository, with `{version}`, `{tag}`, `{commit}`",
    )
    .otherwise("image of [product]")
    .example("registry.example/shop:{tag}"),
    Setting::new(
        "registry",
        Type::Text,
        "the registry's address: the image is waited for there, and its way back is looked at",
    )
    .otherwise("the registry is not asked")
    .example("https://registry.example"),
    Setting::new("registry_user", Type::Text, "who asks the registry")
        .otherwise("it is asked without a password")
        .example("rilis"),
    Setting::new("registry_password", Type::Secret("REGISTRY_PASSWORD"), "the registry's password"),
    Setting::new("probe_urls", Type::List(&Type::Form(&PAGE)), "pages past the edge's cache")
        .otherwise("public_urls")
        .example("https://shop.example/api/health"),
    Setting::new("status", Type::Whole(100, 599), "what a page must answer").default("200"),
    Setting::new(
        "body",
        Type::Text,
        "what a page must hold; it may have `{version}` ..., which must end there in the page too",
    )
    .example("{version}"),
    Setting::new("successes", Type::Whole(1, 1_000_000), "how often each page must be right in a row")
        .default("2"),
    Setting::new("bake", Type::Time, "for how long they must be right").default("10s"),
    Setting::new("health_timeout", Type::Time, "how long they may take until they are").default("60s"),
    Setting::new(
        "proof",
        Type::Word(&["pages", "coolify"]),
        "what proves that a build runs; coolify is for what has no pages",
    )
    .default("pages"),
    Setting::new("interval", Type::Time, "between two questions").default("3s"),
    Setting::new(
        "stall",
        Type::Time,
        "a deployment in progress that shows nothing for so long is given up; `--stall`",
    )
    .default("10m"),
    Setting::new("attach_window", Type::Time, "how long a push's deployment may take to appear; `--window`")
        .default("60s"),
    Setting::new("auto_rollback", Type::Flag, "go back to the previous build, once, if the new one has replaced it and is unhealthy; `--auto-rollback`").default("false"),
    Setting::new("keep_auto_deploy", Type::Flag, "leave auto-deploy on in a rollback; `--keep-auto-deploy`").default("false"),
    Setting::new("cancel", Type::Flag, "cancel what was started here when it stalls, the time is over or a signal comes; `--cancel`").default("false"),
    Setting::new("tested_in", Type::Text, "the environment where candidates are tested").default("staging"),
    Setting::new("soak", Type::Time, "how long a candidate must have run there").default("10m"),
];

/// Coolify's identifiers.
const NAME: Form = Form {
    name: "a uuid of Coolify's: letters, digits, - _ .",
    pattern: "^[A-Za-z0-9_.-]+$",
    fits: |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
};

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
        let time = |key| settings.value::<Duration>(key).map(|time| time.min(LONGEST));
        let (applications, coolify_tag) = selection(settings)?;
        Ok(Settings {
            url: BaseUrl::with_secret(settings, "url", &settings.value::<String>("url")?)?
                .without(&["/api/v1", "/api"])
                .to_string(),
            token: settings.need_secret("token", "COOLIFY_TOKEN")?,
            applications,
            coolify_tag,
            meant_targets: wait.max_targets,
            max_targets: wait.max_targets.map_or_else(|| settings.value("max_targets"), Ok)?,
            images: images(settings)?,
            registry: registry(settings)?,
            probe_urls: probe_urls.unwrap_or_else(|| public_urls.clone()),
            public_urls,
            marker: Marker::of(settings)?,
            status: settings.value("status")?,
            body: settings.text("body")?.filter(|text| !text.is_empty()),
            proof: proof(settings)?,
            interval: time("interval")?,
            successes: settings.value("successes")?,
            bake: time("bake")?,
            health_timeout: time("health_timeout")?,
            stall: wait.stall.map_or_else(|| time("stall"), |stall| Ok(stall.min(LONGEST)))?,
            attach_window: time("attach_window")?,
            auto_rollback: settings.value("auto_rollback")?,
            keep_auto_deploy: settings.value("keep_auto_deploy")?,
            cancel: wait.cancel || settings.value("cancel")?,
            hidden_log: wait.hidden_log,
            tested_in: settings.value("tested_in")?,
            soak: time("soak")?,
        })
    }
}

/// The applications by their uuids, or by a tag.
fn selection(settings: &step::Settings) -> Result<(Vec<String>, Option<String>), Failure> {
    let mut applications: Vec<String> = settings.list("applications")?;
    let tag = settings.text("coolify_tag")?.filter(|t| !t.is_empty());
    if let Some(tag) = tag.as_ref().filter(|tag| !(NAME.fits)(tag)) {
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
    let words = [("pages", Proof::Pages), ("coolify", Proof::Coolify)];
    Ok(settings.choice("proof", &words)?.unwrap_or(Proof::Pages))
}

/// Why a template cannot be filled.
pub fn sentence(template: &str, why: &Template) -> String {
    match why {
        Template::Unknown(name) => {
            format!("unknown placeholder {{{name}}}; it may have {{version}}, {{tag}} and {{commit}}")
        }
        Template::Missing("version") => format!("`{template}` needs the version: give --release VERSION"),
        Template::Missing(fact) => {
            format!("`{template}` needs the {fact}, which the document does not have (tag-rc writes it)")
        }
    }
}
