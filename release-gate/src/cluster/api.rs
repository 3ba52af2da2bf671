//! Proxmox's API, as far as it is only read: `{"data": ...}` of each answer, or why there is none.

use std::cell::Cell;
use std::time::Duration;

use address::{BaseUrl, guarded};
use http_client::{Call, Client, Lost, Reply, Trust};
use serde_json::Value;
use step::{Context, Failure, Secret, Settings, excerpt};

use super::found::Found;
use super::lenient::{flag, text};
use super::storages::NO_RIGHTS;
use super::thin::answer;
use crate::bounded::small_file;

const NAME: &str = concat!("release-gate/", env!("CARGO_PKG_VERSION"));
const URL: &str = "cluster.url";
const CA: &str = "cluster.ca_file";
const FINGERPRINT: &str = "cluster.fingerprint";
/// How long one answer is waited for: a node that is gone takes Proxmox some seconds to notice.
const PATIENCE: Duration = Duration::from_secs(15);
/// How old the list of resources may be.
const MOMENT: Duration = Duration::from_secs(1);
/// What is left for saying what was found.
const RESERVE: Duration = Duration::from_millis(500);

/// What asks.
pub struct Api<'a> {
    client: Client<'a>,
    context: &'a Context,
    base: BaseUrl,
    token: Secret,
    asked: Cell<u32>,
}

type Asked<T> = Result<Result<T, Found>, Failure>;

impl<'a> Api<'a> {
    /// By the settings: nothing is asked yet.
    pub fn open(context: &'a Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        let base = BaseUrl::of(settings, URL, &settings.value::<String>(URL)?)?;
        guarded(settings, URL, "cluster.cleartext", base.as_str())?;
        let base = base.without(&["/api2/json", "/api2"]);
        let trust = trust(settings, &base)?;
        let client = match &trust {
            Some(trust) => Client::trusting(context, NAME, trust)?,
            None => Client::new(context, NAME),
        };
        let client = client.reserving(RESERVE);
        Ok(Api { client, context, base, token: token(settings)?, asked: Cell::new(0) })
    }

    /// Who is asked, for people.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// How many questions went out; one that was repeated is one.
    pub fn asked(&self) -> u32 {
        self.asked.get()
    }

    /// The rows of a list: objects that say what they are, at least one of them.
    pub fn rows(&self, path: &str) -> Asked<Vec<Value>> {
        Ok(self.data(path)?.and_then(|data| {
            let rows = data.as_array().ok_or_else(|| odd(path, &format!("no list, but {}", kind(&data))))?;
            match rows.iter().all(|row| text(&row["type"]).is_some()) {
                _ if rows.is_empty() => {
                    Err(Found::Unknown(format!("{path}: the list is empty: {NO_RIGHTS}")))
                }
                true => Ok(rows.clone()),
                false => Err(odd(path, "a row that cannot be read")),
            }
        }))
    }

    /// An answer, asked for again as long as that may help.
    fn data(&self, path: &str) -> Asked<Value> {
        let call = self.call(path);
        self.read(path, self.client.persist(&call)?)
    }

    /// An answer, asked for once.
    pub fn once(&self, path: &str) -> Asked<Value> {
        let call = self.call(path);
        self.read(path, self.client.ask(&call)?)
    }

    /// Waits a moment for what is on the move.
    pub fn pause(&self) -> Result<(), Failure> {
        self.context.pause(MOMENT.min(self.context.deadline.left().saturating_sub(RESERVE)))
    }

    fn call(&self, path: &str) -> Call {
        self.asked.set(self.asked.get() + 1);
        Call::new("GET", format!("{}/api2/json{path}", self.base))
            .header("Authorization", format!("PVEAPIToken={}", self.token.expose()))
            .header("Accept", "application/json")
            .within(PATIENCE)
    }

    fn read(&self, path: &str, answer: Result<Reply, Lost>) -> Asked<Value> {
        match answer {
            // Not a matter of the outside: the certificate that is named is not the one that is there.
            Err(Lost { met: Some(met), .. }) => {
                let why = format!(
                    "the server has another certificate, with the SHA-256 {met}: take it only if the node itself shows it (pvenode cert info)"
                );
                Err(self.context.settings.wrong(FINGERPRINT, &why))
            }
            Err(lost) if lost.distrusted => Ok(Err(Found::Unknown(format!(
                "the certificate of {} is not trusted: {}; name the cluster's CA in {CA}, or the certificate in {FINGERPRINT}",
                self.base, lost.why
            )))),
            Err(lost) => Ok(Err(Found::Passing(format!("{path}: {}", lost.why)))),
            Ok(reply) => Ok(data(path, &reply)),
        }
    }
}

