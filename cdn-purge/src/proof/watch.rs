//! One form of one page at one node while it is watched, and how many servers a node is. Pure but for the clock that is handed in.
//!
//! Two right answers in a row, the second from the copy that the first has made, prove a node that is one server. Behind a balancer
//! they prove nothing of the server that has not answered: then so many answers in a row must be right that it would have, and an old
//! one is forgotten only after as many right ones and some time.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::page::seen::{Claim, Evidence, Seen};
use crate::page::verdict::Cached;

/// So many right answers in a row, none of them from a cache, mean that it keeps none.
const ENOUGH: u32 = 5;
/// The part of all watches in which a server behind a balancer may stay unseen.
const UNSEEN: f64 = 1e-4;

/// How many servers answer at one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Servers {
    /// Nobody has counted yet.
    #[default]
    Uncounted,
    One,
    Several(u32),
    /// Its answers do not show it.
    Untold,
}

/// When nothing old is expected any more.
#[derive(Clone, Copy, Debug)]
pub struct Quiet {
    /// Answers in a row, where an old one was seen or servers cannot be counted.
    pub answers: u32,
    /// And so long after an old one.
    pub time: Duration,
}

impl Servers {
    /// How many answers in a row must be right.
    pub fn needed(self, was_old: bool, quiet: Quiet) -> u32 {
        match self {
            Servers::One | Servers::Uncounted if !was_old => 2,
            Servers::Several(n) => quiet.answers.max(all_of(n)),
            _ => quiet.answers.max(2),
        }
    }
}

/// So many answers show each of n servers, all but certainly, when a balancer chooses by chance.
fn all_of(n: u32) -> u32 {
    let missed = 1.0 - 1.0 / f64::from(n.max(2));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let answers = (UNSEEN.ln() / missed.ln()).ceil() as u32;
    answers
}

/// A form of a page at a node while it is watched.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    pub seen: Seen,
    /// Answers since the purge.
    pub answers: u32,
    /// Right answers in a row.
    pub row: u32,
    /// Answers in a row that say nothing.
    pub mute: u32,
    /// When it was old for the last time, though nothing said that it would be.
    pub old: Option<Instant>,
    pub claim: Option<Claim>,
    pub at: Option<Timestamp>,
    /// The page has no such form.
    pub absent: bool,
    objects: Vec<String>,
    /// How often a server had to fetch it, and how often one had a copy.
    fetched: u32,
    kept: u32,
    /// Right answers from a copy, of those in a row.
    copies: u32,
    /// Whether a right answer ever came from a copy, at its end or not.
    copied: bool,
}

impl Watched {
    /// Takes an answer in.
    pub fn take(&mut self, seen: Seen, evidence: Evidence, now: Instant) {
        self.answers += 1;
        self.fetched += u32::from(seen.cached == Cached::Miss);
        let (hit, stale) = (seen.cached == Cached::Hit, seen.cached == Cached::Stale);
        self.kept += u32::from(hit);
        self.copied |= evidence == Evidence::Right && (hit || stale);
        self.copies = if evidence == Evidence::Right { self.copies + u32::from(hit) } else { 0 };
        self.row = if evidence == Evidence::Right { self.row + 1 } else { 0 };
        self.mute = if evidence == Evidence::None { self.mute + 1 } else { 0 };
        // The old copy of a soft purge is announced, and comes once.
        if evidence == Evidence::Wrong && seen.status.is_some() && !stale {
            self.old = Some(now);
        }
        let object = seen.object.as_ref().filter(|_| evidence == Evidence::Right);
        self.objects.extend(object.filter(|object| !self.objects.contains(object)).cloned());
        self.at = Some(Timestamp::now());
        self.seen = seen;
    }

    /// Whether two copies were seen, or were fetched: then two servers keep them, as far as anybody can tell.
    pub fn is_of_several(&self) -> bool {
        self.objects.len() > 1 || (self.fetched > 1 && self.kept > 0)
    }

