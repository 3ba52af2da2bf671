//! Where selectors come from when they are many: a file with one a line, or a sitemap, read as a stream.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use http_client::{Call, Client};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use step::Failure;
use url::Url;

use crate::select::list::Lists;
use crate::select::{self, Kind};

/// No address is longer, and a file without line ends is no list.
const LINE: usize = 16 << 10;
/// What the protocol allows a sitemap to have, uncompressed (sitemaps.org).
const SITEMAP: u64 = 50 << 20;
/// Sitemaps that one index may name (sitemaps.org).
const INDEX: usize = 50_000;

/// Reads lists into lists.
pub struct Source<'a> {
    pub client: &'a Client<'a>,
    pub hosts: &'a [String],
    pub origin: Option<&'a Url>,
    pub lists: &'a mut Lists,
}

impl Source<'_> {
    /// A file: a sitemap if it begins with `<`, else a list with one selector a line.
    pub fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| unreadable(&name, &e.to_string()))?;
        let mut file = BufReader::new(file);
        let head = file.fill_buf().map_err(|e| unreadable(&name, &e.to_string()))?;
        if head.starts_with(&[0x1f, 0x8b]) {
            return Err(unreadable(&name, "it is compressed").command(["gunzip", "--keep", &name]));
        }
        let head = head.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(head);
        match head.trim_ascii_start().first() {
            Some(b'<') => {
                let inner = self.sitemap(file, &name)?;
                inner.iter().try_for_each(|url| self.fetched(url, false))
            }
            _ => self.lines(file, &name),
        }
    }

    /// A sitemap on a host of ours, and those that it names; from the origin if it is known, because the edge's may be old.
    pub fn fetched(&mut self, address: &str, may_be_index: bool) -> Result<(), Failure> {
        let url = select::url(address, self.hosts)?;
        let target = self.origin.map_or_else(|| url.clone(), |origin| select::at(origin, &url));
        let call = Call::new("GET", target.as_str()).header("Host", select::host(&url));
        let (status, body) = match self.client.open(&call)? {
            Ok(answer) => answer,
            Err(lost) => {
                return Err(Failure::temporary(
                    "sitemap",
                    format!("{address} does not answer: {}", lost.why),
                ));
            }
        };
        if status != 200 {
            return Err(Failure::refused(
                "sitemap",
                format!("{address} answers with HTTP {status}: no sitemap is there"),
            ));
        }
        let inner = self.sitemap(BufReader::new(body), address)?;
        if !may_be_index && !inner.is_empty() {
            return Err(Failure::refused(
                "sitemap",
                format!("{address} is an index of sitemaps inside another one"),
            ));
        }
        inner.iter().try_for_each(|url| self.fetched(url, false))
    }

    fn lines(&mut self, mut file: impl BufRead, name: &str) -> Result<(), Failure> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let limited = (&mut file).take(LINE as u64);
            let read =
                { limited }.read_until(b'\n', &mut line).map_err(|e| unreadable(name, &e.to_string()))?;
            if read == 0 {
                break;
            }
            let at = |mut failure: Failure| {
                failure.message = format!("{name}:{number}: {}", failure.message);
                failure
            };
            if read == LINE && !line.ends_with(b"\n") {
                return Err(at(Failure::usage(
                    "list",
                    format!("a line of more than {LINE} bytes is no page"),
                )));
            }
            let text =
                std::str::from_utf8(&line).map_err(|_| at(Failure::usage("list", "this is not UTF-8")))?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() && !text.starts_with('#') {
                let (kind, item) = select::line(text);
                let item = select::read(kind, item, self.hosts).map_err(at)?;
                self.lists.push(kind, &item)?;
            }
        }
        Ok(())
    }

    /// Takes a sitemap's pages; the addresses of sitemaps that it names, if it is an index.
    fn sitemap(&mut self, body: impl BufRead, name: &str) -> Result<Vec<String>, Failure> {
        let wrong = |why: String| Failure::usage("sitemap", format!("{name}: {why}"));
        let mut xml = Reader::from_reader(BufReader::new(body.take(SITEMAP)));
        let (mut buffer, mut inner) = (Vec::new(), Vec::new());
        let mut path: Vec<String> = Vec::new();
        let mut text = String::new();
        loop {
            buffer.clear();
            let event = xml.read_event_into(&mut buffer).map_err(|e| wrong(format!("no sitemap: {e}")))?;
            match event {
                Event::Start(tag) => {
                    path.push(tag.local_name().as_ref().to_owned());
                    text.clear();
                }
                Event::Text(part) => text.push_str(&part),
                Event::CData(part) => text.push_str(&part),
                Event::GeneralRef(reference) => {
                    text.push_str(&resolved(&reference).ok_or_else(|| wrong("an unknown entity".into()))?);
                }
                Event::End(_) => {
                    self.element(&path, text.trim(), name, &mut inner)?;
                    path.pop();
                    text.clear();
                }
                Event::Eof if path.is_empty() => return Ok(inner),
                Event::Eof => {
                    return Err(wrong(format!(
                        "it ends in the middle (or is larger than {} MiB)",
                        SITEMAP >> 20
                    )));
                }
                _ => {}
            }
        }
    }

    fn element(
        &mut self,
        path: &[String],
        text: &str,
        name: &str,
        inner: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["urlset", "url", "loc"] => {
                let item = select::read(Kind::Url, text, self.hosts).map_err(|mut failure| {
                    failure.message = format!("{name}: {}", failure.message);
                    failure
                })?;
                self.lists.push(Kind::Url, &item)
            }
            ["sitemapindex", "sitemap", "loc"] if inner.len() < INDEX => {
                inner.push(text.to_owned());
                Ok(())
            }
            [root] if *root != "urlset" && *root != "sitemapindex" => {
                Err(Failure::usage("sitemap", format!("{name}: <{root}> is no sitemap")))
            }
            _ => Ok(()),
        }
    }
}

fn resolved(reference: &BytesRef) -> Option<String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character.into());
    }
    resolve_predefined_entity(reference).map(str::to_owned)
}

fn unreadable(name: &str, why: &str) -> Failure {
    Failure::usage("list", format!("{name}: {why}"))
}
