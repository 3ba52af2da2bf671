//! The one `main`: arguments, stdin, the step, stdout, exit code. Nothing else in the workspace touches those.

use std::any::Any;
use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use serde_json::{Value, json};

use crate::cli::{Common, KEYS, SCHEMA, SETTINGS, command};
use crate::exit::Exit;
use crate::input::{self, Input};
use crate::interrupt::Interrupt;
use crate::misuse::{self, Misuse};
use crate::output::{complain, hand_on, show, write_document, write_out};
use crate::redact::{remember_environment, scrub};
use crate::run::Run;
use crate::settings::Care;
use crate::{Answer, Context, Deadline, Document, Failure, Outcome, Procedure, Setting, Settings, Voice};

/// What a command line asks for; `--check` is asked of every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A step: a document in, a document out.
    Step,
    /// A question: it reads no document, and its answer goes to stdout.
    Question,
    /// A report on stdout in the document's place: answered like a question, but a document that came in is handed on as a misuse,
    /// because it would be lost.
    Report,
}

/// A program of the workspace: a command line that says what it wants done.
pub trait Program: clap::Parser {
    /// One line each; they open `--help`.
    const EXAMPLES: &'static str;
    /// The settings of the step's own table in `release.toml`.
    const SETTINGS: &'static [Setting];
    /// The step's budget when `--timeout` does not say.
    const TIMEOUT: Duration;
    /// Whether a failed document is work for this step. True for notify alone, which never sets or alters `failure`.
    const TAKES_FAILED: bool = false;

    /// The budget of this command line, where one of its acts takes as long as something else does.
    fn patience(&self) -> Duration {
        Self::TIMEOUT
    }
    /// Whether it has to work although something is wrong with its settings: what must tell of a failure tells of it.
    fn is_lenient(&self, _document: Option<&Document>) -> bool {
        false
    }
    /// The options of every step.
    fn common(&self) -> &Common;
    /// Which of its acts the step is asked for, when it has several.
    fn action(&self) -> Option<&'static str> {
        None
    }
    /// What this command line asks for.
    fn ask(&self) -> Ask {
        Ask::Step
    }
    /// The procedure that a document opened by this command line belongs to.
    fn opens(&self) -> Procedure {
        Procedure::Manual
    }
    /// The step: observe, plan, apply, confirm.
    ///
    /// # Errors
    /// Whatever stopped it.
    fn run(&self, run: &mut Run) -> Result<Outcome, Failure>;
    /// Answers a question.
    ///
    /// # Errors
    /// Whatever stopped it.
    fn answer(&self, context: &Context) -> Result<Answer, Failure>;
    /// `--check`: settings, secrets, one authorised read.
    ///
    /// # Errors
    /// `config` or `temporary`.
    fn check(&self, context: &Context) -> Result<Answer, Failure>;
}

/// A step that a signal has ended below a keeper is gone on with by its runbook: another command would leave the run behind.
fn within_a_run(mut failure: Failure) -> Failure {
    if failure.is_interrupted() && std::env::var_os(crate::keeper::VARIABLE).is_some() {
        failure.next = None;
    }
    failure
}

/// Runs a program. This is the whole `main` of every step.
pub fn main<P: Program>() -> ExitCode {
    if let Some(page) = crate::manual::page(command::<P>(), std::env::args_os().skip(1)) {
        return ExitCode::from(if write_out(&page).is_ok() { 0 } else { Exit::NotWritten.code() });
    }
    let interrupt = Interrupt::install();
    remember_environment();
    let words: Vec<OsString> = std::env::args_os().collect();
    let matches = command::<P>().try_get_matches_from(&words);
    if let Some(code) = matches.as_ref().ok().and_then(|m| settings::<P>(m, &interrupt)) {
        return ExitCode::from(code);
    }
    let program = match matches.and_then(|m| P::from_arg_matches(&m)) {
        Ok(program) => program,
        Err(error) => return ExitCode::from(misspoken::<P>(&error, &words, &interrupt)),
    };
    let common = program.common();
    let code = Process { name: name::<P>(), program: &program, common, interrupt }.run();
    ExitCode::from(code)
}

/// `PROGRAM settings`: what is set, and where; or the schema for editors. `None` where something else is asked for.
fn settings<P: Program>(matches: &ArgMatches, interrupt: &Interrupt) -> Option<u8> {
    let asked = matches.subcommand_matches(SETTINGS)?;
    let common = Common::from_arg_matches(matches).ok()?;
    crate::secret::limits(common.timeout.unwrap_or(P::TIMEOUT), interrupt);
    let voice = Voice::new(name::<P>(), common.quiet, common.verbose, common.color);
    let answer = if asked.get_flag(SCHEMA) {
        let schema = Settings::schema(name::<P>(), P::SETTINGS);
        Ok(Answer::new(format!("{schema:#}"), schema))
    } else {
        let config = common.config.as_deref();
        let words: Vec<String> = asked.get_many::<String>(KEYS).into_iter().flatten().cloned().collect();
        Settings::load(name::<P>(), P::SETTINGS, config, common.env.as_deref(), Care::All)
            .and_then(|settings| settings.shown(&words))
    };
    Some(match answer {
        Ok(answer) => show(&voice, answer, common.json),
        Err(failure) => complain(&voice, &failure),
    })
}

