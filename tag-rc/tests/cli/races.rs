//! Whoever else is tagging: one winner for each name, and nobody's tag is moved or lost.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::Repo;
use testkit::git_servers::Daemon;

use crate::team::{OTHER_ID, Team, changed, failed, opened, tagged, unchanged};
use step::Exit;

/// As many runs at once as there are clones; each clone has a document of its own.
fn at_once(team: &Team, clones: &[Repo], args: &[&str]) -> Vec<(i32, Value)> {
    let start = |(n, clone): (usize, &Repo)| {
        let mut document = opened(OTHER_ID);
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-{n:04x}"));
        // However busy the machine is.
        let mut command = team.command_in(clone.path(), &[args, &["--timeout", "10m"]].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut pipe, document.to_string().as_bytes()).expect("it reads");
        child
    };
    let children: Vec<_> = clones.iter().enumerate().map(start).collect();
    let end = |child: std::process::Child| {
        let output = child.wait_with_output().expect("it ends");
        (output.status.code().expect("a code"), serde_json::from_slice(&output.stdout).expect("a document"))
    };
    children.into_iter().map(end).collect()
}

fn twenty(team: &Team, url: &str) -> Vec<Repo> {
    let clone = |n| Repo::clone(url, &team.path(&format!("clone{n}")), &["--quiet", "--branch", "staging"]);
    (0..20).map(clone).collect()
}

/// Tag to object on the remote.
fn objects(team: &Team) -> BTreeSet<String> {
    team.remote
        .git(&["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags"])
        .lines()
        .map(str::to_owned)
        .collect()
}

fn word<'a>(document: &'a Value, path: &str) -> &'a str {
    document.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn twenty_at_once_have_one_winner_and_twenty_numbers_when_each_wants_its_own() {
    let team = Team::start();
    let daemon = Daemon::start(team.folder.path());
    let clones = twenty(&team, &daemon.url("origin.git"));

    // All want a candidate of this commit: one makes it, and it is everybody's.
    let ends = at_once(&team, &clones, &["candidate"]);
    let status: Vec<&str> = ends.iter().map(|(_, d)| word(d, "/steps/0/status")).collect();
    let failures: Vec<&Value> = ends.iter().filter_map(|(_, d)| d.get("failure")).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(ends.iter().all(|(_, d)| word(d, "/facts/tag") == "v1.2.0-rc1"), "{status:?}");
    assert_eq!(status.iter().filter(|s| **s == "changed").count(), 1, "{status:?}");
    let first = objects(&team);
    assert_eq!(first.len(), 1);

    // Each wants one of its own, and gets it.
    let ends = at_once(&team, &clones, &["candidate", "--again", "--retry"]);
    let tags: BTreeSet<String> = ends.iter().map(|(_, d)| word(d, "/facts/tag").to_owned()).collect();
    assert!(ends.iter().all(|(code, _)| *code == 0), "{ends:?}");
    // The run that has made rc1 has its number already.
    assert_eq!(tags.len(), 20, "{tags:?}");
    let all = objects(&team);
    assert!(first.is_subset(&all) && all.len() == 20, "{all:?}");
    // Each tag on the remote is the object that its run has named.
    for (_, document) in &ends {
        let (tag, object) = (word(document, "/facts/tag"), word(document, "/steps/0/output/object"));
        assert!(all.contains(&format!("{tag} {object}")), "{tag} {object}");
    }

    // Without --retry who loses is told so, and no number has two winners.
    team.go_on("more");
    for clone in &clones {
        clone.git(&["pull", "--quiet", "--ff-only", "--no-tags"]);
    }
    let ends = at_once(&team, &clones, &["candidate", "--again"]);
    let won: Vec<&str> =
        ends.iter().filter(|(code, _)| *code == 0).map(|(_, d)| word(d, "/facts/tag")).collect();
    let distinct: BTreeSet<&str> = won.iter().copied().collect();
    assert!(!won.is_empty() && distinct.len() == won.len(), "{won:?}");
    let lost = ends.iter().filter(|(code, _)| *code != 0);
    for (code, document) in lost {
        assert_eq!(
            (*code, word(document, "/failure/reason"), word(document, "/failure/acted")),
            (75, "tag-taken", "no")
        );
    }
    assert!(all.is_subset(&objects(&team)), "no tag was moved or lost");
    assert_eq!(objects(&team).len(), all.len() + won.len());
}

#[test]
fn a_race_is_lost_without_harm_and_the_next_number_is_ours() {
    for args in [&["candidate"][..], &["candidate", "--retry"]] {
        let team = Team::start();
        let theirs = team.theirs.path().display();
        team.ours.hook("pre-push", &format!("unset GIT_DIR; git -C {theirs} tag v1.2.0-rc1 2>/dev/null && git -C {theirs} push -q origin v1.2.0-rc1; exit 0"));
        team.theirs.commit("theirs", &[("b", "b")]);
        let end = team.run(args);
        let theirs = team.remote.commit("refs/tags/v1.2.0-rc1");
        assert_eq!(theirs, Some(team.theirs.git(&["rev-parse", "HEAD"])), "it is still theirs");
        if args.len() == 1 {
            assert_eq!(failed(&end), (Exit::Temporary as i32, "tag-taken".into(), "no".into()));
            assert_eq!(team.ours.git(&["tag"]), "", "ours is gone again");
            assert_eq!(team.tags(args), changed("v1.2.0-rc2"));
        } else {
            assert_eq!(tagged(end), changed("v1.2.0-rc2"));
        }
    }
}

