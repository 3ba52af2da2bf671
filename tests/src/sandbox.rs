//! The sandbox: the sample team's repository, database, edge and shop, with stand-ins for Coolify and Telegram, in one
//! folder. Tests and the demo play their stories in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::git::{Remote, Repo, isolate};
use crate::postgres::Cluster;
use crate::shop::Site;
use crate::varnish::Varnish;
use crate::{Coolify, Shop, Telegram};

/// Coolify's token in the sandbox.
pub const COOLIFY_TOKEN: &str = "17|canary-coolify-Zk3vN8pQ";
/// Telegram's token in the sandbox.
pub const TELEGRAM_TOKEN: &str = "123456789:canary-telegram-AAH7dT2mXw9rB4";
/// The chat.
pub const CHAT: i64 = -1_001_234_567_890;
const IMAGE: &str = "registry.luxima.id/aceh-commerce";

const CHANGELOG: &str = "# Changelog

## [Unreleased]

## [1.1.4] - 2026-10-01
### Fixed
- The cart keeps its items after a login
";
const SECTION_1_2_0: &str = "## [1.2.0] - 2026-11-20
### Added
- Pay with QRIS
- A sale page
### Fixed
- Prices are rounded to whole rupiah

";
const PRODUCTS: &str = "create table products (id int primary key, name text not null, price int not null);
insert into products values (1, 'Kopi Gayo', 85000), (2, 'Kain songket', 1250000), (3, 'Dodol Sabang', 30000);
";
const ORDERS: &str = "create table orders (id serial primary key, product_id int not null references products, quantity int not null);
insert into orders (product_id, quantity) values (1, 2), (3, 10);
";
/// What 1.3.0 does to the data: the page still needs the column.
const DESTRUCTIVE: &str = "update products set price = 0;
alter table products drop column price;
";

/// One environment of the sample team.
pub struct Place {
    /// Coolify's uuid of its application.
    pub application: String,
    /// The shop itself.
    pub shop: Shop,
    /// Its database's name.
    pub database: &'static str,
    /// Its edge.
    pub edge: String,
}

/// Everything together. Fields are dropped in order: what asks before what is asked.
pub struct Sandbox {
    /// The edge's server.
    pub varnish: Varnish,
    /// Coolify.
    pub coolify: Arc<Coolify>,
    /// Telegram.
    pub telegram: Telegram,
    /// Production.
    pub production: Place,
    /// Staging.
    pub staging: Place,
    /// PostgreSQL.
    pub cluster: Cluster,
    /// The remote repository.
    pub remote: Remote,
    /// The clone in which the team works.
    pub product: Repo,
    root: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Sandbox {
    /// Starts in a folder of its own, which goes with it.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("rilis-sandbox-").tempdir().expect("a folder");
        let root = folder.path().to_owned();
        Self::in_folder(&root, Some(folder))
    }

    /// Starts in a given folder, which stays.
    pub fn start_in(root: &Path) -> Self {
        std::fs::create_dir_all(root).expect("a folder");
        Self::in_folder(&root.canonicalize().expect("it is there"), None)
    }

    fn in_folder(root: &Path, folder: Option<tempfile::TempDir>) -> Self {
        let remote = Remote::create(&root.join("origin.git"));
        let product = repository(&remote, &root.join("product"));
        let cluster = Cluster::start();
        let coolify = Arc::new(Coolify::start());
        coolify.token(COOLIFY_TOKEN, &["read", "read:sensitive", "write", "deploy"]);
        let mut places = Vec::new();
        for (name, database) in [("shop", "shop"), ("shop-staging", "shop_staging")] {
            cluster.create_database(database);
            let application = coolify.application(name, IMAGE, "1.1.4");
            let site = Site::new(&application, &remote, cluster.config(database));
            site.start_release(&application, "1.1.4");
            places.push((application, Shop::start(&site, &coolify), site, database));
        }
        let sites: Vec<Arc<Site>> = places.iter().map(|p| Arc::clone(&p.2)).collect();
        coolify.on_finished(move |application, tag| {
            sites.iter().for_each(|site| site.start_release(application, tag));
        });
        let varnish = Varnish::start(places[0].1.server().port(), places[1].1.server().port());
        let edges = [varnish.production(), varnish.staging()];
        let mut places = places
            .into_iter()
            .zip(edges)
            .map(|((application, shop, _, database), edge)| Place { application, shop, database, edge });
        let (production, staging) = (places.next().expect("two"), places.next().expect("two"));
        let telegram = Telegram::start(TELEGRAM_TOKEN, CHAT);
        let sandbox = Sandbox {
            varnish,
            coolify,
            telegram,
            production,
            staging,
            cluster,
            remote,
            product,
            root: root.to_owned(),
            _folder: folder,
        };
        sandbox.write_secrets();
        sandbox.write_settings();
        sandbox
    }

