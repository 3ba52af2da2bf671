//! Runs the git program for a step. The program does whatever talks to a remote, so that every credential method, hook
//! and setting works as it does by hand; it runs under the step's deadline, asks nobody, and gets no secret that is not
//! for git.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use step::{Acted, Context, Failure};

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Said {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it answered.
    pub stdout: Vec<u8>,
    /// What it told people.
    pub stderr: String,
}

impl Said {
    /// The answer as text, without white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

/// The git program in the working directory.
#[derive(Debug)]
pub struct Git<'a> {
    context: &'a Context,
    variables: Vec<(String, String)>,
}

impl<'a> Git<'a> {
    /// For one step.
    pub fn new(context: &'a Context) -> Self {
        Git { context, variables: Vec::new() }
    }

    /// With a variable of the environment, such as `GIT_COMMITTER_NAME`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs git and waits for its end, at most until the deadline, whatever its exit status. A signal does not cut a push
    /// in two: git gets the time to end, and the step stops before its next request.
    ///
    /// # Errors
    /// `config` when there is no git; `temporary` at the deadline or after a signal.
    pub fn run(&self, args: &[&str], input: &[u8]) -> Result<Said, Failure> {
        self.context.checkpoint()?;
        self.context.voice.detail(&format!("git {}", args.join(" ")));
        let missing = |e| Failure::config("git-missing", format!("the program git cannot be started: {e}"));
        attend(self.context, self.command(args).spawn().map_err(missing)?, input)
    }

    /// Runs git for its answer.
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

    /// The remote's refs below a prefix, as object and name.
    ///
    /// # Errors
    /// `temporary`, `remote-unreachable`.
    pub fn remote_refs(&self, remote: &str, patterns: &[&str]) -> Result<Vec<(String, String)>, Failure> {
        let said = self.run(&[&["ls-remote", "--", remote], patterns].concat(), b"")?;
        if !said.status.success() {
            let message = format!("the remote {remote} cannot be read");
            return Err(Failure::temporary("remote-unreachable", message).cause(said.stderr));
        }
        let pair = |line: &str| line.split_once('\t').map(|(id, name)| (id.to_owned(), name.to_owned()));
        Ok(said.text().lines().filter_map(pair).collect())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(args).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_foreign_secret(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Attends a program that was started: gives it its input, takes what it says, and waits for its end, at most until the deadline,
/// whatever its exit status. A signal does not end it: what it does is not cut in two.
///
/// # Errors
/// `failed` when it cannot be waited for; `temporary` at the deadline, when it is killed.
pub fn attend(context: &Context, mut child: Child, input: &[u8]) -> Result<Said, Failure> {
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // If it does not read its input it says why on stderr.
        let _ = stdin.write_all(input);
    }
    let status = wait(context, &mut child)?;
    let stderr = String::from_utf8_lossy(&collected(&stderr)).into_owned();
    Ok(Said { status, stdout: collected(&stdout), stderr })
}

fn wait(context: &Context, child: &mut Child) -> Result<ExitStatus, Failure> {
    let lost = |e| {
        Failure::failed("child-lost", format!("a program cannot be waited for: {e}")).acted(Acted::Unknown)
    };
    let mut nap = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(status);
        }
        if context.deadline.left().is_zero() {
            // Nothing more can be done about a child that cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
            return Err(context.deadline.over());
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(10));
    }
}

/// Git's own helpers read the tokens of code hosts; every other secret in the environment is none of git's business.
fn is_foreign_secret(name: &str) -> bool {
    let for_git = ["GIT", "GH_", "GITEA", "FORGEJO", "BITBUCKET", "CI_JOB", "SSH", "GPG"];
    let secret = ["_TOKEN", "_PASSWORD", "_SECRET", "_KEY"].iter().any(|end| name.ends_with(end));
    secret && !for_git.iter().any(|start| name.starts_with(start))
}

/// Reads a pipe to its end, beside everything else.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = vec![0; 64 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            // Nobody listens any more once the program has ended.
            let _ = sender.send(chunk[..length].to_vec());
        }
    });
    receiver
}

/// What came. The program has ended: a helper that it left behind (ssh's master connection, a credential cache) may keep the pipe open
/// for ever, and is not waited for.
fn collected(pipe: &Receiver<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(chunk) = pipe.recv_timeout(Duration::from_secs(1)) {
        bytes.extend(chunk);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_gets_the_secrets_of_code_hosts_and_no_others() {
        for name in ["COOLIFY_TOKEN", "TELEGRAM_BOT_TOKEN", "DATABASE_PASSWORD", "AWS_SECRET_ACCESS_KEY"] {
            assert!(is_foreign_secret(name), "{name}");
        }
        for name in ["GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN", "GIT_ASKPASS", "PATH", "SSH_AUTH_SOCK"] {
            assert!(!is_foreign_secret(name), "{name}");
        }
    }
}
