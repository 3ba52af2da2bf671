//! The stand-in and our own requests, held against Coolify's official schema. Where the schema is known to be wrong the difference is
//! listed here by name.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use testkit::Coolify;
use testkit::http::{Reply, Request, Server};

use crate::Found;

const TOKEN: &str = "17|contract-contract";
const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1";
const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2";

/// Where Coolify's code is right and its schema is not: a place, and why.
const KNOWN: &[(&str, &str)] = &[
    (
        "GET /deployments/applications/{uuid}: shape",
        "{count, deployments} of deployments, not a list of applications",
    ),
    ("POST /deploy: a body", "the words are documented in the query only; JSON is read too"),
    ("GET /applications/{uuid}: build_pack", "dockerimage is there, and the list of kinds lacks it"),
    (
        "GET /deploy",
        "answers 405 (400 before 4.2.0) and is documented as POST only; it tells whether a token may deploy",
    ),
    ("GET /deployments/{uuid}: git_type", "null where there was no webhook"),
    ("GET /deployments/{uuid}: logs", "null before the first line"),
    ("GET /deployments/{uuid}: commit_message", "null before the commit is known"),
    ("GET /deployments/{uuid}: current_process_id", "null before the worker has run a command"),
    ("GET /applications/{uuid}: build_command", "null unless somebody has set it"),
    ("GET /applications/{uuid}: dockerfile_location", "null unless it is built from a Dockerfile"),
    ("GET /applications/{uuid}: install_command", "null unless somebody has set it"),
    ("GET /applications/{uuid}: publish_directory", "null unless somebody has set it"),
    ("GET /applications/{uuid}: start_command", "null unless somebody has set it"),
];

/// The schema, and what was found.
struct Check {
    api: Value,
    known: BTreeSet<&'static str>,
    unknown: BTreeSet<String>,
}

impl Check {
    /// A difference: a known one, or an error.
    fn differs(&mut self, place: &str, what: &str) {
        let found = KNOWN.iter().find(|(name, _)| *name == place);
        match found {
            Some((name, _)) => {
                self.known.insert(name);
            }
            None => {
                self.unknown.insert(format!("{place}: {what}"));
            }
        }
    }

    /// The template of a path, such as `/applications/{uuid}`.
    fn template(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix("/api/v1")?;
        let paths = self.api["paths"].as_object()?;
        if paths.contains_key(path) {
            return Some(path.to_owned());
        }
        let fits = |template: &&String| {
            let (a, b): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a == b || a.starts_with('{'))
        };
        paths.keys().find(fits).cloned()
    }

    /// A request as we send it.
    fn request(&mut self, request: &Request) {
        let place = |template: &str| format!("{} {template}", request.method);
        let Some(template) = self.template(&request.path) else {
            return self.differs(&place(&request.path), "no such path");
        };
        let method = request.method.to_ascii_lowercase();
        let operation = self.api["paths"][&template][&method].clone();
        if operation.is_null() {
            return self.differs(&place(&template), "no such method");
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let named = |key: &str| parameters.iter().any(|p| p["name"] == key && p["in"] == "query");
        for key in request.query.keys().filter(|key| !named(key)) {
            self.differs(&format!("{}: {key}", place(&template)), "no such word in the query");
        }
        let Some(body) = request.json() else { return };
        let schema = operation["requestBody"]["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            // Its words must at least be known as words of the query.
            let odd: Vec<&String> =
                body.as_object().into_iter().flat_map(Map::keys).filter(|key| !named(key)).collect();
            odd.iter().for_each(|key| self.differs(&format!("{}: {key}", place(&template)), "no such word"));
            if body.as_object().is_some_and(|b| !b.is_empty()) {
                self.differs(&format!("{}: a body", place(&template)), "not documented");
            }
            return;
        }
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for key in
            body.as_object().into_iter().flat_map(Map::keys).filter(|key| !properties.contains_key(*key))
        {
            self.differs(&format!("{}: {key}", place(&template)), "no such field");
        }
        self.validate(&place(&template), &schema, &body);
    }

    /// An answer of the stand-in.
    fn answer(&mut self, template: &str, method: &str, body: &Value) {
        let place = format!("{} {template}", method.to_ascii_uppercase());
        let schema =
            self.api["paths"][template][method]["responses"]["200"]["content"]["application/json"]["schema"]
                .clone();
        if schema.is_null() {
            return self.differs(&place, "no schema for its answer");
        }
        self.validate(&place, &schema, body);
    }

    fn validate(&mut self, place: &str, schema: &Value, body: &Value) {
        let mut whole = json!({ "components": self.api["components"] });
        for (key, value) in schema.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        nullable(&mut whole);
        let validator = jsonschema::validator_for(&whole).expect("the schema is a schema");
        let errors: Vec<(String, String, bool)> = validator
            .iter_errors(body)
            .map(|e| (e.instance_path().to_string(), e.to_string(), e.instance().is_null()))
            .collect();
        for (at, error, null) in errors {
            let field = at.trim_start_matches('/').split('/').next_back().unwrap_or_default().to_owned();
            let by_field = format!("{place}: {field}");
            let name = match (at.is_empty(), null) {
                (true, _) => format!("{place}: shape"),
                (_, true) if !KNOWN.iter().any(|(k, _)| *k == by_field) => format!("{place}: null"),
                _ => by_field,
            };
            self.differs(&name, &format!("{at}: {}", error.chars().take(200).collect::<String>()));
        }
    }
}

