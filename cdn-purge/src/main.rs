//! Purges what a release changed from the edge, and proves that the edge serves the new build.

mod args;
mod coverage;
mod drivers;
mod page;
mod plan;
mod proof;
mod purge;
mod select;
mod send;
mod settings;

use std::process::ExitCode;
use std::time::Duration;

use args::Args;
use coverage::Compared;
use http_client::Client;
use serde_json::json;
use settings::Settings;
use step::{Answer, Common, Context, Failure, Outcome, Program, Run, Setting};

/// How we call ourselves to others.
const NAME: &str = concat!("cdn-purge/", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        cdn-purge --env production --release 1.2.0                  purge the environment's pages; each must serve 1.2.0 then
        cdn-purge --env production https://shop.example/sale        this page alone; it must serve what the origin serves
        cdn-purge --env production --tag products --plan            what a purge by tag would send, and how long it takes
        cdn-purge --env production --sitemap https://shop.example/sitemap.xml --remaining rest.txt
        ... | deploy-coolify deploy | cdn-purge | notify            in a release";
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        self.ready.then_some("ready")
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = Settings::read(&run.context)?;
        if self.ready {
            return ready(run, &settings);
        }
        purge::run(run, &settings, self)
    }

    fn answer(&self, _context: &Context) -> Result<Answer, Failure> {
        Err(Failure::bug("cdn-purge has no questions"))
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let compared = checked(context, &settings)?;
        let value = json!({ "pages": settings.public_urls, "hosts": compared.hosts });
        Ok(Answer::new(compared.said, value))
    }
}

/// What can be told without a purge: whether the vendor takes the token, and whether its zone covers the pages.
fn checked(context: &Context, settings: &Settings) -> Result<Compared, Failure> {
    let hosts = coverage::hosts(&settings.public_urls);
    let checked = settings.driver.check(&Client::new(context, NAME), &hosts)?;
    coverage::compare(checked, &settings.public_urls)
}

/// What a release's certificate says of the edge.
fn ready(run: &mut Run, settings: &Settings) -> Result<Outcome, Failure> {
    let seen = checked(&run.context, settings)?.said.trim().replace('\n', "; ");
    let driver = run.context.settings.value::<String>("driver")?;
    run.set("edge", facts::Edge { driver, seen: seen.clone() })?;
    Ok(Outcome::unchanged(seen))
}
