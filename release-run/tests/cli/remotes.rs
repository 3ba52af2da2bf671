//! Remotes that have what no program of ours has put there, refuse it, or lie elsewhere than people think.

use super::*;
use step::Exit;

#[test]
fn one_name_that_is_not_ours_blinds_nobody() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = rina.repo.git(&["commit-tree", &tree, "-m", "run"]);
    for name in [
        "refs/rilis/runs/20260101T000000Z-ffff-r\u{e9}lease",
        "refs/rilis/v2/shop/production/x",
        "refs/rilis/v9/a",
    ] {
        rina.repo.git(&["push", "--quiet", "origin", &format!("{commit}:{name}")]);
    }
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == Exit::Temporary as i32 && said.contains("run-a"), "{said}");
    let said = budi.good(&["status"]);
    assert!(said.contains("production: locked by") && said.contains("passed over on the remote"), "{said}");
}

#[test]
fn what_no_fetch_ends_with_is_left_out_and_named() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = rina.repo.git(&["commit-tree", &tree, "-m", "run"]);
    // A name that the remote can have and no clone: in one file there, and in none here.
    let long = format!("refs/rilis/v2/shop/production/{}", ["x"; 2000].join("/"));
    let packed = team.remote.path().join("packed-refs");
    let lost = rina.repo.git(&["commit-tree", &tree, "-m", "lost"]);
    rina.repo.git(&[
        "push",
        "--quiet",
        "origin",
        &format!("{lost}:refs/rilis/v2/shop/production/run/20260101T000000Z-ffff-x"),
    ]);
    rina.repo.git(&["push", "--quiet", "origin", &format!("{commit}:refs/heads/kept")]);
    team.remote.git(&["pack-refs", "--all"]);
    let listed = std::fs::read_to_string(&packed).expect("read");
    std::fs::write(&packed, format!("{listed}{commit} {long}\n")).expect("written");
    let said = budi.good(&["status"]);
    assert!(said.contains("production: locked by") && said.contains("passed over on the remote"), "{said}");
    assert!(said.len() < 2000, "{said}");
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == Exit::Temporary as i32 && said.contains("run-a"), "{said}");
    // And an entry that does not come.
    let sharp = format!("{}/{}", &lost[..2], &lost[2..]);
    std::fs::remove_file(team.remote.path().join("objects").join(sharp)).expect("removed");
    let citra = team.member("citra");
    for _ in 0..2 {
        let said = citra.good(&["status"]);
        assert!(said.contains("production: locked by") && said.contains("it cannot be fetched"), "{said}");
    }
    std::fs::write(&packed, listed).expect("written");
    team.remote.git(&["update-ref", "-d", "refs/rilis/v2/shop/production/run/20260101T000000Z-ffff-x"]);
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    assert_eq!(
        citra.lock("run-c", &[]).0,
        0,
        "a look after one that was piece by piece shows what came since"
    );
    let said = citra.good(&["status"]);
    assert!(said.contains("production: locked by") && !said.contains("passed over"), "{said}");
    assert!(!citra.path().join(".git/rilis/held-back").exists());
}

