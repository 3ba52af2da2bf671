//! `list`, `verify` and `branches`: what they say, and when they say no.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::{Repo, isolate};
use testkit::git_servers::ssh_key;

use crate::team::{Team, changed, fingerprint, opened_for, tagged};

/// Exit code and text.
fn says(team: &Team, args: &[&str]) -> (i32, String) {
    let output = team.command(args).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("a code"), String::from_utf8_lossy(&text).into_owned())
}

fn codes(answer: &Value) -> Vec<&str> {
    answer["problems"].as_array().expect("a list").iter().filter_map(|p| p["code"].as_str()).collect()
}

/// The runbooks ask it first; the remote is not asked, and nothing is changed.
#[test]
fn what_lies_here_can_be_tagged_or_not() {
    let team = Team::start();
    team.on("main");
    team.ours.git(&["remote", "set-url", "origin", "/nowhere/origin.git"]);
    let ready = |act: &str| says(&team, &["ready", act, "--release", "1.2.0"]);
    let before = fingerprint(team.ours.path());
    let (code, said) = ready("final");
    assert!(code == 0 && said.contains("as far as it can be seen here"), "{said}");
    let (code, said) = ready("candidate");
    assert!(code == 1 && said.contains("git switch staging"), "{said}");
    assert_eq!(fingerprint(team.ours.path()), before, "not one byte");
    assert_eq!(says(&team, &["ready", "candidate", "--branch", "main"]).0, 0);
    assert_eq!(ready("hotfix").0, 0, "whether it is on a hotfix branch of what runs, the remote tells");
    std::fs::write(team.ours.path().join("CHANGELOG.md"), "# Changed\n").expect("written");
    let (code, said) = ready("final");
    assert!(code == 1 && said.contains("1 path differs") && said.contains("CHANGELOG.md"), "{said}");
    // A commit that has the tag already is what is deployed, whatever lies around it; another one is not.
    team.ours.git(&["tag", "v1.2.0"]);
    assert_eq!(ready("final").0, 0);
    team.ours.commit("more", &[("more", "x")]);
    let (code, said) = ready("final");
    assert!(code == 1 && said.contains("v1.2.0 is here already"), "{said}");
    assert_eq!(says(&team, &["ready"]).0, 2);
}

#[test]
fn versions_are_listed_as_they_were_counted() {
    let team = Team::start();
    assert_eq!(says(&team, &["list"]), (0, "origin has no such tag\n".into()));
    assert_eq!(team.ask(&["list"]), (0, json!([])));
    for tag in [
        "v1.2.0-rc2",
        "v1.2.0-rc10",
        "v1.2.0-rc1",
        "v1.10.0-rc.1",
        "v1.1.0",
        "v1.2.0",
        "v1.2.0-rc03",
        "nightly",
    ] {
        team.remote.git(&["tag", tag, "staging"]);
    }
    let (code, text) = says(&team, &["list"]);
    let tags: Vec<&str> =
        text.lines().filter_map(|l| l.split_whitespace().next()).filter(|w| w.starts_with('v')).collect();
    assert_eq!(code, 0);
    assert_eq!(
        tags,
        ["v1.10.0-rc.1", "v1.2.0", "v1.2.0-rc10", "v1.2.0-rc2", "v1.2.0-rc1", "v1.2.0-rc03", "v1.1.0"],
        "{text}"
    );
    assert!(text.contains("rc10 before rc2") && text.contains("cannot be counted"), "{text}");
    let (_, list) = team.ask(&["list", "v1.2.0"]);
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&list[0]["final"]["tag"], &list[0]["uncounted"]),
        (&json!("v1.2.0"), &json!(["v1.2.0-rc03"]))
    );
    assert_eq!(says(&team, &["list", "next"]).0, 1);
}

#[test]
fn a_tag_is_told_as_it_is() {
    let team = Team::start();
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    // Asked from a clone that has nothing of it.
    team.ours.git(&["tag", "--delete", "v1.2.0-rc1"]);
    let before = fingerprint(&team.ours.path().join(".git"));
    let (code, answer) = team.ask(&["verify", "v1.2.0-rc1"]);
    assert_eq!(
        (code, &answer["kind"], &answer["tagger"]),
        (0, &json!("candidate"), &json!("Rina Wijaya <rina@luxima.example>"))
    );
    assert!(
        answer["branches"].to_string().contains("staging") && answer["tagged_at"].is_string(),
        "{answer}"
    );
    assert_eq!((&answer["run"], codes(&answer).len()), (&json!(crate::team::ID), 0));
    assert!(before == fingerprint(&team.ours.path().join(".git")), "a question changes nothing");
    let (code, text) = says(&team, &["verify", "v1.2.0-rc1"]);
    assert!(code == 0 && text.contains("made by Rina Wijaya") && text.contains("not signed"), "{text}");
}

