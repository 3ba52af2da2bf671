//! What a value must be for its kind, and how it is read from a variable of the environment. Pure.

use std::time::Duration;

use super::Settings;
use super::file::{Node, Value};
use super::setting::Kind;
use crate::parse_duration;

impl Kind {
    /// What is wrong with a value, as a sentence; `None` where it fits.
    pub(super) fn trouble(&self, value: &Value) -> Option<String> {
        let wrong = |words: &str| Some(words.to_owned());
        match (self, value) {
            (_, Value::Table(_)) => wrong("it must be a value, not a table"),
            (Kind::List(item), Value::List(items)) => items.iter().find_map(|one| item.trouble(&one.value)),
            (Kind::List(item), Value::Text(text)) if text.contains([',', ' ']) => {
                item.trouble(value).map(|why| format!("{why}; several are a list: [\"a\", \"b\"]"))
            }
            (Kind::List(item), one) => item.trouble(one),
            (_, Value::List(_)) => wrong("it must be one value, not a list"),
            (Kind::Text, Value::Text(_)) | (Kind::Flag, Value::Flag(_)) => None,
            (Kind::Id, Value::Text(_)) => None,
            (Kind::Id, value) if value.whole().is_some() => None,
            (Kind::Path | Kind::Secret(_), Value::Text(path)) if !path.is_empty() => None,
            (Kind::Word(words), Value::Text(word)) if words.contains(&word.as_str()) => None,
            (Kind::Word(words), Value::Text(word)) => {
                Some(format!("`{}` is not known; {} are", crate::excerpt(word, 40), listed(words)))
            }
            (Kind::Form(form), Value::Text(text)) if (form.fits)(text) => None,
            (Kind::Form(form), _) => Some(format!("it must be {}", form.name)),
            (Kind::Time, Value::Text(text)) => parse_duration(text).err(),
            (Kind::Time, value) => {
                let unit = value.whole().map(|n| format!("; write \"{n}s\" for {n} seconds"));
                Some(format!(
                    "it must be a length of time in quotes, such as \"90s\"{}",
                    unit.unwrap_or_default()
                ))
            }
            (Kind::Whole(least, most), value) => match value.whole() {
                Some(n) if (*least..=*most).contains(&n) => None,
                _ if *most == i64::MAX => {
                    Some(format!("it must be a whole number from {least} on, without quotes"))
                }
                _ => Some(format!("it must be a whole number from {least} to {most}, without quotes")),
            },
            (Kind::Positive, value) if value.number().is_some_and(|n| n > 0.0) => None,
            (Kind::Positive, _) => wrong("it must be a number above 0, without quotes"),
            (Kind::Part, value) if value.number().is_some_and(|n| (0.0..=1.0).contains(&n)) => None,
            (Kind::Part, _) => wrong("it must be a number from 0 to 1, without quotes"),
            (Kind::Flag, _) => wrong("it must be true or false, without quotes"),
            (Kind::Id, _) => wrong("it must be text in quotes, or a whole number"),
            (Kind::Path, _) => wrong("it must be the name of a file or folder in quotes"),
            (Kind::Secret(_), _) => wrong("it must be the name of the file that holds the secret, in quotes"),
            (Kind::Text | Kind::Word(_), _) => wrong("it must be text in quotes"),
        }
    }

    /// The value that a variable of the environment, or a declared default, means.
    pub(super) fn read(&self, text: &str) -> Value {
        let plain = || Value::Text(text.to_owned());
        match self {
            Kind::Flag => text.parse().map_or_else(|_| plain(), Value::Flag),
            Kind::Whole(..) => text.parse().map_or_else(|_| plain(), Value::Whole),
            Kind::Positive | Kind::Part => text.parse().map_or_else(|_| plain(), Value::Number),
            Kind::List(item) => list(text).unwrap_or_else(|| item.read(text)),
            _ => plain(),
        }
    }

    /// Whether a value may be shown to whoever reads our errors: what is free text may be a secret in the wrong place.
    pub(super) fn may_be_shown(&self) -> bool {
        match self {
            Kind::Word(_) | Kind::Flag | Kind::Whole(..) | Kind::Positive | Kind::Part | Kind::Time => true,
            Kind::List(item) => item.may_be_shown(),
            Kind::Text | Kind::Id | Kind::Form(_) | Kind::Path | Kind::Secret(_) => false,
        }
    }
}

/// A list in a variable, written as in the file: `["a", "b"]`.
fn list(text: &str) -> Option<Value> {
    text.trim_start().starts_with('[').then(|| super::file::value(text))?
}

fn listed(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        words => words.join(", "),
    }
}