    /// Claims what may be claimed by now.
    pub fn judge(&mut self, servers: Servers, quiet: Quiet, now: Instant) {
        if self.absent {
            return;
        }
        let needed = servers.needed(self.old.is_some(), quiet);
        let calm = self.old.is_none_or(|old| now.duration_since(old) >= quiet.time);
        let (row, last) = (self.row, self.seen.cached);
        let mute = self.mute >= 2 && last != Cached::Stale;
        self.claim = match last {
            _ if mute => Some(Claim::Unknown),
            _ if row < 2 || !calm => None,
            Cached::Hit if row >= needed => Some(Claim::Observed),
            Cached::Never if row >= needed.min(ENOUGH) => Some(Claim::NotCached),
            // Its copies end soon.
            Cached::Miss | Cached::Stale if row >= needed.max(ENOUGH) && self.copies > 0 => {
                Some(Claim::Observed)
            }
            Cached::Miss if row >= needed.max(ENOUGH) && !self.copied => Some(Claim::NotCached),
            Cached::Miss | Cached::Stale if row >= 2 * needed.max(ENOUGH) => Some(Claim::Unknown),
            Cached::Unsaid if row >= ENOUGH => Some(Claim::Unknown),
            _ => None,
        };
    }

    /// Whether all that it lacks are answers: nothing has to be waited for.
    pub fn lacks_answers(&self, servers: Servers, quiet: Quiet) -> bool {
        let needed = servers.needed(self.old.is_some(), quiet).max(ENOUGH);
        let told = !matches!(self.seen.cached, Cached::Unsaid | Cached::Stale);
        self.claim.is_none() && !self.absent && told && self.row >= 1 && self.row < needed
    }

    /// Whether it is right now, and only has to stay so for a while.
    pub fn lacks_time(&self) -> bool {
        self.claim.is_none() && self.row >= 2 && self.old.is_some()
    }
}

/// Counts the servers behind an address by an address of a page that nobody else asks for: each of them has to fetch it once.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    asked: u32,
    fetched: u32,
    kept: u32,
    first: Cached,
}

impl Counting {
    /// So many answers show a second server, if there is one.
    const FEW: u32 = 10;
    /// And so many all of them, when there is.
    const MANY: u32 = 24;

