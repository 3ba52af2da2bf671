//! The list behind Supabase's API (PostgREST): asked page by page until as many rows came as were announced. A key goes into `apikey`; only an
//! old one, which is a JWT, into `Authorization` besides.

use address::BaseUrl;
use http_client::{Call, Client};
use serde_json::Value;
use step::{Context, Failure, Permit, Secret, Settings};

use super::answer::{Page, Said, page, refusal};
use super::rows::{ALL, COLUMNS, Raw};
use super::source::{Added, Asked, RESERVE, Table, Trouble};

/// What we call ourselves: Supabase refuses secret keys of what looks like a browser.
const AGENT: &str = concat!("release-gate/", env!("CARGO_PKG_VERSION"));
/// So many rows are asked for at once; hosted projects give no more.
const PAGE: usize = 1000;
/// The most of one page, in bytes.
const BODY: u64 = 8 << 20;

/// A project.
#[derive(Debug)]
pub struct Supabase {
    base: BaseUrl,
    key: Secret,
    pub table: Table,
}

impl Supabase {
    /// As the settings say.
    pub fn read(settings: &Settings, table: Table) -> Result<Self, Failure> {
        const URL: &str = "checklist.url";
        let base =
            BaseUrl::of(settings, URL, &settings.value::<String>(URL)?)?.without(&["/rest/v1", "/rest"]);
        address::guarded(settings, URL, "checklist.cleartext", base.as_str())?;
        let key = settings.need_secret("checklist.key", "SUPABASE_KEY")?;
        let is_usable = key.expose().bytes().all(|b| b.is_ascii_graphic());
        let odd = || {
            Failure::config(
                "secret",
                "the key of the checklist has a blank or a line end in it: copy it once more",
            )
        };
        if is_usable { Ok(Supabase { base, key, table }) } else { Err(odd()) }
    }

    /// For people.
    pub fn place(&self) -> String {
        format!("{} of {}", self.table, self.base)
    }

    /// All rows of a candidate.
    pub fn ask(&self, context: &Context, tag: &str) -> Asked<Vec<Raw>> {
        let client = Client::new(context, AGENT).reserving(RESERVE);
        let (mut rows, mut announced, mut room) = (Vec::new(), None, ALL);
        loop {
            let reply = match client.persist_page(&self.question(tag, rows.len()), BODY.min(room))? {
                Ok(reply) => reply,
                Err(lost) => return Ok(Err(self.lost(&lost))),
            };
            if reply.cut {
                let why =
                    format!("a page of {} is longer than 8 MiB, or all are longer than 64 MiB", self.table);
                return Ok(Err(Trouble::lasting(why)));
            }
            room = room.saturating_sub(reply.body.len() as u64);
            let body = String::from_utf8_lossy(&reply.body);
            let said = Said { status: reply.status, range: reply.header("content-range"), body: &body };
            let Page { rows: more, total } = match page(&said, &self.table, rows.len()) {
                Ok(page) => page,
                Err(trouble) => return Ok(Err(trouble)),
            };
            if announced.is_some_and(|announced| announced != total) {
                return Ok(Err(Trouble::passing(format!("{} has changed while it was read", self.table))));
            }
            announced = Some(total);
            rows.extend(more);
            if rows.len() >= total {
                return Ok(Ok(rows));
            }
        }
    }

    /// Makes rows, once. What is there already is left alone.
    pub fn add(&self, context: &Context, permit: &Permit, rows: &Value) -> Result<Added, Failure> {
        let url = format!("{}?on_conflict=candidate,item", self.url());
        let call = self.call("POST", url).header("Content-Profile", &self.table.schema).json(rows);
        let call = call.header("Prefer", "resolution=ignore-duplicates,return=representation");
        let client = Client::new(context, AGENT);
        let reply = match client.change(permit, &call)? {
            Ok(reply) => reply,
            Err(lost) if lost.sent => return Ok(Added::Unclear(self.lost(&lost))),
            Err(lost) => return Ok(Added::Refused(self.lost(&lost))),
        };
        let said = Said { status: reply.status, range: None, body: &reply.body };
        Ok(match reply.status {
            200 | 201 => Added::Said,
            408 => Added::Unclear(refusal(&said, &self.table)),
            // Turned away before anything was done.
            400..500 => Added::Refused(refusal(&said, &self.table)),
            _ => Added::Unclear(refusal(&said, &self.table)),
        })
    }

    fn url(&self) -> String {
        format!("{}/rest/v1/{}", self.base, self.table.name)
    }

    /// The tag is letters, digits, dots and dashes: nothing that a URL or PostgREST reads.
    fn question(&self, tag: &str, from: usize) -> Call {
        let columns = COLUMNS.join(",");
        let which = format!("select={columns}&candidate=eq.{tag}&order=item&limit={PAGE}&offset={from}");
        let call = self.call("GET", format!("{}?{which}", self.url()));
        call.header("Accept-Profile", &self.table.schema).header("Prefer", "count=exact")
    }

    fn call(&self, method: &str, url: String) -> Call {
        let key = self.key.expose();
        let call = Call::new(method, url).header("apikey", key).header("Accept", "application/json");
        if key.starts_with("eyJ") { call.header("Authorization", format!("Bearer {key}")) } else { call }
    }

    fn lost(&self, lost: &http_client::Lost) -> Trouble {
        let why = format!("{} does not answer: {}", self.base, lost.why);
        if lost.distrusted { Trouble::lasting(why) } else { Trouble::passing(why) }
    }
}
