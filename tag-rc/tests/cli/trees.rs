//! Ways in which files look changed and are not, or are and do not look so. What git says counts; beside each answer of ours
//! stands git's own.

use std::process::Command;

use serde_json::Value;
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

use crate::team::{ID, Team, fingerprint, opened};

/// Runs a script in a folder, without anybody's configuration.
fn sh(folder: &std::path::Path, script: &str) {
    let mut command = Command::new("sh");
    isolate(command.args(["-euc", script]).current_dir(folder)).env("GIT_ALLOW_PROTOCOL", "file");
    let output = command.output().expect("sh");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Settings with which each clone is made.
const FILTER: &[&str] =
    &["filter.up.clean=tr a-z A-Z", "filter.up.smudge=tr A-Z a-z", "filter.up.required=true"];

/// A remote whose staging has one of everything.
fn of_everything(team: &Team) {
    let library = Remote::create(&team.path("library.git"));
    let first = library.clone_to(&team.path("library"));
    first.commit("one", &[("lib.c", "1\n")]);
    first.git(&["push", "--quiet", "origin", "HEAD:main"]);
    first.commit("two", &[("lib.c", "2\n")]);
    first.git(&["push", "--quiet", "origin", "HEAD:main"]);
    for setting in FILTER {
        let (key, value) = setting.split_once('=').expect("a setting");
        team.ours.git(&["config", key, value]);
    }
    sh(
        team.ours.path(),
        "printf '*.up filter=up\\n*.id ident\\n*.u16 text working-tree-encoding=UTF-16LE eol=lf\\n*.win text eol=crlf\\n*.txt text\\n' >.gitattributes
         for n in 1 2; do echo hello$n >f$n.up; done
         echo 'x $Id$' >x.id
         printf 'a\\0\\n\\0' >w.u16
         printf 'a\\r\\nb\\r\\n' >c.win
         printf 'a\\nb\\n' >t.txt
         printf '#!/bin/sh\\n' >run.sh; chmod +x run.sh
         ln -s t.txt link
         mkdir -p dir/sub 'sp ace'; echo 1 >dir/a; echo 2 >dir/sub/b; echo 3 >'sp ace/\u{e9}.txt'
         printf '*.ignored\\n/build/\\n' >.gitignore
         git submodule --quiet add ../library.git vendor/lib
         git add . && git commit -qm everything && git push -q origin HEAD",
    );
}

struct Row {
    name: &'static str,
    /// Settings of the clone, from before its files were written.
    with: &'static [&'static str],
    script: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// What differs; nothing means clean.
    differs: &'static [&'static str],
    /// Why git, asked by hand in that clone, says something else.
    by_hand: Option<&'static str>,
}

const fn row(name: &'static str, script: &'static str, differs: &'static [&'static str]) -> Row {
    Row { name, with: &[], script, env: &[], differs, by_hand: None }
}

