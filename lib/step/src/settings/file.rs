//! The file itself: where it is, and its values with their places in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Failure;

/// The file's name.
pub(crate) const FILE: &str = "release.toml";

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    /// Where its key is written, in bytes.
    pub key: Range<usize>,
    /// Where it is written itself.
    pub place: Range<usize>,
    /// The line of its key, from 1.
    pub line: usize,
}

/// What TOML knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    /// A date or a time, or a number that is too great: nothing here is one.
    Other,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    /// One that stands in no file.
    pub(super) fn of(value: Value) -> Self {
        Node { value, key: 0..0, place: 0..0, line: 0 }
    }

    pub(super) fn table(&self) -> Option<&BTreeMap<String, Node>> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }

    pub(super) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, part| node.table()?.get(&shown(part)))
    }
}

/// Stands for a dot within a name that people chose, in a path whose parts have dots between them.
const DOT: char = '\u{1f}';

/// A name that people chose, as a part of a path.
pub(super) fn part(name: &str) -> String {
    name.replace('.', &DOT.to_string())
}

/// A path, or a part of one, as it is written by people.
pub(super) fn shown(path: &str) -> String {
    path.replace(DOT, ".")
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub path: PathBuf,
    source: String,
    pub root: Node,
}

impl File {
    /// Reads a file; what is no TOML is named with its line.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let at = path.display();
        let unreadable = |e: String| Failure::config("settings", format!("{at} cannot be read: {e}"));
        // It may be a pipe that nobody writes to.
        let source = crate::secret::patiently(path)?.map_err(|e| unreadable(e.to_string()))?;
        if source.len() >= crate::secret::LIMIT {
            return Err(unreadable("it holds a MiB or more, which no settings do".to_owned()));
        }
        File::parse(path, source)
    }

    /// Reads the text of a file that lies somewhere else, such as in a commit; `path` names it for people.
    pub(super) fn parse(path: &Path, source: String) -> Result<Self, Failure> {
        let file = File { path: path.to_owned(), source, root: Node::of(Value::Table(BTreeMap::new())) };
        let root = match DeTable::parse(&file.source) {
            Ok(parsed) => table(&Lines::of(&file.source), parsed.get_ref()),
            Err(e) => return Err(file.broken(&e)),
        };
        Ok(File { root: Node::of(root), ..file })
    }

    /// What is no TOML, in words of ours. The line may hold anything, a secret too: its key is shown, and nothing else of it.
    fn broken(&self, error: &toml::de::Error) -> Failure {
        let (place, said) = (error.span().unwrap_or_default(), error.message());
        let start = self.source[..place.start.min(self.source.len())].rfind('\n').map_or(0, |at| at + 1);
        let text = self.source[start..].lines().next().unwrap_or_default();
        let key = text.split_once('=').map(|(key, _)| key).filter(|key| place.start > start + key.len());
        let quotes = "text stands in quotes; numbers, true and false, lists in [ ] and tables in { } do not";
        let why = if said.contains("duplicate key") {
            let name = self.source.get(place.clone()).unwrap_or_default();
            format!("`{}` is there twice: keep one of them", crate::plain_line(&crate::excerpt(name, 60)))
        } else if text.trim_start().starts_with('[') {
            "a table begins with its name in brackets, such as [environment.production], and nothing after it"
                .into()
        } else if let Some(key) = key.map(str::trim).filter(|key| is_key(key)) {
            format!("what stands behind `{key} =` cannot be read: {quotes}")
        } else {
            format!("this line cannot be read ({said}): a setting is  key = value, a comment begins with #")
        };
        Failure::config("settings", format!("{}:{}: {why}", self.path.display(), self.line(place.start)))
    }

    fn line(&self, offset: usize) -> usize {
        Lines::of(&self.source).line(offset)
    }

    /// The line of a table's head, which holds no value, and how far in it the key is; `None` of whatever else.
    fn head(&self, node: &Node) -> Option<(String, usize)> {
        node.table().filter(|_| node.key != node.place)?;
        let start = self.source[..node.key.start].rfind('\n').map_or(0, |at| at + 1);
        // A comment may hold anything, and so may a table within a line.
        let line = self.source[start..].lines().next()?.split('#').next()?.trim_end();
        let is_head = line.trim_start().starts_with('[') && !line.contains(['=', '{']) && line.len() <= 120;
        let before = crate::plain_line(line.get(..node.key.start - start).filter(|_| is_head)?);
        Some((crate::plain_line(line), before.chars().count()))
    }

    /// A key and its value, and a mark below what is wrong. A value that `may be shown` is marked itself; any other may be a secret, as may
    /// whatever else its line holds.
    pub(super) fn excerpt(&self, node: &Node, may_be_shown: bool) -> [String; 2] {
        let written = |place: &Range<usize>| {
            let text = self.source[place.clone()].lines().next().unwrap_or_default();
            crate::plain_line(&crate::excerpt(text, 60))
        };
        let width = |text: &str| text.chars().count();
        let (key, is_item) = (written(&node.key), node.key == node.place);
        let (shown, indent, marked) = if let Some((head, indent)) = self.head(node) {
            (head, indent, width(&key))
        } else if is_item && !may_be_shown {
            ("...".to_owned(), 0, 3)
        } else if is_item {
            (key.clone(), 0, width(&key))
        } else if may_be_shown {
            let value = written(&node.place);
            (format!("{key} = {value}"), width(&key) + 3, width(&value))
        } else {
            (format!("{key} = ..."), 0, width(&key))
        };
        let (line, mark) = (node.line.to_string(), "^".repeat(marked.max(1)));
        let (margin, indent) = (" ".repeat(line.len()), " ".repeat(indent));
        [format!("{line} | {shown}"), format!("{margin} | {indent}{mark}")]
    }
}

