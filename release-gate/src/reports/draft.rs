//! What was counted so far, and the first of what is wrong. It becomes a report once, and there everything is redacted and cut, so that no tool's
//! module can forget it.

use std::fmt;
use std::path::Path;

use super::fold::Text;
use super::hidden::Hidden;
use super::shortened::MOST;
use super::{Report, Tool, Wrong};

/// So many things that are wrong are kept.
const WRONG: usize = 20;
/// So many characters of a message and of a name.
const LENGTH: usize = 300;
const NAME: usize = 200;

/// How tests ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub flaky: u64,
    pub skipped: u64,
}

impl Counts {
    pub fn total(&self) -> u64 {
        [self.failed, self.flaky, self.skipped].into_iter().fold(self.passed, u64::saturating_add)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Counts { passed, failed, flaky, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {flaky} flaky, {skipped} skipped")
    }
}

/// A report in the making.
#[derive(Debug, Default)]
pub struct Draft {
    pub version: Text,
    /// The folder that files are named from in the report.
    pub base: Text,
    pub counts: Counts,
    pub warnings: u64,
    pub outside: u64,
    pub hidden: Hidden,
    outer: Vec<Wrong>,
    inner: Vec<Wrong>,
    retried: Vec<Wrong>,
}

impl Draft {
    pub fn passed(&mut self) {
        self.counts.passed = self.counts.passed.saturating_add(1);
    }

    pub fn skipped(&mut self) {
        self.counts.skipped = self.counts.skipped.saturating_add(1);
    }

    pub fn failed(&mut self, wrong: Wrong) {
        self.counts.failed = self.counts.failed.saturating_add(1);
        push(&mut self.inner, wrong);
    }

    pub fn flaky(&mut self, wrong: Wrong) {
        self.counts.flaky = self.counts.flaky.saturating_add(1);
        push(&mut self.retried, wrong);
    }

    pub fn outside(&mut self, wrong: Wrong) {
        self.outside = self.outside.saturating_add(1);
        push(&mut self.outer, wrong);
    }

    /// One more of what is wrong with something that was counted already.
    pub fn also(&mut self, wrong: Wrong) {
        push(&mut self.inner, wrong);
    }

    /// Whether it names nothing that is wrong.
    pub fn is_silent(&self) -> bool {
        self.outer.is_empty() && self.inner.is_empty()
    }

    /// Adds what was found in a part.
    pub fn add(&mut self, part: Draft) {
        for (sum, count) in [
            (&mut self.counts.passed, part.counts.passed),
            (&mut self.counts.failed, part.counts.failed),
            (&mut self.counts.flaky, part.counts.flaky),
            (&mut self.counts.skipped, part.counts.skipped),
            (&mut self.warnings, part.warnings),
            (&mut self.outside, part.outside),
        ] {
            *sum = sum.saturating_add(count);
        }
        part.outer.into_iter().for_each(|wrong| push(&mut self.outer, wrong));
        part.inner.into_iter().for_each(|wrong| push(&mut self.inner, wrong));
        part.retried.into_iter().for_each(|wrong| push(&mut self.retried, wrong));
    }

    /// Names what is wrong after what it is a part of, and where that is.
    pub fn within(&mut self, title: &str, file: &Text, line: Option<u64>) {
        for wrong in self.outer.iter_mut().chain(&mut self.inner).chain(&mut self.retried) {
            wrong.name = below(title, &wrong.name);
            if wrong.file.is_none() {
                wrong.file = file.clone().some();
                wrong.line = wrong.line.or(line);
            }
        }
    }

    /// Takes what the report says about itself: where that is worse than what it lists, it counts, and it must list what it announces.
    pub fn announced(&mut self, announced: Counts, total: u64) {
        let listed = self.counts;
        self.counts = Counts {
            passed: listed.passed.min(announced.passed),
            failed: listed.failed.max(announced.failed),
            flaky: listed.flaky.max(announced.flaky),
            skipped: listed.skipped.max(announced.skipped),
        };
        if listed.total() != total {
            let message = format!("it announces {total} tests, and lists {} ({listed})", listed.total());
            self.outside(Wrong { name: "the report".into(), message, ..Wrong::default() });
        }
    }

