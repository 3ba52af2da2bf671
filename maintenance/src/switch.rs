//! Runs the team's own command, with nothing of ours: no secret, no document. It must be one that may be run twice.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use step::{Acted, Context, Failure, Permit};

use crate::args::Turn;

/// What the command sees of our environment: no secret of ours is among it.
const KEPT: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "SSH_AUTH_SOCK"];
/// How many of a command's last lines are told when it did not work.
const LINES: usize = 10;

/// Runs it to its end.
pub fn turn(permit: &Permit, context: &Context, turn: Turn, command: &[String]) -> Result<(), Failure> {
    let (program, args) = command.split_first().ok_or_else(|| Failure::bug("no command"))?;
    let unusable = |e| context.settings.wrong(turn.word(), &format!("{program} cannot be started: {e}"));
    let child = start(permit, context, program, args).map_err(unusable)?;
    let said = child::attend(context, child, b"", Duration::MAX).map_err(|f| f.acted(Acted::Unknown))?;
    if said.status.success() {
        return Ok(());
    }
    let message = format!("[maintenance] {}: {program} ended with {}", turn.word(), said.status);
    let failure = Failure::failed("command-failed", message).acted(Acted::Unknown);
    let lines: Vec<&str> = said.stderr.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LINES));
    Err(last.fold(failure, |failure, line| failure.cause(*line)))
}

/// In the folder of the settings, where relative paths of theirs lead from.
fn start(permit: &Permit, context: &Context, program: &str, args: &[String]) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command.args(args).current_dir(context.settings.folder()).env_clear();
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    child::start(permit, &mut command)
}

/// Whether the program of a command is there, without running it.
pub fn find(context: &Context, turn: Turn, program: &str) -> Result<(), Failure> {
    let places: Vec<PathBuf> = if program.contains('/') {
        vec![context.settings.folder()]
    } else {
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
    };
    if places.iter().any(|place| place.join(program).is_file()) {
        return Ok(());
    }
    Err(context.settings.wrong(turn.word(), &format!("there is no program {program}")))
}
