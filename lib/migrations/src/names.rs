//! Which files a team's runner runs, in which order, and which part of each. A file that the runner would skip without a word is said
//! here: what is left out of a release looks as if it had been done. By the runners' own sources: dbmate 2, Supabase CLI 2, sqlx 0.9. Pure.

use std::cmp::Ordering;

use crate::directive;
use crate::statements::{Statement, statements};

/// Who runs a team's migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// dbmate.
    Dbmate,
    /// The Supabase CLI.
    Supabase,
    /// sqlx-cli, or the program's own `migrate!`.
    Sqlx,
    /// Numbered files without anything of a tool in them.
    Plain,
}

/// A migration's file as its runner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As it was given.
    pub path: String,
    /// As the runner's table has it: the leading digits; for sqlx the number, without leading zeros.
    pub version: String,
    /// What stands behind the version: `add_orders` of `20260101000000_add_orders.sql`; for sqlx with spaces, as its table has it.
    pub name: String,
    /// The version as a number, for ordering; `None` where it has more than 38 digits.
    pub number: Option<u128>,
}

/// The part of a file that is run when it is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up<'t> {
    /// What is sent to the server.
    pub sql: &'t str,
    /// Whether all of it takes effect or nothing.
    pub transaction: bool,
    /// The line of the file on which `sql` begins, from 1.
    pub line: u64,
}

/// What makes sqlx leave out the transaction, as the very first bytes of a file.
const NO_TRANSACTION: &str = "-- no-transaction";

impl Runner {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Runner::Dbmate => "dbmate",
            Runner::Supabase => "supabase",
            Runner::Sqlx => "sqlx",
            Runner::Plain => "plain",
        }
    }

    /// All of them.
    pub fn all() -> [Runner; 4] {
        [Runner::Dbmate, Runner::Supabase, Runner::Sqlx, Runner::Plain]
    }

    /// The one that a word names.
    pub fn of(word: &str) -> Option<Runner> {
        Runner::all().into_iter().find(|runner| runner.word() == word)
    }

    /// The file of a path in the folder; both from the repository's root. `Ok(None)` when the runner does not run it and nobody expects it
    /// to: it is not in the folder itself, not `.sql`, or a `.down.sql` of sqlx. `Err` says, as a clause about the file, why the runner would refuse it or
    /// skip it without a word.
    pub fn named(self, folder: &str, path: &str) -> Result<Option<Named>, String> {
        let folder = folder.trim_start_matches("./").trim_matches('/');
        let inside = if folder.is_empty() || folder == "." {
            Some(path)
        } else {
            path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
        };
        let Some(file) = inside.filter(|file| !file.contains('/')) else { return Ok(None) };
        let Some(stem) = file.strip_suffix(".sql") else {
            return if file.to_ascii_lowercase().ends_with(".sql") {
                Err(format!("is skipped by {}, which reads `.sql` in small letters alone", self.word()))
            } else {
                Ok(None)
            };
        };
        if file.contains(['\n', '\r']) {
            return Err("has a line break in its name".to_owned());
        }
        match self {
            Runner::Dbmate => dbmate(path, stem).map(Some),
            Runner::Supabase => supabase(path, stem).map(Some),
            Runner::Sqlx => sqlx(path, stem),
            Runner::Plain => plain(path, stem).map(Some),
        }
    }

    /// The part that is run when it is deployed. dbmate: from the line behind `-- migrate:up` to `-- migrate:down`; the others: all of it.
    /// `transaction` is false for dbmate's `transaction:false`, for a file of sqlx or plain that begins with `-- no-transaction`, and for a file of
    /// Supabase with a statement that its CLI runs outside of the file's transaction. `Err` says, as a clause about the file, why the runner would refuse
    /// it, or why its versions do not read it alike.
    pub fn up<'t>(self, text: &'t str) -> Result<Up<'t>, String> {
        let all = |transaction| Ok(Up { sql: text, transaction, line: 1 });
        match self {
            Runner::Dbmate => directive::up(text),
            // An unreadable file fails as a whole.
            Runner::Supabase => all(!statements(text).is_ok_and(|all| all.iter().any(stands_alone))),
            Runner::Sqlx => all(!text.starts_with(NO_TRANSACTION)),
            Runner::Plain => all(text.lines().next().map(str::trim_end) != Some(NO_TRANSACTION)),
        }
    }

    /// The order in which pending files run: dbmate and Supabase go by the bytes of the names, the others by the number. `Equal` for two files
    /// between which the runner cannot choose, and only for these; use [`Runner::doubled`] for versions that are there twice.
    pub fn cmp(self, a: &Named, b: &Named) -> Ordering {
        let file = |named: &Named| named.path.rsplit('/').next().unwrap_or_default().to_owned();
        let digits = |named: &Named| {
            let digits = named.version.trim_start_matches('0').to_owned();
            (digits.len(), digits)
        };
        match self {
            Runner::Dbmate | Runner::Supabase => file(a).cmp(&file(b)),
            Runner::Sqlx | Runner::Plain => digits(a).cmp(&digits(b)),
        }
    }

    /// Two files of one version: the table of what was applied can name only one of them.
    pub fn doubled(self, files: &[Named]) -> Option<(&Named, &Named)> {
        let same = |a: &Named, b: &Named| match self {
            Runner::Dbmate | Runner::Supabase => a.version == b.version,
            Runner::Sqlx | Runner::Plain => self.cmp(a, b) == Ordering::Equal,
        };
        files
            .iter()
            .enumerate()
            .find_map(|(at, a)| files[at + 1..].iter().find(|b| same(a, b)).map(|b| (a, b)))
    }
}

