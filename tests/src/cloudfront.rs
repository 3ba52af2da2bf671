//! CloudFront's invalidations with a real cache behind them: they are carried out only when they are `Completed`, which takes a few
//! questions; the same caller reference with the same paths is the same invalidation, with others an error.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cache::{Cache, What};
use crate::http::{Reply, Request, Server};

/// The most paths of one request.
const PATHS: usize = 3000;

#[derive(Clone)]
struct Invalidation {
    reference: String,
    paths: Vec<String>,
    /// Questions until it is done.
    left: u32,
    /// It is done at this instant instead, whoever asks.
    due: Option<Instant>,
}

impl Invalidation {
    /// Somebody has asked: whether it is done by now.
    fn is_done(&mut self) -> bool {
        self.left = match self.due {
            Some(due) => u32::from(due > Instant::now()),
            None => self.left.saturating_sub(1),
        };
        self.left == 0
    }
}

/// The stand-in: the API and the edge.
pub struct CloudFront {
    api: Server,
    edge: Server,
    made: Arc<Mutex<Vec<Invalidation>>>,
    aliases: Arc<Mutex<Option<Vec<String>>>>,
    takes: Arc<Mutex<Option<Duration>>>,
}

impl CloudFront {
    /// Starts the API for one distribution and one access key, and an edge in front of an origin.
    pub fn start(distribution: &str, access_key: &str, origin: &str) -> Self {
        let cache = Cache::new(|word| ("X-Cache", format!("{word} from cloudfront")));
        let edge = cache.serve(origin);
        let made = Arc::<Mutex<Vec<Invalidation>>>::default();
        let (ours, distribution, access_key) =
            (Arc::clone(&made), distribution.to_owned(), access_key.to_owned());
        let aliases = Arc::new(Mutex::new(Some(vec!["127.0.0.1".to_owned()])));
        let hosts = Arc::clone(&aliases);
        let takes = Arc::<Mutex<Option<Duration>>>::default();
        let time = Arc::clone(&takes);
        let api = Server::start(move |request| {
            let path = format!("/2020-05-31/distribution/{distribution}");
            if request.method == "GET" && request.path == path && is_signed(request, &access_key) {
                return shown(&distribution, hosts.lock().expect("aliases").as_deref());
            }
            let mut made = ours.lock().expect("invalidations");
            let known = made.len();
            let reply = answer(&cache, &distribution, &access_key, &mut made, request);
            let takes = *time.lock().expect("time");
            made.iter_mut().skip(known).for_each(|new| new.due = takes.map(|time| Instant::now() + time));
            reply
        });
        CloudFront { api, edge, made, aliases, takes }
    }

    /// From now on an invalidation takes so long, however often somebody asks.
    pub fn takes(&self, time: Duration) {
        *self.takes.lock().expect("time") = Some(time);
    }

    /// From now on the distribution has these aliases; `None`: these keys may not read it.
    pub fn covers(&self, aliases: Option<&[&str]>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        *self.aliases.lock().expect("aliases") = aliases.map(owned);
    }

    /// The API: URL, log, faults.
    pub fn api(&self) -> &Server {
        &self.api
    }

    /// The edge.
    pub fn edge(&self) -> &Server {
        &self.edge
    }

    /// The paths of each invalidation that exists.
    pub fn invalidations(&self) -> Vec<Vec<String>> {
        self.made.lock().expect("invalidations").iter().map(|i| i.paths.clone()).collect()
    }
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<ErrorResponse xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    Reply::text(status, "text/xml", body)
}

/// Whether the signature has the form of this key's; its arithmetic is held against known answers elsewhere.
fn is_signed(request: &Request, access_key: &str) -> bool {
    let authorization = request.header("authorization");
    let day = request.header("x-amz-date").get(..8).unwrap_or_default().to_owned();
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{day}/us-east-1/cloudfront/aws4_request, SignedHeaders="
    );
    authorization.starts_with(&scope) && authorization.contains("host;x-amz-date")
}

