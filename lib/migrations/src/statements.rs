//! The statements of a file, as the server takes it apart. Pure.

use crate::lex::{self, Kind, Token, Unreadable};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Of its first word, from 1.
    pub line: u64,
    /// From its first word to its last, without the semicolon; comments between them are in it.
    pub text: String,
    /// Where the text begins in what was read, in bytes.
    pub start: usize,
    pub(crate) tokens: Vec<Token>,
}

/// Takes SQL apart at the semicolons that end a statement: not those in strings, names, comments, dollar quotes, parentheses (the actions
/// of a rule) and `BEGIN ATOMIC ... END`. A part of comments alone is no statement.
pub fn statements(sql: &str) -> Result<Vec<Statement>, Unreadable> {
    let mut found = Vec::new();
    let mut one: Vec<Token> = Vec::new();
    let mut depth = Depth::default();
    for token in lex::tokens(sql)? {
        if token.is(";") && depth.is_outside() {
            found.extend(statement(sql, std::mem::take(&mut one)));
            depth = Depth::default();
        } else {
            depth.note(&one, &token);
            one.push(token);
        }
    }
    found.extend(statement(sql, one));
    Ok(found)
}

fn statement(sql: &str, tokens: Vec<Token>) -> Option<Statement> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let text = sql[first.at..last.end].to_owned();
    Some(Statement { line: first.line, text, start: first.at, tokens })
}

/// How deep in something that has semicolons of its own.
#[derive(Default)]
struct Depth {
    parentheses: usize,
    /// `BEGIN ATOMIC` and the `CASE`s in it, each of which has an `END`.
    blocks: usize,
}

impl Depth {
    fn is_outside(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn note(&mut self, before: &[Token], token: &Token) {
        if token.kind == Kind::Symbol {
            match token.value.as_str() {
                "(" => self.parentheses += 1,
                ")" => self.parentheses = self.parentheses.saturating_sub(1),
                _ => {}
            }
        } else if token.is("atomic") && before.last().is_some_and(|t| t.is("begin")) && makes_routine(before)
        {
            self.blocks = 1;
        } else if self.blocks > 0 && token.is("case") {
            self.blocks += 1;
        } else if self.blocks > 0 && token.is("end") {
            self.blocks -= 1;
        }
    }
}

/// Whether a statement begins as that of a function or a procedure does: only there is `BEGIN ATOMIC` a block.
pub(crate) fn makes_routine(tokens: &[Token]) -> bool {
    let words = tokens.iter().take(4);
    tokens.first().is_some_and(|t| t.is("create"))
        && words.skip(1).any(|t| t.is("function") || t.is("procedure"))
}

impl Statement {
    /// Whether it names a relation, given as `schema.table` or `table`, as the catalog or as SQL writes it. A name without a schema in the
    /// statement may be of any schema. What stands in the body of a `DO` or of a function counts.
    pub fn mentions(&self, relation: &str) -> bool {
        let parts = parts(relation);
        let Some((table, schemas)) = parts.split_last() else { return false };
        names(&self.tokens, schemas.last().map(String::as_str), table, self.has_bodies())
    }

    /// Whether its strings are programs.
    pub(crate) fn has_bodies(&self) -> bool {
        self.is("do") || makes_routine(&self.tokens)
    }

    /// Whether its first word is this one.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.tokens.first().is_some_and(|t| t.is(word))
    }
}

/// The parts of a relation's name. The catalog writes none of them in quotes, SQL those that need it.
fn parts(relation: &str) -> Vec<String> {
    if !relation.contains('"') {
        return relation.split('.').map(str::to_owned).collect();
    }
    let tokens = lex::tokens(relation).unwrap_or_default();
    tokens.into_iter().filter(Token::is_name).map(|t| t.value).collect()
}

fn names(tokens: &[Token], schema: Option<&str>, table: &str, bodies: bool) -> bool {
    let same = |token: &Token, name: &str| {
        token.is_name() && (token.value == name || token.value == name.to_ascii_lowercase())
    };
    let here = |(at, token): (usize, &Token)| {
        if !same(token, table) {
            return false;
        }
        let qualifier = tokens[..at].last().filter(|t| t.is(".")).and_then(|_| tokens[..at - 1].last());
        match (schema, qualifier) {
            (Some(schema), Some(own)) => same(own, schema),
            _ => true,
        }
    };
    let inside = |token: &Token| {
        // A body that is no SQL names whatever its text has.
        let read = lex::tokens(&token.value);
        read.map_or_else(|_| token.value.contains(table), |inner| names(&inner, schema, table, true))
    };
    tokens.iter().enumerate().any(here) || (bodies && tokens.iter().filter(|t| t.is_string()).any(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_semicolons_that_end_a_statement_do() {
        for (sql, count) in [
            ("", 0),
            (" ; -- a;\n /* ; /* ; */ */ ;", 0),
            ("select 1; select 2", 2),
            ("select ';' || \"a;b\" || e'\\';' || $x$ ; $$ ; $x$; select 2;", 2),
            (
                "create rule r as on insert to t do also (insert into a values (1); delete from b); select 1",
                2,
            ),
            (
                "create function f(a int) returns int begin atomic select case a when 1 then 2 end; select 2; end; select 1",
                2,
            ),
            ("create or replace procedure p() language sql begin atomic insert into t values (1); end", 1),
            ("begin; select 1; end;", 3),
            ("create table t (a int); begin; commit", 3),
            ("do $do$ begin execute $q$ drop table a; $q$; end $do$; select 1", 2),
            ("select 1 /* ; */ + 1;\n\n  select 2", 2),
        ] {
            assert_eq!(statements(sql).map(|s| s.len()), Ok(count), "{sql}");
        }
    }

    #[test]
    fn a_statement_has_its_line_place_and_text() {
        let sql = "-- a\n\nselect 1; -- b\n/* c */ select\n 2 -- d\n;";
        let found = statements(sql).expect("read");
        let shown: Vec<_> = found.iter().map(|s| (s.line, s.start, s.text.as_str())).collect();
        assert_eq!(shown, [(3, 6, "select 1"), (4, sql.find("select\n").expect("one"), "select\n 2")]);
        assert_eq!(statements("select 1;\n'").map_err(|e| e.line), Err(2));
    }

    #[test]
    fn a_relation_is_mentioned_by_its_name() {
        for (sql, relation, expected) in [
            ("alter table orders add a int", "orders", true),
            ("alter table Public . ORDERS add a int", "public.orders", true),
            ("alter table orders add a int", "public.orders", true),
            ("alter table sales.orders add a int", "public.orders", false),
            ("alter table sales.orders add a int", "orders", true),
            ("alter table \"Orders\" add a int", "public.\"Orders\"", true),
            ("alter table \"Orders\" add a int", "public.Orders", true),
            ("alter table \"Orders\" add a int", "orders", false),
            ("alter table U&\"\\006frders\" add a int", "orders", true),
            ("alter table orders_old add a int", "orders", false),
            ("select 'orders' -- orders", "orders", false),
            ("do $$ begin execute 'alter table orders add a int'; end $$", "public.orders", true),
            ("do 'begin drop table sales.orders; end'", "public.orders", false),
            ("select 1", "", false),
        ] {
            let found = statements(sql).expect("read");
            assert_eq!(found[0].mentions(relation), expected, "{sql} {relation}");
        }
    }
}
