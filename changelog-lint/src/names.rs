//! The names of the sections within a release: the six of Keep a Changelog, what people write instead, and what tools that
//! write changelogs by themselves use.

/// The six, in the order in which Keep a Changelog lists them.
pub const KEEP_A_CHANGELOG: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
/// The four of Common Changelog, in their order.
pub const COMMON_CHANGELOG: [&str; 4] = ["Changed", "Added", "Removed", "Fixed"];

/// What people write, and which of the six is meant.
const MEANT: &[(&str, &[&str])] = &[
    (
        "Added",
        &[
            "add",
            "adds",
            "addition",
            "additions",
            "new",
            "new feature",
            "new features",
            "feature",
            "features",
            "new additions",
        ],
    ),
    (
        "Changed",
        &[
            "change",
            "changes",
            "improved",
            "improvement",
            "improvements",
            "updated",
            "updates",
            "update",
            "modified",
        ],
    ),
    ("Deprecated", &["deprecate", "deprecates", "deprecation", "deprecations"]),
    ("Removed", &["remove", "removes", "removal", "removals", "deleted", "dropped"]),
    (
        "Fixed",
        &[
            "fix",
            "fixes",
            "bug",
            "bugs",
            "bugfix",
            "bugfixes",
            "bug fix",
            "bug fixes",
            "fixed bugs",
            "bugs fixed",
        ],
    ),
    (
        "Security",
        &["security fix", "security fixes", "security update", "security updates", "vulnerabilities"],
    ),
];

/// Names that are common and none of the six.
const OTHERS: &[&str] = &[
    "other",
    "others",
    "misc",
    "miscellaneous",
    "miscellaneous chores",
    "chores",
    "chore",
    "commits",
    "merged",
    "contributors",
    "thanks",
    "documentation",
    "docs",
    "performance",
    "performance improvements",
    "reverts",
    "revert",
    "refactor",
    "refactoring",
    "code refactoring",
    "code refactors",
    "internal",
    "dependencies",
    "dependency updates",
    "breaking change",
    "breaking changes",
    "breaking",
    "build",
    "build system",
    "ci",
    "continuous integration",
    "tests",
    "testing",
    "style",
    "styles",
    "packaging",
    "notes",
    "upgrade notes",
    "migration",
    "what's changed",
    "whats changed",
    "new contributors",
    "full changelog",
    "highlights",
    "release highlights",
    "known issues",
    "yanked",
    "enhancements",
    "notable changes",
    "notable internal changes",
    "miscellaneous tasks",
    "user-facing changes",
    "api changes",
    "documented",
    "upgrading",
    "features/improvements",
];

/// A name without decoration: emoji, colons and case do not count.
fn plain(name: &str) -> String {
    let edge = |c: char| !c.is_alphanumeric();
    name.trim_matches(edge).to_lowercase()
}

/// Whether a heading is one of those that stand within a release, however it is decorated.
pub fn is_known(name: &str) -> bool {
    let plain = plain(name);
    meant(&plain).is_some() || OTHERS.contains(&plain.as_str())
}

/// The one of the six that is called so, in any case and decoration.
pub fn exact(name: &str) -> Option<&'static str> {
    KEEP_A_CHANGELOG.into_iter().find(|known| *known == name.trim())
}

/// The one of the six that differs only in case or decoration.
pub fn decorated(name: &str) -> Option<&'static str> {
    exact(name).or_else(|| {
        let plain = plain(name);
        KEEP_A_CHANGELOG.into_iter().find(|known| known.eq_ignore_ascii_case(&plain))
    })
}

/// The one of the six that is meant.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let plain = plain(name);
    meant(&plain).or_else(|| mistyped(&plain))
}

fn meant(plain: &str) -> Option<&'static str> {
    let six = KEEP_A_CHANGELOG.into_iter().find(|known| known.eq_ignore_ascii_case(plain));
    six.or_else(|| MEANT.iter().find(|(_, words)| words.contains(&plain)).map(|(known, _)| *known))
}

fn mistyped(plain: &str) -> Option<&'static str> {
    if plain.len() > 16 || OTHERS.contains(&plain) {
        return None;
    }
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), plain);
    KEEP_A_CHANGELOG.into_iter().find(|known| distance(known) <= 1 + known.len() / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_name_is_suggested_and_no_wrong_one() {
        for (name, meant) in [
            ("Fixes", Some("Fixed")),
            ("🐛 Bug Fixes", Some("Fixed")),
            ("added:", Some("Added")),
            ("Addded", Some("Added")),
            ("Chnaged", Some("Changed")),
            ("Depreciated", Some("Deprecated")),
            ("Documentation", None),
            ("Ported", None),
        ] {
            assert_eq!(suggestion(name), meant, "{name}");
        }
        assert!(is_known("⚠ BREAKING CHANGES") && !is_known("Contents"));
    }
}
