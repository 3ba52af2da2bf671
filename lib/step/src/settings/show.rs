//! `PROGRAM settings`: each setting, its value, and where it comes from. A secret is never read for it: only where it would come from is said.

use serde_json::{Value, json};

use super::file::Value as Toml;
use super::setting::{ENVIRONMENT, Kind, PRODUCT, Setting};
use super::{Found, Settings};
use crate::{Answer, scrub};

/// One line of the answer.
struct Line {
    table: String,
    key: String,
    /// Of a secret: whether there is one. `None`: not set.
    value: Option<Value>,
    from: String,
}

impl Settings {
    /// What is set, and where.
    pub(crate) fn shown(&self) -> Answer {
        let mut lines: Vec<Line> =
            PRODUCT.iter().map(|one| self.shared_line("product".to_owned(), one)).collect();
        if let Some(environment) = &self.environment {
            let table = format!("environment.{environment}");
            lines.extend(ENVIRONMENT.iter().map(|one| self.shared_line(table.clone(), one)));
        }
        lines.extend(self.named().iter().map(|(setting, key)| self.own_line(setting, key)));
        let value = json!({ "file": self.place_of_file(), "settings": lines.iter().map(Line::json).collect::<Vec<_>>() });
        Answer::new(text(&lines), value)
    }

    /// The declared settings with the keys below which they are set, in their order; those of one name that people chose stand together.
    fn named(&self) -> Vec<(&'static Setting, String)> {
        let head = |setting: &Setting| setting.key.split_once(".*.").map(|(head, _)| head);
        let all = self.declared.iter().flat_map(|one| self.keys(one).into_iter().map(move |key| (one, key)));
        let mut all: Vec<(&Setting, String)> = all.collect();
        // Each name's settings are put where the first of its table is.
        for at in 0..all.len() {
            let Some(head) = head(all[at].0) else { continue };
            let name = |key: &str| key[head.len() + 1..].split('.').next().unwrap_or_default().to_owned();
            let (own, end) =
                (name(&all[at].1), all[at..].iter().take_while(|(one, _)| one.key.starts_with(head)).count());
            all[at..at + end].sort_by_key(|(_, key)| name(key) != own);
        }
        all
    }

    /// The keys below which a setting is set: itself, or one for each name that stands in place of a star.
    fn keys(&self, setting: &Setting) -> Vec<String> {
        let mut keys = vec![String::new()];
        for part in setting.key.split('.') {
            let longer = |key: &String, name: &str| {
                if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
            };
            keys = match part {
                "*" => keys
                    .iter()
                    .flat_map(|key| self.names(key).into_iter().map(move |name| format!("{key}.{name}")))
                    .collect(),
                name => keys.iter().map(|key| longer(key, name)).collect(),
            };
        }
        keys
    }

    fn shared_line(&self, table: String, setting: &Setting) -> Line {
        let found = self.in_table(&table, setting.key);
        line(table, setting, setting.key.to_owned(), found)
    }

    fn own_line(&self, setting: &Setting, key: &str) -> Line {
        if let Kind::Secret(variable) = setting.kind {
            return self.secret_line(key, variable);
        }
        line(self.step.to_owned(), setting, key.to_owned(), self.own(key))
    }

    fn secret_line(&self, key: &str, variable: &str) -> Line {
        let (table, key) = (self.step.to_owned(), format!("{key}_file"));
        if let Some(found) = self.own(&key) {
            let value = found.value.text().map(Value::from);
            return Line { table, key, value, from: found.place };
        }
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // Where it depends on the kind there are several.
        let names = variable.split([',', ' ']).filter(|name| name.contains('_'));
        let from = names.flat_map(|name| [format!("{name}_FILE"), name.to_owned()]).find(|name| set(name));
        let value = from.is_some().then(|| json!("(a secret)"));
        Line { table, key, value, from: from.unwrap_or_else(|| format!("not set; nor is {variable}")) }
    }
}

fn line(table: String, setting: &Setting, key: String, found: Option<Found<'_>>) -> Line {
    if let Some(found) = found {
        return Line { table, key, value: Some(shown(&found.value)), from: found.place };
    }
    match (setting.default, setting.otherwise) {
        (Some(text), _) => {
            Line { table, key, value: Some(shown(&setting.kind.read(text))), from: "default".to_owned() }
        }
        (None, Some(words)) => Line { table, key, value: None, from: format!("not set: {words}") },
        (None, None) => Line { table, key, value: None, from: "not set".to_owned() },
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
            text.push_str(&format!("{blank}[{table}]\n"));
        }
        let row = format!("{:keys$}  {:values$}  {}", line.key, value(line), line.from);
        text.push_str(crate::plain_line(&row).trim_end());
        text.push('\n');
    }
    text
}
