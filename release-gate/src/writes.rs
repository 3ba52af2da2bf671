//! Stops the product's writes before its data goes back, and allows them again afterwards, by the team's own commands: only
//! the team knows how its product becomes read-only.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use step::{Acted, Context, Failure, Outcome, Permit, Run};

use crate::args::Settings;

/// What the commands see of our environment: no secret of ours is among it.
const KEPT: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "SSH_AUTH_SOCK"];
/// How many of a command's last lines are told when it did not work.
const LINES: usize = 10;

/// What shall become of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Writes {
    /// Nobody writes from now on
    Stop,
    /// As before
    Allow,
}

/// The step. A command is run again in each attempt: it must be one that may be run twice.
pub fn turn(run: &Run, settings: &Settings, writes: Writes) -> Result<Outcome, Failure> {
    let (key, command) = match writes {
        Writes::Stop => ("stop_writes", &settings.stop_writes),
        Writes::Allow => ("allow_writes", &settings.allow_writes),
    };
    let Some((program, args)) = command.split_first() else {
        return Ok(Outcome::skipped(format!("no `{key}` is set")));
    };
    let Some(permit) = run.context.permit() else {
        return Ok(Outcome::planned(format!("would run {}", command.join(" "))));
    };
    let unusable = |e| run.context.settings.wrong(key, &format!("{program} cannot be started: {e}"));
    let child = start(&permit, &run.context, program, args).map_err(unusable)?;
    let said = child::attend(&run.context, child, b"", Duration::MAX).map_err(|f| f.acted(Acted::Unknown))?;
    if !said.status.success() {
        let message = format!("{key}: {program} ended with {}", said.status);
        let failure = Failure::failed("command-failed", message).acted(Acted::Unknown);
        let lines: Vec<&str> = said.stderr.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES));
        return Err(last.fold(failure, |failure, line| failure.cause(*line)));
    }
    Ok(Outcome::changed(match writes {
        Writes::Stop => {
            let words = [vec!["release-gate", "writes", "allow"], run.context.env_words()].concat();
            let allow = step::shell::command(words);
            format!("writes are stopped, until `{allow}`")
        }
        Writes::Allow => "writes are allowed again".to_owned(),
    }))
}

/// In the folder of the settings, where relative paths of theirs lead from.
fn start(permit: &Permit, context: &Context, program: &str, args: &[String]) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command.args(args).current_dir(context.settings.folder()).env_clear();
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    child::start(permit, &mut command)
}
