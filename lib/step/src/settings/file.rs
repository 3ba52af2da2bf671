//! The file itself: where it is, and its values with the lines they stand on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Failure;

/// The file's name.
pub(crate) const FILE: &str = "release.toml";

/// A value with the line it stands on.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Table(usize, BTreeMap<String, Node>),
    List(usize, Vec<Node>),
    /// Strings as they are; numbers and booleans as they were written.
    Leaf(usize, String),
}

impl Node {
    pub(super) fn line(&self) -> usize {
        match self {
            Node::Table(line, _) | Node::List(line, _) | Node::Leaf(line, _) => *line,
        }
    }

    pub(super) fn table(&self) -> Option<&BTreeMap<String, Node>> {
        if let Node::Table(_, table) = self { Some(table) } else { None }
    }

    pub(super) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.table()?.get(key))
    }
}

/// The file of the working directory, or of the nearest folder above that has one.
pub(super) fn find_upwards() -> Result<Option<PathBuf>, Failure> {
    let here = std::env::current_dir()
        .map_err(|e| Failure::config("settings", format!("the working directory cannot be read: {e}")))?;
    let found = here.ancestors().map(|folder| folder.join(FILE)).find(|path| path.is_file());
    // Beside us it is called by its name alone: that is how a person would say it.
    Ok(found.map(|path| if path.parent() == Some(here.as_path()) { PathBuf::from(FILE) } else { path }))
}

/// Reads a file; what is no TOML is named with its line.
pub(super) fn read(path: &Path) -> Result<Node, Failure> {
    let at = path.display();
    let source = std::fs::read_to_string(path)
        .map_err(|e| Failure::config("settings", format!("{at} cannot be read: {e}")))?;
    let parsed = DeTable::parse(&source).map_err(|e| {
        let line = e.span().map_or(1, |span| line_of(&source, span.start));
        Failure::config("settings", format!("{at}:{line}: {}", e.message()))
    })?;
    Ok(table(&source, parsed.get_ref(), 1))
}

fn line_of(source: &str, offset: usize) -> usize {
    source.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

fn table(source: &str, from: &DeTable, line: usize) -> Node {
    let mut entries = BTreeMap::new();
    for (key, value) in from {
        let line = line_of(source, key.span().start);
        entries.insert(key.get_ref().to_string(), node(source, value, line));
    }
    Node::Table(line, entries)
}

fn node(source: &str, value: &Spanned<DeValue>, line: usize) -> Node {
    match value.get_ref() {
        DeValue::Table(inner) => table(source, inner, line),
        DeValue::Array(items) => Node::List(line, items.iter().map(|i| node(source, i, line)).collect()),
        DeValue::String(text) => Node::Leaf(line, text.to_string()),
        _ => Node::Leaf(line, source[value.span()].trim().to_owned()),
    }
}
