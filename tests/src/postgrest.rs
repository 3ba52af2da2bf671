//! Supabase's data API: PostgREST behind its gateway, as far as a list is read and rows are added. It answers from a real PostgreSQL under the
//! role of the key, so that grants, policies, checks and triggers are the real ones; what PostgREST does not take is refused as it does it.
//! It asks as `authenticator`, who may do nothing by himself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::postgres::error::SqlState;
use ::postgres::types::ToSql;
use ::postgres::{Client, Config, Error, NoTls};
use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};
use crate::postgres::Cluster;

/// The secret key, of the new kind.
pub const SECRET: &str = "sb_secret_canary9QxT2mVbKw7Lr4ZpYd3Hs_1a2b3c4d";
/// The key of web pages, of the new kind.
pub const PUBLISHABLE: &str = "sb_publishable_canary5Rt8Nn2Wq6Xc1Jf0Km_5e6f7a8b";
/// The old secret key, which is a JWT.
pub const SERVICE: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.canaryC0d9Kx7Rv3Tq5Lm1";
/// The old key of web pages.
pub const ANON: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.canaryB8f4Wz2Ny6Hp0Gs";
/// An old key that has expired.
pub const EXPIRED: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIiwiZXhwIjoxfQ.canaryA1e5Uj9Mb3Kd7";

/// The roles that a project begins with, for a cluster that has none of them.
pub const ROLES: &str = "create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit password 'canary-authenticator';
    grant anon, authenticated, service_role to authenticator;";

/// What hosted projects have as `db-max-rows`.
const CAP: usize = 1000;

struct State {
    config: Config,
    cap: AtomicUsize,
}

/// The stand-in.
pub struct Postgrest {
    server: Server,
    state: Arc<State>,
}

impl Postgrest {
    /// Answers from a database of a cluster that has [`ROLES`].
    pub fn start(cluster: &Cluster, database: &str) -> Self {
        let mut config = cluster.config(database);
        config.user("authenticator").password("canary-authenticator").application_name("PostgREST");
        let state = Arc::new(State { config, cap: AtomicUsize::new(CAP) });
        let ours = Arc::clone(&state);
        Postgrest { server: Server::start(move |request| answered(&ours, request)), state }
    }

    /// URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// No answer has more rows from now on.
    pub fn cap_at(&self, rows: usize) {
        self.state.cap.store(rows, Ordering::Relaxed);
    }
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, json!({ "code": code, "details": null, "hint": null, "message": message }))
}

fn answered(state: &State, request: &Request) -> Reply {
    answer(state, request).unwrap_or_else(|reply| reply)
}

fn answer(state: &State, request: &Request) -> Result<Reply, Reply> {
    let role = role(request)?;
    let segments = request.segments();
    let ["rest", "v1", table] = segments[..] else {
        return Err(Reply::json(404, json!({ "error": "requested path is invalid" })));
    };
    let unreachable =
        |e: Error| refuse(503, "PGRST000", &format!("Could not connect with the database: {e}"));
    let mut client = state.config.connect(NoTls).map_err(unreachable)?;
    let profile = if request.method == "GET" { "accept-profile" } else { "content-profile" };
    if !["", "public"].contains(&request.header(profile)) {
        return Err(refuse(
            406,
            "PGRST106",
            "Invalid schema: the schema must be one of the following: public",
        ));
    }
    let known = columns(&mut client, table)?;
    let asked = Asked { role, table, known, request };
    match request.method.as_str() {
        "GET" => asked.read(&mut client, state.cap.load(Ordering::Relaxed)),
        "POST" => asked.add(&mut client),
        _ => Err(refuse(405, "PGRST117", "Unsupported HTTP method")),
    }
}

