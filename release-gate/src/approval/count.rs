//! Which statements count for what is released, and whether they are enough. Pure, but for the signatures, which the caller checks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use facts::{Evidence, Verdict};
use jiff::{SignedDuration, Timestamp};
use step::Failure;

use super::statement::{Kind, SCHEMA, Shipped, Statement};

/// No clock is so wrong.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The need that everybody who has a role meets.
pub const ANYBODY: &str = "anybody with a role";

/// Who may not approve, unless settings say so.
#[derive(Clone, Debug, Default)]
pub struct Outsiders {
    pub releaser: Option<String>,
    /// Whether any key could sign here.
    pub has_key: bool,
    /// The key of the one who releases, where a signature proves it.
    pub key: Option<String>,
    pub author: Option<String>,
    pub releaser_may: bool,
    pub author_may: bool,
    pub claimed_counts: bool,
}

/// What is asked.
pub struct Asked<'a> {
    pub shipped: &'a Shipped,
    pub needs: BTreeMap<String, usize>,
    pub roles: BTreeMap<String, BTreeSet<String>>,
    pub valid: Duration,
    pub out: Outsiders,
    pub now: Timestamp,
}

/// The answer, and who has approved as what.
#[derive(Debug)]
pub struct Counted {
    pub verdict: Verdict,
    pub by: BTreeMap<String, String>,
    pub next: Next,
}

/// What helps where it is no yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Nothing,
    /// Somebody must approve.
    Approve,
    /// A new candidate must be made.
    Candidate,
}

/// Counts. `key` says of the n-th statement with which key the one whom it names has signed it; it is asked only where that matters, since each
/// answer costs a process.
pub fn count(
    asked: &Asked,
    statements: &[Statement],
    key: &dyn Fn(usize) -> Result<Option<String>, Failure>,
) -> Result<Counted, Failure> {
    let mut told = Told::default();
    for (n, statement) in statements.iter().enumerate() {
        if !asked.concerns(statement) {
            continue;
        }
        if let Some(key) = key(n)? {
            told.take(asked, statement, &key);
        }
    }
    told.take_back();
    Ok(asked.judge(told))
}

/// What was signed of this release, in order.
#[derive(Debug, Default)]
struct Told {
    /// Each with the person who gave it.
    approvals: Vec<(String, Statement)>,
    rejections: Vec<Statement>,
    /// Why an approval does not count.
    aside: Vec<String>,
    /// The first name under which a key has signed: a key is one person, whatever it is called besides.
    people: BTreeMap<String, String>,
    /// Who has taken back which statement: wherever it is in the chain, and however often it is put there again.
    back: BTreeSet<(String, String)>,
}

impl Told {
    fn take(&mut self, asked: &Asked, statement: &Statement, key: &str) {
        let person = self.people.entry(key.to_owned()).or_insert_with(|| statement.by.to_lowercase()).clone();
        match statement.kind {
            Kind::Approve => match asked.trouble(statement, key) {
                None => self.approvals.push((person, statement.clone())),
                Some(why) => self.aside.push(format!("{}'s approval does not count: {why}", statement.by)),
            },
            Kind::Reject => self.rejections.push(statement.clone()),
            Kind::Revoke => {
                self.back.extend(statement.of.clone().map(|id| (statement.by.clone(), id)));
            }
        }
    }

    fn take_back(&mut self) {
        let back = std::mem::take(&mut self.back);
        let counts = |one: &Statement| !back.contains(&(one.by.clone(), one.id.clone()));
        self.approvals.retain(|(_, one)| counts(one));
        self.rejections.retain(counts);
    }
}

