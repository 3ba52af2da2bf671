//! Whether a file holds what its programs take: every key and every value of a program's own table and of the shared ones, in each environment.

use std::collections::BTreeMap;

use super::file::{File, Node, Value, part, shown};
use super::setting::{ENVIRONMENT, Kind, PRODUCT, Setting};
use super::{Care, variables};
use crate::Failure;

/// Tables of programs that have another name now.
const RENAMED: &[(&str, &str)] = &[("release-ledger", "release-run")];

/// The check of one program's settings.
pub(super) struct Check<'a> {
    pub step: &'static str,
    pub settings: &'static [Setting],
    pub file: &'a File,
    /// Whose values must fit; others are complained about by whoever reads them.
    pub care: Care,
    /// For which environment the program works: what another one has wrong must not hold it up.
    pub environment: Option<&'a str>,
}

impl Check<'_> {
    /// The first thing that is wrong, in the order of the tables.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let top: Vec<&str> = ["product", "environment"].into_iter().chain(self.tables()).collect();
        for (name, node) in self.file.root.table().into_iter().flatten() {
            if !top.contains(&name.as_str()) {
                return Err(self
                    .renamed("", name, node)
                    .unwrap_or_else(|| self.unknown("", name, node, &top)));
            }
            self.is_table(name, node)?;
        }
        self.table("product", PRODUCT)?;
        self.table(self.step, self.settings)?;
        let tables: Vec<&str> = self.tables().collect();
        for (name, node) in self.file.root.at("environment").and_then(Node::table).into_iter().flatten() {
            let table = format!("environment.{}", part(name));
            self.is_table(&table, node)?;
            self.entries(&table, node, ENVIRONMENT, &tables)?;
            for (key, inner) in
                node.table().into_iter().flatten().filter(|(key, _)| tables.contains(&key.as_str()))
            {
                self.is_table(&format!("{table}.{key}"), inner)?;
            }
            self.table(&format!("{table}.{}", self.step), self.settings)?;
        }
        Ok(())
    }

    fn tables(&self) -> impl Iterator<Item = &'static str> {
        let known = variables::programs().any(|name| name == self.step);
        variables::programs().chain((!known).then_some(self.step))
    }

    fn is_table(&self, path: &str, node: &Node) -> Result<(), Failure> {
        let wrong = || self.wrong(node, &format!("{path} must be a table: [{path}]"), false);
        node.table().map(|_| ()).ok_or_else(wrong)
    }

    fn table(&self, path: &str, settings: &[Setting]) -> Result<(), Failure> {
        self.file.root.at(path).map_or(Ok(()), |node| self.entries(path, node, settings, &[]))
    }

    /// The entries of a table; `others` are tables in it that are looked at elsewhere.
    fn entries(&self, path: &str, node: &Node, settings: &[Setting], others: &[&str]) -> Result<(), Failure> {
        let written: Vec<String> = settings.iter().map(Setting::written).collect();
        let tree = Tree::of(settings.iter().zip(written.iter().map(String::as_str)));
        self.below(path, node, &tree, others)
    }

    fn below(&self, path: &str, node: &Node, tree: &Tree, others: &[&str]) -> Result<(), Failure> {
        for (key, value) in node.table().into_iter().flatten() {
            match tree.at(key) {
                _ if others.contains(&key.as_str()) => {}
                Some(Tree::Leaf(kind)) => self.value(path, key, value, kind)?,
                Some(inner) => {
                    let deeper = format!("{path}.{}", part(key));
                    self.is_table(&deeper, value)?;
                    self.below(&deeper, value, inner, &[])?;
                }
                None => {
                    let known: Vec<&str> = tree.names().chain(others.iter().copied()).collect();
                    let renamed = self.renamed(path, key, value);
                    return Err(renamed.unwrap_or_else(|| self.unknown(path, key, value, &known)));
                }
            }
        }
        Ok(())
    }

    fn value(&self, table: &str, key: &str, node: &Node, kind: &Kind) -> Result<(), Failure> {
        let looks = match self.care {
            Care::All => true,
            Care::Environment => !self.is_of_another(table),
            Care::Lenient => false,
        };
        let Some(why) = kind.trouble(&node.value).filter(|_| looks) else { return Ok(()) };
        let place = match &node.value {
            Value::List(items) => items.iter().find(|item| kind.trouble(&item.value).is_some()),
            _ => None,
        };
        let place = place.unwrap_or(node);
        Err(self.wrong(place, &format!("[{table}] {key}: {why}"), kind.may_be_shown()))
    }

    /// Whether a table is one of an environment other than the one that the program works for.
    fn is_of_another(&self, table: &str) -> bool {
        let of = table.strip_prefix("environment.").and_then(|rest| rest.split('.').next());
        of.zip(self.environment).is_some_and(|(of, ours)| of != part(ours))
    }

    /// A table whose program has another name now.
    fn renamed(&self, table: &str, name: &str, node: &Node) -> Option<Failure> {
        let (old, new) = RENAMED.iter().find(|(old, _)| *old == name)?;
        let prefix = if table.is_empty() { String::new() } else { format!("{table}.") };
        let message = format!("[{prefix}{old}] is called [{prefix}{new}] now: rename it");
        Some(self.failure("unknown-setting", node, &message, false))
    }

    fn unknown(&self, table: &str, key: &str, node: &Node, known: &[&str]) -> Failure {
        let advice = match (closest(key, known.iter().copied(), 0.8), self.elsewhere(table, key, node)) {
            (Some(best), _) => format!("did you mean `{best}`?"),
            (None, Some(place)) => format!("it belongs in {place}"),
            (None, None) => format!("it may have {}", known.join(", ")),
        };
        let table = if table.is_empty() { String::new() } else { format!(" in [{table}]") };
        let key = crate::excerpt(&crate::plain_line(key), 60);
        self.failure("unknown-setting", node, &format!("unknown key `{key}`{table}; {advice}"), false)
    }

    /// Where a key would be right, if it is known in another table.
    fn elsewhere(&self, table: &str, key: &str, node: &Node) -> Option<String> {
        let environments = self.file.root.at("environment").and_then(Node::table);
        let is_environment = |name: &str| {
            environments.is_some_and(|all| all.contains_key(name))
                || ["production", "staging"].contains(&name)
        };
        if node.table().is_some() && is_environment(key) {
            return Some(match table {
                "" => format!("[environment.{key}]"),
                program => format!("[environment.{key}.{program}]"),
            });
        }
        // A table beside those that people name.
        let mut heads =
            self.settings.iter().filter_map(|one| one.key.split_once(".*.")).map(|(head, _)| head);
        if let Some(head) = heads.find(|_| node.table().is_some() && table == self.step) {
            return Some(format!("[{table}.{head}.{key}]"));
        }
        let shared = |settings: &[Setting]| settings.iter().any(|one| one.key == key);
        if shared(ENVIRONMENT) {
            return Some("[environment.NAME]".to_owned());
        }
        if shared(PRODUCT) {
            return Some("[product]".to_owned());
        }
        let deeper = self
            .settings
            .iter()
            .find(|one| one.written().rsplit_once('.').is_some_and(|(_, last)| last == key))?;
        let written = deeper.written();
        let (head, _) = written.rsplit_once('.')?;
        Some(format!("[{}.{}]", self.step, head.replace('*', "NAME")))
    }

    fn wrong(&self, node: &Node, message: &str, may_be_shown: bool) -> Failure {
        self.failure("setting", node, message, may_be_shown)
    }

    fn failure(&self, reason: &str, node: &Node, message: &str, may_be_shown: bool) -> Failure {
        let place = format!("{}:{}", self.file.path.display(), node.line);
        let message = crate::plain_line(&crate::excerpt(&shown(message), 600));
        let failure = Failure::config(reason, format!("{place}: {message}"));
        self.file.excerpt(node, may_be_shown).into_iter().fold(failure, Failure::cause)
    }
}