    /// The report, without anything that may be a secret.
    pub fn report(self, tool: Tool, root: &Path) -> Report {
        let Counts { passed, failed, flaky, skipped } = self.counts;
        let root = root.to_str().unwrap_or_default();
        let hidden = &self.hidden;
        let base = hidden.clean(&self.base.0, MOST);
        let clean = |wrong: Wrong| match hidden.too_many {
            // Nobody can say any more what is a secret.
            true => Wrong::default(),
            false => Wrong {
                name: hidden.clean(&wrong.name, NAME),
                file: wrong.file.map(|file| place(&hidden.clean(&file, MOST), root, &base)),
                line: wrong.line.filter(|line| *line > 0),
                message: hidden.clean(&wrong.message, LENGTH),
            },
        };
        let wrong = self.outer.into_iter().chain(self.inner).chain(self.retried).take(WRONG);
        Report {
            tool,
            version: self.version.some().filter(|version| is_version(version)),
            total: self.counts.total(),
            passed,
            failed,
            flaky,
            skipped,
            warnings: self.warnings,
            outside: self.outside,
            wrong: wrong.map(clean).collect(),
        }
    }
}

fn push(list: &mut Vec<Wrong>, wrong: Wrong) {
    if list.len() < WRONG {
        list.push(wrong);
    }
}

/// A name with that of what it is a part of, and not endless.
fn below(title: &str, name: &str) -> String {
    match (title.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => title.to_owned(),
        _ if name.len() > 2 * MOST => name.to_owned(),
        _ => format!("{title} › {name}"),
    }
}

fn is_version(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

/// A file as people here know it: from the repository on, else as the report names it, else only its end.
fn place(file: &str, root: &str, base: &str) -> String {
    let file = file.replace('\\', "/");
    let file = file.strip_prefix("file://").unwrap_or(&file);
    let here = |path: &str| Some(path.strip_prefix(root)?.strip_prefix('/')?.to_owned());
    let drive = file.split_once(":/").is_some_and(|(drive, _)| drive.len() == 1);
    let is_absolute = file.starts_with('/') || drive;
    let joined = if is_absolute { here(file) } else { here(&format!("{base}/{file}")) };
    let inside = joined.filter(|path| !root.is_empty() && !path.split('/').any(|part| part == ".."));
    let end = || {
        let parts: Vec<&str> = file.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
        parts[parts.len().saturating_sub(3)..].join("/")
    };
    let shown = match inside {
        Some(path) => path,
        None if is_absolute || file.split('/').any(|part| part == "..") => end(),
        None => file.to_owned(),
    };
    shown.chars().take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_repository() {
        for (file, base, shown) in [
            ("/srv/shop/src/a.js", "", "src/a.js"),
            ("/srv/shopping/src/deep/a.js", "", "src/deep/a.js"),
            ("/home/ann/work/x/src/a.js", "", "x/src/a.js"),
            ("/a.js", "", "a.js"),
            ("file:///srv/shop/a.js", "", "a.js"),
            ("C:\\work\\shop\\x\\src\\a.js", "", "x/src/a.js"),
            ("api.spec.ts", "/srv/shop/pw/tests", "pw/tests/api.spec.ts"),
            ("api.spec.ts", "/elsewhere/tests", "api.spec.ts"),
            ("deep/in/a/api.spec.ts", "", "deep/in/a/api.spec.ts"),
            ("../../x/y/z/a.js", "/srv/shop/pw", "y/z/a.js"),
            ("/srv/shop/../other/a.js", "", "shop/other/a.js"),
            ("/", "", ""),
        ] {
            assert_eq!(place(file, "/srv/shop", base), shown, "{file} in {base}");
        }
        assert_eq!(place("/a/b/c/d.js", "", ""), "b/c/d.js", "no root is not the root of all");
    }
}