/// Whether the Supabase CLI sends a statement by itself, after what stands before it was committed; older ones fail at it.
fn stands_alone(statement: &Statement) -> bool {
    let begins = |word| statement.is(word);
    let concurrently = statement.tokens.iter().take(6).any(|t| t.is("concurrently"));
    begins("vacuum")
        || begins("cluster")
        || (begins("alter") && statement.tokens.get(1).is_some_and(|t| t.is("system")))
        || (concurrently && (begins("create") || begins("drop") || begins("reindex")))
}

/// The leading digits of a name, and the rest.
fn digits(stem: &str) -> (&str, &str) {
    let end = stem.find(|c: char| !c.is_ascii_digit()).unwrap_or(stem.len());
    stem.split_at(end)
}

fn found(path: &str, version: &str, name: &str) -> Named {
    let number = if version.len() <= 38 { version.parse().ok() } else { None };
    Named { path: path.to_owned(), version: version.to_owned(), name: name.to_owned(), number }
}

fn dbmate(path: &str, stem: &str) -> Result<Named, String> {
    match digits(stem) {
        ("", _) => {
            Err("is skipped by dbmate: its name must begin with digits, such as 20260101000000_name.sql"
                .to_owned())
        }
        (version, rest) => Ok(found(path, version, rest.trim_start_matches(['_', '-']))),
    }
}

fn supabase(path: &str, stem: &str) -> Result<Named, String> {
    let (version, rest) = digits(stem);
    let Some(name) = rest.strip_prefix('_').filter(|_| !version.is_empty()) else {
        return Err("is skipped by the Supabase CLI: its name must be 20260101000000_name.sql".to_owned());
    };
    // Files of the CLI's first versions, which it leaves out where they come first.
    if name == "init" && version.len() == 14 && version < "20211209000000" {
        return Err("is skipped by the Supabase CLI, which takes an `_init.sql` from before 2021-12-09 for its own: give it another name".to_owned());
    }
    Ok(found(path, version, name))
}

fn sqlx(path: &str, stem: &str) -> Result<Option<Named>, String> {
    let Some((number, rest)) = stem.split_once('_') else {
        return Err("is skipped by sqlx: its name must be 20260101000000_name.sql".to_owned());
    };
    // It takes a sign too, which no name should have: what sorts first is then not what one sees.
    let number: i64 =
        number.parse().ok().filter(|n| *n > 0 && number.bytes().all(|b| b.is_ascii_digit())).ok_or_else(
            || format!("is refused by sqlx, with all other files: {number} is no number of a migration"),
        )?;
    if rest.ends_with(".down") {
        return Ok(None);
    }
    let rest = rest.strip_suffix(".up").unwrap_or(rest);
    Ok(Some(found(path, &number.to_string(), &rest.replace('_', " "))))
}

