//! The commands that a person can paste when something has stopped. Each works as it is printed.

use step::{Context, Previous};

/// A command, word by word.
pub struct Next(Vec<String>);

impl Next {
    /// A subcommand of this program, in this environment.
    fn here(context: &Context, action: &str) -> Self {
        let environment = context.environment.as_deref().unwrap_or("production");
        Next(vec!["deploy-coolify".into(), action.into(), "--env".into(), environment.into()])
    }

    /// Where things stand.
    pub fn status(context: &Context) -> String {
        Next::here(context, "status").line()
    }

    /// Going back to this build: not every token may read in Coolify which one it was.
    pub fn rollback(context: &Context, previous: &Previous) -> String {
        let next = Next::here(context, "rollback");
        match (&previous.image, &previous.commit) {
            (Some(image), _) => next.with("--image", image).line(),
            (None, Some(commit)) => next.with("--commit", commit).line(),
            (None, None) => next.line(),
        }
    }

    /// Going back, and the data with it where that must be.
    pub fn runbook(context: &Context) -> String {
        let environment = context.environment.as_deref().unwrap_or("production");
        Next(vec!["rilis-rollback".into()]).with("--env", environment).line()
    }

    /// Another candidate of a version.
    pub fn candidate(environment: &str, version: &str) -> String {
        Next(vec!["rilis-candidate".into()]).with("--env", environment).and(version).line()
    }

    /// Waiting for a push, or for deployments that are on their way.
    pub fn attach(context: &Context) -> Self {
        Next::here(context, "attach")
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
        // Only a zero byte cannot be quoted, and no word of ours has one.
        shlex::try_join(self.0.iter().map(String::as_str)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
