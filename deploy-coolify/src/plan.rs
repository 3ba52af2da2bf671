//! What to do with each application. Pure.

use facts::Build;
use step::Failure;

use crate::api::{Application, Kind, Pins, Row, Version};
use image::split;

/// The build that is to run, by every name it has.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub build: Build,
    /// One image for each repository; the first is the document's.
    pub images: Vec<String>,
    /// Why there is none, if a template could not be filled.
    pub unfilled: Option<String>,
}

impl Wanted {
    /// From the build's names and its images.
    pub fn new(build: Build, images: Vec<String>) -> Self {
        Wanted { build: Build { image: images.first().cloned(), ..build }, images, unfilled: None }
    }

    /// Without the names that mean nothing here: where no application runs an image, no image names the build, whatever the settings'
    /// template makes of the version.
    pub fn among(&self, apps: &[Application]) -> Self {
        if apps.iter().any(|app| app.kind() == Kind::Image) || apps.is_empty() {
            return self.clone();
        }
        Wanted::new(self.build.clone(), Vec::new())
    }

    /// The tag or commit that this application is to run.
    pub fn revision(&self, app: &Application) -> Result<String, Failure> {
        match app.kind() {
            Kind::Image => self.tag_for(app),
            Kind::Git => self.build.commit.clone().ok_or_else(|| {
                let message = format!(
                    "{} is built by Coolify from a commit, and nothing names the commit: tag-rc writes it, or give --commit SHA",
                    app.name
                );
                Failure::refused("fact-missing", message)
            }),
            Kind::Inline => {
                Err(without_revisions(app))
            }
        }
    }

    fn tag_for(&self, app: &Application) -> Result<String, Failure> {
        if self.images.is_empty() {
            let nothing = || "nothing names it: set `image`, or give --image IMAGE".to_owned();
            let why = self.unfilled.clone().unwrap_or_else(nothing);
            return Err(Failure::refused("fact-missing", format!("{} runs an image, and {why}", app.name)));
        }
        let mut parts = self.images.iter().filter_map(|image| split(image)).peekable();
        if parts.peek().is_none() {
            let message = format!(
                "the image `{}` has no tag; an exact build is deployed, never `latest`",
                self.images[0]
            );
            return Err(Failure::refused("image", message));
        }
        let found = parts.find(|(name, _)| *name == app.image()).map(|(_, tag)| tag);
        if found.as_deref() == Some("latest") {
            let message = format!(
                "{}:latest is another image every day; an exact build is deployed, never `latest`",
                app.image()
            );
            return Err(Failure::refused("image", message));
        }
        found.ok_or_else(|| {
            let message = format!(
                "{} deploys {}, but {} is wanted; is it the right application?",
                app.name,
                app.image(),
                self.images.join(" or ")
            );
            Failure::refused("image-name", message)
        })
    }

    /// What people call it.
    pub fn name(&self) -> String {
        let commit = || self.build.commit.as_deref().map(|c| format!("commit {}", &c[..c.len().min(12)]));
        self.images
            .first()
            .cloned()
            .or_else(commit)
            .or_else(|| self.build.version.clone())
            .unwrap_or_default()
    }

    /// What the fact `live` says.
    pub fn live(&self) -> String {
        let build = &self.build;
        build.version.as_deref().or(build.name()).or(build.commit.as_deref()).unwrap_or_default().to_owned()
    }
}

/// The refusal of an application whose builds nothing tells apart.
pub fn without_revisions(app: &Application) -> Failure {
    let message = format!(
        "{} is built from a Dockerfile that is kept in Coolify, not from a repository: it has no revisions to deploy or to go back to",
        app.name
    );
    Failure::refused("build-pack", message)
}

/// How an application gets another revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its image's tag is written (unless it is there), then it is deployed.
    Tag { set: bool },
    /// One request deploys exactly this commit.
    Exact,
    /// It is pinned to the commit, deployed, and gets its old pin back.
    Pin { restore: String, force: bool },
}

/// What to do with one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The wanted build runs and answers; this deployment brought it.
    Nothing(String),
    /// So it does, but the application is configured with another one: that is written, and nothing is deployed.
    Configure(String),
    /// Somebody, perhaps a killed run of ours, has started it.
    Follow(String),
    /// Start it.
    Start(Way),
    /// A push has to start it.
    Wait,
}

