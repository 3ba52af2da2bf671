//! Whether everything new has been reviewed.

use testkit::http::Fault;

use super::{Said, Shop, at_once, below, refusal};

/// Everything that is new must have been reviewed by one person.
fn shop() -> Shop {
    Shop::new(1)
}

fn asked(shop: &Shop) -> Said {
    shop.green();
    shop.ask(&["--timeout", "20s"])
}

#[track_caller]
fn holds(said: &Said, verdict: &str, part: &str) {
    assert_eq!(said.verdict(), verdict, "{} {}", said.gate, said.stderr);
    assert!(said.seen().contains(part), "{part}: {}", said.gate);
}

#[test]
fn what_was_reviewed_is_released() {
    let shop = shop();
    for number in [12, 13] {
        let (head, _) = shop.feature(number);
        shop.github.review(number, "budi", "APPROVED", &head);
    }
    shop.promote(Some(50));
    let said = asked(&shop);
    holds(&said, "yes", "reviewed: 5 commits since v1.1.4 in 2 pull requests");
    assert!(said.seen().contains("#12: approved by budi"), "{}", said.gate);
    let details = &said.gate["details"];
    assert_eq!((&details["since"], &details["commits"]), (&"v1.1.4".into(), &5.into()));
    // The tag, one list, and the reviews of each.
    assert_eq!(details["review_requests"], 5, "{:#?}", shop.github.server().log());
}

#[test]
fn the_last_word_of_each_reviewer_counts() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 8] = [
        (&[][..], "no", "#12 has 0 of the 1 approvals"),
        (&[("rina", "APPROVED")], "no", "#12 has 0 of the 1 approvals"),
        (&[("", "APPROVED")], "no", "#12 has 0 of the 1 approvals"),
        (&[("budi", "COMMENTED")], "no", "#12 has 0 of the 1 approvals"),
        (&[("budi", "APPROVED"), ("budi", "CHANGES_REQUESTED")], "no", "budi wants it changed"),
        (&[("budi", "APPROVED"), ("sari", "CHANGES_REQUESTED")], "no", "sari wants it changed"),
        (&[("budi", "APPROVED"), ("budi", "DISMISSED")], "no", "budi's was dismissed"),
        (
            &[("budi", "CHANGES_REQUESTED"), ("budi", "APPROVED"), ("budi", "COMMENTED")],
            "yes",
            "approved by budi",
        ),
    ];
    at_once(&cases, |(reviews, verdict, part)| {
        let shop = shop();
        let (head, _) = shop.feature(12);
        reviews.iter().for_each(|(user, word)| shop.github.review(12, user, word, &head));
        let said = asked(&shop);
        assert_eq!(said.verdict(), *verdict, "{reviews:?}: {} {}", said.gate, said.stderr);
        assert!(said.seen().contains(part), "{reviews:?}: {part}: {}", said.gate);
    });
}

#[test]
fn an_approval_is_one_of_what_was_merged() {
    let shop = shop();
    let mut first = String::new();
    let into = shop.repo.git(&["rev-parse", "HEAD"]);
    shop.merged(12, "feature/12", |id| {
        shop.commit(id, &[("a", "1")]);
        shop.commit(id, &[("a", "2")]);
    });
    let all = shop.repo.git(&["rev-list", "--no-merges", "--reverse", &format!("{into}..HEAD")]);
    first.push_str(all.lines().next().expect("two commits"));
    shop.github.review(12, "budi", "APPROVED", &first);
    holds(&asked(&shop), "no", "budi's is of an earlier commit");
    // Whoever releases cannot allow it alone.
    let here = shop.repo.path().join("release.toml");
    let text = std::fs::read_to_string(&here).expect("settings");
    std::fs::write(&here, format!("{text}stale = true\n")).expect("written");
    holds(&asked(&shop), "no", "budi's is of an earlier commit");
}

