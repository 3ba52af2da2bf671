//! dbmate's `-- migrate:up` and `-- migrate:down`, as dbmate finds them: by lines, without reading SQL. Where its versions differ, and where
//! it would cut through a string, nothing is guessed. Pure.

use crate::lex::{self, Kind};
use crate::names::Up;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// A line that dbmate takes for the beginning of a part.
struct Directive<'t> {
    way: Way,
    start: usize,
    /// Of the line behind it.
    end: usize,
    options: &'t str,
}

/// What Go's `\s` is.
const SPACE: [char; 5] = [' ', '\t', '\n', '\r', '\x0c'];

fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let word = line.strip_prefix("--").map(|rest| rest.trim_start_matches(SPACE));
        let parts = [("migrate:up", Way::Up), ("migrate:down", Way::Down)];
        for (begin, way) in parts {
            let options = word.and_then(|word| word.strip_prefix(begin));
            if let Some(options) = options.filter(|rest| rest.is_empty() || rest.starts_with(SPACE)) {
                found.push(Directive { way, start, end, options });
            }
        }
        start = end;
    }
    found
}

/// The way up, or a clause about the file.
pub(crate) fn up(text: &str) -> Result<Up<'_>, String> {
    let found = directives(text);
    let (up, down) = match found.as_slice() {
        [up, down] if (up.way, down.way) == (Way::Up, Way::Down) => (up, down),
        found => return Err(refused(found)),
    };
    // Its `\s` takes line breaks too.
    if let Some(line) = split(text) {
        return Err(format!(
            "has `--` alone before `migrate:` on line {line}, which dbmate takes for one: write them on one line"
        ));
    }
    let is_empty =
        |line: &str| line.trim_matches(SPACE).is_empty() || line.trim_start_matches(SPACE).starts_with("--");
    if !text[..up.start].split('\n').all(is_empty) {
        return Err("has more than comments before `-- migrate:up`, which dbmate refuses".to_owned());
    }
    let is_comment = |d: &Directive| is_comment(text, d.start);
    if !is_comment(up) || !is_comment(down) {
        return Err(
            "has `-- migrate:down` in a string or a comment, where dbmate cuts it: take it out of there"
                .to_owned(),
        );
    }
    let sql = &text[up.end..down.start];
    let line = text[..up.end].bytes().filter(|b| *b == b'\n').count();
    Ok(Up { sql, transaction: transaction(up.options), line: u64::try_from(line).unwrap_or(0) + 1 })
}

fn refused(found: &[Directive]) -> String {
    let count = |way| found.iter().filter(|d| d.way == way).count();
    match (count(Way::Up), count(Way::Down)) {
        (0, _) => "has no `-- migrate:up`, which dbmate asks for".to_owned(),
        (1, 0) => "has no `-- migrate:down`, which dbmate asks for".to_owned(),
        (1, 1) => "has `-- migrate:down` before `-- migrate:up`, which dbmate refuses".to_owned(),
        _ => "has `-- migrate:up` or `-- migrate:down` more than once, which dbmate's versions do not read alike: make a file of each".to_owned(),
    }
}

/// The line of a `--` whose `migrate:` stands on a later one.
fn split(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.split('\n').collect();
    let alone = |line: &str| line.strip_prefix("--").is_some_and(|rest| rest.trim_matches(SPACE).is_empty());
    let goes_on = |rest: &[&str]| {
        let next = rest.iter().find(|line| !line.trim_matches(SPACE).is_empty());
        next.is_some_and(|line| line.trim_start_matches(SPACE).starts_with("migrate:"))
    };
    (0..lines.len()).find(|at| alone(lines[*at]) && goes_on(&lines[at + 1..])).map(|at| at + 1)
}

/// `transaction:false` among the options; the last one counts.
fn transaction(options: &str) -> bool {
    let mut pairs = options.split(SPACE).filter_map(|word| word.strip_prefix("transaction:"));
    pairs.rfind(|value| !value.contains(':')) != Some("false")
}

/// Whether a comment begins at a place, for whoever reads SQL. What cannot be read to there is nothing that could be cut wrongly: the server will
/// refuse it.
fn is_comment(text: &str, at: usize) -> bool {
    match lex::all(text) {
        Ok(tokens) => tokens.iter().any(|t| t.kind == Kind::Comment && t.at == at),
        // The way down, which is not run, may be anything.
        Err(_) => lex::all(&text[..at]).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_is_what_dbmate_runs() {
        for (text, sql, transaction, line) in [
            ("-- migrate:up\nselect 1;\n-- migrate:down\nselect 2;", "select 1;\n", true, 2),
            ("--migrate:up\nselect 1;\n--migrate:down", "select 1;\n", true, 2),
            ("\n-- so\n  -- and so\n\n-- migrate:up\n\na;\n-- migrate:down\n", "\na;\n", true, 6),
            ("-- migrate:up transaction:false\na;\n-- migrate:down transaction:false\nb", "a;\n", false, 2),
            ("--\tmigrate:up\tfoo:bar transaction:false\r\na;\r\n-- migrate:down\r\n", "a;\r\n", false, 2),
            ("-- migrate:up transaction:true\na;\n-- migrate:down", "a;\n", true, 2),
            ("-- migrate:up transaction:false transaction:true\na;\n-- migrate:down", "a;\n", true, 2),
            ("-- migrate:up transaction: false\na;\n-- migrate:down", "a;\n", true, 2),
            (
                "-- migrate:upper\n-- migrate:up\n -- migrate:down\na;\n-- migrate:down",
                " -- migrate:down\na;\n",
                true,
                3,
            ),
            ("-- migrate:up\n-- migrate:down", "", true, 2),
            ("-- migrate:up\na;\n-- migrate:down a b\nc", "a;\n", true, 2),
            ("-- migrate:up\na;\n-- migrate:down\nselect 'it", "a;\n", true, 2),
        ] {
            assert_eq!(up(text), Ok(Up { sql, transaction, line }), "{text}");
        }
    }

    #[test]
    fn what_dbmate_refuses_or_its_versions_read_differently_is_refused() {
        for (text, why) in [
            ("select 1", "no `-- migrate:up`"),
            ("\u{feff}-- migrate:up\na;\n-- migrate:down", "no `-- migrate:up`"),
            ("-- migrate:up\na;", "no `-- migrate:down`"),
            ("-- migrate:up\na;\n-- migrate:downward", "no `-- migrate:down`"),
            ("-- migrate:down\na;\n-- migrate:up", "before `-- migrate:up`"),
            ("a;\n-- migrate:up\nb;\n-- migrate:down", "more than comments"),
            ("-- migrate:up\na;\n-- migrate:down\nb;\n-- migrate:up\nc;\n-- migrate:down", "more than once"),
            ("-- migrate:up\na;\n-- migrate:down\nb;\n-- migrate:down", "more than once"),
            ("-- migrate:up\nselect '\n-- migrate:down\n';", "in a string"),
            ("-- migrate:up\ndo $$\n-- migrate:down\n$$;", "in a string"),
            ("-- migrate:up\n/*\n-- migrate:down\n*/ drop table a;", "in a string"),
            ("-- migrate:up\na;\n--\n\nmigrate:down\nb;\n-- migrate:down", "alone before"),
        ] {
            let said = up(text).map(|u| u.sql.to_owned());
            assert!(said.as_ref().is_err_and(|e| e.contains(why)), "{text}: {said:?}");
        }
    }
}
