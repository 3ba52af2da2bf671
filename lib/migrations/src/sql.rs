//! What a migration means for the build before it: may that build run on the new schema, and are its rows still there?
//! Decided statement by statement, by their syntax trees. What cannot be read is unknown, never harmless. Pure.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, AlterTypeOperation, ColumnDef, ColumnOption,
    ObjectName, ObjectType, Statement,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// The part of a migration that takes it back (dbmate); it is not run when it is deployed.
const DOWN: &str = "-- migrate:down";

/// What a change means for the build before it, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// No change.
    None,
    /// Something was added: the previous build runs on it, and its rows are untouched.
    Expand,
    /// It cannot be told.
    Unknown,
    /// Something was taken away, renamed, narrowed or rewritten: the previous build may fail, or miss rows.
    Contract,
}

impl Class {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Class::None => "none",
            Class::Expand => "expand",
            Class::Unknown => "unknown",
            Class::Contract => "contract",
        }
    }
}

/// A statement that is more than an addition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// From 1.
    pub line: u64,
    /// What it means.
    pub class: Class,
    /// A clause for people.
    pub why: String,
}

/// Judges files in the order in which they were run: what happens to a table that the same release has made cannot
/// hurt the previous build.
#[derive(Debug, Default)]
pub struct Judge {
    made: HashSet<String>,
}

type Verdict = (Class, &'static str);

const ADDED: Verdict = (Class::Expand, "adds something");
const SETTING: Verdict = (Class::None, "changes no schema");
const STRANGE: Verdict = (Class::Unknown, "is a statement whose effect on the previous build is not known");

impl Judge {
    /// The class of a file, and every statement that is more than an addition.
    pub fn file(&mut self, sql: &str) -> (Class, Vec<Finding>) {
        let up = sql.find(DOWN).map_or(sql, |end| &sql[..end]);
        let mut class = Class::None;
        let mut findings = Vec::new();
        for (line, (found, why)) in self.statements(up) {
            class = class.max(found);
            if found > Class::Expand {
                findings.push(Finding { line, class: found, why });
            }
        }
        (class, findings)
    }

    fn statements(&mut self, sql: &str) -> Vec<(u64, (Class, String))> {
        let tokens = match Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location() {
            Ok(tokens) => tokens,
            Err(error) => {
                return vec![(
                    error.location.line,
                    (Class::Unknown, format!("cannot be read: {}", error.message)),
                )];
            }
        };
        let said = |t: &&[TokenWithSpan]| t.iter().any(|t| !matches!(t.token, Token::Whitespace(_)));
        let statements = tokens.split(|t| t.token == Token::SemiColon).filter(said);
        statements.map(|tokens| (line(tokens), self.statement(tokens))).collect()
    }

    fn statement(&mut self, tokens: &[TokenWithSpan]) -> (Class, String) {
        let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens.to_vec());
        match parser.parse_statement() {
            Ok(statement) if parser.peek_token().token == Token::EOF => {
                let (class, why) = self.judge(&statement);
                (class, why.to_owned())
            }
            Ok(_) => (Class::Unknown, "is a statement that cannot be read to its end".to_owned()),
            Err(error) => (Class::Unknown, format!("cannot be read: {error}")),
        }
    }

    fn judge(&mut self, statement: &Statement) -> Verdict {
        match statement {
            Statement::CreateTable(table) => {
                // One that may have been there before is not this release's own.
                if !table.if_not_exists {
                    self.made.insert(bare(&table.name));
                }
                ADDED
            }
            Statement::AlterTable(alter) if self.is_made(&alter.name) => ADDED,
            Statement::AlterTable(alter) => alter_table(alter),
            Statement::CreateIndex(index) if index.unique && !self.is_made(&index.table_name) => {
                (Class::Contract, "makes the database refuse rows that the previous build may write")
            }
            Statement::Drop { object_type: ObjectType::Index, .. } => (Class::Expand, "takes away an index"),
            Statement::Drop { object_type: ObjectType::Table, names, .. }
                if names.iter().all(|name| self.is_made(name)) =>
            {
                ADDED
            }
            other if changes_no_schema(other) => SETTING,
            other if only_adds(other) => ADDED,
            other => takes_away(other),
        }
    }

    fn is_made(&self, name: &ObjectName) -> bool {
        self.made.contains(&bare(name))
    }
}

