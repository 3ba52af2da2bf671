//! Records of tests: made, stored, asked for, and forged.

mod forged;

use std::process::Stdio;

use crate::team::{Team, document};
use testkit::exchange;
use testkit::git::Repo;

const SETTINGS: &str = "[release-gate.tests.unit]
min_total = 2
command = 'npm test'
";

/// What Vitest writes of so many tests that passed and failed.
fn report(passed: usize, failed: usize) -> String {
    let one = |n: usize, status: &str| {
        format!(
            r#"{{"ancestorTitles":[],"fullName":"test {n}","status":"{status}","title":"test {n}","duration":1,"failureMessages":[],"meta":{{}}}}"#
        )
    };
    let all: Vec<String> =
        (0..passed).map(|n| one(n, "passed")).chain((0..failed).map(|n| one(n + passed, "failed"))).collect();
    let (total, is_good) = (passed + failed, failed == 0);
    let status = if is_good { "passed" } else { "failed" };
    format!(
        r#"{{"numTotalTestSuites":1,"numPassedTestSuites":1,"numFailedTestSuites":0,"numPendingTestSuites":0,"numTotalTests":{total},"numPassedTests":{passed},"numFailedTests":{failed},"numPendingTests":0,"numTodoTests":0,"startTime":1,"success":{is_good},"testResults":[{{"assertionResults":[{}],"startTime":1,"endTime":2,"status":"{status}","message":"","name":"cart.test.js"}}]}}"#,
        all.join(",")
    )
}

/// Records a command as unit: it writes this report and ends with this code.
fn record(team: &Team, who: &str, report: &str, code: i32) -> (i32, String) {
    let file = team.folder.path().join("made.json");
    std::fs::write(&file, report).expect("written");
    let script =
        format!("mkdir -p reports; cat '{}' >reports/unit.json; echo ran; exit {code}", file.display());
    team.ask(who, &["record", "--as", "unit", "--report", "reports/unit.json", "--", "sh", "-c", &script])
}

fn tests(team: &Team) -> (String, String) {
    team.verdict("rina", "tests")
}

fn evidence(team: &Team) -> String {
    team.remote.git(&["for-each-ref", "--format=%(refname)", "refs/rilis/evidence"])
}

#[test]
fn what_passed_on_this_tree_is_a_yes_wherever_it_is_asked() {
    let team = Team::new(SETTINGS);
    let (word, seen) = tests(&team);
    assert!(
        word == "unknown" && seen.contains("there is no record of it; run `npm test` on this tree"),
        "{seen}"
    );
    let (code, said) = record(&team, "budi", &report(3, 0), 0);
    assert!(code == 0 && said.contains("ran\n") && said.contains(": 3 passed\n"), "{said}");
    let (word, seen) = tests(&team);
    assert!(word == "yes" && seen.contains("unit: 3 passed, signed by budi@luxima.example"), "{seen}");
    // A rebase of the same tree stays proven, and another clone sees it.
    team.shop.git(&["commit", "--quiet", "--amend", "--message", "the same once more"]);
    assert_eq!(tests(&team).0, "yes");
    let other = team.remote.clone_to(&team.folder.path().join("other"));
    let mut command = team.command("rina", &["tests"]);
    let (code, ..) = exchange(command.current_dir(other.path()), Some(&document()));
    assert_eq!(code, 0);
    team.shop.commit("another tree", &[("src/page.js", "x")]);
    assert_eq!(tests(&team).0, "unknown");
}

#[test]
fn the_commands_exit_code_and_output_are_its_own_and_what_failed_is_recorded_too() {
    let team = Team::new(SETTINGS);
    let (code, said) = record(&team, "budi", &report(3, 1), 7);
    assert!(code == 7 && said.contains("ran\n"), "{said}");
    let (word, seen) = tests(&team);
    assert!(word == "no" && seen.contains("1 of 4 failed, such as test 3"), "{seen}");
    // The same job again replaces its own; what it said before stays in the history.
    record(&team, "budi", &report(4, 0), 0);
    assert_eq!(tests(&team).0, "yes");
    let name = evidence(&team);
    assert_eq!(name.lines().count(), 1);
    assert_eq!(team.remote.git(&["rev-list", "--count", &name]), "2");
    let (code, said) = team.ask("budi", &["record", "--as", "unit", "--", "no-such-program"]);
    assert!(code == 2 && said.contains("no-such-program cannot be started"), "{said}");
}

