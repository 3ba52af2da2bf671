//! The edges that can be purged, one file each. A driver knows what a vendor takes, how a request is written and what an answer
//! means; it sends nothing itself. What an edge answers to a purge proves nothing: that is for the pages to say.

mod bunny;
mod cloudflare;
mod cloudfront;
mod fastly;
mod http;
mod sigv4;

use std::time::Duration;

use address::BaseUrl;
use http_client::{Call, Client, Lost, Reply};
use jiff::Timestamp;
use serde_json::Value;
use step::{Acted, Failure, Settings};

use crate::coverage::Checked;
use crate::select::Kind;
use crate::send::batch::Size;

/// Whether copies are dropped, or served once more while the edge asks the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Soft,
    Hard,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Mode::Soft => "soft",
            Mode::Hard => "hard",
        }
    }
}

/// What a vendor takes, for one kind of selector.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What one request may hold.
    pub size: Size,
    /// Whether the rate counts selectors; else it counts requests.
    pub per_item: bool,
    /// So many at once.
    pub burst: f64,
    /// And then so many a second.
    pub rate: f64,
    /// Requests at the same time.
    pub workers: usize,
    /// What a request takes, roughly: for the estimate alone.
    pub takes: Duration,
}

impl Limits {
    /// Without a rate.
    pub fn unlimited(size: Size, workers: usize, takes: Duration) -> Self {
        Limits { size, per_item: false, burst: f64::INFINITY, rate: f64::INFINITY, workers, takes }
    }
}

/// One request's worth of selectors.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub kind: Kind,
    pub mode: Mode,
    pub items: &'a [String],
    /// The run, and which time in it: the same again is the same purge.
    pub reference: &'a str,
    pub now: Timestamp,
}

/// What an answer to a purge means.
#[derive(Debug)]
pub enum Verdict {
    Accepted(Receipt),
    /// Too much in one request: half of it may pass.
    TooLarge(Failure),
    /// Not now; what the vendor said.
    Busy(String),
    Refused(Failure),
}

/// What a vendor gives for a purge that it has accepted.
#[derive(Debug, Default)]
pub struct Receipt {
    pub id: Option<String>,
    /// It is carried out, says the vendor.
    pub completed: bool,
    /// How many objects went, where the cache counts.
    pub objects: Option<u64>,
}

/// A vendor's way of purging. Doing it twice is harmless.
pub trait Driver: Sync {
    /// Whose edge it is, for messages.
    fn whose(&self) -> &'static str;
    /// Whether it is a cache of one's own: then every address of its name is told.
    fn is_ours(&self) -> bool {
        false
    }
    /// What it takes of this kind; `None` when it has no such purge.
    fn limits(&self, kind: Kind) -> Option<Limits>;
    /// Whether it can purge this kind softly.
    fn soft(&self, kind: Kind) -> bool;
    /// The requests that carry out an order, one after the other.
    fn calls(&self, order: &Order) -> Vec<Call>;
    /// What an answer means.
    fn verdict(&self, reply: &Reply) -> Verdict;
    /// How to ask whether an accepted purge has been carried out; `None` when the vendor has no such question.
    fn progress(&self, _id: &str, _now: Timestamp) -> Option<Call> {
        None
    }
    /// Whether that is so, by the answer.
    fn is_completed(&self, _reply: &Reply) -> bool {
        true
    }
    /// Whether the edge can be asked, and which hosts its zone covers, as far as that is told without a purge. `hosts` are the
    /// pages' own: where a list of the vendor's does not end, only they are looked for.
    fn check(&self, client: &Client, hosts: &[String]) -> Result<Checked, Failure>;
}

/// The driver of the settings. `host` is the environment's first one.
pub fn read(settings: &Settings, host: &str) -> Result<Box<dyn Driver>, Failure> {
    Ok(match settings.value::<String>("driver")?.as_str() {
        "http" => Box::new(http::Http::read(settings, host)?),
        "cloudflare" => Box::new(cloudflare::Cloudflare::read(settings)?),
        "bunny" => Box::new(bunny::Bunny::read(settings)?),
        "fastly" => Box::new(fastly::Fastly::read(settings)?),
        "cloudfront" => Box::new(cloudfront::CloudFront::read(settings)?),
        other => {
            let known = "http, cloudflare, bunny, fastly and cloudfront are";
            return Err(settings.wrong("driver", &format!("`{other}` is not known; {known}")));
        }
    })
}

/// Where an API is: the setting `url`, else the vendor's own.
fn api(settings: &Settings, default: &str) -> Result<BaseUrl, Failure> {
    let url = settings.text("url")?.unwrap_or_else(|| default.to_owned());
    BaseUrl::with_secret(settings, "url", &url)
}

/// No answer to a purge: it may have been carried out, and running it again is harmless.
pub fn unanswered(lost: &Lost, whose: &str) -> Failure {
    let acted = if lost.sent { Acted::Unknown } else { Acted::No };
    Failure::temporary("purge-unanswered", format!("{whose} does not answer: {}", lost.why)).acted(acted)
}

/// One authorised read.
fn asked(client: &Client, call: &Call, whose: &str) -> Result<Reply, Failure> {
    client.persist(call)?.map_err(|lost| unanswered(&lost, whose))
}

/// The vendor has trouble, or too much to do, when it was only asked.
fn busy(whose: &str, status: u16) -> Failure {
    Failure::temporary("purge-refused", format!("{whose} answers with HTTP {status}"))
}

/// The texts under this name in a list of an answer.
fn names(list: &Value, name: &str) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(|entry| entry[name].as_str()).map(str::to_owned).collect()
}

/// A token that a vendor does not take.
fn bad_token(whose: &str, needs: &str) -> Failure {
    Failure::config("token", format!("{whose} does not take the token: {needs}"))
}

/// A purge that a vendor refuses, with its own words.
fn refused(whose: &str, reply: &Reply) -> Failure {
    let message = format!("{whose} refuses the purge (HTTP {})", reply.status);
    Failure::failed("purge-refused", message).cause(words(reply))
}

/// What an answer says in its body: the first words of it.
fn words(reply: &Reply) -> String {
    let text = |value: &Value| {
        let known = ["Message", "message", "msg", "detail", "reason", "error"];
        known.into_iter().find_map(|key| value[key].as_str().map(str::to_owned))
    };
    let body = reply.json().as_ref().and_then(text).unwrap_or_else(|| reply.body.trim().to_owned());
    step::excerpt(&body, 300)
}

/// The vendor has trouble, or too much to do.
fn is_busy(status: u16) -> bool {
    status == 429 || status >= 500
}
