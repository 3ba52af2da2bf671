//! Addresses of settings: what they may have, and the one rule of what travels to them in the clear. A secret goes over plain HTTP to
//! this machine alone, unless the settings say `cleartext = true`.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;
use step::{Failure, Settings};

/// The key that allows a secret to travel in the clear.
pub const CLEARTEXT: &str = "cleartext";

/// An address that others are put below: http or https, a host, perhaps a path; no user, password, query or fragment. Without a slash at
/// its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads an address as people write it.
    ///
    /// # Errors
    /// A sentence, without what was given: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().trim_end_matches('/');
        let bare = |uri: &Uri| {
            let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
            is_http(uri) && !user && uri.query().is_none() && !text.contains('#')
        };
        let is_good = text.parse().is_ok_and(|uri| bare(&uri));
        is_good
            .then(|| BaseUrl(text.to_owned()))
            .ok_or("it must be an http or https URL without user, query or fragment")
    }

    /// The address that is the value of a setting.
    ///
    /// # Errors
    /// `config`, `setting`, with the place.
    pub fn of(settings: &Settings, key: &str, text: &str) -> Result<Self, Failure> {
        BaseUrl::parse(text).map_err(|why| settings.wrong(key, why))
    }

    /// The same where a secret is sent with each request.
    ///
    /// # Errors
    /// `config`, `setting`, as [`BaseUrl::of`]; or when the secret would travel in the clear to another machine and `cleartext` in the
    /// step's table does not allow it.
    pub fn with_secret(settings: &Settings, key: &str, text: &str) -> Result<Self, Failure> {
        let base = BaseUrl::of(settings, key, text)?;
        guarded(settings, key, CLEARTEXT, base.as_str())?;
        Ok(base)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the end that people copy with it, such as `/api/v1`.
    #[must_use]
    pub fn without(self, ends: &[&str]) -> Self {
        let shorter = ends.iter().find_map(|end| self.0.strip_suffix(end));
        shorter.and_then(|text| BaseUrl::parse(text).ok()).unwrap_or(self)
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_http(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Whether what is sent there can be read on the way to another machine. What is no address of HTTP is taken for one that can.
pub fn is_in_the_clear(url: &str) -> bool {
    let Some(uri) = url.parse::<Uri>().ok().filter(is_http) else { return true };
    uri.scheme_str() != Some("https") && !is_here(uri.host().unwrap_or_default())
}

/// Whether a host is this machine, by whatever its name says alone.
fn is_here(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = v6.map_or_else(|| host.parse().ok(), |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6));
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// Refuses an address that shows a secret on the way, unless the setting `allowed` says that it may.
///
/// # Errors
/// `config`, `setting`, with the place of `key`; never with the address, which may be a secret itself.
pub fn guarded(settings: &Settings, key: &str, allowed: &str, url: &str) -> Result<(), Failure> {
    if !url.parse().is_ok_and(|uri| is_http(&uri)) {
        return Err(settings.wrong(key, "this is no address: it begins with https://"));
    }
    if !is_in_the_clear(url) || settings.value::<bool>(allowed)? {
        return Ok(());
    }
    let why = format!(
        "over plain HTTP everybody on the way reads the secret: use https://, or say {CLEARTEXT} = true beside it"
    );
    Err(settings.wrong(key, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_people_write_it() {
        for text in
            ["https://c.example", " https://c.example/ ", "https://c.example//", "https://c.example/api/v1/"]
        {
            let base = BaseUrl::parse(text).expect("an address").without(&["/api/v1", "/api"]);
            assert_eq!(base.as_str(), "https://c.example", "{text}");
        }
        assert_eq!(
            BaseUrl::parse("http://10.0.0.7:8000/below").expect("an address").as_str(),
            "http://10.0.0.7:8000/below"
        );
        for text in [
            "c.example",
            "ftp://c.example",
            "https://u:geheim@c.example",
            "https://c.example/?a=b",
            "https://",
            "https://c.example/#x",
            "file:///etc/passwd",
            "",
        ] {
            let why = BaseUrl::parse(text).expect_err(text);
            assert!(!why.contains("geheim"));
        }
    }

    #[test]
    fn only_this_machine_may_be_asked_in_the_clear() {
        let clear = |text: &str| is_in_the_clear(text);
        for text in [
            "http://10.0.0.7:8000",
            "http://coolify:8000",
            "http://localhost.evil.example/",
            "gopher://127.0.0.1/",
            "http://[2001:db8::1]/",
        ] {
            assert!(clear(text), "{text}");
        }
        for text in ["http://127.0.0.1:8000", "http://localhost:3000", "http://[::1]/", "https://c.example"] {
            assert!(!clear(text), "{text}");
        }
    }
}