/// OpenAPI's word for what JSON Schema writes as a type.
fn nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true))
                && let Some(Value::String(kind)) = map.get("type").cloned()
            {
                map.insert("type".into(), json!([kind, "null"]));
            }
            map.values_mut().for_each(nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}

/// Has the program deploy, go back, cancel and check, on an image and a commit.
fn play(program: &str, coolify: &Arc<Coolify>, apps: &[(String, &str, &str)]) {
    for (app, revision, flag) in apps {
        let (theirs, own) = (Arc::clone(coolify), app.clone());
        let page = Server::start(move |_| {
            Reply::text(200, "text/html", "").with("X-Release", theirs.running(&own).unwrap_or_default())
        });
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "[product]\nname = \"shop\"\n[environment.staging]\npublic_urls = [\"{}/\"]\nmarker = \"X-Release\"\n\
             [deploy-coolify]\nurl = \"{}\"\napplications = [\"{app}\"]\ninterval = \"20ms\"\nbake = \"0s\"\n",
            page.url(),
            coolify.server().url()
        );
        std::fs::write(folder.path().join("release.toml"), settings).expect("written");
        let run = |words: &[&str]| {
            let mut command = Command::new(std::fs::canonicalize(program).expect("the program"));
            command.args(words).args(["--env", "staging", "--quiet"]).current_dir(folder.path());
            command.env("COOLIFY_TOKEN", TOKEN).stdin(Stdio::null()).stdout(Stdio::null());
            command.status().expect("it runs").success()
        };
        assert!(run(&["deploy", flag, revision]), "deploy");
        assert!(run(&["rollback"]), "rollback");
        assert!(run(&["--check"]), "--check");
        coolify.stall_next_deployment();
        assert!(!run(&["deploy", flag, revision, "--stall", "100ms", "--cancel"]), "a stall");
    }
}

fn ask(coolify: &Coolify, path: &str) -> Value {
    let url = format!("{}/api/v1{path}", coolify.server().url());
    let mut answer =
        ureq::get(url).header("Authorization", format!("Bearer {TOKEN}")).call().expect("answered");
    answer.body_mut().read_json().expect("JSON")
}

/// Plays against the stand-in, and finds where its answers and our requests differ from the schema.
pub fn check(schema: &str, program: &str) -> Found {
    let text = std::fs::read_to_string(schema).expect("the schema");
    let api = serde_json::from_str(&text).expect("the schema is JSON");
    let mut check = Check { api, known: BTreeSet::new(), unknown: BTreeSet::new() };
    let coolify = Arc::new(Coolify::start());
    coolify.token(TOKEN, &["root"]);
    coolify.pace(Duration::ZERO, Duration::ZERO);
    let image = "r.example/shop";
    let apps = [
        (coolify.application("image", image, "1"), "r.example/shop:2", "--image"),
        (coolify.git_application("git", "main", OLD), NEW, "--commit"),
    ];
    coolify.commits(&apps[1].0, &[NEW]);
    play(program, &coolify, &apps);
    coolify.version("4.2.0");
    play(program, &coolify, &apps[1..]);
    coolify.server().log().iter().for_each(|request| check.request(request));
    for (app, _, _) in &apps {
        check.answer("/applications/{uuid}", "get", &ask(&coolify, &format!("/applications/{app}")));
        check.answer(
            "/deployments/applications/{uuid}",
            "get",
            &ask(&coolify, &format!("/deployments/applications/{app}")),
        );
        for (id, _) in coolify.states(app) {
            check.answer("/deployments/{uuid}", "get", &ask(&coolify, &format!("/deployments/{id}")));
        }
        coolify.pace(Duration::from_secs(60), Duration::ZERO);
        coolify.press_deploy(app);
        let queued = coolify.states(app).pop().expect("one").0;
        check.answer("/deployments/{uuid}", "get", &ask(&coolify, &format!("/deployments/{queued}")));
    }
    Found { list: KNOWN, known: check.known, unknown: check.unknown }
}
