//! The git program and libgit2, each for what it is good at. The program is asked for whatever settings, refs, the index or the
//! environment decide, and does whatever talks to a remote, makes a tag or judges a signature, so that every credential method,
//! filter, hook and signing setting works as it does by hand. libgit2 reads objects and nothing else: it knows no filters, half of
//! the settings, and reports a declined push as done.

mod changes;
mod here;
mod lock;
mod objects;
mod status;

use std::path::Path;

use git_program::{Place, Said};
use step::{Context, Failure, Permit};
use tempfile::TempDir;

use crate::remote::{Remote, Tag};

pub use changes::Change;
pub use here::{Head, Repo};
pub use lock::Lock;
pub use objects::{Commit, Relation, TagObject, matches};

/// The git program, in the working directory, against one remote.
pub struct Git<'a> {
    program: git_program::Git<'a>,
    /// The same for what only looks: a signal ends it at once.
    looking: git_program::Git<'a>,
    place: Place,
}

/// How a push ended, by git's own words; the remote is asked afterwards.
#[derive(Debug)]
pub enum Pushed {
    /// Accepted, or there already.
    Done,
    /// The remote, or a hook here, said no.
    Declined(String),
    /// Somebody else is at this very ref at this moment.
    Busy(String),
    /// It is not known what happened, or it did not get that far.
    Unclear(String),
}

/// What git makes of a tag's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `git verify-tag` accepts it.
    pub good: bool,
    /// Its last words, such as `Good "git" signature for rina@luxima.example with ED25519 key ...`.
    pub said: String,
}

/// Objects of the remote that are not here, kept aside: looking must not change the repository.
pub struct Aside(TempDir);

impl Aside {
    /// The folder of objects.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl<'a> Git<'a> {
    /// Uses the remote of this name; finds out where it is pushed to.
    pub fn new(context: &'a Context, remote: &str) -> Result<Self, Failure> {
        let program = git_program::Git::new(context);
        let place = program.place(remote)?;
        let program = program.at(&place);
        Ok(Git { looking: program.clone().looking(), program, place })
    }

    /// The remote's name or URL.
    pub fn remote(&self) -> &str {
        self.place.name()
    }

    /// What a person should know of where the remote is.
    pub fn note(&self) -> Option<String> {
        self.place.note()
    }

    /// The remote must be another repository: what is read back from this one proves nothing.
    pub fn is_elsewhere(&self, repo: &Repo) -> Result<(), Failure> {
        if self.place.folder().is_some_and(|folder| repo.is_at(&folder)) {
            let message = format!(
                "the remote {} is this very repository, so a tag there proves nothing",
                self.remote()
            );
            return Err(Failure::config("remote-is-here", message));
        }
        Ok(())
    }

    /// Reads all branches and tags of the remote in one request.
    pub fn look(&self) -> Result<Remote, Failure> {
        self.ls_remote(&self.looking, &[]).map(|lines| Remote::parse(&lines))
    }

    /// What the remote has under a tag's name. It is asked after a push, so a signal leaves it the time to answer.
    pub fn remote_tag(&self, tag: &str) -> Result<Option<Tag>, Failure> {
        let name = format!("refs/tags/{tag}");
        Ok(Remote::parse(&self.ls_remote(&self.program, &[&name, &format!("{name}^{{}}")])?).tags.remove(tag))
    }

    /// Who the tag would be by, as git itself sees it (settings and environment).
    pub fn identity(&self) -> Result<String, Failure> {
        let said = self.program.run(&["var", "GIT_COMMITTER_IDENT"], b"")?;
        let none = || {
            Failure::config("identity", "git knows no name and e-mail address for the tag")
                .cause(&said.stderr)
                .next("git config user.name NAME; git config user.email ADDRESS")
        };
        // `Rina Wijaya <rina@luxima.example> 1764057600 +0700`
        let ident = said.text();
        let end = ident.rfind('>').filter(|_| said.status.success()).ok_or_else(none)?;
        Ok(ident[..=end].to_owned())
    }

    /// Fetches refs into a folder of its own that sees the repository's objects. No ref, no object, no setting here changes.
    pub fn fetch_aside(&self, objects: &Path, refs: &[String]) -> Result<Aside, Failure> {
        let failed = |e| Failure::failed("temporary-folder", format!("no temporary folder can be made: {e}"));
        let aside = Aside(tempfile::Builder::new().prefix("tag-rc-").tempdir().map_err(failed)?);
        // As a pack: unpacking would touch the packs here that have the same objects.
        let mut args = vec!["-c", "fetch.writeCommitGraph=false", "-c", "fetch.unpackLimit=1"];
        args.extend(["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--no-prune", "--refmap="]);
        args.extend(["--no-recurse-submodules", "--no-auto-maintenance"]);
        args.extend(["--", self.place.source()]);
        args.extend(refs.iter().map(String::as_str));
        let said = beside(&self.looking, Some((&aside, objects))).run(&args, b"")?;
        if said.status.success() { Ok(aside) } else { Err(self.place.unreadable(&self.program, &said)) }
    }

