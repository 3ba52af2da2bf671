//! What PostgREST's answers mean: a page of rows, or why there is none, in a sentence with the remedy. Pure. An answer that does not say how
//! many rows there are, or brings fewer, is none.

use serde::Deserialize;

use super::rows::{Cell, MOST, Raw, shown};
use super::source::{Table, Trouble};
use crate::bounded::Bounded;

/// An answer, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub status: u16,
    /// `Content-Range`.
    pub range: Option<&'a str>,
    pub body: &'a str,
}

/// A part of the rows, and how many there are in all.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Raw>,
    pub total: usize,
}

/// Reads the page that begins at `from`.
pub fn page(said: &Said, table: &Table, from: usize) -> Result<Page, Trouble> {
    if ![200, 206].contains(&said.status) {
        return Err(refusal(said, table));
    }
    let rows = match serde_json::from_str::<Bounded<Raw, MOST>>(said.body) {
        Ok(Bounded(rows)) => rows,
        Err(error) if error.is_data() => {
            let why = format!("{table}: the answer is JSON, but no list of rows that can be read");
            return Err(Trouble::lasting(why));
        }
        Err(_) if is_html(said.body) => return Err(page_of_html(said.status)),
        Err(error) => {
            return Err(Trouble::passing(format!("{table}: the answer is {}", step::json_trouble(&error))));
        }
    };
    let Some((range, total)) = said.range.and_then(counted) else {
        let why = format!("{table}: the answer does not say how many rows there are (Content-Range)");
        return Err(Trouble::lasting(why));
    };
    let expected = (!rows.is_empty()).then(|| (from, from + rows.len() - 1));
    let is_whole = if rows.is_empty() { total <= from } else { from + rows.len() <= total };
    if range != expected || !is_whole {
        let why = format!("{table} announces {total} rows, and from row {from} on {} came", rows.len());
        return Err(Trouble::passing(why));
    }
    if total > MOST {
        return Err(Trouble::lasting(format!(
            "{table} has {total} rows of this candidate: {MOST} are read at most"
        )));
    }
    Ok(Page { rows, total })
}

/// `0-24/25`, or `*/0`: first and last row, and how many there are.
fn counted(range: &str) -> Option<(Option<(usize, usize)>, usize)> {
    let (rows, total) = range.trim().split_once('/')?;
    let total = total.parse().ok()?;
    if rows == "*" {
        return Some((None, total));
    }
    let (first, last) = rows.split_once('-')?;
    Some((Some((first.parse().ok()?, last.parse().ok()?)), total))
}

/// An error, as far as it matters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    code: Cell,
    message: Cell,
    hint: Cell,
}

/// Why a request was not carried out.
pub fn refusal(said: &Said, table: &Table) -> Trouble {
    let error: Refused = serde_json::from_str(said.body).unwrap_or_default();
    let field = |cell: &Cell| match cell {
        Cell::Text(text) => Some(shown(text)).filter(|text| !text.is_empty()),
        _ => None,
    };
    let code = field(&error.code).unwrap_or_default();
    let words = field(&error.message).map(|message| format!(" ({message})")).unwrap_or_default();
    let init = "`release-gate checklist --init` prints the SQL";
    let lasting = |why: String| Trouble::lasting(format!("{why}{words}"));
    match (code.as_str(), said.status) {
        ("PGRST205" | "42P01", _) => {
            lasting(format!("the API knows no table {table}: make it ({init}), or set checklist.table"))
        }
        ("PGRST106", _) => lasting(format!("the API does not show the schema {}: expose it in the project's API settings", table.schema)),
        ("PGRST204" | "42703", _) => lasting(format!("{table} lacks a column: make it as {init}")),
        ("42501", _) => {
            let hint = field(&error.hint).map(|hint| format!("; the database says: {hint}")).unwrap_or_default();
            lasting(format!("this key may not do that with {table}: grant it the right ({init}){hint}"))
        }
        ("23514" | "23502" | "22P02", _) => lasting(format!("{table} does not take these rows: make it as {init}")),
        ("PGRST303", _) => lasting("the key has expired, or is not for this: set checklist.key_file (or SUPABASE_KEY) to a key that is valid".into()),
        ("PGRST300" | "PGRST301" | "PGRST302", _) | (_, 401) => {
            lasting("the key is refused: set checklist.key_file (or SUPABASE_KEY) to this project's secret key".into())
        }
        (code, status) => by_status(status, code, &words, is_html(said.body)),
    }
}

fn by_status(status: u16, code: &str, words: &str, is_html: bool) -> Trouble {
    let code = if code.is_empty() { String::new() } else { format!(", {code}") };
    let said = format!("HTTP {status}{code}{words}");
    match status {
        540 => page_of_html(status),
        429 => Trouble::passing(format!("Supabase is asked too often: {said}")),
        500.. => Trouble::passing(format!(
            "Supabase does not answer now: {said}; if the project is paused, resume it in its dashboard"
        )),
        416 => Trouble::passing(format!("the list has changed while it was read: {said}")),
        _ if is_html => page_of_html(status),
        300..400 => Trouble::lasting(format!(
            "the address leads elsewhere: {said}: set checklist.url to the project's own"
        )),
        404 => Trouble::lasting(format!(
            "there is no API of Supabase: {said}: set checklist.url to the project's address"
        )),
        403 => Trouble::lasting(format!("the key may not do that: {said}")),
        _ => Trouble::lasting(format!("the API refuses: {said}")),
    }
}

