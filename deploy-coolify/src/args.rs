//! The command line and the settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure, Marker, Run, Secret};

/// The keys of `[deploy-coolify]`.
pub const KEYS: &[&str] =
    &["url", "token_file", "applications", "image", "probe_urls", "interval", "successes", "health_timeout"];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is configured, deployed and answering (this is what happens without a subcommand)
    Status,
    /// Write down what runs, before anything changes
    Observe {
        /// Open a rollback's document: what is left, where it goes back to, and since when it went wrong
        #[arg(long)]
        rollback: bool,
        /// The document of the run that is rolled back, finished or failed; else Coolify's history is asked
        #[arg(long, value_name = "FILE", requires = "rollback")]
        of: Option<PathBuf>,
        /// Since when the data is wrong, RFC 3339; else the start of the deployment that is rolled back
        #[arg(long, value_name = "TIME", requires = "rollback", value_parser = instant)]
        incident_at: Option<String>,
    },
    /// Deploy the document's build, wait, and prove that it answers
    Deploy {
        /// Deploy to production although nothing says what ran before; the reason is kept
        #[arg(long, value_name = "REASON")]
        no_previous: Option<String>,
    },
    /// Deploy the build before, wait, and prove that it answers
    Rollback,
}

impl Command {
    /// The subcommand's word.
    pub fn word(&self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Observe { .. } => "observe",
            Command::Deploy { .. } => "deploy",
            Command::Rollback => "rollback",
        }
    }
}

impl Args {
    /// What is to be done; without a word, show where things stand.
    pub fn command(&self) -> &Command {
        self.command.as_ref().unwrap_or(&Command::Status)
    }
}

fn instant(text: &str) -> Result<String, String> {
    let at: jiff::Timestamp =
        text.parse().map_err(|_| "a time looks like 2026-11-24T12:00:00Z".to_owned())?;
    Ok(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Where Coolify is, which applications, which image, and how a build is proven.
#[derive(Debug)]
pub struct Settings {
    /// The base URL, without `/api/v1`.
    pub url: String,
    pub token: Secret,
    /// Their uuids.
    pub applications: Vec<String>,
    /// The image with placeholders.
    pub image: String,
    /// The pages that people see.
    pub public_urls: Vec<String>,
    /// The pages that decide whether the build answers; past the edge's cache.
    pub probe_urls: Vec<String>,
    pub marker: Option<Marker>,
    /// How often Coolify and the pages are asked while waiting.
    pub interval: Duration,
    /// How many right answers in a row prove a page.
    pub successes: u32,
    /// How long a finished deployment may take to answer right.
    pub health_timeout: Duration,
}

impl Settings {
    /// Reads the settings of the environment.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        context.environment()?;
        let settings = &context.settings;
        let public_urls = settings.shared_list("public_urls")?;
        let probe_urls = Some(settings.list("probe_urls")?).filter(|l| !l.is_empty());
        let applications = settings.list("applications")?;
        if applications.is_empty() {
            return Err(settings.missing("applications"));
        }
        let image = match settings.text("image")? {
            Some(image) => Some(image),
            None => settings.product("image")?,
        };
        Ok(Settings {
            url: base(&settings.need("url")?).map_err(|why| settings.wrong("url", &why))?,
            token: settings.need_secret("token", "COOLIFY_TOKEN")?,
            applications,
            image: image.ok_or_else(|| settings.missing("image"))?,
            probe_urls: probe_urls.unwrap_or_else(|| public_urls.clone()),
            public_urls,
            marker: Marker::of(settings)?,
            interval: settings.duration("interval")?.unwrap_or(Duration::from_secs(3)),
            successes: settings.number("successes")?.unwrap_or(2).max(1),
            health_timeout: settings.duration("health_timeout")?.unwrap_or(Duration::from_secs(60)),
        })
    }

    /// A template that does not fit the document: a wrong placeholder, or a fact that is not there.
    pub fn wrong_image(&self, run: &Run, why: &crate::plan::Template) -> Failure {
        match why {
            crate::plan::Template::Unknown(name) => {
                let known = "it may have {version}, {tag} and {commit}";
                run.context.settings.wrong("image", &format!("unknown placeholder {{{name}}}; {known}"))
            }
            crate::plan::Template::Missing(fact) => {
                let message =
                    format!("the image {} needs the {fact}, which the document does not have", self.image);
                Failure::refused("fact-missing", message)
            }
        }
    }
}

/// Coolify's base URL as people write it, without what they add to it.
fn base(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let text = text.strip_suffix("/api/v1").or_else(|| text.strip_suffix("/api")).unwrap_or(text);
    let text = text.trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['@', '?', '#']) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` must be an http or https URL without user, query or fragment")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_taken_as_people_write_it() {
        for text in [
            "https://c.example",
            " https://c.example/ ",
            "https://c.example/api/v1/",
            "https://c.example/api",
        ] {
            assert_eq!(base(text), Ok("https://c.example".into()), "{text}");
        }
        for text in
            ["c.example", "ftp://c.example", "https://u:p@c.example", "https://c.example/?a=b", "https://"]
        {
            assert!(base(text).is_err(), "{text}");
        }
    }
}
