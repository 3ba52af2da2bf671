//! The keeper of a run: it lives as long as the run, has its locks, renews them while a step works, and at the end, whatever happened
//! to the runbook, stores, unlocks, then tells.

mod aside;
mod begin;
mod belief;
mod end;
mod ended;
pub mod folder;
mod lockup;
mod owed;
mod pushes;
mod session;
mod shore;
mod wire;

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use step::keeper::{Lent, VARIABLE, now};
use step::{Answer, Context, Failure, Permit, Procedure, Voice};

use crate::args::Settings;
use crate::remote::{Draft, Put, Remote};
use begin::{Begin, Beginning, Begun};
use folder::Places;
use session::Session;
use wire::{Den, Event};

/// How long a step may take to end in order once its runbook is gone; then it is killed.
const ORDER: Duration = Duration::from_secs(60);

/// What a runbook wants of its keeper.
#[derive(Debug, Default)]
pub struct Order {
    pub procedure: Procedure,
    pub version: Option<String>,
    pub of: Option<Of>,
    pub reason: Option<String>,
    pub plan: bool,
    pub again: bool,
    pub no_lock: Option<String>,
    pub lift_hold: Option<String>,
    pub despite_hold: bool,
    pub lock_wait: Duration,
    pub runbook: Vec<OsString>,
}

/// What a rollback was told to go back from.
#[derive(Clone, Debug)]
pub enum Of {
    /// A run, which must be known.
    Run(String),
    /// A document of one, by its file's name.
    Document(String),
}

impl Of {
    /// A run's name or folder, or a document.
    pub fn read(text: &str) -> Self {
        let path = Path::new(text);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() {
            Of::Document(name.strip_suffix(".json").unwrap_or(&name).to_owned())
        } else {
            Of::Run(name)
        }
    }

    fn name(&self) -> &str {
        let (Of::Run(name) | Of::Document(name)) = self;
        name
    }
}

/// Keeps a run from its beginning to its end; ends as the runbook ended.
pub fn exec(context: &Context, settings: &Settings, order: &Order) -> Result<Answer, Failure> {
    let name = called(order);
    let voice = context.voice.renamed(&name);
    crate::role::allows(context, &order.procedure)?;
    let environment = context.environment()?.to_owned();
    let product = settings.product.clone();
    let remote = Remote::open(context, settings)?;
    let places = Places::open(&remote.own)?;
    let begin = Begin {
        context,
        settings,
        order,
        voice: &voice,
        remote: &remote,
        places: &places,
        product,
        environment,
        said: Cell::new(false),
    };
    let begun = match begin.begin()? {
        Beginning::Run(begun) => *begun,
        Beginning::Done(done) => {
            voice.say(&format!("{} is finished; nothing to do (--again starts another)", done.shown()));
            end::tell_belated(&done, &places);
            return Ok(Answer::ended(0));
        }
    };
    crate::history::write(&begun.folder, &begun.all, &places)?;
    if begun.is_claimed() {
        crate::claim::write(context, &begun.folder, &begun.record, &remote)?;
    }
    let keeper = Keeper { name: &name, voice: &voice, remote: &remote, places: &places };
    keeper.with_pushes(context.permit(), |turn| keeper.keep(begun, order, turn)).map(Answer::ended)
}

/// The name under which a person has called the runbook.
fn called(order: &Order) -> String {
    let own = order.runbook.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    std::env::var("RILIS_RUNBOOK").unwrap_or_else(|_| own.to_string_lossy().into_owned())
}

/// What does not change while a run is kept.
pub struct Keeper<'a> {
    /// The runbook's own name, under which everything is said.
    name: &'a str,
    voice: &'a Voice,
    remote: &'a Remote<'a>,
    places: &'a Places,
}

/// Where events come from; pushes are sent by a thread of their own, one at a time.
pub struct Loop {
    sender: Sender<Event>,
    events: Receiver<Event>,
    pushes: Sender<Vec<Draft>>,
    /// What came while a push was waited for.
    backlog: VecDeque<Event>,
    in_flight: bool,
}

