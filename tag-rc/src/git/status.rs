//! What differs from the commit: git's own answer. Filters (Git LFS, line endings, encodings), attributes, excludes, submodules,
//! sparse and split indexes all have their say, as they do for whoever types `git status`.

use std::path::Path;

use step::Failure;

/// The paths that differ, each with how. Git asks in the working directory, or in `folder`.
pub fn dirty(
    program: &git_program::Git,
    folder: Option<&Path>,
    ignore: &[String],
) -> Result<Vec<String>, Failure> {
    // A monitor of the file system is a program that a setting names, and may be wrong; the files themselves are looked at.
    let program = program.clone().set("core.fsmonitor", "false");
    // Only one by one can untracked files be held against what is ignored.
    let untracked = if ignore.is_empty() { "--untracked-files=normal" } else { "--untracked-files=all" };
    let folder = folder.map(Path::to_string_lossy);
    let mut args: Vec<&str> = folder.iter().flat_map(|folder| ["-C", folder]).collect();
    args.extend(["status", "--porcelain=v2", "-z", "--no-renames", untracked, "--"]);
    args.extend((!ignore.is_empty()).then_some(":(top)"));
    let excluded: Vec<String> = ignore.iter().map(|pattern| excluding(pattern)).collect();
    args.extend(excluded.iter().map(String::as_str));
    let said = program.run(&args, b"")?;
    if !said.status.success() {
        let message = "git cannot say whether anything differs from the commit";
        return Err(Failure::refused("status-unknown", message).cause(said.stderr).next("git status"));
    }
    Ok(parse(&String::from_utf8_lossy(&said.stdout)))
}

/// The pathspec that leaves out what another one matches.
fn excluding(pattern: &str) -> String {
    if let Some(magic) = pattern.strip_prefix(":(") {
        return format!(":(exclude,top,{magic}");
    }
    format!(":(exclude,top){}", pattern.strip_prefix(":/").unwrap_or(pattern))
}

/// Reads the entries: `1 XY sub mH mI mW hH hI path`, `u XY sub m1 m2 m3 mW h1 h2 h3 path`, `? path`.
fn parse(text: &str) -> Vec<String> {
    text.split('\0').filter_map(entry).collect()
}

fn entry(line: &str) -> Option<String> {
    let (kind, rest) = line.split_once(' ')?;
    let field = |n: usize| rest.splitn(n + 1, ' ').nth(n).unwrap_or_default();
    let (path, how) = match kind {
        "1" => (field(7), changed(field(0).get(..2)?, field(1))),
        "u" => (field(9), "in conflict".to_owned()),
        "?" => (rest, "untracked".to_owned()),
        _ => return None,
    };
    Some(format!("{} ({how})", crate::message::printable(path)))
}

/// In words: what the index has and the commit has not, what the files have and the index has not, what a submodule has.
fn changed(xy: &str, submodule: &str) -> String {
    let word = |letter: &str| match letter {
        "A" => "added",
        "D" => "deleted",
        "T" => "another type",
        _ => "modified",
    };
    let sub = submodule.split(' ').next().unwrap_or_default();
    if sub.starts_with('S') && &xy[1..] != "." {
        let parts = [('C', "another commit"), ('M', "modified inside"), ('U', "untracked files inside")];
        let parts: Vec<&str> =
            parts.iter().filter(|(mark, _)| sub.contains(*mark)).map(|(_, words)| *words).collect();
        return format!("submodule: {}", parts.join(", "));
    }
    match xy.split_at(1) {
        (index, ".") => format!("{}, staged", word(index)),
        (_, files) => word(files).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_their_paths_as_they_are() {
        let text = [
            "# branch.oid 11",
            "1 .M N... 100644 100644 100644 aa bb a b.txt",
            "1 A. N... 000000 100644 100644 00 bb new",
            "1 .M SCMU 160000 160000 160000 aa aa vendor/lib",
            "1 M. S... 160000 160000 160000 aa bb vendor/lib2",
            "u UU N... 100644 100644 100644 100644 aa bb cc both",
            "? un tracked\n\x1b[31m",
            "! ignored",
            "1 .D N... 100644 100644 000000 aa aa gone",
            "",
        ];
        let expected = [
            "a b.txt (modified)",
            "new (added, staged)",
            "vendor/lib (submodule: another commit, modified inside, untracked files inside)",
            "vendor/lib2 (modified, staged)",
            "both (in conflict)",
            "un tracked\u{fffd}\u{fffd}[31m (untracked)",
            "gone (deleted)",
        ];
        assert_eq!(parse(&text.join("\0")), expected);
        assert!(parse("").is_empty());
    }

    #[test]
    fn what_is_ignored_is_said_in_gits_own_way() {
        for (pattern, expected) in [
            ("*.log", ":(exclude,top)*.log"),
            (":/docs", ":(exclude,top)docs"),
            (":(glob)docs/*.md", ":(exclude,top,glob)docs/*.md"),
            (":(icase,top)README", ":(exclude,top,icase,top)README"),
        ] {
            assert_eq!(excluding(pattern), expected);
        }
    }
}
