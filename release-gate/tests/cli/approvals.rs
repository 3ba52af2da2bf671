//! Approvals with real keys, on a real remote.

use std::process::{Command, Stdio};

use crate::team::Team;
use testkit::git::isolate;

const SETTINGS: &str = "[release-gate.roles]
qa = ['budi@luxima.example']
lead = ['sari@luxima.example', 'rina@luxima.example']

[environment.production.release-gate]
approvals = { qa = 1, lead = 1 }
";
const CHAIN: &str = "refs/rilis/approvals/shop";

/// Two have approved, and rina releases.
fn approved() -> Team {
    let team = Team::new(SETTINGS);
    // The last commit is of somebody who neither releases nor approves.
    team.shop.git(&["config", "user.email", "dewi@luxima.example"]);
    for who in ["budi", "sari"] {
        let (code, _, said) = team.approve(who, &[]);
        assert_eq!(code, 0, "{said}");
    }
    team
}

fn is_no_yes(team: &Team, what: &str) -> String {
    let (word, seen) = team.verdict("rina", "approval");
    assert_ne!(word, "yes", "{what}: {seen}");
    seen
}

/// Puts an entry at the end of the chain, as whoever may push can.
fn push(team: &Team, statement: &[u8], signature: &[u8], parents: &[&str]) -> String {
    let path = team.shop.path();
    team.shop.git(&["fetch", "--quiet", "origin", CHAIN]);
    let blob = |content: &[u8]| {
        let file = team.folder.path().join("blob");
        std::fs::write(&file, content).expect("written");
        team.shop.git(&["hash-object", "-w", &file.display().to_string()])
    };
    let tree = format!(
        "100644 blob {}\tstatement.json\n100644 blob {}\tstatement.json.sig\n",
        blob(statement),
        blob(signature)
    );
    let mut command = Command::new("git");
    isolate(&mut command).arg("mktree").current_dir(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("git");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), tree.as_bytes()).expect("written");
    let said = child.wait_with_output().expect("it ends");
    let tree = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let before: Vec<&str> = parents.iter().flat_map(|parent| ["-p", parent]).collect();
    let commit = team.shop.git(&[&["commit-tree", "-m", "x"][..], &before, &[&tree]].concat());
    team.shop.git(&["push", "--quiet", "--force", "origin", &format!("{commit}:{CHAIN}")]);
    commit
}

/// What an entry of the chain holds.
fn entry(team: &Team, commit: &str) -> (Vec<u8>, Vec<u8>) {
    let file = |name: &str| team.remote.git(&["show", &format!("{commit}:{name}")]).into_bytes();
    (file("statement.json"), [file("statement.json.sig"), b"\n".to_vec()].concat())
}

fn sign(team: &Team, who: &str, namespace: &str, text: &[u8]) -> Vec<u8> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(team.key(who));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh-keygen");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), text).expect("written");
    child.wait_with_output().expect("it ends").stdout
}

#[test]
fn what_two_people_have_approved_is_released_by_a_third_one() {
    let team = approved();
    let (word, seen) = team.verdict("rina", "approval");
    assert_eq!(word, "yes", "{seen}");
    assert!(
        seen.contains("budi@luxima.example approved as qa")
            && seen.contains("sari@luxima.example approved as lead")
    );
    let (code, list) = team.ask("rina", &["approve", "--list"]);
    assert!(code == 0 && list.lines().count() == 2, "{list}");
    // Whoever has approved cannot release it, and a name that git was told proves nothing.
    let seen = team.verdict("budi", "approval").1;
    assert!(seen.contains("it is of the one who releases"), "{seen}");
    let seen = team.verdict("joko", "approval").1;
    assert!(seen.contains("claimed, not proven"), "{seen}");
}

