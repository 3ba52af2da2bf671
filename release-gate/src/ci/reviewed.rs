//! Asks whether everything new has been reviewed. One list of pull requests names most of them with the commits that they were merged with,
//! and git knows what each of those has brought; only what is left over is asked for commit by commit.

use std::collections::{BTreeMap, BTreeSet};

use facts::{Evidence, Verdict};
use serde::Deserialize;
use step::Context;

use super::Wanted;
use super::api::{Api, Listed, encoded};
use super::history::{self, Base, History, Own, Unseen};
use super::pulls::{Covers, Pull};
use super::reviews::{self, Word};
use super::trouble::{Stop, Trouble};

/// So many commits are looked at where nothing says which of them are new.
const WHOLE: usize = 250;
/// So many pages of pull requests are read at most.
const PAGES: usize = 5;
/// So many commits are asked for one by one.
const ONE_BY_ONE: usize = 60;
/// So many commits that nobody has reviewed are named.
const NAMED: usize = 10;

/// What came of it.
#[derive(Debug, Default)]
pub struct Reviewed {
    pub verdict: Option<Verdict>,
    pub notes: Vec<String>,
    /// The pull requests, by their numbers.
    pub pulls: Vec<u64>,
    /// The last final version.
    pub since: Option<String>,
    pub commits: usize,
    /// The command that helps.
    pub next: Vec<&'static str>,
}

impl Reviewed {
    fn unknown(why: impl Into<String>) -> Self {
        Reviewed { verdict: Some(Verdict::Unknown(why.into())), ..Reviewed::default() }
    }
}

/// Asks about everything that is new in a commit.
pub fn look(api: &mut Api, context: &Context, wanted: &Wanted, commit: &str) -> Result<Reviewed, Stop> {
    let history = match History::read(context, commit)? {
        Ok(history) => history,
        Err(Unseen { why, command }) => return Ok(Reviewed { next: command, ..Reviewed::unknown(why) }),
    };
    let mut notes = Vec::new();
    match &history.base {
        Some(base) => confirm(api, base)?,
        None if history.commits.len() > WHOLE => {
            let why = format!(
                "there is no final tag (vX.Y.Z) in front of this commit, and {} commits are too many to take for new ones: tag the last release",
                history.commits.len()
            );
            return Ok(Reviewed::unknown(why));
        }
        None => notes.push(
            "there is no final tag in front of this commit: all of its history was looked at".to_owned(),
        ),
    }
    let own = own(context, &history)?;
    let (covers, unasked) = gather(api, wanted, &history, &own)?;
    let mut words = BTreeMap::new();
    for pull in covers.pulls.values() {
        let path = format!("/pulls/{}/reviews", pull.number);
        let reviews: Vec<reviews::Review> = api.whole(&path)?;
        words.insert(pull.number, reviews::judge(pull, &reviews, wanted.reviews, wanted.stale));
    }
    let verdict =
        Facts { history: &history, covers: &covers, words: &words, own: &own, unasked: &unasked }.verdict();
    Ok(Reviewed {
        verdict: Some(verdict),
        notes,
        pulls: words.into_keys().collect(),
        since: history.base.map(|base| base.tag),
        commits: history.commits.len(),
        next: Vec::new(),
    })
}

/// A tag that only this clone has would make new commits old ones.
fn confirm(api: &mut Api, base: &Base) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Target {
        sha: String,
    }
    #[derive(Deserialize)]
    struct Ref {
        object: Target,
    }
    let elsewhere = format!(
        "the tag {} is not at GitHub as it is here: compare git ls-remote --tags with git show-ref --tags",
        base.tag
    );
    match api.one::<Ref>(&format!("/git/ref/tags/{}", encoded(&base.tag))) {
        Ok(found) if found.object.sha == base.id => Ok(()),
        Ok(_) => Err(Trouble::lasting(elsewhere).into()),
        Err(Stop::Unknown(trouble)) if trouble.status == Some(404) => {
            Err(Trouble::lasting(format!("{elsewhere} (HTTP 404)")).into())
        }
        Err(stop) => Err(stop),
    }
}

/// What each merge has beside its two sides.
fn own(context: &Context, history: &History) -> Result<BTreeMap<String, Own>, Stop> {
    let merges = history.commits.iter().filter(|(_, commit)| commit.parents.len() > 1);
    let one = |(id, commit)| Ok((String::clone(id), history::own(context, commit)?));
    merges.map(one).collect()
}

/// The pull requests of all new commits, and the commits that were not asked for because they are too many.
fn gather(
    api: &mut Api,
    wanted: &Wanted,
    history: &History,
    own: &BTreeMap<String, Own>,
) -> Result<(Covers, BTreeSet<String>), Stop> {
    let mut covers = Covers::default();
    let left = |covers: &Covers| -> Vec<String> {
        let of_its_own = |id: &&str| own.get(*id) != Some(&Own::Nothing);
        covers.left(history).into_iter().filter(of_its_own).map(str::to_owned).collect()
    };
    for number in 1..=PAGES {
        let path = "/pulls?state=closed&sort=updated&direction=desc";
        let page: Listed<Pull> = api.page(path, number)?;
        page.items.iter().for_each(|pull| covers.take(history, pull, &wanted.long_lived));
        if page.is_last() || left(&covers).is_empty() || is_old(page.items.last(), history) {
            break;
        }
    }
    let mut unasked = BTreeSet::new();
    for (n, id) in left(&covers).into_iter().enumerate() {
        if n >= ONE_BY_ONE {
            unasked.insert(id);
            continue;
        }
        let pulls = api.whole(&format!("/commits/{}/pulls", encoded(&id)))?;
        covers.answer(&id, pulls, &wanted.long_lived);
    }
    Ok((covers, unasked))
}

