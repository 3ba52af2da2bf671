//! What the reviews of a pull request say together: pure. The last word of each person counts, and only about what was merged.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use step::{excerpt, plain_line};

use super::pulls::{Pull, User};

/// Whom GitHub knows as somebody of the team. In a private repository nobody else can review at all.
const TEAM: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// A review, as GitHub lists it: the oldest first.
#[derive(Clone, Debug, Deserialize)]
pub struct Review {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
    submitted_at: Option<Timestamp>,
    #[serde(default)]
    author_association: String,
}

/// What they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Enough people have approved it: these.
    Approved(Vec<String>),
    /// Somebody's last word is that it must change.
    Changes(String),
    /// Too few have: why.
    Short(String),
    /// It cannot be said who has had the last word: why.
    Unclear(String),
}

/// Words that say what somebody thinks of it, and words that do not.
const SAYS: [&str; 3] = ["APPROVED", "CHANGES_REQUESTED", "DISMISSED"];
const SAYS_NOTHING: [&str; 2] = ["COMMENTED", "PENDING"];

/// Judges the reviews of one pull request.
pub fn judge(pull: &Pull, reviews: &[Review], least: usize, stale_counts: bool) -> Word {
    if let Some(why) = unclear(pull, reviews) {
        return Word::Unclear(format!("{}: {why}", pull.name()));
    }
    let (mut good, mut changes, mut not) = (Vec::new(), Vec::new(), Vec::new());
    for (login, review) in last_words(pull, reviews) {
        match (review.state.as_str(), useless(pull, review, stale_counts)) {
            ("CHANGES_REQUESTED", _) => changes.push(login),
            ("APPROVED", None) => good.push(login),
            ("APPROVED", Some(why)) => not.push(format!("{login}'s is {why}")),
            _ => not.push(format!("{login}'s was dismissed")),
        }
    }
    let name = pull.name();
    if !changes.is_empty() {
        return Word::Changes(format!(
            "{name}: {} wants it changed, and that is the last word",
            changes.join(", ")
        ));
    }
    if good.len() >= least.max(1) {
        return Word::Approved(good);
    }
    let but = if not.is_empty() { String::new() } else { format!(" ({})", not.join("; ")) };
    Word::Short(format!("{name} has {} of the {} approvals that it needs{but}", good.len(), least.max(1)))
}

/// Why nobody can say what the reviews mean.
fn unclear(pull: &Pull, reviews: &[Review]) -> Option<String> {
    if pull.user.is_none() {
        return Some(
            "GitHub does not say who its author is, so anybody's approval may be the author's".to_owned(),
        );
    }
    let is_known = |review: &&Review| SAYS_NOTHING.contains(&review.state.as_str()) || says(review);
    if let Some(odd) = reviews.iter().find(|review| !is_known(review)) {
        return Some(format!("a review is in a state that nobody knows: {}", shown(&odd.state)));
    }
    let undated = reviews.iter().filter(|review| says(review)).any(|review| review.submitted_at.is_none());
    undated.then(|| "a review does not say when it was written".to_owned())
}

fn says(review: &Review) -> bool {
    SAYS.contains(&review.state.as_str())
}

fn shown(text: &str) -> String {
    excerpt(&plain_line(text), 60)
}

/// The last word of each person but the author, with the name as it is written, by who they are.
fn last_words<'a>(pull: &Pull, reviews: &'a [Review]) -> Vec<(String, &'a Review)> {
    let mut sorted: Vec<&Review> = reviews.iter().filter(|review| says(review)).collect();
    sorted.sort_by_key(|review| review.submitted_at);
    let author = pull.user.as_ref().map(|user| user.login.to_lowercase());
    let mut last = BTreeMap::new();
    for review in sorted {
        // Whose account is gone is nobody that could be asked.
        let Some(user) = &review.user else { continue };
        let login = user.login.to_lowercase();
        if Some(&login) != author.as_ref() {
            last.insert(login, (shown(&user.login), review));
        }
    }
    last.into_values().collect()
}

