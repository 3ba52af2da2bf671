//! A reason that a person gives for an exception: kept in a tag, a document and a message, so it has to say something. Pure.

/// The word that stands for a reason in a command that is printed: a person puts their own in its place.
pub const REASON: &str = "REASON";

/// Reads a REASON of a command line or a setting: one line, without what steers a terminal.
///
/// # Errors
/// A sentence, when it has neither a letter nor a digit, for blanks and dots are no reason; or when it is [`REASON`] itself.
pub fn reason(text: &str) -> Result<String, String> {
    let line = crate::plain_line(text).split_whitespace().collect::<Vec<_>>().join(" ");
    // These count as letters and show nothing.
    let blank = |c: char| matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    if line == REASON {
        return Err("put your reason in the place of REASON, for the person who reads it later".to_owned());
    }
    if line.chars().any(|c| c.is_alphanumeric() && !blank(c)) {
        Ok(line)
    } else {
        Err("a reason is needed: say in a few words why, for the person who reads it later".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_dots_are_no_reason() {
        let empty = [
            "",
            " ",
            "   ",
            "\t",
            "\n",
            "\u{a0}",
            "\u{2003}",
            "\u{200b}",
            "\u{feff}",
            "\u{3164}",
            ".",
            "...",
            "-",
            "--",
            "_",
            "?",
            "!",
            "''",
            "\"\"",
            "( )",
            "\u{1b}[31m",
            "\u{202e}",
            "\u{7}",
            "*",
            "\u{2026}",
            " . ",
        ];
        for text in empty {
            assert!(reason(text).is_err(), "{text:?}");
        }
        for (text, kept) in [
            ("no staging yet", "no staging yet"),
            ("  two\n lines\t", "two lines"),
            ("OPS-12", "OPS-12"),
            ("7", "7"),
            ("belum ada staging", "belum ada staging"),
            ("\u{6025}\u{4fee}", "\u{6025}\u{4fee}"),
            ("\u{1b}[2Jprices are wrong", "prices are wrong"),
        ] {
            assert_eq!(reason(text).as_deref(), Ok(kept));
        }
    }
}
