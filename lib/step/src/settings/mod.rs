//! `release.toml`: found upwards from the working directory, read once, every value with the line it stands on.
//!
//! A step sees its own table (`[cdn-purge]`), with `[environment.X.cdn-purge]` laid over it and `RILIS_CDN_PURGE_KEY` from
//! the environment over both, and the shared tables `[product]` and `[environment.X]`. An unknown key there is an error
//! that suggests the right one.

mod file;
mod variables;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use file::{FILE, Node, find_upwards, read};

use crate::{Failure, Secret, parse_duration};

const PRODUCT_KEYS: &[&str] = &["name", "repository", "changelog", "image"];
const ENVIRONMENT_KEYS: &[&str] = &["public_urls", "marker", "branch", "role"];
/// Tables of programs that have another name now.
const RENAMED: &[(&str, &str)] = &[("release-ledger", "release-run")];

/// The settings of one step for one environment.
#[derive(Clone, Debug)]
pub struct Settings {
    step: &'static str,
    environment: Option<String>,
    file: Option<PathBuf>,
    root: Node,
}

/// One value and where it came from, for messages.
struct Found<'a> {
    place: String,
    value: Cow<'a, Node>,
}

impl Settings {
    /// Reads the file (`--config`, else upwards from the working directory; none is no error) and checks the keys of
    /// the shared tables and of the step's own.
    pub(crate) fn load(
        step: &'static str,
        keys: &[&str],
        config: Option<&Path>,
        environment: Option<&str>,
    ) -> Result<Self, Failure> {
        let file = match config {
            Some(path) => Some(path.to_owned()),
            None => find_upwards()?,
        };
        let root = match &file {
            Some(path) => read(path)?,
            None => Node::Table(0, BTreeMap::new()),
        };
        let settings = Settings { step, environment: environment.map(str::to_owned), file, root };
        settings.check(keys)?;
        let mut names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.try_for_each(|name| variables::check(&name, step, keys))?;
        Ok(settings)
    }

    /// The folder of `release.toml`, to which paths in it are relative; the working directory if there is none.
    pub fn folder(&self) -> PathBuf {
        let parent = self.file.as_deref().and_then(Path::parent).filter(|p| !p.as_os_str().is_empty());
        parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
    }

    /// The same step's settings for another environment.
    ///
    /// # Errors
    /// `config` when there is no such environment.
    pub fn at(&self, environment: &str) -> Result<Self, Failure> {
        let other = Settings { environment: Some(environment.to_owned()), ..self.clone() };
        other.check_environment()?;
        Ok(other)
    }

    /// A value of `[product]`.
    ///
    /// # Errors
    /// `config` when it is not a string.
    pub fn product(&self, key: &str) -> Result<Option<String>, Failure> {
        self.in_table("product", key).map(|found| self.string(key, &found)).transpose()
    }

    /// A string of `[environment.X]`.
    ///
    /// # Errors
    /// `config` when it is not a string.
    pub fn shared(&self, key: &str) -> Result<Option<String>, Failure> {
        let Some(environment) = &self.environment else { return Ok(None) };
        let table = format!("environment.{environment}");
        self.in_table(&table, key).map(|found| self.string(key, &found)).transpose()
    }

    /// A list of strings of `[environment.X]`; empty when it is not set.
    ///
    /// # Errors
    /// `config` when it is not a list of strings.
    pub fn shared_list(&self, key: &str) -> Result<Vec<String>, Failure> {
        let Some(environment) = &self.environment else { return Ok(Vec::new()) };
        let table = format!("environment.{environment}");
        self.in_table(&table, key).map_or(Ok(Vec::new()), |found| self.strings(key, &found))
    }

