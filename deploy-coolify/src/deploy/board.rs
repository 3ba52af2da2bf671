//! What a person sees while several deployments are on their way: one line for each, with its state, the time it has taken and the
//! time it may take.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use step::Context;

/// The lines.
pub struct Board<'a> {
    context: &'a Context,
    begun: Instant,
    /// The step's deadline, as a length of time from the beginning.
    budget: Duration,
    states: RefCell<Vec<State>>,
}

struct State {
    name: String,
    state: String,
    ended: Option<Duration>,
}

impl<'a> Board<'a> {
    /// One line for each name.
    pub fn new(context: &'a Context, names: impl IntoIterator<Item = String>) -> Self {
        let states =
            names.into_iter().map(|name| State { name, state: "waiting".into(), ended: None }).collect();
        Board {
            context,
            begun: Instant::now(),
            budget: context.deadline.left(),
            states: RefCell::new(states),
        }
    }

    /// A state of one of them; one that it has already is shown already.
    pub fn set(&self, at: usize, state: &str) {
        self.change(at, state, None);
    }

    /// Its last state.
    pub fn end(&self, at: usize, state: &str) {
        self.change(at, state, Some(self.begun.elapsed()));
    }

    fn change(&self, at: usize, state: &str, ended: Option<Duration>) {
        {
            let mut states = self.states.borrow_mut();
            let Some(line) = states.get_mut(at).filter(|l| l.state != state || l.ended != ended) else {
                return;
            };
            state.clone_into(&mut line.state);
            line.ended = ended;
        }
        self.show();
    }

    /// Shows the lines as they are now; on a terminal the time goes on.
    pub fn show(&self) {
        let rows: Vec<(String, String)> = self.states.borrow().iter().map(|s| self.row(s)).collect();
        self.context.voice.board(&rows);
    }

    fn row(&self, line: &State) -> (String, String) {
        let clock = match line.ended {
            Some(took) => format!("{}s", took.as_secs()),
            None => format!("{}s of {}s", self.begun.elapsed().as_secs(), self.budget.as_secs()),
        };
        (format!("{}: {}", line.name, line.state), clock)
    }

    /// Lets the clocks run, for as long as somebody waits beside it.
    pub async fn tick(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.context.voice.is_terminal() {
                self.show();
            }
        }
    }
}