#[test]
fn a_plan_signs_nothing_and_only_a_person_confirms() {
    let team = Team::new(SETTINGS);
    let (code, document, said) = team.gate("budi", &["approve", "v1.2.0-rc1", "--plan"]);
    assert!(code == 0 && document["steps"][0]["status"] == "planned", "{said}");
    assert!(said.contains("candidate   v1.2.0-rc1") && said.contains("migrations  none"), "{said}");
    let (code, document, said) = team.gate("budi", &["approve", "v1.2.0-rc1"]);
    assert!(code == 1 && document["failure"]["reason"] == "unconfirmed", "{said}");
    assert!(
        document["failure"]["next"].as_str().is_some_and(|next| next.contains("--confirm v1.2.0-rc1")),
        "{document}"
    );
    let (code, ..) = team.gate("budi", &["approve", "v1.2.0-rc1", "--confirm", "v1.2.0-rc2"]);
    assert_eq!(code, 1, "the confirmation of another candidate");
    assert_eq!(team.remote.git(&["for-each-ref", "refs/rilis"]), "");
    let (code, document, _) = team.approve("joko", &[]);
    assert!(code == 1 && document["failure"]["reason"] == "not-a-signer", "{document}");
    let (code, document, _) = team.approve("budi", &["--as", "lead"]);
    assert!(code == 2 && document["failure"]["reason"] == "role", "{document}");
}

#[test]
fn a_rejected_candidate_is_refused_for_good_until_the_same_person_takes_it_back() {
    let team = approved();
    let (code, document, said) = team.approve("sari", &["--reject", "the cart is empty"]);
    assert_eq!(code, 0, "{said}");
    let seen = is_no_yes(&team, "rejected");
    assert!(seen.contains("the cart is empty"), "{seen}");
    let id = document["steps"][0]["output"]["id"].as_str().expect("its number").to_owned();
    let (code, document, said) = team.approve("budi", &[]);
    assert!(code == 1 && document["failure"]["reason"] == "rejected", "{said}");
    for (who, number, why) in [
        ("budi", &*id, "sari@luxima.example, who alone can take it back"),
        ("sari", "zz", "there is no statement zz; yours are "),
        ("joko", &*id, "none that .rilis/allowed_signers on the production branch of origin lists"),
    ] {
        let (code, _, said) = team.approve(who, &["--revoke", number]);
        assert!(code != 0 && said.contains(why), "{said}");
    }
    is_no_yes(&team, "taken back by nobody");
    // The beginning of its number is enough.
    let (code, _, said) = team.approve("sari", &["--revoke", &id[..6]]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(team.verdict("rina", "approval").0, "yes");
    let (code, _, said) = team.approve("sari", &["--revoke", &id]);
    assert!(code == 2 && said.contains("was taken back already"), "{said}");
    let (_, list) = team.ask("rina", &["approve", "--list"]);
    assert!(list.contains("(\"the cart is empty\") (taken back)"), "{list}");
}

#[test]
fn another_tree_is_not_covered() {
    let team = approved();
    team.shop.commit("one more thing", &[("src/page.js", "x")]);
    let seen = is_no_yes(&team, "another tree");
    assert!(seen.contains("it is of another tree"), "{seen}");
}

#[test]
fn who_may_sign_is_what_the_production_branch_says() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["config", "user.email", "dewi@luxima.example"]);
    // Joko makes himself a signer in the release's own tree, and approves that.
    let both: String = ["rina", "budi", "sari", "joko"].iter().map(|who| team.signer(who)).collect();
    let forged = both.replace("joko@", "budi@");
    team.shop.commit("sign myself", &[(".rilis/allowed_signers", &forged)]);
    team.shop.git(&["tag", "--annotate", "--force", "--message", "x", "v1.2.0-rc1"]);
    team.shop.git(&["push", "--quiet", "--force", "origin", "v1.2.0-rc1", "HEAD:refs/heads/staging"]);
    let (code, document, _) = team.approve("joko", &[]);
    assert!(code == 1 && document["failure"]["reason"] == "not-a-signer", "{document}");
    team.approve("sari", &[]);
    is_no_yes(&team, "one is missing");
}

