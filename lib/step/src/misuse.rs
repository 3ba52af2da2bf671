//! A command line that makes no sense: what is wrong with it in the form of every other line, and what was probably meant. Pure.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::shell;

/// What is said about a command line that cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misuse {
    /// One sentence.
    pub sentence: String,
    /// What may help, a line each.
    pub tips: Vec<String>,
    /// The command that was probably meant.
    pub next: Option<String>,
}

impl Misuse {
    /// Of what the parser has found.
    pub(crate) fn of(error: &clap::Error, words: &[OsString]) -> Self {
        if let Some(misuse) = Self::of_version(words) {
            return misuse;
        }
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
        let sentence = paragraphs
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .replace("provided: ", "given: ");
        let tips = paragraphs
            .filter(|p| !p.is_empty() && !p.starts_with("For more"))
            .map(|p| p.replace("tip: ", ""))
            .map(|tip| {
                let known = tip.strip_prefix("a similar ").and_then(|tip| tip.split_once(" exists: "));
                known.map_or(tip.clone(), |(_, known)| format!("did you mean {known}?"))
            })
            .map(|tip| as_a_value(&tip, words).unwrap_or(tip));
        let tips = tips.collect();
        Misuse { sentence, tips, next: None }
    }

    /// `--version 1.3.0`: it shows the program's own version, and a release is named by `--release`. A pipe would take the answer
    /// for a document that went missing, and a person for a success.
    pub(crate) fn of_version(words: &[OsString]) -> Option<Self> {
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let at = words
            .iter()
            .position(|word| word == "--version" || word == "-V" || word.starts_with("--version="))?;
        if words.len() == 2 && !words[at].contains('=') {
            return None;
        }
        let meant = |word: &String| {
            if word == "-V" { "--release".to_owned() } else { word.replacen("--version", "--release", 1) }
        };
        let command: Vec<String> = words
            .iter()
            .enumerate()
            .map(|(i, word)| if i == at { meant(word) } else { word.clone() })
            .collect();
        let named = words[at].contains('=')
            || words
                .get(at + 1)
                .is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit() || c == 'v'));
        Some(Misuse {
            sentence: "--version shows this program's own version and goes with nothing else; --release names the version to release".into(),
            tips: Vec::new(),
            next: named.then(|| shell::command(&command)),
        })
    }
}

/// A word that begins with a hyphen and stands behind an option is its value only after an equal sign; what the parser says of it
/// (`--` before it) does not work there.
fn as_a_value(tip: &str, words: &[OsString]) -> Option<String> {
    let value = tip.strip_prefix("to pass '")?.split_once('\'')?.0;
    let at = words.iter().position(|word| word.to_string_lossy() == value)?;
    let option = words.get(at.checked_sub(1)?)?.to_string_lossy().into_owned();
    let is_option = option.starts_with("--") && option.len() > 2 && !option.contains('=');
    is_option.then(|| {
        let meant = shell::quoted(&format!("{option}={value}"));
        format!("to pass '{value}' as the value of {option}, write {meant}")
    })
}

/// Whether the program is only asked for its help or its own version.
pub(crate) fn is_question(error: &clap::Error, words: &[OsString]) -> bool {
    match error.kind() {
        ErrorKind::DisplayHelp => true,
        ErrorKind::DisplayVersion => Misuse::of_version(words).is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misuse(line: &str) -> Option<Misuse> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let command = clap::Command::new("tool")
            .version("1")
            .arg(clap::Arg::new("release").long("release").global(true))
            .subcommand(clap::Command::new("verify").arg(clap::Arg::new("TAG").required(true)))
            .subcommand(clap::Command::new("certificate"));
        let error = command.try_get_matches_from(&words).err()?;
        (!is_question(&error, &words)).then(|| Misuse::of(&error, &words))
    }

    #[test]
    fn a_wrong_word_is_named_in_one_sentence() {
        for (line, sentence, tip) in [
            ("tool --bogus", "unexpected argument '--bogus' found", "Usage: tool"),
            (
                "tool verify",
                "the following required arguments were not given: <TAG>",
                "Usage: tool verify <TAG>",
            ),
            ("tool certifcate", "unrecognized subcommand 'certifcate'", "did you mean 'certificate'?"),
        ] {
            let misuse = misuse(line).expect("refused");
            assert_eq!(misuse.sentence, sentence);
            assert!(misuse.tips[0].starts_with(tip), "{misuse:?}");
        }
    }

    #[test]
    fn a_value_that_begins_with_a_hyphen_is_shown_as_it_works() {
        let refused = misuse("tool --release -x").expect("refused");
        let tips = refused.tips.join("|");
        assert!(tips.contains("write --release=-x") || !tips.contains("-- -x"), "{refused:?}");
        assert_eq!(misuse("tool --release=-x verify v1"), None);
        let words: Vec<OsString> = ["tool", "--base", "-x"].map(OsString::from).into();
        let tip = "to pass '-x' as a value, use '-- -x'";
        let better = "to pass '-x' as the value of --base, write --base=-x";
        assert_eq!(as_a_value(tip, &words).as_deref(), Some(better));
        let words: Vec<OsString> = ["tool", "verify", "-x"].map(OsString::from).into();
        assert_eq!(as_a_value(tip, &words), None);
    }

    #[test]
    fn a_version_behind_version_is_the_release_that_was_meant() {
        for (line, next) in [
            ("tool --version 1.3.0", Some("tool --release 1.3.0")),
            ("tool --version=v1.3.0", Some("tool --release=v1.3.0")),
            ("tool verify v1 -V 1.3.0", Some("tool verify v1 --release 1.3.0")),
            ("tool verify v1 --version", None),
        ] {
            let misuse = misuse(line).expect("refused");
            assert_eq!(misuse.next.as_deref(), next, "{line}");
            assert!(misuse.sentence.contains("--release"));
        }
        assert_eq!(misuse("tool --version"), None);
        assert_eq!(misuse("tool -V"), None);
        assert_eq!(misuse("tool verify --help"), None);
    }
}
