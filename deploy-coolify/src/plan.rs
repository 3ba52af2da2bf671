//! What to do with each application, and what ran before. Pure.

use step::{Build, Failure};

use crate::api::{Application, Row};

/// Why an image's template cannot be filled.
#[derive(Debug, PartialEq, Eq)]
pub enum Template {
    /// There is no such placeholder.
    Unknown(String),
    /// The document lacks the fact.
    Missing(&'static str),
}

/// Fills `{version}`, `{tag}` and `{commit}` of an image's template.
pub fn image(template: &str, build: &Build) -> Result<String, Template> {
    let mut image = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| Template::Unknown(after.to_owned()))?;
        let (fact, value) = match name {
            "version" => ("version", &build.version),
            "tag" => ("tag", &build.tag),
            "commit" => ("commit", &build.commit),
            other => return Err(Template::Unknown(other.to_owned())),
        };
        image.push_str(before);
        image.push_str(value.as_deref().ok_or(Template::Missing(fact))?);
        rest = after;
    }
    image.push_str(rest);
    Ok(image)
}

/// An image's repository and tag.
pub fn split(image: &str) -> Option<(&str, &str)> {
    // A colon before the last slash belongs to the registry's port.
    image.rsplit_once(':').filter(|(name, tag)| !name.is_empty() && !tag.is_empty() && !tag.contains('/'))
}

/// What to do with one application.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// The wanted build runs and answers; this deployment brought it.
    Nothing(String),
    /// Somebody, perhaps a killed run of ours, has started it.
    Follow(String),
    /// Start it; first write the tag into the application, unless it is there.
    Start {
        /// Whether the application has another tag.
        set_tag: bool,
    },
}

/// Decides for one application. `live` says whether the pages answer as the wanted build.
pub fn decide(app: &Application, rows: &[Row], wanted: &str, live: bool) -> Result<Act, Failure> {
    let Some((name, tag)) = split(wanted) else {
        let message = format!("the image `{wanted}` has no tag; an exact build is deployed, never `latest`");
        return Err(Failure::refused("image", message));
    };
    if app.build_pack != "dockerimage" {
        let message = format!(
            "{} is built by Coolify ({}); only applications of the kind docker image can be deployed by tag",
            app.name, app.build_pack
        );
        return Err(Failure::refused("build-pack", message));
    }
    if app.image != name {
        let message = format!(
            "{} deploys {}, but the document wants {name}; is it the right application?",
            app.name, app.image
        );
        return Err(Failure::refused("image-name", message));
    }
    let set_tag = app.tag != tag;
    // A row whose log cannot be read brings what the application is configured with.
    let brings = |row: &Row| row.tag.as_deref().unwrap_or(&app.tag) == tag;
    if let Some(row) = rows.iter().find(|r| r.is_open()).filter(|r| brings(r)) {
        return Ok(Act::Follow(row.uuid.clone()));
    }
    match rows.iter().find(|r| r.is_finished()) {
        Some(row) if live && !set_tag && brings(row) => Ok(Act::Nothing(row.uuid.clone())),
        _ => Ok(Act::Start { set_tag }),
    }
}

/// The builds that ran, oldest first, as a stack: going back to an older one takes the newer ones off. The last is what
/// runs now; the one before it is where a rollback goes.
pub fn stack(rows: &[Row]) -> Vec<&Row> {
    let mut stack: Vec<&Row> = Vec::new();
    for row in rows.iter().rev().filter(|r| r.is_finished() && r.tag.is_some()) {
        match stack.iter().position(|known| known.tag == row.tag) {
            Some(at) => stack.truncate(at + 1),
            None => stack.push(row),
        }
    }
    stack
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(uuid: &str, status: &str, tag: Option<&str>) -> Row {
        let tag = tag.map(str::to_owned);
        Row {
            uuid: uuid.into(),
            status: status.into(),
            created_at: String::new(),
            tag,
            last_lines: Vec::new(),
        }
    }

    fn app(tag: &str) -> Application {
        Application {
            name: "shop".into(),
            image: "r.example:5000/shop".into(),
            tag: tag.into(),
            build_pack: "dockerimage".into(),
            status: "running:healthy".into(),
        }
    }

    #[test]
    fn an_image_is_filled_from_facts_alone() {
        let build =
            Build { version: Some("1.2.0".into()), tag: Some("v1.2.0-rc1".into()), ..Build::default() };
        assert_eq!(image("r/s:{version}", &build), Ok("r/s:1.2.0".into()));
        assert_eq!(image("r/s:{tag}-x", &build), Ok("r/s:v1.2.0-rc1-x".into()));
        assert_eq!(image("r/s:{commit}", &build), Err(Template::Missing("commit")));
        assert_eq!(image("r/s:{versoin}", &build), Err(Template::Unknown("versoin".into())));
        assert_eq!(split("r.example:5000/shop"), None);
        assert_eq!(split("r.example:5000/shop:1"), Some(("r.example:5000/shop", "1")));
    }

    #[test]
    fn each_state_has_its_act() {
        let wanted = "r.example:5000/shop:1.2.0";
        let old = row("old", "finished", Some("1.1.4"));
        let new = || row("new", "finished", Some("1.2.0"));
        let open = |tag| row("open", "in_progress", tag);
        for (configured, rows, live, expected) in [
            ("1.1.4", vec![old.clone()], false, Act::Start { set_tag: true }),
            ("1.2.0", vec![old.clone()], false, Act::Start { set_tag: false }),
            ("1.2.0", vec![new(), old.clone()], true, Act::Nothing("new".into())),
            ("1.2.0", vec![new(), old.clone()], false, Act::Start { set_tag: false }),
            ("1.3.0", vec![new(), old.clone()], true, Act::Start { set_tag: true }),
            ("1.2.0", vec![open(Some("1.2.0")), old.clone()], false, Act::Follow("open".into())),
            ("1.2.0", vec![open(None), old.clone()], false, Act::Follow("open".into())),
            ("1.2.0", vec![open(Some("1.1.4")), old.clone()], false, Act::Start { set_tag: false }),
            ("1.2.0", vec![row("bad", "failed", Some("1.2.0")), old], false, Act::Start { set_tag: false }),
        ] {
            assert_eq!(decide(&app(configured), &rows, wanted, live).expect("an act"), expected, "{rows:?}");
        }
    }

    #[test]
    fn the_wrong_application_is_refused() {
        let reason = |app: &Application, wanted| decide(app, &[], wanted, false).expect_err("refused").reason;
        assert_eq!(reason(&app("1"), "r.example:5000/other:1"), "image-name");
        assert_eq!(reason(&app("1"), "r.example:5000/shop"), "image");
        let built = Application { build_pack: "nixpacks".into(), ..app("1") };
        assert_eq!(reason(&built, "r.example:5000/shop:1"), "build-pack");
    }

    #[test]
    fn a_rollback_after_a_rollback_goes_further_back() {
        // A, B, C, back to B: the next rollback goes to A.
        let tags = ["B", "C", "B", "A"];
        let rows: Vec<Row> = tags.iter().map(|t| row(t, "finished", Some(t))).collect();
        let names: Vec<_> = stack(&rows).iter().filter_map(|r| r.tag.as_deref()).collect();
        assert_eq!(names, ["A", "B"]);
        let failed =
            [row("x", "failed", Some("C")), row("b", "finished", Some("B")), row("a", "finished", Some("A"))];
        assert_eq!(stack(&failed).last().and_then(|r| r.tag.as_deref()), Some("B"));
    }
}
