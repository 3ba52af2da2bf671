//! `release.toml`: found upwards from the working directory, read once, every value with the line it stands on.
//!
//! A step sees its own table (`[cdn-purge]`), with `[environment.X.cdn-purge]` laid over it and `RILIS_CDN_PURGE_KEY` from
//! the environment over both, and the shared tables `[product]` and `[environment.X]`. Each setting is declared once
//! ([`Setting`]): what a key is called, what its value may be, and what it is where nobody sets it. What does not fit is an error that
//! names the line and what would.

mod beside;
mod check;
mod file;
mod kind;
mod schema;
mod setting;
mod show;
mod variables;

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use check::{Check, closest};
use file::{FILE, File, Node, Value, find_upwards, part, shown};

pub use kind::FromSetting;
pub use setting::{ADDRESS, Form, Kind, PAGE, Setting};

use crate::{Failure, Secret};

/// The settings of one step for one environment.
#[derive(Clone, Debug)]
pub struct Settings {
    step: &'static str,
    declared: &'static [Setting],
    environment: Option<String>,
    file: Option<File>,
    /// What is wrong, where that is put up with.
    trouble: Option<Failure>,
    /// Variables of the environment lie over the file.
    by_variables: bool,
}

/// How much of the settings must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Everything that this program can judge.
    All,
    /// The same without the values of other environments.
    Environment,
    /// Nothing but that it is TOML: what must tell of a failure tells of it.
    Lenient,
}

/// One value and where it came from, for messages.
struct Found<'a> {
    place: String,
    value: Cow<'a, Value>,
    /// In the file; not from a variable.
    node: Option<&'a Node>,
}

impl Settings {
    /// Reads the file (`--config`, else upwards from the working directory; none is no error) and checks the shared tables and the step's
    /// own.
    pub(crate) fn load(
        step: &'static str,
        declared: &'static [Setting],
        config: Option<&Path>,
        environment: Option<&str>,
        care: Care,
    ) -> Result<Self, Failure> {
        let path = match config {
            Some(path) => Some(path.to_owned()),
            None => find_upwards()?,
        };
        let file = path.as_deref().map(File::read).transpose()?;
        let checked = file
            .as_ref()
            .map_or(Ok(()), |file| Check { step, settings: declared, file, care, environment }.run());
        let mut settings = Settings {
            step,
            declared,
            environment: environment.map(str::to_owned),
            file,
            trouble: None,
            by_variables: true,
        };
        let named = checked.and_then(|()| settings.check_environment()).and_then(|()| {
            let mut names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            names.try_for_each(|name| variables::check(&name, step, declared))
        });
        let all =
            named.and_then(|()| if care == Care::Lenient { Ok(()) } else { settings.check_variables() });
        match all {
            Err(trouble) if care == Care::Lenient => settings.trouble = Some(trouble),
            all => all?,
        }
        Ok(settings)
    }

    /// The JSON Schema of the file, as far as this program knows it.
    pub(crate) fn schema(step: &'static str, declared: &[Setting]) -> serde_json::Value {
        schema::of(step, declared)
    }

    /// What is wrong with the settings, where that was put up with: the first thing.
    pub fn trouble(&self) -> Option<&Failure> {
        self.trouble.as_ref()
    }

    /// A name that people chose, such as that of a channel, as a part of a key.
    pub fn part(name: &str) -> String {
        part(name)
    }

