//! Where a tag goes and where it is looked for: every way in which git's settings lead a remote's name elsewhere. Each row has a
//! clone, the repository that the team releases to (`real.git`) and another one (`other.git`).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::exchange;
use testkit::git::{Repo, isolate};
use testkit::git_servers::{HTTP_USER, HttpGit};

use crate::team::{ID, Team, failed, fingerprint, opened};

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The tag is there and nowhere else, and a second run says so.
    Real,
    Other,
    /// Nothing was done: exit code, reason, and a word of the message.
    Refused(i32, &'static str, &'static str),
}
use End::{Other, Real, Refused};

/// What it is, what is done to the clone, the `--remote` that is given, the end.
type Row = (&'static str, &'static str, &'static str, End);

const SEVERAL: &str = "remote-several";

const ROWS: &[Row] = &[
    ("a path", "", "", Real),
    ("a file URL", "git remote set-url origin file://$REAL", "", Real),
    ("a relative path", "git remote set-url origin ../real.git", "", Real),
    ("a name with a slash", "git remote rename origin team/release", "team/release", Real),
    ("a name with dots and a plus", "git remote rename origin a.b+c", "a.b+c", Real),
    // Fetched from one place, pushed to another.
    ("a push URL elsewhere", "git remote set-url --push origin $OTHER", "", Other),
    ("a push URL that is the same", "git remote set-url --push origin $REAL", "", Real),
    (
        "the same push URL twice",
        "git config --add remote.origin.pushurl $REAL; git config --add remote.origin.pushurl $REAL",
        "",
        Real,
    ),
    (
        "a push URL and no other",
        "git config --unset remote.origin.url; git config remote.origin.pushurl $OTHER",
        "",
        Other,
    ),
    (
        "a push URL with another way to the same place",
        "git remote set-url --push origin file://$REAL",
        "",
        Real,
    ),
    (
        "several push URLs",
        "git config --add remote.origin.pushurl $REAL; git config --add remote.origin.pushurl $OTHER",
        "",
        Refused(78, SEVERAL, "real.git, "),
    ),
    ("several URLs", "git remote set-url --add origin $OTHER", "", Refused(78, SEVERAL, "2 places")),
    // Rewritten.
    (
        "a short form",
        "git config url.$ROOT/.insteadOf row:; git remote set-url origin row:real.git",
        "",
        Real,
    ),
    ("pushes rewritten", "git config url.$ROOT/other.pushInsteadOf $ROOT/real", "", Other),
    (
        "a push URL is not rewritten as a push",
        "git config url.$ROOT/other.pushInsteadOf $ROOT/real; git remote set-url --push origin $REAL",
        "",
        Real,
    ),
    (
        "fetched from a mirror, pushed as it is",
        "git config url.$ROOT/other.insteadOf $ROOT/real; git config url.$ROOT/real.pushInsteadOf $ROOT/real",
        "",
        Real,
    ),
    ("both rewritten to the same", "git config url.$ROOT/other.insteadOf $ROOT/real", "", Other),
    ("rewritten by what stands in the environment", "", "", Other),
    // Other settings of a remote.
    ("a mirror that is pushed", "git config remote.origin.mirror true", "", Real),
    (
        "a mirror that is fetched",
        "cd ..; rm -rf clone; git clone -q --mirror real.git clone; cd clone; git config user.name R; git config user.email r@luxima.example; git symbolic-ref HEAD refs/heads/staging",
        "",
        Real,
    ),
    (
        "another remote is pushed to by default",
        "git remote add mine $OTHER; git config remote.pushDefault mine",
        "",
        Real,
    ),
    (
        "the branch is pushed elsewhere",
        "git remote add mine $OTHER; git config branch.staging.pushRemote mine",
        "",
        Real,
    ),
    (
        "the branch is followed elsewhere",
        "git remote add mine $OTHER; git fetch -q mine; git branch -q -u mine/staging",
        "",
        Real,
    ),
    ("nothing is fetched by default", "git config --unset-all remote.origin.fetch", "", Real),
    (
        "everything is pushed by default",
        "git config remote.origin.push 'refs/*:refs/*'; git tag stray",
        "",
        Real,
    ),
    (
        "everything is pruned",
        "git config fetch.prune true; git config fetch.pruneTags true; git config remote.origin.pruneTags true; git config remote.origin.tagOpt --tags; git tag stray",
        "",
        Real,
    ),
    (
        "in a linked worktree with settings of its own",
        "git config extensions.worktreeConfig true; git config --worktree remote.origin.pushurl $OTHER",
        "",
        Other,
    ),
    (
        "in a file that is included",
        "printf '[remote \"origin\"]\\n\\tpushurl = %s\\n' $OTHER >../more; git config include.path ../../more",
        "",
        Other,
    ),
    (
        "in the file that git used long ago",
        "git remote remove origin; mkdir -p .git/remotes; printf 'URL: %s\\n' $OTHER >.git/remotes/old",
        "old",
        Other,
    ),
    // Given by its URL.
    ("a path that is given", "", "$OTHER", Other),
    ("a URL that is given", "", "file://$OTHER", Other),
    ("a URL that is given and rewritten", "git config url.$ROOT/.insteadOf row:", "row:other.git", Other),
    (
        "a URL that is given, with pushes rewritten",
        "git config url.$ROOT/other.pushInsteadOf $ROOT/real",
        "$REAL",
        Other,
    ),
    ("a relative path that is given", "", "../other.git", Other),
    // None at all.
    (
        "a misspelt name",
        "git remote add backup $OTHER",
        "orgin",
        Refused(78, "remote-unknown", "did you mean origin?"),
    ),
    (
        "a name that nobody knows",
        "git remote add backup $OTHER",
        "upstream",
        Refused(78, "remote-unknown", "backup, origin"),
    ),
    (
        "no remote at all",
        "git remote remove origin",
        "",
        Refused(78, "remote-unknown", "git remote add origin URL"),
    ),
    (
        "a path without a repository",
        "",
        "../nowhere.git",
        Refused(78, "remote-unknown", "no repository at ../nowhere.git"),
    ),
    (
        "a group",
        "git remote add backup $OTHER; git config remotes.all 'origin backup'",
        "all",
        Refused(78, "remote-unknown", "group of remotes (origin, backup)"),
    ),
    (
        "a remote without a URL",
        "git config --unset remote.origin.url",
        "",
        Refused(78, "remote-without-url", "no URL"),
    ),
    ("an empty URL", "git config remote.origin.url ''", "", Refused(78, "remote-without-url", "no URL")),
    (
        "a URL where nothing is",
        "git remote set-url origin /nowhere/at/all.git",
        "",
        Refused(78, "remote-missing", "correct the URL"),
    ),
    // What proves nothing.
    ("itself", "", ".", Refused(78, "remote-is-here", "this very repository")),
    (
        "itself by its path",
        "git remote set-url origin $ROOT/clone",
        "",
        Refused(78, "remote-is-here", "this very repository"),
    ),
    (
        "itself by its URL",
        "git remote set-url --push origin file://$ROOT/clone/.git",
        "",
        Refused(78, "remote-is-here", "this very repository"),
    ),
];

struct Place {
    root: PathBuf,
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success());
}

