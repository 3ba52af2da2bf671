//! Values that a report itself holds and that may be secrets, though nothing in their shape tells. They are looked for in what is kept of the report,
//! in each form that a message may give them: escaped, coloured, broken over lines, in base64 or in hex. They are not made secrets of the whole process:
//! a value may be a word that is needed elsewhere, such as a branch.

use std::ops::Range;

use memchr::memmem;

use super::fold::{Part, Text};
use super::shortened::MOST;
use super::unfolded::{Form, Unfolded, forms};

/// More hidden values are no longer looked for one by one.
const HIDDEN: usize = 500;
/// What is shorter stands in many words.
const TELLING: usize = 6;
/// So much of a value's beginning tells something, where a text was cut.
const BEGUN: usize = 4;
/// From this length on a text may have been cut: an escape of six bytes may be one character.
const CUT: usize = MOST / 6;
/// Of a text, no more than this is looked at: what is shown is shorter.
const LOOKED: usize = 1600;
const MASK: &str = "[redacted]";

/// The values, and whether there were too many of them.
#[derive(Debug, Default)]
pub struct Hidden {
    values: Vec<String>,
    forms: Vec<Form>,
    pub too_many: bool,
}

impl Part<Hidden> for Text {
    fn add_to(self, sum: &mut Hidden) {
        sum.value(self.0);
    }
}

impl Hidden {
    /// Remembers a value.
    pub fn value(&mut self, value: String) {
        if value.len() < TELLING || self.values.contains(&value) {
            return;
        }
        if self.values.len() == HIDDEN {
            self.too_many = true;
        } else {
            self.values.push(value);
        }
    }

    pub fn add(&mut self, other: Hidden) {
        self.too_many |= other.too_many;
        other.values.into_iter().for_each(|value| self.value(value));
    }

    /// Makes it ready for [`Hidden::clean`]. Longer values first: a part of one may be another.
    pub fn ready(&mut self) {
        self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let plain = self.values.iter().map(|value| step::plain(value));
        let all = self.values.iter().flat_map(|value| forms(value));
        self.forms = all.chain(plain.flat_map(|value| forms(&value))).collect();
        self.forms.retain(|form| form.bytes.len() >= BEGUN);
        self.forms.sort_by(|a, b| b.bytes.len().cmp(&a.bytes.len()).then_with(|| a.bytes.cmp(&b.bytes)));
        self.forms.dedup();
    }

    /// One line of a text: without what may be a secret, and then cut.
    pub fn clean(&self, text: &str, most: usize) -> String {
        let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= LOOKED).unwrap_or(text.len());
        let text = self.masked(&text[..end], end >= CUT);
        // What a terminal obeys may stand within a secret.
        let text = self.masked(&step::plain(&text), end >= CUT);
        let text = if end < CUT { step::scrub(&text) } else { without_end(&text) };
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ");
        match line.char_indices().nth(most) {
            Some(_) => {
                let kept: String = line.chars().take(most - 1).collect();
                format!("{kept}…")
            }
            None => line,
        }
    }

    fn masked(&self, text: &str, is_cut: bool) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value) {
                text = text.replace(value, MASK);
            }
        }
        if self.forms.is_empty() {
            return text;
        }
        let mut found: Vec<Range<usize>> =
            Unfolded::all(&text).iter().flat_map(|unfolded| self.found(unfolded, &text, is_cut)).collect();
        found.sort_by_key(|range| range.start);
        replaced(&text, &found)
    }

    /// Where forms of values stand in the text.
    fn found(&self, unfolded: &Unfolded, text: &str, is_cut: bool) -> Vec<Range<usize>> {
        let bytes = &unfolded.bytes;
        let mut found = Vec::new();
        for Form { bytes: form, has_ends } in &self.forms {
            for at in memmem::find_iter(bytes, form) {
                let range = unfolded.range(at..at + form.len());
                found.push(if *has_ends { with_ends(text, range) } else { range });
            }
            if is_cut {
                let most = (form.len() - 1).min(bytes.len());
                let begun = (BEGUN..=most).rev().find(|length| bytes.ends_with(&form[..*length]));
                found.extend(begun.map(|length| unfolded.range(bytes.len() - length..bytes.len())));
            }
        }
        found
    }
}

/// A form in base64 with the letters at its ends that belong to it.
fn with_ends(text: &str, range: Range<usize>) -> Range<usize> {
    let letter = |b: &&u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(b);
    let before = text.as_bytes()[..range.start].iter().rev().take(2).take_while(letter).count();
    let after = text.as_bytes()[range.end..].iter().take(4).take_while(letter).count();
    range.start - before..range.end + after
}

