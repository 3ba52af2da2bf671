//! Asks GitHub's REST API: only with GET, page by page, as rarely as it goes. What was answered before is asked for with its ETag, which costs
//! nothing of what GitHub allows. No redirect is followed, so the token goes to nobody else.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use address::{BaseUrl, guarded};
use http_client::{Call, Client, Page};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use step::{Context, Failure, Secret, backoff};

use super::pages::Counted;
use super::repository::Repository;
use super::trouble::{Retry, Stop, Trouble};
use crate::bounded::Bounded;

/// The most of one answer that is read, in bytes.
const BODY: u64 = 8 << 20;
/// The most of all answers together.
const ALL: u64 = 64 << 20;
/// One answer may take so long; one that hangs must leave time to say so.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is left for saying what was found.
const RESERVE: Duration = Duration::from_millis(500);
/// How often a question is asked that is not answered.
const ATTEMPTS: u32 = 4;
const FIRST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(8);
/// The most pages of one list.
const PAGES: usize = 30;
/// What one page holds.
pub const FULL: usize = 100;
/// Where the token may be, in this order.
const TOKENS: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

/// An answer that was kept.
struct Kept {
    etag: Option<String>,
    /// What was read of it, and nothing else.
    value: Rc<dyn Any>,
    /// How many bytes it was read from.
    size: u64,
    /// GitHub says that there is another page.
    has_next: bool,
}

/// An answer, as it is read.
struct Read<T> {
    value: Rc<T>,
    has_next: bool,
}

/// One page of a list.
pub struct Listed<T> {
    pub items: Vec<T>,
    /// GitHub says that there is another one.
    has_next: bool,
}

impl<T> Listed<T> {
    /// Whether another page must be asked for.
    pub fn is_last(&self) -> bool {
        !self.has_next && self.items.len() < FULL
    }
}

/// GitHub, for one repository.
pub struct Api<'a> {
    context: &'a Context,
    client: Client<'a>,
    base: String,
    token: Secret,
    kept: HashMap<String, Kept>,
    /// How many requests were sent.
    pub requests: u32,
}

impl<'a> Api<'a> {
    /// For the repository that the settings or git's remote name.
    pub fn open(context: &'a Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        let url: String = settings.value("ci.url")?;
        let base = BaseUrl::of(settings, "ci.url", &url)?;
        guarded(settings, "ci.url", "ci.cleartext", base.as_str())?;
        let repository = Repository::of(context, base.as_str())?;
        let token = token(context)?;
        let client = Client::new(context, concat!("release-gate/", env!("CARGO_PKG_VERSION")));
        let base = format!("{base}/repos/{}/{}", encoded(&repository.owner), encoded(&repository.name));
        Ok(Api { context, client, base, token, kept: HashMap::new(), requests: 0 })
    }

    /// The time that may still be spent on asking.
    pub fn left(&self) -> Duration {
        self.context.deadline.left().saturating_sub(RESERVE)
    }

    /// Waits, but not past a signal.
    pub fn pause(&self, wait: Duration) -> Result<(), Failure> {
        self.context.pause(wait)
    }