/// Whether a pull request has not been touched since the last release: none behind it was merged since.
fn is_old(pull: Option<&Pull>, history: &History) -> bool {
    let at = pull.and_then(|pull| pull.updated_at.as_ref()?.parse::<jiff::Timestamp>().ok());
    at.zip(history.base.as_ref()).is_some_and(|(at, base)| at.as_second() < base.at)
}

/// All that is known.
struct Facts<'a> {
    history: &'a History,
    covers: &'a Covers,
    words: &'a BTreeMap<u64, Word>,
    own: &'a BTreeMap<String, Own>,
    unasked: &'a BTreeSet<String>,
}

/// How a commit stands.
enum Standing {
    Reviewed,
    /// The pull requests that have brought it have not been approved.
    Unapproved(Vec<u64>),
    /// Nobody has reviewed it.
    Direct(String),
    /// It cannot be said.
    Unclear(String),
}

impl Facts<'_> {
    fn verdict(&self) -> Verdict {
        let (mut no, mut unclear) = (BTreeSet::new(), Vec::new());
        let mut direct = Vec::new();
        for id in self.history.commits.keys() {
            match self.standing(id) {
                Standing::Reviewed => {}
                Standing::Unapproved(pulls) => {
                    no.extend(pulls.into_iter().filter_map(|number| self.reason(number)));
                }
                Standing::Direct(why) => direct.push(why),
                Standing::Unclear(why) => unclear.push(why),
            }
        }
        no.extend(
            self.words
                .keys()
                .filter(|n| matches!(self.words[n], Word::Changes(_)))
                .filter_map(|n| self.reason(*n)),
        );
        unclear.extend(self.words.values().filter_map(|word| match word {
            Word::Unclear(why) => Some(why.clone()),
            _ => None,
        }));
        let more = direct.len().saturating_sub(NAMED);
        let direct = direct.into_iter().take(NAMED);
        let more = (more > 0).then(|| format!("{more} more commits have no review"));
        let mut no = no.into_iter().chain(direct).chain(more);
        if let Some(first) = no.next() {
            return Verdict::No(no.fold(Evidence::of(first), Evidence::and));
        }
        if !self.unasked.is_empty() {
            unclear.push(format!("{} commits belong to no pull request that was found, which are too many to ask for one by one", self.unasked.len()));
        }
        if unclear.is_empty() { self.yes() } else { Verdict::Unknown(unclear.join("; ")) }
    }

    fn standing(&self, id: &str) -> Standing {
        let short = &id[..id.len().min(12)];
        let (covers, own) = (self.covers.of(id), self.own.get(id));
        if own == Some(&Own::Nothing) {
            return Standing::Reviewed;
        }
        let approved =
            || covers.iter().filter(|cover| matches!(self.words.get(&cover.pull), Some(Word::Approved(_))));
        if approved().any(|cover| !cover.is_merge || own.is_none()) {
            return Standing::Reviewed;
        }
        if let Some(cover) = approved().next() {
            let what = match own {
                Some(Own::Something) => "has changes that neither of its sides has",
                _ => "may have changes of its own, and git here cannot tell (2.38 or newer can)",
            };
            return Standing::Unclear(format!(
                "the merge {short} of #{} {what}: look at git show --remerge-diff {short}",
                cover.pull
            ));
        }
        if !covers.is_empty() {
            return Standing::Unapproved(covers.iter().map(|cover| cover.pull).collect());
        }
        if self.unasked.contains(id) {
            // It is counted, with all others.
            return Standing::Reviewed;
        }
        let way = match (self.covers.carried(id), own) {
            (Some(number), _) => format!("it came with #{number}, which only carries a branch"),
            (None, Some(_)) => "it is a merge with changes of its own, without a pull request".to_owned(),
            (None, None) => "it was pushed directly".to_owned(),
        };
        Standing::Direct(format!("nobody has reviewed {short}: {way}"))
    }

    fn reason(&self, number: u64) -> Option<String> {
        match self.words.get(&number)? {
            Word::Changes(why) | Word::Short(why) => Some(why.clone()),
            Word::Approved(_) | Word::Unclear(_) => None,
        }
    }

    fn yes(&self) -> Verdict {
        let since = self.history.base.as_ref().map(|base| format!(" since {}", base.tag)).unwrap_or_default();
        let approved = self.words.iter().filter_map(|(number, word)| match word {
            Word::Approved(people) => Some(format!("#{number}: approved by {}", people.join(", "))),
            _ => None,
        });
        let approved: Vec<String> = approved.collect();
        if approved.is_empty() {
            return Verdict::Unknown(format!("no commit{since} has come with a pull request"));
        }
        let said = format!(
            "reviewed: {} commits{since} in {} pull requests",
            self.history.commits.len(),
            approved.len()
        );
        Verdict::Yes(approved.into_iter().fold(Evidence::of(said), Evidence::and))
    }
}
