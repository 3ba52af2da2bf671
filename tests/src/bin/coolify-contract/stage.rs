//! The stand-in, put into the state in which a question was asked of the real one.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Coolify;
use testkit::coolify::Door;

use crate::captures::{Answer, Capture};

const TOKEN: &str = "17|contract-contract";
const OLD: &str = "1901a459d9d13b8c7ed054ec41e23a34f540d9aa";
const MIDDLE: &str = "6797a846495b4b19fd37e09936452a75b93ae1cc";
const NEW: &str = "5f766f7e574da04844febed44a14664f5ef554bb";
const LONG: Duration = Duration::from_secs(600);

/// A Coolify with the applications that the questions are about, and what they are called in the questions.
pub struct Stage {
    coolify: Coolify,
    image: String,
    git: String,
    names: Vec<(&'static str, String)>,
    /// The deployment that a question is about.
    deployment: Option<String>,
}

impl Stage {
    /// As it was when this answer was given.
    pub fn of(capture: &Capture) -> Self {
        let mut stage = Stage::furnished();
        let coolify = &stage.coolify;
        if let Some(version) = &capture.version {
            coolify.version(version);
        }
        coolify.token("admin", &["root"]);
        let abilities: Vec<&str> = capture.token.chars().filter_map(ability).collect();
        match capture.token.as_str() {
            "nonsense" => {}
            token if token.starts_with('m') => coolify.member_token(TOKEN, &abilities),
            _ => coolify.token(TOKEN, &abilities),
        }
        stage.scene(&capture.name);
        stage
    }

    fn furnished() -> Self {
        let coolify = Coolify::start();
        coolify.pace(Duration::ZERO, Duration::ZERO);
        coolify.false_alarm(Duration::ZERO);
        let image = coolify.application("shop", "registry.example/shop", "1.9.2");
        coolify.health_check(&image);
        let git = coolify.git_application("web", "main", NEW);
        coolify.build_pack(&git, "dockerfile");
        coolify.history(&git, &[OLD, MIDDLE, NEW]);
        let staging = coolify.application("shop-staging", "registry.example/shop", "v1.2.0-rc2");
        coolify.extra_servers(&staging, 1);
        let inline = coolify.inline_application("inline");
        let digest = coolify.digest_application("by-digest", "nginx", &"a".repeat(64));
        for app in [&image, &git, &staging, &inline, &digest] {
            coolify.set(app, "fqdn", json!("http://shop.example:3000"));
        }
        let names = vec![
            ("app-image-uuid-000000001", image.clone()),
            ("app-git-uuid-00000000001", git.clone()),
            ("app-staging-uuid-0000001", staging),
            ("inline000000000000000000", inline),
            ("digest000000000000000000", digest),
        ];
        Stage { coolify, image, git, names, deployment: None }
    }

    /// What had happened before.
    fn scene(&mut self, name: &str) {
        let coolify = &self.coolify;
        match name {
            "api-disabled-403" => coolify.door(Door::Disabled),
            "ip-not-allowed-403" => coolify.door(Door::OtherAddresses),
            "maintenance-503" => coolify.door(Door::Maintenance),
            "throttle-429" => coolify.rate_limit(0),
            "deploy-429-queue-full" | "rollback-400-queue-full" => coolify.queue_limit(0),
            "applications-tag-200" => {
                self.names.iter().step_by(2).take(2).for_each(|(_, app)| coolify.tag(app, "prod"));
            }
            "deploy-200-skipped-phantom" => {
                coolify.pace(LONG, Duration::ZERO);
                coolify.press_deploy(&self.image);
            }
            "cancel-200" | "old-412-cancel-500" => {
                coolify.pace(Duration::ZERO, LONG);
                self.deployment = Some(self.deploy(&self.image));
            }
            "deployments-open-200" => {
                coolify.pace(Duration::ZERO, LONG);
                coolify.silent(LONG);
                self.deploy(&self.image);
                coolify.pickup(LONG);
                self.deploy(&self.git);
            }
            "deployment-200-in-progress-read" => {
                coolify.pace(Duration::ZERO, LONG);
                coolify.silent(LONG);
                self.deployment = Some(self.deploy(&self.image));
            }
            _ => self.deployment(name),
        }
    }

