//! What whoever may push can do to records, and what it is worth.

use super::*;

/// Puts a commit with this tree behind what a ref has, as whoever may push can.
fn push_behind(team: &Team, name: &str, tree: &str) {
    team.shop.git(&["fetch", "--quiet", "origin", name]);
    let commit = team.shop.git(&["commit-tree", "-m", "x", "-p", "FETCH_HEAD", tree]);
    team.shop.git(&["push", "--quiet", "origin", &format!("{commit}:{name}")]);
}

#[test]
fn what_is_red_is_not_hidden_by_what_is_put_behind_it_or_beside_it() {
    let team = Team::new(SETTINGS);
    record(&team, "budi", &report(3, 0), 0);
    let name = evidence(&team);
    let green = team.remote.git(&["rev-parse", &format!("{name}^{{tree}}")]);
    record(&team, "budi", &report(2, 1), 1);
    assert_eq!(tests(&team).0, "no");
    // The green one once more, and one that says nothing.
    let nothing = team.shop.git(&["hash-object", "-t", "tree", "/dev/null"]);
    team.shop.git(&["fetch", "--quiet", "origin", &name]);
    for tree in [&green, &nothing] {
        push_behind(&team, &name, tree);
        let (word, seen) = tests(&team);
        assert!(word == "no" && seen.contains("1 of 3 failed"), "{seen}");
    }
    // A developer without a key takes nothing away either.
    let mut command = team.command("rina", &["record", "--as", "unit", "--", "true"]);
    command.env_remove("RILIS_RELEASE_GATE_SIGNING_KEY");
    assert!(command.output().expect("it runs").status.success());
    assert_eq!(tests(&team).0, "no");
    record(&team, "budi", &report(3, 0), 0);
    assert_eq!(tests(&team).0, "yes");
    // So many names that not all are read.
    let id = team.remote.git(&["rev-parse", &name]);
    let commit = team.shop.git(&["rev-parse", "HEAD"]);
    let names: String = (0..1001)
        .map(|n| format!("create {} {id}\n", name.replace(&commit, &format!("{commit}{n}"))))
        .collect();
    let path = team.folder.path().join("names");
    std::fs::write(&path, names).expect("written");
    let stdin = std::fs::File::open(&path).expect("names");
    let mut git = std::process::Command::new("git");
    testkit::git::isolate(&mut git)
        .args(["update-ref", "--stdin"])
        .current_dir(team.remote.path())
        .stdin(stdin);
    assert!(git.status().expect("git").success());
    let (word, seen) = tests(&team);
    assert!(word == "unknown" && seen.contains("more than 1000 records"), "{seen}");
}

#[test]
fn a_large_file_in_a_records_place_is_not_read() {
    let team = Team::new(SETTINGS);
    record(&team, "budi", &report(3, 0), 0);
    let name = evidence(&team);
    let large = team.folder.path().join("large");
    std::fs::write(&large, vec![b' '; 8 << 20]).expect("written");
    let blob = team.shop.git(&["hash-object", "-w", &large.display().to_string()]);
    std::fs::write(team.folder.path().join("tree"), format!("100644 blob {blob}\trecord.json\n"))
        .expect("written");
    let stdin = std::fs::File::open(team.folder.path().join("tree")).expect("a tree");
    let mut git = std::process::Command::new("git");
    testkit::git::isolate(&mut git).arg("mktree").current_dir(team.shop.path()).stdin(stdin);
    let tree = String::from_utf8(git.output().expect("git").stdout).expect("text").trim().to_owned();
    push_behind(&team, &name, &tree);
    assert_eq!(tests(&team).0, "yes", "the one that can be read counts");
}