#[test]
fn what_says_nothing_is_no_yes() {
    let team = Team::new(SETTINGS);
    let shell = |script: &str| {
        let words = ["record", "--as", "unit", "--report", "reports/unit.json", "--", "sh", "-c", script];
        team.ask("budi", &words)
    };
    std::fs::create_dir(team.shop.path().join("reports")).expect("a folder");
    let old = team.shop.path().join("reports/unit.json");
    for (what, before, script) in [
        ("no report", "", "true"),
        ("the report of an earlier run", &*report(5, 0), "true"),
        ("an empty report", "", ": >reports/unit.json"),
        ("half a report", "", "printf '{\"numTotalTests\":3,' >reports/unit.json"),
        ("a page", "", "echo '<html>502</html>' >reports/unit.json"),
        ("a report that is older than the run", "", "touch -d 2001-01-01 reports/unit.json"),
    ] {
        if before.is_empty() {
            let _ = std::fs::remove_file(&old);
        } else {
            std::fs::write(&old, before).expect("written");
        }
        let (code, said) = shell(script);
        assert!(code == 1 && said.contains("but it proves nothing: "), "{what}: {said}");
        let (word, seen) = tests(&team);
        assert_ne!(word, "yes", "{what}: {seen}");
    }
    let (code, said) = shell("echo '[]' >reports/unit.json");
    assert!(code == 0 && said.contains(": 0 passed"), "{said}");
    assert_ne!(tests(&team).0, "yes", "nothing ran");
    let (_, said) = team.ask("budi", &["record", "--as", "unit", "--", "true"]);
    let (word, seen) = tests(&team);
    assert!(word == "unknown" && seen.contains("it has no report, only the exit code 0"), "{seen} {said}");
    record(&team, "budi", &report(3, 0), 1);
    assert_ne!(tests(&team).0, "yes", "it passed, and the command failed");
    record(&team, "budi", &report(1, 0), 0);
    let (word, seen) = tests(&team);
    assert!(word == "unknown" && seen.contains("1 passed, at least 2 must have"), "{seen}");
}

#[test]
fn only_what_is_committed_is_recorded() {
    let team = Team::new(SETTINGS);
    std::fs::write(team.shop.path().join("new.js"), "x").expect("written");
    let (code, said) = record(&team, "budi", &report(3, 0), 0);
    assert!(
        code == 1 && said.contains("new.js is not as it is committed") && !said.contains("ran\n"),
        "{said}"
    );
    std::fs::remove_file(team.shop.path().join("new.js")).expect("removed");
    let script = "mkdir -p reports; echo x >>release.toml";
    team.ask("budi", &["record", "--as", "unit", "--", "sh", "-c", script]);
    team.shop.git(&["checkout", "--quiet", "release.toml"]);
    let (word, seen) = tests(&team);
    assert!(word == "unknown" && seen.contains("the command has changed release.toml"), "{seen}");
    let plan = ["record", "--as", "unit", "--plan", "--", "sh", "-c", "echo ran"];
    let before = evidence(&team);
    let (code, said) = team.ask("budi", &plan);
    assert!(code == 0 && !said.contains("ran\n") && evidence(&team) == before, "{said}");
}