    /// Makes an annotated tag; signed if asked for, else if git is configured so.
    pub fn tag(
        &self,
        permit: &Permit,
        tag: &str,
        commit: &str,
        message: &str,
        sign: bool,
    ) -> Result<(), Failure> {
        // Without --annotate, which would override tag.forceSignAnnotated. Git's clean-up would drop the notes' headings.
        let mut args = vec!["tag", "--cleanup=verbatim", "--file=-"];
        args.extend(sign.then_some("--sign"));
        args.extend(["--", tag, commit]);
        let said = self.program.change(permit, &args, message.as_bytes())?;
        if said.status.success() {
            return Ok(());
        }
        let message = format!("git could not make the tag {tag}");
        Err(Failure::failed("tag-failed", message).cause(&said.stderr))
    }

    /// What git makes of a tag object's signature. `objects` are the repository's, `aside` those that are not there.
    pub fn verify(&self, object: &str, objects: &Path, aside: Option<&Aside>) -> Result<Signature, Failure> {
        let git = beside(&self.program, aside.map(|a| (a, objects)));
        let said = git.run(&["verify-tag", "--", object], b"")?;
        let mut lines = said.stderr.lines().map(|l| {
            ["gpg: ", "gpgsm: ", "error: "].iter().fold(l, |l, program| l.trim_start_matches(program))
        });
        let judges =
            |l: &&str| ["Good ", "Bad ", "BAD ", "Can't ", "No "].iter().any(|word| l.starts_with(word));
        let line = lines.clone().find(judges).or(lines.next_back()).unwrap_or_default();
        Ok(Signature { good: said.status.success(), said: judgement(said.status.success(), line.trim()) })
    }

    /// Pushes exactly one tag: nothing follows it, nothing is forced, no submodule goes with it.
    pub fn push(&self, permit: &Permit, tag: &str) -> Pushed {
        let spec = format!("refs/tags/{tag}:refs/tags/{tag}");
        let args = [
            "push",
            "--porcelain",
            "--no-follow-tags",
            "--recurse-submodules=no",
            "--",
            self.remote(),
            &spec,
        ];
        match self.program.change(permit, &args, b"") {
            Ok(said) if said.status.success() => Pushed::Done,
            Ok(said) => declined(&said),
            Err(failure) => Pushed::Unclear(failure.message.clone()),
        }
    }

    /// Removes a tag here, only if it is still the object that this run made.
    pub fn forget(&self, permit: &Permit, tag: &str, object: &str) -> Result<(), Failure> {
        let args = ["update-ref", "-d", &format!("refs/tags/{tag}"), object];
        self.program.change(permit, &args, b"").map(|_| ())
    }

    /// Branches and tags alone: code hosts keep many more refs.
    fn ls_remote(&self, program: &git_program::Git, patterns: &[&str]) -> Result<String, Failure> {
        let args = [&["ls-remote", "--heads", "--tags", "--", self.place.source()], patterns].concat();
        let said = program.run(&args, b"")?;
        if said.status.success() { Ok(said.text()) } else { Err(self.place.unreadable(&self.program, &said)) }
    }

    /// Why a push failed, where no second run cures it.
    pub fn closed(&self, why: &str) -> Option<Failure> {
        self.place.closed(why)
    }
}

/// A git that sees objects which are kept aside, beside the repository's.
fn beside<'a>(program: &git_program::Git<'a>, aside: Option<(&Aside, &Path)>) -> git_program::Git<'a> {
    let Some((aside, objects)) = aside else { return program.clone() };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let program = program.clone().with("GIT_OBJECT_DIRECTORY", text(aside.path()));
    program.with("GIT_ALTERNATE_OBJECT_DIRECTORIES", text(objects))
}

/// A signature whose key is right and belongs to nobody who is known here is called good by ssh all the same.
fn judgement(good: bool, line: &str) -> String {
    match line {
        "" => "git verify-tag says nothing about it: is the program that checks signatures (gpg.program, gpg.ssh.program) the right one?".to_owned(),
        line if !good && line.starts_with("Good ") => {
            format!("nobody who is known here has this key (gpg.ssh.allowedSignersFile names those who are): {line}")
        }
        line => line.to_owned(),
    }
}

/// What a push that did not succeed means. `[remote failure]` is a remote that did not say how it ended. Without any line for the
/// ref nothing may have been sent, as when the pre-push hook here declines, or the answer may be lost: then git complains of more.
fn declined(said: &Said) -> Pushed {
    let (told, words) = (said.text(), said.words());
    let line = told.lines().find(|l| l.starts_with('!'));
    let unclear = line.map_or(!only_not_pushed(&said.stderr), |l| l.contains("[remote failure]"));
    if unclear {
        Pushed::Unclear(words)
    } else if line.is_some_and(is_locked) {
        Pushed::Busy(words)
    } else {
        Pushed::Declined(words)
    }
}

/// Whether the remote could not take the ref because another push has it, and may not be done with it yet.
fn is_locked(line: &str) -> bool {
    let words =
        ["lock ref", "failed to lock", "failed to update ref", "reference already exists", "File exists"];
    line.contains("[remote rejected]") && words.iter().any(|word| line.contains(word))
}

/// Whether git's one complaint is that it has not pushed; what a hook says besides has no such beginning.
fn only_not_pushed(stderr: &str) -> bool {
    let mut complaints =
        stderr.lines().filter(|l| ["fatal:", "error:"].iter().any(|word| l.starts_with(word)));
    let first = complaints.next().is_some_and(|l| l.starts_with("error: failed to push some refs"));
    first && complaints.next().is_none()
}
