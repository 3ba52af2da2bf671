//! `release-gate record`: runs a command that tests what is checked out, and stores what its report says on the release remote. The command's
//! output is its own, and its exit code is ours.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime};

use facts::Build;
use git_program::Git;
use http_client::{Call, Client};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use step::{Answer, Context, Exit, Failure, Permit};
use web_page::Marker;

use crate::args::Record;
use crate::asked;
use crate::evidence::entry::{Against, Entry, SCHEMA};
use crate::evidence::store;
use crate::gate::Subject;
use crate::{reports, signature};

/// So much of the step's time is left for storing the record.
const RESERVE: Duration = Duration::from_secs(20);
/// After a signal the command gets so long to end.
const GRACE: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);
/// The clock of a file system may lag so far behind.
const SLACK: Duration = Duration::from_secs(2);
/// So much of a page is read for its marker.
const PAGE: u64 = 2 << 20;

/// Carries it out.
pub fn record(context: &Context, wish: &Record) -> Result<Answer, Failure> {
    // No helper may say that nothing has changed.
    let git = Git::new(context).set("core.fsmonitor", "false");
    let subject = Subject::named(&git, "HEAD")?;
    let report = wish.report.as_deref().map(inside).transpose()?;
    is_clean(&git, report.as_deref())?;
    if let Some(report) = &report {
        is_ours_to_remove(&git, report)?;
    }
    // Whatever would make the record useless is said before minutes of tests.
    let aside = asked::aside(context)?;
    aside.fetch(&[&store::spec(&subject.tree)])?;
    if signature::key(context)?.is_some() {
        signature::sign(context, signature::EVIDENCE, b"can this key sign?")?;
    } else {
        context
            .voice
            .warn("no key signs this record (signing_key): it counts only where unsigned_evidence is true");
    }
    let Some(permit) = context.permit() else { return Ok(planned(wish, &subject)) };
    if let Some(old) = report.as_deref().filter(|path| path.symlink_metadata().is_ok()) {
        std::fs::remove_file(old).map_err(|e| not_removed(old, &e))?;
    }
    let page = wish.against.as_deref().map(|url| Page::of(context, &git, url)).transpose()?;
    let Tried { times: (started, ended), code, pages: (before, after), read } =
        tried(context, &permit, wish, (page.as_ref(), report.as_deref()))?;
    // What was cut off is recorded too: the one before it would stay the answer.
    let (git, aside) = (git.regardless(), aside.regardless());
    let changed = changed_meanwhile(&git, &subject)?;
    let cut = cut_off(context);
    let entry = Entry {
        schema: SCHEMA,
        name: wish.name.clone(),
        commit: subject.commit.clone(),
        tree: subject.tree.clone(),
        started,
        ended,
        exit_code: code.into(),
        report: read.report,
        report_sha256: read.sha256,
        trouble: cut
            .or(changed)
            .or(read.trouble)
            .map(|why| step::excerpt(&step::scrub(&step::plain_line(&why)), 300)),
        against: page.map(|page| page.against(before, after)),
        by: aside.who().unwrap_or("nobody whom git knows").to_owned(),
    };
    stored(context, store::put(context, &permit, &aside, &entry), &entry, ended_as(context, code))
}

/// What would be done.
fn planned(wish: &Record, subject: &Subject) -> Answer {
    let (name, tree) = (&wish.name, &subject.tree[..12]);
    let text = format!("would run {} and store its outcome as {name} of tree {tree}", shown(wish));
    Answer::new(text, json!({ "name": name, "tree": subject.tree }))
}

/// Why a command has not come to its end, if it has not.
fn cut_off(context: &Context) -> Option<String> {
    if let Some(failure) = context.interrupted() {
        return Some(format!("the command was cut off: {}", failure.message));
    }
    is_over(context).then(|| "the command was cut off: its time was over (--timeout)".to_owned())
}

/// How we end where the command was cut off; else as it did.
fn ended_as(context: &Context, code: u8) -> u8 {
    match context.interrupted() {
        Some(failure) => failure.exit_code(),
        None if is_over(context) => Exit::Temporary.code(),
        None => code,
    }
}

/// Whether only the time is left that storing the record takes.
fn is_over(context: &Context) -> bool {
    context.deadline.left() < RESERVE
}

/// A command that was run.
struct Tried {
    times: (Timestamp, Timestamp),
    code: u8,
    /// What the page called itself before and after.
    pages: (Option<String>, Option<String>),
    read: Read,
}

fn tried(
    context: &Context,
    permit: &Permit,
    wish: &Record,
    (page, report): (Option<&Page>, Option<&Path>),
) -> Result<Tried, Failure> {
    let says = || page.map(|page| page.says(context)).transpose().map(Option::flatten);
    let before = says()?;
    let (started, clock) = (Timestamp::now(), SystemTime::now());
    let code = run(context, permit, wish)?;
    let ended = Timestamp::now();
    let read = report.map(|path| Read::of(path, clock)).unwrap_or_default();
    Ok(Tried { times: (started, ended), code, pages: (before, says()?), read })
}