#[test]
fn the_production_branch_may_allow_approvals_of_earlier_commits() {
    let shop = shop();
    shop.settle(1, "stale = true\n");
    let (_, merge) = shop.feature(12);
    shop.github.review(12, "budi", "APPROVED", &merge);
    holds(&asked(&shop), "yes", "since v1.1.5");
}

#[test]
fn the_production_branch_may_ask_for_more() {
    let shop = shop();
    shop.settle(2, "");
    let (head, _) = shop.feature(12);
    shop.github.review(12, "budi", "APPROVED", &head);
    let here = shop.repo.path().join("release.toml");
    let text = std::fs::read_to_string(&here).expect("settings");
    std::fs::write(&here, text.replace("reviews = 2", "reviews = 0")).expect("written");
    holds(&asked(&shop), "no", "#12 has 1 of the 2 approvals");
    shop.github.review(12, "sari", "APPROVED", &head);
    holds(&asked(&shop), "yes", "approved by budi, sari");
}

/// Seen from main there are only merges: the direct push is on staging.
#[test]
fn a_direct_push_hides_behind_no_merge_of_staging_into_main() {
    for number in [None, Some(50)] {
        let shop = shop();
        let (head, _) = shop.feature(12);
        shop.github.review(12, "budi", "APPROVED", &head);
        let pushed = shop.commit("quick", &[("quick", "fix")]);
        let (head, _) = shop.feature(13);
        shop.github.review(13, "budi", "APPROVED", &head);
        let staging = shop.head();
        shop.promote(number);
        if let Some(number) = number {
            shop.github.review(number, "budi", "APPROVED", &staging);
        }
        let said = asked(&shop);
        holds(&said, "no", &format!("nobody has reviewed {}", &pushed[..12]));
        let way = if number.is_some() {
            "it came with #50, which only carries a branch"
        } else {
            "it was pushed directly"
        };
        assert!(said.seen().contains(way), "{}", said.gate);
    }
}

#[test]
fn a_commit_alone_was_reviewed_by_nobody() {
    let shop = shop();
    let pushed = shop.commit("quick", &[("quick", "fix")]);
    holds(&asked(&shop), "no", &format!("nobody has reviewed {}: it was pushed directly", &pushed[..12]));
    // A pull request that was never merged is none.
    shop.pull(12, &pushed, "feature/12", "staging", None, vec![pushed.clone()]);
    shop.github.review(12, "budi", "APPROVED", &pushed);
    holds(&asked(&shop), "no", "it was pushed directly");
}

#[test]
fn squashed_and_rebased_commits_are_known_by_their_pull_requests() {
    let shop = shop();
    let squash = shop.commit("squashed", &[("a", "1")]);
    shop.pull(12, &"1".repeat(40), "feature/12", "staging", Some(&squash), Vec::new());
    shop.github.review(12, "budi", "APPROVED", &"1".repeat(40));
    let (one, two) = (shop.commit("one", &[("b", "1")]), shop.commit("two", &[("b", "2")]));
    shop.pull(13, &"2".repeat(40), "feature/13", "staging", Some(&two), vec![one, two.clone()]);
    shop.github.review(13, "budi", "APPROVED", &"2".repeat(40));
    holds(&asked(&shop), "yes", "3 commits since v1.1.4 in 2 pull requests");
}

#[test]
fn what_comes_back_from_main_needs_no_review_of_its_own() {
    let shop = shop();
    let (head, _) = shop.feature(12);
    shop.github.review(12, "budi", "APPROVED", &head);
    shop.repo.git(&["switch", "--quiet", "main"]);
    let (head, _) = shop.feature(13);
    shop.github.review(13, "budi", "APPROVED", &head);
    shop.repo.git(&["switch", "--quiet", "staging"]);
    shop.merge("main");
    holds(&asked(&shop), "yes", "5 commits since v1.1.4 in 2 pull requests");
}

