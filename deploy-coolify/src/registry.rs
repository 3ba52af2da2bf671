//! The registry that the image comes from, asked by the protocol that every registry speaks (OCI distribution): is the image
//! there yet, and what is its digest?

use std::cell::Cell;
use std::time::Duration;

use reqwest::RequestBuilder;
use step::{Context, Failure};

use crate::api::{Net, cause, retry_after};
use crate::settings::Registry;
use crate::wait::stopping;

/// What may be an image's manifest.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Asks a registry.
pub struct Images<'a> {
    context: &'a Context,
    registry: &'a Registry,
    net: &'a Net,
    /// How long it wants to be left alone, if it has said so with its last answer.
    wait: Cell<Option<Duration>>,
}

/// How one answer is to be taken.
enum Answer {
    /// The image is there; its digest, if the registry says it.
    There(Option<String>),
    Missing,
    /// A token has to be fetched first: realm, service, scope.
    Token(String),
    /// A person and a password are asked for.
    Basic,
    No(Failure),
}

impl<'a> Images<'a> {
    /// For the environment's registry.
    pub fn new(context: &'a Context, registry: &'a Registry, net: &'a Net) -> Self {
        Images { context, registry, net, wait: Cell::new(None) }
    }

    /// How long it wants to be left alone.
    pub fn wait(&self) -> Option<Duration> {
        self.wait.get()
    }

    /// The digest of an image; `None` when the registry does not have it. An image whose digest is not told has an empty one.
    pub async fn digest(&self, name: &str, tag: &str) -> Result<Option<String>, Failure> {
        let reference =
            tag.strip_prefix("sha256-").map_or_else(|| tag.to_owned(), |hex| format!("sha256:{hex}"));
        let url = format!("{}/v2/{}/manifests/{reference}", self.registry.url, path(name));
        let answer = match self.head(&url, |request| request).await? {
            Answer::Token(challenge) => {
                let token = self.token(&challenge).await?;
                self.head(&url, |request| request.bearer_auth(token.expose())).await?
            }
            Answer::Basic => self.head(&url, |request| self.with_user(request)).await?,
            answer => answer,
        };
        match answer {
            Answer::There(digest) => Ok(Some(digest.unwrap_or_default())),
            Answer::Missing => Ok(None),
            Answer::No(failure) => Err(failure),
            Answer::Token(_) | Answer::Basic => Err(self.no_access("it turns the given user away")),
        }
    }

    /// With the user and the password, if there are any.
    fn with_user(&self, request: RequestBuilder) -> RequestBuilder {
        match (&self.registry.user, &self.registry.password) {
            (Some(user), Some(password)) => request.basic_auth(user, Some(password.expose())),
            _ => request,
        }
    }

    async fn head(
        &self,
        url: &str,
        authorized: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        self.context.checkpoint()?;
        let request =
            self.net.client().head(url).header("Accept", MANIFESTS).timeout(self.context.deadline.request()?);
        let answer = stopping(self.context, Duration::ZERO, authorized(request).send()).await?;
        let answer = answer.map_err(|e| self.unreachable(&cause(&e)))?;
        let status = answer.status().as_u16();
        self.wait.set(retry_after(answer.headers()).map(Duration::from_secs));
        self.context.voice.detail(&format!("HEAD {url}: {status}"));
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let challenge = header("www-authenticate").unwrap_or_default();
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge.as_str(), ""));
        Ok(match status {
            200 => Answer::There(header("docker-content-digest")),
            404 => Answer::Missing,
            401 if scheme.eq_ignore_ascii_case("bearer") => Answer::Token(rest.to_owned()),
            401 if scheme.eq_ignore_ascii_case("basic") && self.registry.user.is_some() => Answer::Basic,
            401 | 403 => {
                Answer::No(self.no_access("it wants another user (registry_user, registry_password_file)"))
            }
            429 | 500.. => Answer::No(self.unreachable(&format!("HTTP {status}"))),
            _ => Answer::No(Failure::config(
                "registry",
                format!("{} answers with HTTP {status}: is it a registry?", self.registry.url),
            )),
        })
    }

    /// Fetches a token from where the registry sends us; the password goes there only over https, or within this machine.
    async fn token(&self, challenge: &str) -> Result<step::Secret, Failure> {
        let part = |key: &str| {
            let found = challenge.split(',').find_map(|p| p.trim().strip_prefix(key)?.strip_prefix('='));
            found.map(|value| value.trim_matches('"').to_owned())
        };
        let realm = part("realm").and_then(|r| url::Url::parse(&r).ok());
        let Some(mut url) = realm.filter(|r| matches!(r.scheme(), "http" | "https")) else {
            return Err(self.no_access("it asks for a token and does not say where to get one"));
        };
        for key in ["service", "scope"] {
            if let Some(value) = part(key) {
                url.query_pairs_mut().append_pair(key, &value);
            }
        }
        let mut request = self.net.client().get(url.clone()).timeout(self.context.deadline.request()?);
        if self.registry.user.is_some() {
            if address::is_in_the_clear(url.as_str()) {
                return Err(self.no_access("it wants the password to go over http"));
            }
            request = self.with_user(request);
        }
        let answer = stopping(self.context, Duration::ZERO, request.send()).await?;
        let answer = answer.map_err(|e| self.unreachable(&cause(&e)))?;
        let status = answer.status().as_u16();
        let body = crate::api::text(answer).await.unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let token =
            value.get("token").or_else(|| value.get("access_token")).and_then(serde_json::Value::as_str);
        match token {
            Some(token) if status == 200 => Ok(step::Secret::new(token)),
            _ if status >= 500 => Err(self.unreachable(&format!("HTTP {status} from its token service"))),
            _ => Err(self.no_access("it gives no token for this user")),
        }
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::temporary(
            "registry-unreachable",
            format!("the registry {} cannot be asked: {why}", self.registry.url),
        )
    }

    fn no_access(&self, why: &str) -> Failure {
        Failure::config(
            "registry-access",
            format!("the registry {} does not let us look: {why}", self.registry.url),
        )
    }
}

/// The repository's path in its registry: without the registry's own name.
fn path(name: &str) -> &str {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_asked_for_without_its_registry() {
        assert_eq!(path("registry.luxima.id/aceh-commerce"), "aceh-commerce");
        assert_eq!(path("localhost:5000/a/b"), "a/b");
        assert_eq!(path("library/nginx"), "library/nginx");
    }
}
