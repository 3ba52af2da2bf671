//! What a runbook calls: it asks the keeper, runs the step's command with the right document on its stdin, and says how it ended.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::fs::OFlags;
use serde_json::{Value, json};
use step::keeper::Lent;
use step::{Answer, Context, Failure, Voice};

use crate::args::Step;

/// A line to the keeper.
pub struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    /// To the keeper above us; `None` when there is none.
    pub fn find() -> Option<Self> {
        let lent = Lent::inherited()?;
        let stream = UnixStream::connect(lent.socket()).ok()?;
        Some(Line { stream: BufReader::new(stream) })
    }

    /// To the keeper, which must be there.
    pub fn open() -> Result<Self, Failure> {
        let gone = || {
            let message = if std::env::var_os(step::keeper::VARIABLE).is_some() {
                "the keeper of this run is gone: nothing more is done; run the same command again"
            } else {
                "no keeper is above this: start it with `release-run exec ... -- RUNBOOK`"
            };
            Failure::temporary("no-keeper", message)
        };
        Line::find().ok_or_else(gone)
    }

    /// A question and its answer.
    pub fn ask(&mut self, question: &Value) -> Result<Value, Failure> {
        let gone = |e: std::io::Error| {
            Failure::temporary(
                "no-keeper",
                format!("the keeper of this run is gone ({e}): run the same command again"),
            )
        };
        writeln!(self.stream.get_mut(), "{question}").map_err(gone)?;
        let mut line = String::new();
        if self.stream.read_line(&mut line).map_err(gone)? == 0 {
            return Err(gone(std::io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_str(&line).map_err(|_| gone(std::io::ErrorKind::InvalidData.into()))
    }
}

/// A question whose answer is a text.
pub fn text(question: &Value) -> Result<Answer, Failure> {
    let answer = Line::open()?.ask(question)?;
    let text = answer["text"].as_str().unwrap_or_default();
    Ok(Answer::new(text, json!(text)))
}

/// Whether something is so: by the exit code.
pub fn whether(question: &Value) -> Result<Answer, Failure> {
    let answer = Line::open()?.ask(question)?;
    Ok(Answer::ended(u8::from(answer["yes"] != json!(true))))
}

/// Something that needs no answer.
pub fn say(question: &Value) -> Result<Answer, Failure> {
    Line::open()?.ask(question).map(|_| Answer::ended(0))
}

/// Asks for a step, runs it if it is to run, and ends as it ended.
pub fn step(context: &Context, step: &Step) -> Result<Answer, Failure> {
    let mut line = Line::open()?;
    let voice = context.voice.renamed(&name_of_runbook());
    let word = |value: Option<clap::builder::PossibleValue>| {
        value.map(|v| v.get_name().to_owned()).unwrap_or_default()
    };
    let reply = line.ask(&json!({
        "ask": "step", "name": step.name, "claim": step.claim,
        "when": word(step.when.to_possible_value()), "changes": word(step.changes.to_possible_value()),
    }))?;
    if let Some(sentence) = reply["say"].as_str() {
        voice.say(sentence);
    }
    let code = reply["code"].as_u64().and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
    match reply["do"].as_str() {
        Some("done") => Ok(Answer::ended(0)),
        Some("run") => run(&mut line, &voice, step, &reply),
        _ => Ok(Answer::ended(code)),
    }
}

/// Runbooks say their own name; ours is of no interest there.
fn name_of_runbook() -> String {
    std::env::var("RILIS_RUNBOOK").unwrap_or_else(|_| "release-run".to_owned())
}

fn run(line: &mut Line, voice: &Voice, step: &Step, reply: &Value) -> Result<Answer, Failure> {
    if let (Some(after), false) = (step.torn, reply["plan"] == json!(true)) {
        let answer = line.ask(&json!({ "ask": "did", "name": "torn" }))?;
        if answer["yes"] != json!(true) {
            let mut child = start(step, reply)?;
            line.ask(&json!({ "ask": "started", "pid": child.id() }))?;
            match ended_within(&mut child, after) {
                Some(status) => {
                    voice.say(&format!(
                        "{} was done before it could be killed, in less than {} s",
                        step.name,
                        after.as_secs_f64()
                    ));
                    return ended(line, status);
                }
                None => {
                    line.ask(&json!({ "ask": "torn" }))?;
                    // It may have ended just now, which changes nothing.
                    let _ = child.kill();
                    let _ = child.wait();
                    voice.say(&format!("killed {} on purpose, after {} s", step.name, after.as_secs_f64()));
                }
            }
        }
    }
    let mut child = start(step, reply)?;
    line.ask(&json!({ "ask": "started", "pid": child.id() }))?;
    let status =
        child.wait().map_err(|e| Failure::failed("step", format!("the step cannot be waited for: {e}")))?;
    ended(line, status)
}

fn ended(line: &mut Line, status: ExitStatus) -> Result<Answer, Failure> {
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    let answer = line.ask(&json!({ "ask": "ended", "code": code }))?;
    Ok(Answer::ended(answer["code"].as_u64().and_then(|c| u8::try_from(c).ok()).unwrap_or(1)))
}

fn ended_within(child: &mut Child, after: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + after;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(left.min(Duration::from_millis(5)));
    }
}

/// Starts the command: the last document goes in, the next one comes out.
fn start(step: &Step, reply: &Value) -> Result<Child, Failure> {
    let failed = |what: &str, e: std::io::Error| Failure::failed("step", format!("{what}: {e}"));
    let (program, words) = step.command.split_first().ok_or_else(|| Failure::usage("step", "no command"))?;
    let mut command = Command::new(program);
    command.args(words);
    match reply["input"].as_str() {
        Some(path) => command.stdin(File::open(path).map_err(|e| failed(path, e))?),
        None => command.arg("--fresh").stdin(Stdio::null()),
    };
    if reply["plan"] == json!(true) {
        command.arg("--plan");
    }
    let path = reply["output"].as_str().unwrap_or_default();
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let output = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(path);
    command.stdout(output.map_err(|e| failed(path, e))?);
    command.spawn().map_err(|e| failed(&OsString::from(program).to_string_lossy(), e))
}
