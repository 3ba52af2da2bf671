//! The migrations between two commits, as git has them.

use git_program::Git;
use serde::{Deserialize, Serialize};
use step::Failure;

use crate::sql::{Class, Judge};

/// One file of the range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// From the repository's root.
    pub path: String,
    /// The worst of its statements.
    pub class: Class,
    /// What is more than an addition, with its line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// The fact `migrations`: what lies between two builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The worst of its files.
    pub class: Class,
    /// The previous build, 40 hex digits, if it could be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The build after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// In the order in which they are run.
    pub files: Vec<File>,
    /// Why nothing can be said, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Range {
    /// Nothing can be said.
    pub fn unknown(problem: String) -> Self {
        Range { class: Class::Unknown, from: None, to: None, files: Vec::new(), problem: Some(problem) }
    }
}

/// The fact `applied`: which migrations the database says were applied, and where it says so.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Applied {
    /// The migration tool's table.
    pub table: String,
    /// As that table has them.
    pub names: Vec<String>,
}

impl Applied {
    /// Whether the table can be believed about what it does not name: it must name all that ran long before. A tool that keeps the last
    /// number alone, or calls its files by other names than git does, would make everything look as if it had never run.
    pub fn is_whole(&self, before: &[String]) -> bool {
        !before.is_empty() && before.iter().all(|path| self.has(path))
    }

    /// The names that are surely of migrations, and of none of these; none where the table calls no migration as git does.
    pub fn beyond(&self, known: &[String]) -> Vec<&str> {
        if !known.iter().any(|path| self.has(path)) {
            return Vec::new();
        }
        let is_known = |name: &str| {
            let one = Applied { table: String::new(), names: vec![name.to_owned()] };
            known.iter().any(|path| one.has(path))
        };
        self.names.iter().map(String::as_str).filter(|name| is_sure(name) && !is_known(name)).collect()
    }

    /// Whether a migration is among them: by its path, its file's name, or the number that it begins with.
    fn has(&self, path: &str) -> bool {
        let file = path.rsplit('/').next().unwrap_or(path);
        let stem = file.strip_suffix(".sql").unwrap_or(file);
        let digits = stem.len() - stem.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = Some(&stem[..digits]).filter(|n| n.len() >= 3);
        let rest = stem[digits..].trim_start_matches(['_', '-']);
        self.names.iter().any(|name| {
            [path, file, stem].contains(&name.as_str())
                || Some(name.as_str()) == number
                || (!rest.is_empty() && name == rest)
        })
    }
}

/// Whether a name in such a table is surely that of a migration, and no description or number of a line: an instant, or a file.
fn is_sure(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &name[digits..];
    (digits >= 8 && (rest.is_empty() || rest.starts_with('_'))) || (digits >= 3 && rest.ends_with(".sql"))
}

impl Range {
    /// With what the database has and neither build: it came later, and what it has done to the data nobody here can say.
    #[must_use]
    pub fn beyond(self, names: &[&str], table: &str) -> Self {
        if names.is_empty() {
            return self;
        }
        let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        let problem = format!("{table} says that {shown} was applied, which neither of the two builds has");
        Range { class: Class::Unknown, problem: Some(problem), ..self }
    }

    /// Without what git has and the database, whose table is whole, does not: it was never applied, so nothing of it can be in the way.
    pub fn applied(mut self, applied: &Applied) -> Self {
        for file in self.files.iter_mut().filter(|f| f.class > Class::None && !applied.has(&f.path)) {
            file.class = Class::None;
            file.why = vec![format!("was not applied, by {}", applied.table)];
        }
        self.class =
            self.files.iter().map(|f| f.class).max().unwrap_or(Class::None).max(match self.problem {
                Some(_) => Class::Unknown,
                None => Class::None,
            });
        self
    }
}

/// The migrations that a commit has.
pub fn paths(git: &Git, folder: &str, commit: &str) -> Result<Vec<String>, Failure> {
    let folder = folder.trim_matches('/');
    let args = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--", folder];
    let listed = git.ask(&args, b"")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(listed.split('\0').filter(|path| path.ends_with(".sql")).map(str::to_owned).collect())
}

