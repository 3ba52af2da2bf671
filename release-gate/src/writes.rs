//! Stops the product's writes before its data goes back, and allows them again afterwards, by the team's own commands: only
//! the team knows how its product becomes read-only.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use step::{Acted, Context, Failure, Outcome, Run};

use crate::args::Settings;

/// What the commands see of our environment: no secret of ours is among it.
const KEPT: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "SSH_AUTH_SOCK"];

/// What shall become of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Writes {
    /// Nobody writes from now on
    Stop,
    /// As before
    Allow,
}

impl Writes {
    fn key(self) -> &'static str {
        if self == Writes::Stop { "stop_writes" } else { "allow_writes" }
    }
}

/// The step. A command is run again in each attempt: it must be one that may be run twice.
pub fn turn(run: &Run, settings: &Settings, writes: Writes) -> Result<Outcome, Failure> {
    let command = if writes == Writes::Stop { &settings.stop_writes } else { &settings.allow_writes };
    let key = writes.key();
    let Some((program, args)) = command.split_first() else {
        return Ok(Outcome::skipped(format!("no `{key}` is set")));
    };
    if run.context.permit().is_none() {
        return Ok(Outcome::planned(format!("would run {}", command.join(" "))));
    }
    let mut said = Said::of(&run.context, program, args, key)?;
    let status = said.wait(&run.context)?;
    if !status.success() {
        let message = format!("{key}: {program} ended with {status}");
        let failure = Failure::failed("command-failed", message).acted(Acted::Unknown);
        return Err(said.lines().into_iter().fold(failure, Failure::cause));
    }
    Ok(Outcome::changed(match writes {
        Writes::Stop => {
            let environment = run.context.environment.as_deref().unwrap_or("production");
            format!("writes are stopped, until `release-gate writes allow --env {environment}`")
        }
        Writes::Allow => "writes are allowed again".to_owned(),
    }))
}

/// A command at work, and what it says.
struct Said {
    child: Child,
    text: Receiver<String>,
}

impl Said {
    fn of(context: &Context, program: &str, args: &[String], key: &str) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.args(args).current_dir(context.settings.folder()).env_clear();
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let unusable = |e| context.settings.wrong(key, &format!("{program} cannot be started: {e}"));
        let mut child = command.spawn().map_err(unusable)?;
        let (send, text) = channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                // Whatever it still has to say after this much is not read.
                let _ = stderr.take(64 << 10).read_to_end(&mut bytes);
                let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
            });
        }
        Ok(Said { child, text })
    }

    /// Its end; it is not left alone at work when the time is over or somebody stops us.
    fn wait(&mut self, context: &Context) -> Result<std::process::ExitStatus, Failure> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(e) => return Err(Failure::bug(format!("a child cannot be waited for: {e}"))),
            }
            if let Err(stopped) = context.pause(Duration::from_millis(20)) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(stopped.acted(Acted::Unknown));
            }
        }
    }

    /// Its last lines; something that it has left behind may keep its mouth open.
    fn lines(&self) -> Vec<String> {
        let text = self.text.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.into_iter().rev().take(10).rev().collect()
    }
}
