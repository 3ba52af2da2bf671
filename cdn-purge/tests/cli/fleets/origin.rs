//! The origin of all fleets: each page as it is before or after the release.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, RwLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use testkit::http::{Reply, Request};

use crate::fleets::fleet::{Fleet, Lie};

/// What the origin has of a fleet.
pub struct Kept {
    pub fleet: Fleet,
    pub new: bool,
    pub asked: usize,
}

/// A page.
pub fn served(fleets: &RwLock<HashMap<usize, Mutex<Kept>>>, request: &Request) -> Reply {
    let fleets = fleets.read().expect("fleets");
    let known = Fleet::of_path(&request.path).and_then(|(n, page)| Some((fleets.get(&n)?, page)));
    let Some((kept, page)) = known else {
        return Reply::text(404, "text/plain", "none");
    };
    let mut kept = kept.lock().expect("a fleet");
    kept.asked += 1;
    let new = kept.new && !(kept.fleet.lie == Lie::Rolling && kept.asked % 2 == 0);
    page_of(&kept.fleet, page, new, request)
}

fn page_of(fleet: &Fleet, page: usize, new: bool, request: &Request) -> Reply {
    let build = if new { "1.2.0" } else { "1.1.4" };
    let odd = if new { fleet.status.1 } else { fleet.status.0 };
    let status = if page + 1 == fleet.pages { odd } else { 200 };
    let reply = content(fleet, status, build, request);
    let life = if new { fleet.life.1 } else { fleet.life.0 };
    let reply = reply.with("Cache-Control", format!("public, max-age=0, {life}"));
    // Squid keeps nothing that has no date.
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let reply = reply.with("Date", date).with("X-Truth", build);
    let reply = if fleet.html { reply } else { reply.with("X-Release", build) };
    let reply = if fleet.terse { reply.with("X-Say", "x-varnish") } else { reply };
    let reply = if fleet.aged { reply.with("Age", if new { 1 } else { 100 }) } else { reply };
    let reply = if (300..400).contains(&status) { reply.with("Location", "/elsewhere") } else { reply };
    if fleet.vary.is_empty() { reply } else { reply.with("Vary", fleet.vary) }
}

fn content(fleet: &Fleet, status: u16, build: &str, request: &Request) -> Reply {
    if fleet.vary.contains("RSC") && request.header("rsc") == "1" {
        let row = format!("1:\"$Sreact.fragment\"\n0:{{\"P\":null,\"b\":\"{build}\",\"f\":[]}}\n");
        return Reply::text(status, "text/x-component", row);
    }
    let page = format!("<!doctype html><html data-build={build}><body>{}</body></html>", request.path);
    if fleet.packed && request.header("accept-encoding").contains("gzip") {
        let reply = Reply::text(status, "text/html; charset=utf-8", gzipped(&page));
        return reply.with("Content-Encoding", "gzip");
    }
    Reply::text(status, "text/html; charset=utf-8", page)
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("written");
    encoder.finish().expect("whole")
}