/// It was the network, or the remote: what has come to be there is not left out for good.
#[test]
fn what_did_not_come_once_is_asked_for_again() {
    let team = Team::new();
    let (rina, citra) = (team.member("rina"), team.member("citra"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
    let lost = rina.repo.git(&["commit-tree", &tree, "-m", "lost"]);
    let name = "refs/rilis/v2/shop/production/run/20260101T000000Z-ffff-x";
    rina.repo.git(&["push", "--quiet", "origin", &format!("{lost}:{name}")]);
    let object = team.remote.path().join("objects").join(&lost[..2]).join(&lost[2..]);
    let whole = std::fs::read(&object).expect("read");
    std::fs::remove_file(&object).expect("removed");
    assert!(citra.good(&["status"]).contains("it cannot be fetched"));
    std::fs::write(&object, whole).expect("written");
    assert!(citra.good(&["status"]).contains("it cannot be fetched"), "not within a minute");
    let note = citra.path().join(".git/rilis/held-back");
    let text = std::fs::read_to_string(&note).expect("a note");
    assert!(text.starts_with(&lost) && text.ends_with(" 1\n"), "{text}");
    std::fs::write(&note, format!("{lost} 1000 1\n")).expect("written");
    let said = citra.good(&["status"]);
    assert!(said.contains("production: locked by") && !said.contains("it cannot be fetched"), "{said}");
    assert!(!note.exists());
}

#[test]
fn what_lies_in_the_place_of_a_lock_or_hold_is_named_and_can_be_removed() {
    for (verb, place) in [("unlock", "lock"), ("unlock", "lock/x"), ("lift", "hold"), ("lift", "hold/x/y")] {
        for kind in ["blob", "commit"] {
            let team = Team::new();
            let rina = team.member("rina");
            let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
            let object = match kind {
                "blob" => rina.repo.git(&["rev-parse", "HEAD:README.md"]),
                _ => rina.repo.git(&["commit-tree", &tree, "-m", "no lock"]),
            };
            let name = format!("refs/rilis/v2/shop/production/{place}");
            rina.repo.git(&["push", "--quiet", "origin", &format!("{object}:{name}")]);
            let (code, said) = rina.lock("run-a", &["--despite-hold"]);
            let next = format!("release-run {verb} --env production --reason REASON");
            assert!(
                code == 1 && said.contains("cannot be read") && said.contains(&next),
                "{place} {kind}: {said}"
            );
            let status = rina.good(&["status"]);
            assert!(status.contains("who is at work is unknown") && status.contains(&next), "{status}");
            assert!(!status.contains("nobody is at work"), "{status}");
            let (code, said) = rina.run(&[verb, "--env", "production", "--reason", "REASON"]);
            assert!(code == 2 && said.contains("your reason"), "{said}");
            rina.good(&[verb, "--env", "production", "--reason", "it cannot be read", "-n"]);
            let said = rina.good(&[verb, "--env", "production", "--reason", "it cannot be read"]);
            assert!(said.contains("is free again"), "{said}");
            let (code, said) = rina.lock("run-a", &[]);
            assert_eq!(code, 0, "{place} {kind}: {said}");
        }
    }
}

#[test]
fn a_remote_that_refuses_such_refs_is_named() {
    let team = Team::new();
    let rina = team.member("rina");
    assert!(rina.good(&["probe"]).contains("origin takes refs"));
    assert_eq!(team.remote.git(&["for-each-ref", "refs/rilis"]), "", "nothing is left");
    assert!(rina.good(&["--check"]).contains("release-run probe"));
    team.remote.decline_pushes();
    for (code, said) in [rina.run(&["probe"]), rina.lock("run-a", &[])] {
        assert!(code == 1 && said.contains("origin does not take refs/rilis/"), "{said}");
    }
    assert!(!Path::new(&rina.lease("run-a")).exists());
}

#[test]
fn the_ledger_is_where_the_remote_is_pushed_to() {
    let team = Team::new();
    let rina = team.member("rina");
    // Rina fetches from a mirror; everybody else is at the primary.
    let primary = Remote::create(&team.folder.path().join("primary.git"));
    rina.repo.git(&["push", "--quiet", &primary.path().display().to_string(), "HEAD:refs/heads/main"]);
    rina.repo.git(&["remote", "set-url", "--push", "origin", &primary.path().display().to_string()]);
    let budi = Member { repo: primary.clone_to(&team.folder.path().join("budi")) };
    std::fs::write(budi.path().join("release.toml"), "[product]\nname = 'shop'\n").expect("written");
    rina.good(&["lock", "--env", "production", "--run", "run-a", "--lease", &rina.lease("run-a")]);
    assert_eq!(rina.fence("run-a").0, 0);
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == Exit::Temporary as i32 && said.contains("Rina Wijaya"), "{said}");
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    assert_eq!(budi.lock("run-b", &[]).0, 0);
    assert!(!team.remote.git(&["for-each-ref"]).contains("rilis"));
    // Two places cannot both hold the one lock.
    rina.repo.git(&[
        "remote",
        "set-url",
        "--add",
        "--push",
        "origin",
        &team.remote.path().display().to_string(),
    ]);
    let (code, said) = rina.lock("run-c", &[]);
    assert!(code == Exit::Config as i32 && said.contains("pushes to 2 places"), "{said}");
    std::fs::write(
        rina.path().join("release.toml"),
        "[product]\nname = 'shop'\n[release-run]\nremote = 'orgin'\n",
    )
    .expect("written");
    let (code, said) = rina.lock("run-c", &[]);
    assert!(code == Exit::Config as i32 && said.contains("did you mean origin?"), "{said}");
}

#[test]
fn what_a_hook_leaves_behind_and_how_git_shows_things_changes_no_entry() {
    let team = Team::new();
    let (rina, other) = (team.member("rina"), team.member("other"));
    other.repo.git(&["remote", "remove", "origin"]);
    rina.repo.git(&["config", "user.name", "Rína Wíjaya"]);
    for (key, value) in
        [("i18n.commitEncoding", "ISO-8859-1"), ("log.showSignature", "true"), ("color.ui", "always")]
    {
        rina.repo.git(&["config", key, value]);
    }
    let lease = rina.lease("run-a");
    let mut lock = rina.command(&["lock", "--env", "production", "--run", "run-a", "--lease", &lease]);
    lock.env("GIT_DIR", other.path().join(".git"))
        .env("GIT_INDEX_FILE", "/nowhere")
        .env("GIT_WORK_TREE", "/");
    let output = lock.output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("GIT_DIR names another repository and does not count"),
        "{}",
        text(&output)
    );
    let (code, said) = team.member("budi").lock("run-b", &[]);
    assert!(code == Exit::Temporary as i32 && said.contains("Rína Wíjaya"), "{said}");
}