#[test]
fn records_are_signed_and_lie_where_they_belong() {
    let team = Team::new(SETTINGS);
    record(&team, "joko", &report(3, 0), 0);
    let (word, seen) = tests(&team);
    assert!(
        word == "unknown"
            && seen.contains(
                "signed by nobody whom .rilis/evidence_signers on the production branch of origin lists"
            ),
        "{seen}"
    );
    // Of another tree: whoever may push can copy a record that is signed. Within its tree it is what it says, wherever it lies.
    record(&team, "budi", &report(3, 0), 0);
    let own = evidence(&team);
    let id = team.remote.git(&["rev-parse", &own]);
    let (tree, commit) =
        (team.shop.git(&["rev-parse", "HEAD^{tree}"]), team.shop.git(&["rev-parse", "HEAD"]));
    let changed = team.shop.commit("another tree", &[("src/page.js", "x")]);
    let other = team.shop.git(&["rev-parse", "HEAD^{tree}"]);
    team.remote.git(&["update-ref", &own.replace(&tree, &other).replace(&commit, &changed), &id]);
    let (word, seen) = tests(&team);
    assert!(word == "unknown" && seen.contains("it is the record of something else"), "{seen}");
    team.shop.git(&["reset", "--quiet", "--hard", &commit]);
    team.remote.git(&["update-ref", &own.replace("/unit", "/lint"), &id]);
    assert_eq!(tests(&team).0, "yes");
    // The signers are those of the production branch; what is unsigned counts only where the policy says so.
    team.on_main(&[(".rilis/evidence_signers", &team.signer("rina"))]);
    assert_eq!(tests(&team).0, "unknown");
}

#[test]
fn the_stricter_policy_counts() {
    let team = Team::new(SETTINGS);
    record(&team, "budi", &report(3, 0), 0);
    let set = |text: &str| {
        let text = format!("[product]\nname = 'shop'\n\n[environment.production]\nbranch = 'main'\n\n{text}");
        std::fs::write(team.shop.path().join("release.toml"), text).expect("written");
    };
    // The release's own settings ask for less than the production branch.
    for loose in [
        "[release-gate.tests.unit]\nmin_total = 1\n",
        "[release-gate.tests.unit]\nrequired = false\n",
        "[release-gate.tests.unit]\nrecord_only = true\n",
        "",
    ] {
        set(loose);
        assert_eq!(tests(&team).0, "yes", "{loose}");
    }
    let main = std::fs::read_to_string(team.shop.path().join("release.toml")).expect("settings");
    team.on_main(&[("release.toml", &format!("{main}{}", SETTINGS.replace('2', "4")))]);
    for loose in
        ["[release-gate.tests.unit]\nmin_total = 1\n", "[release-gate.tests.unit]\nrecord_only = true\n", ""]
    {
        set(loose);
        let (word, seen) = tests(&team);
        assert!(word == "unknown" && seen.contains("at least 4 must have"), "{loose}: {seen}");
    }
    // What the production branch does not ask for at all is asked for as it is said here.
    set(
        "[release-gate.tests.unit]\nmin_total = 1\n\n[release-gate.tests.lint]\nrecord_only = true\n\n[release-gate.tests.later]\nrequired = false\n",
    );
    let seen = tests(&team).1;
    assert!(seen.contains("at least 4 must have") && !seen.contains("later"), "{seen}");
    assert!(seen.contains("COMMAND (only recorded)"), "{seen}");
    set("");
    let (_, _, said) = team.gate("rina", &["gates"]);
    assert!(
        said.contains("release.toml here does not ask tests, which the production branch does"),
        "{said}"
    );
    set("[release-gate.tests.unit]\nmin_total = 9\n");
    assert!(tests(&team).1.contains("at least 9 must have"));
    // By a variable nothing gets looser either.
    let mut command = team.command("rina", &["tests"]);
    command.env("RILIS_RELEASE_GATE_UNSIGNED_EVIDENCE", "true");
    let (code, ..) = exchange(&mut command, Some(&document()));
    assert_eq!(code, 1);
}

