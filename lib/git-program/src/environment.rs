//! What of our environment git gets, and what else. Pure.
//!
//! Settings, identities, credentials, proxies and agents reach git as they do by hand. What does not: secrets that are not for
//! git, what git tells its own children about another repository (a hook, an alias, `rebase --exec`), and what makes git read
//! pathspecs or attributes in another way than we write them.

use std::ffi::{OsStr, OsString};

/// What git sets for its children: `git rev-parse --local-env-vars`, but for `GIT_CONFIG_PARAMETERS` and `GIT_CONFIG_COUNT`, which
/// are settings of whoever calls.
const OF_A_REPOSITORY: [&str; 12] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
];

/// What changes the meaning of our own words to git. `GIT_CONFIG` is a file that `git config` alone would read;
/// `GIT_QUARANTINE_PATH` forbids every ref, inside of a hook of the remote.
const MISLEADING: [&str; 7] = [
    "GIT_CONFIG",
    "GIT_QUARANTINE_PATH",
    "GIT_ATTR_SOURCE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

/// Asks nobody, answers in English, leaves the index alone while it looks, and sees commits as everybody else does, not as
/// `git replace` shows them here.
const ALWAYS: [(&str, &str); 4] = [
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
];

/// What is different in git's environment. Not a whole one: with `PATH` set anew the standard library forks, which costs a
/// millisecond a process, instead of spawning.
#[derive(Debug, Default)]
pub struct Changes {
    /// What git does not get.
    pub removed: Vec<OsString>,
    /// What it gets besides, or with another value.
    pub set: Vec<(String, String)>,
}

/// What git gets of `ours`. Whatever is about a repository goes with it only if that repository `counts`. `settings` are laid over
/// all others, as `git -c` does, but without showing them to everybody who can list processes.
pub fn changes(
    ours: impl Iterator<Item = (OsString, OsString)>,
    counts: bool,
    settings: &[(String, String)],
) -> Changes {
    let mut changes = Changes::default();
    let mut there = 0;
    for (name, value) in ours {
        if name == "GIT_CONFIG_COUNT" {
            there = value.to_string_lossy().trim().parse().unwrap_or(0);
        }
        if !reaches_git(&name.to_string_lossy(), counts) {
            changes.removed.push(name);
        }
    }
    let mut set = |name: String, value: &str| changes.set.push((name, value.to_owned()));
    for (name, value) in ALWAYS {
        set(name.to_owned(), value);
    }
    for (n, (key, value)) in (there..).zip(settings) {
        set(format!("GIT_CONFIG_KEY_{n}"), key);
        set(format!("GIT_CONFIG_VALUE_{n}"), value);
    }
    if !settings.is_empty() {
        set("GIT_CONFIG_COUNT".to_owned(), &(there + settings.len()).to_string());
    }
    changes
}

fn reaches_git(name: &str, counts: bool) -> bool {
    !is_foreign_secret(name) && !MISLEADING.contains(&name) && (counts || !OF_A_REPOSITORY.contains(&name))
}

/// Git's own helpers read the tokens of code hosts; every other secret in the environment is none of git's business.
fn is_foreign_secret(name: &str) -> bool {
    let for_git = ["GIT", "GH_", "GITEA", "FORGEJO", "BITBUCKET", "CI_JOB", "SSH", "GPG"];
    let secret = ["_TOKEN", "_PASSWORD", "_SECRET", "_KEY"].iter().any(|end| name.ends_with(end));
    secret && !for_git.iter().any(|start| name.starts_with(start))
}

/// A variable of our own environment, unless it is empty.
pub fn ours(name: &str) -> Option<OsString> {
    std::env::var_os(OsStr::new(name)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The whole environment, but for what is always set.
    fn of(ours: &[(&str, &str)], counts: bool, settings: &[(&str, &str)]) -> Vec<String> {
        let ours = ours.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let changes = changes(ours.clone(), counts, &settings);
        let mut all: BTreeMap<String, String> =
            ours.map(|(n, v)| (n.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())).collect();
        all.retain(|name, _| !changes.removed.iter().any(|removed| removed == name.as_str()));
        all.extend(changes.set);
        assert!(ALWAYS.iter().all(|(name, value)| all.remove(*name).as_deref() == Some(value)));
        all.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn git_gets_the_secrets_of_code_hosts_and_no_others() {
        for name in ["COOLIFY_TOKEN", "TELEGRAM_BOT_TOKEN", "DATABASE_PASSWORD", "AWS_SECRET_ACCESS_KEY"] {
            assert!(!reaches_git(name, true), "{name}");
        }
        for name in
            ["GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN", "GIT_ASKPASS", "PATH", "SSH_AUTH_SOCK", "HOME"]
        {
            assert!(reaches_git(name, false), "{name}");
        }
        for name in
            ["GIT_SSH_COMMAND", "SSH_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_PARAMETERS", "https_proxy"]
        {
            assert!(reaches_git(name, false), "{name}");
        }
    }

    #[test]
    fn what_a_hook_leaves_behind_counts_only_where_its_repository_does() {
        let hook = [("GIT_DIR", ".git"), ("GIT_INDEX_FILE", ".git/index.lock"), ("GIT_COMMITTER_NAME", "CI")];
        assert_eq!(of(&hook, false, &[]), ["GIT_COMMITTER_NAME=CI"]);
        assert_eq!(of(&hook, true, &[]).len(), 3);
        for name in MISLEADING {
            assert_eq!(of(&[(name, "1")], true, &[]), [] as [&str; 0], "{name}");
        }
    }

    #[test]
    fn settings_of_ours_are_laid_over_the_callers() {
        let callers = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "a.b"), ("GIT_CONFIG_VALUE_0", "c")];
        assert_eq!(of(&callers, false, &[]).len(), 3);
        let all = of(&callers, false, &[("x.y", "1"), ("x.z", "2")]);
        let expected = [
            "GIT_CONFIG_COUNT=3",
            "GIT_CONFIG_KEY_0=a.b",
            "GIT_CONFIG_KEY_1=x.y",
            "GIT_CONFIG_KEY_2=x.z",
            "GIT_CONFIG_VALUE_0=c",
            "GIT_CONFIG_VALUE_1=1",
            "GIT_CONFIG_VALUE_2=2",
        ];
        assert_eq!(all, expected);
        assert!(of(&[("LC_ALL", "id_ID")], false, &[]).is_empty());
    }
}
