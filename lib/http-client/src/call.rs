//! A request, as plain data: nothing is sent here.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use step::{excerpt, redact};
use ureq::http::Request;

/// A request, as plain data: it can be sent again.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) timeout: Option<Duration>,
    pub(super) way: Way,
    pub(super) asks: bool,
}

/// Over which connection a call goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Way {
    /// To this address, whatever the name in the URL has besides.
    pub(super) address: Option<SocketAddr>,
    /// On a connection of its own: a balancer hands out whole connections.
    pub(super) alone: bool,
}

impl Call {
    /// A request without a body. The method may be one of no standard (`PURGE`); `GET`, `HEAD` and `OPTIONS` ask, all others change
    /// something.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Call {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            way: Way::default(),
            asks: ["GET", "HEAD", "OPTIONS"].contains(&method),
        }
    }

    /// One that only asks by its vendor's word, whatever its method.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.asks = true;
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a body of some type.
    #[must_use]
    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", kind)
    }

    /// At most this long, and never longer than the step's own time allows.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// To this address and no other one; `Host` and the name in TLS stay the URL's. Without an effect behind a proxy, which looks
    /// the name up by itself.
    #[must_use]
    pub fn at(mut self, address: Option<SocketAddr>) -> Self {
        self.way.address = address;
        self
    }

    /// On a connection of its own.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.way.alone = true;
        self
    }

    /// Whom it goes to, for people: the URL's scheme, host and port, and the address if it is a certain one.
    pub fn place(&self) -> String {
        let host = redact(base(&self.url));
        match self.way.address {
            Some(address) if !host.ends_with(&format!("//{address}")) => format!("{host} at {address}"),
            _ => host,
        }
    }

    /// Where it goes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The request as a person reads it: method, address, headers and the beginning of the body, without any loaded secret.
    pub fn shown(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!(" {name}: {value};")).collect();
        let body = excerpt(&String::from_utf8_lossy(&self.body), 300);
        redact(format!("{} {}{headers} {body}", self.method, self.url).trim_end())
    }

    pub(super) fn request(&self) -> Result<Request<Vec<u8>>, String> {
        let mut builder = Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        builder.body(self.body.clone()).map_err(|e| e.to_string())
    }
}

/// A URL's scheme, host and port.
pub(super) fn base(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}
