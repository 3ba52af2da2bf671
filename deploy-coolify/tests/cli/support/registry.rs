//! A registry of images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::http::{Reply, Server};

/// A registry that has some images, and wants a token if a user is set.
pub struct Registry {
    pub server: Server,
    images: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Starts one.
pub fn registry(user: Option<&'static str>) -> Registry {
    let images: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let ours = Arc::clone(&images);
    let port = Arc::new(Mutex::new(0));
    let own = Arc::clone(&port);
    let server = Server::start(move |request| {
        if request.path == "/token" {
            let asked = request.header("authorization").starts_with("Basic ")
                && request.query.contains_key("service");
            return if asked {
                Reply::json(200, json!({ "token": "canary-registry-token" }))
            } else {
                Reply::json(401, json!({}))
            };
        }
        if user.is_some() && request.header("authorization") != "Bearer canary-registry-token" {
            let port = *own.lock().expect("port");
            let ask = format!(
                "Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"r\",scope=\"repository:shop:pull\""
            );
            return Reply::json(401, json!({})).with("WWW-Authenticate", ask);
        }
        let tag = request.path.strip_prefix("/v2/shop/manifests/").unwrap_or_default();
        // What is asked for by its digest is there if any tag is it.
        let images = ours.lock().expect("images");
        match images.get(tag).or_else(|| images.values().find(|digest| *digest == tag)) {
            Some(digest) => Reply::json(200, json!({})).with("Docker-Content-Digest", digest),
            None => Reply::json(404, json!({ "errors": [{ "code": "MANIFEST_UNKNOWN" }] })),
        }
    });
    *port.lock().expect("port") = server.port();
    Registry { server, images }
}

impl Registry {
    /// Gives an image another name.
    pub fn put(&self, tag: &str, digest: &str) {
        self.images.lock().expect("images").insert(tag.into(), digest.into());
    }
}
