//! The sample product: an HTTP origin whose release is whatever the stand-in Coolify has running, and whose pages need the
//! tables of its PostgreSQL. Like a container it applies its release's migrations when it starts.

use std::sync::{Arc, Mutex};

use postgres::{Client, NoTls};

use crate::coolify::Coolify;
use crate::git::Remote;
use crate::http::{Reply, Request, Server};

/// What a shop is made of; shared with the hook that starts a release.
pub struct Site {
    application: String,
    remote: Remote,
    config: postgres::Config,
    session: Mutex<Option<Client>>,
}

/// A shop on a port.
pub struct Shop {
    server: Server,
}

impl Site {
    /// A site for one application of Coolify, with the product's repository and its database.
    pub fn new(application: &str, remote: &Remote, config: postgres::Config) -> Arc<Self> {
        Arc::new(Site {
            application: application.into(),
            remote: remote.clone(),
            config,
            session: Mutex::default(),
        })
    }

    /// Starts a release as its container would: migrations first.
    pub fn start_release(&self, application: &str, tag: &str) {
        if application != self.application {
            return;
        }
        let commit = self.commit(tag);
        let mut client = self.config.connect(NoTls).expect("the shop's database");
        client
            .batch_execute("create table if not exists schema_migrations (name text primary key)")
            .expect("the table of migrations");
        let names = self.remote.git(&["ls-tree", "--name-only", &commit, "db/migrations/"]);
        for path in names.lines().filter(|p| p.ends_with(".sql")) {
            let known =
                client.query("select 1 from schema_migrations where name = $1", &[&path]).expect("asked");
            if known.is_empty() {
                let sql = self.remote.git(&["show", &format!("{commit}:{path}")]);
                let mut transaction = client.transaction().expect("a transaction");
                transaction.batch_execute(&sql).unwrap_or_else(|e| panic!("{path}: {e:?}"));
                transaction.execute("insert into schema_migrations values ($1)", &[&path]).expect("noted");
                transaction.commit().expect("committed");
            }
        }
    }

    /// An image's tag is a git tag, with or without the `v`.
    fn commit(&self, tag: &str) -> String {
        let found = self.remote.commit(&format!("refs/tags/{tag}"));
        let found = found.or_else(|| self.remote.commit(&format!("refs/tags/v{tag}")));
        found.unwrap_or_else(|| panic!("no commit is tagged {tag}"))
    }

    /// The page's rows, in a session that is opened again when it was ended from outside.
    fn rows(&self, sql: &str) -> Result<Vec<String>, String> {
        let mut session = self.session.lock().map_err(|e| e.to_string())?;
        if session.as_ref().is_none_or(Client::is_closed) {
            *session = Some(self.config.connect(NoTls).map_err(|e| e.to_string())?);
        }
        let Some(client) = session.as_mut() else { return Err("no session".into()) };
        match client.simple_query(sql) {
            Ok(messages) => Ok(messages
                .iter()
                .filter_map(|m| if let postgres::SimpleQueryMessage::Row(row) = m { Some(row) } else { None })
                .map(|row| (0..row.len()).map(|i| row.get(i).unwrap_or("")).collect::<Vec<_>>().join(" | "))
                .collect()),
            Err(error) => {
                *session = None;
                Err(error.to_string())
            }
        }
    }

    fn answer(&self, running: Option<&str>, request: &Request) -> Reply {
        let Some(tag) = running else { return Reply::text(503, "text/plain", "nothing runs") };
        let commit = self.commit(tag);
        let release = tag.strip_prefix('v').unwrap_or(tag);
        let query = self.remote.git(&["show", &format!("{commit}:shop/query.sql")]);
        let mut rows = self.rows(&query);
        if rows.is_err() {
            // A session may have been ended between two requests; a new one tells the truth.
            rows = self.rows(&query);
        }
        let reply = match (rows, request.path.as_str()) {
            (Err(error), _) => Reply::text(500, "text/plain", error).with("Cache-Control", "no-store"),
            (Ok(_), "/api/health") => {
                let body = serde_json::json!({ "ok": true, "release": release, "commit": commit });
                Reply::json(200, body).with("Cache-Control", "no-store")
            }
            (Ok(rows), "/" | "/sale") => {
                let items: String = rows.iter().map(|row| format!("<li>{row}</li>")).collect();
                let page = format!(
                    "<html lang=\"id\" data-dpl-id=\"{release}\"><h1>aceh-commerce</h1><ul>{items}</ul></html>\n"
                );
                Reply::text(200, "text/html; charset=utf-8", page)
                    .with("Cache-Control", "public, s-maxage=3600")
                    .with("xkey", "shop products")
            }
            _ => Reply::text(404, "text/plain", "no such page").with("Cache-Control", "no-store"),
        };
        reply.with("X-Release", release).with("X-Commit", &commit)
    }
}

impl Shop {
    /// Opens a site.
    pub fn start(site: &Arc<Site>, coolify: &Arc<Coolify>) -> Self {
        let (site, coolify) = (Arc::clone(site), Arc::clone(coolify));
        let server = Server::start(move |request| {
            let running = coolify.running(&site.application);
            site.answer(running.as_deref(), request)
        });
        Shop { server }
    }

    /// The HTTP side.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
