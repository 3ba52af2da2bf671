//! What a step has around it while it works: its settings, its voice, its deadline, whether somebody wants it to stop, and
//! whether it may change the world.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;
use crate::{Deadline, Failure, Settings, Voice, keeper};

/// Leave to change the outside world. Only [`Context::permit`] makes one, and never in plan mode: whatever changes
/// something takes a `&Permit`, so that everything dangerous can be listed with grep. Nobody else can make one:
///
/// ```compile_fail,E0423
/// let permit = step::Permit(());
/// ```
#[derive(Debug)]
pub struct Permit(());

/// A step's surroundings.
#[derive(Debug)]
pub struct Context {
    /// The step's settings.
    pub settings: Settings,
    /// The voice on stderr.
    pub voice: Voice,
    /// The budget of the whole step.
    pub deadline: Deadline,
    /// The environment, from `--env` or the document.
    pub environment: Option<String>,
    /// What `--release` said.
    pub release: Option<String>,
    pub(crate) plan: bool,
    pub(crate) interrupt: Interrupt,
}

impl Context {
    /// Leave to change the outside world; `None` in plan mode.
    pub fn permit(&self) -> Option<Permit> {
        (!self.plan).then_some(Permit(()))
    }

    /// The words that name the environment in a command that is printed to be pasted; none where it is not known.
    pub fn env_words(&self) -> Vec<&str> {
        self.environment.as_deref().map(|name| vec!["--env", name]).unwrap_or_default()
    }

    /// The environment, which must be known.
    ///
    /// # Errors
    /// `usage` when neither `--env` nor the document names it.
    pub fn environment(&self) -> Result<&str, Failure> {
        let missing =
            || Failure::usage("no-environment", "which environment? give --env, for example --env staging");
        self.environment.as_deref().ok_or_else(missing)
    }

    /// The failure to stop with, if a signal has come: for what is under way and may be left at once.
    pub fn interrupted(&self) -> Option<Failure> {
        self.interrupt.came()
    }

    /// To be called before each new request: stops when a signal came, the time is over, or the keeper of the run cannot prove
    /// the environment's lock any more.
    ///
    /// # Errors
    /// `temporary`: `interrupted`, `lock-lost` or `deadline`.
    pub fn checkpoint(&self) -> Result<(), Failure> {
        if let Some(interrupted) = self.interrupt.came() {
            return Err(interrupted);
        }
        if !self.plan {
            keeper::still_ours()?;
        }
        if self.deadline.left().is_zero() { Err(self.deadline.over()) } else { Ok(()) }
    }

    /// Waits, but not past a signal or the deadline.
    ///
    /// # Errors
    /// `temporary`: `interrupted` or `deadline`.
    pub fn pause(&self, wait: Duration) -> Result<(), Failure> {
        let end = Instant::now() + wait;
        loop {
            self.checkpoint()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Has a person confirm a dangerous act by typing `phrase` at the terminal, unless the command line already did
    /// (`given`, from `--confirm`). `next` is the full command that confirms exactly this.
    ///
    /// # Errors
    /// `refused`: `unconfirmed` when nobody is there or something else was typed; `temporary`: `interrupted` or `deadline`.
    pub fn confirm(&self, act: &str, phrase: &str, given: Option<&str>, next: &str) -> Result<(), Failure> {
        if given == Some(phrase) {
            return Ok(());
        }
        let refused = |why: String| Failure::refused("unconfirmed", why).next(next);
        if let Some(other) = given {
            return Err(refused(format!("--confirm says `{other}`, but {act} needs `{phrase}`")));
        }
        let typed = self.typed(&format!("{act}\nType `{phrase}` to go on: ")).map_err(|f| f.next(next))?;
        match typed {
            Some(typed) if typed == phrase => Ok(()),
            Some(_) => Err(refused(format!("not confirmed: {act} was not begun"))),
            None => Err(refused(format!("{act} needs a person at a terminal, or --confirm {phrase}"))),
        }
    }

    /// What a person types at the terminal, unless a signal comes or the time is over before.
    fn typed(&self, question: &str) -> Result<Option<String>, Failure> {
        let Some(answer) = self.voice.ask(question) else { return Ok(None) };
        loop {
            match answer.recv_timeout(Duration::from_millis(50)) {
                Ok(typed) => return Ok(Some(typed)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.checkpoint()?,
            }
        }
    }
}
