//! Runs that others have put where ours lie: committed, linked to, or pushed without the signature that is asked for.

use super::keeper::*;
use super::*;
use step::Exit;

#[test]
fn a_committed_run_and_a_link_are_not_ours() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    let victim = bench.team.folder.path().join("victim");
    std::fs::write(&victim, "precious").expect("written");
    let planted = rina.folder("20260101T000000Z-ffff-release-production-1.2.0");
    for name in [".lock", "run.json", "lease", "01-look.json", "01-look.json.part"] {
        std::os::unix::fs::symlink(&victim, planted.join(name)).expect("linked");
    }
    let (code, said) = bench.run(&rina, &[], WHOLE);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(std::fs::read_to_string(victim).expect("there"), "precious");
    // A folder of runs that leads elsewhere is refused.
    std::fs::remove_dir_all(rina.path().join("runs")).expect("removed");
    std::os::unix::fs::symlink(bench.team.folder.path(), rina.path().join("runs")).expect("linked");
    let (code, said) = bench.run(&rina, &["--again"], WHOLE);
    assert!(code == Some(Exit::Config as i32) && said.contains("runs is no folder"), "{said}");
}

/// A key of a member's own, with which git signs; the line for the file of those who may.
fn with_key(bench: &Bench, member: &Member, name: &str) -> String {
    let key = bench.team.folder.path().join(format!("{name}.key")).display().to_string();
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &key]).status();
    assert!(made.expect("ssh-keygen").success());
    member.repo.git(&["config", "gpg.format", "ssh"]);
    member.repo.git(&["config", "user.signingkey", &key]);
    let public = std::fs::read_to_string(format!("{key}.pub")).expect("a key");
    format!("{name}@luxima.example {public}")
}

#[test]
fn where_runs_must_be_signed_a_planted_one_does_not_count() {
    let bench = Bench::new();
    let members = ["rina", "budi"].map(|name| bench.team.member(name));
    let keys: String =
        members.iter().zip(["rina", "budi"]).map(|(member, name)| with_key(&bench, member, name)).collect();
    for member in &members {
        std::fs::write(member.path().join("signers"), &keys).expect("written");
        let settings =
            "[product]\nname = 'shop'\n[release-run]\nrequire_signed = true\nallowed_signers = 'signers'\n";
        std::fs::write(member.path().join("release.toml"), settings).expect("written");
    }
    let [rina, budi] = &members;
    let whole = std::fs::read_to_string(bench.programs.join("deploy")).expect("a program");
    bench.program("deploy", "cat; exit 3");
    assert_eq!(bench.run(rina, &[], WHOLE).0, Some(3));
    // Somebody who may push and has no key that counts says that it is finished.
    let name =
        bench.team.remote.git(&["for-each-ref", "--format=%(refname)", "refs/rilis/v2/shop/production/run"]);
    let signed = bench.team.remote.git(&["rev-parse", &name]);
    let message =
        bench.team.remote.git(&["log", "-1", "--format=%B", &name]).replace("\"failed\"", "\"finished\"");
    rina.repo.git(&["fetch", "--quiet", "origin", &format!("{name}:refs/planted")]);
    let planted = rina.repo.git(&["commit-tree", "refs/planted^{tree}", "-m", &message]);
    rina.repo.git(&["push", "--quiet", "--force", "origin", &format!("{planted}:{name}")]);
    let (code, said) = bench.run(budi, &["--plan"], "release-run finish");
    assert!(code == Some(0) && said.contains("1 run on origin is not signed by anybody who may"), "{said}");
    assert!(budi.good(&["status"]).contains("is not signed by anybody who may"));
    assert_eq!(budi.good(&["fetch"]).trim(), "");
    // What Rina has signed is gone on with by Budi, who signs in turn.
    bench.team.remote.git(&["update-ref", &name, &signed]);
    std::fs::write(bench.programs.join("deploy"), whole).expect("written");
    let (code, said) = bench.run(budi, &[], WHOLE);
    assert!(code == Some(0) && said.contains("going on with runs/"), "{said}");
    // Without a key nothing is begun.
    rina.repo.git(&["config", "user.signingkey", "/nowhere"]);
    let (code, said) = bench.run(rina, &["--again"], WHOLE);
    assert!(code == Some(Exit::Config as i32) && said.contains("set user.signingkey"), "{said}");
    assert!(bench.is_free(), "{}", bench.lock());
}