fn changes_no_schema(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Set(_)
            | Statement::Reset(_)
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Comment { .. }
            | Statement::Analyze(_)
            | Statement::Vacuum(_)
            | Statement::RefreshMaterializedView(_)
    )
}

fn only_adds(statement: &Statement) -> bool {
    match statement {
        Statement::CreateIndex(_)
        | Statement::CreateSequence { .. }
        | Statement::CreateType { .. }
        | Statement::CreateDomain(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateExtension(_)
        | Statement::CreateRole(_)
        | Statement::CreateCollation(_)
        | Statement::CreateAggregate(_)
        | Statement::Grant(_) => true,
        Statement::Insert(insert) => insert.on.is_none() && !insert.overwrite,
        Statement::CreateView(view) => !view.or_replace,
        Statement::CreateFunction(function) => !function.or_replace,
        Statement::AlterType(alter) => matches!(alter.operation, AlterTypeOperation::AddValue(_)),
        _ => false,
    }
}

/// What is neither a setting nor an addition.
fn takes_away(statement: &Statement) -> Verdict {
    match statement {
        Statement::CreateView(_) | Statement::CreateFunction(_) => {
            (Class::Unknown, "may replace what the previous build calls")
        }
        Statement::AlterType(_) | Statement::RenameTable(_) => {
            (Class::Contract, "renames what the previous build uses")
        }
        Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_)
        | Statement::Truncate(_) => {
            (Class::Contract, "changes rows that are there: the previous build cannot bring them back")
        }
        Statement::Drop { .. }
        | Statement::DropFunction(_)
        | Statement::DropProcedure { .. }
        | Statement::DropDomain(_)
        | Statement::DropExtension(_) => (Class::Contract, "takes away what the previous build may use"),
        Statement::Revoke(_) | Statement::RevokeRole(_) => {
            (Class::Contract, "takes away rights that the previous build may need")
        }
        _ => STRANGE,
    }
}

/// The worst of its operations.
fn alter_table(alter: &AlterTable) -> Verdict {
    alter.operations.iter().map(operation).max_by_key(|(class, _)| *class).unwrap_or(STRANGE)
}

fn operation(operation: &AlterTableOperation) -> Verdict {
    use AlterTableOperation as Op;
    match operation {
        Op::AddColumn { column_def, .. } if needs_a_value(column_def) => {
            (Class::Contract, "adds a column that the previous build does not fill")
        }
        Op::AddColumn { .. } | Op::DropConstraint { .. } | Op::ValidateConstraint { .. } => ADDED,
        Op::OwnerTo { .. }
        | Op::SetOptionsParens { .. }
        | Op::ReplicaIdentity { .. }
        | Op::ClusterBy { .. } => SETTING,
        Op::DropColumn { .. } | Op::DropPrimaryKey { .. } => {
            (Class::Contract, "takes away what the previous build may use")
        }
        Op::RenameColumn { .. } | Op::RenameTable { .. } => {
            (Class::Contract, "renames what the previous build uses")
        }
        Op::AddConstraint { .. } | Op::EnableRowLevelSecurity | Op::ForceRowLevelSecurity => {
            (Class::Contract, "makes the database refuse what the previous build may do")
        }
        Op::AlterColumn { op, .. } => column(op),
        _ => STRANGE,
    }
}

fn column(operation: &AlterColumnOperation) -> Verdict {
    use AlterColumnOperation as Op;
    match operation {
        Op::SetDefault { .. } => ADDED,
        Op::SetNotNull | Op::DropDefault => {
            (Class::Contract, "makes the database refuse rows that the previous build may write")
        }
        Op::SetDataType { .. } => (Class::Contract, "changes the type of what the previous build uses"),
        Op::DropNotNull => (Class::Unknown, "allows values that the previous build may not expect"),
        _ => STRANGE,
    }
}

