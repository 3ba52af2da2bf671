//! What says that a version is not released: `unreleased`, `TBD`, `YYYY-MM-DD`, `coming soon`, `belum dirilis`.

use std::ops::Range;

use super::{Word, segments, words};

/// Phrases that can mean nothing else, wherever they stand.
const NOT_RELEASED: &[&[&str]] = &[
    &["unreleased"],
    &["not", "released"],
    &["not", "yet", "released"],
    &["not", "published"],
    &["not", "yet", "published"],
    &["never", "released"],
    &["to", "be", "released"],
    &["will", "be", "released"],
    &["tbd"],
    &["tba"],
    &["belum", "dirilis"],
    &["belum", "rilis"],
    &["belum", "terbit"],
    &["akan", "dirilis"],
    &["releasedate"],
    &["un", "released"],
    &["un-released"],
    &["unpublished"],
    &["not", "been", "released"],
    &["not", "been", "released", "yet"],
    &["not", "shipped"],
    &["not", "yet", "shipped"],
    &["not", "tagged"],
    &["not", "yet", "tagged"],
    &["not", "before"],
    &["not", "yet"],
    &["awaiting", "release"],
    &["waiting", "for", "release"],
    &["released", "soon"],
    &["tanggal", "belum"],
];
/// Words that say so where they stand alone.
const ALONE_NOT_RELEASED: &[&[&str]] = &[
    &["eta"],
    &["expected"],
    &["due"],
    &["target"],
    &["est"],
    &["estimated"],
    &["tentative"],
    &["tentatively"],
    &["scheduled"],
    &["frozen"],
    &["in", "qa"],
    &["cancelled"],
    &["canceled"],
    &["dibatalkan"],
    &["belum"],
    &["wip"],
    &["work", "in", "progress"],
    &["in", "progress"],
    &["draft"],
    &["draf"],
    &["upcoming"],
    &["coming", "soon"],
    &["coming"],
    &["soon"],
    &["next"],
    &["future"],
    &["pending"],
    &["planned"],
    &["tbc"],
    &["to", "be", "determined"],
    &["to", "be", "announced"],
    &["to", "be", "confirmed"],
    &["todo"],
    &["in", "development"],
    &["under", "development"],
    &["unfinished"],
    &["not", "out", "yet"],
    &["akan", "datang"],
    &["akan", "rilis"],
    &["segera", "hadir"],
    &["segera", "dirilis"],
    &["segera"],
    &["menyusul"],
    &["tanggal", "menyusul"],
    &["rencana"],
    &["direncanakan"],
    &["dalam", "pengembangan"],
    &["sedang", "dikerjakan"],
    &["nanti"],
];
/// Words that stand where a date is still to be written.
const DATELESS: &[&[&str]] = &[&["date"], &["tanggal"]];
/// Words beside those that say nothing else.
const BESIDE_NOT_RELEASED: &[&str] = &[
    "release",
    "released",
    "date",
    "version",
    "rilis",
    "versi",
    "still",
    "currently",
    "yet",
    "status",
    "is",
    "the",
    "this",
    "for",
    "expected",
    "eta",
    "due",
    "on",
    "masih",
    "tanggal",
    "changes",
    "has",
    "have",
    "been",
    "will",
    "be",
    "are",
    "not",
    "soon",
    "warning",
    "note",
    "important",
    "caution",
    "tip",
    "ini",
    "belum",
];
/// Whether a word can be part of what says so.
pub(super) fn is_vocabulary(word: &str) -> bool {
    NOT_RELEASED.iter().chain(ALONE_NOT_RELEASED).chain(DATELESS).any(|row| row.contains(&word))
}

/// The words, or the placeholder of a date, that say that a version is not released; `dated` if its date is known.
pub(crate) fn not_released(text: &str, dated: bool) -> Option<Range<usize>> {
    if !says_anything(text) {
        return None;
    }
    if let Some(at) = placeholder(text) {
        return Some(at);
    }
    let segments: Vec<Vec<Word>> = segments(text).into_iter().map(|at| words(text, at)).collect();
    let anywhere = segments.iter().find_map(|words| Some(place(words, &phrase(words, NOT_RELEASED)?)));
    anywhere.or_else(|| segments.iter().find_map(|words| alone(words, dated)))
}

/// Whether there is more than numbers and signs in it. Most of what stands behind a version is a day, and this is asked of all.
fn says_anything(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_alphabetic() || b"?_#".contains(&b) || !b.is_ascii())
}

/// The first of these phrases among some words; the longest where several begin.
fn phrase(words: &[Word], list: &[&[&str]]) -> Option<Range<usize>> {
    (0..words.len()).find_map(|from| {
        let length = list.iter().filter(|row| is_row(row, &words[from..])).map(|row| row.len()).max()?;
        Some(from..from + length)
    })
}

fn place(words: &[Word], found: &Range<usize>) -> Range<usize> {
    words[found.start].0.start..words[found.end - 1].0.end
}

/// A segment that says this and nothing else.
fn alone(words: &[Word], dated: bool) -> Option<Range<usize>> {
    let dateless = || phrase(words, DATELESS).filter(|_| !dated);
    let found = phrase(words, ALONE_NOT_RELEASED).or_else(dateless)?;
    let mut others = words[..found.start].iter().chain(&words[found.end..]);
    let is_beside = |word: &str| BESIDE_NOT_RELEASED.contains(&word) || !word.contains(char::is_alphabetic);
    others.all(|(_, word)| is_beside(word)).then(|| place(words, &found))
}

