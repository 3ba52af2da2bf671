//! The environment in which git runs, made from ours. Pure.
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

/// One variable.
pub type Variable = (OsString, OsString);

/// What git gets of `ours`. Whatever is about a repository goes with it only if that repository `counts`. `config` are settings
/// that are laid over all others, as `git -c` does, but without showing them to everybody who can list processes.
pub fn built(
    ours: impl Iterator<Item = Variable>,
    counts: bool,
    config: &[(String, String)],
) -> Vec<Variable> {
    let mut all: Vec<Variable> =
        ours.filter(|(name, _)| reaches_git(&name.to_string_lossy(), counts)).collect();
    for (name, value) in ALWAYS {
        set(&mut all, name.into(), value.into());
    }
    let there = all
        .iter()
        .find(|(name, _)| name == "GIT_CONFIG_COUNT")
        .map(|(_, n)| n.to_string_lossy().into_owned());
    let there: usize = there.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    for (n, (key, value)) in (there..).zip(config) {
        set(&mut all, format!("GIT_CONFIG_KEY_{n}").into(), key.into());
        set(&mut all, format!("GIT_CONFIG_VALUE_{n}").into(), value.into());
    }
    if !config.is_empty() {
        set(&mut all, "GIT_CONFIG_COUNT".into(), (there + config.len()).to_string().into());
    }
    all
}

fn set(all: &mut Vec<Variable>, name: OsString, value: OsString) {
    all.retain(|(other, _)| *other != name);
    all.push((name, value));
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
    use super::*;

    fn of(ours: &[(&str, &str)], counts: bool, config: &[(&str, &str)]) -> Vec<String> {
        let ours = ours.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        let config: Vec<_> = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let text =
            |(name, value): &Variable| format!("{}={}", name.to_string_lossy(), value.to_string_lossy());
        let mut all: Vec<String> = built(ours, counts, &config).iter().map(text).collect();
        all.retain(|line| !ALWAYS.iter().any(|(name, value)| *line == format!("{name}={value}")));
        all.sort();
        all
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
        assert!(
            built([("LC_ALL".into(), "id_ID".into())].into_iter(), false, &[])
                .contains(&("LC_ALL".into(), "C".into()))
        );
    }
}
