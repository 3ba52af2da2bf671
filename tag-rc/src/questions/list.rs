//! `list`: the versions on the remote with their candidates, in the order in which they were counted.

use semver::Version;
use serde_json::{Value, json};
use step::{Answer, Failure};

use crate::git::Git;
use crate::message::printable;
use crate::name;
use crate::name::short;
use crate::remote::{Candidate, Remote, Tag};

/// Asks the remote, and shows one version or all, the highest first.
pub fn answer(git: &Git, version: Option<&str>) -> Result<Answer, Failure> {
    let wanted = version.map(|text| name::version(name::bare(text))).transpose()?;
    let remote = git.look()?;
    let mut versions = remote.versions();
    versions.retain(|v| wanted.as_ref().is_none_or(|w| w == v));
    let mut value: Vec<Value> = versions.iter().map(|v| entry(&remote, v)).collect();
    let mut text: Vec<String> = versions.iter().map(|v| lines(&remote, v)).collect();
    // What reads like the version that was asked for, and counts nowhere.
    if let Some(version) = &wanted {
        let like = remote.like(version);
        if let (Some(entry), false) = (value.first_mut(), like.is_empty()) {
            entry["like"] = json!(like.iter().map(|tag| &tag.name).collect::<Vec<_>>());
        }
        text.extend(like.iter().map(|tag| {
            format!(
                "{:<18} {}  reads like it, and is not counted\n",
                printable(&tag.name),
                short(&tag.commit)
            )
        }));
    }
    let text = if text.is_empty() { format!("{} has no such tag", git.remote()) } else { text.concat() };
    Ok(Answer::new(text, value))
}

fn entry(remote: &Remote, version: &Version) -> Value {
    let candidates = remote.candidates(version);
    let shown: Vec<Value> = candidates
        .iter()
        .map(|c| {
            json!({ "tag": c.tag.name, "number": c.number, "style": c.style.word(), "commit": c.tag.commit, "object": c.tag.object,
                    "annotated": !c.tag.is_lightweight() })
        })
        .collect();
    let odd: Vec<&str> = remote.odd(version).iter().map(|t| t.name.as_str()).collect();
    let mut entry = json!({
        "version": version.to_string(), "candidates": shown, "semver_precedence_agrees": agrees(&candidates),
    });
    if let Some(tag) = remote.final_of(version) {
        entry["final"] = json!({ "tag": tag.name, "commit": tag.commit, "object": tag.object, "annotated": !tag.is_lightweight() });
    }
    if !odd.is_empty() {
        entry["uncounted"] = json!(odd);
    }
    entry
}

fn lines(remote: &Remote, version: &Version) -> String {
    let candidates = remote.candidates(version);
    let last = remote.final_of(version);
    let mut text = String::new();
    for tag in last.into_iter().chain(candidates.iter().rev().map(|c| c.tag)) {
        let same = last.filter(|l| l.name != tag.name && l.commit == tag.commit);
        let same = same.map(|l| format!("  = {}", l.name)).unwrap_or_default();
        text.push_str(&format!("{:<18} {}{same}{}\n", tag.name, short(&tag.commit), by_hand(tag)));
    }
    for tag in remote.odd(version) {
        text.push_str(&format!("{:<18} {}  its number cannot be counted\n", tag.name, short(&tag.commit)));
    }
    if !agrees(&candidates) {
        text.push_str(
            "  tools that sort by SemVer put rc10 before rc2 and take another one for the newest candidate\n",
        );
    }
    text
}

/// What is not as tag-rc makes it.
fn by_hand(tag: &Tag) -> &'static str {
    match (tag.name.starts_with('v'), tag.is_lightweight()) {
        (true, false) => "",
        (true, true) => "  lightweight: nobody signs for it",
        (false, false) => "  written without v",
        (false, true) => "  written without v; lightweight: nobody signs for it",
    }
}

/// Whether `SemVer` precedence puts the candidates in the order in which they were counted.
fn agrees(candidates: &[Candidate]) -> bool {
    let parsed = candidates.iter().map(|c| Version::parse(name::bare(&c.tag.name)));
    parsed.collect::<Result<Vec<_>, _>>().is_ok_and(|all| all.is_sorted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_and_semver_differ_from_the_tenth_on() {
        let of = |tags: &str| {
            let lines: String = tags.split(' ').map(|t| format!("11\trefs/tags/v1.2.0-{t}\n")).collect();
            agrees(&Remote::parse(&lines).candidates(&Version::new(1, 2, 0)))
        };
        assert!(of("rc1 rc2 rc9") && of("rc.9 rc.10") && !of("rc2 rc10") && of("rc10"));
    }
}