    /// Takes an answer in; what is known, as soon as it is.
    pub fn take(&mut self, cached: Cached) -> Option<Servers> {
        if self.asked == 0 {
            self.first = cached;
        }
        self.asked += 1;
        match cached {
            Cached::Miss => self.fetched += 1,
            Cached::Hit => self.kept += 1,
            Cached::Stale | Cached::Never | Cached::Unsaid => return Some(Servers::Untold),
        }
        if self.first != Cached::Miss {
            // The query is no part of the key: the copy is everybody's.
            return Some(Servers::Untold);
        }
        match (self.asked, self.fetched) {
            (asked, 1) if asked >= Self::FEW => Some(Servers::One),
            (asked, n) if asked >= Self::MANY => {
                Some(if self.kept > 0 { Servers::Several(n) } else { Servers::Untold })
            }
            (asked, n) if n == asked && asked >= Self::FEW => Some(Servers::Untold),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Quiet = Quiet { answers: 16, time: Duration::from_secs(2) };

    fn seen(cached: Cached) -> Seen {
        Seen { status: Some(200), cached, ..Seen::default() }
    }

    /// `r` right, `w` wrong, `n` no evidence; upper case from a cache. `s` is old, `t` right, and both stale; `d` is never kept, `u` unsaid.
    fn watched(answers: &str, servers: Servers, later: u64) -> Option<Claim> {
        let (mut page, start) = (Watched::default(), Instant::now());
        for answer in answers.chars() {
            let evidence = match answer.to_ascii_lowercase() {
                'r' | 'd' | 'u' | 't' => Evidence::Right,
                'w' | 's' => Evidence::Wrong,
                _ => Evidence::None,
            };
            let cached = match answer {
                's' | 't' => Cached::Stale,
                'd' => Cached::Never,
                'u' => Cached::Unsaid,
                upper if upper.is_ascii_uppercase() => Cached::Hit,
                _ => Cached::Miss,
            };
            page.take(seen(cached), evidence, start);
        }
        page.judge(servers, QUIET, start + Duration::from_secs(later));
        page.claim
    }

    #[test]
    fn no_more_is_claimed_than_was_seen() {
        let (one, two) = (Servers::One, Servers::Several(2));
        let right = |n: usize| "R".repeat(n);
        for (answers, servers, later, claim) in [
            ("r", one, 0, None),
            ("R", one, 0, None),
            ("rR", one, 0, Some(Claim::Observed)),
            ("rR", Servers::Untold, 0, None),
            ("rR", two, 0, None),
            (&right(15), two, 0, None),
            (&right(16), two, 0, Some(Claim::Observed)),
            (&right(16), Servers::Several(4), 0, None),
            // Two right answers do not make an old one unseen.
            ("WrR", one, 9, None),
            (&format!("W{}", right(16)), one, 1, None),
            (&format!("W{}", right(16)), one, 2, Some(Claim::Observed)),
            (&format!("{}W{}", right(16), right(15)), one, 9, None),
            // The old copy of a soft purge explains itself.
            ("srR", one, 0, Some(Claim::Observed)),
            ("rrrr", one, 0, None),
            ("rrrrr", one, 0, Some(Claim::NotCached)),
            // What was a copy once is kept, for however long.
            ("Rr", one, 0, None),
            ("rRrrr", one, 0, Some(Claim::Observed)),
            ("rRrrt", one, 0, Some(Claim::Observed)),
            ("ttttt", one, 0, None),
            ("trrrr", one, 0, None),
            (&format!("RW{}", "r".repeat(16)), one, 9, None),
            (&format!("RW{}", "r".repeat(32)), one, 9, Some(Claim::Unknown)),
            (&format!("W{}", "r".repeat(16)), one, 9, Some(Claim::NotCached)),
            ("tttttttttt", one, 0, Some(Claim::Unknown)),
            ("dd", one, 0, Some(Claim::NotCached)),
            ("uuuu", one, 0, None),
            ("uuuuu", one, 0, Some(Claim::Unknown)),
            ("nn", one, 0, Some(Claim::Unknown)),
            ("ss", one, 0, None),
            ("rRw", one, 9, None),
        ] {
            assert_eq!(watched(answers, servers, later), claim, "{answers} {servers:?} {later}");
        }
    }

    #[test]
    fn two_copies_at_a_time_are_two_servers() {
        let mut page = Watched::default();
        for object in ["1", "2"] {
            let seen = Seen { object: Some(object.into()), ..seen(Cached::Hit) };
            page.take(seen, Evidence::Right, Instant::now());
        }
        assert!(page.is_of_several());
        let of_several = |answers: &[Cached]| {
            let mut page = Watched::default();
            answers.iter().for_each(|cached| page.take(seen(*cached), Evidence::Right, Instant::now()));
            page.is_of_several()
        };
        assert!(of_several(&[Cached::Miss, Cached::Miss, Cached::Hit]), "each server had to fetch it");
        assert!(!of_several(&[Cached::Miss, Cached::Hit, Cached::Hit]));
        assert!(!of_several(&[Cached::Miss, Cached::Miss, Cached::Miss]), "nobody keeps it");
    }

    #[test]
    fn servers_are_counted_by_what_each_has_to_fetch() {
        let count = |answers: &str| {
            let mut counting = Counting::default();
            let said = |c: char| match c {
                'm' => Cached::Miss,
                'H' => Cached::Hit,
                'd' => Cached::Never,
                _ => Cached::Unsaid,
            };
            answers.chars().find_map(|c| counting.take(said(c)))
        };
        assert_eq!(count(&format!("m{}", "H".repeat(9))), Some(Servers::One));
        assert_eq!(count(&format!("m{}", "H".repeat(8))), None);
        assert_eq!(count(&format!("mHHmH{}", "H".repeat(19))), Some(Servers::Several(2)));
        assert_eq!(count("mmmmmmmmmm"), Some(Servers::Untold), "it keeps nothing with a query");
        assert_eq!(count("H"), Some(Servers::Untold), "the query is no part of the key");
        assert_eq!(count("d"), Some(Servers::Untold));
        assert_eq!(count("mu"), Some(Servers::Untold));
    }
}
