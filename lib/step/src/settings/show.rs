//! `PROGRAM settings`: each setting, its value, and where it comes from. A secret is never read for it: only where it would come from is said.

use std::path::Path;

use serde_json::{Value, json};

use super::file::{FILE, Value as Toml, part, shown as shown_key};
use super::setting::{ENVIRONMENT, Kind, PRODUCT, Setting};
use super::{Found, Settings};
use crate::{Answer, Failure, scrub};

/// One line of the answer.
struct Line {
    table: String,
    key: String,
    /// Of a secret: whether there is one. `None`: not set.
    value: Option<Value>,
    from: String,
}

impl Settings {
    /// What is set, and where: all of it, or the keys that begin with one of these words.
    pub(crate) fn shown(&self, words: &[String]) -> Result<Answer, Failure> {
        let mut lines: Vec<Line> =
            PRODUCT.iter().map(|one| self.shared_line("product".to_owned(), one)).collect();
        if let Some(environment) = &self.environment {
            let table = format!("environment.{}", part(environment));
            lines.extend(ENVIRONMENT.iter().map(|one| self.shared_line(table.clone(), one)));
        }
        lines.extend(self.named().iter().map(|(setting, key)| self.own_line(setting, key)));
        lines.retain(|line| words.is_empty() || words.iter().any(|word| line.key.starts_with(word.as_str())));
        if lines.is_empty() {
            let message = format!("{} has no setting that begins with {}", self.step, words.join(" or "));
            return Err(Failure::usage("arguments", message));
        }
        let file = self.file.as_ref().map(|file| file.path.display().to_string());
        let head = match (&file, &self.environment, self.environments()) {
            (None, ..) => format!(
                "no {FILE} was found here or in a folder above: what is not set by variables is as usual\n\n"
            ),
            (Some(file), None, names) if !names.is_empty() => {
                format!("{file}, without what its environments set: --env {}\n\n", names.join(" or --env "))
            }
            (Some(file), ..) => format!("{file}\n\n"),
        };
        let value = json!({ "file": file, "settings": lines.iter().map(Line::json).collect::<Vec<_>>() });
        Ok(Answer::new(format!("{}{}", crate::plain(&head), text(&lines)), value))
    }

    fn shared_line(&self, table: String, setting: &Setting) -> Line {
        let found = self.in_table(&table, setting.key);
        line(table, setting, setting.key, found)
    }

    fn own_line(&self, setting: &Setting, key: &str) -> Line {
        if let Kind::Secret(variable) = setting.kind {
            return self.secret_line(setting, key, variable);
        }
        line(self.step.to_owned(), setting, key, self.own(key))
    }

    fn secret_line(&self, setting: &Setting, key: &str, variable: &str) -> Line {
        let (table, key) = (self.step.to_owned(), format!("{key}_file"));
        if let Some(found) = self.own(&key) {
            let text = found.value.text().unwrap_or_default();
            let value = Some(named_file(&text, &self.folder().join(&text)));
            return Line { table, key: shown_key(&key), value, from: found.place };
        }
        let key = shown_key(&key);
        let names = setting.kind.variables();
        // Where there are several secrets, it depends on the kind which of them counts.
        let but = if names.len() > 2 { ", if it is for what is set here" } else { "" };
        let value = |name: &String| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        match names.iter().find_map(|name| value(name).map(|value| (name, value))) {
            Some((name, value)) => {
                let is_file = name.ends_with("_FILE");
                let value = if is_file { named_file(&value, Path::new(&value)) } else { json!("(a secret)") };
                Line { table, key, value: Some(value), from: format!("{name}{but}") }
            }
            None => Line { table, key, value: None, from: format!("not set; nor is {variable}") },
        }
    }
}

/// The name of a secret's file, unless it may be the secret itself.
fn named_file(text: &str, path: &Path) -> Value {
    if super::names_a_file(text, path) {
        json!(scrub(text))
    } else {
        json!("(not shown: there is no such file)")
    }
}

fn line(table: String, setting: &Setting, key: &str, found: Option<Found<'_>>) -> Line {
    let key = shown_key(key);
    if let Some(found) = found {
        return Line { table, key, value: Some(shown(&found.value)), from: found.place };
    }
    match (setting.default, setting.otherwise) {
        (Some(text), _) => {
            Line { table, key, value: Some(shown(&setting.kind.read(text))), from: "default".to_owned() }
        }
        (None, Some(words)) => Line { table, key, value: None, from: format!("not set: {words}") },
        (None, None) => {
            let from = if setting.is_required { "not set: it must be" } else { "not set" };
            Line { table, key, value: None, from: from.to_owned() }
        }
    }
}

fn shown(value: &Toml) -> Value {
    match value {
        Toml::Table(_) | Toml::Other => Value::Null,
        Toml::List(items) => items.iter().map(|item| shown(&item.value)).collect(),
        Toml::Text(text) => json!(scrub(text)),
        Toml::Whole(n) => json!(n),
        Toml::Number(n) => json!(n),
        Toml::Flag(flag) => json!(flag),
    }
}

impl Line {
    fn json(&self) -> Value {
        let mut line = json!({ "table": self.table, "key": self.key, "from": self.from });
        if let Some(value) = &self.value {
            line["value"] = value.clone();
        }
        line
    }
}

fn text(lines: &[Line]) -> String {
    let value = |line: &Line| line.value.as_ref().map(Value::to_string).unwrap_or_else(|| "-".to_owned());
    let widest = |of: &dyn Fn(&Line) -> usize, most: usize| {
        lines.iter().map(of).filter(|n| *n <= most).max().unwrap_or(0)
    };
    let (keys, values) = (widest(&|l| l.key.chars().count(), 40), widest(&|l| value(l).chars().count(), 40));
    let mut text = String::new();
    let mut table = "";
    for line in lines {
        if line.table != table {
            table = &line.table;
            let blank = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{blank}[{}]\n", crate::plain_line(&shown_key(table))));
        }
        let row = format!("{:keys$}  {:values$}  {}", line.key, value(line), line.from);
        text.push_str(crate::plain_line(&row).trim_end());
        text.push('\n');
    }
    text
}
