//! What of Newman's report may be a secret by its place: the values of variables, what authorises a request, and the headers that carry it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fold::Text;
use super::hidden::Hidden;

/// The environment's values, or global ones.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Values {
    pub values: Valued,
}

/// A collection, a request, or anything else that has such places somewhere in it.
#[derive(Default)]
pub struct Sensitive(pub Hidden);

/// A list of keys and values, or something that holds some: every text in it but names and types.
#[derive(Default)]
pub struct Valued(pub Hidden);

/// Every text, whatever it is called.
#[derive(Default)]
struct Texts(Hidden);

/// The headers of a request: of them only those that may authorise it.
#[derive(Default)]
struct Headers {
    hidden: Hidden,
    key: Option<Text>,
    value: Option<Text>,
}

/// Names and marks; the type of a value is no value.
const MARKS: &[&str] = &["key", "type", "name", "id", "description", "enabled", "disabled", "system"];

/// What is read of an object's entry, or of a text.
trait Walk: Default + for<'de> Deserialize<'de> {
    fn hidden(&mut self) -> &mut Hidden;
    fn text(&mut self, text: &str);
    fn entry<'de, A: MapAccess<'de>>(&mut self, key: &str, entries: &mut A) -> Result<(), A::Error>;

    fn of<'de, T: Walk, A: MapAccess<'de>>(&mut self, entries: &mut A) -> Result<(), A::Error> {
        let mut inner = entries.next_value::<T>()?;
        self.hidden().add(std::mem::take(inner.hidden()));
        Ok(())
    }
}

impl Walk for Sensitive {
    fn hidden(&mut self) -> &mut Hidden {
        &mut self.0
    }

    fn text(&mut self, _: &str) {}

    fn entry<'de, A: MapAccess<'de>>(&mut self, key: &str, entries: &mut A) -> Result<(), A::Error> {
        match key {
            "auth" | "variable" => self.of::<Valued, A>(entries),
            "header" => self.of::<Headers, A>(entries),
            _ => self.of::<Sensitive, A>(entries),
        }
    }
}

impl Walk for Valued {
    fn hidden(&mut self) -> &mut Hidden {
        &mut self.0
    }

    fn text(&mut self, text: &str) {
        self.0.value(text.to_owned());
    }

    fn entry<'de, A: MapAccess<'de>>(&mut self, key: &str, entries: &mut A) -> Result<(), A::Error> {
        match key {
            "value" => self.of::<Texts, A>(entries),
            _ if MARKS.contains(&key) => entries.next_value::<IgnoredAny>().map(|_| ()),
            _ => self.of::<Valued, A>(entries),
        }
    }
}

impl Walk for Texts {
    fn hidden(&mut self) -> &mut Hidden {
        &mut self.0
    }

    fn text(&mut self, text: &str) {
        self.0.value(text.to_owned());
    }

    fn entry<'de, A: MapAccess<'de>>(&mut self, _: &str, entries: &mut A) -> Result<(), A::Error> {
        self.of::<Texts, A>(entries)
    }
}

impl Walk for Headers {
    fn hidden(&mut self) -> &mut Hidden {
        &mut self.hidden
    }

    /// As version 2.0 of the collection writes them: all in one text.
    fn text(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((key, value)) = line.split_once(':') {
                add(key, value, &mut self.hidden);
            }
        }
    }

    /// Each is an object with a key and a value, or an entry of one.
    fn entry<'de, A: MapAccess<'de>>(&mut self, key: &str, entries: &mut A) -> Result<(), A::Error> {
        let text = entries.next_value::<Text>()?;
        add(key, &text.0, &mut self.hidden);
        match key {
            "key" => self.key = Some(text),
            "value" => self.value = Some(text),
            _ => {}
        }
        if let (Some(key), Some(value)) = (&self.key, &self.value) {
            add(&key.0, &value.0, &mut self.hidden);
        }
        Ok(())
    }
}

/// A header's value and the parts of it that are as good as the whole: behind `Bearer`, and each cookie's.
fn add(key: &str, value: &str, sum: &mut Hidden) {
    let name: String =
        key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let ends = ["authorization", "cookie", "apikey", "token", "secret", "password", "accesskey"];
    // Newman makes a new one for each request.
    if name == "postmantoken" || !ends.iter().any(|end| name.ends_with(end)) {
        return;
    }
    let value = value.trim();
    sum.value(value.to_owned());
    for part in value.split([';', ',']).map(str::trim) {
        let behind = if name.ends_with("cookie") { part.split_once('=') } else { part.split_once(' ') };
        if let Some((_, secret)) = behind {
            sum.value(secret.trim().to_owned());
        }
    }
}

struct Walker<T>(T);

impl<'de, T: Walk> Visitor<'de> for Walker<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<T, E> {
        self.0.text(text);
        Ok(self.0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<T, E> {
        self.0.text(&value.to_string());
        Ok(self.0)
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<T, E> {
        self.0.text(&value.to_string());
        Ok(self.0)
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<T, E> {
        self.0.text(&value.to_string());
        Ok(self.0)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<T, A::Error> {
        while let Some(mut item) = items.next_element::<T>()? {
            self.0.hidden().add(std::mem::take(item.hidden()));
        }
        Ok(self.0)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<T, A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            self.0.entry(&key, &mut entries)?;
        }
        Ok(self.0)
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walker(Sensitive::default()))
    }
}

impl<'de> Deserialize<'de> for Valued {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walker(Valued::default()))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walker(Texts::default()))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walker(Headers::default()))
    }
}
