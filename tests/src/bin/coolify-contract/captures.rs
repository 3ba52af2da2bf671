//! The stand-in, held against answers that a real Coolify has given: each request is sent to the stand-in in the state in which it was
//! sent to the real one, and status, headers, keys and kinds of values must be the same, and the words where there are words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::Found;
use crate::stage::Stage;

/// Where the stand-in is another on purpose: a place, and why.
const KNOWN: &[(&str, &str)] = &[(
    "webhook-github-manual-200",
    "no request of ours: a push reaches the stand-in by a method, and Coolify by its code host",
)];

/// Headers that say something; where they are, they must be.
const HEADERS: &[&str] = &[
    "allow",
    "cache-control",
    "content-type",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

/// Headers whose values must be the same.
const SAME: &[&str] = &["allow", "cache-control", "content-type"];

/// One answer of the real one, and the question.
pub struct Capture {
    pub name: String,
    pub method: String,
    /// Path and query below `/api/v1`.
    pub target: String,
    pub body: Option<Value>,
    /// The token's abilities, a letter each.
    pub token: String,
    /// Another version than the usual one.
    pub version: Option<String>,
    status: u16,
    headers: BTreeMap<String, String>,
    text: String,
}

/// An answer as it came.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Capture {
    /// Reads a file: the question in the first line, then the answer.
    fn read(path: &Path) -> Option<Self> {
        let name = path.file_stem()?.to_str()?.to_owned();
        let text = std::fs::read_to_string(path).ok()?;
        let (question, answer) = text.strip_prefix("# ")?.split_once('\n')?;
        let (head, body) = match answer.starts_with("HTTP/") {
            true => answer.split_once("\n\n").unwrap_or((answer, "")),
            false => ("", answer),
        };
        let mut lines = head.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok()).unwrap_or(200);
        let header = |line: &str| {
            line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        let mut capture = question_of(question)?;
        (capture.name, capture.status, capture.headers) = (name, status, headers);
        capture.text = body.trim_end().to_owned();
        Some(capture)
    }

    /// Of older versions only some headers were kept.
    fn has_all_headers(&self) -> bool {
        self.version.is_none()
    }
}

/// `POST /deploy body {...}   token: rd`, and for an older one `Coolify 4.1.2` at the end.
fn question_of(line: &str) -> Option<Capture> {
    let (method, rest) = line.split_once(' ')?;
    let end = rest.find("  ").or_else(|| rest.find(" body ")).unwrap_or(rest.len());
    let target = rest[..end].split(' ').next()?.to_owned();
    let body = rest.split_once(" body ").map(|(_, body)| body);
    let body = body.and_then(|text| serde_json::Deserializer::from_str(text).into_iter().next()?.ok());
    let token = rest.split_once("token: ").and_then(|(_, t)| t.split(' ').next()).unwrap_or("rdw");
    let version = rest.split_once("Coolify ").map(|(_, v)| v.split(' ').next().unwrap_or(v).to_owned());
    Some(Capture {
        name: String::new(),
        method: method.to_owned(),
        target,
        body,
        token: token.replace("read,write,deploy", "rdw"),
        version,
        status: 0,
        headers: BTreeMap::new(),
        text: String::new(),
    })
}

/// Holds the stand-in against every answer of the folder; also how many there were.
pub fn check(folder: &Path) -> (Found, usize) {
    let mut found = Found { list: KNOWN, known: BTreeSet::new(), unknown: BTreeSet::new() };
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("captures").flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    files.sort();
    let mut held = 0;
    for file in files {
        let Some(capture) = Capture::read(&file) else {
            found.unknown.insert(format!("{}: cannot be read", file.display()));
            continue;
        };
        if let Some((name, _)) = KNOWN.iter().find(|(name, _)| *name == capture.name) {
            found.known.insert(name);
            continue;
        }
        let ours = Stage::of(&capture).ask(&capture);
        let mut differences = Vec::new();
        compare(&capture, &ours, &mut differences);
        found.unknown.extend(differences.into_iter().map(|d| format!("{}: {d}", capture.name)));
        held += 1;
    }
    (found, held)
}

fn compare(theirs: &Capture, ours: &Answer, differ: &mut Vec<String>) {
    if theirs.status != ours.status {
        differ.push(format!("status {}, and the stand-in answers {}", theirs.status, ours.status));
    }
    for name in HEADERS {
        let (a, b) = (theirs.headers.get(*name), ours.headers.get(*name));
        match (a, b) {
            (Some(_), None) => differ.push(format!("{name} is missing")),
            (None, Some(_)) if theirs.has_all_headers() => differ.push(format!("{name} is not there")),
            (Some(a), Some(b)) if SAME.contains(name) && a != b => {
                differ.push(format!("{name} is `{a}`, and `{b}` here"));
            }
            _ => {}
        }
    }
    waits(theirs, ours, differ);
    match (serde_json::from_str(&theirs.text), serde_json::from_str(&ours.text)) {
        (Ok(a), Ok(b)) => values("", &a, &b, differ),
        (Err(_), Err(_)) if theirs.text == ours.text => {}
        _ => differ.push(format!("`{}`, and `{}` here", theirs.text, ours.text)),
    }
    // The framework writes over several lines, and a slash with a backslash.
    if theirs.text.contains("{\n") != ours.text.contains("{\n") {
        differ.push("JSON is laid out another way".to_owned());
    }
    if theirs.text.contains("\\/") != ours.text.contains("\\/") {
        differ.push("slashes are written another way".to_owned());
    }
}