fn plain(path: &str, stem: &str) -> Result<Named, String> {
    let (version, rest) = digits(stem);
    match rest.strip_prefix(['_', '-']) {
        Some(name) if !version.is_empty() => Ok(found(path, version, name)),
        _ => Err("has no number in front: its name must be 0001_name.sql or 0001-name.sql".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(runner: Runner, file: &str) -> Result<Option<(String, String)>, String> {
        let found = runner.named("./db/migrations/", &format!("db/migrations/{file}"))?;
        Ok(found.map(|n| (n.version, n.name)))
    }

    #[test]
    fn each_runner_has_its_own_names() {
        use Runner::{Dbmate, Plain, Sqlx, Supabase};
        let long = "20260101000000_add_orders.sql";
        for (runner, file, expected) in [
            (Dbmate, long, Some(("20260101000000", "add_orders"))),
            (Dbmate, "007.sql", Some(("007", ""))),
            (Dbmate, "1-a.down.sql", Some(("1", "a.down"))),
            (Supabase, long, Some(("20260101000000", "add_orders"))),
            (Supabase, "1_.sql", Some(("1", ""))),
            (Supabase, "20260101000000_init.sql", Some(("20260101000000", "init"))),
            (Sqlx, long, Some(("20260101000000", "add orders"))),
            (Sqlx, "0007_a_b.up.sql", Some(("7", "a b"))),
            (Sqlx, "0007_a_b.down.sql", None),
            (Plain, "0007-a.sql", Some(("0007", "a"))),
            (Plain, "0007_a_b.sql", Some(("0007", "a_b"))),
            (Plain, "sub/0007_a.sql", None),
            (Dbmate, "sub/0007_a.sql", None),
            (Sqlx, "README.md", None),
        ] {
            let expected = expected.map(|(version, name)| (version.to_owned(), name.to_owned()));
            assert_eq!(named(runner, file), Ok(expected), "{runner:?} {file}");
        }
        assert_eq!(Dbmate.named("db/migrations", "db/migrations2/1_a.sql"), Ok(None));
        assert!(Dbmate.named("", "1_a.sql").is_ok_and(|n| n.is_some()));
    }

    #[test]
    fn what_a_runner_would_skip_or_refuse_is_said() {
        use Runner::{Dbmate, Plain, Sqlx, Supabase};
        for (runner, file) in [
            (Dbmate, "add_orders.sql"),
            (Dbmate, "1_a.SQL"),
            (Dbmate, "1_a\nb.sql"),
            (Supabase, "20260101000000-a.sql"),
            (Supabase, "20260101000000.sql"),
            (Supabase, "20210101000000_init.sql"),
            (Sqlx, "V1_a.sql"),
            (Sqlx, "-1_a.sql"),
            (Sqlx, "0_a.sql"),
            (Sqlx, "+1_a.down.sql"),
            (Sqlx, "20260101000000.sql"),
            (Sqlx, "99999999999999999999_a.sql"),
            (Plain, "a.sql"),
            (Plain, "1a.sql"),
        ] {
            assert!(named(runner, file).is_err(), "{runner:?} {file}");
        }
    }

    #[test]
    fn files_run_in_the_order_of_their_runner() {
        let of = |runner: Runner, file: &str| {
            runner.named("m", &format!("m/{file}")).expect("a name").expect("a migration")
        };
        let ordered = |runner: Runner, a: &str, b: &str| runner.cmp(&of(runner, a), &of(runner, b));
        assert_eq!(ordered(Runner::Dbmate, "10_a.sql", "9_a.sql"), Ordering::Less);
        assert_eq!(ordered(Runner::Supabase, "10_a.sql", "9_a.sql"), Ordering::Less);
        assert_eq!(ordered(Runner::Sqlx, "10_a.sql", "9_a.sql"), Ordering::Greater);
        assert_eq!(ordered(Runner::Plain, "0010_a.sql", "9_a.sql"), Ordering::Greater);
        let doubled =
            |runner: Runner, a: &str, b: &str| runner.doubled(&[of(runner, a), of(runner, b)]).is_some();
        assert!(doubled(Runner::Dbmate, "1_a.sql", "1_b.sql"));
        assert!(!doubled(Runner::Dbmate, "1_a.sql", "01_b.sql"));
        assert!(doubled(Runner::Sqlx, "1_a.sql", "01_b.up.sql"));
        assert!(doubled(Runner::Plain, "1_a.sql", "01_b.sql"));
        assert_eq!(of(Runner::Plain, "0007_a.sql").number, Some(7));
        assert_eq!(of(Runner::Dbmate, &format!("{}_a.sql", "9".repeat(40))).number, None);
    }

    #[test]
    fn who_wants_no_transaction_gets_none() {
        for (runner, text, expected) in [
            (Runner::Sqlx, "-- no-transaction\nselect 1", false),
            (Runner::Sqlx, "-- no-transaction, because\nselect 1", false),
            (Runner::Sqlx, "\n-- no-transaction\nselect 1", true),
            (Runner::Sqlx, "--no-transaction\nselect 1", true),
            (Runner::Plain, "-- no-transaction\r\nselect 1", false),
            (Runner::Plain, "-- no-transactions please\nselect 1", true),
            (Runner::Plain, "", true),
            (Runner::Supabase, "-- no-transaction\nselect 1", true),
            (Runner::Supabase, "select 1; create unique index concurrently i on t (a)", false),
            (Runner::Supabase, "drop index concurrently i", false),
            (Runner::Supabase, "refresh materialized view concurrently v", true),
            (Runner::Supabase, "vacuum orders", false),
            (Runner::Supabase, "select 'a", true),
        ] {
            let up = runner.up(text).expect("one part");
            assert_eq!((up.sql, up.transaction, up.line), (text, expected, 1), "{runner:?} {text}");
        }
    }

    #[test]
    fn a_runner_has_a_word() {
        for runner in Runner::all() {
            assert_eq!(Runner::of(runner.word()), Some(runner));
        }
        assert_eq!(Runner::of("flyway"), None);
    }
}