/// What is there under the report's name is removed before the command: nothing but a report of an earlier run is.
fn is_ours_to_remove(git: &Git, path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let shown = path.display();
    let refused =
        |why: &str| Err(Failure::refused("report", format!("--report {shown}: {why}: name another file")));
    let top = PathBuf::from(git.ask(&["rev-parse", "--show-toplevel"], b"")?.text());
    let Ok(inside) = path.strip_prefix(&top) else {
        let is_report =
            std::fs::metadata(path).is_ok_and(|about| about.len() == 0) || reports::read(path).is_ok();
        return if is_report {
            Ok(())
        } else {
            refused("it lies outside of the repository, and is no report")
        };
    };
    if inside.starts_with(".git") {
        return refused("it is git's own");
    }
    let name = format!("HEAD:{}", inside.display());
    let said = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name], b"")?;
    if said.status.success() { refused("it is committed, so it is no report") } else { Ok(()) }
}

/// The command's exit code is ours, unless it went well and nobody will ever know, or there is nothing to know.
fn stored(
    context: &Context,
    put: Result<String, Failure>,
    entry: &Entry,
    code: u8,
) -> Result<Answer, Failure> {
    match put {
        Ok(_) => {
            let stored = format!("stored as {} of tree {}", entry.name, &entry.tree[..12]);
            let Some(why) = &entry.trouble else {
                context.voice.say(&format!("{stored}: {}", entry.said()));
                return Ok(Answer::ended(code));
            };
            context.voice.error(&format!("{stored}, but it proves nothing: {why}"));
            // A job that proves nothing is not green.
            Ok(Answer::ended(if code == 0 { Exit::Failed.code() } else { code }))
        }
        Err(failure) if code == 0 => Err(failure),
        Err(failure) => {
            context.voice.error(&format!("the record was not stored: {}", failure.message));
            Ok(Answer::ended(code))
        }
    }
}

/// Only a tree that a commit has can be proven.
fn is_clean(git: &Git, report: Option<&Path>) -> Result<(), Failure> {
    is_all_looked_at(git)?;
    let dirty = dirty(git, report)?;
    let Some(first) = dirty.first() else { return Ok(()) };
    let more = if dirty.len() > 1 { format!(" and {} more", dirty.len() - 1) } else { String::new() };
    let message = format!(
        "{first}{more} is not as it is committed: commit it, ignore it (.gitignore) or remove it, since a record is about what is committed"
    );
    Err(Failure::refused("dirty", message).command(["git", "status", "--short"]))
}

/// What differs from the commit, by its path; but for the report itself.
fn dirty(git: &Git, report: Option<&Path>) -> Result<Vec<String>, Failure> {
    let top = PathBuf::from(git.ask(&["rev-parse", "--show-toplevel"], b"")?.text());
    let said = status(git, "--untracked-files=all")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let is_report = |path: &str| report.is_some_and(|report| top.join(path) == report);
    let one = |entry: &str| Some((entry.get(..2)?.to_owned(), entry.get(3..)?.to_owned()));
    let all = text.split('\0').filter_map(one);
    Ok(all.filter(|(state, path)| !(state == "??" && is_report(path))).map(|(_, path)| path).collect())
}

fn status(git: &Git, untracked: &str) -> Result<git_program::Said, Failure> {
    git.ask(&["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=none", untracked], b"")
}

/// Files that git was told not to look at, or that are not checked out: a sparse checkout, `assume-unchanged`.
fn is_all_looked_at(git: &Git) -> Result<(), Failure> {
    let said = git.ask(&["ls-files", "-z", "-v"], b"")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let is_hidden = |entry: &&str| entry.starts_with(|c: char| c.is_ascii_lowercase() || c == 'S');
    let Some(first) = text.split('\0').find(is_hidden) else { return Ok(()) };
    let path = step::excerpt(first.get(2..).unwrap_or_default(), 200);
    let message = format!(
        "git does not look at {path} here (a sparse checkout, skip-worktree or assume-unchanged), so what is tested is not what is committed: use a whole checkout"
    );
    Err(Failure::refused("dirty", message))
}

/// What the tests have changed was not tested as it is.
fn changed_meanwhile(git: &Git, subject: &Subject) -> Result<Option<String>, Failure> {
    if Subject::named(git, "HEAD")? != *subject {
        return Ok(Some("another commit was checked out while it ran".to_owned()));
    }
    let said = status(git, "--untracked-files=no")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let first = text.split('\0').find_map(|entry| entry.get(3..)).map(str::to_owned);
    Ok(first.map(|path| format!("the command has changed {path}, which is committed")))
}

