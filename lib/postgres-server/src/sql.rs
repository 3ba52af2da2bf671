//! Every SQL text of this program is made here. A statement is a [`Sql`]: a text of our own, whose `{}` are filled with names, literals and
//! lists that are quoted here. There is no way from a `String` to a [`Sql`] but these, so what a catalog, a dump or a comment says never
//! becomes SQL by concatenation: it does not compile.

use std::borrow::Cow;

/// SQL that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql(Cow<'static, str>);

impl Sql {
    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Sql(Cow::Borrowed(text))
    }
}

impl From<&Sql> for Sql {
    fn from(sql: &Sql) -> Self {
        sql.clone()
    }
}

/// A text of ours whose `{}` are replaced by these parts, in order.
pub fn fill(template: &'static str, parts: &[Sql]) -> Sql {
    let pieces: Vec<&str> = template.split("{}").collect();
    debug_assert_eq!(pieces.len(), parts.len() + 1, "{template}");
    let mut text = String::with_capacity(template.len() + 64);
    let mut parts = parts.iter();
    for (n, piece) in pieces.into_iter().enumerate() {
        if n > 0 {
            text.push_str(parts.next().map_or("null", Sql::as_str));
        }
        text.push_str(piece);
    }
    Sql(Cow::Owned(text))
}

/// Parts with one of our own texts between them.
pub fn join(parts: impl IntoIterator<Item = Sql>, between: &'static str) -> Sql {
    let parts: Vec<Sql> = parts.into_iter().collect();
    Sql(Cow::Owned(parts.iter().map(Sql::as_str).collect::<Vec<_>>().join(between)))
}

/// A name, quoted.
pub fn name(name: &str) -> Sql {
    Sql(Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))))
}

/// A literal of type text, quoted.
pub fn text(text: &str) -> Sql {
    // An escape string is read alike whatever standard_conforming_strings says.
    Sql(Cow::Owned(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))))
}

/// A whole number.
pub fn number(number: impl Into<i128>) -> Sql {
    Sql(Cow::Owned(number.into().to_string()))
}

/// A name that a server has quoted itself (`%I.%I`, `quote_ident`). What is none is taken for one name and quoted whole: then there is
/// nothing of that name, and nothing else happens.
pub fn given(quoted: &str) -> Sql {
    let (mut rest, mut fits) = (quoted, !quoted.is_empty());
    while fits {
        match identifier(rest) {
            Some("") => return Sql(Cow::Owned(quoted.to_owned())),
            Some(after) => match after.strip_prefix('.') {
                Some(next) => rest = next,
                None => fits = false,
            },
            None => fits = false,
        }
    }
    name(quoted)
}

/// What follows one identifier.
fn identifier(text: &str) -> Option<&str> {
    if let Some(mut rest) = text.strip_prefix('"') {
        loop {
            rest = &rest[rest.find('"')? + 1..];
            match rest.strip_prefix('"') {
                Some(more) => rest = more,
                None => return Some(rest),
            }
        }
    }
    let letter = |c: char| c.is_ascii_lowercase() || c == '_';
    let rest = text.strip_prefix(letter)?;
    Some(rest.trim_start_matches(|c: char| letter(c) || c.is_ascii_digit() || c == '$'))
}

/// The name of a type, or a function with the types of its arguments, as a server writes it (`format_type`, `regprocedure`). What could be
/// anything else is quoted whole, as in [`given`].
pub fn signature(written: &str) -> Sql {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_$ .,()[]".contains(c);
    let (mut rest, mut depth) = (written, 0_i32);
    while let Some(c) = rest.chars().next() {
        rest = if c == '"' {
            match identifier(rest) {
                Some(after) => after,
                None => return name(written),
            }
        } else if plain(c) {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if depth < 0 {
                return name(written);
            }
            &rest[1..]
        } else {
            return name(written);
        };
    }
    if depth == 0 && !written.is_empty() { Sql(Cow::Owned(written.to_owned())) } else { name(written) }
}

/// The value of a setting as `SET name TO` takes it. Those whose value is a list are stored as one text, each element quoted; they are read
/// as the server reads them, and each element is a literal (pg_dump does the same with the same settings).
pub fn setting(setting: &str, stored: &str) -> Sql {
    const LISTS: &[&str] = &[
        "search_path",
        "temp_tablespaces",
        "unix_socket_directories",
        "local_preload_libraries",
        "session_preload_libraries",
        "shared_preload_libraries",
        "restrict_nonsystem_relation_kind",
        "extension_control_path",
    ];
    match elements(stored).filter(|list| LISTS.contains(&setting) && !list.is_empty()) {
        Some(list) => join(list.iter().map(|element| text(element)), ", "),
        None => text(stored),
    }
}