/// The program's name, once and for all: clap keeps it as an owned string.
fn name<P: CommandFactory>() -> &'static str {
    Box::leak(P::command().get_name().to_owned().into_boxed_str())
}

/// `--help`, `--version`, or words that make no sense. A document that was coming is still handed on.
fn misspoken<P: Program>(error: &clap::Error, words: &[OsString], interrupt: &Interrupt) -> u8 {
    if misuse::is_question(error, words) {
        return if error.print().is_ok() { 0 } else { Exit::NotWritten.code() };
    }
    let voice = Voice::new(name::<P>(), false, false, clap::ColorChoice::Auto);
    let Misuse { sentence, tips, next } = Misuse::of(error, words);
    let mut failure = Failure::usage("arguments", sentence);
    failure.next = next;
    failure.causes = tips;
    complain(&voice, &failure);
    failure.causes.clear();
    // The flag may stand behind the word that made no sense.
    if words.iter().any(|word| word == "--fresh") {
        return failure.exit_code();
    }
    match input::read(&voice, interrupt) {
        Input::Document(document, bytes) if document.failure().is_some() => {
            hand_on(&voice, &bytes, document.failure_code().unwrap_or(1))
        }
        Input::Document(mut document, _) => {
            document.push_record(failed_record(name::<P>(), None, jiff::Timestamp::now(), 0, &failure));
            document.set_failure(failure.to_value(name::<P>()));
            write_document(&voice, document, false, failure.exit_code())
        }
        _ => failure.exit_code(),
    }
}

/// One run of one program, from the parsed command line to the exit code.
struct Process<'a, P> {
    name: &'static str,
    program: &'a P,
    common: &'a Common,
    interrupt: Interrupt,
}