    /// One thing below the repository.
    pub fn one<T: DeserializeOwned + 'static>(&mut self, path: &str) -> Result<Rc<T>, Stop> {
        Ok(self.asked(path)?.value)
    }

    /// One page (from 1) of a list that says nothing of how long it is.
    pub fn page<T>(&mut self, path: &str, page: usize) -> Result<Listed<T>, Stop>
    where
        T: DeserializeOwned + Clone + 'static,
    {
        Ok(listed(&self.asked(&paged(path, page))?))
    }

    /// The first page of a list, asked for once: what is good to know and decides nothing.
    pub fn glance<T>(&mut self, path: &str) -> Result<Result<Listed<T>, Trouble>, Failure>
    where
        T: DeserializeOwned + Clone + 'static,
    {
        Ok(self.attempt(&paged(path, 1))?.map(|read| listed(&read)))
    }

    /// All pages of such a list.
    pub fn whole<T: DeserializeOwned + Clone + 'static>(&mut self, path: &str) -> Result<Vec<T>, Stop> {
        let mut all = Vec::new();
        let mut is_announced = false;
        for number in 1..=PAGES {
            let page: Listed<T> = self.page(path, number)?;
            if page.items.is_empty() && is_announced {
                return Err(cut(all.len(), "more").into());
            }
            is_announced = page.has_next;
            let is_last = page.is_last();
            all.extend(page.items);
            if is_last {
                return Ok(all);
            }
        }
        Err(too_long().into())
    }

    /// All pages of a list that says how many there are, which must all have come, and no more. A page that says which commit it is about
    /// has to be about this one.
    pub fn counted<P: Counted>(&mut self, path: &str, commit: &str) -> Result<Vec<P::Item>, Stop> {
        let (mut all, mut total, mut came) = (BTreeMap::new(), 0, 0);
        for number in 1..=PAGES {
            let Read { value: page, has_next } = self.asked::<P>(&paged(path, number))?;
            if page.sha().is_some_and(|sha| sha != commit) {
                let why = "GitHub has answered about another commit than was asked for";
                return Err(Trouble::lasting(why).into());
            }
            total = total.max(page.total());
            came += page.items().len();
            all.extend(page.items().iter().map(|item| (P::id(item), item.clone())));
            if came > total || (all.len() >= total && has_next) {
                return Err(contradicted(came, total, has_next).into());
            }
            if all.len() >= total {
                return Ok(all.into_values().collect());
            }
            if page.items().is_empty() {
                return Err(cut(all.len(), &total.to_string()).into());
            }
        }
        Err(too_long().into())
    }

    /// An answer, after as many attempts as are right.
    fn asked<T: DeserializeOwned + 'static>(&mut self, path: &str) -> Result<Read<T>, Stop> {
        for attempt in 1.. {
            let trouble = match self.attempt(path)? {
                Ok(read) => return Ok(read),
                Err(trouble) => trouble,
            };
            let wait = match trouble.retry {
                Retry::Never => return Err(trouble.into()),
                Retry::Soon => backoff(FIRST, attempt, MOST),
                Retry::After(wait) => wait,
            };
            if attempt >= ATTEMPTS || wait >= self.left() {
                return Err(trouble.into());
            }
            self.context.pause(wait)?;
        }
        Err(Failure::bug("attempts do not end").into())
    }

    fn attempt<T: DeserializeOwned + 'static>(
        &mut self,
        path: &str,
    ) -> Result<Result<Read<T>, Trouble>, Failure> {
        let left = self.left();
        if left.is_zero() {
            // Signals and a lost lock come before what is only late.
            self.context.checkpoint()?;
            return Ok(Err(Trouble::passing("no time is left to ask GitHub (--timeout)")));
        }
        let call = self.call(path).within(PATIENCE.min(left));
        self.requests += 1;
        // What is asked for again takes the place of what came before.
        let others = self.kept.iter().filter(|(known, _)| *known != path).map(|(_, kept)| kept.size);
        let room = ALL.saturating_sub(others.sum());
        Ok(match self.client.fetch(&call, BODY.min(room))? {
            Ok(page) => self.answer(path, &page),
            Err(lost) => Err(Trouble::lost(&lost)),
        })
    }

    fn call(&self, path: &str) -> Call {
        let call = Call::new("GET", format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.token.expose()))
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28");
        match self.kept.get(path).and_then(|kept| kept.etag.as_ref()) {
            Some(etag) => call.header("If-None-Match", etag.as_str()),
            None => call,
        }
    }

    fn answer<T: DeserializeOwned + 'static>(&mut self, path: &str, page: &Page) -> Result<Read<T>, Trouble> {
        if page.status == 304 {
            let kept = self.kept.get(path).ok_or_else(odd)?;
            let value = Rc::clone(&kept.value).downcast().map_err(|_| odd())?;
            return Ok(Read { value, has_next: kept.has_next });
        }
        if page.status != 200 {
            let header = |name: &str| page.header(name).map(str::to_owned);
            return Err(Trouble::of(page.status, header, &page.body, Timestamp::now()));
        }
        if page.cut {
            return Err(Trouble::lasting(
                "GitHub's answer is longer than 8 MiB, or all together are longer than 64 MiB",
            ));
        }
        let value: Rc<T> = Rc::new(read(&page.body)?);
        let has_next = page.header("link").is_some_and(is_followed);
        let (etag, size) = (page.header("etag").map(str::to_owned), page.body.len() as u64);
        self.kept.insert(path.to_owned(), Kept { etag, value: Rc::clone(&value) as _, size, has_next });
        Ok(Read { value, has_next })
    }
}