/// Why an approval does not count.
fn useless(pull: &Pull, review: &Review, stale_counts: bool) -> Option<&'static str> {
    let is_person = review.user.as_ref().is_some_and(|user| user.kind == "User");
    let is_private = pull.base.repo.as_ref().is_some_and(|repo| repo.private);
    if !is_person {
        return Some("a program's");
    }
    if !is_private && !TEAM.contains(&review.author_association.as_str()) {
        return Some("of somebody whom GitHub does not show as one of the team");
    }
    let is_current = review.commit_id.as_deref() == Some(pull.head.sha.as_str());
    (!is_current && !stale_counts).then_some("of an earlier commit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pull(private: bool) -> Pull {
        let repo = json!({ "full_name": "luxima/shop", "private": private, "default_branch": "main" });
        let side = |sha: &str, name: &str| json!({ "sha": sha, "ref": name, "repo": repo });
        let value = json!({ "number": 12, "user": { "login": "rina", "type": "User" }, "merged_at": "2026-11-25T12:00:00Z",
            "merge_commit_sha": "m", "head": side("f", "x"), "base": side("a", "main") });
        serde_json::from_value(value).expect("a pull request")
    }

    /// Reviews as login, state, commit, in this order.
    fn reviews(all: &[(&str, &str, &str)]) -> Vec<Review> {
        let one = |(n, (login, state, commit)): (usize, &(&str, &str, &str))| {
            let user = if login.is_empty() {
                Value::Null
            } else {
                json!({ "login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" } })
            };
            serde_json::from_value(
                json!({ "user": user, "state": state, "commit_id": commit, "author_association": "MEMBER",
                "submitted_at": format!("2026-11-25T12:{n:02}:00Z") }),
            )
            .expect("a review")
        };
        all.iter().enumerate().map(one).collect()
    }

    #[test]
    fn the_last_word_of_each_person_counts() {
        const YES: &str = "APPROVED";
        const NO: &str = "CHANGES_REQUESTED";
        for (all, least, expected) in [
            (&[][..], 1, "short"),
            (&[("budi", YES, "f")], 1, "approved"),
            (&[("budi", YES, "f")], 2, "short"),
            (&[("budi", YES, "f"), ("Budi", YES, "f")], 2, "short"),
            (&[("budi", YES, "f"), ("sari", YES, "f")], 2, "approved"),
            (&[("rina", YES, "f")], 1, "short"),
            (&[("Rina", YES, "f")], 1, "short"),
            (&[("", YES, "f")], 1, "short"),
            (&[("ci[bot]", YES, "f")], 1, "short"),
            (&[("budi", YES, "e")], 1, "short"),
            (&[("budi", "COMMENTED", "f")], 1, "short"),
            (&[("budi", "PENDING", "f")], 1, "short"),
            (&[("budi", YES, "f"), ("budi", "COMMENTED", "f")], 1, "approved"),
            (&[("budi", YES, "f"), ("budi", "DISMISSED", "f")], 1, "short"),
            (&[("budi", "DISMISSED", "f")], 1, "short"),
            (&[("budi", YES, "f"), ("budi", NO, "f")], 1, "changes"),
            (&[("budi", NO, "f"), ("budi", YES, "f")], 1, "approved"),
            (&[("budi", YES, "f"), ("sari", NO, "e")], 1, "changes"),
            (&[("budi", NO, "f"), ("budi", "DISMISSED", "f"), ("sari", YES, "f")], 1, "approved"),
            (&[("budi", "approved", "f")], 1, "unclear"),
            (&[("budi", YES, "f"), ("sari", "Changes_Requested", "f")], 1, "unclear"),
            (&[("budi", YES, "f"), ("sari", "", "f")], 1, "unclear"),
            (&[("budi", YES, "f")], 0, "approved"),
            (&[], 0, "short"),
        ] {
            let word = judge(&pull(true), &reviews(all), least, false);
            let said = match &word {
                Word::Approved(_) => "approved",
                Word::Changes(_) => "changes",
                Word::Short(_) => "short",
                Word::Unclear(_) => "unclear",
            };
            assert_eq!(said, expected, "{all:?} {least}: {word:?}");
        }
        let stale = judge(&pull(true), &reviews(&[("budi", YES, "e")]), 1, true);
        assert_eq!(stale, Word::Approved(vec!["budi".to_owned()]));
        let Word::Short(why) = judge(&pull(true), &reviews(&[("budi", YES, "e")]), 1, false) else {
            panic!("short")
        };
        assert_eq!(why, "#12 has 0 of the 1 approvals that it needs (budi's is of an earlier commit)");
    }

    #[test]
    fn the_last_word_is_the_last_by_the_instant() {
        let mut all = reviews(&[("budi", "CHANGES_REQUESTED", "f"), ("budi", "APPROVED", "f")]);
        let word = |all: &[Review]| judge(&pull(true), all, 1, false);
        // As texts these would be in the other order.
        for (change, approval, is_approved) in [
            ("2026-11-25T12:00:00+07:00", "2026-11-25T11:00:00Z", true),
            ("2026-11-25T06:00:00Z", "2026-11-25T12:00:00+07:00", false),
            ("2026-11-25T12:00:00Z", "2026-11-25T12:00:00.5Z", true),
        ] {
            all[0].submitted_at = Some(change.parse().expect("an instant"));
            all[1].submitted_at = Some(approval.parse().expect("an instant"));
            assert_eq!(matches!(word(&all), Word::Approved(_)), is_approved, "{change} {approval}");
        }
        all[0].submitted_at = None;
        assert!(matches!(word(&all), Word::Unclear(_)), "{:?}", word(&all));
        for odd in ["yesterday", "2026-11-25", "2026-11-25T12:00:00", ""] {
            let review = json!({ "user": null, "state": "APPROVED", "commit_id": "f", "submitted_at": odd });
            assert!(serde_json::from_value::<Review>(review).is_err(), "{odd}");
        }
    }

    #[test]
    fn only_a_person_whom_the_author_is_not_approves() {
        for kind in ["Bot", "Organization", "Mannequin", "user", ""] {
            let mut all = reviews(&[("budi", "APPROVED", "f")]);
            all[0].user.as_mut().expect("somebody").kind = kind.to_owned();
            assert!(matches!(judge(&pull(true), &all, 1, false), Word::Short(_)), "{kind}");
        }
        let mut nobodys = pull(true);
        nobodys.user = None;
        let word = judge(&nobodys, &reviews(&[("budi", "APPROVED", "f")]), 1, false);
        assert!(matches!(word, Word::Unclear(_)), "{word:?}");
    }

    #[test]
    fn a_secret_that_comes_back_as_a_name_is_not_shown() {
        let secret = step::Secret::new("ghp_NameThatIsAsSecretAsItGets");
        let word = judge(&pull(true), &reviews(&[(secret.expose(), "APPROVED", "e")]), 1, false);
        assert!(!format!("{word:?}").to_lowercase().contains("namethatis"), "{word:?}");
    }

    #[test]
    fn in_a_public_repository_only_the_team_approves() {
        let mut all = reviews(&[("budi", "APPROVED", "f")]);
        assert!(matches!(judge(&pull(false), &all, 1, false), Word::Approved(_)));
        all[0].author_association = "NONE".to_owned();
        assert!(matches!(judge(&pull(false), &all, 1, false), Word::Short(_)));
        assert!(matches!(judge(&pull(true), &all, 1, false), Word::Approved(_)));
    }
}