impl<P: Program> Process<'_, P> {
    fn run(&self) -> u8 {
        let voice = Voice::new(self.name, self.common.quiet, self.common.verbose, self.common.color);
        let ask = self.program.ask();
        if self.common.check || ask == Ask::Question {
            return self.question(voice);
        }
        let input = if self.common.fresh { Input::None } else { input::read(&voice, &self.interrupt) };
        match input {
            Input::Unusable(sentence) => {
                voice.fatal(&format!("{sentence} (--fresh opens a new document)"), Exit::NoDocument.code())
            }
            Input::Interrupted(failure) => voice.fatal(&failure.message, failure.exit_code()),
            Input::Document(document, bytes) if document.failure().is_some() && !P::TAKES_FAILED => {
                let failure = document.failure();
                let word = |key| failure.and_then(|f| f.get(key)).and_then(Value::as_str).unwrap_or("a step");
                voice.say(&format!("not run, because {} failed: {}", word("step"), word("message")));
                hand_on(&voice, &bytes, document.failure_code().unwrap_or(1))
            }
            Input::Document(mut document, _) if ask == Ask::Report => {
                let failure = Failure::usage(
                    "stdout-taken",
                    "a report cannot replace the document that came in: name a file for it",
                );
                let record =
                    failed_record(self.name, self.program.action(), jiff::Timestamp::now(), 0, &failure);
                document.push_record(record);
                document.set_failure(failure.to_value(self.name));
                let code = complain(&voice, &failure);
                write_document(&voice, document, self.common.json, code)
            }
            Input::None if ask == Ask::Report => self.question(voice),
            Input::Document(document, _) => self.step(voice, Some(document)),
            Input::None => self.step(voice, None),
        }
    }

    fn question(&self, voice: Voice) -> u8 {
        crate::secret::limits(self.common.timeout.unwrap_or(P::TIMEOUT), &self.interrupt);
        let care = if self.common.check { Care::All } else { Care::Environment };
        let context = match self.context(voice, self.common.env.clone(), care) {
            Ok(context) => context,
            Err((voice, failure)) => return complain(&voice, &failure),
        };
        let asked = || {
            if self.common.check { self.program.check(&context) } else { self.program.answer(&context) }
        };
        let answer = caught(asked);
        context.voice.progress_done();
        match answer {
            Ok(answer) => show(&context.voice, answer, self.common.json),
            Err(failure) => complain(&context.voice, &failure),
        }
    }

    /// Settings need the environment, which the document may name.
    fn context(
        &self,
        voice: Voice,
        environment: Option<String>,
        care: Care,
    ) -> Result<Context, (Voice, Failure)> {
        let config = self.common.config.as_deref();
        let loaded = Settings::load(self.name, P::SETTINGS, config, environment.as_deref(), care);
        let settings = match loaded {
            Ok(settings) => settings,
            Err(failure) => return Err((voice, failure)),
        };
        Ok(Context {
            settings,
            voice,
            deadline: Deadline::after(self.common.timeout.unwrap_or_else(|| self.program.patience())),
            environment,
            release: self.common.release.clone(),
            plan: self.common.plan,
            interrupt: self.interrupt.clone(),
        })
    }

    fn step(&self, voice: Voice, incoming: Option<Document>) -> u8 {
        let started = jiff::Timestamp::now();
        let clock = Instant::now();
        crate::secret::limits(self.common.timeout.unwrap_or(P::TIMEOUT), &self.interrupt);
        let recorded = incoming.as_ref().and_then(Document::failure_code);
        let known = incoming.as_ref().and_then(|d| d.facts().get("environment")).and_then(Value::as_str);
        let environment = known.map(str::to_owned).or_else(|| self.common.env.clone());
        let lenient = self.program.is_lenient(incoming.as_ref());
        let care = if lenient { Care::Lenient } else { Care::Environment };
        let (mut run, result) = match self.context(voice, environment, care) {
            Err((voice, failure)) => {
                let mut document = incoming.unwrap_or_else(|| self.open(None));
                self.record(&mut document, started, clock, &Err(failure.clone()), &[]);
                complain(&voice, &failure);
                return write_document(
                    &voice,
                    document,
                    self.common.json,
                    recorded.unwrap_or(failure.exit_code()),
                );
            }
            Ok(mut context) => {
                let mut document = incoming.unwrap_or_else(|| self.open(Some(&context.settings)));
                if context.plan {
                    document.lower_to_plan();
                }
                context.plan = document.is_plan();
                let mut run = Run { context, document, planned: Vec::new() };
                let result =
                    self.prepare(&mut run, lenient).and_then(|()| caught(|| self.program.run(&mut run)));
                (run, result.map_err(within_a_run))
            }
        };
        let planned = std::mem::take(&mut run.planned);
        self.record(&mut run.document, started, clock, &result, &planned);
        run.context.voice.progress_done();
        let code = match &result {
            Ok(outcome) => {
                run.context.voice.say(&outcome.summary);
                0
            }
            Err(failure) => complain(&run.context.voice, failure),
        };
        write_document(&run.context.voice, run.document, self.common.json, recorded.unwrap_or(code))
    }

    fn open(&self, settings: Option<&Settings>) -> Document {
        // A product that cannot be read is complained about by `prepare`, with a document to write it into.
        let product = settings.and_then(|s| s.product("name").ok().flatten());
        let procedure = self.common.procedure.clone().unwrap_or_else(|| self.program.opens());
        Document::open(product.as_deref(), self.common.release.as_deref(), &procedure, self.common.plan)
    }

    /// Facts that the command line and the settings give, and that must agree with the document.
    fn prepare(&self, run: &mut Run, lenient: bool) -> Result<(), Failure> {
        run.context.checkpoint()?;
        let product = run.context.settings.product("name");
        // The document's own facts count then.
        let product = if lenient { product.ok().flatten() } else { product? };
        let given = [
            ("product", product),
            ("environment", self.common.env.clone()),
            ("version", self.common.release.clone()),
        ];
        for (name, value) in given {
            let Some(value) = value else { continue };
            let set = run.document.set(name, json!(value));
            if !lenient {
                set?;
            }
        }
        Ok(())
    }

    fn record(
        &self,
        document: &mut Document,
        started: jiff::Timestamp,
        clock: Instant,
        result: &Result<Outcome, Failure>,
        planned: &[String],
    ) {
        let ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let action = self.program.action();
        let mut record = match result {
            Ok(outcome) => {
                let mut record = opened_record(self.name, action, outcome.status.word(), started, ms);
                record["summary"] = json!(outcome.summary);
                if !outcome.output.is_empty() {
                    record["output"] = json!(outcome.output);
                }
                record
            }
            Err(failure) => failed_record(self.name, action, started, ms, failure),
        };
        if !planned.is_empty() {
            record["planned_facts"] = json!(planned);
        }
        document.push_record(record);
        if let (Err(failure), false) = (result, P::TAKES_FAILED) {
            document.set_failure(failure.to_value(self.name));
        }
    }
}

fn opened_record(name: &str, action: Option<&str>, status: &str, started: jiff::Timestamp, ms: u64) -> Value {
    let mut record = json!({ "name": name });
    if let Some(action) = action {
        record["action"] = json!(action);
    }
    record["status"] = json!(status);
    record["started"] = json!(format!("{started:.3}"));
    record["ms"] = json!(ms);
    record
}

fn failed_record(
    name: &str,
    action: Option<&str>,
    started: jiff::Timestamp,
    ms: u64,
    failure: &Failure,
) -> Value {
    let mut record = opened_record(name, action, "failed", started, ms);
    record["summary"] = json!(scrub(&failure.message));
    if !failure.output.is_empty() {
        record["output"] = json!(failure.output);
    }
    record
}

/// A panic is a bug, and the document is still handed on.
fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(AssertUnwindSafe(work));
    let _ = std::panic::take_hook();
    let words = |panic: &(dyn Any + Send)| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
    };
    result.unwrap_or_else(|panic| {
        let message = format!("this program has a bug, please report it: {}", words(&*panic));
        Err(Failure::bug(message).acted(crate::Acted::Unknown))
    })
}