#[test]
fn a_gate_that_is_waived_or_only_recorded_says_what_it_saw_and_lets_pass() {
    let team = Team::new(&format!("{SETTINGS}record_only = true\n"));
    let (code, document, _) = team.gate("rina", &["tests"]);
    let fact = &document["facts"]["tests"];
    assert!(code == 0 && fact["verdict"] == "unknown" && fact["record_only"] == true, "{fact}");
    assert!(
        fact["seen"][0]
            .as_str()
            .is_some_and(|seen| seen.contains("no record of it") && seen.ends_with("(only recorded)")),
        "{fact}"
    );
    let team = Team::new(SETTINGS);
    let (code, document, said) = team.gate("rina", &["tests", "--waive", "npm is down"]);
    let fact = &document["facts"]["tests"];
    assert!(code == 0 && fact["verdict"] == "unknown" && fact["waived"]["reason"] == "npm is down", "{fact}");
    assert!(said.contains("Rina Wijaya <rina@luxima.example> goes on all the same: npm is down"), "{said}");
    record(&team, "budi", &report(3, 0), 0);
    let (_, document, _) = team.gate("rina", &["tests", "--waive", "npm is down"]);
    assert!(document["facts"]["tests"].get("waived").is_none(), "nothing is owed for a yes: {document}");
}

