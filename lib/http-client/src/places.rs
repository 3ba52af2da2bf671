//! One address for every name, and the names that a proxy looks up by itself.

use std::net::SocketAddr;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Error, Proxy};
use web_page::Places;

/// Resolves every name to one address.
#[derive(Debug)]
pub(crate) struct Pinned(pub SocketAddr);

impl Resolver for Pinned {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut one = self.empty();
        one.push(self.0);
        Ok(one)
    }
}

/// See [`crate::Client::places`].
pub(crate) fn of(url: &str, proxy: Option<&Proxy>) -> Result<Option<Places>, String> {
    let uri: Uri = url.parse().map_err(|e| format!("`{url}` is no address: {e}"))?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    if proxy.is_some_and(|proxy| !proxy.is_no_proxy(&uri)) {
        return Ok(None);
    }
    web_page::places(uri.host().unwrap_or_default(), port).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_proxy_nobody_knows() {
        let proxy = Proxy::new("http://proxy.example:3128").expect("a proxy");
        assert_eq!(of("http://shop.example/", Some(&proxy)), Ok(None));
        let found = of("http://127.0.0.1:81/x", None).expect("found").expect("no proxy");
        assert_eq!(found.reached, [([127, 0, 0, 1], 81).into()]);
    }
}
