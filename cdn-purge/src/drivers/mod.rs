//! The edges that can be purged, one file each. What an edge answers to a purge proves nothing: that is for the pages to say.

mod cloudflare;
mod http;

use http_client::{Client, Lost, Reply};
use step::{Acted, Failure, Permit};
use url::Url;

use crate::args::{Driver, Settings};

/// An edge's way of purging.
pub trait Purge {
    /// Asks the edge to forget these pages. Doing it twice is harmless.
    fn purge(&self, permit: &Permit, pages: &[Url]) -> Result<(), Failure>;
    /// Whether the edge can be asked; a sentence for people.
    fn check(&self, settings: &Settings) -> Result<String, Failure>;
}

/// The driver of the settings.
pub fn of<'a>(driver: &'a Driver, client: &'a Client) -> Box<dyn Purge + 'a> {
    match driver {
        Driver::Http(settings) => Box::new(http::Http { settings, client }),
        Driver::Cloudflare(settings) => Box::new(cloudflare::Cloudflare { settings, client }),
    }
}

/// No answer to a purge: it may have been carried out, and running it again is harmless.
fn unanswered(answer: Result<Reply, Lost>, whose: &str) -> Result<Reply, Failure> {
    answer.map_err(|lost| {
        let acted = if lost.sent { Acted::Unknown } else { Acted::No };
        Failure::temporary("purge-unanswered", format!("{whose} does not answer: {}", lost.why)).acted(acted)
    })
}