    /// The sandbox's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The product's folder.
    pub fn product_dir(&self) -> PathBuf {
        self.product.path().to_owned()
    }

    /// Every secret that must never be seen anywhere.
    pub fn canaries(&self) -> Vec<&'static str> {
        // Their second parts alone are secret enough.
        vec!["canary-coolify-Zk3vN8pQ", "canary-telegram-AAH7dT2mXw9rB4", crate::postgres::PASSWORD]
    }

    /// Deployments take no time.
    pub fn at_once(&self) {
        self.coolify.pace(Duration::ZERO, Duration::ZERO);
    }

    /// A command in the product's folder, with the workspace's programs in PATH and nothing of the caller's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.product.path()).env_clear();
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command
    }

    /// The environment of such a command.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", crate::bin_dir().display());
        let mut git = Command::new("git");
        isolate(&mut git);
        let mut variables: Vec<(String, String)> = git
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())))
            .collect();
        variables.push(("PATH".into(), path));
        variables.push(("HOME".into(), self.root.display().to_string()));
        variables.push(("TERM".into(), std::env::var("TERM").unwrap_or_else(|_| "dumb".into())));
        variables
    }

    /// A runbook of the workspace.
    pub fn runbook(&self, name: &str) -> Command {
        self.command(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name))
    }

    /// The place of an environment.
    pub fn place(&self, environment: &str) -> &Place {
        if environment == "staging" { &self.staging } else { &self.production }
    }

    /// Status, the `X-Release` header, and body of a page through the edge.
    pub fn page(&self, environment: &str, path: &str) -> (u16, String, String) {
        fetch(&format!("{}{path}", self.place(environment).edge))
    }

    /// What confirms that production's newest snapshot is restored: `shop@ID`.
    pub fn confirmation(&self) -> String {
        let folder = std::fs::read_dir(self.root.join("snapshots/production")).expect("snapshots").flatten();
        // Names carry whole seconds only.
        let newest = folder.max_by_key(|e| e.metadata().and_then(|m| m.modified()).expect("a time"));
        format!("{}@{}", self.production.database, newest.expect("a snapshot").file_name().to_string_lossy())
    }

    /// QA is content: what is on staging, a candidate by then, goes to main.
    pub fn merge_staging_to_main(&self) {
        self.tag_candidate("1.2.0", "refs/heads/staging");
        self.product.git(&["fetch", "--quiet", "origin"]);
        self.product.git(&["push", "--quiet", "origin", "refs/remotes/origin/staging:refs/heads/main"]);
    }

    /// A branch's tip becomes a candidate by hand and runs in staging, if nobody has made it one: for stories that begin after QA.
    fn tag_candidate(&self, version: &str, branch: &str) {
        if self.remote.git(&["tag", "--points-at", branch]).contains("-rc") {
            return;
        }
        let by = ["-c", "user.name=Rina Wijaya", "-c", "user.email=rina@luxima.example"];
        let tag = format!("v{version}-rc1");
        let words = ["tag", "--annotate", "--message", "candidate", &tag, branch];
        self.remote.git(&[&by[..], &words].concat());
        self.coolify.history(&self.staging.application, &["1.1.4", &tag]);
    }

    /// Somebody brings a release to main whose migration destroys what its page needs; it was a candidate, and QA has not seen it.
    pub fn prepare_bad_release(&self, version: &str) {
        let path = self.root.join("colleague");
        let colleague = if path.is_dir() {
            self.remote.clone_to(&self.root.join(version))
        } else {
            self.remote.clone_to(&path)
        };
        let log = std::fs::read_to_string(colleague.path().join("CHANGELOG.md")).expect("the changelog");
        let section =
            format!("## [{version}] - 2026-11-24\n### Changed\n- Prices come from the new price service\n\n");
        let log = log.replacen("## [1.2.0]", &format!("{section}## [1.2.0]"), 1);
        let migration = format!("db/migrations/20261124090000_{version}.sql");
        colleague.commit(&format!("Release {version}"), &[("CHANGELOG.md", &log), (&migration, DESTRUCTIVE)]);
        colleague.git(&["push", "--quiet", "origin", "main"]);
        self.tag_candidate(version, "refs/heads/main");
    }

    fn write_secrets(&self) {
        let folder = self.root.join("secrets");
        std::fs::create_dir_all(&folder).expect("a folder");
        let secrets = [
            ("coolify-token", COOLIFY_TOKEN),
            ("telegram-token", TELEGRAM_TOKEN),
            ("database-password", crate::postgres::PASSWORD),
        ];
        for (name, secret) in secrets {
            crate::write_private(&folder.join(name), &format!("{secret}\n"));
        }
    }

    /// `release.toml` is not in the repository here: every sandbox has its own ports.
    fn write_settings(&self) {
        let mut text = format!(
            "[product]\nname = \"aceh-commerce\"\nchangelog = \"CHANGELOG.md\"\nimage = \"{IMAGE}:{{version}}\"\n\n\
             [changelog-lint]\noff = [\"undefined-link\"]\n\n\
             [notify]\nchannel = \"luxima-alerts\"\nstate = \"../state\"\n\n[notify.channels.luxima-alerts]\nkind = \"telegram\"\n\
             chat_id = {CHAT}\ntoken_file = \"../secrets/telegram-token\"\nurl = \"{}\"\n",
            self.telegram.server().url()
        );
        for (environment, branch, image) in
            [("staging", "staging", Some("{tag}")), ("production", "main", None)]
        {
            text.push_str(&self.environment_settings(environment, branch, image));
        }
        std::fs::write(self.product.path().join("release.toml"), text).expect("written");
    }

    fn environment_settings(&self, environment: &str, branch: &str, image: Option<&str>) -> String {
        let place = self.place(environment);
        let edge = &place.edge;
        let image = image.map(|tag| format!("image = \"{IMAGE}:{tag}\"\n")).unwrap_or_default();
        format!(
            "\n[environment.{environment}]\nbranch = \"{branch}\"\npublic_urls = [\"{edge}/\", \"{edge}/sale\"]\nmarker = \"X-Release\"\n\
             \n[environment.{environment}.deploy-coolify]\nurl = \"{coolify}\"\ntoken_file = \"../secrets/coolify-token\"\n\
             applications = [\"{application}\"]\n{image}probe_urls = [\"{edge}/api/health\"]\ninterval = \"20ms\"\nsoak = \"0s\"\nhealth_timeout = \"2s\"\nbake = \"0s\"\n\
             \n[environment.{environment}.cdn-purge]\ndriver = \"http\"\nendpoint = \"{edge}\"\norigin = \"{origin}\"\nbake = \"60ms\"\n\
             tag.headers.xkey = \"{{tag}}\"\ntag.soft_headers.X-Soft = \"1\"\ncount_header = \"X-Purged\"\n\
             prefix.method = \"BAN\"\nprefix.headers.X-Ban-Prefix = \"{{path_regex}}\"\n\
             \n[environment.{environment}.db-restore]\nhost = \"{host}\"\nport = {port}\ndatabase = \"{database}\"\nuser = \"postgres\"\n\
             password_file = \"../secrets/database-password\"\nsnapshots = \"../snapshots/{environment}\"\n",
            coolify = self.coolify.server().url(),
            application = place.application,
            origin = place.shop.server().url(),
            host = self.cluster.host(),
            port = self.cluster.port(),
            database = place.database,
        )
    }

    /// Adds lines to a table of the team's settings, such as `environment.production.db-restore`.
    pub fn set(&self, table: &str, lines: &str) {
        let path = self.product.path().join("release.toml");
        let text = std::fs::read_to_string(&path).expect("settings");
        let head = format!("[{table}]\n");
        assert!(text.contains(&head), "there is no {head}");
        std::fs::write(path, text.replacen(&head, &format!("{head}{lines}\n"), 1)).expect("written");
    }
}