/// The same of a line that says this and nothing else: `Not yet released.`, `Release date: TBD`.
pub(crate) fn says_not_released(line: &str) -> Option<Range<usize>> {
    let at = not_released(line, crate::date::find(line).is_some())?;
    let is_other = |(place, word): &Word| {
        let inside = at.start <= place.start && place.end <= at.end;
        !inside && !BESIDE_NOT_RELEASED.contains(&word.as_str())
    };
    let others =
        segments(line).into_iter().flat_map(|segment| words(line, segment)).any(|word| is_other(&word));
    (!others).then_some(at)
}

fn is_row(row: &[&str], words: &[Word]) -> bool {
    // A slip of the keyboard in a long word is none in what it says.
    let is = |one: &str, other: &str| {
        one == other
            || one == "unreleased"
                && other.starts_with("un")
                && other.len().abs_diff(10) <= 2
                && strsim::damerau_levenshtein(one, other) <= 2
    };
    row.len() <= words.len() && row.iter().zip(words).all(|(one, (_, other))| is(one, other))
}

/// `YYYY-MM-DD`, `2025-XX-XX`, `????-??-??`, `DD.MM.YYYY`, `XX`, `{{date}}`: where a date is still to be written.
pub(crate) fn placeholder(text: &str) -> Option<Range<usize>> {
    if !says_anything(text) {
        return None;
    }
    let edge = |c: char| c.is_whitespace() || "()[]*`\"',;:".contains(c);
    let mut at = 0;
    while let Some(start) = text[at..].find(|c| !edge(c)).map(|start| at + start) {
        let end = text[start..].find(edge).map_or(text.len(), |end| start + end);
        if stands_for_a_date(&text[start..end]) {
            return Some(start..end);
        }
        at = end;
    }
    None
}

fn stands_for_a_date(word: &str) -> bool {
    let lower = word.to_lowercase();
    let marked = lower.starts_with(['{', '<', '$', '%', '@', '_']) || lower.starts_with("\\<");
    if marked && ["date", "tanggal", "tbd", "today"].iter().any(|name| lower.contains(name)) {
        return true;
    }
    let stand_in = |c: char| "ymdx?#_".contains(c);
    if lower.len() >= 2 && lower.chars().all(|c| "x?".contains(c)) {
        return true;
    }
    if !lower.chars().all(|c| stand_in(c) || c.is_ascii_digit() || "-/.".contains(c))
        || !lower.contains(stand_in)
    {
        return false;
    }
    let Some(separator) = lower.chars().find(|c| "-/.".contains(*c)) else { return false };
    let parts: Vec<&str> = lower.split(separator).collect();
    let year = |part: &str| part.chars().count() == 4;
    // With dots it is a series of versions (`3.x`), unless a year stands last.
    let dated = if separator == '.' {
        parts.len() == 3 && year(parts[2])
    } else {
        parts.len() == 3 || year(parts[0])
    };
    dated && parts.len() <= 3 && parts.iter().all(|part| (1..=4).contains(&part.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind a version.
    const FORMS: &[&str] = &[
        " (unreleased)",
        " - Unreleased",
        " UNRELEASED",
        " [unreleased] - 2025-01-01",
        " - TBD",
        " (tba)",
        " - YYYY-MM-DD",
        " - yyyy-mm-dd",
        " (????-??-??)",
        " - ??",
        " - XX",
        " - XXXX-XX-XX",
        " - 2025-XX-XX",
        " - 2025-03-??",
        " - DD.MM.YYYY",
        " - 2025/xx/xx",
        " - xx.xx.2025",
        " - ____-__-__",
        " - {{date}}",
        " - ${RELEASE_DATE}",
        " - ReleaseDate",
        " (not yet released)",
        " - not-yet-released",
        " - not released",
        " (will be released in March)",
        " - to be released",
        " (TO BE RELEASED)",
        " - never released",
        " - upcoming",
        " (WIP)",
        " - work in progress",
        " - Draft",
        " - coming soon",
        " - soon",
        " (planned)",
        " (planned for)",
        " - in development",
        " - release date TBD",
        " - release pending",
        " - belum dirilis",
        " (Belum Rilis)",
        " - akan datang",
        " - segera",
        " - tanggal menyusul",
        " - draf",
        " - dalam pengembangan",
    ];

    #[test]
    fn what_says_that_it_is_not_released_says_so_in_every_form() {
        for text in FORMS {
            assert!(not_released(text, false).is_some(), "{text}");
        }
    }

    #[test]
    fn a_line_below_the_heading_says_so_only_as_a_whole() {
        for line in [
            "_Not yet released._",
            "Unreleased",
            "Release date: TBD",
            "Released: YYYY-MM-DD",
            "Belum dirilis.",
            "WIP",
        ] {
            assert!(says_not_released(line).is_some(), "{line}");
        }
        for line in [
            "The unreleased 1.2.9 is part of this.",
            "Released 2025-03-03.",
            "Next we fix the rest.",
            "In progress bars the colour is right.",
        ] {
            assert_eq!(says_not_released(line), None, "{line}");
        }
    }

    #[test]
    fn beside_a_date_the_word_date_says_nothing() {
        let text = " (release date: )";
        assert!(not_released(text, false).is_some() && not_released(text, true).is_none());
    }

    #[test]
    fn titles_series_and_dates_do_not_say_that_it_is_not_released() {
        for text in [
            "",
            " - 2025-03-03",
            " (3 March 2025)",
            " - Next generation",
            " - Draft mode",
            " - Progress bars",
            " - Coming home",
            " - Future proof",
            " 3.x",
            " 3.x.x",
            " - Pending orders are shown",
            " (Skipped)",
            " - The planned economy",
            " - mid-year",
            " - d-y",
            " - Soon enough for you",
            " - released",
            " - Development of the shop",
            " - Date picker",
            " - my-dry",
        ] {
            assert_eq!(not_released(text, false), None, "{text}");
        }
    }
}