/// Somebody merges a branch by hand and changes something while doing so.
#[test]
fn a_merge_with_changes_of_its_own_was_not_reviewed() {
    let change = |shop: &Shop, number: Option<u64>| {
        shop.repo.git(&["switch", "--quiet", "--create", "feature/12"]);
        let head = shop.commit("work", &[("a", "1")]);
        shop.repo.git(&["switch", "--quiet", "staging"]);
        shop.repo.git(&["merge", "--quiet", "--no-ff", "--no-commit", "feature/12"]);
        let merge = shop.commit("Merge", &[("backdoor", "x")]);
        if let Some(number) = number {
            shop.pull(number, &head, "feature/12", "staging", Some(&merge), vec![head.clone()]);
            shop.github.review(number, "budi", "APPROVED", &head);
        }
        merge
    };
    let one = shop();
    let merge = change(&one, Some(12));
    holds(&asked(&one), "unknown", &format!("git show --remerge-diff {}", &merge[..12]));
    let other = shop();
    change(&other, None);
    holds(&asked(&other), "no", "it is a merge with changes of its own, without a pull request");
    // What was thrown away in a merge is a change too.
    let third = shop();
    let (head, _) = third.feature(12);
    third.github.review(12, "budi", "APPROVED", &head);
    third.repo.git(&["switch", "--quiet", "main"]);
    third.repo.git(&["merge", "--quiet", "--no-ff", "--strategy", "ours", "--message", "Merge", "staging"]);
    third.github.push(&third.head());
    holds(&asked(&third), "no", "it is a merge with changes of its own");
}

#[test]
fn a_clone_that_does_not_know_what_is_new_says_so() {
    // A tag that GitHub does not have would make new commits old ones.
    let shop = shop();
    shop.commit("quick", &[("quick", "fix")]);
    shop.repo.git(&["tag", "v1.1.9"]);
    shop.commit("quick", &[("quick", "fix 2")]);
    holds(&asked(&shop), "unknown", "v1.1.9 is not at GitHub as it is here");
    shop.github.tag("v1.1.9", &"a".repeat(40));
    holds(&asked(&shop), "unknown", "v1.1.9 is not at GitHub as it is here");
    // A candidate, and the final that is being released, are no releases before.
    shop.repo.git(&["tag", "--delete", "v1.1.9"]);
    shop.repo.git(&["tag", "v1.2.0-rc1", "HEAD~1"]);
    shop.repo.git(&["tag", "v1.2.0"]);
    holds(&asked(&shop), "no", "nobody has reviewed");
    // Somebody writes another history into the clone.
    let (head, first) = (shop.head(), shop.repo.git(&["rev-parse", "v1.1.4^{commit}"]));
    let graft = format!("{head} {first}\n");
    std::fs::write(shop.repo.path().join(".git/info/grafts"), graft).expect("written");
    let said = asked(&shop);
    assert_eq!(said.gate["details"]["commits"], 2, "{}", said.gate);
}

#[test]
fn a_part_of_the_history_is_none() {
    let shop = shop();
    shop.commit("quick", &[("quick", "fix")]);
    let (head, _) = shop.feature(12);
    shop.github.review(12, "budi", "APPROVED", &head);
    let shallow = head.lines().next().expect("an id").to_owned();
    std::fs::write(shop.repo.path().join(".git/shallow"), format!("{shallow}\n")).expect("written");
    let said = asked(&shop);
    holds(&said, "unknown", "only a part of the history");
    assert!(said.stderr.contains("git fetch --unshallow --tags"), "{}", said.stderr);
}

#[test]
fn without_a_release_before_all_of_the_history_is_looked_at() {
    let shop = shop();
    shop.repo.git(&["tag", "--delete", "v1.1.4"]);
    let (head, _) = shop.feature(12);
    shop.github.review(12, "budi", "APPROVED", &head);
    let said = asked(&shop);
    holds(&said, "no", "it was pushed directly");
    assert!(said.notes().contains("all of its history was looked at"), "{}", said.gate);
    more_commits(&shop, 250);
    holds(&asked(&shop), "unknown", "tag the last release");
}