/// What is known before it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub version: &'a Version,
    /// Whether there is proof that the wanted build runs right now.
    pub live: bool,
    /// Whether the pages themselves say so.
    pub named: bool,
    /// Whether it is the build to go back to.
    pub back: bool,
}

/// Decides for one application.
pub fn decide(app: &Application, rows: &[Row], revision: &str, known: Known<'_>) -> Result<Act, Failure> {
    let Known { version, live, named, back } = known;
    let image = app.kind() == Kind::Image;
    let configured = app.tag();
    // A row of an image whose log cannot be read brings what the application is configured with.
    let fallback = image.then_some(configured.as_str());
    let brings = |row: &Row| row.revision.as_deref().or(fallback) == Some(revision);
    let mut ours = rows.iter().filter(|r| r.is_primary);
    if let Some(row) = ours.clone().find(|r| r.is_open()).filter(|r| brings(r)) {
        return Ok(Act::Follow(row.uuid.clone()));
    }
    let set = image && configured != revision;
    // Another build that is on its way will replace what runs, so that it has to be deployed after it.
    let overtaken = ours.clone().take_while(|r| !r.is_finished()).any(Row::is_open);
    let last = ours.find(|r| r.is_finished()).filter(|_| !overtaken);
    // Where the name of a deployment is wrong anyway, or cannot be read, the pages' word is all there is.
    let nameless =
        |row: &Row| if image { named && row.revision.is_none() } else { version.pins() == Pins::Mislabelled };
    let brought = last.filter(|row| brings(row) || nameless(row));
    if let Some(act) = brought.filter(|_| live).and_then(|row| everywhere(app, rows, row)) {
        return Ok(match act {
            Act::Nothing(id) if set => Act::Configure(id),
            act => act,
        });
    }
    if image { Ok(Act::Start(Way::Tag { set })) } else { way_of_commit(app, version, back).map(Act::Start) }
}

/// Refuses where Coolify itself says that nothing can be deployed.
pub fn reachable(app: &Application) -> Result<(), Failure> {
    if app.server_status != Some(false) {
        return Ok(());
    }
    let message = format!("the server of {} cannot be reached by Coolify: nothing was started", app.name);
    Err(Failure::temporary("server-unreachable", message))
}

/// What is left of a deployment that its first server has: nothing, or to wait for the application's other servers; `None` where
/// one of them failed or was never begun.
fn everywhere(app: &Application, rows: &[Row], first: &Row) -> Option<Act> {
    let others = rows.iter().filter(|r| !r.is_primary && r.id > first.id);
    if others.clone().any(Row::is_open) {
        return Some(Act::Follow(first.uuid.clone()));
    }
    let done = others.filter(|r| r.is_finished()).count();
    (done >= app.extra_servers()).then(|| Act::Nothing(first.uuid.clone()))
}

