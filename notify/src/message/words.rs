//! The catalogue: every word that notify says, in English and Indonesian, and how each language writes spans and instants.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::Offset;
use toml::de::{DeTable, DeValue};

const ENGLISH: &str = include_str!("../../words/en.toml");
const INDONESIAN: &str = include_str!("../../words/id.toml");

/// The catalogues that are built in.
pub const BUILT_IN: [(&str, &str); 2] = [("en", ENGLISH), ("id", INDONESIAN)];
/// The languages that are built in.
pub const LANGUAGES: [&str; 2] = ["en", "id"];

/// The words of one language; what a language lacks is said in English.
#[derive(Clone, Debug)]
pub struct Words(BTreeMap<String, String>);

impl Words {
    /// The words that are built in.
    pub fn of(language: &str) -> Self {
        let mut words = parse(ENGLISH).unwrap_or_default();
        if language == "id" {
            words.extend(parse(INDONESIAN).unwrap_or_default());
        }
        Words(words)
    }

    /// With a team's own words over them, from `LANGUAGE.toml` in a folder.
    ///
    /// # Errors
    /// A sentence that names the file and the line.
    pub fn with(mut self, folder: &Path, language: &str) -> Result<Self, String> {
        let path = folder.join(format!("{language}.toml"));
        if !path.is_file() {
            return Ok(self);
        }
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let own = parse(&text).map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))?;
        if let Some(unknown) = own.keys().find(|key| !self.0.contains_key(*key)) {
            return Err(format!("{}: notify never says `{unknown}`", path.display()));
        }
        self.0.extend(own);
        Ok(self)
    }

    /// A word; its key if there is none, so that a mistake is seen.
    pub fn word<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }

    /// A word with its placeholders filled.
    pub fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        let fill = |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
        values.iter().fold(self.word(key).to_owned(), fill)
    }

    /// A span of milliseconds: `6m 42s`, `0.4s`.
    pub fn span(&self, ms: u64) -> String {
        let seconds = ms / 1000;
        let (h, m, s) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
        match seconds {
            0..=59 => {
                let tenths = format!("{s}{}{}", self.word("decimal"), ms % 1000 / 100);
                self.say("seconds", &[("s", &tenths)])
            }
            60..=3599 => self.say("minutes", &[("m", &m.to_string()), ("s", &format!("{s:02}"))]),
            _ => self.say("hours", &[("h", &h.to_string()), ("m", &format!("{m:02}"))]),
        }
    }

    /// An instant that every reader of Telegram sees in their own time zone; others see UTC. `format` is Telegram's: r relative, t time.
    pub fn instant(&self, time: &str, format: &str) -> Option<String> {
        let at: Timestamp = time.parse().ok()?;
        let utc = Offset::UTC.to_datetime(at);
        let month = self.word("months").split(' ').nth(usize::try_from(utc.month() - 1).ok()?)?;
        let shown = format!("{} {month} {} {:02}:{:02} UTC", utc.day(), utc.year(), utc.hour(), utc.minute());
        let format: String = format.chars().filter(char::is_ascii_alphabetic).collect();
        Some(format!("<tg-time unix=\"{}\" format=\"{format}\">{shown}</tg-time>", at.as_second()))
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, String)> {
    let line = |at: usize| text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
    let table = DeTable::parse(text)
        .map_err(|e| (e.span().map_or(1, |span| line(span.start)), e.message().to_owned()))?;
    let mut words = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let DeValue::String(word) = value.get_ref() else {
            return Err((line(key.span().start), format!("`{}` is no text", key.get_ref())));
        };
        words.insert(key.get_ref().to_string(), word.to_string());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indonesian_has_every_word_with_the_same_placeholders() {
        let (english, indonesian) = (parse(ENGLISH).expect("words"), parse(INDONESIAN).expect("words"));
        let holes = |text: &str| {
            let mut names: Vec<String> =
                text.split('{').skip(1).filter_map(|t| Some(t.split_once('}')?.0.to_owned())).collect();
            names.sort();
            names
        };
        assert!(english.keys().eq(indonesian.keys()));
        for (key, text) in &english {
            assert_eq!(holes(text), holes(&indonesian[key]), "{key}");
        }
    }

    #[test]
    fn spans_and_instants_are_written_as_the_language_does() {
        let (en, id) = (Words::of("en"), Words::of("id"));
        for (ms, english, indonesian) in
            [(432, "0.4s", "0,4 d"), (402_000, "6m 42s", "6 m 42 d"), (3_660_000, "1h 01m", "1 j 01 m")]
        {
            assert_eq!((en.span(ms).as_str(), id.span(ms).as_str()), (english, indonesian));
        }
        let at = "2026-05-24T12:01:02Z";
        let expected = "<tg-time unix=\"1779624062\" format=\"r\">24 Mei 2026 12:01 UTC</tg-time>";
        assert_eq!(id.instant(at, "r").expect("an instant"), expected);
        assert_eq!(en.instant("soon", "r"), None);
    }

    #[test]
    fn a_teams_own_words_lie_over_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |text: &str| std::fs::write(folder.path().join("id.toml"), text).expect("written");
        write("next = 'Lalu'\n");
        let words = Words::of("id").with(folder.path(), "id").expect("words");
        assert_eq!((words.word("next"), words.word("error")), ("Lalu", "Galat"));
        write("next = 'Lalu'\n\nnxt = 'x'\n");
        assert!(Words::of("id").with(folder.path(), "id").expect_err("refused").contains("`nxt`"));
        write("next = 'Lalu'\nmore = \n");
        assert!(Words::of("id").with(folder.path(), "id").expect_err("refused").contains("id.toml:2:"));
    }
}