#[test]
fn what_is_not_sound_is_named() {
    let team = Team::start();
    let reason = |tag: &str| {
        let (code, answer) = team.ask(&["verify", tag]);
        assert_eq!(code, 1, "{answer}");
        codes(&answer).join(" ")
    };
    let (code, text) = says(&team, &["verify", "v9.9.9"]);
    assert!(code == 1 && text.contains("origin has no tag v9.9.9"), "{text}");
    // Another object of the same name here.
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    team.ours.git(&["tag", "--force", "--annotate", "--message", "mine", "v1.2.0-rc1"]);
    assert_eq!(reason("v1.2.0-rc1"), "tag-differs");
    team.ours.git(&["tag", "--delete", "v1.2.0-rc1"]);
    // A final that nobody has tested, on no branch.
    team.ours.git(&["switch", "--quiet", "--detach"]);
    team.ours.commit("secretly", &[("secretly", "x")]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD:refs/tags/v1.2.0"]);
    assert_eq!(reason("v1.2.0"), "not-the-candidate no-branch");
}

#[test]
fn a_signature_that_was_taken_from_another_tag_is_not_good() {
    let team = Team::start();
    ssh_key(&team.path("key"));
    let public = std::fs::read_to_string(team.path("key.pub")).expect("the key");
    std::fs::write(team.path("signers"), format!("rina@luxima.example {public}")).expect("written");
    for (key, value) in
        [("gpg.format", "ssh"), ("user.signingKey", "key"), ("gpg.ssh.allowedSignersFile", "signers")]
    {
        let value =
            if key == "gpg.format" { value.to_owned() } else { team.path(value).display().to_string() };
        team.ours.git(&["config", key, &value]);
    }
    assert_eq!(team.tags(&["candidate", "--require-signed"]), changed("v1.2.0-rc1"));
    let raw =
        team.ours.git(&["cat-file", "tag", "v1.2.0-rc1"]).replace("Pay with QRIS", "Pay to somebody else");
    let mut hash = Command::new("git");
    isolate(&mut hash).args(["hash-object", "-t", "tag", "-w", "--stdin"]).current_dir(team.remote.path());
    let mut child = hash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
    child.stdin.take().expect("a pipe").write_all(format!("{raw}\n").as_bytes()).expect("written");
    let object = String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("hex");
    team.remote.git(&["update-ref", "refs/tags/v1.2.0-rc1", object.trim()]);
    let (code, answer) = team.ask(&["verify", "v1.2.0-rc1"]);
    assert_eq!((code, codes(&answer)), (1, vec!["tag-differs", "signature"]), "{answer}");
}

/// 1.1.0 is released; main, staging and develop are where the team's process leaves them.
fn released() -> Team {
    let team = Team::start();
    team.ours.git(&["tag", "v1.1.0", "origin/main"]);
    team.ours.git(&["push", "--quiet", "origin", "refs/tags/v1.1.0"]);
    team
}

fn new_branch(team: &Team, name: &str, from: &str) {
    team.ours.git(&["switch", "--quiet", "--no-track", "--create", name, from]);
    team.go_on(&name.replace('/', "-"));
}

fn merge(team: &Team, into: &str, words: &[&str]) {
    team.on(into);
    team.ours.git(&[&["merge", "--quiet"], words].concat());
    if words.contains(&"--squash") {
        team.ours.git(&["commit", "--quiet", "-m", "squashed"]);
    }
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
}

fn arrived<'a>(answer: &'a Value, list: &str, name: &str) -> &'a Value {
    let all = answer[list].as_array().expect("a list");
    &all.iter().find(|b| b["name"] == name).unwrap_or_else(|| panic!("{name}: {answer}"))["arrived"]
}