impl Value {
    /// A whole number; `2.0` is one, as it is in JSON.
    fn whole(&self) -> Option<i64> {
        match self {
            Value::Whole(n) => Some(*n),
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small enough")]
            Value::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => Some(*n as i64),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "nobody sets a number of 16 digits")]
            Value::Whole(n) => Some(*n as f64),
            Value::Number(n) => Some(*n).filter(|n| n.is_finite()),
            _ => None,
        }
    }

    /// One value as text, as it is read by [`FromSetting`]; `None` of a list or a table.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Flag(flag) => Some(flag.to_string()),
            Value::Whole(n) => Some(n.to_string()),
            Value::Number(n) => Some(self.whole().map_or_else(|| n.to_string(), |whole| whole.to_string())),
            Value::Table(_) | Value::List(_) | Value::Other => None,
        }
    }

    /// The values of a list; one value is a list of one.
    pub(super) fn items(&self) -> Vec<&Value> {
        match self {
            Value::List(items) => items.iter().map(|Node { value, .. }| value).collect(),
            one => vec![one],
        }
    }
}

/// What a setting can be read as.
pub trait FromSetting: Sized {
    /// Reads it from its text.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    fn from_setting(settings: &Settings, text: &str) -> Result<Self, String>;
}

impl FromSetting for String {
    fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromSetting for Duration {
    fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
        parse_duration(text)
    }
}

/// A relative path is relative to `release.toml`.
impl FromSetting for std::path::PathBuf {
    fn from_setting(settings: &Settings, text: &str) -> Result<Self, String> {
        Ok(settings.folder().join(text))
    }
}

macro_rules! parsed {
    ($($kind:ty),*) => { $(impl FromSetting for $kind {
        fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
            text.parse().map_err(|_| "it does not fit here".to_owned())
        }
    })* };
}

parsed!(bool, u8, u16, u32, u64, usize, i64, f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn judged(cases: &[(Kind, Value, Option<&str>)]) {
        for (kind, value, trouble) in cases {
            assert_eq!(kind.trouble(value).as_deref(), *trouble, "{kind:?} {value:?}");
        }
    }

    #[test]
    fn a_value_fits_its_kind_or_says_what_it_must_be() {
        let words = Kind::Word(&["a", "b", "c"]);
        judged(&[
            (Kind::Text, text(""), None),
            (Kind::Text, Value::Whole(1), Some("it must be text in quotes")),
            (Kind::Id, Value::Whole(-1001), None),
            (Kind::Id, Value::Number(2.0), None),
            (Kind::Id, Value::Number(2.5), Some("it must be text in quotes, or a whole number")),
            (words, text("b"), None),
            (words, text("d"), Some("`d` is not known; a, b and c are")),
            (Kind::Flag, Value::Flag(true), None),
            (Kind::Flag, text("true"), Some("it must be true or false, without quotes")),
            (Kind::Whole(1, 9), Value::Whole(9), None),
            (Kind::Whole(1, 9), Value::Number(9.0), None),
            (
                Kind::Whole(1, 9),
                Value::Whole(10),
                Some("it must be a whole number from 1 to 9, without quotes"),
            ),
            (
                Kind::Whole(1, i64::MAX),
                Value::Whole(0),
                Some("it must be a whole number from 1 on, without quotes"),
            ),
        ]);
    }

    #[test]
    fn numbers_times_and_lists_fit_or_say_what_they_must_be() {
        judged(&[
            (Kind::Positive, Value::Number(f64::NAN), Some("it must be a number above 0, without quotes")),
            (
                Kind::Positive,
                Value::Number(f64::INFINITY),
                Some("it must be a number above 0, without quotes"),
            ),
            (Kind::Positive, Value::Whole(2), None),
            (Kind::Part, Value::Number(1.1), Some("it must be a number from 0 to 1, without quotes")),
            (Kind::Time, text("90s"), None),
            (
                Kind::Time,
                text("soon"),
                Some("`soon` is not a length of time; write for example 90s, 10m or 1h"),
            ),
            (
                Kind::Time,
                Value::Whole(30),
                Some("it must be a length of time in quotes, such as \"90s\"; write \"30s\" for 30 seconds"),
            ),
            (Kind::Path, text(""), Some("it must be the name of a file or folder in quotes")),
            (Kind::List(&Kind::Flag), Value::Flag(true), None),
            (Kind::List(&Kind::Flag), Value::List(vec![Node::of(Value::Flag(true))]), None),
            (
                Kind::List(&Kind::Text),
                Value::List(vec![Node::of(Value::Whole(1))]),
                Some("it must be text in quotes"),
            ),
            (Kind::Text, Value::List(Vec::new()), Some("it must be one value, not a list")),
            (Kind::Text, Value::Other, Some("it must be text in quotes")),
        ]);
    }
}
