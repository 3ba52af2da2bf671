//! The git program: it does whatever talks to a remote or makes a tag, so that every credential method, hook and
//! signing setting works as it does by hand. libgit2 reports a declined push as done; the program does not.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use step::{Acted, Context, Failure, Permit};

use crate::plan::Tag;

/// The git program, in the working directory, against one remote.
pub struct Git<'a> {
    context: &'a Context,
    remote: &'a str,
}

/// What the remote has.
pub struct Remote {
    /// The branch's tip.
    pub branch: Option<String>,
    /// The tags of the version.
    pub tags: Vec<Tag>,
}

/// How a push ended, by git's own words; the remote is asked afterwards.
pub enum Pushed {
    /// Accepted.
    Done,
    /// The remote said no.
    Declined(String),
    /// It is not known what happened, or it did not get that far.
    Unclear(String),
}

impl<'a> Git<'a> {
    /// Uses the remote of this name.
    pub fn new(context: &'a Context, remote: &'a str) -> Self {
        Git { context, remote }
    }

    /// Reads a branch and the tags of a version from the remote.
    pub fn remote(&self, branch: &str, version: &str) -> Result<Remote, Failure> {
        let branch = format!("refs/heads/{branch}");
        let refs = self.ls_remote(&[&branch, &format!("refs/tags/v{version}*")])?;
        let tip = refs.iter().find(|(_, name)| *name == branch).map(|(id, _)| id.clone());
        let tags = refs.iter().filter_map(|(id, name)| {
            let name = name.strip_prefix("refs/tags/")?;
            // An annotated tag comes twice; the line that ends in ^{} names the commit.
            let peeled = format!("refs/tags/{name}^{{}}");
            let commit = refs.iter().find(|(_, n)| *n == peeled).map_or(id, |(commit, _)| commit);
            (!name.ends_with("^{}")).then(|| Tag { name: name.to_owned(), commit: commit.clone() })
        });
        Ok(Remote { branch: tip, tags: tags.collect() })
    }

    /// The object that the remote has under a tag's name.
    pub fn remote_object(&self, tag: &str) -> Result<Option<String>, Failure> {
        let name = format!("refs/tags/{tag}");
        Ok(self.ls_remote(&[&name])?.into_iter().find(|(_, n)| *n == name).map(|(id, _)| id))
    }

    /// The object that stands under a tag's name here.
    pub fn object(&self, tag: &str) -> Result<String, Failure> {
        let output = self.run(&["rev-parse", "--verify", &format!("refs/tags/{tag}")], None)?;
        Ok(text(&output.stdout).trim().to_owned())
    }

    /// Makes an annotated tag; signed, if git is configured so.
    pub fn tag(&self, _: &Permit, tag: &str, commit: &str, message: &str) -> Result<(), Failure> {
        // Git's usual clean-up would drop the notes' headings as comments.
        let args = ["tag", "--annotate", "--cleanup=whitespace", "--file=-", "--", tag, commit];
        let output = self.run(&args, Some(message))?;
        if output.status.success() {
            return Ok(());
        }
        let message = format!("git could not make the tag {tag}");
        Err(Failure::failed("tag-failed", message).cause(text(&output.stderr)))
    }

    /// Pushes exactly one tag, without force.
    pub fn push(&self, _: &Permit, tag: &str) -> Pushed {
        let spec = format!("refs/tags/{tag}:refs/tags/{tag}");
        match self.run(&["push", "--porcelain", "--no-follow-tags", self.remote, &spec], None) {
            Err(failure) => Pushed::Unclear(failure.message),
            Ok(output) if output.status.success() => Pushed::Done,
            Ok(output) => {
                let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
                if said.lines().any(|l| l.starts_with('!')) {
                    Pushed::Declined(said)
                } else {
                    Pushed::Unclear(said)
                }
            }
        }
    }

    /// Removes a tag here, only if it is still the object that this run made.
    pub fn forget(&self, _: &Permit, tag: &str, object: &str) -> Result<(), Failure> {
        self.run(&["update-ref", "-d", &format!("refs/tags/{tag}"), object], None).map(|_| ())
    }

    fn ls_remote(&self, patterns: &[&str]) -> Result<Vec<(String, String)>, Failure> {
        let mut args = vec!["ls-remote", "--", self.remote];
        args.extend(patterns);
        let output = self.run(&args, None)?;
        if !output.status.success() {
            let message = format!("the remote {} cannot be read", self.remote);
            return Err(Failure::temporary("remote-unreachable", message).cause(text(&output.stderr)));
        }
        let line = |l: &str| l.split_once('\t').map(|(id, name)| (id.to_owned(), name.to_owned()));
        Ok(text(&output.stdout).lines().filter_map(line).collect())
    }

    /// Runs git and waits for its end, at most until the deadline. A signal does not cut a push in two: git gets the
    /// time to end, and the step stops before its next request.
    fn run(&self, args: &[&str], input: Option<&str>) -> Result<Output, Failure> {
        self.context.checkpoint()?;
        self.context.voice.detail(&format!("git {}", args.join(" ")));
        let missing = |e| Failure::config("git-missing", format!("the program git cannot be started: {e}"));
        let mut child = command(args).spawn().map_err(missing)?;
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
            // If git does not read its input it says why on stderr.
            let _ = stdin.write_all(text.as_bytes());
        }
        let status = self.wait(&mut child)?;
        Ok(Output { status, stdout: joined(stdout), stderr: joined(stderr) })
    }

    fn wait(&self, child: &mut Child) -> Result<std::process::ExitStatus, Failure> {
        let lost =
            |e| Failure::failed("git-lost", format!("git cannot be waited for: {e}")).acted(Acted::Unknown);
        loop {
            if let Some(status) = child.try_wait().map_err(lost)? {
                return Ok(status);
            }
            if self.context.deadline.left().is_zero() {
                // Nothing more can be done about a child that cannot be killed.
                let _ = child.kill();
                let _ = child.wait();
                return Err(self.context.deadline.over());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(args).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Git gets no secret that is not for git: its own helpers read the tokens of code hosts, and no others.
    let for_git = ["GIT", "GH_", "GITEA", "FORGEJO", "BITBUCKET", "CI_JOB", "SSH", "GPG"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let secret = ["_TOKEN", "_PASSWORD", "_SECRET", "_KEY"].iter().any(|end| text.ends_with(end));
        if secret && !for_git.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until an error is all there is to show.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn joined(thread: JoinHandle<Vec<u8>>) -> Vec<u8> {
    thread.join().unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
