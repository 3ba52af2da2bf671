//! A program and whatever it starts (ssh, hooks, helpers) end together: at the deadline nobody is left who still changes something.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group, waitid,
};
use step::Permit;

/// After the request to end, a program gets this long: git removes its locks.
const TIDY: Duration = Duration::from_secs(1);

/// Gives a program a process group of its own, so that it can be ended with its children, and so that a signal for ours does not
/// cut it. Not in the foreground of a terminal: there ssh and gpg ask the person for a passphrase, which only the terminal's own
/// group may do; its children are then found by their parents.
pub fn alone(command: &mut Command) -> &mut Command {
    if is_in_foreground() { command } else { command.process_group(0) }
}

/// Starts a program that changes something, in a group of its own ([`alone`]).
///
/// # Errors
/// As [`Command::spawn`].
pub fn start(_: &Permit, command: &mut Command) -> std::io::Result<Child> {
    alone(command).spawn()
}

/// Ends a program with its children: asks, waits a moment, and kills what is left.
pub(crate) fn end(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let all = All::of(pid);
        all.send(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < TIDY && !has_ended(pid) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // It is not waited for yet, so that its number is nobody else's.
        all.send(Signal::KILL);
    }
    // Nothing more can be done about a child that cannot be killed.
    let _ = child.kill();
    let _ = child.wait();
}

/// Who ends together.
enum All {
    Group(Pid),
    Tree(Vec<Pid>),
}

impl All {
    fn of(pid: Pid) -> Self {
        if getpgid(Some(pid)) == Ok(pid) { All::Group(pid) } else { All::Tree(tree(pid)) }
    }

    /// Who has ended already needs no signal.
    fn send(&self, signal: Signal) {
        match self {
            All::Group(pid) => _ = kill_process_group(*pid, signal),
            All::Tree(all) => all.iter().for_each(|pid| _ = kill_process(*pid, signal)),
        }
    }
}

fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// A process and all below it, where the system lists them; else it alone.
fn tree(root: Pid) -> Vec<Pid> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<i32>().ok());
    let parents: Vec<(i32, i32)> =
        pids.filter_map(|pid| Some((pid, *stat(&pid.to_string())?.get(1)?))).collect();
    let mut all = vec![root];
    let mut at = 0;
    while let Some(parent) = all.get(at).map(|pid| pid.as_raw_nonzero().get()) {
        all.extend(parents.iter().filter(|(_, p)| *p == parent).filter_map(|(pid, _)| Pid::from_raw(*pid)));
        at += 1;
    }
    all
}

/// Whether a person at a terminal has this program in the foreground.
fn is_in_foreground() -> bool {
    match stat("self").as_deref() {
        Some([_, _, group, _, terminal, foreground, ..]) => *terminal != 0 && group == foreground,
        _ => std::io::IsTerminal::is_terminal(&std::io::stderr()),
    }
}

/// What Linux says of a process behind its name: state (as 0), parent, group, session, terminal, the terminal's foreground group.
fn stat(pid: &str) -> Option<Vec<i32>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().take(6).map(|field| field.parse().unwrap_or(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    /// A shell that starts another one and waits; gives the number of the inner one.
    fn family(own_group: bool) -> (Child, Pid) {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'echo $$; trap \"\" TERM; sleep 300' & wait"]).stdout(Stdio::piped());
        if own_group {
            command.process_group(0);
        }
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says");
        let inner = line.trim().parse().ok().and_then(Pid::from_raw).expect("a number");
        (child, inner)
    }

    fn lives(pid: Pid) -> bool {
        // Nobody waits for an orphan here at once: a zombie is dead.
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).is_ok_and(|text| {
            !text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
        })
    }

    #[test]
    fn children_end_with_their_parent_with_and_without_a_group() {
        for own_group in [true, false] {
            let (mut child, inner) = family(own_group);
            assert!(lives(inner));
            end(&mut child);
            let until = Instant::now() + Duration::from_secs(5);
            while lives(inner) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(!lives(inner), "{own_group}");
        }
    }

    #[test]
    fn a_process_says_who_its_parent_is() {
        let parent = i32::try_from(std::os::unix::process::parent_id()).expect("a number");
        assert_eq!(stat("self").expect("Linux")[1], parent);
        assert!(tree(Pid::from_raw(parent).expect("a number")).len() > 1);
    }
}