/// Reads an answer straight into what is needed of it.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    let no_json = "GitHub's answer is no JSON: is ci.url GitHub's API (https://api.github.com, or https://HOST/api/v3)?";
    serde_json::from_slice(body).map_err(|e| if e.is_data() { odd() } else { Trouble::passing(no_json) })
}

/// Whether a `Link` names a next page (RFC 8288): the relation may stand without quotes, among others, and in any case.
fn is_followed(link: &str) -> bool {
    let parameters = link.split(['<', '>', ';', ',']).filter_map(|part| part.split_once('='));
    let relations = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"));
    let mut words = relations.flat_map(|(_, value)| value.split(['"', '\'', ' ', '\t']));
    words.any(|word| word.eq_ignore_ascii_case("next"))
}

fn listed<T: Clone>(read: &Read<Bounded<T, FULL>>) -> Listed<T> {
    Listed { items: read.value.0.clone(), has_next: read.has_next }
}

fn token(context: &Context) -> Result<Secret, Failure> {
    let settings = &context.settings;
    for variable in TOKENS {
        if let Some(token) = settings.secret("ci.token", variable)? {
            return Ok(token);
        }
    }
    // It says where one may be put.
    settings.need_secret("ci.token", TOKENS[0])
}

fn paged(path: &str, page: usize) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}per_page={FULL}&page={page}")
}

/// A part of a URL: whatever is in a name, it stays one part.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

fn odd() -> Trouble {
    Trouble::passing("GitHub's answer has not the shape that it should have")
}

fn cut(came: usize, total: &str) -> Trouble {
    Trouble::passing(format!("GitHub has announced {total} entries, and {came} came"))
}

fn contradicted(came: usize, total: usize, has_next: bool) -> Trouble {
    let more = if has_next { ", and there is another page" } else { "" };
    Trouble::passing(format!("GitHub has announced {total} entries, and {came} came{more}"))
}

fn too_long() -> Trouble {
    Trouble::lasting(format!("GitHub's list has more than {} entries", PAGES * FULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_is_seen_however_it_is_written() {
        for (link, expected) in [
            (r#"<https://x/?page=2>; rel="next", <https://x/?page=9>; rel="last""#, true),
            ("<https://x/?page=2>; rel=next", true),
            ("<https://x/?page=2>;REL = \"NEXT\"", true),
            ("<https://x/?page=2>; rel='next'", true),
            ("<https://x/?page=2>; title=\"a\"; rel=\"last next\"", true),
            (r#"<https://x/?page=1>; rel="prev""#, false),
            ("<https://x/next>; rel=\"first\"", false),
            ("", false),
        ] {
            assert_eq!(is_followed(link), expected, "{link}");
        }
    }

    #[test]
    fn a_name_stays_one_part_of_the_address() {
        for (text, expected) in [
            ("aceh-commerce", "aceh-commerce"),
            ("release/1.2", "release%2F1.2"),
            ("a?b#c d", "a%3Fb%23c%20d"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(encoded(text), expected);
        }
        assert_eq!(paged("/x", 2), "/x?per_page=100&page=2");
        assert_eq!(paged("/x?filter=latest", 1), "/x?filter=latest&per_page=100&page=1");
    }
}
