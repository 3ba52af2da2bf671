//! How a page says which build it is: a response header (`marker = "X-Release"`), an attribute in its HTML
//! (`marker = "html:data-dpl-id"`), or whatever Next.js writes into its pages by itself (`marker = "next"`). Pure: whoever
//! fetched the page asks here what it says.

use step::{Failure, Settings};

/// The shared setting `marker` of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A response header, by name.
    Header(String),
    /// An HTML attribute, by name; its first occurrence counts.
    Attribute(String),
    /// What Next.js writes by itself: its deployment id, else its build id.
    Next,
}

impl Marker {
    /// The build id of every Next.js build (16.2 and later) that has a deployment id: two releases say the same, so it
    /// proves nothing.
    pub const CONSTANT: &str = "build-TfctsWXpff2fKS";

    /// Reads `marker` of the environment; `None` when it has none.
    ///
    /// # Errors
    /// `config` when it is empty.
    pub fn of(settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some(text) = settings.shared("marker")? else { return Ok(None) };
        if text == "next" {
            return Ok(Some(Marker::Next));
        }
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
        let said = match self {
            Marker::Header(name) => header(name),
            Marker::Attribute(name) => attribute(body, name),
            Marker::Next => next(header, body),
        };
        said.filter(|said| said != Self::CONSTANT)
    }
}

/// As measured on Next 16.4: `<html data-dpl-id>` and the header of RSC answers when a deployment id is set; else the build
/// id as `"b"` at the end of the flight payload (App Router, escaped inside a script) or as `"buildId"` (Pages Router). What is no
/// HTML (an answer in React's wire format) has neither tags nor scripts.
fn next(header: impl Fn(&str) -> Option<String>, body: &str) -> Option<String> {
    let deployment = attribute(body, "data-dpl-id").or_else(|| header("x-nextjs-deployment-id"));
    deployment.or_else(|| {
        let scripts = crate::scripts(body);
        let between = |before: &str, after: &str| {
            let (_, rest) = scripts.rsplit_once(before)?;
            rest.split_once(after).map(|(id, _)| id.to_owned())
        };
        between("\\\"b\\\":\\\"", "\\\"").or_else(|| between("\"buildId\":\"", "\""))
    })
}

fn attribute(body: &str, name: &str) -> Option<String> {
    crate::attribute(body, name).filter(|value| !value.is_empty())
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
        let commented = "<!-- <html data-dpl-id=\"old\"> --><html data-dpl-id=dpl-1.2.0>";
        assert_eq!(attribute.read(header, commented), Some("dpl-1.2.0".into()));
    }

    #[test]
    fn next_says_its_deployment_or_its_build_but_a_constant_says_nothing() {
        let read = |header: Option<&str>, body: &str| {
            Marker::Next
                .read(|name| header.filter(|_| name == "x-nextjs-deployment-id").map(str::to_owned), body)
        };
        let script = |text: &str| format!("<html><script>{text}</script>");
        let app = script(r#"push([1,"...\"p\":\"$undefined\",\"b\":\"AlNXpbjJRusiPU29wQ82V\"}\n"])"#);
        let app = app.as_str();
        assert_eq!(read(None, app), Some("AlNXpbjJRusiPU29wQ82V".into()));
        assert_eq!(read(None, &script(r#"{"page":"/","buildId":"release-42"}"#)), Some("release-42".into()));
        let deployed = r#"<html lang="id" data-dpl-id="dpl-aaa">"#;
        assert_eq!(read(Some("dpl-bbb"), &format!("{deployed}{app}")), Some("dpl-aaa".into()));
        assert_eq!(read(Some("dpl-bbb"), "0:{}"), Some("dpl-bbb".into()), "an RSC answer");
        assert_eq!(read(None, &script(r#"\"b\":\"build-TfctsWXpff2fKS\""#)), None);
        assert_eq!(read(None, r#"<p>\"b\":\"a guest wrote this\"</p>"#), None, "no script says it");
        assert_eq!(Marker::Header("X".into()).read(|_| Some(Marker::CONSTANT.into()), ""), None);
    }
}