#[test]
fn two_release_at_once_and_the_first_ones_tag_stays() {
    // release-it deletes the colleague's tag here.
    let team = Team::start();
    team.on("main");
    team.theirs.git(&["switch", "--quiet", "main"]);
    let theirs = team.theirs.path().display();
    team.ours.hook("pre-push", &format!("unset GIT_DIR; git -C {theirs} tag -a -m theirs v1.2.0 2>/dev/null && git -C {theirs} push -q origin v1.2.0; exit 0"));
    let args = ["final", "--no-candidate", "no staging yet"];
    assert_eq!(team.tags(&args), unchanged("v1.2.0"), "the same commit, tagged by somebody else");
    let object = team.theirs.git(&["rev-parse", "v1.2.0"]);
    assert_eq!(team.remote.git(&["rev-parse", "refs/tags/v1.2.0"]), object);
    assert_eq!(team.ours.git(&["tag"]), "");
    // Another commit: lost, and running it again will not help.
    team.theirs.git(&["tag", "--delete", "v1.2.0"]);
    team.theirs.git(&["push", "--quiet", "origin", ":refs/tags/v1.2.0"]);
    team.theirs.commit("another", &[("b", "b")]);
    assert_eq!(failed(&team.run(&args)), (1, "tag-taken".into(), "no".into()));
    let object = team.theirs.git(&["rev-parse", "v1.2.0"]);
    assert_eq!(team.remote.git(&["rev-parse", "refs/tags/v1.2.0"]), object);
    assert_eq!(failed(&exchange(&mut team.command(&args), Some(&opened(OTHER_ID)))).1, "tag-exists");
}

#[test]
fn a_ref_that_another_push_holds_is_waited_for_and_then_left() {
    let team = Team::start();
    let lock = team.remote.path().join("refs/tags/v1.2.0-rc1.lock");
    std::fs::write(&lock, "").expect("written");
    assert_eq!(
        failed(&team.run(&["candidate"])),
        (Exit::Temporary as i32, "remote-busy".into(), "no".into())
    );
    assert_eq!(team.ours.git(&["tag"]), "");
    std::fs::remove_file(&lock).expect("removed");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
}

#[test]
fn four_at_once_in_one_clone_take_turns() {
    let team = Team::start();
    let clones = |n: usize| vec![team.ours.clone(); n];
    let count = |ends: &[(i32, Value)], status: &str| {
        ends.iter().filter(|(_, d)| word(d, "/steps/0/status") == status).count()
    };
    let ends = at_once(&team, &clones(4), &["candidate"]);
    assert_eq!((count(&ends, "changed"), count(&ends, "unchanged")), (1, 3), "{ends:?}");
    assert_eq!(team.remote.tags(), ["v1.2.0-rc1"]);
    // Each wants one of its own, and a linked worktree is the same clone.
    team.ours.git(&["worktree", "add", "--quiet", "--detach", "../linked", "staging"]);
    let mut all = clones(3);
    all.push(Repo::at(&team.path("linked")));
    let ends = at_once(&team, &all, &["candidate", "--again"]);
    assert!(
        ends.iter().filter(|(_, d)| word(d, "/facts/tag") != "v1.2.0-rc1").count() == count(&ends, "changed"),
        "{ends:?}"
    );
    assert!(ends.iter().all(|(code, _)| *code == 0), "{ends:?}");
    // A plan waits for nobody, and whoever dies gives its turn back.
    team.go_on("more");
    team.ours.hook("pre-push", "kill -9 $(sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$PPID/stat); exit 1");
    let mut child = team.command(&["candidate"]);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    std::io::Write::write_all(
        &mut child.stdin.take().expect("a pipe"),
        opened(OTHER_ID).to_string().as_bytes(),
    )
    .expect("it reads");
    assert_eq!(child.wait().expect("it ends").code(), None, "killed");
    std::fs::remove_file(team.ours.path().join(".git/hooks/pre-push")).expect("removed");
    let ends = at_once(&team, &clones(4), &["candidate"]);
    assert_eq!((count(&ends, "changed"), count(&ends, "unchanged")), (1, 3), "{ends:?}");
}

#[test]
fn a_turn_is_waited_for_but_not_for_ever() {
    let team = Team::start();
    team.ours.hook(
        "pre-push",
        &format!("touch {0}; while [ -e {0} ]; do sleep 0.05; done", team.path("held").display()),
    );
    let mut first = team.command(&["candidate"]);
    let mut first = first.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    first = first.args(["--release", "1.2.0"]);
    let mut first = first.spawn().expect("it starts");
    while !team.path("held").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(team.run(&["candidate", "--plan"]).0, 1, "its tag is here already, and says something else");
    let waited = team.run(&["candidate", "--timeout", "700ms"]);
    assert_eq!(failed(&waited), (Exit::Temporary as i32, "deadline".into(), "no".into()), "{}", waited.2);
    assert!(waited.2.contains("another run is tagging in this clone"), "{}", waited.2);
    std::fs::remove_file(team.path("held")).expect("removed");
    assert!(first.wait().expect("it ends").success());
    assert_eq!(team.tags(&["candidate"]), unchanged("v1.2.0-rc1"));
}
