//! Where records lie: `refs/rilis/evidence/TREE/COMMIT/NAME` on the release remote, a ref for each job, so that two jobs never wait for each
//! other. The same job again puts its record behind the one before, which stays in the ref's history.

use git_program::{Aside, Ref};
use step::{Context, Failure, Permit};

use super::entry::{Entry, SCHEMA};
use crate::gate::Subject;
use crate::policy::Policy;
use crate::signature::{self, EVIDENCE, Signers};

/// The place of all evidence.
const ROOT: &str = "refs/rilis/evidence";
/// No record is larger.
const LIMIT: usize = 1 << 20;
/// More records than these of one tree are none of a team's.
const MOST: usize = 1000;
/// The files of a record.
const RECORD: &str = "record.json";
const SIGNATURE: &str = "record.json.sig";

/// The refspec that brings what is known of a tree.
pub fn spec(tree: &str) -> String {
    format!("+{ROOT}/{tree}/*:{ROOT}/{tree}/*")
}

/// Stores a record; signed where there is a key.
///
/// # Errors
/// As [`Aside::append`] and [`signature::sign`].
pub fn put(context: &Context, permit: &Permit, aside: &Aside, entry: &Entry) -> Result<String, Failure> {
    let bytes = entry.bytes()?;
    let mut files = vec![(RECORD.to_owned(), bytes.clone())];
    if signature::key(context)?.is_some() {
        files.push((SIGNATURE.to_owned(), signature::sign(context, EVIDENCE, &bytes)?));
    }
    let name = format!("{ROOT}/{}/{}/{}", entry.tree, entry.commit, entry.name);
    aside.append(permit, &name, &format!("{} on {}", entry.name, entry.tree), |_| Ok(files.clone()))
}

/// A record of the remote, and whether it may be believed. Its name is what it says itself; empty where it says nothing.
#[derive(Clone, Debug)]
pub struct Found {
    pub name: String,
    /// What it says, or why it is none.
    pub entry: Result<Entry, String>,
    /// Who has signed it; `None` where nobody has who may.
    pub signer: Option<String>,
    /// Why nobody has, for people.
    pub unsigned: String,
}

/// What there is of a tree, by names that are asked for: all commits of the same tree together, and whatever their refs have ever held, so that
/// nothing is hidden by what is put behind it. The inner error says why that is too much to read.
///
/// # Errors
/// As [`Aside::refs`].
pub fn read(
    context: &Context,
    (aside, policy): (&Aside, &Policy),
    subject: &Subject,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Result<Vec<Found>, String>, Failure> {
    let below = format!("{ROOT}/{}/", subject.tree);
    let is_wanted = |one: &Ref| {
        let name = one.name.strip_prefix(&below).and_then(|rest| rest.split_once('/'));
        name.is_some_and(|(_, name)| wanted(name))
    };
    let tips: Vec<String> = aside.refs(&below)?.into_iter().filter(is_wanted).map(|one| one.id).collect();
    let too_many = || {
        format!(
            "there are more than {MOST} records of this tree on {}, which no team has made",
            aside.remote()
        )
    };
    if tips.len() > MOST {
        return Ok(Err(too_many()));
    }
    let all = history(aside, &tips)?;
    if all.len() > MOST {
        return Ok(Err(too_many()));
    }
    let files: Vec<String> =
        all.iter().flat_map(|id| [RECORD, SIGNATURE].map(|file| format!("{id}:{file}"))).collect();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let objects = aside.git().named_objects(&names, LIMIT)?;
    let signers = signers(policy, aside)?;
    let path: String = policy.theirs().value("evidence_signers")?;
    let one = |files: &[Option<Vec<u8>>]| found(context, aside, (&signers, &path), subject, files);
    objects.chunks(2).map(one).collect::<Result<Vec<Found>, Failure>>().map(Ok)
}

/// The commits of refs and all behind them, one more than are read at most.
fn history(aside: &Aside, tips: &[String]) -> Result<Vec<String>, Failure> {
    if tips.is_empty() {
        return Ok(Vec::new());
    }
    let count = format!("--max-count={}", MOST + 1);
    let fixed = ["log", "--no-show-signature", &count, "--format=%H", "--end-of-options"];
    let words: Vec<&str> = fixed.into_iter().chain(tips.iter().map(String::as_str)).collect();
    Ok(aside.git().ask(&words, b"")?.text().lines().map(str::to_owned).collect())
}

fn found(
    context: &Context,
    aside: &Aside,
    (signers, path): (&Option<Signers>, &str),
    subject: &Subject,
    files: &[Option<Vec<u8>>],
) -> Result<Found, Failure> {
    let (record, signature) = (files[0].as_deref(), files[1].as_deref());
    let entry = entry(record, subject);
    let signer = match (signers, record, signature) {
        // What is of something else needs no proof of whose it is.
        (Some(signers), Some(record), Some(signature)) if entry.is_ok() => {
            signers.of(context, EVIDENCE, record, signature)?.map(|signer| signer.name)
        }
        _ => None,
    };
    let remote = aside.remote();
    let unsigned = match (signers, signature) {
        (_, None) => "its record is not signed: set signing_key where it is made".to_owned(),
        (None, _) => format!(
            "the production branch of {remote} has no {path}, so nobody's signature counts: write it there"
        ),
        _ => format!(
            "its record is signed by nobody whom {path} on the production branch of {remote} lists, or the key counts no more: add the key there, or record with another one"
        ),
    };
    Ok(Found {
        name: entry.as_ref().map(|entry| entry.name.clone()).unwrap_or_default(),
        entry,
        signer,
        unsigned,
    })
}

/// A record must be of this tree: anybody can copy one to another place.
fn entry(bytes: Option<&[u8]>, subject: &Subject) -> Result<Entry, String> {
    let bytes = bytes.ok_or("it holds no record")?;
    let entry: Entry = serde_json::from_slice(bytes).map_err(|_| "it holds no record that can be read")?;
    if entry.schema != SCHEMA {
        return Err(format!("it has the form {}, which this program does not know", entry.schema));
    }
    if entry.tree != subject.tree {
        return Err("it is the record of something else, and was put here".to_owned());
    }
    Ok(entry)
}

/// Who may sign evidence, as the production branch says it; nobody where it says nothing.
fn signers(policy: &Policy, aside: &Aside) -> Result<Option<Signers>, Failure> {
    let Some(allowed) = policy.file(aside, "evidence_signers")? else { return Ok(None) };
    let revoked = policy.revoked(aside)?;
    Signers::new(&allowed, revoked.as_deref()).map(Some)
}