    /// The folder of `release.toml`, to which paths in it are relative; the working directory if there is none.
    pub fn folder(&self) -> PathBuf {
        let path = self.file.as_ref().map(|file| file.path.as_path());
        let parent = path.and_then(Path::parent).filter(|p| !p.as_os_str().is_empty());
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

    /// The settings of another program, for what two programs must not be told differently (where the database is). What that program has not
    /// declared in this list is not seen.
    #[must_use]
    pub fn of(&self, step: &'static str, declared: &'static [Setting]) -> Self {
        Settings { step, declared, ..self.clone() }
    }

    /// A value of `[product]`.
    ///
    /// # Errors
    /// `config` when it is not text.
    pub fn product(&self, key: &str) -> Result<Option<String>, Failure> {
        self.in_table("product", key).map(|found| self.read(key, &found)).transpose()
    }

    /// A value of `[environment.X]`.
    ///
    /// # Errors
    /// `config` when it is not text.
    pub fn shared(&self, key: &str) -> Result<Option<String>, Failure> {
        self.of_the_environment(key).map(|found| self.read(key, &found)).transpose()
    }

    /// A list of `[environment.X]`; empty when it is not set.
    ///
    /// # Errors
    /// `config` when it is not a list of texts.
    pub fn shared_list(&self, key: &str) -> Result<Vec<String>, Failure> {
        self.of_the_environment(key).map_or(Ok(Vec::new()), |found| self.read_all(key, &found))
    }

    /// A value of the step's own table, or its default; `key` may go deeper with dots.
    ///
    /// # Errors
    /// `config`, `missing-setting`, naming where to write it; `setting`, where it stands and what is wrong.
    pub fn value<T: FromSetting>(&self, key: &str) -> Result<T, Failure> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    /// The same, where it may be left out.
    ///
    /// # Errors
    /// `config`, `setting`, as [`Settings::value`].
    pub fn optional<T: FromSetting>(&self, key: &str) -> Result<Option<T>, Failure> {
        let setting = self.setting(key)?;
        let found = self.own(key).or_else(|| default(setting));
        let Some(found) = found else { return Ok(None) };
        self.fits(key, setting, &found)?;
        self.read(key, &found).map(Some)
    }

    /// Text of the step's own table, or its default, where it may be left out.
    ///
    /// # Errors
    /// `config`, `setting`, as [`Settings::value`].
    pub fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        self.optional(key)
    }

