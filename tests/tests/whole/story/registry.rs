//! A registry, as far as deploy-coolify asks it: whether it has an image.

use std::sync::{Arc, Mutex};

use testkit::http::{Reply, Server};

/// A registry, as far as it is asked whether it has an image.
pub struct Registry {
    pub server: Server,
    tags: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    pub fn start(tags: &[&str]) -> Self {
        let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
        let tags = Arc::new(Mutex::new(tags));
        let ours = Arc::clone(&tags);
        let server = Server::start(move |request| {
            let tag = request.path.strip_prefix("/v2/aceh-commerce/manifests/").unwrap_or_default();
            let has = ours.lock().expect("tags").iter().any(|t| t == tag);
            Reply::text(if has { 200 } else { 404 }, "application/json", "{}")
        });
        Registry { server, tags }
    }

    pub fn prune(&self, tag: &str) {
        self.tags.lock().expect("tags").retain(|t| t != tag);
    }

    pub fn put(&self, tag: &str) {
        self.tags.lock().expect("tags").push(tag.to_owned());
    }
}
