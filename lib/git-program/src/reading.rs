//! Which of git's commands only look. Pure.

/// Look at a repository or a remote and leave both as they are. `fetch`, `init`, `fast-import` and `commit-tree` write objects: into folders
/// of our own, which the caller names by `GIT_DIR` or `GIT_OBJECT_DIRECTORY`, and no ref of anybody's is moved.
const LOOK: [&str; 22] = [
    "cat-file",
    "commit-tree",
    "diff",
    "fast-import",
    "fetch",
    "for-each-ref",
    "init",
    "log",
    "ls-remote",
    "ls-tree",
    "merge-base",
    "rev-parse",
    "show-ref",
    "status",
    "var",
    "verify-tag",
    "config --get-all",
    "config --get-regexp",
    "remote -v",
    "remote get-url",
    "symbolic-ref --quiet",
    "tag --list",
];

/// Whether a command line, without the `git` before it, changes nothing that is somebody else's.
pub fn only_looks(args: &[&str]) -> bool {
    let mut words = args.iter().copied();
    let command = loop {
        match words.next() {
            // Options of git itself, each with a value.
            Some("-C" | "-c") => _ = words.next(),
            Some(word) => break word,
            None => return false,
        }
    };
    // `config -z --get-all`: an option may come before the one that says what it does.
    let how: Vec<&str> = words.take_while(|word| *word != "--").collect();
    LOOK.iter().any(|look| match look.split_once(' ') {
        Some((name, option)) => name == command && how.iter().take(2).any(|word| *word == option),
        None => *look == command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_not_looking() {
        for args in [
            &["rev-parse", "HEAD"][..],
            &["-c", "a=b", "fetch", "origin"],
            &["-C", "tag", "ls-tree", "HEAD"],
            &["config", "-z", "--get-regexp", "^remote\\."],
            &["tag", "--list", "--sort=version:refname"],
            &["remote", "get-url", "origin"],
        ] {
            assert!(only_looks(args), "{args:?}");
        }
        for args in [
            &["push", "origin"][..],
            &["-c", "status", "push"],
            &["tag", "--file=-", "--", "v1.2.0", "HEAD"],
            &["tag", "--cleanup=verbatim", "--file=-", "--", "--list", "HEAD"],
            &["update-ref", "-d", "refs/tags/x"],
            &["symbolic-ref", "HEAD", "refs/heads/x"],
            &["remote", "add", "x", "y"],
            &["config", "a.b", "c"],
            &[],
        ] {
            assert!(!only_looks(args), "{args:?}");
        }
    }
}
