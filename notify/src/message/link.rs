//! The links that a team sets for each of its messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::Document;

/// What a link's address may hold of a document's facts, in braces.
const HOLES: &[&str] = &["version", "tag", "environment", "product", "commit"];

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub label: String,
    pub url: String,
}

impl Link {
    /// Telegram refuses the whole message for a button whose host has no dot, such as `http://coolify:8000`.
    pub fn is_public(&self) -> bool {
        let rest = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        let host = rest.and_then(|r| r.split(['/', '?', '#']).next()).unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.contains('.')
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !self.url.contains(char::is_whitespace)
    }

    /// With `{version}`, `{tag}`, `{environment}`, `{product}` and `{commit}` of a document in its address.
    pub fn filled(&self, document: &Document) -> Self {
        let mut url = self.url.clone();
        for name in HOLES {
            if let Some(value) = document.facts().get(*name).and_then(Value::as_str) {
                url = url.replace(&format!("{{{name}}}"), value);
            }
        }
        Link { label: self.label.clone(), url }
    }

    /// A word in braces that no document ever fills, and what can be filled.
    pub fn wrong_hole(&self) -> Option<(&str, &'static [&'static str])> {
        let words = self.url.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
        let mut unknown = words.filter(|word| !HOLES.contains(word));
        Some((unknown.next()?, HOLES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_needs_a_host_that_a_chat_can_reach() {
        for (url, public) in [
            ("https://shop.example/x", true),
            ("http://10.0.0.7:8000/", true),
            ("http://coolify:8000", false),
            ("http://localhost/", false),
            ("https://user@coolify/x.y", false),
            ("https://a.example/b c", false),
        ] {
            assert_eq!(Link { label: "Logs".into(), url: url.into() }.is_public(), public, "{url}");
        }
    }
}
