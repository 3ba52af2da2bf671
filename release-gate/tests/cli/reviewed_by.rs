//! Reviews without a code host: commits that reviewers have signed.

use crate::team::Team;

const SETTINGS: &str = "[release-gate.ci]\nprovider = 'git'\n";

/// Dewi works on a branch; main has a final.
fn team() -> Team {
    let team = Team::new(SETTINGS);
    team.shop.git(&["tag", "--annotate", "--message", "x", "v1.1.0"]);
    team.shop.git(&["push", "--quiet", "origin", "v1.1.0"]);
    as_person(&team, "dewi", "");
    team.shop.git(&["switch", "--quiet", "--create", "feature/qris"]);
    team.shop.commit("Pay with QRIS", &[("src/pay.js", "1")]);
    team.shop.git(&["switch", "--quiet", "main"]);
    team
}

/// Who works in the clone, and whose key signs.
fn as_person(team: &Team, who: &str, key: &str) {
    let mail = format!("{who}@luxima.example");
    for (setting, value) in [("user.name", who), ("user.email", &mail), ("gpg.format", "ssh")] {
        team.shop.git(&["config", setting, value]);
    }
    let key = if key.is_empty() { "none".to_owned() } else { team.key(key).display().to_string() };
    team.shop.git(&["config", "user.signingkey", &key]);
}

/// Merges the branch, with these words, signed or not.
fn merge(team: &Team, who: &str, key: &str, trailer: &str) {
    as_person(team, who, key);
    let message = format!("Merge branch 'feature/qris'\n\n{trailer}");
    let sign = if key.is_empty() { "--no-gpg-sign" } else { "--gpg-sign" };
    team.shop.git(&["merge", "--quiet", "--no-ff", sign, "--message", &message, "feature/qris"]);
}

fn is(team: &Team, verdict: &str, part: &str) {
    let (word, seen) = team.verdict("rina", "ci");
    assert!(word == verdict && seen.contains(part), "{verdict} {part}: {word} {seen}");
}

#[test]
fn what_another_person_has_signed_as_reviewed_is_reviewed() {
    let team = team();
    merge(&team, "budi", "budi", "Reviewed-by: Budi <budi@luxima.example>");
    is(&team, "yes", "2 commits reviewed by budi@luxima.example");
    // A branch that is merged without a word is nobody's review.
    as_person(&team, "dewi", "");
    team.shop.git(&["switch", "--quiet", "--create", "feature/more"]);
    team.shop.commit("More", &[("src/more.js", "1")]);
    team.shop.git(&["switch", "--quiet", "main"]);
    team.shop.git(&[
        "merge",
        "--quiet",
        "--no-ff",
        "--message",
        "Merge branch 'feature/more'",
        "feature/more",
    ]);
    is(&team, "no", "of dewi@luxima.example: no reviewer but its author has signed it");
}

#[test]
fn words_alone_and_signatures_of_others_are_no_review() {
    for (who, key, trailer) in [
        ("budi", "", "Reviewed-by: Budi <budi@luxima.example>"),
        ("budi", "budi", "Looks good"),
        ("sari", "sari", "Reviewed-by: Budi <budi@luxima.example>"),
        ("budi", "joko", "Reviewed-by: Budi <budi@luxima.example>"),
        ("joko", "joko", "Reviewed-by: Joko <joko@luxima.example>"),
        ("budi", "budi", "Reviewed-by: Budi <budi@luxima.example>\n\nand more words"),
    ] {
        let team = team();
        merge(&team, who, key, trailer);
        is(&team, "no", "no reviewer but its author has signed it");
    }
}

#[test]
fn nobody_reviews_their_own_work() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["tag", "--annotate", "--message", "x", "v1.1.0"]);
    as_person(&team, "budi", "budi");
    team.shop.git(&["switch", "--quiet", "--create", "feature/qris"]);
    team.shop.commit("Pay with QRIS", &[("src/pay.js", "1")]);
    team.shop.git(&["switch", "--quiet", "main"]);
    merge(&team, "budi", "budi", "Reviewed-by: Budi <budi@luxima.example>");
    is(&team, "no", "of budi@luxima.example");
}

#[test]
fn a_merge_with_changes_of_its_own_is_work_too() {
    let team = team();
    as_person(&team, "budi", "budi");
    team.shop.git(&["merge", "--quiet", "--no-ff", "--no-commit", "feature/qris"]);
    std::fs::write(team.shop.path().join("src/extra.js"), "x").expect("written");
    team.shop.git(&["add", "--all"]);
    team.shop.git(&[
        "commit",
        "--quiet",
        "--gpg-sign",
        "--message",
        "Merge\n\nReviewed-by: Budi <budi@luxima.example>",
    ]);
    is(&team, "no", "of budi@luxima.example");
}

#[test]
fn more_reviewers_than_one_signature_has_are_asked_for_elsewhere() {
    let team = Team::new(&format!("{SETTINGS}reviews = 2\n"));
    let (code, _, said) = team.gate("rina", &["ci"]);
    assert!(code == 78 && said.contains("a commit is signed by one person"), "{said}");
}
