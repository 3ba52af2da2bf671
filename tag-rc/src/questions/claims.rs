//! What a tag's message claims, held against the remote: anybody can write a message.

use crate::git::Repo;
use crate::message::{Trailers, printable};
use crate::name::Name;
use crate::remote::{Remote, Tag};

/// The tags that the message could name: whatever is of the same line. They are few, and fetched with the rest.
pub fn named<'r>(remote: &'r Remote, tag: &Tag) -> Vec<&'r Tag> {
    let Some(Name::Final(version)) = Name::parse(&tag.name) else { return Vec::new() };
    let finals = remote.finals().into_iter().map(|(_, tag)| tag);
    let finals = finals.filter(|other| {
        Name::parse(&other.name).is_some_and(|name| {
            name.version().major == version.major && name.version().minor == version.minor
        })
    });
    remote.candidates(&version).into_iter().map(|c| c.tag).chain(finals).collect()
}

/// What is claimed and is not so.
pub fn untrue(repo: &Repo, remote: &Remote, tag: &Tag, trailers: &Trailers) -> Vec<(&'static str, String)> {
    let candidate = trailers.candidate.iter().filter_map(|claim| candidate(repo, remote, tag, claim));
    let base = trailers.base.iter().filter_map(|claim| base(repo, remote, tag, claim));
    candidate.chain(base).map(|problem| ("claim", problem)).collect()
}

/// `v1.2.0-rc3 (merge)`: a candidate of this very version, on the remote, with the same files unless the last one is compared anyway.
fn candidate(repo: &Repo, remote: &Remote, tag: &Tag, claim: &str) -> Option<String> {
    let name = claim.split_whitespace().next().unwrap_or_default();
    let says = format!("the message of {} says that it came from {}", tag.name, printable(name));
    let Some(claimed) = remote.tags.get(name) else {
        return Some(format!("{says}, and the remote has no such tag"));
    };
    let (Some(Name::Final(version)), Some(Name::Candidate(other, ..))) =
        (Name::parse(&tag.name), Name::parse(name))
    else {
        return Some(format!("{says}, which is no candidate of it"));
    };
    if version != other {
        return Some(format!("{says}, which is a candidate of another version"));
    }
    let last = remote.candidates(&version).last().map(|c| c.tag.name.clone());
    let objects = &repo.objects;
    let known = objects.has(&claimed.commit) && objects.has(&tag.commit);
    // The last candidate is held against the tag with what may differ; an earlier one must be part of it.
    let is_part = || {
        objects.is_ancestor(&claimed.commit, &tag.commit).unwrap_or(false)
            || objects.same_files(&claimed.commit, &tag.commit)
    };
    let other = last.as_deref() != Some(name);
    (other && known && !is_part()).then(|| format!("{says}, which holds something else"))
}

/// `v1.2.0`: a lower final that this one is built on.
fn base(repo: &Repo, remote: &Remote, tag: &Tag, claim: &str) -> Option<String> {
    let says = format!("the message of {} says that it is a hotfix of {}", tag.name, printable(claim));
    let Some(base) = remote.tags.get(claim) else {
        return Some(format!("{says}, and the remote has no such tag"));
    };
    let (Some(Name::Final(version)), Some(Name::Final(of))) = (Name::parse(&tag.name), Name::parse(claim))
    else {
        return Some(format!("{says}, which is no final"));
    };
    if of >= version || (of.major, of.minor) != (version.major, version.minor) {
        return Some(format!("{says}, which is no final before it in the same line"));
    }
    let objects = &repo.objects;
    let known = objects.has(&base.commit) && objects.has(&tag.commit) && !repo.is_shallow();
    let is_part = || {
        objects.is_ancestor(&base.commit, &tag.commit).unwrap_or(false)
            || objects.adds_nothing(&base.commit, &tag.commit).unwrap_or(false)
    };
    (known && !is_part()).then(|| format!("{says}, and it does not have what that one has"))
}