impl Asked<'_> {
    /// Whether a statement may matter here, before its signature is looked at.
    fn concerns(&self, statement: &Statement) -> bool {
        // A no counts whatever the clock of whoever says it.
        if statement.schema != SCHEMA || (statement.kind == Kind::Approve && statement.at > self.now + SLACK)
        {
            return false;
        }
        let Some(shipped) = &statement.shipped else { return statement.kind == Kind::Revoke };
        shipped.product == self.shipped.product
            && (shipped.tree == self.shipped.tree || shipped.tag == self.shipped.tag)
    }

    /// Why an approval does not count for what is released.
    fn trouble(&self, statement: &Statement, key: &str) -> Option<String> {
        let Some(shipped) = &statement.shipped else { return Some("it says not of what".to_owned()) };
        if let Some(what) = self.shipped.differs(shipped) {
            return Some(format!("it is of {what}"));
        }
        let age = Duration::try_from(self.now.duration_since(statement.at)).unwrap_or_default();
        if age > self.valid {
            return Some(format!(
                "it is {} old, and counts for {}",
                step::human(age),
                step::human(self.valid)
            ));
        }
        let by = statement.by.to_lowercase();
        let has_role = statement
            .role
            .as_ref()
            .and_then(|role| self.roles.get(role))
            .is_some_and(|names| names.contains(&by));
        if !has_role {
            let role = statement.role.as_deref().unwrap_or("no role");
            return Some(format!("roles of the production branch do not name {by} for {role}"));
        }
        let releases = self.out.releaser.as_ref() == Some(&by) || self.out.key.as_deref() == Some(key);
        if !self.out.releaser_may && releases {
            return Some("it is of the one who releases".to_owned());
        }
        if !self.out.author_may && self.out.author.as_ref() == Some(&by) {
            return Some("it is of the author of the last commit".to_owned());
        }
        None
    }

    fn judge(&self, told: Told) -> Counted {
        let none = |verdict, next| Counted { verdict, by: BTreeMap::new(), next };
        if let Some(first) = told.rejections.first() {
            let why = first.reason.as_deref().unwrap_or("no reason given");
            let said = format!(
                "{} has rejected {}: {why}; a new candidate must be made",
                first.by, self.shipped.tag
            );
            return none(Verdict::No(Evidence::of(said)), Next::Candidate);
        }
        if self.needs.is_empty() {
            let said = "no approvals are asked for: set approvals in [release-gate]".to_owned();
            return none(Verdict::Unknown(said), Next::Nothing);
        }
        let by = assign(&self.needs, &told.approvals);
        let missing: Vec<String> = self.missing(&by);
        if !missing.is_empty() {
            let said = std::iter::once(format!(
                "{} is approved by too few: {}",
                self.shipped.tag,
                missing.join(", ")
            ));
            let all: Vec<String> = said.chain(told.aside).collect();
            // Nobody has said no: it is not known whether they will.
            return none(Verdict::Unknown(all.join("\n")), Next::Approve);
        }
        if !self.out.releaser_may && self.out.key.is_none() && !self.out.claimed_counts {
            return none(Verdict::Unknown(self.claimed()), Next::Nothing);
        }
        let mut seen = by.iter().map(|(name, role)| format!("{name} approved as {role}"));
        let verdict = seen.next().map_or_else(
            || Verdict::Unknown("nobody has approved".to_owned()),
            |first| Verdict::Yes(seen.fold(Evidence::of(first), Evidence::and)),
        );
        Counted { verdict, by, next: Next::Nothing }
    }

    /// Why it is not known who releases, and what proves it.
    fn claimed(&self) -> String {
        let who = self.out.releaser.as_deref().unwrap_or("somebody");
        let remedy = if self.out.has_key {
            "your key is none of the allowed signers of the production branch: add its public half there (it needs no role)"
        } else {
            "no key signs here: set signing_key (or git's user.signingkey)"
        };
        format!("releaser claimed, not proven: git calls you {who}, and {remedy}")
    }

    fn missing(&self, by: &BTreeMap<String, String>) -> Vec<String> {
        let has = |role: &str| by.values().filter(|own| *own == role).count();
        let lacks = |(role, count): (&String, &usize)| {
            let lacking = count.saturating_sub(has(role));
            let people = self.roles.get(role).map_or(0, BTreeSet::len);
            let too_few = if role != ANYBODY && people < *count {
                format!(" (roles of the production branch give it to {people})")
            } else {
                String::new()
            };
            (lacking > 0).then(|| format!("{lacking} of {role} missing{too_few}"))
        };
        self.needs.iter().filter_map(lacks).collect()
    }
}

/// Gives each person one role, so that as many needs as possible are met: whoever has approved in two roles counts once.
fn assign(needs: &BTreeMap<String, usize>, approvals: &[(String, Statement)]) -> BTreeMap<String, String> {
    let seats: Vec<&String> =
        needs.iter().flat_map(|(role, count)| std::iter::repeat_n(role, *count)).collect();
    let mut people: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (person, one) in approvals {
        people.entry(person.clone()).or_default().extend(one.role.clone());
    }
    let people: Vec<(String, BTreeSet<String>)> = people.into_iter().collect();
    let mut taken: Vec<Option<usize>> = vec![None; seats.len()];
    for person in 0..people.len() {
        seat(person, (&people, &seats), &mut taken, &mut vec![false; seats.len()]);
    }
    let pair =
        |(seat, person): (usize, &Option<usize>)| Some((people[(*person)?].0.clone(), seats[seat].clone()));
    taken.iter().enumerate().filter_map(pair).collect()
}

/// Finds a seat for a person; whoever has it may move to another one.
fn seat(
    person: usize,
    all @ (people, seats): (&[(String, BTreeSet<String>)], &[&String]),
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for n in 0..seats.len() {
        if tried[n] || (seats[n] != ANYBODY && !people[person].1.contains(seats[n])) {
            continue;
        }
        tried[n] = true;
        if taken[n].is_none_or(|other| seat(other, all, taken, tried)) {
            taken[n] = Some(person);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