impl Place {
    /// The first one is made, and the others are copies of it.
    fn first(team: &Team) -> Self {
        let root = team.path("first");
        std::fs::create_dir_all(&root).expect("a folder");
        for name in ["real.git", "other.git"] {
            copy(team.remote.path(), &root.join(name));
        }
        Repo::clone(
            &root.join("real.git").display().to_string(),
            &root.join("clone"),
            &["--branch", "staging"],
        );
        Place { root }
    }

    fn copy(&self, team: &Team, n: usize) -> Self {
        let place = Place { root: team.path(&format!("row{n}")) };
        copy(&self.root, &place.root);
        place.prepare("git remote set-url origin $REAL");
        place
    }

    fn words(&self, text: &str) -> String {
        let path = |name: &str| self.root.join(name).display().to_string();
        text.replace("$REAL", &path("real.git"))
            .replace("$OTHER", &path("other.git"))
            .replace("$ROOT", path("").trim_end_matches('/'))
    }

    fn clone(&self) -> PathBuf {
        self.root.join("clone")
    }

    fn prepare(&self, script: &str) {
        let mut command = Command::new("sh");
        let output = isolate(command.args(["-euc", &self.words(script)]).current_dir(self.clone()))
            .output()
            .expect("sh");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Tags of one of the two.
    fn tags(&self, name: &str) -> String {
        Repo::at(&self.root.join(name)).git(&["tag", "--list"])
    }
}

fn run(team: &Team, folder: &Path, remote: &str, env: &[(&str, String)]) -> (i32, Value, String) {
    let mut args = vec!["candidate"];
    if !remote.is_empty() {
        args.extend(["--remote", remote]);
    }
    let mut command = team.command_in(folder, &args);
    exchange(command.envs(env.iter().map(|(name, value)| (name, value))), Some(&opened(ID)))
}

#[test]
fn a_tag_is_looked_for_where_it_is_pushed_to() {
    let team = Team::start();
    assert!(ROWS.len() >= 40);
    let first = Place::first(&team);
    for (n, (name, script, remote, end)) in ROWS.iter().enumerate() {
        let place = first.copy(&team, n);
        place.prepare(script);
        let env = if name.contains("in the environment") {
            let key = place.words("url.$ROOT/other.insteadOf");
            vec![
                ("GIT_CONFIG_COUNT", "1".to_owned()),
                ("GIT_CONFIG_KEY_0", key),
                ("GIT_CONFIG_VALUE_0", place.words("$ROOT/real")),
            ]
        } else {
            vec![]
        };
        let remote = place.words(remote);
        let before = fingerprint(&place.clone());
        let (code, document, stderr) = run(&team, &place.clone(), &remote, &env);
        let tags = (place.tags("real.git"), place.tags("other.git"));
        let (here, nothing) = ("v1.2.0-rc1".to_owned(), String::new());
        match end {
            Real => assert_eq!((code, tags), (0, (here, nothing)), "{name}: {stderr}"),
            Other => assert_eq!((code, tags), (0, (nothing, here)), "{name}: {stderr}"),
            Refused(expected, reason, words) => {
                let (code, said, acted) = failed(&(code, document.clone(), String::new()));
                assert_eq!(
                    (code, said.as_str(), acted.as_str()),
                    (*expected, *reason, "no"),
                    "{name}: {stderr}"
                );
                assert!(stderr.contains(words), "{name}: {stderr}");
                assert!(before == fingerprint(&place.clone()), "{name}: nothing changes");
                assert_eq!(tags, (nothing.clone(), nothing), "{name}");
                continue;
            }
        }
        let (code, document, stderr) = run(&team, &place.clone(), &remote, &env);
        assert_eq!(
            (code, document["steps"][0]["status"].as_str()),
            (0, Some("unchanged")),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn that_a_remote_is_fetched_from_elsewhere_is_said() {
    let team = Team::start();
    let place = Place::first(&team);
    place.prepare("git remote set-url --push origin $OTHER");
    let (_, document, stderr) = run(&team, &place.clone(), "", &[]);
    let warning = &document["steps"][0]["output"]["warnings"][0];
    assert_eq!(warning["code"], "remote-apart", "{document}");
    assert!(
        stderr.contains("real.git but pushed to") && stderr.contains("other.git has is what counts"),
        "{stderr}"
    );
    for question in [&["verify", "v1.2.0-rc1"][..], &["list"], &["branches"], &["--check"]] {
        let output = team.command_in(&place.clone(), question).output().expect("it runs");
        assert!(output.status.success(), "{question:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // A branch that has gone on where nobody pushes to is no branch that has gone on.
    let theirs = Repo::clone(&place.words("$REAL"), &place.root.join("theirs"), &["--branch", "staging"]);
    theirs.commit("theirs", &[("b", "b")]);
    theirs.git(&["push", "--quiet", "origin", "HEAD"]);
    assert_eq!(run(&team, &place.clone(), "", &[]).0, 0);
}

/// Everything that is said when all is asked, and that each ends as it must.
fn all_said(team: &Team, clone: &Repo, code: i32) -> String {
    let ways: [&[&str]; 6] = [
        &["candidate"],
        &["candidate", "--plan"],
        &["verify", "v1.2.0-rc1"],
        &["list"],
        &["branches"],
        &["--check"],
    ];
    let said = |args: &&[&str]| {
        let mut command = team.command_in(clone.path(), &[args, &["-v"][..]].concat());
        let (ended, text) = if args[0] == "candidate" {
            let (ended, document, stderr) = exchange(&mut command, Some(&opened(ID)));
            (ended, format!("{document}{stderr}"))
        } else {
            let output = command.output().expect("it runs");
            let text = [output.stdout, output.stderr].concat();
            (output.status.code().expect("a code"), String::from_utf8_lossy(&text).into_owned())
        };
        assert!(ended == code, "{args:?}: {text}");
        text
    };
    ways.iter().map(said).collect()
}

#[test]
fn credentials_in_a_url_are_shown_by_nobody() {
    let team = Team::start();
    let http = HttpGit::start(team.folder.path());
    let (user, password) = HTTP_USER;
    let url = http.url("origin.git");
    let with = |user: &str| url.replacen("://", &format!("://{user}@"), 1);
    let right = with(&format!("{user}:{password}"));
    let wrong = with(&format!("{user}:canary-8Hq2-wrong"));
    let token = with("ghp_canary8Hq2aaaaaaaaaaaaaaaaaaaa");
    let mirror = team.path("mirror.git").display().to_string();
    copy(team.remote.path(), Path::new(&mirror));
    for (n, (fetch, push, code)) in [
        (&right, &[][..], 0),
        (&mirror, &[&right], 0),
        (&wrong, &[], 78),
        (&mirror, &[&wrong], 78),
        (&token, &[], 78),
        (&right, &[&wrong, &right], 78),
    ]
    .into_iter()
    .enumerate()
    {
        let clone = team.remote.clone_to(&team.path(&format!("clone{n}")));
        clone.git(&["switch", "--quiet", "staging"]);
        clone.git(&["remote", "set-url", "origin", fetch]);
        for url in push {
            clone.git(&["remote", "set-url", "--add", "--push", "origin", url]);
        }
        let said = all_said(&team, &clone, code);
        assert!(!said.contains(password) && !said.contains("canary"), "{n}: {said}");
    }
}
