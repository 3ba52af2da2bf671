//! Commands for people to paste: every word quoted as a POSIX shell reads it, so that a name from outside stays one word.

/// A command of these words.
pub fn command<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// One word. What a terminal would obey is left out: such a word cannot be pasted anyway.
pub fn quoted(word: &str) -> String {
    let word = crate::plain(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,^".contains(c);
    // A tilde or an equal sign in front means something to some shells.
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with(['=', '^']) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_that_need_no_quotes_have_none() {
        assert_eq!(
            command(["db-restore", "restore", "--confirm", "shop@2026-11-27T08:00:00Z"]),
            "db-restore restore --confirm shop@2026-11-27T08:00:00Z"
        );
        assert_eq!(
            command(["a", "Toko Kita", "", "it's", "$(x)", "~"]),
            r"a 'Toko Kita' '' 'it'\''s' '$(x)' '~'"
        );
    }

    proptest! {
        /// A shell reads back exactly the word.
        #[test]
        fn a_shell_reads_what_was_meant(word in "[ -~äß\n]{0,20}") {
            let said = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(&word))]).output().expect("sh runs");
            prop_assert_eq!(String::from_utf8_lossy(&said.stdout), word);
        }
    }
}
