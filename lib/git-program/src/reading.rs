//! Which of git's commands only look. Pure.

/// Look at a repository or a remote and leave both as they are. `init` makes a folder of our own.
const LOOK: [&str; 15] = [
    "cat-file",
    "diff",
    "for-each-ref",
    "init",
    "log",
    "ls-files",
    "ls-remote",
    "ls-tree",
    "merge-base",
    "rev-list",
    "rev-parse",
    "show-ref",
    "status",
    "var",
    "verify-tag",
];

/// Write objects, and move no ref of anybody's where `GIT_DIR` or `GIT_OBJECT_DIRECTORY` leads to a folder of our own.
const ASIDE: [&str; 5] = ["commit-tree", "fast-import", "fetch", "merge-tree", "update-ref"];

/// Whether a command line, without the `git` before it, changes nothing that is somebody else's. `aside`: the caller has named a folder of
/// our own.
pub fn only_looks(args: &[&str], aside: bool) -> bool {
    let mut words = args;
    // Options of git itself, each with a value.
    while let [_option @ ("-C" | "-c"), _, rest @ ..] = words {
        words = rest;
    }
    match words {
        ["config", rest @ ..] => rest.iter().take(2).any(|word| ["--get-all", "--get-regexp"].contains(word)),
        ["remote", "-v"]
        | ["remote", "get-url", ..]
        | ["tag", "--list", ..]
        | ["symbolic-ref", "--quiet", _] => true,
        ["remote", ..] | ["tag", ..] | ["symbolic-ref", ..] | [] => false,
        [command, ..] => LOOK.contains(command) || (aside && ASIDE.contains(command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_not_looking() {
        for args in [
            &["rev-parse", "HEAD"][..],
            &["symbolic-ref", "--quiet", "HEAD"],
            &["-C", "tag", "ls-tree", "HEAD"],
            &["config", "-z", "--get-regexp", "^remote\\."],
            &["tag", "--list", "--sort=version:refname"],
            &["remote", "get-url", "origin"],
            &["rev-list", "HEAD", "^v1.1.4"],
        ] {
            assert!(only_looks(args, false), "{args:?}");
        }
        for args in [
            &["push", "origin"][..],
            &["-c", "status", "push"],
            &["tag", "--file=-", "--", "v1.2.0", "HEAD"],
            &["tag", "--cleanup=verbatim", "--file=-", "--", "--list", "HEAD"],
            &["update-ref", "-d", "refs/tags/x"],
            &["symbolic-ref", "--quiet", "HEAD", "refs/heads/x"],
            &["remote", "-v", "add", "x", "y"],
            &["-c", "a=b", "fetch", "origin"],
            &["remote", "add", "x", "y"],
            &["merge-tree", "--write-tree", "a", "b"],
            &["config", "a.b", "c"],
            &[],
        ] {
            assert!(!only_looks(args, false), "{args:?}");
        }
        assert!(only_looks(&["-c", "a=b", "fetch", "origin"], true) && !only_looks(&["push"], true));
    }
}