/// The distribution, with an origin whose name must not be taken for one of its own.
fn shown(distribution: &str, aliases: Option<&[String]>) -> Reply {
    let Some(aliases) = aliases else { return error(403, "AccessDenied") };
    let names: String = aliases.iter().map(|name| format!("<CNAME>{name}</CNAME>")).collect();
    let body = format!(
        "<Distribution xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>{distribution}</Id><Status>Deployed</Status><InProgressInvalidationBatches>0</InProgressInvalidationBatches><DomainName>d111111abcdef8.cloudfront.net</DomainName><DistributionConfig><Aliases><Quantity>{}</Quantity><Items>{names}</Items></Aliases><Origins><Quantity>1</Quantity><Items><Origin><Id>o</Id><DomainName>origin.example</DomainName></Origin></Items></Origins></DistributionConfig></Distribution>",
        aliases.len()
    );
    Reply::text(200, "text/xml", body)
}

fn state(number: usize, invalidation: &Invalidation, status: u16) -> Reply {
    let word = if invalidation.left == 0 { "Completed" } else { "InProgress" };
    Reply::text(
        status,
        "text/xml",
        format!("<Invalidation><Id>I{number}</Id><Status>{word}</Status></Invalidation>"),
    )
}

/// The texts of all elements of this name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let after = xml.split(open.as_str()).skip(1);
    after
        .filter_map(|rest| rest.split_once(close.as_str()))
        .map(|(text, _)| text.replace("&amp;", "&"))
        .collect()
}

fn answer(
    cache: &Cache,
    distribution: &str,
    access_key: &str,
    made: &mut Vec<Invalidation>,
    request: &Request,
) -> Reply {
    if !is_signed(request, access_key) {
        return error(403, "AccessDenied");
    }
    match (request.method.as_str(), request.segments().as_slice()) {
        (_, ["2020-05-31", "distribution", id, ..]) if *id != distribution => {
            error(404, "NoSuchDistribution")
        }
        ("GET", ["2020-05-31", "distribution", _, "invalidation"]) => {
            Reply::text(200, "text/xml", "<InvalidationList/>")
        }
        ("GET", ["2020-05-31", "distribution", _, "invalidation", id]) => {
            let number = id.strip_prefix('I').and_then(|n| n.parse::<usize>().ok()).unwrap_or(usize::MAX);
            let Some(invalidation) = made.get_mut(number) else { return error(404, "NoSuchInvalidation") };
            if invalidation.is_done() {
                carry_out(cache, &invalidation.paths);
            }
            state(number, invalidation, 200)
        }
        ("POST", ["2020-05-31", "distribution", _, "invalidation"]) => {
            create(made, &String::from_utf8_lossy(&request.body))
        }
        _ => error(400, "InvalidArgument"),
    }
}

fn create(made: &mut Vec<Invalidation>, body: &str) -> Reply {
    let (paths, reference) = (elements(body, "Path"), elements(body, "CallerReference").concat());
    let stars = paths.iter().filter(|path| path.ends_with('*')).count();
    if elements(body, "Quantity").concat() != paths.len().to_string() {
        return error(400, "InconsistentQuantities");
    }
    if paths.is_empty() || reference.is_empty() || paths.iter().any(|p| !p.starts_with(['/', '#'])) {
        return error(400, "InvalidArgument");
    }
    if paths.len() > PATHS || stars > 15 {
        return error(413, "BatchTooLarge");
    }
    if let Some((number, known)) = made.iter().enumerate().find(|(_, i)| i.reference == reference) {
        return if known.paths == paths {
            state(number, known, 201)
        } else {
            error(409, "InvalidationBatchAlreadyExists")
        };
    }
    if made.iter().any(|i| i.left > 0 && i.paths.len() + paths.len() > PATHS) {
        return error(400, "TooManyInvalidationsInProgress");
    }
    made.push(Invalidation { reference, paths, left: 2, due: None });
    state(made.len() - 1, &made[made.len() - 1], 201)
}

fn carry_out(cache: &Cache, paths: &[String]) {
    for path in paths {
        let what = match (path.strip_prefix('#'), path.strip_suffix('*')) {
            (Some(tag), _) => What::Tag(tag.to_owned()),
            (_, Some(prefix)) => What::PathPrefix(prefix.to_owned()),
            _ => What::Path(path.clone()),
        };
        cache.purge(&what, false);
    }
}