/// The commit that a name leads to here, if it does.
pub fn commit(git: &Git, name: &str) -> Result<Option<String>, Failure> {
    let said = git
        .run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")], b"")?;
    Ok(Some(said.text()).filter(|id| said.status.success() && !id.is_empty()))
}

/// Reads and judges what lies between two commits.
pub fn read(git: &Git, folder: &str, from: &str, to: &str) -> Result<Range, Failure> {
    let place = format!(":(top,glob){}/**/*.sql", folder.trim_matches('/'));
    let listed = git.ask(&["diff", "--name-status", "--no-renames", "-z", from, to, "--", &place], b"")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let words: Vec<&str> = listed.split('\0').filter(|w| !w.is_empty()).collect();
    let mut pairs: Vec<(&str, &str)> = words.chunks_exact(2).map(|p| (p[1], p[0])).collect();
    // Migrations are run in the order of their names.
    pairs.sort_unstable();
    let mut judge = Judge::default();
    let files = pairs.into_iter().map(|(path, status)| file(git, &mut judge, to, path, status));
    let files: Vec<File> = files.collect::<Result<_, _>>()?;
    if files.is_empty()
        && paths(git, folder, from)?.is_empty()
        && paths(git, folder, to)?.is_empty()
        && let Some(path) = elsewhere(git, to)?
    {
        let message = format!(
            "{folder} has no migration in either build, and {path} looks like one: set `migrations` in [release-gate] to the folder of the migrations"
        );
        return Ok(Range::unknown(message));
    }
    let class = files.iter().map(|f| f.class).max().unwrap_or(Class::None);
    Ok(Range { class, from: Some(from.to_owned()), to: Some(to.to_owned()), files, problem: None })
}

/// A file that looks like a migration, anywhere in a commit: a folder that is set wrongly must not read as "none".
fn elsewhere(git: &Git, commit: &str) -> Result<Option<String>, Failure> {
    let listed = git.ask(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit], b"")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let of_others = |path: &str| path.split('/').any(|part| ["node_modules", "vendor"].contains(&part));
    let is_one = |path: &&str| {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_ascii_lowercase();
        path.ends_with(".sql") && folder.contains("migration") && !of_others(path)
    };
    Ok(listed.split('\0').find(is_one).map(str::to_owned))
}

fn file(git: &Git, judge: &mut Judge, to: &str, path: &str, status: &str) -> Result<File, Failure> {
    let path = path.to_owned();
    let strange =
        |why: &str| Ok(File { path: path.clone(), class: Class::Unknown, why: vec![why.to_owned()] });
    match status {
        "A" => {
            let sql = git.ask(&["cat-file", "blob", &format!("{to}:{path}")], b"")?.stdout;
            let (class, findings) = judge.file(&String::from_utf8_lossy(&sql));
            let why = findings.iter().map(|f| format!("line {} {}", f.line, f.why)).collect();
            Ok(File { path, class, why })
        }
        "D" => strange("is only in the previous build: the two builds are on different lines"),
        _ => strange("was changed after it was written: which version of it ran is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_applied_is_in_the_way() {
        let file = |path: &str| File { path: path.into(), class: Class::Contract, why: Vec::new() };
        let files = vec![file("db/migrations/20261124090000_prices.sql")];
        let range = Range { class: Class::Contract, from: None, to: None, files, problem: None };
        let class = |names: &[&str]| {
            let names = names.iter().map(|n| (*n).to_owned()).collect();
            range.clone().applied(&Applied { table: "schema_migrations".into(), names }).class
        };
        assert_eq!(class(&[]), Class::None);
        assert_eq!(class(&["20261123090000"]), Class::None);
        for name in [
            "20261124090000",
            "20261124090000_prices",
            "20261124090000_prices.sql",
            "db/migrations/20261124090000_prices.sql",
            "prices",
        ] {
            assert_eq!(class(&[name]), Class::Contract, "{name}");
        }
    }
}