const fn with(name: &'static str, with: &'static [&'static str], script: &'static str) -> Row {
    Row { name, with, script, env: &[], differs: &[], by_hand: None }
}

const ROWS: &[Row] = &[
    // Clean, although bytes, times or modes are others.
    row("a fresh clone with a content filter, line endings, encodings, ident", "", &[]),
    row("files that were touched", "touch f1.up t.txt c.win w.u16 x.id", &[]),
    row(
        "files that were copied: other inodes",
        "cp -a . ../copy$$ && rm -r ./* && cp -a ../copy$$/. . && rm -r ../copy$$",
        &[],
    ),
    with("checked out with CRLF", &["core.autocrlf=true"], ""),
    with(
        "checked out with CRLF by core.eol",
        &["core.eol=crlf"],
        "rm t.txt; git checkout -q t.txt; grep -q \"$(printf '\\r')\" t.txt",
    ),
    with("a file system without modes", &["core.fileMode=false"], "chmod -x run.sh; chmod +x t.txt"),
    with("a file system without links", &["core.symlinks=false"], "test ! -L link"),
    with(
        "what another file excludes",
        &["core.excludesFile=../excludes"],
        "echo '*.mine' >../excludes; echo x >a.mine",
    ),
    row("what .git/info/exclude excludes", "echo '*.mine' >>.git/info/exclude; echo x >a.mine", &[]),
    row("what .gitignore ignores", "mkdir build; echo x >build/out; echo x >a.ignored", &[]),
    row("an empty folder", "mkdir empty", &[]),
    row("a split index", "git update-index --split-index; touch dir/a", &[]),
    row("an index of version 4", "git update-index --index-version 4", &[]),
    row("a sparse checkout", "git sparse-checkout set dir; test ! -e vendor", &[]),
    row("a sparse index", "git sparse-checkout set --sparse-index dir", &[]),
    with("an untracked cache", &["core.untrackedCache=true"], "git status >/dev/null"),
    row(
        "a file that is taken for unchanged",
        "git update-index --assume-unchanged t.txt; echo x >t.txt",
        &[],
    ),
    row("a file that is skipped", "git update-index --skip-worktree dir/a; rm dir/a", &[]),
    row("a submodule that is not there", "test -z \"$(ls vendor/lib)\"", &[]),
    row("a submodule as it was committed", "git submodule --quiet update --init", &[]),
    with(
        "a submodule that nobody looks into",
        &["submodule.vendor/lib.ignore=all"],
        "git submodule --quiet update --init; git -C vendor/lib checkout -q HEAD~1",
    ),
    row(
        "files elsewhere",
        "mkdir ../elsewhere; git config core.worktree \"$(cd ../elsewhere && pwd)\"; git checkout -q -f HEAD -- .; rm -r dir",
        &[],
    ),
    row("a pathspec that is read to the letter", "", &[]),
    // Not clean, however it looks.
    row("a changed file", "echo x >>dir/a", &["dir/a (modified)"]),
    row("a changed file with a filter", "echo MORE >>f1.up", &["f1.up (modified)"]),
    row(
        "the same size and time",
        "touch -r dir/a ../when; echo 9 >dir/a; touch -r ../when dir/a",
        &["dir/a (modified)"],
    ),
    row("a staged file", "echo x >>dir/a; git add dir/a", &["dir/a (modified, staged)"]),
    row("a new file", "echo x >new", &["new (untracked)"]),
    row("a new file, staged", "echo x >new; git add new", &["new (added, staged)"]),
    row("a file that is only meant to be added", "echo x >new; git add -N new", &["new (added)"]),
    row("a new folder", "mkdir new; echo x >new/a; echo x >new/b", &["new/ (untracked)"]),
    row("a deleted file", "rm dir/a", &["dir/a (deleted)"]),
    row("a renamed file", "git mv dir/a dir/c", &["dir/a (deleted, staged)", "dir/c (added, staged)"]),
    row("another mode", "chmod +x t.txt", &["t.txt (modified)"]),
    row("a file instead of a link", "rm link; echo t.txt >link", &["link (another type)"]),
    row(
        "a repository within",
        "git init -q inner; git -C inner -c user.name=x -c user.email=x@x.example commit -qm x --allow-empty",
        &["inner/ (untracked)"],
    ),
    row(
        "a submodule at another commit",
        "git submodule --quiet update --init; git -C vendor/lib checkout -q HEAD~1",
        &["vendor/lib (submodule: another commit)"],
    ),
    row(
        "a submodule that was changed inside",
        "git submodule --quiet update --init; echo x >vendor/lib/lib.c; echo x >vendor/lib/y",
        &["vendor/lib (submodule: modified inside, untracked files inside)"],
    ),
    row(
        "a name with spaces, marks and a line break",
        "echo x >'sp ace/\u{e9}.txt'; echo x >\"$(printf 'a\\nb')\"",
        &["sp ace/\u{e9}.txt (modified)", "a\u{fffd}b (untracked)"],
    ),
    row(
        "a rule that has changed: what was ignored is not",
        "echo x >a.ignored; : >.gitignore",
        &[".gitignore (modified)", "a.ignored (untracked)"],
    ),
    row(
        "another filter than the one it was written with",
        "git config filter.up.clean cat; touch f1.up f2.up",
        &["f1.up (modified)", "f2.up (modified)"],
    ),
    row(
        "a conflict",
        "git config user.name x; git config user.email x@x.example; git switch -q -c side HEAD~1; echo z >t.txt; git add t.txt; git commit -qm z; git switch -q staging; ! git merge -q side 2>/dev/null; git merge --quit 2>/dev/null || rm -f .git/MERGE_HEAD",
        &["t.txt (in conflict)"],
    ),
    Row {
        name: "untracked files that nobody wants to see",
        with: &["status.showUntrackedFiles=no"],
        script: "echo x >forgotten",
        env: &[],
        differs: &["forgotten (untracked)"],
        by_hand: Some("a setting hides what somebody has forgotten to add"),
    },
    Row {
        name: "a monitor that says that nothing has changed",
        with: &[],
        script: "printf '#!/bin/sh\\ntouch ../monitored\\nprintf \"1\\\\0\"\\n' >../monitor; chmod +x ../monitor; git config core.fsmonitor ../monitor; git status >/dev/null; test -e ../monitored; rm ../monitored; echo x >>dir/a",
        env: &[],
        differs: &["dir/a (modified)"],
        by_hand: Some("the monitor lies"),
    },
    Row {
        name: "a commit that git shows as another one here",
        with: &[],
        script: "echo x >>dir/a; git -c user.name=x -c user.email=x@x.example commit -qam x; git replace HEAD~1 HEAD; git reset -q --soft HEAD~1; git reset -q",
        env: &[],
        differs: &["dir/a (modified, staged)"],
        by_hand: Some("refs/replace is followed by hand, and nobody else has it"),
    },
    Row {
        name: "what a hook leaves behind",
        with: &[],
        script: "echo x >>dir/a",
        env: &[
            ("GIT_INDEX_FILE", "/nowhere/index"),
            ("GIT_DIR", "/nowhere/.git"),
            ("GIT_WORK_TREE", "/nowhere"),
            ("GIT_PREFIX", "dir/"),
        ],
        differs: &["dir/a (modified)"],
        by_hand: None,
    },
    Row {
        name: "an empty index that a hook leaves behind, over clean files",
        with: &[],
        script: "",
        env: &[("GIT_INDEX_FILE", "/dev/null")],
        differs: &[],
        by_hand: None,
    },
    Row {
        name: "pathspecs that are read to the letter",
        with: &[],
        script: "echo x >>dir/a; echo x >a.log",
        env: &[("GIT_LITERAL_PATHSPECS", "1"), ("RILIS_TAG_RC_IGNORE", "*.log")],
        differs: &["dir/a (modified)"],
        by_hand: None,
    },
    Row {
        name: "what the team ignores, one by one within new folders",
        with: &[],
        script: "mkdir -p out/x; echo x >out/x/a.log; echo x >b.log; echo x >dir/c.log",
        env: &[("RILIS_TAG_RC_IGNORE", "*.log")],
        differs: &[],
        by_hand: Some("it is ignored by release.toml, not by git"),
    },
    Row {
        name: "beside what the team ignores",
        with: &[],
        script: "mkdir out; echo x >out/a.log; echo x >out/b; echo x >>dir/a",
        env: &[("RILIS_TAG_RC_IGNORE", ":(glob,icase)OUT/*.log")],
        differs: &["dir/a (modified)", "out/b (untracked)"],
        by_hand: None,
    },
];

/// A clone that was made with these settings.
fn cloned(team: &Team, path: &std::path::Path, with: &[&str]) -> Repo {
    let url = team.remote.path().display().to_string();
    let mut settings = vec!["--branch", "staging"];
    FILTER.iter().chain(with).for_each(|setting| settings.extend(["--config", setting]));
    Repo::clone(&url, path, &settings)
}

/// Clones, spoils, asks; gives the reason and what differs.
fn asked(team: &Team, n: usize, row: &Row) -> (i32, Vec<String>, String) {
    let path = team.path(&format!("rows/{n}/clone"));
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    let first = team.path("rows/0/first");
    let clone = if first.exists() && row.with.is_empty() {
        let copied = Command::new("cp").arg("-a").arg(&first).arg(&path).status();
        assert!(copied.expect("cp").success());
        Repo::at(&path)
    } else {
        cloned(team, &path, row.with)
    };
    sh(clone.path(), row.script);
    // Git itself freshens the time of a split index's larger half whenever it reads it.
    let files = || {
        let mut files = fingerprint(&clone.path().join(".git"));
        files.retain(|(path, ..)| !path.to_string_lossy().contains("sharedindex"));
        files
    };
    let before = files();
    let mut command = team.command_in(clone.path(), &["candidate", "--plan", "--branch", "staging"]);
    command.envs(row.env.iter().copied());
    let (code, document, stderr) = exchange(&mut command, Some(&opened(ID)));
    assert!(before == files(), "{}: looking has changed something", row.name);
    let failure = &document["failure"];
    assert!(code == 0 || failure["reason"] == "dirty", "{}: {stderr}", row.name);
    let causes = failure["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let causes =
        causes.iter().filter_map(Value::as_str).filter(|c| !c.starts_with("also:")).map(str::to_owned);
    (code, causes.collect(), stderr)
}

#[test]
fn git_says_what_differs_from_the_commit() {
    let team = Team::start();
    of_everything(&team);
    assert!(ROWS.len() >= 40, "{}", ROWS.len());
    for (n, row) in ROWS.iter().enumerate() {
        if n == 1 {
            // The first one is looked at as it was cloned; the others are copies of one like it.
            cloned(&team, &team.path("rows/0/first"), &[]);
        }
        let (code, mut differs, stderr) = asked(&team, n, row);
        let mut expected = row.differs.to_vec();
        differs.sort();
        expected.sort_unstable();
        assert_eq!(differs, expected, "{}: {stderr}", row.name);
        assert_eq!(code, i32::from(!expected.is_empty()), "{}: {stderr}", row.name);
        if row.by_hand.is_none() {
            let by_hand = Repo::at(&team.path(&format!("rows/{n}/clone"))).git(&["status", "--porcelain"]);
            assert_eq!(by_hand.is_empty(), expected.is_empty(), "{}: {by_hand}", row.name);
        }
    }
    assert!(!team.path("rows/monitored").exists());
}

#[test]
fn a_filter_that_cannot_be_run_is_said_with_gits_own_words() {
    let team = Team::start();
    of_everything(&team);
    team.ours.git(&["config", "filter.up.clean", "no-such-filter"]);
    std::fs::write(team.ours.path().join("f1.up"), "jello1\n").expect("written");
    let (code, document, _) = team.run(&["candidate"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("status-unknown")), "{document}");
    assert!(document["failure"]["causes"].to_string().contains("no-such-filter"), "{document}");
    // Nothing but the settings makes a filter run: attributes alone, as a hostile repository has them, do not.
    for key in ["clean", "smudge", "required"] {
        team.ours.git(&["config", "--unset", &format!("filter.up.{key}")]);
    }
    let (_, document, _) = team.run(&["candidate", "--plan"]);
    assert_eq!(document["failure"]["causes"][0], "f1.up (modified)", "{document}");
}