    /// A deployment that has come to its end.
    fn deployment(&mut self, name: &str) {
        let coolify = &self.coolify;
        match name {
            "deployment-cancelled-200-sensitive" | "old-beta466-list-200-read" => {
                coolify.pace(Duration::ZERO, LONG);
                let id = self.deploy(&self.image);
                self.send("POST", &format!("/deployments/{id}/cancel"), Some(&json!({})), "admin");
                self.deployment = Some(id);
            }
            "deployment-failed-pull-200-sensitive" => {
                coolify.fail_next_deployment();
                self.deployment = Some(self.deploy(&self.image));
            }
            "deployment-failed-unhealthy-200-sensitive" => {
                coolify.next_deployment_is_unhealthy("app says hello");
                self.deployment = Some(self.deploy(&self.image));
            }
            "deployment-failed-server-not-functional-200-sensitive" => {
                coolify.server_away(&self.image);
                self.deployment = Some(self.deploy(&self.image));
            }
            "deployment-finished-git-200-sensitive" => self.deployment = Some(self.rollback(OLD)),
            "list-git-200-read" => {
                self.deployment = Some(self.rollback(OLD));
                coolify.push(&self.git, NEW);
            }
            "deployment-second-server-200-read" => {
                let staging = self.names[2].1.clone();
                self.deploy(&staging);
                self.deployment = coolify.states(&staging).pop().map(|(id, _)| id);
            }
            name if name.starts_with("deployment-")
                || name.starts_with("list-200")
                || name == "cancel-400" =>
            {
                self.deployment = Some(self.deploy(&self.image));
            }
            _ => return,
        }
        // The last lines come two seconds after the status.
        coolify.states(&self.image);
        std::thread::sleep(Duration::from_millis(2100));
    }

    fn deploy(&self, app: &str) -> String {
        let body = json!({ "uuid": app, "force": true });
        let answer = self.send("POST", "/deploy", Some(&body), "admin");
        let value: Value = serde_json::from_str(&answer.text).expect("JSON");
        self.coolify.states(app);
        value["deployments"][0]["deployment_uuid"].as_str().expect("an id").to_owned()
    }

    fn rollback(&self, commit: &str) -> String {
        let path = format!("/applications/{}/rollback", self.git);
        let answer = self.send("POST", &path, Some(&json!({ "commit": commit })), "admin");
        let value: Value = serde_json::from_str(&answer.text).expect("JSON");
        self.coolify.states(&self.git);
        value["deployment_uuid"].as_str().expect("an id").to_owned()
    }

    /// Asks what was asked of the real one, with our names.
    pub fn ask(&self, capture: &Capture) -> Answer {
        let mut target = capture.target.clone();
        for (theirs, ours) in &self.names {
            target = target.replace(theirs, ours);
        }
        target = self.placed(&target);
        let body = capture.body.as_ref().map(|body| {
            let text = self.names.iter().fold(body.to_string(), |text, (a, b)| text.replace(a, b));
            serde_json::from_str(&text).expect("JSON")
        });
        let token = if capture.token == "nonsense" { "nonsense" } else { TOKEN };
        self.send(&capture.method, &target, body.as_ref(), token)
    }

    /// The deployment, or the application, where the path has another one's id.
    fn placed(&self, target: &str) -> String {
        let parts: Vec<&str> = target.split('/').collect();
        match (&parts[..], &self.deployment) {
            (["", "applications", "{uuid}", rest @ ..], _) => {
                ["", "applications", &self.image].iter().chain(rest).copied().collect::<Vec<_>>().join("/")
            }
            (["", "deployments", "applications", rest], _) if rest.starts_with("{uuid}") => {
                format!("/deployments/applications/{}", rest.replace("{uuid}", &self.image))
            }
            (["", "deployments", id, rest @ ..], Some(ours)) if !matches!(*id, "nosuch" | "applications") => {
                ["", "deployments", ours].iter().chain(rest).copied().collect::<Vec<_>>().join("/")
            }
            _ => target.to_owned(),
        }
    }

    fn send(&self, method: &str, target: &str, body: Option<&Value>, token: &str) -> Answer {
        let url = format!("{}/api/v1{target}", self.coolify.server().url());
        let config = ureq::config::Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true);
        let request =
            ureq::http::Request::builder().method(method).uri(url).header("Accept", "application/json");
        let mut request = request.header("Authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let agent = ureq::Agent::new_with_config(config.build());
        let mut answer = agent.run(request.body(text).expect("a request")).expect("answered");
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())
        };
        let headers = answer.headers().iter().map(header).collect();
        let text = answer.body_mut().read_to_string().expect("a body");
        Answer { status: answer.status().as_u16(), headers, text }
    }
}

fn ability(letter: char) -> Option<&'static str> {
    match letter {
        'r' => Some("read"),
        'd' => Some("deploy"),
        'w' => Some("write"),
        's' => Some("read:sensitive"),
        _ => None,
    }
}
