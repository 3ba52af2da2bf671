//! An image's name: its repository, and the tag or digest by which Coolify is told of it.

use facts::Build;

/// Why an image's template cannot be filled.
#[derive(Debug, PartialEq, Eq)]
pub enum Template {
    /// There is no such placeholder.
    Unknown(String),
    /// The document lacks the fact.
    Missing(&'static str),
}

/// Fills `{version}`, `{tag}` and `{commit}` of a template.
pub fn fill(template: &str, build: &Build) -> Result<String, Template> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| Template::Unknown(after.to_owned()))?;
        let (fact, value) = match name {
            "version" => ("version", &build.version),
            "tag" => ("tag", &build.tag),
            "commit" => ("commit", &build.commit),
            other => return Err(Template::Unknown(other.to_owned())),
        };
        filled.push_str(before);
        filled.push_str(value.as_deref().ok_or(Template::Missing(fact))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// An image's repository and tag. A digest gets the form of a tag in which Coolify takes it: `sha256-...`.
pub fn split(image: &str) -> Option<(&str, String)> {
    if let Some((name, digest)) = image.split_once("@sha256:") {
        let whole = !name.is_empty() && !digest.is_empty() && digest.bytes().all(|b| b.is_ascii_hexdigit());
        return whole.then(|| (name, format!("sha256-{digest}")));
    }
    // A colon before the last slash belongs to the registry's port.
    let (name, tag) = image.rsplit_once(':')?;
    (!name.is_empty() && !tag.is_empty() && !tag.contains('/')).then(|| (name, tag.to_owned()))
}

/// Whether it is no tag but a whole image: a deployment of another repository is named so.
pub fn is_whole(tag: &str) -> bool {
    tag.contains([':', '/'])
}

/// An image, from its repository and the tag that Coolify has; without a tag Coolify takes `latest`.
pub fn join(name: &str, tag: &str) -> String {
    match tag.strip_prefix("sha256-") {
        _ if is_whole(tag) => tag.to_owned(),
        Some(digest) => format!("{name}@sha256:{digest}"),
        None if tag.is_empty() => format!("{name}:latest"),
        None => format!("{name}:{tag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_filled_from_facts_alone() {
        let build =
            Build { version: Some("1.2.0".into()), tag: Some("v1.2.0-rc1".into()), ..Build::default() };
        assert_eq!(fill("r/s:{version}", &build), Ok("r/s:1.2.0".into()));
        assert_eq!(fill("r/s:{tag}", &build), Ok("r/s:v1.2.0-rc1".into()));
        assert_eq!(fill("r/s:{commit}", &build), Err(Template::Missing("commit")));
        assert_eq!(fill("r/s:{versoin}", &build), Err(Template::Unknown("versoin".into())));
    }

    #[test]
    fn an_image_falls_into_repository_and_tag() {
        for (image, parts) in [
            ("r.example:5000/shop", None),
            ("r.example:5000/shop:1", Some(("r.example:5000/shop", "1"))),
            ("r.example/shop@sha256:ab12", Some(("r.example/shop", "sha256-ab12"))),
            ("r.example/shop:1@sha256:xyz", None),
            ("shop:", None),
        ] {
            let found = split(image);
            assert_eq!(found.as_ref().map(|(n, t)| (*n, t.as_str())), parts, "{image}");
            if let Some((name, tag)) = parts {
                assert_eq!(join(name, tag), image);
            }
        }
        assert_eq!(join("r.example/shop", ""), "r.example/shop:latest");
        assert_eq!(join("r.example/shop", "r.example/other:1"), "r.example/other:1");
    }
}
