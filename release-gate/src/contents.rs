//! What a candidate holds: the branches that were merged since the last final, and the work items that their commits name. It is told, and decides
//! nothing.

use std::collections::BTreeSet;

use git_program::Git;
use serde_json::json;
use step::{Failure, Outcome, Run};

use crate::approval::last_final;
use crate::gate::Subject;

/// So many are told of each, and so many commits are looked at.
const TOLD: usize = 30;
const MOST: &str = "--max-count=2000";

/// Says it, and writes the fact `contents`.
pub fn tell(run: &mut Run) -> Result<Outcome, Failure> {
    let subject = Subject::of(run, None)?;
    let git = Git::new(&run.context);
    let since = last_final(&git, &subject.commit)?;
    let range =
        since.as_ref().map_or_else(|| subject.commit.clone(), |since| format!("{since}..{}", subject.commit));
    let words = ["log", "--no-show-signature", MOST, "-z", "--format=%B", "--end-of-options", &range];
    let said = git.ask(&words, b"")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let messages: Vec<&str> = text.split('\0').filter(|message| !message.is_empty()).collect();
    let prefixes: Vec<String> = run.context.settings.list("work_items")?;
    let branches: BTreeSet<String> = messages.iter().filter_map(|message| merged(message)).collect();
    let items: BTreeSet<String> = messages.iter().flat_map(|message| named(message, &prefixes)).collect();
    let summary = summary(messages.len(), since.as_deref(), &branches, &items);
    let list = |all: BTreeSet<String>| all.into_iter().take(TOLD).collect::<Vec<_>>();
    let mut fact = json!({ "commits": messages.len(), "branches": list(branches), "items": list(items) });
    if let Some(since) = since {
        fact["since"] = json!(since);
    }
    run.set("contents", fact)?;
    Ok(Outcome::unchanged(summary))
}

fn summary(
    commits: usize,
    since: Option<&str>,
    branches: &BTreeSet<String>,
    items: &BTreeSet<String>,
) -> String {
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let part = |what: &str, all: &BTreeSet<String>| {
        let shown = all.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if all.len() > TOLD { format!(" and {} more", all.len() - TOLD) } else { String::new() };
        (!all.is_empty()).then(|| format!("; {what}: {shown}{more}"))
    };
    let parts: String = [part("merged", branches), part("work items", items)].into_iter().flatten().collect();
    let count = if commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") };
    step::plain_line(&format!("it holds {count}{since}{parts}"))
}

/// The branch that a merge has brought, by the words that git and GitHub give such commits.
fn merged(message: &str) -> Option<String> {
    let subject = message.lines().next()?;
    if let Some(rest) = subject
        .strip_prefix("Merge branch '")
        .or_else(|| subject.strip_prefix("Merge remote-tracking branch 'origin/"))
    {
        return rest.split('\'').next().map(shown);
    }
    let rest = subject.strip_prefix("Merge pull request #")?.split_once(" from ")?.1;
    // Whose fork it is says nothing about the work.
    Some(shown(rest.split_once('/').map_or(rest, |(_, branch)| branch)))
}

fn shown(name: &str) -> String {
    step::excerpt(&step::plain_line(name), 80)
}

/// The work items that a message names: a prefix, a hyphen, a number, and neither a letter nor a digit around it.
fn named(message: &str, prefixes: &[String]) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = message.split(|c: char| !is_part(c));
    let one = |word: &str| {
        let (prefix, rest) = word.split_once('-')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        // `feature/LUX-12-pay-with-qris` names it too.
        let ends = rest[digits.len()..].starts_with(['-', '_']) || rest.len() == digits.len();
        let is_one =
            ends && !digits.is_empty() && digits.len() <= 9 && prefixes.iter().any(|known| known == prefix);
        is_one.then(|| format!("{prefix}-{digits}"))
    };
    words.filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_branches_are_known_by_what_git_and_github_write() {
        for (message, branch) in [
            ("Merge branch 'feature/qris'", Some("feature/qris")),
            ("Merge branch 'feature/qris' into staging\n\nmore", Some("feature/qris")),
            ("Merge remote-tracking branch 'origin/develop' into staging", Some("develop")),
            ("Merge pull request #12 from luxima/feature/LUX-12-qris\n\nPay", Some("feature/LUX-12-qris")),
            ("Pay with QRIS", None),
            ("", None),
        ] {
            assert_eq!(merged(message).as_deref(), branch, "{message}");
        }
    }

    #[test]
    fn work_items_are_words_of_their_own() {
        let prefixes = ["LUX".to_owned(), "OPS2".to_owned()];
        let text = "LUX-12: pay (OPS2-7), UTF-8, LUX-, LUX-x, XLUX-3, LUX-4x, feature/LUX-15-qris lux-9 LUX-0000000012";
        assert_eq!(named(text, &prefixes), ["LUX-12", "OPS2-7", "LUX-15"]);
        assert!(named(text, &[]).is_empty());
    }

    #[test]
    fn what_it_holds_is_one_sentence() {
        let set = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            summary(5, Some("v1.1.4"), &set(&["feature/a", "feature/b"]), &set(&["LUX-12"])),
            "it holds 5 commits since v1.1.4; merged: feature/a, feature/b; work items: LUX-12"
        );
        assert_eq!(summary(1, None, &set(&[]), &set(&[])), "it holds 1 commit");
    }
}