impl Keeper<'_> {
    /// Works with a thread beside it that sends what is to be pushed.
    fn with_pushes<T>(&self, permit: Option<Permit>, work: impl FnOnce(&mut Loop) -> T) -> T {
        let remote = self.remote;
        std::thread::scope(|scope| {
            let (sender, events) = channel();
            let (pushes, wanted) = channel::<Vec<Draft>>();
            let back = sender.clone();
            scope.spawn(move || {
                for drafts in wanted {
                    let sent = now();
                    let Some(permit) = &permit else { return };
                    if back.send(Event::Put { sent, put: remote.put(permit, &drafts) }).is_err() {
                        return;
                    }
                }
            });
            work(&mut Loop { sender, events, pushes, backlog: VecDeque::new(), in_flight: false })
        })
    }

    fn keep(&self, begun: Begun, order: &Order, turn: &mut Loop) -> Result<u8, Failure> {
        let failed =
            |e: std::io::Error| Failure::failed("keeper", format!("the runbook cannot be started: {e}"));
        let den = Den::make().map_err(failed)?;
        let (lent, listener) = den.open().map_err(failed)?;
        wire::hear(&turn.sender).map_err(failed)?;
        wire::listen(listener, &turn.sender);
        let mut session = Session::new(self, begun, lent, order.plan);
        session.lend();
        match self.start(&session.lent, order) {
            Ok(child) => {
                let pid = child.id();
                wire::attend(child, &turn.sender);
                let code = self.attend(&mut session, turn, pid);
                Ok(session.wind_up(turn, code))
            }
            Err(error) => {
                session.wind_up(turn, Some(1));
                Err(failed(error))
            }
        }
    }

    /// Starts the runbook; what is lent to it and its children has no close-on-exec.
    fn start(&self, lent: &Lent, order: &Order) -> std::io::Result<std::process::Child> {
        rustix::io::fcntl_setfd(lent.as_fd(), rustix::io::FdFlags::empty())?;
        let (program, words) = order.runbook.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(words)
            .env("RILIS_RUNBOOK", self.name)
            .env(VARIABLE, lent.as_fd().as_raw_fd().to_string())
            .stdin(Stdio::inherit());
        command.spawn()
    }

    /// Until the runbook has ended, and the step that was at work with it. Its exit code, if it had one of its own.
    fn attend(&self, session: &mut Session, turn: &mut Loop, pid: u32) -> Option<u8> {
        let mut ended = None;
        let mut patience: Option<Instant> = None;
        loop {
            let wait = patience.map_or(session.until_renewal(), |end| {
                end.saturating_duration_since(Instant::now()).min(session.until_renewal())
            });
            match turn.next(wait) {
                Some(Event::Asked(id, question, answer)) => {
                    let reply = session.asked(turn, id, &question);
                    // Who has asked may be gone.
                    let _ = answer.send(reply);
                }
                Some(Event::Gone(id)) => session.gone(id),
                Some(Event::Signal(signal)) => {
                    session.signal(signal);
                    signal_to(u64::from(pid), signal);
                }
                Some(Event::Ended(status)) => ended = Some(code(status)),
                Some(Event::Put { sent, put }) => {
                    session.put_came(sent, put);
                }
                None if patience.is_some_and(|end| Instant::now() >= end) => session.kill(),
                None => session.renew(turn),
            }
            let Some(code) = ended else { continue };
            if !session.is_at_work() {
                return code;
            }
            if patience.is_none() {
                session.signal_step(signal_hook::consts::SIGTERM);
                patience = Some(Instant::now() + ORDER);
            }
        }
    }
}

impl Loop {
    /// What happens next; `None` when nothing does for so long.
    fn next(&mut self, wait: Duration) -> Option<Event> {
        let event = match self.backlog.pop_front() {
            Some(event) => event,
            None => match self.events.recv_timeout(wait) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            },
        };
        if matches!(event, Event::Put { .. }) {
            self.in_flight = false;
        }
        Some(event)
    }

    /// Waits for the push that is on its way, if there is one.
    fn settled(&mut self) -> Option<(u64, Put)> {
        while self.in_flight {
            match self.events.recv() {
                Ok(Event::Put { sent, put }) => {
                    self.in_flight = false;
                    return Some((sent, put));
                }
                Ok(event) => self.backlog.push_back(event),
                Err(_) => self.in_flight = false,
            }
        }
        None
    }

    /// Sends a push, which comes back as an event.
    fn push(&mut self, drafts: Vec<Draft>) {
        self.in_flight = self.pushes.send(drafts).is_ok();
    }
}

/// Sends a signal to a process that may be gone.
fn signal_to(pid: u64, signal: i32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        let _ = kill_process(pid, signal);
    }
}

/// A process's exit code as a shell has it.
fn code(status: std::io::Result<std::process::ExitStatus>) -> Option<u8> {
    use std::os::unix::process::ExitStatusExt;
    let status = status.ok()?;
    let number = status.code().or_else(|| status.signal().map(|s| 128 + s))?;
    u8::try_from(number).ok()
}
