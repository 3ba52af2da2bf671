//! The forms of one address that an edge keeps apart: compressed, and React's wire format (the setting `variants`). A purge may
//! take one with it and leave another, where a cache has them under keys of their own. Pure.

use step::{Failure, Settings};

/// A form of a page beside the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `Accept-Encoding: gzip`.
    Gzip,
    /// `Accept-Encoding: br`.
    Brotli,
    /// `RSC: 1`: what the App Router of Next.js asks for when somebody follows a link.
    Rsc,
}

impl Variant {
    const ALL: [Variant; 3] = [Variant::Gzip, Variant::Brotli, Variant::Rsc];

    /// The setting `variants`; none by default, because each one is asked for as often as the page itself.
    ///
    /// # Errors
    /// `config`, `setting`: an unknown word.
    pub fn read(settings: &Settings) -> Result<Vec<Self>, Failure> {
        let mut variants = Vec::new();
        for word in settings.list("variants")? {
            let Some(variant) = Self::ALL.into_iter().find(|variant| variant.word() == word) else {
                return Err(
                    settings.wrong("variants", &format!("`{word}` is not known; gzip, br and rsc are"))
                );
            };
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        Ok(variants)
    }

    /// The word for it, in settings, records and messages.
    pub fn word(self) -> &'static str {
        match self {
            Variant::Gzip => "gzip",
            Variant::Brotli => "br",
            Variant::Rsc => "rsc",
        }
    }

    /// The header that asks for it.
    pub fn header(self) -> (&'static str, &'static str) {
        match self {
            Variant::Gzip => ("Accept-Encoding", "gzip"),
            Variant::Brotli => ("Accept-Encoding", "br"),
            Variant::Rsc => ("RSC", "1"),
        }
    }
}

/// The build id in React's wire format: `"b"` in the row of the answer itself, which begins with `0:` (Next 15 and 16).
pub fn flight(body: &str) -> Option<String> {
    let row = body.lines().find(|line| line.starts_with("0:{"))?;
    let (_, rest) = row.split_once("\"b\":\"")?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

/// The validator without what servers do to it when they compress: nginx makes it weak, Apache adds `-gzip` (or `-br`).
pub fn etag(text: &str) -> Option<String> {
    let strong = text.trim().strip_prefix("W/").unwrap_or(text.trim());
    let bare = strong.strip_prefix('"')?.strip_suffix('"')?;
    let bare = ["-gzip", "-br"].into_iter().find_map(|end| bare.strip_suffix(end)).unwrap_or(bare);
    Some(bare.to_owned()).filter(|bare| !bare.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_of_an_answer_is_in_its_own_row() {
        let flight = |body: &str| flight(body);
        assert_eq!(
            flight("1:\"$Sreact.fragment\"\n0:{\"P\":null,\"b\":\"AlNX\",\"f\":[]}\n"),
            Some("AlNX".into())
        );
        assert_eq!(flight("2:{\"b\":\"of a component\"}\n0:{\"f\":[]}\n"), None, "somebody else's b");
        assert_eq!(flight("<html>"), None);
    }

    #[test]
    fn a_validator_survives_compression() {
        assert_eq!(etag("\"abc\""), etag("W/\"abc\""));
        assert_eq!(etag("\"abc\""), etag("\"abc-gzip\""));
        assert_ne!(etag("\"abc\""), etag("\"abd\""));
        assert_eq!((etag("abc"), etag("\"\"")), (None, None));
    }
}