/// A full queue says exactly so long, a minute that is used up says until its end.
fn waits(theirs: &Capture, ours: &Answer, differ: &mut Vec<String>) {
    let seconds = |headers: &BTreeMap<String, String>| headers.get("retry-after")?.parse::<u64>().ok();
    let (Some(a), Some(b)) = (seconds(&theirs.headers), seconds(&ours.headers)) else { return };
    let throttled = theirs.headers.contains_key("x-ratelimit-reset");
    let good = if throttled { (1..=60).contains(&b) } else { a == b };
    if !good {
        differ.push(format!("Retry-After is {a}, and {b} here"));
    }
}

fn values(at: &str, theirs: &Value, ours: &Value, differ: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().filter(|key| !b.contains_key(*key)) {
                differ.push(format!("{at}/{key} is missing"));
            }
            for key in b.keys().filter(|key| !a.contains_key(*key)) {
                differ.push(format!("{at}/{key} is not there"));
            }
            for (key, a) in a {
                if let Some(b) = b.get(key) {
                    values(&format!("{at}/{key}"), a, b, differ);
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.is_empty() != b.is_empty() {
                differ.push(format!("{at} has {} entries, and {} here", a.len(), b.len()));
            }
            for (n, b) in b.iter().enumerate() {
                if let Some(a) = a.get(n).or(a.last()) {
                    values(&format!("{at}/{n}"), a, b, differ);
                }
            }
        }
        (Value::String(a), Value::String(b)) if at.ends_with("/logs") => logs(at, a, b, differ),
        (Value::String(a), Value::String(b)) => {
            if shape(at, a) != shape(at, b) {
                differ.push(format!("{at} is `{a}`, and `{b}` here"));
            }
        }
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => {}
        (a, b) => differ.push(format!("{at} is {a}, and {b} here")),
    }
}

/// What a text is like: its words where they are Coolify's own, else what it consists of.
fn shape(at: &str, text: &str) -> String {
    let key = at.rsplit('/').next().unwrap_or_default();
    let own = ["message", "error", "status", "build_pack", "type", "destination_type", "source_type"];
    let in_errors = at.contains("/errors/");
    if (own.contains(&key) && !at.contains("pivot"))
        || in_errors
        || key == "git_repository" && text == "coollabsio/coolify"
    {
        return text.to_owned();
    }
    let hex = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let time: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    match () {
        () if hex => format!("{} hex digits", text.len()),
        () if time.starts_with("0000-00-00") => time,
        () if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => "a number".to_owned(),
        () if text == "HEAD" || text.is_empty() || text.ends_with("@sha256") => text.to_owned(),
        () => "text".to_owned(),
    }
}

/// The same lines for everybody's eyes in the same order, and entries of the same form.
fn logs(at: &str, theirs: &str, ours: &str, differ: &mut Vec<String>) {
    let read = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap_or_default();
    let (theirs, ours) = (read(theirs), read(ours));
    let visible = |entries: &[Value]| -> Vec<String> {
        let shown = entries.iter().filter(|e| e["hidden"] == false);
        shown.map(|e| format!("{} {}", e["type"].as_str().unwrap_or("?"), masked(&e["output"]))).collect()
    };
    let (a, b) = (visible(&theirs), visible(&ours));
    for n in 0..a.len().max(b.len()) {
        let (a, b) = (a.get(n).map_or("", String::as_str), b.get(n).map_or("", String::as_str));
        if a != b {
            differ.push(format!("{at}: line {} is `{a}`, and `{b}` here", n + 1));
            break;
        }
    }
    let form = |entries: &[Value]| -> BTreeSet<(bool, Vec<String>, bool)> {
        let keys = |e: &Value| e.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default();
        let entry = |(n, e): (usize, &Value)| (n == 0, keys(e), e["command"].is_null());
        entries.iter().enumerate().map(entry).collect()
    };
    for form in form(&ours).difference(&form(&theirs)) {
        differ.push(format!("{at}: no entry has the form {form:?}"));
    }
}

/// A line without what differs from deployment to deployment: ids, commits, containers, versions, names.
fn masked(output: &Value) -> String {
    let text = output.as_str().unwrap_or_default();
    let word = |word: &str| {
        let id = word.len() == 24 && word.bytes().all(|b| b.is_ascii_alphanumeric());
        let odd = id || word.chars().any(|c| c.is_ascii_digit()) || word.contains(['/', '\'', '"']);
        if odd { "~".to_owned() } else { word.to_owned() }
    };
    let mut words: Vec<String> = text.split_whitespace().map(word).collect();
    words.dedup();
    words.join(" ")
}