#[test]
fn branches_are_held_against_the_strategy() {
    let team = released();
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, &answer["unreleased_commits"]), (0, &json!(0)), "{answer}");
    for name in ["feature/merged", "feature/squashed", "feature/at-work"] {
        new_branch(&team, name, "origin/develop");
    }
    merge(&team, "develop", &["--no-ff", "-m", "merged", "feature/merged"]);
    merge(&team, "develop", &["--squash", "feature/squashed"]);
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, codes(&answer).len()), (0, 0), "{answer}");
    assert_eq!(
        arrived(&answer, "features", "feature/merged"),
        &json!({ "develop": "merged", "staging": "no", "main": "no" })
    );
    assert_eq!(arrived(&answer, "features", "feature/squashed")["develop"], "squashed");
    assert_eq!(arrived(&answer, "features", "feature/at-work")["develop"], "no");

    // A hotfix that went to main only is lost by the next release.
    new_branch(&team, "hotfix/pay", "v1.1.0");
    let fixed = exchange(&mut team.command(&["hotfix"]), Some(&opened_for(None)));
    assert_eq!(tagged(fixed), changed("v1.1.1"));
    merge(&team, "main", &["--no-ff", "-m", "hotfix", "hotfix/pay"]);
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, codes(&answer)), (1, vec!["hotfix-missing", "last-final-missing"]), "{answer}");
    assert_eq!(answer["unreleased_commits"], 1, "the merge");
    let (_, text) = says(&team, &["branches"]);
    assert!(text.contains("hotfix/pay is in main, but missing in develop and staging"), "{text}");
    merge(&team, "develop", &["--no-ff", "-m", "hotfix", "hotfix/pay"]);
    team.on("staging");
    team.go_on("staging-goes-on");
    team.ours.git(&["cherry-pick", "hotfix/pay"]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, codes(&answer).len()), (0, 0), "{answer}");
    assert_eq!(
        arrived(&answer, "hotfixes", "hotfix/pay"),
        &json!({ "develop": "merged", "staging": "squashed", "main": "merged" })
    );

    // A feature that went past develop.
    new_branch(&team, "feature/hasty", "origin/main");
    merge(&team, "main", &["--no-ff", "-m", "hasty", "feature/hasty"]);
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, codes(&answer)), (1, vec!["feature-skipped"]), "{answer}");
}

#[test]
fn branches_are_looked_at_without_changing_the_clone() {
    let team = released();
    team.theirs.git(&["switch", "--quiet", "--create", "feature/theirs"]);
    team.theirs.commit("theirs", &[("theirs", "x")]);
    team.theirs.git(&["push", "--quiet", "origin", "HEAD"]);
    let before = fingerprint(&team.ours.path().join(".git"));
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, arrived(&answer, "features", "feature/theirs")["develop"].as_str()), (0, Some("no")));
    assert!(before == fingerprint(&team.ours.path().join(".git")));
    team.ours.git(&["push", "--quiet", "origin", ":develop"]);
    let (code, answer) = team.ask(&["branches"]);
    assert_eq!((code, codes(&answer)), (1, vec!["branch-missing"]));
}

#[test]
fn what_ci_lays_under_the_name_is_a_warning() {
    let team = Team::start();
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    let commit = team.ours.git(&["rev-parse", "staging"]);
    // As actions/checkout did for years: a clone of one commit, the tag a bare name for it.
    let path = team.path("checkout");
    std::fs::create_dir(&path).expect("a folder");
    let checkout = Repo::at(&path);
    checkout.git(&["init", "--quiet"]);
    checkout.git(&["remote", "add", "origin", &format!("file://{}", team.remote.path().display())]);
    checkout.git(&[
        "fetch",
        "--quiet",
        "--no-tags",
        "--depth=1",
        "origin",
        &format!("+{commit}:refs/tags/v1.2.0-rc1"),
    ]);
    checkout.git(&["checkout", "--quiet", "refs/tags/v1.2.0-rc1"]);
    let output = team.command_in(&path, &["verify", "v1.2.0-rc1", "--json"]).output().expect("it runs");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &answer["annotated"]), (Some(0), &json!(true)), "{answer}");
    assert_eq!((codes(&answer).len(), &answer["warnings"][0]["code"]), (0, &json!("lightweight-here")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("warning: v1.2.0-rc1 is only a name"));
    // At another commit it is another tag, however light.
    team.go_on("more");
    team.ours.git(&["tag", "--force", "v1.2.0-rc1", "staging"]);
    let (code, answer) = team.ask(&["verify", "v1.2.0-rc1"]);
    assert_eq!((code, codes(&answer)), (1, vec!["tag-differs"]), "{answer}");
    // And so is an annotated one at the same commit: somebody has made it.
    team.ours.git(&["tag", "--force", "--annotate", "--message", "x", "v1.2.0-rc1", &commit]);
    let (code, answer) = team.ask(&["verify", "v1.2.0-rc1"]);
    assert_eq!((code, codes(&answer)), (1, vec!["tag-differs"]), "{answer}");
}