/// Whose request it is: first the gateway's word, then that of PostgREST.
fn role(request: &Request) -> Result<&'static str, Reply> {
    let gateway = |message: &str, hint: &str| Reply::json(401, json!({ "message": message, "hint": hint }));
    let (key, bearer) = (request.header("apikey"), request.header("authorization"));
    let known = [
        (SECRET, "service_role"),
        (PUBLISHABLE, "anon"),
        (SERVICE, "service_role"),
        (ANON, "anon"),
        (EXPIRED, ""),
    ];
    let of = |text: &str| known.iter().find(|(key, _)| *key == text).map(|(_, role)| *role);
    if key.is_empty() {
        return Err(gateway(
            "No API key found in request",
            "No `apikey` request header or url param was found.",
        ));
    }
    let by_key = of(key).ok_or_else(|| gateway("Invalid API key", "Double check your API key."))?;
    if key.starts_with("sb_secret_") && request.header("user-agent").contains("Mozilla/") {
        return Err(gateway(
            "Forbidden use of secret API key in browser",
            "Secret API keys can only be used in a protected environment",
        ));
    }
    let token = match bearer.strip_prefix("Bearer ") {
        None if key.starts_with("sb_") => return Ok(by_key),
        // An old key alone is nobody's.
        None => return Ok("anon"),
        Some(token) => token,
    };
    match of(token) {
        _ if token.split('.').count() != 3 => Err(refuse(401, "PGRST301", "Expected 3 parts in JWT; got 1")),
        Some("") => Err(refuse(401, "PGRST303", "JWT expired")),
        Some(role) => Ok(role),
        None => Err(refuse(401, "PGRST301", "No suitable key or wrong key type")),
    }
}