#[test]
fn keys_that_are_over_or_revoked_or_a_pattern_count_no_more() {
    let team = approved();
    assert_eq!(team.verdict("rina", "approval").0, "yes");
    let with = |budi: &str| format!("{}{}{budi}", team.signer("rina"), team.signer("sari"));
    for (what, line) in [
        ("over", team.signer_with("budi", "valid-before=\"20261101\"")),
        ("not yet", team.signer_with("budi", "valid-after=\"20990101\"")),
        ("for something else", team.signer_with("budi", "namespaces=\"git\"")),
        ("a pattern", team.signer("budi").replace("budi@", "*@")),
        ("gone", String::new()),
    ] {
        team.on_main(&[(".rilis/allowed_signers", &with(&line))]);
        is_no_yes(&team, what);
    }
    team.on_main(&[(".rilis/allowed_signers", &with(&team.signer("budi")))]);
    assert_eq!(team.verdict("rina", "approval").0, "yes");
    let revoked = std::fs::read_to_string(team.key("budi").with_extension("pub")).expect("a key");
    let settings = std::fs::read_to_string(team.shop.path().join("release.toml")).expect("settings");
    let settings = format!("{settings}revoked_signers = '.rilis/revoked'\n");
    team.on_main(&[(".rilis/revoked", &revoked), ("release.toml", &settings)]);
    is_no_yes(&team, "revoked");
}

#[test]
fn what_is_put_into_the_chain_by_hand_counts_for_nothing() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["config", "user.email", "dewi@luxima.example"]);
    team.approve("sari", &[]);
    let head = team.remote.git(&["rev-parse", CHAIN]);
    let (text, signature) = entry(&team, &head);
    let as_budi = String::from_utf8(text.clone())
        .expect("text")
        .replace("sari@", "budi@")
        .replace("\"lead\"", "\"qa\"")
        .into_bytes();
    for (what, text, signature) in [
        ("another's signature", &as_budi, signature.clone()),
        ("no signature", &as_budi, Vec::new()),
        ("rubbish", &as_budi, b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n".to_vec()),
        ("signed by nobody's key", &as_budi, sign(&team, "joko", "rilis-approval", &as_budi)),
        ("signed by another signer", &as_budi, sign(&team, "sari", "rilis-approval", &as_budi)),
        ("signed for something else", &as_budi, sign(&team, "budi", "git", &as_budi)),
        ("signed for evidence", &as_budi, sign(&team, "budi", "rilis-evidence", &as_budi)),
        ("the same once more", &text, signature.clone()),
        ("no statement", &b"{}".to_vec(), signature.clone()),
    ] {
        push(&team, text, &signature, &[&head]);
        is_no_yes(&team, what);
        // The chain goes on from what this clone has seen, as a forger would have it.
        push(&team, text, &signature, &[&team.remote.git(&["rev-parse", CHAIN])]);
        is_no_yes(&team, what);
        let _ = std::fs::remove_dir_all(team.shop.path().join(".git/rilis"));
    }
    // The real one, by hand, is one.
    push(&team, &as_budi, &sign(&team, "budi", "rilis-approval", &as_budi), &[&head]);
    assert_eq!(team.verdict("rina", "approval").0, "yes");
}

#[test]
fn a_chain_that_was_seen_is_not_rewritten() {
    let team = approved();
    team.approve("sari", &["--reject", "the cart is empty"]);
    is_no_yes(&team, "rejected");
    let head = team.remote.git(&["rev-parse", CHAIN]);
    let before = team.remote.git(&["rev-parse", &format!("{CHAIN}~1")]);
    // The rejection is taken out of it.
    team.remote.git(&["update-ref", CHAIN, &before]);
    let seen = is_no_yes(&team, "rewound");
    assert!(seen.contains("rewritten"), "{seen}");
    team.remote.git(&["update-ref", "-d", CHAIN]);
    let seen = is_no_yes(&team, "removed");
    assert!(seen.contains("gone from the remote"), "{seen}");
    // Two that are joined are not what was written.
    team.remote.git(&["update-ref", CHAIN, &head]);
    let (text, signature) = entry(&team, &before);
    push(&team, &text, &signature, &[&head, &before]);
    let seen = is_no_yes(&team, "joined");
    assert!(seen.contains("joined"), "{seen}");
    // A clone that has seen nothing of it has the tag of a release as its witness.
    team.remote.git(&["update-ref", CHAIN, &before]);
    let message = format!("v1.1.0\n\nRilis-Approvals: {head}\n");
    team.shop.git(&["tag", "--annotate", "--message", &message, "v1.1.0", "HEAD"]);
    std::fs::remove_dir_all(team.shop.path().join(".git/rilis")).expect("a new clone");
    is_no_yes(&team, "rewound since a release");
}