#[test]
fn a_tag_that_is_not_there_leads_to_the_one_that_was_meant() {
    let team = Team::start();
    for tag in ["v1.2.0-rc1", "v1.2.0-rc2", "v1.1.0", "1.0.0", "v2.0.0-rc1"] {
        team.remote.git(&["tag", tag, "staging"]);
    }
    for (asked, meant) in [
        ("1.2.0-rc1", "v1.2.0-rc1"),
        ("V1.2.0-rc1", "v1.2.0-rc1"),
        ("refs/tags/1.2.0-rc1", "v1.2.0-rc1"),
        ("v1.2.0-rc.1", "v1.2.0-rc1"),
        ("1.2.0-rc.2", "v1.2.0-rc2"),
        ("v1.2.0-RC1", "v1.2.0-rc1"),
        ("v1.2.0rc1", "v1.2.0-rc1"),
        ("1.1.0", "v1.1.0"),
        ("v1.1", "v1.1.0"),
        ("v1.0.0", "1.0.0"),
    ] {
        let (code, text) = says(&team, &["verify", asked]);
        assert!(code == 1 && text.contains(&format!("did you mean {meant}?")), "{asked}: {text}");
        assert!(text.contains(&format!("next: tag-rc verify {meant}")), "{asked}: {text}");
    }
    // A candidate is not its final.
    for (asked, last) in [("v2.0.0", "v2.0.0-rc1"), ("v1.2.0", "v1.2.0-rc2"), ("v1.2.0-rc9", "v1.2.0-rc2")] {
        let (code, text) = says(&team, &["verify", asked]);
        assert!(
            code == 1 && !text.contains("did you mean") && text.contains("the last candidate of"),
            "{asked}: {text}"
        );
        assert!(text.contains(last) && text.contains("next: tag-rc list "), "{asked}: {text}");
    }
    for nothing in ["nightly", "\u{1b}[31mred"] {
        let (code, text) = says(&team, &["verify", nothing]);
        assert!(code == 1 && text.contains("next: tag-rc list") && !text.contains('\u{1b}'), "{text:?}");
    }
    assert_eq!(says(&team, &["list", "V1.2.0"]).0, 0);
    let (_, text) = says(&team, &["list"]);
    assert!(text.contains("written without v; lightweight"), "{text}");
}

#[test]
fn what_a_message_claims_is_held_against_the_remote() {
    let team = Team::start();
    for tag in ["v1.2.0-rc1", "v1.2.0", "v5.0.1-rc1", "v5.0.0"] {
        team.ours.git(&["tag", tag]);
    }
    let commit = team.go_on("more");
    team.ours.git(&["tag", "v5.0.1-rc2"]);
    team.ours.git(&["push", "--quiet", "--tags", "origin"]);
    let trailer = |name: &str, value: &str| format!("x\n\nRilis-Run: r\nRilis-{name}: {value}\n");
    for (n, (name, value, sound)) in [
        ("Candidate", "v5.0.0-rc1", false),
        ("Candidate", "v5.0.0-rc1 (merge)", false),
        ("Candidate", "v1.2.0-rc1 (same-commit)", false),
        ("Candidate", "v1.2.0", false),
        ("Candidate", "v5.0.1-rc2 (same-commit)", true),
        ("Candidate", "v5.0.1-rc1 (fast-forward)", true),
        ("Base", "v5.0.9", false),
        ("Base", "v1.2.0", false),
        ("Base", "v5.0.1-rc1", false),
        ("Base", "v5.0.1", false),
        ("Base", "v5.0.0", true),
    ]
    .into_iter()
    .enumerate()
    {
        team.ours.git(&["tag", "--force", "-a", "-m", &trailer(name, value), "v5.0.1", &commit]);
        team.ours.git(&["push", "--quiet", "--force", "origin", "v5.0.1"]);
        let (code, answer) = team.ask(&["verify", "v5.0.1"]);
        assert_eq!(code, i32::from(!sound), "{n} {name} {value}: {answer}");
        assert_eq!(codes(&answer), if sound { vec![] } else { vec!["claim"] }, "{name} {value}: {answer}");
        let (_, text) = says(&team, &["verify", "v5.0.1"]);
        assert!(text.contains("its message says: "), "{text}");
    }
}