/// The elements of a stored list; `None` when it is none.
fn elements(stored: &str) -> Option<Vec<String>> {
    let mut list = Vec::new();
    let mut rest = stored.trim();
    while !rest.is_empty() {
        let after = if rest.starts_with('"') {
            let after = identifier(rest)?;
            let inner = &rest[1..rest.len() - after.len() - 1];
            list.push(inner.replace("\"\"", "\""));
            after
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(rest.len());
            list.push(rest[..end].to_owned());
            &rest[end..]
        };
        rest = match after.trim_start() {
            "" => "",
            more => Some(more.strip_prefix(',')?.trim_start()).filter(|next| !next.is_empty())?,
        };
    }
    Some(list)
}

/// A query that the team's settings hold, as part of one of ours: their own SQL, and the only one that is none of ours.
pub fn of_the_settings(query: &str) -> Sql {
    Sql(Cow::Owned(query.trim().trim_end_matches(';').to_owned()))
}

/// One whole statement of somebody else, as a dump has it. It is sent by the extended protocol, which takes one statement only, and by a
/// superuser only where the caller has read that it runs nothing.
pub fn of_a_dump(statement: String) -> Sql {
    Sql(Cow::Owned(statement))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &[&str] = &[
        "plain",
        "a\"b",
        "a'b",
        "a\\b",
        "x\ny",
        "; drop table t; --",
        "$$",
        "a.b",
        "é",
        "",
        "\\'; select 1; --",
    ];

    #[test]
    fn parts_are_quoted_and_fill_their_places() {
        let sql = fill("comment on database {} is {}", &[name("a\"b"), text("it's \\ so")]);
        assert_eq!(sql.as_str(), r#"comment on database "a""b" is E'it''s \\ so'"#);
        assert_eq!(join([name("a"), number(7)], " = ").as_str(), "\"a\" = 7");
    }

    #[test]
    fn what_a_server_has_quoted_is_kept_and_anything_else_is_one_name() {
        for good in ["public.orders", "\"Lager 1\".\"Bestand, alt\"", "a_1$", "\"a\"\"b\".c", "s.\"x;y\""] {
            assert_eq!(given(good).as_str(), good);
        }
        for bad in ["Public.t", "a b", "a;b", "\"a", "a.", ".a", "a..b", "", "a\"b\"", "1a", "a--", "\"a\"b"]
        {
            assert_eq!(given(bad), name(bad), "{bad}");
        }
        for good in
            ["timestamp(3) without time zone", "numeric(10,2)[]", "public.\"My type\"", "f(integer, \"T;\")"]
        {
            assert_eq!(signature(good).as_str(), good);
        }
        for bad in ["int); drop", "a'b", "int--", "a)(b", "f(", "", "x\ny"] {
            assert_eq!(signature(bad), name(bad), "{bad}");
        }
        for text in HOSTILE {
            let quoted = name(text);
            assert_eq!(given(quoted.as_str()), quoted, "{text}");
        }
    }

    #[test]
    fn values_of_settings_are_read_as_the_server_reads_them() {
        assert_eq!(setting("search_path", "\"$user\", public").as_str(), "E'$user', E'public'");
        assert_eq!(setting("search_path", "\"a, \"\"b\", c").as_str(), "E'a, \"b', E'c'");
        assert_eq!(setting("search_path", "").as_str(), "E''");
        assert_eq!(setting("search_path", "\"\"").as_str(), "E''");
        assert_eq!(setting("work_mem", "8MB").as_str(), "E'8MB'");
        assert_eq!(setting("app.mode", "shop, open").as_str(), "E'shop, open'");
        let attack = "x; alter role eve superuser; --";
        assert_eq!(setting("local_preload_libraries", attack), text(attack), "no list: one literal");
        for hostile in HOSTILE {
            let sql = setting("local_preload_libraries", hostile);
            let mut open = false;
            let mut chars = sql.as_str().chars().peekable();
            while let Some(c) = chars.next() {
                match c {
                    '\\' if open => drop(chars.next()),
                    '\'' if open && chars.peek() == Some(&'\'') => drop(chars.next()),
                    '\'' => open = !open,
                    _ => assert!(open || "E, ".contains(c), "{sql:?}"),
                }
            }
            assert!(!open, "{sql:?}");
        }
    }
}