#[test]
fn two_who_approve_at_once_both_succeed() {
    let team = Team::new(SETTINGS);
    let mut running: Vec<_> = ["budi", "sari", "rina"]
        .map(|who| {
            let words = [
                "approve",
                "v1.2.0-rc1",
                "--confirm",
                "v1.2.0-rc1",
                "--fresh",
                "--release",
                "1.2.0",
                "--env",
                "production",
            ];
            team.command(who, &words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .into_iter()
        .collect();
    for child in running.drain(..) {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (_, list) = team.ask("rina", &["approve", "--list"]);
    assert_eq!(list.lines().count(), 3, "{list}");
}

#[test]
fn what_is_no_candidate_of_this_version_is_not_signed() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["tag", "--annotate", "--message", "x", "v1.1.0"]);
    team.shop.git(&["push", "--quiet", "origin", "v1.1.0"]);
    let approve = |words: &[&str]| {
        let env = if words.contains(&"--env") { &[][..] } else { &["--env", "production"] };
        team.ask("budi", &[&["approve", "--fresh"], env, words].concat())
    };
    for (words, why) in [
        (&["v1.1.0", "--confirm", "v1.1.0"][..], "a candidate is a tag such as v1.2.0-rc2"),
        (&["v1.2.0-rcx", "--confirm", "v1.2.0-rcx"], "a candidate is a tag such as v1.2.0-rc2"),
        (&["v1.2.0-rc1", "--release", "1.3.0", "--confirm", "v1.2.0-rc1"], "it is no candidate of 1.3.0"),
        (&["v1.2.0-rc9", "--confirm", "v1.2.0-rc9"], "origin has no tag v1.2.0-rc9"),
        (&["1.2.1", "--branch", "hotfix/x", "--confirm", "v1.2.1"], "origin has no branch hotfix/x"),
        (
            &["v1.2.0-rc1", "--branch", "main", "--confirm", "v1.2.0-rc1"],
            "the version that the fix will have",
        ),
        (&["v1.2.0-rc1", "--env", "staging", "--confirm", "v1.2.0-rc1"], "no [environment.staging]"),
    ] {
        let (code, said) = approve(words);
        assert!(code != 0 && said.contains(why), "{words:?}: {said}");
    }
    assert_eq!(team.remote.git(&["for-each-ref", "refs/rilis"]), "");
    let (code, first) = approve(&["v1.2.0-rc1", "--confirm", "v1.2.0-rc1"]);
    assert_eq!(code, 0, "{first}");
    // Once is enough, and what was seen is remembered.
    let (code, again) = approve(&["v1.2.0-rc1", "--confirm", "v1.2.0-rc1"]);
    assert!(code == 0 && again.contains("since 20"), "{again}");
    assert_eq!(team.ask("budi", &["approve", "--list"]).1.lines().count(), 1);
    team.remote.git(&["update-ref", "-d", CHAIN]);
    for words in [
        &["approve", "--list"][..],
        &["approve", "v1.2.0-rc1", "--fresh", "--env", "production", "--confirm", "v1.2.0-rc1"],
    ] {
        let (code, said) = team.ask("sari", words);
        assert!(code == 1 && said.contains("gone from the remote"), "{said}");
    }
}

#[test]
fn a_fix_is_approved_by_its_branch() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["config", "user.email", "dewi@luxima.example"]);
    team.shop.git(&["switch", "--quiet", "--create", "hotfix/prices"]);
    team.shop.commit("Prices with tax", &[("src/price.js", "x")]);
    team.shop.git(&["push", "--quiet", "origin", "hotfix/prices"]);
    let words = [
        "approve",
        "--fresh",
        "--env",
        "production",
        "--branch",
        "hotfix/prices",
        "1.2.1",
        "--confirm",
        "v1.2.1",
    ];
    let (code, said) = team.ask("budi", &words);
    assert_eq!(code, 0, "{said}");
    let ask = |procedure: &str| {
        let gate =
            ["approval", "--fresh", "--procedure", procedure, "--env", "production", "--release", "1.2.1"];
        team.ask("rina", &gate)
    };
    let (code, said) = ask("hotfix");
    assert!(code == 0 && said.contains("budi@luxima.example approved as anybody with a role"), "{said}");
    assert_eq!(ask("release").0, 1, "a release asks for both");
}