#[test]
fn a_signature_in_the_notes_spoils_nothing() {
    let team = Team::start();
    let block = "-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE\n=abcd\n-----END PGP SIGNATURE-----";
    for (n, notes) in [
        format!("### Security\n- Releases are signed:\n\n{block}\n"),
        format!("{block}\n\n### Added\n- Pay with QRIS"),
        "-----BEGIN SSH SIGNATURE-----\nnever ends".to_owned(),
        format!("```\n{}\n```", block.replace("PGP SIGNATURE", "PGP MESSAGE")),
    ]
    .iter()
    .enumerate()
    {
        let mut document = crate::team::opened(&format!("shop-1.2.0-20261124T120000Z-{n:04}"));
        document["facts"]["notes"] = json!(notes);
        let tag = format!("v1.2.0-rc{}", n + 1);
        assert_eq!(
            tagged(exchange(&mut team.command(&["candidate", "--again"]), Some(&document))),
            changed(&tag)
        );
        let (code, answer) = team.ask(&["verify", &tag]);
        assert_eq!((code, codes(&answer).len(), &answer["signature"]), (0, 0, &Value::Null), "{answer}");
        assert_eq!(answer["run"], document["id"], "the trailers are read");
        let (code, answer) = team.ask(&["verify", &tag, "--require-signed"]);
        assert_eq!((code, codes(&answer)), (1, vec!["unsigned"]), "{answer}");
    }
    // The same under a real signature.
    ssh_key(&team.path("key"));
    let public = std::fs::read_to_string(team.path("key.pub")).expect("the key");
    std::fs::write(team.path("signers"), format!("rina@luxima.example {public}")).expect("written");
    for (key, value) in [
        ("gpg.format", "ssh".to_owned()),
        ("user.signingKey", team.path("key").display().to_string()),
        ("gpg.ssh.allowedSignersFile", team.path("signers").display().to_string()),
    ] {
        team.ours.git(&["config", key, &value]);
    }
    let mut document = crate::team::opened("shop-1.2.0-20261124T120000Z-00ff");
    document["facts"]["notes"] = json!(format!("{block}\n- more"));
    let end = exchange(&mut team.command(&["candidate", "--again", "--require-signed"]), Some(&document));
    assert_eq!(tagged(end), changed("v1.2.0-rc5"));
    let (code, answer) = team.ask(&["verify", "v1.2.0-rc5", "--require-signed"]);
    assert_eq!((code, &answer["run"]), (0, &document["id"]), "{answer}");
}

#[test]
fn looking_at_branches_writes_nothing_even_where_files_were_merged() {
    let team = released();
    let lines = |mark: &str, at: usize| {
        let line = |n: usize| if n == at { format!("{n} {mark}\n") } else { format!("{n}\n") };
        (0..60).map(line).collect::<String>()
    };
    team.on("develop");
    team.ours.commit("long", &[("long", &lines("", 99))]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    new_branch(&team, "feature/top", "origin/develop");
    team.ours.commit("top", &[("long", &lines("top", 3))]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    team.on("develop");
    team.ours.commit("bottom", &[("long", &lines("bottom", 50))]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    // Formats of the index that only git reads are none of its business.
    team.ours.git(&["update-index", "--split-index"]);
    let before = fingerprint(&team.ours.path().join(".git"));
    let (_, answer) = team.ask(&["branches"]);
    assert_eq!(arrived(&answer, "features", "feature/top")["develop"], "no", "{answer}");
    assert!(before == fingerprint(&team.ours.path().join(".git")), "the merge was made in memory");
}

#[test]
fn a_tag_that_leads_to_no_commit_is_said() {
    let team = Team::start();
    let file = team.remote.git(&["rev-parse", "staging:release.toml"]);
    team.remote.git(&["tag", "v1.2.0-rc1", &file]);
    let (code, text) = says(&team, &["verify", "v1.2.0-rc1"]);
    assert!(code == 1 && text.contains("leads to no commit but to a file"), "{text}");
}
