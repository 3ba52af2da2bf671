//! The words of one statement of a dump, outside of parentheses: what is quoted is told apart from what is not, so that neither a text nor a
//! name is ever taken for SQL.

/// A word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A keyword or a name that is not quoted, in small letters.
    Plain(String),
    /// A quoted name, without its quotes.
    Name(String),
    /// A literal, without its quotes.
    Text(String),
    /// A comma, a dot or another sign.
    Sign(char),
}

impl Word {
    /// Whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Plain(word) if word == keyword)
    }

    /// The name that it is, quoted or not.
    pub fn name(&self) -> Option<&str> {
        match self {
            Word::Plain(name) | Word::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The words of a whole statement.
pub fn of(text: &str) -> Vec<Word> {
    let (mut words, mut rest, mut depth) = (Vec::new(), text, 0_u32);
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' => {
                quoted(rest, '"', false).map_or((None, ""), |(name, after)| (Some(Word::Name(name)), after))
            }
            '\'' => literal(rest, false),
            'E' | 'e' if rest[1..].starts_with('\'') => literal(&rest[1..], true),
            '$' => dollar(rest),
            c if c.is_alphanumeric() || c == '_' => {
                let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let (word, after) = rest.split_at(rest.find(|c| !inside(c)).unwrap_or(rest.len()));
                (Some(Word::Plain(word.to_lowercase())), after)
            }
            c if c.is_whitespace() => (None, &rest[c.len_utf8()..]),
            c => {
                depth = if c == '(' { depth + 1 } else { depth.saturating_sub(u32::from(c == ')')) };
                (Some(Word::Sign(c)), &rest[c.len_utf8()..])
            }
        };
        let bracket = matches!(word, Some(Word::Sign('(' | ')')));
        words.extend(word.filter(|_| depth == 0 && !bracket));
        rest = after;
    }
    words
}

fn literal(rest: &str, escapes: bool) -> (Option<Word>, &str) {
    quoted(rest, '\'', escapes).map_or((None, ""), |(text, after)| (Some(Word::Text(text)), after))
}

/// What stands between quotes, and what follows; a doubled quote is one.
fn quoted(rest: &str, quote: char, escapes: bool) -> Option<(String, &str)> {
    let (mut text, mut chars) = (String::new(), rest[1..].char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            text.extend(chars.next().map(|(_, next)| next));
        } else if c != quote {
            text.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Some((text, &rest[at + 2..]));
        }
    }
    None
}

/// A text between dollars says nothing to us.
fn dollar(rest: &str) -> (Option<Word>, &str) {
    let tag = rest[1..].find('$').map(|end| &rest[..end + 2]);
    let tag = tag.filter(|tag| tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_'));
    let Some(tag) = tag else { return (Some(Word::Sign('$')), &rest[1..]) };
    let body = &rest[tag.len()..];
    (Some(Word::Text(String::new())), body.find(tag).map_or("", |end| &body[end + tag.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_no_keyword() {
        let words = of("ALTER TABLE \"x TO y\".\"a\"\"b\" OWNER TO Boss");
        let names: Vec<_> = words.iter().filter_map(Word::name).collect();
        assert_eq!(names, ["alter", "table", "x TO y", "a\"b", "owner", "to", "boss"]);
        let count = |text: &str| of(text).iter().filter(|word| word.is("to")).count();
        for none in [
            "select ('READY TO SHIP'::text)",
            "select 'it''s TO', E'\\' TO x', $$ TO x $$, $a$ $$ TO $a$",
            "x USING ((a = 'TO') AND (b IN ('c', ' TO ')))",
            "select \"TO\"",
        ] {
            assert_eq!(count(none), 0, "{none}");
        }
        assert_eq!(count("GRANT a(\"TO\") ON b TO c"), 1);
        assert_eq!(of("set x = 'a b'").last(), Some(&Word::Text("a b".into())));
    }
}