fn page_of_html(status: u16) -> Trouble {
    Trouble::lasting(format!(
        "no API answers but a page (HTTP {status}): if the project is paused, resume it in its dashboard; else look at checklist.url"
    ))
}

fn is_html(body: &str) -> bool {
    body.trim_start().starts_with('<')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table { schema: "public".into(), name: "qa_checks".into() }
    }

    fn read(status: u16, range: Option<&str>, body: &str, from: usize) -> Result<Page, Trouble> {
        page(&Said { status, range, body }, &table(), from)
    }

    #[test]
    fn a_page_has_as_many_rows_as_it_announces() {
        for (status, range, body, from, total) in [
            (200, Some("0-1/2"), "[{},{}]", 0, Some(2)),
            (206, Some("0-1/3"), "[{},{}]", 0, Some(3)),
            (206, Some("2-2/3"), "[{}]", 2, Some(3)),
            (200, Some("*/0"), "[]", 0, Some(0)),
            // A list that is shorter than it says, longer, elsewhere, or does not say.
            (200, Some("0-2/3"), "[{},{}]", 0, None),
            (200, Some("0-1/1"), "[{},{}]", 0, None),
            (200, Some("*/3"), "[]", 0, None),
            (206, Some("*/3"), "[]", 2, None),
            (206, Some("0-0/3"), "[{}]", 2, None),
            (200, Some("0-1/*"), "[{},{}]", 0, None),
            (200, Some("*/*"), "[]", 0, None),
            (200, Some("0-1"), "[{},{}]", 0, None),
            (200, None, "[{},{}]", 0, None),
            (200, None, "[]", 0, None),
            (200, Some("0-1/-2"), "[{},{}]", 0, None),
            (206, Some("0-1/99999"), "[{},{}]", 0, None),
            // No rows at all.
            (200, Some("0-1/2"), "{\"a\":1}", 0, None),
            (200, Some("0-1/2"), "null", 0, None),
            (200, Some("0-1/2"), "[1,2]", 0, None),
            (200, Some("0-1/2"), "[{\"note\":null,\"note\":\"a\"},{}]", 0, None),
            // Two headers of that name.
            (200, Some("0-1/2, 0-1/3"), "[{},{}]", 0, None),
            (200, Some("0-1/3, 0-1/2"), "[{},{}]", 0, None),
            (200, Some("0-1/2"), "[{},", 0, None),
            (200, Some("0-1/2"), "", 0, None),
            (200, Some("0-1/2"), "<html>", 0, None),
            (201, Some("0-1/2"), "[{},{}]", 0, None),
            (204, Some("0-1/2"), "", 0, None),
            (304, Some("0-1/2"), "[{},{}]", 0, None),
        ] {
            let page = read(status, range, body, from);
            assert_eq!(
                page.as_ref().ok().map(|page| page.total),
                total,
                "{status} {range:?} {body}: {page:?}"
            );
        }
    }

    /// Status, body, a part of what is said, and whether asking again may help.
    const REFUSALS: &[(u16, &str, &str, bool)] = &[
        (404, r#"{"code":"PGRST205","message":"Could not find the table"}"#, "--init", false),
        (404, r#"{"code":"42P01","message":"relation does not exist"}"#, "checklist.table", false),
        (406, r#"{"code":"PGRST106","message":"The schema must be one of"}"#, "expose it", false),
        (400, r#"{"code":"42703","message":"column x does not exist"}"#, "lacks a column", false),
        (403, r#"{"code":"42501","hint":"GRANT SELECT"}"#, "the database says: GRANT SELECT", false),
        (401, r#"{"code":"42501","message":"permission denied"}"#, "grant it the right", false),
        (401, r#"{"code":"PGRST301","message":"JWT"}"#, "the key is refused", false),
        (401, r#"{"code":"PGRST303","message":"JWT expired"}"#, "the key has expired", false),
        (401, r#"{"message":"Invalid API key"}"#, "(Invalid API key)", false),
        (401, "nothing", "the key is refused", false),
        (403, "{}", "the key may not do that: HTTP 403", false),
        (404, r#"{"message":"no Route"}"#, "checklist.url", false),
        (400, r#"{"code":"PGRST100","message":"no filter"}"#, "HTTP 400, PGRST100 (no filter)", false),
        (416, r#"{"code":"PGRST103","message":"no range"}"#, "changed while it was read", true),
        (429, "", "too often", true),
        (500, "[", "HTTP 500", true),
        (503, r#"{"code":"PGRST002","message":"no cache"}"#, "HTTP 503, PGRST002 (no cache)", true),
        (521, "<html>", "resume it", true),
        (522, "", "resume it", true),
        (540, "<!doctype html>", "resume it", false),
        (200, " <!DOCTYPE html>", "but a page (HTTP 200)", false),
        (302, "", "leads elsewhere", false),
        (403, "<html>", "but a page", false),
        (418, r#"{"code":7,"message":["x"]}"#, "HTTP 418", false),
    ];

    #[test]
    fn every_refusal_says_what_to_do() {
        for (status, body, part, is_passing) in REFUSALS {
            let trouble = read(*status, None, body, 0).expect_err("no rows");
            assert!(trouble.why.contains(part), "{status} {body}: {}", trouble.why);
            assert_eq!(trouble.is_passing, *is_passing, "{status} {body}");
        }
        let hostile = r#"{"code":"x\u001b[2J","message":"\u001b]0;t\u0007a\nb"}"#;
        let hostile = read(400, None, hostile, 0).expect_err("no rows");
        assert!(!hostile.why.contains(['\u{1b}', '\n']), "{hostile:?}");
    }
}