/// Status, the `X-Release` header, and body of a page.
pub fn fetch(url: &str) -> (u16, String, String) {
    let config = ureq::config::Config::builder().http_status_as_error(false).proxy(None).build();
    let mut answer =
        ureq::Agent::new_with_config(config).get(url).call().unwrap_or_else(|e| panic!("{url}: {e}"));
    let release =
        answer.headers().get("x-release").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let body = answer.body_mut().read_to_string().unwrap_or_default();
    (answer.status().as_u16(), release, body)
}

/// main is 1.1.4 and tagged so; staging has 1.2.0; develop is where it came from.
fn repository(remote: &Remote, path: &Path) -> Repo {
    let repo = remote.clone_to(path);
    repo.commit(
        "Release 1.1.4",
        &[
            ("CHANGELOG.md", CHANGELOG),
            (".gitignore", "release.toml\n"),
            ("db/migrations/20260901090000_products.sql", PRODUCTS),
            ("db/migrations/20260915090000_orders.sql", ORDERS),
            ("shop/query.sql", "select name, price from products order by id"),
        ],
    );
    repo.git(&["branch", "--move", "main"]);
    repo.git(&["tag", "--annotate", "--message", "v1.1.4", "v1.1.4"]);
    repo.git(&["push", "--quiet", "origin", "main", "refs/tags/v1.1.4"]);
    repo.git(&["switch", "--quiet", "--create", "develop"]);
    let log = CHANGELOG.replacen("## [1.1.4]", &format!("{SECTION_1_2_0}## [1.1.4]"), 1);
    let migration = "alter table orders add column paid_with text not null default 'transfer';\n";
    repo.commit(
        "Pay with QRIS",
        &[("CHANGELOG.md", &log), ("db/migrations/20261110090000_qris.sql", migration)],
    );
    repo.git(&["switch", "--quiet", "--create", "staging"]);
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "develop", "staging"]);
    repo.git(&["branch", "--quiet", "--set-upstream-to=origin/main", "main"]);
    repo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_is_served_through_a_cache_that_can_be_purged() {
        let sandbox = Sandbox::start();
        let (status, release, body) = sandbox.page("production", "/");
        assert_eq!((status, release.as_str()), (200, "1.1.4"));
        assert!(body.contains("Kopi Gayo | 85000"), "{body}");
        let hits = || sandbox.production.shop.server().count("GET", "/");
        let before = hits();
        sandbox.page("production", "/");
        assert_eq!(hits(), before, "the second time it comes from the cache");
        let purge = Command::new("curl")
            .args(["-sf", "-X", "PURGE", &format!("{}/", sandbox.production.edge)])
            .output();
        assert!(purge.expect("curl").status.success());
        sandbox.page("production", "/");
        assert_eq!(hits(), before + 1, "after the purge it is asked again");
    }

    #[test]
    fn a_bad_release_breaks_its_own_page() {
        let sandbox = Sandbox::start();
        sandbox.prepare_bad_release("1.3.0");
        sandbox.remote.git(&["tag", "v1.3.0", "main"]);
        sandbox.at_once();
        let url = format!("{}/api/v1/", sandbox.coolify.server().url());
        let bearer = format!("Bearer {COOLIFY_TOKEN}");
        let application = &sandbox.production.application;
        let tag = serde_json::json!({ "docker_registry_image_tag": "1.3.0" });
        ureq::patch(format!("{url}applications/{application}"))
            .header("Authorization", &bearer)
            .send_json(tag)
            .expect("set");
        ureq::post(format!("{url}deploy?uuid={application}&force=true"))
            .header("Authorization", &bearer)
            .send_empty()
            .expect("queued");
        assert_eq!(sandbox.page("production", "/api/health").0, 500);
        assert_eq!(sandbox.page("staging", "/api/health").0, 200);
    }
}