/// The text with a mask for each range; the ranges are in order, and may overlap.
fn replaced(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        let start = (0..=range.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (range.end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        if start >= at {
            out.push_str(&text[at..start]);
            out.push_str(MASK);
        }
        at = at.max(end);
    }
    out + &text[at..]
}

/// A text that was cut somewhere, without what the cut may have gone through: its last word is gone.
fn without_end(text: &str) -> String {
    let whole = text.rfind(char::is_whitespace).map_or("", |end| &text[..end]);
    step::scrub(&step::redact_cut(whole)) + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(values: &[&str]) -> Hidden {
        let mut hidden = Hidden::default();
        values.iter().for_each(|value| hidden.value((*value).to_owned()));
        hidden.ready();
        hidden
    }

    #[test]
    fn a_message_is_one_line_and_no_part_of_a_secret() {
        let hidden = hidden(&["hunter2"]);
        for (text, most, shown) in [
            ("\u{1b}[31mexpected\u{1b}[39m\n\n   two", 300, "expected two"),
            ("got hunter2, not x", 300, "got [redacted], not x"),
            ("0123456789", 10, "0123456789"),
            ("0123456789a", 10, "012345678…"),
            ("a \u{1b}[31mghp_0123\u{1b}[0m456789abcdef", 300, "a [redacted]"),
            ("a Authorization: Bearer abc123def456", 20, "a Authorization: Be…"),
        ] {
            assert_eq!(hidden.clean(text, most), shown, "{text:?}");
        }
        // What was cut within a key that only its length tells: nothing of it is left, however little there is before it.
        let key = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz";
        for kept in 1..30 {
            let text = format!("got{}{}", " ".repeat(MOST - 3 - kept), &key[..kept]);
            assert_eq!(hidden.clean(&text, 300), "got …", "{kept} bytes of it");
        }
    }

    /// Whatever a message makes of a value, it is masked, and what stands around it stays.
    #[test]
    fn a_value_is_hidden_in_every_form() {
        for (value, form) in [
            ("tokenwithoutshape", "tokenw\u{1b}[1mithoutshape"),
            ("tokenwithoutshape", "tokenw\u{1b}[0;31mithou\u{1b}[mtshape"),
            ("tokenwithoutshape", "token\u{200b}wi\u{200d}tho\u{2060}ut\u{ad}sha\u{feff}pe"),
            ("tokenwithoutshape", "tokenw\rithoutshape"),
            ("tokenwithoutshape", "token without\n shape"),
            ("tokenwithoutshape", "tokenw\\u0069thoutshape"),
            ("tokenwithoutshape", "TokenWithoutShape"),
            ("tokenwithoutshape", "%74%6f%6B%65%6e%77ithoutshape"),
            ("tokenwithoutshape", "%2574okenwithoutshape"),
            ("tokenwithoutshape", "dG9rZW53aXRob3V0c2hhcGU="),
            ("tokenwithoutshape", "YWRtaW46dG9rZW53aXRob3V0c2hhcGU="),
            ("tokenwithoutshape", "YTp0b2tlbndpdGhvdXRzaGFwZQ=="),
            ("tokenwithoutshape", "746f6b656e776974686f75747368617065"),
            ("tokenwithoutshape", "746F6B656E776974686F75747368617065"),
            ("Zq7-plain secret/w+x&\"y", "Zq7-plain%20secret%2Fw%2Bx%26%22y"),
            ("Zq7-plain secret/w+x&\"y", "Zq7-plain+secret%2Fw%2Bx%26%22y"),
            ("Zq7-plain secret/w+x&\"y", "Zq7-plain secret/w+x&\\\"y"),
            ("Zq7-plain secret/w+x&\"y", "Zq7-plain secret/w+x&amp;&quot;y"),
            ("Zq7-plain secret/w+x&\"y", "Zq7-plain\\u0020secret\\/w+x&#38;&#x22;y"),
            ("p\u{e4}ssw\u{f6}rd", "p%C3%A4ssw%c3%b6rd"),
            ("p\u{e4}ssw\u{f6}rd", "p\\u00e4ssw\\u00F6rd"),
            ("colou\u{1b}[1mred", "coloured"),
        ] {
            let shown = hidden(&[value]).clean(&format!("got {form} back"), 300);
            let around = shown.starts_with("got ") && shown.ends_with(" back");
            assert!(around && shown.contains(MASK), "{form:?}: {shown}");
            let left = shown.replace("got ", "").replace(" back", "").replace(MASK, "");
            // In base64 what stands before it is no secret.
            assert!(left.len() < 8, "{form:?}: {shown}");
        }
        assert_eq!(hidden(&["tokenwithoutshape"]).clean("a token without form", 99), "a token without form");
    }

    /// A value that is longer than what is kept of any text, and one that the cut went through.
    #[test]
    fn a_value_that_was_cut_is_hidden() {
        let long: String = (0..1000).map(|i| format!("a b{i:04} ")).collect();
        let hidden = hidden(&[&long[..MOST], "canary horse battery"]);
        let shown = hidden.clean(&format!("x {}", &long[..MOST - 2]), 300);
        assert!(!shown.contains("b00"), "{shown}");
        for kept in 4..20 {
            let filler = "\u{1d7d9}".repeat(250);
            let text = format!("{filler} got {}", &"canary horse battery"[..kept]);
            let shown = hidden.clean(&text, 300);
            assert!(!shown.contains("cana"), "{kept}: {shown}");
        }
    }

    #[test]
    fn many_values_are_too_many() {
        let mut hidden = Hidden::default();
        (0..HIDDEN).for_each(|i| hidden.value(format!("value{i:04}")));
        (0..HIDDEN).for_each(|i| hidden.value(format!("value{i:04}")));
        assert!(!hidden.too_many, "each counts once");
        hidden.value("one more".into());
        assert!(hidden.too_many);
    }
}