fn needs_a_value(column: &ColumnDef) -> bool {
    let has = |wanted: fn(&ColumnOption) -> bool| column.options.iter().any(|o| wanted(&o.option));
    let filled = has(|o| {
        matches!(o, ColumnOption::Default(_) | ColumnOption::Generated { .. } | ColumnOption::Identity(_))
    });
    // PostgreSQL's serial types bring their own default.
    let serial = column.data_type.to_string().to_ascii_lowercase().contains("serial");
    has(|o| matches!(o, ColumnOption::NotNull | ColumnOption::PrimaryKey(_))) && !filled && !serial
}

/// A name as PostgreSQL sees it, without the usual schema.
fn bare(name: &ObjectName) -> String {
    let name = name.to_string().replace('"', "").to_lowercase();
    name.strip_prefix("public.").map(str::to_owned).unwrap_or(name)
}

fn line(tokens: &[TokenWithSpan]) -> u64 {
    let word = tokens.iter().find(|t| !matches!(t.token, Token::Whitespace(_)));
    word.map_or(0, |t| t.span.start.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(sql: &str) -> Class {
        Judge::default().file(sql).0
    }

    #[test]
    fn additions_expand() {
        for sql in [
            "create table orders (id bigint generated always as identity primary key, total numeric(12,2) not null);",
            "alter table orders add column note text",
            "alter table orders add column paid_with text not null default 'transfer';",
            "alter table orders add column n int generated always as (1) stored",
            "alter table orders add column id2 bigserial not null",
            "create index concurrently if not exists i on orders (status)",
            "create unique index i on t (a)".replace("create", "create table t (a int); create").as_str(),
            "create table t (a int); alter table t drop column a; drop table t",
            "create table public.t (a int); alter table T alter column a set not null",
            "insert into products values (1, 'Kopi Gayo', 85000)",
            "create extension if not exists pgcrypto",
            "create type mood as enum ('a'); alter type mood add value 'b'",
            "create view v as select 1",
            "create function f() returns int language sql as $$ select 1; $$",
            "drop index if exists i",
            "grant select on orders to web",
        ] {
            assert_eq!(class(sql), Class::Expand, "{sql}: {:?}", Judge::default().file(sql).1);
        }
    }

    #[test]
    fn what_takes_away_contracts() {
        for sql in [
            "alter table products drop column price;",
            "alter table orders rename column total to grand_total",
            "alter table orders rename to purchases",
            "alter table orders add column note text not null",
            "alter table orders alter column note set not null",
            "alter table orders alter column total type bigint",
            "alter table orders add constraint c check (total > 0)",
            "create unique index i on orders (note)",
            "drop table orders",
            "drop view v",
            "update products set price = 0",
            "delete from orders where id = 1",
            "truncate orders",
            "revoke select on orders from web",
            "alter table orders enable row level security",
            "alter table orders add column a int, drop column b",
            "create table t (a int); drop table t, orders",
            "create table if not exists orders (a int); alter table orders drop column total",
            "insert into products values (1, 'x') on conflict (id) do update set name = excluded.name",
        ] {
            assert_eq!(class(sql), Class::Contract, "{sql}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_has_its_line() {
        for sql in [
            "do $$ begin perform 1; end $$",
            "select setval('s', 1)",
            "create or replace function f() returns int language sql as $$ select 1 $$",
            "create or replace view v as select 1",
            "frobnicate the database",
            "alter table orders alter column note drop not null",
            "create trigger t before insert on orders for each row execute function f()",
            "select 'unterminated",
        ] {
            assert_eq!(class(sql), Class::Unknown, "{sql}: {:?}", Judge::default().file(sql).1);
        }
        let (_, findings) = Judge::default().file("-- first\n\ncreate table t (a int);\n\nfrobnicate;\n");
        assert_eq!((findings.len(), findings[0].line), (1, 5));
    }

    #[test]
    fn settings_and_the_way_down_do_not_count() {
        for sql in [
            "",
            "-- nothing\n",
            "set lock_timeout = '2s'; begin; commit;",
            "-- migrate:up\n-- migrate:down\ndrop table orders;",
        ] {
            assert_eq!(class(sql), Class::None, "{sql:?}");
        }
        let both = "drop table a; frobnicate;";
        assert_eq!(class(both), Class::Contract, "the worst counts");
        assert_eq!(Judge::default().file(both).1.len(), 2);
    }
}
