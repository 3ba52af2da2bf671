//! A site whose release can be changed, its edges, and the program to purge them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::http::{Reply, Request, Server};
use testkit::varnish::Varnish;
use testkit::{Cloudflare, exchange};

pub const TOKEN: &str = "canary-cloudflare-q7Hd2Lx9";
pub const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

/// A site whose release can be changed, and a folder for the settings.
pub struct Site {
    pub release: Arc<Mutex<String>>,
    pub origin: Server,
    pub folder: tempfile::TempDir,
}

/// `/p/N` carries tags of its own, `/plain/N` says no build, `/fail` and `/rsc` are what their names say from 1.2.0 on.
fn page(release: &str, request: &Request) -> Reply {
    let path = request.path.as_str();
    let new = release != "1.1.4";
    let own = path.strip_prefix("/p/").map(|n| format!(",products,p-{n}")).unwrap_or_default();
    let tags = format!("all{own}");
    let html = |body: String| Reply::text(200, "text/html; charset=utf-8", body);
    let reply = match path {
        "/gone" if new => Reply::text(404, "text/html", "no such page"),
        "/broken" => html(format!("<script src=\"/_next/static/chunks/{release}.js\"></script>")),
        "/_next/static/chunks/1.1.4.js" => Reply::text(200, "application/javascript", "1"),
        _ if path.starts_with("/_next/static/") => Reply::text(404, "text/plain", "no such chunk"),
        "/rsc" if new => Reply::text(200, "text/x-component", "0:{}"),
        "/dynamic" => {
            return html(path.to_owned())
                .with("X-Release", release)
                .with("Cache-Control", "private, no-store");
        }
        "/sitemap.xml" => return Reply::text(200, "application/xml", sitemap(request, 3)),
        _ => html(format!("<html data-dpl-id=\"{release}\">{path}</html>")),
    };
    let reply = if path.starts_with("/plain/") { reply } else { reply.with("X-Release", release) };
    let reply = reply.with("Cache-Control", "public, s-maxage=3600").with("Cache-Tag", &tags);
    reply.with("Surrogate-Key", tags.replace(',', " ")).with("xkey", tags.replace(',', " "))
}

/// A sitemap of so many products.
pub fn sitemap(request: &Request, n: usize) -> String {
    let host = request.header("host");
    let urls: String =
        (0..n).map(|n| format!("<url><loc>http://{host}/p/{n}?a=1&amp;b=2</loc></url>\n")).collect();
    format!(
        "<?xml version=\"1.0\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{urls}</urlset>"
    )
}

impl Site {
    pub fn start() -> Self {
        let release = Arc::new(Mutex::new("1.1.4".to_owned()));
        let ours = Arc::clone(&release);
        let origin = Server::start(move |request| {
            let release = ours.lock().expect("a release").clone();
            page(&release, request)
        });
        Site { release, origin, folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn release(&self, version: &str) {
        version.clone_into(&mut self.release.lock().expect("a release"));
    }

    /// `edge` is where the pages are, `driver` what `[cdn-purge]` says.
    pub fn settings(&self, edge: &str, driver: &str) {
        let text = format!(
            "[product]\nname = \"shop\"\n[environment.production]\npublic_urls = [\"{edge}/\", \"{edge}/sale\"]\nmarker = \"X-Release\"\n\
             [cdn-purge]\nsettle = \"10s\"\nbake = \"60ms\"\nquiet_time = \"300ms\"\n{driver}\n"
        );
        std::fs::write(self.folder.path().join("release.toml"), text).expect("written");
    }

    pub fn varnish(&self) -> Varnish {
        let varnish = Varnish::start(self.origin.port(), self.origin.port());
        let edge = varnish.production();
        self.settings(
            &edge,
            &format!("driver = \"http\"\nendpoint = \"{edge}\"\norigin = \"{}\"", self.origin.url()),
        );
        varnish
    }

    pub fn cloudflare(&self) -> Cloudflare {
        let cloudflare = Cloudflare::start(ZONE, TOKEN, &self.origin.url());
        let api = cloudflare.api().url();
        self.settings(
            &cloudflare.edge().url(),
            &format!("driver = \"cloudflare\"\nzone = \"{ZONE}\"\nurl = \"{api}\""),
        );
        cloudflare
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdn-purge"));
        command.args(args).current_dir(self.folder.path()).env_clear().env("CLOUDFLARE_API_TOKEN", TOKEN);
        command
    }

    /// What is not going to be right is not waited for. (Whatever is right gets as long as a slow machine may need.)
    pub fn fails(&self, args: &[&str], document: &Value) -> (i32, Value, String) {
        let mut command = self.command(args);
        let done = exchange(command.env("RILIS_CDN_PURGE_SETTLE", "600ms"), Some(document));
        assert!(!format!("{}{}", done.1, done.2).contains(TOKEN));
        done
    }

    pub fn run(&self, args: &[&str], document: &Value) -> (i32, Value, String) {
        let done = exchange(&mut self.command(args), Some(document));
        assert!(!format!("{}{}", done.1, done.2).contains(TOKEN));
        done
    }
}

pub fn opened(version: &str) -> Value {
    json!({ "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": "release", "mode": "apply",
            "opened": "2026-11-24T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "environment": "production", "version": version } })
}

pub fn served(page: &str) -> String {
    testkit::sandbox::fetch(page).1
}

pub fn reason((code, document, _): &(i32, Value, String)) -> (i32, &str, &str) {
    let failure = &document["failure"];
    (*code, failure["reason"].as_str().unwrap_or_default(), failure["acted"].as_str().unwrap_or_default())
}
