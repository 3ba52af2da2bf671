//! An answer as it came, and what its headers mean.

use std::collections::HashMap;

use jiff::Timestamp;
use ureq::http::HeaderMap;

/// A page as it came: its bytes as the server has packed them.
#[derive(Clone, Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most as much of it as was asked for.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub cut: bool,
    /// Names in lower case; those that came several times are one list.
    pub(super) headers: HashMap<String, String>,
}

impl Page {
    /// A header, if it is there and is text; several of one name are joined by commas.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name.to_ascii_lowercase().as_str()).map(String::as_str)
    }

    /// As [`crate::Reply::retry_after`].
    pub fn retry_after(&self) -> Option<u64> {
        seconds(self.header("retry-after")?.trim())
    }
}

/// Headers by their names; those of one name are one list.
pub(super) fn joined(headers: &HeaderMap) -> HashMap<String, String> {
    let mut all: HashMap<String, String> = HashMap::new();
    for (name, value) in headers {
        // One that is no text must not leave another of its name to speak alone.
        let value = &String::from_utf8_lossy(value.as_bytes());
        let add = |known: &mut String| {
            known.push_str(", ");
            known.push_str(value);
        };
        all.entry(name.as_str().to_owned()).and_modify(add).or_insert_with(|| value.to_string());
    }
    all
}

/// So many seconds from now, whether it is a number or a date.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let until = || jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp());
    let seconds = |at: Timestamp| at.duration_since(Timestamp::now()).as_secs().max(0).unsigned_abs() + 1;
    text.parse().ok().or_else(|| until().map(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_name_are_one_list() {
        let mut headers = HeaderMap::new();
        for value in ["0-1/2", "0-1/3"] {
            headers.append("content-range", ureq::http::HeaderValue::from_static(value));
        }
        headers.append("content-range", ureq::http::HeaderValue::from_bytes(b"\xff").expect("a value"));
        let page = Page { status: 200, body: Vec::new(), cut: false, headers: joined(&headers) };
        assert_eq!(page.header("Content-Range"), Some("0-1/2, 0-1/3, \u{fffd}"));
    }
}