#[test]
fn what_was_taken_back_stays_so_whoever_puts_it_there_again() {
    let team = approved();
    let first = team.remote.git(&["rev-parse", &format!("{CHAIN}~1")]);
    let (text, signature) = entry(&team, &first);
    let id = serde_json::from_slice::<serde_json::Value>(&text).expect("JSON")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let (code, _, said) = team.approve("budi", &["--revoke", &id]);
    assert_eq!(code, 0, "{said}");
    is_no_yes(&team, "taken back");
    let head = team.remote.git(&["rev-parse", CHAIN]);
    push(&team, &text, &signature, &[&head]);
    is_no_yes(&team, "put there again");
}

#[test]
fn many_tags_hide_no_witness() {
    let team = approved();
    team.approve("sari", &["--reject", "the cart is empty"]);
    let head = team.remote.git(&["rev-parse", CHAIN]);
    let message = format!("v1.1.0\n\nRilis-Approvals: {head}\n");
    team.shop.git(&["tag", "--annotate", "--message", &message, "v1.1.0", "HEAD"]);
    for n in 2..32 {
        team.shop.git(&["tag", "--annotate", "--message", "x", &format!("v1.2.0-rc{n}"), "HEAD"]);
    }
    let before = team.remote.git(&["rev-parse", &format!("{CHAIN}~1")]);
    team.remote.git(&["update-ref", CHAIN, &before]);
    std::fs::remove_dir_all(team.shop.path().join(".git/rilis")).expect("a new clone");
    let (_, document, said) = team.gate("rina", &["approval", "--candidate", "v1.2.0-rc1"]);
    let fact = &document["facts"]["approval"];
    assert!(fact["verdict"] == "no" && fact["seen"].to_string().contains("the tag v1.1.0"), "{fact} {said}");
}

#[test]
fn a_clone_that_knows_no_tag_counts_the_same_migrations() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["config", "user.email", "dewi@luxima.example"]);
    team.shop.commit("1.1.0", &[("db/migrations/1_orders.sql", "create table orders (id int);\n")]);
    team.shop.git(&["tag", "--annotate", "--message", "x", "v1.1.0"]);
    team.shop.commit("work", &[("db/migrations/2_note.sql", "alter table orders add column note text;\n")]);
    team.shop.git(&["tag", "--annotate", "--force", "--message", "x", "v1.2.0-rc1"]);
    team.shop.git(&["push", "--quiet", "--force", "origin", "main", "v1.1.0", "v1.2.0-rc1"]);
    for who in ["budi", "sari"] {
        let (code, _, said) = team.approve(who, &[]);
        assert!(code == 0 && said.contains("migrations  1, expand: db/migrations/2_note.sql"), "{said}");
    }
    let other = testkit::git::Repo::clone(
        &team.remote.path().display().to_string(),
        &team.folder.path().join("other"),
        &["--no-tags"],
    );
    let mut command = team.command("rina", &["approval"]);
    let (code, went, said) =
        testkit::exchange(command.current_dir(other.path()), Some(&crate::team::document()));
    assert!(code == 0, "{} {said}", went["facts"]["approval"]);
    let url = format!("file://{}", team.remote.path().display());
    let shallow = testkit::git::Repo::clone(&url, &team.folder.path().join("shallow"), &["--depth", "1"]);
    let mut command = team.command("rina", &["approval"]);
    let (code, went, said) =
        testkit::exchange(command.current_dir(shallow.path()), Some(&crate::team::document()));
    assert!(code == 0, "{} {said}", went["facts"]["approval"]);
}
