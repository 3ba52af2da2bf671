//! Parts of a report that are read and not kept: a list is added up item by item, and a text is what it says, whatever it is.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// An item of a list, which adds what it knows to a sum.
pub trait Part<Sum> {
    fn add_to(self, sum: &mut Sum);
}

/// A list, of which only the sum of its parts is kept. `null` is an empty one.
#[derive(Debug)]
pub struct Folded<Sum, Item>(pub Sum, PhantomData<Item>);

impl<Sum: Default, Item> Default for Folded<Sum, Item> {
    fn default() -> Self {
        Folded(Sum::default(), PhantomData)
    }
}

impl<'de, Sum: Default, Item: Part<Sum> + Deserialize<'de>> Deserialize<'de> for Folded<Sum, Item> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Items(PhantomData))
    }
}

struct Items<Sum, Item>(PhantomData<(Sum, Item)>);

impl<'de, Sum: Default, Item: Part<Sum> + Deserialize<'de>> Visitor<'de> for Items<Sum, Item> {
    type Value = Folded<Sum, Item>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Folded::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut sum = Sum::default();
        while let Some(item) = items.next_element::<Item>()? {
            item.add_to(&mut sum);
        }
        Ok(Folded(sum, PhantomData))
    }
}

/// The first text of a list that is not empty.
impl Part<Text> for Text {
    fn add_to(self, sum: &mut Text) {
        if sum.0.is_empty() {
            *sum = self;
        }
    }
}

/// A text; what is none is written as one, and lists and objects are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

impl Text {
    /// This, or what else may tell it.
    pub fn or(self, other: Text) -> Text {
        if self.0.is_empty() { other } else { self }
    }

    /// Nothing if it is empty.
    pub fn some(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyText)
    }
}

struct AnyText;

impl<'de> Visitor<'de> for AnyText {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Text, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}