fn data(path: &str, reply: &Reply) -> Result<Value, Found> {
    let Some(mut body) = answer(&reply.body) else {
        return Err(if reply.status == 200 {
            odd(path, "no JSON object")
        } else {
            refused(path, reply.status, None)
        });
    };
    if reply.status != 200 {
        return Err(refused(path, reply.status, body.get("message").and_then(text)));
    }
    let is_there = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
    if let Some(beside) = ["errors", "message"].into_iter().find(|key| is_there(key)) {
        return Err(odd(path, &format!("data with `{beside}` beside it")));
    }
    if is_there("success") && body.get("success").and_then(flag) != Some(true) {
        return Err(odd(path, "data without success"));
    }
    match body.remove("data") {
        Some(data) if !data.is_null() => Ok(data),
        _ => Err(odd(path, "no data")),
    }
}

fn odd(path: &str, what: &str) -> Found {
    Found::Unknown(format!(
        "{path}: {what} came, which is no answer of Proxmox: is {URL} its address, with its port?"
    ))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "an object",
        Value::String(_) => "a text",
        _ => "another value",
    }
}

/// The reason stands in the status line, which is not handed on here; most statuses of Proxmox have one meaning.
fn refused(path: &str, status: u16, message: Option<&str>) -> Found {
    let (meaning, is_passing) = match status {
        401 => ("the token is not taken: it is wrong, was deleted or has expired".to_owned(), false),
        403 => (format!("the token may not see this: {NO_RIGHTS}"), false),
        404 | 501 => {
            (format!("nobody knows this there: is {URL} the address of Proxmox, with its port?"), false)
        }
        429 => ("it is asked too often".to_owned(), true),
        595 => ("the node that was asked cannot reach the one that knows".to_owned(), true),
        596 => ("the node that knows did not answer the one that was asked in time".to_owned(), true),
        500.. => ("Proxmox could not answer".to_owned(), true),
        _ => ("that is no answer".to_owned(), false),
    };
    let said = message
        .map(|text| format!(" (`{}`)", excerpt(&step::plain_line(text.trim()), 120)))
        .unwrap_or_default();
    let why = format!("{path}: HTTP {status}: {meaning}{said}");
    if is_passing { Found::Passing(why) } else { Found::Unknown(why) }
}

/// What is trusted besides the system's store: one of two, and nothing that trusts everybody.
fn trust(settings: &Settings, base: &BaseUrl) -> Result<Option<Trust>, Failure> {
    let (ca, print) = (settings.optional::<std::path::PathBuf>(CA)?, settings.text(FINGERPRINT)?);
    let key = if ca.is_some() { CA } else { FINGERPRINT };
    if (ca.is_some() || print.is_some()) && !base.as_str().starts_with("https://") {
        return Err(settings
            .wrong(key, &format!("over plain HTTP no certificate is shown: begin {URL} with https://")));
    }
    match (ca, print) {
        (Some(_), Some(_)) => Err(settings.wrong(
            CA,
            &format!(
                "{FINGERPRINT} is set too, and takes one certificate whoever signed it: keep one of them"
            ),
        )),
        (Some(path), None) => {
            let wrong = |why: String| settings.wrong(CA, &format!("{}: {why}", path.display()));
            let pem = small_file(&path).map_err(wrong)?;
            Trust::ca(&pem).map(Some).map_err(wrong)
        }
        (None, Some(print)) => {
            Trust::fingerprint(&print).map(Some).map_err(|why| settings.wrong(FINGERPRINT, why))
        }
        (None, None) => Ok(None),
    }
}

/// The token as Proxmox shows it once: `user@realm!name=uuid`. Its last part alone is a secret too.
fn token(settings: &Settings) -> Result<Secret, Failure> {
    let secret = settings.need_secret("cluster.token", "PROXMOX_TOKEN")?;
    let text = secret.expose().trim();
    let text = text.strip_prefix("PVEAPIToken=").unwrap_or(text);
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic());
    match text
        .split_once('=')
        .filter(|(id, part)| is_plain && id.contains('@') && id.contains('!') && part.len() >= 16)
    {
        Some((_, part)) => {
            Secret::new(part);
            Ok(Secret::new(text))
        }
        None => {
            Err(settings.wrong("cluster.token", "it must be a token of Proxmox, as user@realm!name=uuid"))
        }
    }
}
