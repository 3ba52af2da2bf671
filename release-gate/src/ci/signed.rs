//! Reviewed without a code host: a commit says `Reviewed-by: Name <mail>`, and is signed by that person. A merge so signed has reviewed what it
//! brings; nobody reviews their own work. Whether it is green is for the gate `tests` to say.

use std::collections::{BTreeMap, BTreeSet};

use facts::{Evidence, Verdict};
use git_program::Git;
use jiff::Timestamp;
use step::{Context, Failure};

use super::history::{self, History, Own};
use crate::asked::Desk;
use crate::gate::{Finding, Subject};
use crate::signature::Signers;

/// What git signs commits for.
const COMMITS: &str = "git";
/// So many commits are named.
const NAMED: usize = 10;

/// Asks the commits since the last final.
pub fn look(context: &Context, desk: &Desk, subject: &Subject) -> Result<Finding, Failure> {
    if desk.policy.least::<usize>("ci.reviews")?.unwrap_or(1) > 1 {
        let why = "a commit is signed by one person: with provider = \"git\" it is 1; ask for more people with approvals";
        return Err(context.settings.wrong("ci.reviews", why));
    }
    let finding = |verdict| {
        let from = "the signatures of the commits, by the allowed signers of the production branch";
        Finding::new(
            verdict,
            from,
            "each commit since the last final signed by a reviewer who is not its author",
        )
    };
    let Some(allowed) = desk.policy.file(&desk.aside, "allowed_signers")? else {
        let path: String = desk.policy.theirs().value("allowed_signers")?;
        let why = format!(
            "the production branch of {} has no {path}, so nobody's signature counts: write it there",
            desk.aside.remote()
        );
        return Ok(finding(Verdict::Unknown(why)));
    };
    let signers = Signers::new(&allowed, desk.policy.revoked(&desk.aside)?.as_deref())?;
    let history = match History::read(context, &subject.commit)? {
        Ok(history) => history,
        Err(unseen) => return Ok(finding(Verdict::Unknown(unseen.why)).command(unseen.command)),
    };
    let ids: Vec<&str> = history.commits.keys().map(String::as_str).collect();
    let raw = Git::new(context).objects(&ids)?;
    let mut commits = BTreeMap::new();
    for (id, bytes) in &raw {
        let commit = Signed::parse(bytes);
        let reviewer = commit.reviewer(context, &signers)?;
        commits.insert(id.as_str(), (commit, reviewer));
    }
    let own = merges(context, &history)?;
    Ok(finding(verdict(&history, &commits, &own)).detail("commits", history.commits.len()))
}

/// What each merge has brought of its own.
fn merges(context: &Context, history: &History) -> Result<BTreeMap<String, Own>, Failure> {
    let merges = history.commits.iter().filter(|(_, commit)| commit.parents.len() > 1);
    merges.map(|(id, commit)| Ok((id.clone(), history::own(context, commit)?))).collect()
}

type Commits<'a> = BTreeMap<&'a str, (Signed, Option<String>)>;