    /// A string (or a number, as it was written) of the step's own table; `key` may go deeper with dots.
    ///
    /// # Errors
    /// `config` when it is a table or a list.
    pub fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        self.own(key).map(|found| self.string(key, &found)).transpose()
    }

    /// Like [`Settings::text`], but it must be there.
    ///
    /// # Errors
    /// `config`, `missing-setting`, naming where to write it.
    pub fn need(&self, key: &str) -> Result<String, Failure> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list of strings of the step's own table; one string counts as a list of one; empty when it is not set.
    ///
    /// # Errors
    /// `config` when it is a table.
    pub fn list(&self, key: &str) -> Result<Vec<String>, Failure> {
        self.own(key).map_or(Ok(Vec::new()), |found| self.strings(key, &found))
    }

    /// The names of the tables below a key of the step's own table, such as `channels`.
    pub fn names(&self, key: &str) -> Vec<String> {
        let found = self.own(key);
        let table = found.as_ref().and_then(|f| f.value.table());
        table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
    }

    /// A length of time of the step's own table.
    ///
    /// # Errors
    /// `config` when it is not one.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>, Failure> {
        self.parsed(key, parse_duration)
    }

    /// A number of the step's own table.
    ///
    /// # Errors
    /// `config` when it is not a number of that type.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Failure> {
        self.parsed(key, |text| text.parse().map_err(|_| format!("`{text}` is not a number that fits here")))
    }

    /// A `true` or `false` of the step's own table.
    ///
    /// # Errors
    /// `config` when it is neither.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        self.parsed(key, |text| text.parse().map_err(|_| format!("`{text}` is neither true nor false")))
    }

    /// A path of the step's own table; a relative one is relative to `release.toml`.
    ///
    /// # Errors
    /// `config` when it is not a string.
    pub fn path(&self, key: &str) -> Result<Option<PathBuf>, Failure> {
        Ok(self.text(key)?.map(|path| self.folder().join(path)))
    }

    /// A secret: `<key>_file` in the step's own table, else `<variable>_FILE`, else `<variable>` in the environment.
    ///
    /// # Errors
    /// `config` when a file that is named cannot be used.
    pub fn secret(&self, key: &str, variable: &str) -> Result<Option<Secret>, Failure> {
        if let Some(found) = self.own(&format!("{key}_file")) {
            let path = self.folder().join(self.string(key, &found)?);
            return Secret::from_file(&path, &found.place).map(Some);
        }
        let by_file = format!("{variable}_FILE");
        if let Some(path) = std::env::var_os(&by_file) {
            return Secret::from_file(Path::new(&path), &by_file).map(Some);
        }
        let given = std::env::var(variable).ok().filter(|text| !text.trim().is_empty());
        Ok(given.map(|text| Secret::new(text.trim_end_matches(['\r', '\n']))))
    }

    /// Like [`Settings::secret`], but it must be there.
    ///
    /// # Errors
    /// `config`, `missing-secret`, naming all three places.
    pub fn need_secret(&self, key: &str, variable: &str) -> Result<Secret, Failure> {
        let missing = || {
            let place = self.home(key);
            let message = format!("no {key}: set {key}_file in {place}, or {variable}_FILE, or {variable}");
            Failure::config("missing-secret", message)
        };
        self.secret(key, variable)?.ok_or_else(missing)
    }

    /// The failure that says that a setting is missing and where to write it.
    pub fn missing(&self, key: &str) -> Failure {
        let place = self.home(key);
        Failure::config(
            "missing-setting",
            format!("no `{key}`: set it in {place} or as {}", self.variable(key)),
        )
    }

    /// The failure that says that a setting has a wrong value, and where it stands.
    pub fn wrong(&self, key: &str, why: &str) -> Failure {
        let place = self.own(key).map_or_else(|| self.home(key), |found| found.place);
        Failure::config("setting", format!("{place}: {key}: {why}"))
    }

    fn home(&self, _key: &str) -> String {
        let table = match &self.environment {
            Some(environment) => format!("environment.{environment}.{}", self.step),
            None => self.step.to_owned(),
        };
        format!("[{table}] of {}", self.shown())
    }

    fn shown(&self) -> String {
        self.file.as_ref().map_or_else(|| FILE.to_owned(), |f| f.display().to_string())
    }

    fn variable(&self, key: &str) -> String {
        format!("RILIS_{}_{key}", self.step).to_uppercase().replace(['-', '.'], "_")
    }

    fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
        let Some(found) = self.own(key) else { return Ok(None) };
        let text = self.string(key, &found)?;
        let wrong = |why| Failure::config("setting", format!("{}: {key}: {why}", found.place));
        parse(&text).map(Some).map_err(wrong)
    }

    fn string(&self, key: &str, found: &Found) -> Result<String, Failure> {
        match &*found.value {
            Node::Leaf(_, text) => Ok(text.clone()),
            _ => Err(Failure::config("setting", format!("{}: {key} must be a single value", found.place))),
        }
    }

    fn strings(&self, key: &str, found: &Found) -> Result<Vec<String>, Failure> {
        let wrong =
            || Failure::config("setting", format!("{}: {key} must be a list of strings", found.place));
        match &*found.value {
            Node::Leaf(_, text) => Ok(vec![text.clone()]),
            Node::Table(..) => Err(wrong()),
            Node::List(_, items) => items
                .iter()
                .map(|item| if let Node::Leaf(_, text) = item { Ok(text.clone()) } else { Err(wrong()) })
                .collect(),
        }
    }

    /// The step's own value: environment variable, environment's table, step's table.
    fn own(&self, key: &str) -> Option<Found<'_>> {
        let variable = self.variable(key);
        if let Ok(text) = std::env::var(&variable) {
            return Some(Found { place: variable, value: Cow::Owned(Node::Leaf(0, text)) });
        }
        let over = self.environment.as_ref().map(|e| format!("environment.{e}.{}", self.step));
        let over = over.and_then(|table| self.in_table(&table, key));
        over.or_else(|| self.in_table(self.step, key))
    }

    fn in_table(&self, table: &str, key: &str) -> Option<Found<'_>> {
        let value = self.root.at(table)?.at(key)?;
        let place = format!("{}:{} [{table}]", self.shown(), value.line());
        Some(Found { place, value: Cow::Borrowed(value) })
    }

    fn check(&self, keys: &[&str]) -> Result<(), Failure> {
        let top = self.root.table().into_iter().flatten();
        let ours = ["product", "environment", self.step];
        self.check_renamed("", &self.root)?;
        for (name, node) in top {
            // Another step's table is none of our business; one that is almost ours is a slip of the pen.
            let known = ours.contains(&name.as_str()) || variables::programs().any(|p| p == name);
            if !known && closest(name, ours, 0.85).is_some() {
                return Err(self.unknown("", name, node, &ours));
            }
        }
        self.check_table("product", PRODUCT_KEYS)?;
        self.check_table(self.step, keys)?;
        for (name, node) in self.root.at("environment").and_then(Node::table).into_iter().flatten() {
            let table = format!("environment.{name}");
            for (key, value) in node.table().into_iter().flatten().filter(|(_, v)| v.table().is_none()) {
                if !ENVIRONMENT_KEYS.contains(&key.as_str()) {
                    return Err(self.unknown(&table, key, value, ENVIRONMENT_KEYS));
                }
            }
            self.check_renamed(&table, node)?;
            self.check_programs(&table, node)?;
            self.check_table(&format!("{table}.{}", self.step), keys)?;
        }
        self.check_environment()
    }

    /// A table whose program has another name now.
    fn check_renamed(&self, table: &str, node: &Node) -> Result<(), Failure> {
        for (old, new) in RENAMED {
            if let Some(found) = node.at(old) {
                let prefix = if table.is_empty() { String::new() } else { format!("{table}.") };
                let message = format!(
                    "{}:{}: [{prefix}{old}] is called [{prefix}{new}] now: rename it",
                    self.shown(),
                    found.line()
                );
                return Err(Failure::config("unknown-setting", message));
            }
        }
        Ok(())
    }

    /// The tables of an environment are those of programs: what stands in another one would silently not count.
    fn check_programs(&self, table: &str, node: &Node) -> Result<(), Failure> {
        let known: Vec<&str> = variables::programs().chain([self.step]).collect();
        let tables = node.table().into_iter().flatten().filter(|(_, value)| value.table().is_some());
        for (name, value) in tables {
            if !known.contains(&name.as_str()) {
                return Err(self.unknown(table, name, value, &known));
            }
        }
        Ok(())
    }

    fn check_environment(&self) -> Result<(), Failure> {
        let (Some(wanted), Some(all)) =
            (&self.environment, self.root.at("environment").and_then(Node::table))
        else {
            return Ok(());
        };
        if all.contains_key(wanted) {
            return Ok(());
        }
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let message = format!("{}: no [environment.{wanted}]; it has {}", self.shown(), names.join(", "));
        Err(Failure::config("unknown-environment", message))
    }

    fn check_table(&self, table: &str, keys: &[&str]) -> Result<(), Failure> {
        let Some(Node::Table(_, entries)) = self.root.at(table) else { return Ok(()) };
        let matches = |pattern: &str, key: &str| pattern == key || pattern == "*";
        for (key, node) in entries {
            let heads: Vec<&str> = keys.iter().map(|k| k.split('.').next().unwrap_or(k)).collect();
            let known = keys.iter().zip(&heads).filter(|(_, head)| matches(head, key)).map(|(k, _)| *k);
            let below: Vec<&str> = known.filter_map(|k| k.split_once('.').map(|(_, rest)| rest)).collect();
            if !heads.iter().any(|head| matches(head, key)) {
                return Err(self.unknown(table, key, node, &heads));
            }
            if !below.is_empty() {
                self.check_table(&format!("{table}.{key}"), &below)?;
            }
        }
        Ok(())
    }

    fn unknown(&self, table: &str, key: &str, node: &Node, keys: &[&str]) -> Failure {
        let mut known: Vec<&str> = keys.to_vec();
        known.dedup();
        let advice = match closest(key, known.iter().copied(), 0.6) {
            Some(best) => format!("did you mean `{best}`?"),
            None => format!("it may have {}", known.join(", ")),
        };
        let place = format!("{}:{}", self.shown(), node.line());
        let table = if table.is_empty() { String::new() } else { format!(" in [{table}]") };
        Failure::config("unknown-setting", format!("{place}: unknown key `{key}`{table}; {advice}"))
    }
}

fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, least: f64) -> Option<&'a str> {
    let scored = known.into_iter().map(|k| (strsim::jaro_winkler(name, k), k));
    scored.filter(|(score, _)| *score >= least).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, k)| k)
}

#[cfg(test)]
mod tests;