/// So many empty commits, in one go.
fn more_commits(shop: &Shop, count: u32) {
    let commit = |n| {
        let from = if n == 0 { "from refs/heads/staging^0\n" } else { "" };
        format!(
            "commit refs/heads/staging\ncommitter Rina <rina@luxima.example> 1795000000 +0000\ndata 4\nmore\n{from}\n"
        )
    };
    let file = shop.repo.path().with_extension("stream");
    std::fs::write(&file, (0..count).map(commit).collect::<String>()).expect("written");
    let mut command = std::process::Command::new("git");
    command.args(["fast-import", "--quiet"]).current_dir(shop.repo.path());
    let status = command.stdin(std::fs::File::open(&file).expect("a stream")).status().expect("git starts");
    assert!(status.success());
    shop.github.push(&shop.head());
}

#[test]
fn answers_about_reviews_that_are_none_are_never_a_yes() {
    type Prepare = fn(&Shop);
    let cases: [(&str, &str, Prepare); 7] = [
        ("no list", "HTTP 500", |shop| fault(shop, "/pulls", Fault::Answer(refusal(500, "")))),
        ("no reviews", "HTTP 404", |shop| {
            fault(shop, "/pulls/12/reviews", Fault::Answer(refusal(404, "Not Found")));
        }),
        ("no right", "pull_requests=read", |shop| {
            let reply = refusal(403, "no").with("X-Accepted-GitHub-Permissions", "pull_requests=read");
            fault(shop, "/pulls", Fault::Answer(reply));
        }),
        ("an object", "not the shape", |shop| {
            fault(shop, "/pulls/12/reviews", Fault::Answer(super::json_of(200, serde_json::json!({}))));
        }),
        ("cut", "does not answer", |shop| fault(shop, "/pulls/12/reviews", Fault::Cut)),
        ("no tag", "v1.1.4 is not at GitHub", |shop| {
            fault(shop, "/git/ref/", Fault::Answer(refusal(404, "Not Found")));
        }),
        ("a page is missing", "announced", |shop| {
            // Somebody wants it changed, on the page that does not come.
            (0..100).for_each(|_| shop.github.review(12, "budi", "COMMENTED", ""));
            shop.github.review(12, "sari", "CHANGES_REQUESTED", "");
            let empty = super::json_of(200, serde_json::json!([]));
            shop.github.server().fault_after("GET", &below("/pulls/12/reviews"), 1, Fault::Answer(empty));
        }),
    ];
    let one = |(name, part, prepare): &(&str, &str, Prepare)| {
        let shop = shop();
        let (head, _) = shop.feature(12);
        shop.github.review(12, "budi", "APPROVED", &head);
        prepare(&shop);
        let said = asked(&shop);
        assert_eq!(said.verdict(), "unknown", "{name}: {} {}", said.gate, said.stderr);
        assert!(said.seen().contains(part), "{name}: {}", said.gate);
    };
    at_once(&cases, one);
}

fn fault(shop: &Shop, path: &str, fault: Fault) {
    shop.github.server().fault("GET", &below(path), 1000, fault);
}

/// A reviewer's word on the second page counts as one on the first.
#[test]
fn all_pages_of_the_reviews_are_read() {
    let shop = shop();
    let (head, _) = shop.feature(12);
    shop.github.review(12, "budi", "APPROVED", &head);
    (0..120).for_each(|_| shop.github.review(12, "budi", "COMMENTED", &head));
    holds(&asked(&shop), "yes", "approved by budi");
    shop.github.review(12, "sari", "CHANGES_REQUESTED", &head);
    holds(&asked(&shop), "no", "sari wants it changed");
    let log = shop.github.server().log();
    assert!(
        log.iter().all(|request| request.method == "GET" && request.path.starts_with(&below("/"))),
        "{log:#?}"
    );
}