/// Where a file will be, whatever the working directory is called.
fn inside(path: &Path) -> Result<PathBuf, Failure> {
    let unusable = |why: &str| Failure::usage("report", format!("--report {}: {why}", path.display()));
    let name = path.file_name().ok_or_else(|| unusable("this is no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Err(unusable("this is a folder"));
    }
    // The command may make the folder.
    let folder = folder
        .canonicalize()
        .or_else(|_| std::path::absolute(folder))
        .map_err(|e| unusable(&e.to_string()))?;
    Ok(folder.join(name))
}

fn not_removed(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the old report {} cannot be removed: {error}", path.display());
    Failure::refused("report", message)
}

fn shown(wish: &Record) -> String {
    wish.command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs it to its end with our own input and output; a signal is passed on.
fn run(context: &Context, _: &Permit, wish: &Record) -> Result<u8, Failure> {
    let (program, words) =
        wish.command.split_first().ok_or_else(|| Failure::bug("a record without a command"))?;
    let spawned = Command::new(program).args(words).spawn();
    let mut child = spawned.map_err(|e| {
        let message = format!("{} cannot be started: {e}", program.to_string_lossy());
        Failure::usage("command", message)
    })?;
    let mut told: Option<Instant> = None;
    loop {
        let lost = |e: std::io::Error| {
            Failure::failed("child-lost", format!("the command cannot be waited for: {e}"))
        };
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(code(status));
        }
        if context.interrupted().is_some() || is_over(context) {
            let since = told.get_or_insert_with(|| {
                signal(&child, rustix::process::Signal::TERM);
                Instant::now()
            });
            if since.elapsed() > GRACE {
                signal(&child, rustix::process::Signal::KILL);
            }
        }
        std::thread::sleep(LOOK);
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    // It may have ended meanwhile.
    let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// A report as it was read.
#[derive(Default)]
struct Read {
    report: Option<reports::Report>,
    sha256: Option<String>,
    trouble: Option<String>,
}

impl Read {
    fn of(path: &Path, started: SystemTime) -> Self {
        let without = |why: String| Read { trouble: Some(why), ..Read::default() };
        let written = match std::fs::metadata(path).and_then(|about| about.modified()) {
            Ok(written) => written,
            Err(_) => {
                return without(format!(
                    "the command has written no report {}",
                    step::excerpt(&path.file_name().unwrap_or_default().to_string_lossy(), 100)
                ));
            }
        };
        if written + SLACK < started {
            return without("its report is older than the command".to_owned());
        }
        match reports::read(path) {
            Ok(report) => Read { report: Some(report), sha256: sha256(path), trouble: None },
            Err(why) => without(why),
        }
    }
}

fn sha256(path: &Path) -> Option<String> {
    let (mut file, mut hash) = (File::open(path).ok()?, Sha256::new());
    let mut part = vec![0; 64 << 10];
    loop {
        match file.read(&mut part).ok()? {
            0 => break,
            length => hash.update(&part[..length]),
        }
    }
    Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The page that is tested.
struct Page {
    url: String,
    marker: Marker,
    build: Build,
}

impl Page {
    fn of(context: &Context, git: &Git, url: &str) -> Result<Self, Failure> {
        let marker = Marker::of(&context.settings)?.ok_or_else(|| {
            let environment = context.environment.as_deref();
            let place = environment.map_or("the environment that --env names".to_owned(), |name| {
                format!("[environment.{name}]")
            });
            let message = format!(
                "--against needs to know how a page says its build: set marker in {place} of release.toml"
            );
            Failure::config("missing-setting", message)
        })?;
        let commit = Subject::named(git, "HEAD")?.commit;
        let tags = git.ask(&["tag", "--list", "--points-at", "HEAD"], b"")?.text();
        let also = tags.lines().map(str::to_owned).collect();
        Ok(Page {
            url: url.to_owned(),
            marker,
            build: Build { commit: Some(commit), also, ..Build::default() },
        })
    }

    /// What it calls itself now; nothing where it does not answer or does not say.
    fn says(&self, context: &Context) -> Result<Option<String>, Failure> {
        let client = Client::new(context, concat!("release-gate/", env!("CARGO_PKG_VERSION")));
        let call = Call::new("GET", &self.url).header("Cache-Control", "no-cache");
        let Ok(page) = client.fetch(&call, PAGE)? else { return Ok(None) };
        if page.status != 200 {
            return Ok(None);
        }
        let body = String::from_utf8_lossy(&page.body);
        let said = self.marker.read(|name| page.header(name).map(str::to_owned), &body);
        Ok(said.map(|said| step::excerpt(&step::plain_line(&said), 100)))
    }

    fn against(self, before: Option<String>, after: Option<String>) -> Against {
        let is = |said: &Option<String>| said.as_deref().is_some_and(|said| self.build.is(said));
        let is_this_build = is(&before) && is(&after);
        Against { url: shown_url(&self.url), before, after, is_this_build }
    }
}

/// An address without whatever may be a secret: user, password, query.
fn shown_url(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    step::scrub(&format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_what_may_be_a_secret() {
        for (url, shown) in [
            ("https://staging.shop.example/", "https://staging.shop.example/"),
            ("https://staging.shop.example", "https://staging.shop.example/"),
            ("http://user:hunter2@host:8080/x?token=y#z", "http://host:8080/x"),
            ("http://pw@host/a@b", "http://host/a@b"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