/// Whether a text looks like a key: another may be a part of a value, and of a secret.
fn is_key(text: &str) -> bool {
    const MOST: usize = 48;
    let is_part = |c: char| c.is_ascii_alphanumeric() || ['_', '-', '.', '"', '\'', ' '].contains(&c);
    !text.is_empty() && text.len() <= MOST && text.chars().all(is_part)
}

/// The file of the working directory, or of the nearest folder above that has one.
pub(super) fn find_upwards() -> Result<Option<PathBuf>, Failure> {
    let here = std::env::current_dir()
        .map_err(|e| Failure::config("settings", format!("the working directory cannot be read: {e}")))?;
    // One that is there and is no file, or leads nowhere, is not passed over: what is above is of something else.
    let found = here.ancestors().map(|folder| folder.join(FILE)).find(|path| path.symlink_metadata().is_ok());
    // Beside us it is called by its name alone: that is how a person would say it.
    Ok(found.map(|path| if path.parent() == Some(here.as_path()) { PathBuf::from(FILE) } else { path }))
}

/// One value as it is written in a file; `None` where it is none.
pub(super) fn value(text: &str) -> Option<Value> {
    let parsed = DeValue::parse(text).ok()?;
    Some(node(&Lines::of(text), &parsed, 0..0).value)
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(source: &str) -> Self {
        Lines(source.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    /// The line of a place in it, from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

fn table(lines: &Lines, from: &DeTable) -> Value {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (name.to_string(), node(lines, value, key.span()))
    };
    Value::Table(from.iter().map(entry).collect())
}

fn node(lines: &Lines, from: &Spanned<DeValue>, key: Range<usize>) -> Node {
    let value = match from.get_ref() {
        DeValue::Table(inner) => table(lines, inner),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node(lines, item, item.span())).collect())
        }
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(whole) => {
            i64::from_str_radix(whole.as_str(), whole.radix()).map_or(Value::Other, Value::Whole)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Number),
        DeValue::Datetime(_) => Value::Other,
    };
    let line = lines.line(key.start);
    Node { value, key, place: from.span(), line }
}
