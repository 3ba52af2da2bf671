//! Words of libraries made fit for people: without error numbers, parsers' terms and names of temporary files.

/// A sentence without `(os error 2)`, and without the names that the crate tempfile adds to an error: the file is gone when it is read.
pub(crate) fn readable(text: &str) -> String {
    let number = |inside: &str| inside.bytes().all(|b| b.is_ascii_digit());
    let text = without(text, " (os error ", ")", number);
    without(&text, " at path \"", "\"", |inside| inside.contains("/.tmp"))
}

/// The text without whatever stands between these two, where that is of the kind.
fn without(text: &str, begin: &str, end: &str, kind: impl Fn(&str) -> bool) -> String {
    let mut parts = text.split(begin);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(end) {
            Some((inside, rest)) if kind(inside) => out.push_str(rest),
            _ => out.extend([begin, part]),
        }
    }
    out
}

/// What is wrong with text that should be JSON, to go on behind `it is` or `stdin is`.
pub fn json_trouble(error: &serde_json::Error) -> String {
    if error.is_eof() {
        "cut off: it ends in the middle".into()
    } else if error.is_data() {
        "JSON of another shape".into()
    } else {
        format!("no JSON from line {}, column {} on", error.line(), error.column())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_holds_nothing_that_only_a_library_knows() {
        for (text, shown) in [
            (
                "No such file or directory (os error 2); name the file",
                "No such file or directory; name the file",
            ),
            ("a (os error 2) b (os error 13)", "a b"),
            ("an (os error in words)", "an (os error in words)"),
            ("no space at path \"/srv/x/.tmpAbC123\": later", "no space: later"),
            ("it stands at path \"/srv/x\"", "it stands at path \"/srv/x\""),
        ] {
            assert_eq!(readable(text), shown);
        }
    }

    #[test]
    fn what_is_no_json_is_said_in_plain_words() {
        let trouble = |text: &str| json_trouble(&serde_json::from_str::<u8>(text).expect_err("no number"));
        assert_eq!(trouble(""), "cut off: it ends in the middle");
        assert_eq!(trouble("1\n}"), "no JSON from line 2, column 1 on");
        assert_eq!(trouble("\"a\""), "JSON of another shape");
    }
}
