//! How a page says which build it is: a response header (`marker = "X-Release"`) or an attribute in its HTML
//! (`marker = "html:data-dpl-id"`). Pure: whoever fetched the page asks here what it says.

use crate::{Failure, Settings};

/// The shared setting `marker` of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A response header, by name.
    Header(String),
    /// An HTML attribute, by name; its first occurrence counts.
    Attribute(String),
}

impl Marker {
    /// Reads `marker` of the environment; `None` when it has none.
    ///
    /// # Errors
    /// `config` when it is empty.
    pub fn of(settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some(text) = settings.shared("marker")? else { return Ok(None) };
        let (attribute, name) = match text.split_once("html:") {
            Some(("", name)) => (true, name),
            _ => (false, text.as_str()),
        };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == ':') {
            let message =
                format!("marker: `{text}` must be a header's name, or html: and an attribute's name");
            return Err(Failure::config("setting", message));
        }
        Ok(Some(if attribute { Marker::Attribute(name.to_owned()) } else { Marker::Header(name.to_owned()) }))
    }

    /// What a page says of itself; `header` looks a response header up by name.
    pub fn read(&self, header: impl Fn(&str) -> Option<String>, body: &str) -> Option<String> {
        match self {
            Marker::Header(name) => header(name),
            Marker::Attribute(name) => attribute(body, name),
        }
    }
}

fn attribute(body: &str, name: &str) -> Option<String> {
    let needle = format!("{name}=\"");
    let mut from = 0;
    while let Some(at) = body[from..].find(&needle).map(|at| from + at) {
        let value = &body[at + needle.len()..];
        if body[..at].ends_with(|c: char| c.is_whitespace()) {
            return value.split_once('"').map(|(value, _)| value.to_owned());
        }
        from = at + needle.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_its_build_in_a_header_or_an_attribute() {
        let header = |name: &str| (name == "X-Release").then(|| "1.2.0".to_owned());
        assert_eq!(Marker::Header("X-Release".into()).read(header, ""), Some("1.2.0".into()));
        let attribute = Marker::Attribute("data-dpl-id".into());
        let page = r#"<html x-data-dpl-id="no" lang="id" data-dpl-id="dpl-1.2.0"><body data-dpl-id="later">"#;
        assert_eq!(attribute.read(header, page), Some("dpl-1.2.0".into()));
        assert_eq!(attribute.read(header, "<html>"), None);
    }
}