#[test]
fn jobs_that_store_at_once_all_succeed() {
    let team = Team::new(SETTINGS);
    let clones: Vec<Repo> =
        (0..6).map(|n| team.remote.clone_to(&team.folder.path().join(format!("job{n}")))).collect();
    let running: Vec<_> = clones
        .iter()
        .enumerate()
        .map(|(n, clone)| {
            // Three names, each by two jobs.
            let name = format!("shard{}", n % 3);
            let mut command = team.command("budi", &["record", "--as", &name, "--", "true"]);
            command
                .current_dir(clone.path())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let names = evidence(&team);
    assert_eq!(names.lines().count(), 3);
    for name in names.lines() {
        assert_eq!(team.remote.git(&["rev-list", "--count", name]), "2");
    }
}

#[test]
fn nothing_but_a_report_is_removed_before_the_command() {
    let team = Team::new(SETTINGS);
    let precious = team.folder.path().join("precious.json");
    std::fs::write(&precious, "{\"name\": \"precious\"}").expect("written");
    let outside = precious.display().to_string();
    for (path, why) in [
        ("release.toml", "it is committed"),
        (&*outside, "it lies outside of the repository, and is no report"),
    ] {
        let (code, said) =
            team.ask("budi", &["record", "--as", "unit", "--report", path, "--", "echo", "ran"]);
        assert!(code == 1 && said.contains(why) && !said.contains("ran\n"), "{said}");
    }
    assert!(precious.is_file() && team.shop.path().join("release.toml").is_file());
    // Its own of the last time is replaced.
    let script = format!("echo '{}' >'{outside}'", report(3, 0));
    std::fs::remove_file(&precious).expect("removed");
    for _ in 0..2 {
        let (code, said) =
            team.ask("budi", &["record", "--as", "unit", "--report", &outside, "--", "sh", "-c", &script]);
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(tests(&team).0, "yes");
}

#[test]
fn what_the_production_branch_means_and_does_not_say_is_told() {
    let team = Team::new("[release-gate.windw]\nfreeze = ['Fri 16:00..Mon 08:00']\n");
    std::fs::write(team.shop.path().join("release.toml"), format!("[product]\nname = 'shop'\n\n{SETTINGS}"))
        .expect("written");
    let (code, _, said) = team.gate("rina", &["gates"]);
    assert!(
        code == 0 && said.contains("release.toml on main of origin:7: ") && said.contains("windw"),
        "{said}"
    );
    let (code, _, said) = team.gate("rina", &["window"]);
    assert!(code == 78 && said.contains("window is off"), "{said}");
}

#[test]
fn each_procedure_asks_its_own_gates() {
    let team = Team::new(&format!(
        "{SETTINGS}\n[release-gate.window]\nfreeze = ['2001-01-01..2099-01-01']\ntimezone = 'UTC'\n\n[release-gate.approvals]\nqa = 1\n"
    ));
    let gates = |procedure: &str| team.ask("rina", &["gates", "--fresh", "--procedure", procedure]).1;
    assert!(gates("candidate").contains("gates: on tests; off"), "{}", gates("candidate"));
    assert!(gates("release").contains("gates: on tests, approval, window; off"), "{}", gates("release"));
    assert!(gates("hotfix").contains("gates: on approval; off"), "{}", gates("hotfix"));
    let window = |procedure: &str| team.ask("rina", &["window", "--fresh", "--procedure", procedure]);
    assert_eq!(window("release").0, 1);
    let (code, said) = window("hotfix");
    assert!(code == 0 && said.contains("never stopped by the calendar"), "{said}");
}

#[test]
fn what_git_was_told_not_to_look_at_is_not_recorded() {
    let team = Team::new(SETTINGS);
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        team.shop.git(&["update-index", flag, ".gitignore"]);
        let (code, said) = record(&team, "budi", &report(3, 0), 0);
        assert!(
            code == 1 && said.contains("git does not look at .gitignore here") && !said.contains("ran\n"),
            "{flag}: {said}"
        );
        team.shop.git(&["update-index", &flag.replace("--", "--no-"), ".gitignore"]);
    }
    // A helper that says that nothing has changed is not asked.
    let hook = team.folder.path().join("monitor");
    testkit::write_private(&hook, "#!/bin/sh\nprintf 'x\\0'\n");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    team.shop.git(&["config", "core.fsmonitor", &hook.display().to_string()]);
    team.shop.git(&["status"]);
    std::fs::write(team.shop.path().join(".gitignore"), "reports/\n\n").expect("written");
    let (code, said) = record(&team, "budi", &report(3, 0), 0);
    assert!(code == 1 && said.contains(".gitignore is not as it is committed"), "{said}");
}

#[test]
fn what_would_make_the_record_useless_is_said_before_the_tests() {
    let team = Team::new(SETTINGS);
    let said = |command: &mut std::process::Command| {
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let words = ["record", "--as", "unit", "--", "echo", "ran"];
    let mut command = team.command("budi", &words);
    let (code, text) = said(command.env("RILIS_RELEASE_GATE_SIGNING_KEY", "/nowhere/key"));
    assert!(code == Some(78) && text.contains("/nowhere/key") && !text.contains("ran\n"), "{text}");
    std::fs::rename(team.remote.path(), team.folder.path().join("away")).expect("moved");
    let (code, text) = said(&mut team.command("budi", &words));
    assert!(code.is_some_and(|code| code != 0) && !text.contains("ran\n"), "{text}");
}

#[test]
fn nobody_waives_anything() {
    let team = Team::new(SETTINGS);
    team.shop.git(&["config", "--unset", "user.name"]);
    team.shop.git(&["config", "--unset", "user.email"]);
    let mut command = team.command("rina", &["tests", "--waive", "no time"]);
    command
        .env("HOME", team.folder.path())
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "user.useConfigOnly")
        .env("GIT_CONFIG_VALUE_0", "true");
    let (code, document, said) = exchange(&mut command, Some(&document()));
    assert!(code == 78 && document["failure"]["reason"] == "no-identity", "{said}");
}

#[test]
fn what_was_cut_off_is_recorded_so_that_the_green_one_before_is_not_the_answer() {
    let team = Team::new(SETTINGS);
    let words = [
        "record",
        "--as",
        "unit",
        "--report",
        "reports/unit.json",
        "--",
        "sh",
        "-c",
        "echo ran; exec sleep 60",
    ];
    for (how, code) in [("INT", 130), ("TERM", 143), ("timeout", 75)] {
        record(&team, "budi", &report(3, 0), 0);
        assert_eq!(tests(&team).0, "yes");
        let limit: &[&str] = if how == "timeout" { &["--timeout", "21s"] } else { &[] };
        let mut command = team.command("budi", &[limit, &words].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        if how != "timeout" {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            let status =
                std::process::Command::new("kill").args(["-s", how, &child.id().to_string()]).status();
            assert!(status.expect("kill").success());
        }
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{how}: {said}");
        let (word, seen) = tests(&team);
        assert!(word == "unknown" && seen.contains("the command was cut off"), "{how}: {seen} {said}");
    }
}