/// The columns of a table, whoever may read it: what PostgREST has in its cache.
fn columns(client: &mut Client, table: &str) -> Result<BTreeSet<String>, Reply> {
    let sql = "select a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'public' and c.relname = $1 and c.relkind in ('r', 'v', 'm', 'p', 'f') and a.attnum > 0 and not a.attisdropped";
    let rows = client.query(sql, &[&table]).map_err(|e| failed(&e, "", ""))?;
    if rows.is_empty() {
        let message = format!("Could not find the table 'public.{table}' in the schema cache");
        return Err(refuse(404, "PGRST205", &message));
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A name in SQL.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn names(list: &str) -> String {
    list.split(',').map(name).collect::<Vec<_>>().join(", ")
}

/// A request for a table that is there.
struct Asked<'a> {
    role: &'static str,
    table: &'a str,
    known: BTreeSet<String>,
    request: &'a Request,
}

impl Asked<'_> {
    fn place(&self) -> String {
        format!("\"public\".{}", name(self.table))
    }

    fn number(&self, key: &str) -> Result<Option<usize>, Reply> {
        let wrong = |_| refuse(400, "PGRST100", "\"failed to parse limit or offset\"");
        self.request.query.get(key).map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// The conditions, and their values.
    fn filters(&self) -> Result<(String, Vec<String>), Reply> {
        let (mut sql, mut values) = ("true".to_owned(), Vec::new());
        for (key, value) in &self.request.query {
            if ["select", "order", "limit", "offset"].contains(&key.as_str()) {
                continue;
            }
            let Some(value) = value.strip_prefix("eq.") else {
                return Err(refuse(
                    400,
                    "PGRST100",
                    &format!("\"failed to parse filter ({value})\" (line 1, column 1)"),
                ));
            };
            values.push(value.to_owned());
            sql += &format!(" and {} = ${}", name(key), values.len());
        }
        Ok((sql, values))
    }

    fn read(&self, client: &mut Client, cap: usize) -> Result<Reply, Reply> {
        let query = &self.request.query;
        let (filters, values) = self.filters()?;
        let columns = query.get("select").map_or_else(|| "*".to_owned(), |list| names(list));
        let order = query.get("order").map(|list| format!("order by {}", names(list))).unwrap_or_default();
        let limit = self.number("limit")?.map_or(cap, |limit| limit.min(cap));
        let offset = self.number("offset")?.unwrap_or(0);
        let place = self.place();
        let sql = format!(
            "with page as (select {columns} from {place} where {filters} {order} limit {limit} offset {offset})
             select (select count(*) from {place} where {filters}), (select count(*) from page),
                    (select coalesce(json_agg(page), '[]')::text from page)"
        );
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let answer = self.within(client, "begin read only", |transaction| {
            let row = transaction.query_one(&sql, &values)?;
            Ok((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, String>(2)))
        })?;
        let (total, count) =
            (usize::try_from(answer.0).expect("a count"), usize::try_from(answer.1).expect("a count"));
        let counted = self.request.header("prefer").contains("count=exact");
        if counted && offset > total {
            let reply = refuse(416, "PGRST103", "Requested range not satisfiable");
            return Err(reply.with("Content-Range", format!("*/{total}")));
        }
        let rows = if count == 0 { "*".to_owned() } else { format!("{offset}-{}", offset + count - 1) };
        let all = if counted { total.to_string() } else { "*".to_owned() };
        let status = if counted && count < total { 206 } else { 200 };
        let reply = Reply::text(status, "application/json; charset=utf-8", answer.2);
        Ok(reply.with("Content-Range", format!("{rows}/{all}")))
    }

    fn add(&self, client: &mut Client) -> Result<Reply, Reply> {
        let request = self.request;
        let prefer: BTreeMap<&str, &str> =
            request.header("prefer").split(',').filter_map(|word| word.trim().split_once('=')).collect();
        let keys = self.keys(request.json())?;
        let conflict = match (prefer.get("resolution"), request.query.get("on_conflict")) {
            (Some(&"ignore-duplicates"), Some(target)) => {
                format!("on conflict ({}) do nothing", names(target))
            }
            (Some(&"ignore-duplicates"), None) => "on conflict do nothing".to_owned(),
            (Some(&"merge-duplicates"), Some(target)) => {
                let set = keys
                    .split(", ")
                    .map(|key| format!("{key} = excluded.{key}"))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!("on conflict ({}) do update set {set}", names(target))
            }
            _ => String::new(),
        };
        let (place, shows) = (self.place(), prefer.get("return") == Some(&"representation"));
        let returning = if shows { "returning *" } else { "returning 1" };
        let sql = format!(
            "with made as (insert into {place} ({keys}) select {keys} from json_populate_recordset(null::{place}, $1::text::json) {conflict} {returning})
             select count(*), coalesce(json_agg(made), '[]')::text from made"
        );
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let (count, made) = self.within(client, "begin", |client| {
            let row = client.query_one(&sql, &[&body])?;
            Ok((row.get::<_, i64>(0), row.get::<_, String>(1)))
        })?;
        let status = if count == 0 && !conflict.is_empty() { 200 } else { 201 };
        Ok(Reply::text(status, "application/json; charset=utf-8", if shows { made } else { String::new() }))
    }

    /// The keys that all rows of a body have, as SQL.
    fn keys(&self, body: Option<Value>) -> Result<String, Reply> {
        let rows = match body {
            Some(Value::Array(rows)) => rows,
            Some(row @ Value::Object(_)) => vec![row],
            _ => return Err(refuse(400, "PGRST102", "Empty or invalid json")),
        };
        let of = |row: &Value| row.as_object().map(|row| row.keys().cloned().collect::<BTreeSet<_>>());
        let first = rows.first().and_then(of).unwrap_or_default();
        if rows.iter().any(|row| of(row).as_ref() != Some(&first)) {
            return Err(refuse(400, "PGRST102", "All object keys must match"));
        }
        if let Some(odd) = first.iter().find(|key| !self.known.contains(*key)) {
            let message =
                format!("Could not find the '{odd}' column of '{}' in the schema cache", self.table);
            return Err(refuse(400, "PGRST204", &message));
        }
        Ok(first.iter().map(|key| name(key)).collect::<Vec<_>>().join(", "))
    }

    /// A transaction under the role of the key.
    fn within<T>(
        &self,
        client: &mut Client,
        begin: &str,
        work: impl FnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Reply> {
        let role = name(self.role);
        let done = client
            .batch_execute(&format!("{begin}; set local role {role}; set local search_path = public"))
            .and_then(|()| work(client))
            .and_then(|done| client.batch_execute("commit").map(|()| done));
        done.map_err(|e| failed(&e, self.role, self.table))
    }
}

/// An error of the database as PostgREST tells it.
fn failed(error: &Error, role: &str, table: &str) -> Reply {
    let Some(db) = error.as_db_error() else {
        return refuse(503, "PGRST001", &format!("Database client error: {error}"));
    };
    let status = match db.code() {
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE && role == "anon" => 401,
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => 403,
        code if [SqlState::UNIQUE_VIOLATION, SqlState::FOREIGN_KEY_VIOLATION].contains(code) => 409,
        code if *code == SqlState::UNDEFINED_TABLE => 404,
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => 405,
        code if ["22", "23", "42"].iter().any(|class| code.code().starts_with(class)) => 400,
        _ => 500,
    };
    let denied = db.message().starts_with("permission denied for table");
    let hint = denied.then(|| format!("Grant the required privileges to the current role with: GRANT SELECT ON public.{table} TO {role};"));
    let hint = hint.or_else(|| db.hint().map(str::to_owned));
    Reply::json(
        status,
        json!({ "code": db.code().code(), "details": db.detail(), "hint": hint, "message": db.message() }),
    )
}
