//! The commands that a person can paste when something has stopped. Each works as it is printed.

use std::ffi::OsString;

use facts::Previous;
use step::Context;

use crate::settings::Settings;
use crate::world::World;

/// A command, word by word.
pub struct Next(Vec<String>);

impl Next {
    /// A subcommand of this program, in this environment and with the settings of this run.
    fn here(context: &Context, action: &str) -> Self {
        let next = Next(vec!["deploy-coolify".into(), action.into()]).of(context);
        match config(std::env::args_os()) {
            Some(file) => next.with("--config", &file),
            None => next,
        }
    }

    /// One that changes something, or follows a change: it waits for nothing on stdin, and touches as many targets as this run.
    fn acting(context: &Context, settings: &Settings, action: &str) -> Self {
        let next = Next::here(context, action).and("--fresh");
        match settings.meant_targets {
            Some(most) => next.with("--max-targets", &most.to_string()),
            None => next,
        }
    }

    /// Where things stand.
    pub fn status(world: &World<'_>) -> String {
        Next::here(world.context, "status").line()
    }

    /// Going back to this build: not every token may read in Coolify which one it was.
    pub fn rollback(context: &Context, settings: &Settings, previous: &Previous) -> String {
        let next = Next::acting(context, settings, "rollback");
        match (&previous.image, &previous.commit) {
            (Some(image), _) => next.with("--image", image).line(),
            (None, Some(commit)) => next.with("--commit", commit).line(),
            (None, None) => next.line(),
        }
    }

    /// Going back, and the data with it where that must be.
    pub fn runbook(context: &Context) -> String {
        Next(vec!["rilis-rollback".into()]).of(context).line()
    }

    /// Another candidate of a version.
    pub fn candidate(environment: &str, version: &str) -> String {
        Next(vec!["rilis-candidate".into()]).with("--env", environment).and(version).line()
    }

    /// Waiting for a push, or for deployments that are on their way.
    pub fn attach(world: &World<'_>) -> Self {
        Next::acting(world.context, world.settings, "attach")
    }

    /// In the environment of this run.
    fn of(mut self, context: &Context) -> Self {
        self.0.extend(context.env_words().into_iter().map(str::to_owned));
        self
    }

    /// One more option with its value.
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.0.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// One more word.
    pub fn and(mut self, word: &str) -> Self {
        self.0.push(word.to_owned());
        self
    }

    /// As a shell reads it: a word stays one word, whatever is in it.
    pub fn line(&self) -> String {
        step::shell::command(&self.0)
    }
}

/// The file of settings that the command line of this run names.
fn config(words: impl Iterator<Item = OsString>) -> Option<String> {
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.strip_prefix("--config") {
            Some("") => return words.next(),
            Some(file) if file.starts_with('=') => return Some(file[1..].to_owned()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_this_run_are_those_of_the_next() {
        let of = |words: &[&str]| config(words.iter().map(OsString::from));
        assert_eq!(of(&["x", "deploy", "--config", "a b.toml", "-v"]).as_deref(), Some("a b.toml"));
        assert_eq!(of(&["x", "--config=../r.toml"]).as_deref(), Some("../r.toml"));
        assert_eq!(of(&["x", "--configure", "y"]), None);
    }

    #[test]
    fn a_word_stays_one_word() {
        for (word, shown) in [
            ("registry.example:5000/shop@sha256:ab", "registry.example:5000/shop@sha256:ab"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
        ] {
            assert_eq!(Next(vec!["x".into()]).and(word).line(), format!("x {shown}"));
        }
        let odd = Next(vec!["x".into()]).with("--image", "it's; rm -r $HOME").line();
        assert_eq!(shlex::split(&odd).expect("words")[2], "it's; rm -r $HOME");
    }
}