    /// What a declared word stands for, where it may be left out.
    ///
    /// # Errors
    /// `config`, `setting`, as [`Settings::value`].
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(word) = self.text(key)? else { return Ok(None) };
        let meant = words.iter().find(|(name, _)| *name == word).map(|(_, meant)| *meant);
        meant
            .map(Some)
            .ok_or_else(|| Failure::bug(format!("`{word}` is declared for {key} and means nothing")))
    }

    /// A list of the step's own table, or its default; one value counts as a list of one; empty when it is not set.
    ///
    /// # Errors
    /// `config`, `setting`, as [`Settings::value`].
    pub fn list<T: FromSetting>(&self, key: &str) -> Result<Vec<T>, Failure> {
        let setting = self.setting(key)?;
        let Some(found) = self.own(key).or_else(|| default(setting)) else { return Ok(Vec::new()) };
        self.fits(key, setting, &found)?;
        self.read_all(key, &found)
    }

    /// Whether the step's own table, or a variable, says it.
    pub fn is_set(&self, key: &str) -> bool {
        self.own(key).is_some()
    }

    /// The names of the tables below a key of the step's own table, such as `channels`.
    pub fn names(&self, key: &str) -> Vec<String> {
        match self.own(key).map(|found| found.value).as_deref() {
            Some(Value::Table(table)) => table.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// A secret: `<key>_file` in the step's own table, else `<variable>_FILE`, else `<variable>` in the environment.
    ///
    /// # Errors
    /// `config` when a file that is named cannot be used.
    pub fn secret(&self, key: &str, variable: &str) -> Result<Option<Secret>, Failure> {
        if let Some(found) = self.own(&format!("{key}_file")) {
            self.fits(key, self.setting(key)?, &found)?;
            let (text, path): (String, PathBuf) = (self.read(key, &found)?, self.read(key, &found)?);
            may_be_named(&text, &path, &format!("{}: {}_file", found.place, shown(key)))?;
            return Secret::from_file(&path, &found.place).map(Some);
        }
        let by_file = format!("{variable}_FILE");
        if let Some(path) = std::env::var_os(&by_file) {
            may_be_named(&path.to_string_lossy(), Path::new(&path), &by_file)?;
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
            let place = self.home();
            let message = format!("no {key}: set {key}_file in {place}, or {variable}_FILE, or {variable}");
            Failure::config("missing-secret", message)
        };
        self.secret(key, variable)?.ok_or_else(missing)
    }

    /// The failure that says that a setting is missing and where to write it.
    pub fn missing(&self, key: &str) -> Failure {
        let place = self.home();
        Failure::config(
            "missing-setting",
            format!("no `{key}`: set it in {place} or as {}", self.variable(key)),
        )
    }

    /// The failure that says that a setting has a wrong value, and where it stands.
    pub fn wrong(&self, key: &str, why: &str) -> Failure {
        let Some(found) = self.own(key) else {
            return Failure::config("setting", format!("{}: {key}: {why}", self.home()));
        };
        let may_be_shown = self.setting(key).is_ok_and(|setting| setting.kind.may_be_shown());
        self.complaint(key, &found, why, may_be_shown)
    }

    fn complaint(&self, key: &str, found: &Found, why: &str, may_be_shown: bool) -> Failure {
        let failure = Failure::config("setting", format!("{}: {}: {why}", found.place, shown(key)));
        match (&self.file, found.node) {
            (Some(file), Some(node)) => {
                file.excerpt(node, may_be_shown).into_iter().fold(failure, Failure::cause)
            }
            _ => failure,
        }
    }

    fn home(&self) -> String {
        let table = match &self.environment {
            Some(environment) => format!("environment.{environment}.{}", self.step),
            None => self.step.to_owned(),
        };
        format!("[{table}] of {}", self.place_of_file())
    }

    fn place_of_file(&self) -> String {
        self.file.as_ref().map_or_else(|| FILE.to_owned(), |file| file.path.display().to_string())
    }

    fn variable(&self, key: &str) -> String {
        variables::of(self.step, &shown(key))
    }

    /// The declaration of a key.
    fn setting(&self, key: &str) -> Result<&'static Setting, Failure> {
        let written = |setting: &&Setting| setting.is(key) || setting.is(&format!("{key}_file"));
        self.declared
            .iter()
            .find(written)
            .ok_or_else(|| Failure::bug(format!("the setting {key} is not declared")))
    }

    fn fits(&self, key: &str, setting: &Setting, found: &Found) -> Result<(), Failure> {
        match setting.kind.trouble(&found.value) {
            Some(why) => Err(self.complaint(key, found, &why, setting.kind.may_be_shown())),
            None => Ok(()),
        }
    }

    fn read<T: FromSetting>(&self, key: &str, found: &Found) -> Result<T, Failure> {
        self.read_one(key, found, &found.value)
    }

    fn read_one<T: FromSetting>(&self, key: &str, found: &Found, value: &Value) -> Result<T, Failure> {
        let text = value.text().ok_or_else(|| "it must be one value".to_owned());
        let read = text.and_then(|text| T::from_setting(self, &text));
        read.map_err(|why| self.complaint(key, found, &why, false))
    }

    fn read_all<T: FromSetting>(&self, key: &str, found: &Found) -> Result<Vec<T>, Failure> {
        found.value.items().into_iter().map(|item| self.read_one(key, found, item)).collect()
    }

    /// The step's own value: environment variable, environment's table, step's table.
    fn own(&self, key: &str) -> Option<Found<'_>> {
        let variable = self.variable(key);
        // One that is no text was refused when the settings were read.
        if let (true, Ok(text)) = (self.by_variables, std::env::var(&variable)) {
            let value =
                self.setting(key).map_or(Value::Text(text.clone()), |setting| setting.kind.read(&text));
            return Some(Found { place: variable, value: Cow::Owned(value), node: None });
        }
        let over = self.environment.as_ref().map(|e| format!("environment.{}.{}", part(e), self.step));
        let over = over.and_then(|table| self.in_table(&table, key));
        over.or_else(|| self.in_table(self.step, key))
    }

    fn of_the_environment(&self, key: &str) -> Option<Found<'_>> {
        let environment = self.environment.as_ref()?;
        self.in_table(&format!("environment.{}", part(environment)), key)
    }

    fn in_table(&self, table: &str, key: &str) -> Option<Found<'_>> {
        let node = self.file.as_ref()?.root.at(table)?.at(key)?;
        let place = crate::plain_line(&shown(&format!("{}:{} [{table}]", self.place_of_file(), node.line)));
        Some(Found { place, value: Cow::Borrowed(&node.value), node: Some(node) })
    }

    /// The declared settings, each with the keys below which it is set: those of one name that people chose stand together.
    fn named(&self) -> Vec<(&'static Setting, String)> {
        let (mut all, mut done) = (Vec::new(), "");
        for setting in self.declared {
            match (setting.key.split_once(".*."), setting.key.strip_suffix(".*")) {
                (Some((head, _)), _) if head == done => {}
                (Some((head, _)), _) => {
                    done = head;
                    let of_it = || {
                        self.declared
                            .iter()
                            .filter(|one| one.key.split_once(".*.").is_some_and(|(own, _)| own == head))
                    };
                    for name in self.names(head) {
                        all.extend(of_it().map(|one| (one, one.key.replacen('*', &part(&name), 1))));
                    }
                }
                (None, Some(head)) => all
                    .extend(self.names(head).iter().map(|name| (setting, format!("{head}.{}", part(name))))),
                (None, None) => all.push((setting, setting.key.to_owned())),
            }
        }
        all
    }

    /// The names of the environments of the file.
    pub fn environments(&self) -> Vec<&str> {
        let all = self.file.as_ref().and_then(|file| file.root.at("environment")).and_then(Node::table);
        all.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// The variables of this program that are set must fit, as the file must.
    fn check_variables(&self) -> Result<(), Failure> {
        for (setting, key) in self.named() {
            // As it is written: a secret's names its file.
            let key = if setting.kind.is_secret() { format!("{key}_file") } else { key };
            for name in setting.kind.variables().into_iter().chain([self.variable(&key)]) {
                if matches!(std::env::var(&name), Err(std::env::VarError::NotUnicode(_))) {
                    return Err(Failure::config("setting", format!("{name}: it is no text in UTF-8")));
                }
            }
            if let Some(found) = self.own(&key).filter(|found| found.node.is_none()) {
                self.fits(&key, setting, &found)?;
            }
        }
        Ok(())
    }

    fn check_environment(&self) -> Result<(), Failure> {
        let all = self.file.as_ref().and_then(|file| file.root.at("environment")).and_then(Node::table);
        let (Some(wanted), Some(all)) = (&self.environment, all) else { return Ok(()) };
        if all.contains_key(wanted) {
            return Ok(());
        }
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let message =
            format!("{}: no [environment.{wanted}]; it has {}", self.place_of_file(), names.join(", "));
        Err(Failure::config("unknown-environment", message))
    }
}

/// Whether the name of a secret's file may be shown: what leads nowhere may be the secret itself, written in its place. A file that is not
/// there yet is named where its folder is there.
fn names_a_file(text: &str, path: &Path) -> bool {
    // What we may not look at may be there.
    let is_there =
        |path: &Path| path.try_exists().unwrap_or_else(|e| e.kind() == ErrorKind::PermissionDenied);
    let has_folder = text.trim_start_matches('/').contains('/');
    is_there(path) || (has_folder && path.parent().is_some_and(is_there))
}

/// Refuses a secret's file whose name may not be shown, before anybody else complains about it.
fn may_be_named(text: &str, path: &Path, place: &str) -> Result<(), Failure> {
    if names_a_file(text, path) {
        return Ok(());
    }
    let message = format!(
        "{place}: there is no such file (its name is not shown: it may be the secret itself, which belongs into a file)"
    );
    Err(Failure::config("secret", message))
}

/// What a setting is where nobody has set it.
fn default(setting: &Setting) -> Option<Found<'static>> {
    let value = setting.kind.read(setting.default?);
    Some(Found { place: format!("the default of {}", setting.key), value: Cow::Owned(value), node: None })
}

#[cfg(test)]
mod tests;
