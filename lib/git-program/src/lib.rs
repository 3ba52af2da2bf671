//! Runs the git program for a step. The program does whatever talks to a remote and whatever depends on git's settings, so that
//! every credential method, hook, filter and setting works as it does by hand; it runs under the step's deadline, asks nobody,
//! and gets no secret that is not for git.

pub mod aside;
mod environment;
mod place;
mod reading;
mod trouble;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use step::{Context, Deadline, Failure, Permit};

pub use aside::{Aside, Ref};
pub use child::Said;
use child::{Limits, alone};
pub use place::{Place, hide_credentials};

/// After a signal, git gets this long to end what it is doing: a push is not cut in two.
const GRACE: Duration = Duration::from_secs(5);

/// The git program in the working directory.
#[derive(Clone, Debug)]
pub struct Git<'a> {
    context: &'a Context,
    variables: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    patience: Option<Duration>,
    grace: Option<Duration>,
}

impl<'a> Git<'a> {
    /// For one step.
    pub fn new(context: &'a Context) -> Self {
        Git { context, variables: Vec::new(), settings: Vec::new(), patience: None, grace: Some(GRACE) }
    }

    /// For what only looks: a signal ends it at once, and nothing has been changed.
    #[must_use]
    pub fn looking(mut self) -> Self {
        self.grace = Some(Duration::ZERO);
        self
    }

    /// With a variable of the environment, such as `GIT_COMMITTER_NAME`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// With a setting over all others, as `git -c` has it, but not on a command line that everybody can list.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    /// Each run may take so long at most, however much time the step has.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// It is run although a signal came: what has to be put in order at the end.
    #[must_use]
    pub fn regardless(mut self) -> Self {
        self.grace = None;
        self
    }

    /// Runs git to look, and waits for its end, at most until the deadline, whatever its exit status.
    ///
    /// # Errors
    /// `config` when there is no git; `temporary` at the deadline or after a signal; `bug` for a command that changes something, which
    /// is not run.
    pub fn run(&self, args: &[&str], input: &[u8]) -> Result<Said, Failure> {
        let aside = ["GIT_DIR", "GIT_OBJECT_DIRECTORY"];
        let aside = self.variables.iter().any(|(name, _)| aside.contains(&name.as_str()));
        if !reading::only_looks(args, aside) {
            return Err(Failure::bug(format!("git {} was called to look", args.join(" "))));
        }
        self.go(args, input)
    }

    /// Runs git to change a repository or a remote, as [`Git::run`]. A signal does not cut a push in two: git gets five seconds to end, and
    /// the step stops before its next request.
    ///
    /// # Errors
    /// `config` when there is no git; `temporary` at the deadline or after a signal.
    pub fn change(&self, _: &Permit, args: &[&str], input: &[u8]) -> Result<Said, Failure> {
        self.go(args, input)
    }

    fn go(&self, args: &[&str], input: &[u8]) -> Result<Said, Failure> {
        let counts = self.git_dir_counts()?;
        self.start(args, input, counts)
    }

    /// Runs git to look, for its answer.
    ///
    /// # Errors
    /// As [`Git::run`]; `failed`, `git-failed` with git's own words when it does not succeed.
    pub fn ask(&self, args: &[&str], input: &[u8]) -> Result<Said, Failure> {
        let said = self.run(args, input)?;
        if said.status.success() {
            return Ok(said);
        }
        let message = format!("git {} did not work", args.first().unwrap_or(&""));
        Err(Failure::failed("git-failed", message).cause(said.stderr))
    }

    fn start(&self, args: &[&str], input: &[u8], counts: bool) -> Result<Said, Failure> {
        if self.grace.is_some() {
            self.context.checkpoint()?;
        }
        self.context.voice.detail(&format!("git {}", args.join(" ")));
        let mut command = Command::new("git");
        command.args(args);
        let changes = environment::changes(std::env::vars_os(), counts, &self.settings);
        changes.removed.iter().for_each(|name| _ = command.env_remove(name));
        command.envs(changes.set).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let missing = |e| Failure::config("git-missing", format!("the program git cannot be started: {e}"));
        let child = alone(&mut command).spawn().map_err(missing)?;
        let end = self.patience.map_or(self.context.deadline, Deadline::after);
        let limits = Limits { deadline: end.sooner(self.context.deadline), grace: self.grace };
        let said = child::attend_within(self.context, child, input, limits)?;
        let Some(grace) = self.grace else { return Ok(said) };
        // In the foreground of a terminal the signal that came to us has come to git too.
        let cut = said.status.code().is_none() || (grace.is_zero() && !said.status.success());
        match self.context.interrupted().filter(|_| cut) {
            Some(interrupted) => Err(interrupted),
            None => Ok(said),
        }
    }

    /// Whether `GIT_DIR` and its like mean anything. A hook leaves them behind for whatever it starts, also in the folder of
    /// another repository; they count only where the working directory is in no repository of its own. Found out once.
    fn git_dir_counts(&self) -> Result<bool, Failure> {
        static COUNTS: OnceLock<bool> = OnceLock::new();
        if let Some(known) = COUNTS.get() {
            return Ok(*known);
        }
        let counts = match environment::ours("GIT_DIR") {
            None => false,
            Some(named) => self.is_alone(Path::new(&named))?,
        };
        Ok(*COUNTS.get_or_init(|| counts))
    }

    /// Whether the working directory is in no repository but the one that `GIT_DIR` names.
    fn is_alone(&self, named: &Path) -> Result<bool, Failure> {
        let around = self.start(&["rev-parse", "--absolute-git-dir"], b"", false)?;
        if !around.status.success() {
            // Any other complaint is about a repository that is there.
            return Ok(around.stderr.contains("not a git repository"));
        }
        let around = around.text();
        if named.canonicalize().ok() != Path::new(&around).canonicalize().ok() {
            self.context.voice.warn(&format!(
                "GIT_DIR names another repository and does not count: the one around the working directory is {around}"
            ));
        }
        Ok(false)
    }
}