/// Holds each commit against who has reviewed it. Pure.
fn verdict(history: &History, commits: &Commits, own: &BTreeMap<String, Own>) -> Verdict {
    let mut reviewers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (id, reviewer) in commits.iter().filter_map(|(id, (_, reviewer))| Some((*id, reviewer.as_deref()?))) {
        for covered in history.brought(id).into_iter().chain([id]) {
            reviewers.entry(covered).or_default().insert(reviewer);
        }
    }
    let (mut open, mut unknown) = (Vec::new(), Vec::new());
    for id in history.commits.keys() {
        let author = commits.get(id.as_str()).map_or("", |(commit, _)| commit.author.as_str());
        let is_reviewed = reviewers.get(id.as_str()).is_some_and(|all| all.iter().any(|one| *one != author));
        match own.get(id) {
            // What git makes of two sides by itself is nobody's work.
            Some(Own::Nothing) => {}
            _ if is_reviewed => {}
            Some(Own::Unknown) => unknown
                .push(format!("what the merge {} has brought of its own cannot be told here", short(id))),
            _ => open.push(format!("{} of {author}: no reviewer but its author has signed it", short(id))),
        }
    }
    let mut open = open.into_iter().take(NAMED);
    if let Some(first) = open.next() {
        return Verdict::No(open.fold(Evidence::of(first), Evidence::and));
    }
    if let Some(why) = unknown.into_iter().next() {
        return Verdict::Unknown(why);
    }
    let people: BTreeSet<&str> = reviewers.values().flatten().copied().collect();
    match people.len() {
        0 => Verdict::Unknown("no commit since the last final says that anybody has reviewed it".to_owned()),
        _ => {
            let people = people.into_iter().collect::<Vec<_>>().join(", ");
            Verdict::Yes(Evidence::of(format!("{} commits reviewed by {people}", history.commits.len())))
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A commit, taken apart.
#[derive(Debug, Default)]
struct Signed {
    /// The author's mail, in small letters.
    author: String,
    committed: Option<Timestamp>,
    /// Whom it names as its reviewers, by mail in small letters.
    named: BTreeSet<String>,
    signature: Vec<u8>,
    /// What was signed: all of it but the signature.
    payload: Vec<u8>,
}

impl Signed {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
        let mut commit = Signed::default();
        let mut in_signature = false;
        for line in bytes[..end].split(|b| *b == b'\n') {
            let goes_on = line.starts_with(b" ");
            in_signature = if goes_on {
                in_signature
            } else {
                line.starts_with(b"gpgsig ") || line.starts_with(b"gpgsig-sha256 ")
            };
            if in_signature {
                let text = if goes_on {
                    &line[1..]
                } else {
                    line.splitn(2, |b| *b == b' ').nth(1).unwrap_or_default()
                };
                commit.signature.extend(text);
                commit.signature.push(b'\n');
                continue;
            }
            commit.header(&String::from_utf8_lossy(line));
            commit.payload.extend(line);
            commit.payload.push(b'\n');
        }
        commit.payload.extend(bytes.get(end + 1..).unwrap_or_default());
        commit.named = named(&String::from_utf8_lossy(bytes.get(end..).unwrap_or_default()));
        commit
    }

    fn header(&mut self, line: &str) {
        if let Some(author) = line.strip_prefix("author ") {
            self.author = mail(author);
        }
        if let Some(committer) = line.strip_prefix("committer ") {
            let seconds = committer.rsplit(' ').nth(1).and_then(|text| text.parse().ok());
            self.committed = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        }
    }

    /// The one whom it names as a reviewer and who has signed it, with a key that was valid then and is now.
    fn reviewer(&self, context: &Context, signers: &Signers) -> Result<Option<String>, Failure> {
        let Some(at) = self.committed.filter(|_| !self.signature.is_empty()) else { return Ok(None) };
        for name in &self.named {
            let instants = [at, Timestamp::now()];
            if signers.is_of(context, name, (COMMITS, &self.payload, &self.signature), &instants)?.is_some() {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }
}

/// The mails of the trailers `Reviewed-by` in the last paragraph.
fn named(message: &str) -> BTreeSet<String> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let of = |line: &str| {
        let (name, who) = line.split_once(':')?;
        name.eq_ignore_ascii_case("reviewed-by").then(|| mail(who)).filter(|mail| !mail.is_empty())
    };
    last.lines().filter_map(of).collect()
}

fn mail(who: &str) -> String {
    let inside = who.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(mail, _)| mail);
    inside.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_taken_apart() {
        let raw = b"tree aa\nparent bb\nauthor Dewi <Dewi@x.example> 1 +0000\ncommitter Budi <budi@x.example> 1764324000 +0700\ngpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\nencoding UTF-8\n\nMerge\n\nReviewed-by: not@counted.example\n\nReviewed-By: Budi <BUDI@x.example>\nCo-authored-by: x <y@z>\n";
        let commit = Signed::parse(raw);
        assert_eq!(
            (commit.author.as_str(), commit.committed.map(Timestamp::as_second)),
            ("dewi@x.example", Some(1_764_324_000))
        );
        assert_eq!(commit.named, BTreeSet::from(["budi@x.example".to_owned()]));
        assert_eq!(commit.signature, b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n");
        let payload = String::from_utf8(commit.payload).expect("text");
        assert!(
            payload.starts_with("tree aa\n") && payload.contains("+0700\nencoding UTF-8\n\nMerge\n"),
            "{payload}"
        );
        assert!(!payload.contains("SSH SIGNATURE"));
        let plain = Signed::parse(b"tree aa\n\nno author\n");
        assert!(plain.signature.is_empty() && plain.author.is_empty() && plain.named.is_empty());
    }
}