/// Declared keys, as the tables that they make.
pub(super) enum Tree<'a> {
    Leaf(&'a Kind),
    Table(BTreeMap<&'a str, Tree<'a>>),
}

impl<'a> Tree<'a> {
    /// Of settings with their keys as they are written.
    pub(super) fn of(settings: impl Iterator<Item = (&'a Setting, &'a str)>) -> Self {
        let mut root = Tree::Table(BTreeMap::new());
        for (setting, written) in settings {
            let mut at = &mut root;
            for part in written.split('.') {
                if let Tree::Leaf(_) = at {
                    *at = Tree::Table(BTreeMap::new());
                }
                let Tree::Table(table) = at else { continue };
                at = table.entry(part).or_insert_with(|| Tree::Leaf(&setting.kind));
            }
        }
        root
    }

    fn at(&self, key: &str) -> Option<&Tree<'a>> {
        let Tree::Table(table) = self else { return None };
        table.get(key).or_else(|| table.get("*"))
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        let table = if let Tree::Table(table) = self { Some(table) } else { None };
        table.into_iter().flat_map(|table| table.keys().copied()).filter(|name| *name != "*")
    }
}

/// The known name that is nearest to one that is not.
pub(super) fn closest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    least: f64,
) -> Option<&'a str> {
    let name: String = name.chars().take(60).collect();
    let scored = known.into_iter().map(|k| (strsim::jaro_winkler(&name, k), k));
    scored.filter(|(score, _)| *score >= least).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, k)| k)
}