fn way_of_commit(app: &Application, version: &Version, back: bool) -> Result<Way, Failure> {
    let restore = if app.pin.is_empty() { "HEAD".to_owned() } else { app.pin.clone() };
    match version.pins() {
        // A rollback reaches the first server only; a pin reaches all.
        Pins::Honoured if version.has_rollback() && app.extra_servers() == 0 => Ok(Way::Exact),
        Pins::Honoured => Ok(Way::Pin { restore, force: false }),
        Pins::Mislabelled => Ok(Way::Pin { restore, force: true }),
        // Where the request is known, it deploys exactly this commit; where it is not, nothing is done.
        Pins::Unknown if back && app.extra_servers() == 0 => Ok(Way::Exact),
        Pins::Unknown => {
            let message = format!(
                "Coolify does not say which version it is (`{version}`), so that it is not known how it deploys an exact commit: \
                 look what answers at /api/v1/version"
            );
            Err(Failure::refused("version", message))
        }
        Pins::Ignored => {
            let message = format!(
                "Coolify {version} deploys the head of {} whatever commit {} is pinned to; an exact commit needs 4.2.0 or later \
                 (attach can wait for what a push deploys)",
                app.branch, app.name
            );
            Err(Failure::refused("version", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// With what is known most of the time.
    fn decide(
        app: &Application,
        rows: &[Row],
        revision: &str,
        live: bool,
        version: &Version,
    ) -> Result<Act, Failure> {
        super::decide(app, rows, revision, Known { version, live, named: false, back: false })
    }

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn app(tag: &str) -> Application {
        let value = json!({ "uuid": "a", "name": "shop", "build_pack": "dockerimage",
            "docker_registry_image_name": "r.example:5000/shop", "docker_registry_image_tag": tag });
        serde_json::from_value(value).expect("an application")
    }

    fn built(extra: u32) -> Application {
        let value = json!({ "uuid": "a", "name": "shop", "build_pack": "nixpacks", "git_repository": "a/b",
            "git_branch": "main", "git_commit_sha": "HEAD", "additional_servers_count": extra });
        serde_json::from_value(value).expect("an application")
    }

    fn wanted(image: &str) -> Wanted {
        Wanted::new(Build::default(), vec![image.to_owned()])
    }

    #[test]
    fn each_state_of_an_image_has_its_act() {
        let row = Row::sample;
        let old = row("old", "finished", Some("1.1.4"));
        let new = || row("new", "finished", Some("1.2.0"));
        let open = |tag| row("open", "in_progress", tag);
        let start = |set| Act::Start(Way::Tag { set });
        let mut elsewhere = open(Some("1.2.0"));
        elsewhere.is_primary = false;
        for (configured, rows, live, expected) in [
            ("1.1.4", vec![old.clone()], false, start(true)),
            ("1.2.0", vec![old.clone()], false, start(false)),
            ("1.2.0", vec![new(), old.clone()], true, Act::Nothing("new".into())),
            ("1.2.0", vec![new(), old.clone()], false, start(false)),
            ("1.3.0", vec![new(), old.clone()], true, Act::Configure("new".into())),
            ("1.3.0", vec![new(), old.clone()], false, start(true)),
            ("1.2.0", vec![open(Some("1.2.0")), old.clone()], false, Act::Follow("open".into())),
            (
                "1.2.0",
                vec![row("odd", "an-odd-word", Some("1.2.0")), old.clone()],
                true,
                Act::Follow("odd".into()),
            ),
            ("1.2.0", vec![open(None), old.clone()], false, Act::Follow("open".into())),
            ("1.2.0", vec![open(Some("1.1.4")), old.clone()], false, start(false)),
            // It runs now, and another one is on its way.
            ("1.2.0", vec![open(Some("1.3.0")), new(), old.clone()], true, start(false)),
            ("1.3.0", vec![open(None), new(), old.clone()], true, start(true)),
            ("1.2.0", vec![new(), open(Some("1.3.0")), old.clone()], true, Act::Nothing("new".into())),
            ("1.2.0", vec![elsewhere, old.clone()], false, start(false)),
            ("1.2.0", vec![row("bad", "failed", Some("1.2.0")), old], false, start(false)),
        ] {
            let act =
                decide(&app(configured), &rows, "1.2.0", live, &Version::parse("4.3.11")).expect("an act");
            assert_eq!(act, expected, "{rows:?}");
        }
    }

    #[test]
    fn what_the_pages_name_runs_although_no_log_can_be_read() {
        let version = Version::parse("4.3.11");
        let rows = [Row::sample("new", "finished", None)];
        let act = |named| {
            let known = Known { version: &version, live: true, named, back: false };
            super::decide(&app("1.1.4"), &rows, "1.2.0", known).expect("an act")
        };
        assert_eq!(act(true), Act::Configure("new".into()));
        assert_eq!(act(false), Act::Start(Way::Tag { set: true }));
    }

    #[test]
    fn a_version_that_is_not_told_holds_only_what_needs_it() {
        let version = Version::unknown();
        let known = |back| Known { version: &version, live: false, named: false, back };
        let git =
            |back, extra| super::decide(&built(extra), &[], B, known(back)).map_err(|f| f.reason.clone());
        assert_eq!(git(false, 0), Err("version".into()));
        assert_eq!(git(true, 0), Ok(Act::Start(Way::Exact)));
        assert_eq!(git(true, 1), Err("version".into()));
        let image = super::decide(&app("1.1.4"), &[], "1.2.0", known(false)).expect("an act");
        assert_eq!(image, Act::Start(Way::Tag { set: true }));
    }

    #[test]
    fn a_commit_is_deployed_as_the_version_can() {
        let pin = |force| Act::Start(Way::Pin { restore: "HEAD".into(), force });
        let rows = [Row::sample("old", "finished", Some(A))];
        for (version, extra, expected) in [
            ("4.3.11", 0, Some(Act::Start(Way::Exact))),
            ("4.3.11", 2, Some(pin(false))),
            ("4.2.0", 0, Some(pin(false))),
            ("4.1.2", 0, None),
            ("4.0.0-beta.470", 0, None),
            ("4.0.0-beta.460", 0, Some(pin(true))),
        ] {
            let act = decide(&built(extra), &rows, B, false, &Version::parse(version));
            match expected {
                Some(expected) => assert_eq!(act.expect("an act"), expected, "{version}"),
                None => assert_eq!(act.expect_err("refused").reason, "version", "{version}"),
            }
        }
        let known = |uuid, status, commit| [Row::sample(uuid, status, Some(commit))];
        let newest = Version::parse("4.3.11");
        assert_eq!(
            decide(&built(0), &known("b", "finished", B), B, true, &newest).expect("an act"),
            Act::Nothing("b".into())
        );
        assert_eq!(
            decide(&built(0), &known("b", "queued", B), B, false, &newest).expect("an act"),
            Act::Follow("b".into())
        );
        let head = [Row::sample("h", "in_progress", None)];
        assert_eq!(decide(&built(0), &head, B, false, &newest).expect("an act"), Act::Start(Way::Exact));
    }

    #[test]
    fn a_build_is_there_when_every_server_has_it() {
        let on = |id, is_primary, status| {
            let mut row = Row::sample(if is_primary { "first" } else { "other" }, status, Some(B));
            (row.id, row.is_primary) = (id, is_primary);
            row
        };
        let (first, other) = (|| on(7, true, "finished"), |id, status| on(id, false, status));
        let start = || Act::Start(Way::Pin { restore: "HEAD".into(), force: false });
        for (others, expected) in [
            (vec![other(9, "finished"), other(8, "finished")], Act::Nothing("first".into())),
            (vec![other(9, "in_progress"), other(8, "finished")], Act::Follow("first".into())),
            (vec![other(9, "failed"), other(8, "finished")], start()),
            // One was never begun, or belongs to the deployment before.
            (vec![other(8, "finished")], start()),
            (vec![other(8, "finished"), other(6, "finished")], start()),
        ] {
            let rows: Vec<Row> = others.into_iter().chain([first()]).collect();
            let act = decide(&built(2), &rows, B, true, &Version::parse("4.3.11")).expect("an act");
            assert_eq!(act, expected, "{rows:?}");
        }
    }

    #[test]
    fn the_wrong_application_is_refused() {
        let reason =
            |app: &Application, wanted: &Wanted| wanted.revision(app).expect_err("refused").reason.clone();
        assert_eq!(reason(&app("1"), &wanted("r.example:5000/other:1")), "image-name");
        assert_eq!(reason(&app("1"), &wanted("r.example:5000/shop")), "image");
        assert_eq!(reason(&app("1"), &Wanted::default()), "fact-missing");
        assert_eq!(reason(&built(0), &wanted("r.example:5000/shop:1")), "fact-missing");
        let inline = serde_json::from_value(json!({ "uuid": "a", "build_pack": "dockerfile" }))
            .expect("an application");
        assert_eq!(reason(&inline, &wanted("r.example:5000/shop:1")), "build-pack");
        let mut down = app("1");
        down.server_status = Some(false);
        assert_eq!(reachable(&down).expect_err("refused").reason, "server-unreachable");
        assert_eq!(reason(&app("1"), &wanted("r.example:5000/shop:latest")), "image");
    }

    #[test]
    fn each_application_takes_the_image_of_its_repository() {
        let both =
            Wanted::new(Build::default(), vec!["r.example/worker:2".into(), "r.example:5000/shop:3".into()]);
        assert_eq!(both.revision(&app("1")).expect("a tag"), "3");
    }
}
