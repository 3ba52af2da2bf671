//! The release remote: one look brings everything that is ours, one push moves everything that belongs together.
//!
//! What was seen lies in a bare repository of its own inside of `.git`, so that nothing in the clone changes, only what is new is
//! fetched, and nobody can commit it. The remote's settings are those of the clone.

mod failed;
mod look;
mod read;
mod signed;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git_program::{Git, Place};
use step::{Context, Failure};

use crate::args::Settings;
use crate::lock::entry::Who;
pub use read::{Index, Tip, is_document};
pub use signed::{Signing, unsigned};
pub use write::{Draft, Pushed, Put};

/// How long a look at the remote may take; then what is here counts.
pub const LOOK: Duration = Duration::from_secs(10);
/// A push carries documents.
const PUSH: Duration = Duration::from_secs(60);

/// The remote of a product.
pub struct Remote<'a> {
    context: &'a Context,
    git: Git<'a>,
    place: Place,
    /// Who writes.
    pub who: Who,
    /// Whose runs it is asked for, as a part of a name.
    product: String,
    /// The commit that is checked out, where there is one.
    pub head: Option<String>,
    /// The clone's own folder, which no push can reach.
    pub own: PathBuf,
    signing: Option<Signing>,
}

impl<'a> Remote<'a> {
    /// Finds out who writes and where it is pushed to; asks the remote nothing.
    pub fn open(context: &'a Context, settings: &Settings) -> Result<Self, Failure> {
        let git = Git::new(context);
        let place = git.place(&settings.remote)?;
        let (own, head) = own_folder(&git)?;
        let who = who(&git)?;
        let seen = prepared(&git, &own)?;
        let git = git.at(&place).with("GIT_DIR", seen.display().to_string());
        // Nothing here is code that hooks are about; and no daemon is left behind.
        let git = [
            ("core.hooksPath", "/dev/null"),
            ("maintenance.auto", "false"),
            ("gc.auto", "0"),
            ("fetch.unpackLimit", "1"),
            ("core.bigFileThreshold", "1m"),
            ("push.gpgSign", "false"),
            ("log.showSignature", "false"),
            ("i18n.commitEncoding", "UTF-8"),
        ]
        .into_iter()
        .fold(git, |git, (key, value)| git.set(key, value));
        let product = crate::names::component(&settings.product);
        Ok(Remote { context, git, place, who, product, head, own, signing: settings.signing.clone() })
    }

    /// The remote's name.
    pub fn name(&self) -> &str {
        self.place.name()
    }
}

/// The folder of the clone that all its worktrees share, and the commit that is checked out.
fn own_folder(git: &Git) -> Result<(PathBuf, Option<String>), Failure> {
    let said = git.run(&["rev-parse", "--path-format=absolute", "--git-common-dir", "HEAD"], b"")?;
    let text = said.text();
    let mut lines = text.lines();
    let folder = lines.next().filter(|line| line.starts_with('/'));
    let Some(folder) = folder else {
        let message = "the working directory is in no git repository: run this in a clone of the product";
        return Err(Failure::config("no-repository", message).cause(said.stderr));
    };
    let is_id = |line: &&str| line.len() >= 40 && line.bytes().all(|b| b.is_ascii_hexdigit());
    Ok((PathBuf::from(folder).join("rilis"), lines.next().filter(is_id).map(str::to_owned)))
}

/// The repository for what was seen; made once.
fn prepared(git: &Git, own: &Path) -> Result<PathBuf, Failure> {
    let seen = own.join("seen.git");
    if seen.join("config").is_file() {
        return Ok(seen);
    }
    let unusable = |e: std::io::Error| Failure::config("git-folder", format!("{}: {e}", own.display()));
    std::fs::create_dir_all(own).map_err(unusable)?;
    let half = own.join(format!("seen.{}", std::process::id()));
    let format = git.run(&["rev-parse", "--show-object-format"], b"")?.text();
    let format = if format == "sha256" { "sha256" } else { "sha1" };
    let path = half.display().to_string();
    git.ask(&["init", "--quiet", "--bare", "--template=", &format!("--object-format={format}"), &path], b"")?;
    let include = format!("[include]\n\tpath = {:?}\n", own.with_file_name("config").display().to_string());
    let config = std::fs::File::options().append(true).open(half.join("config"));
    config.and_then(|mut file| file.write_all(include.as_bytes())).map_err(unusable)?;
    if std::fs::rename(&half, &seen).is_err() {
        // Somebody else was faster.
        let _ = std::fs::remove_dir_all(&half);
    }
    Ok(seen)
}

/// Who works here, as git knows them; else the user and the machine.
fn who(git: &Git) -> Result<Who, Failure> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| {
        let asked = std::process::Command::new("uname").arg("-n").output();
        asked.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
    });
    let host = host.trim().to_owned();
    let host = if host.is_empty() { "an unnamed machine".to_owned() } else { host };
    let said = git.run(&["var", "GIT_COMMITTER_IDENT"], b"")?;
    // The line ends with the time.
    let known = said.text().rsplit_once("> ").map(|(name, _)| format!("{name}>"));
    let user = || std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let holder =
        known.filter(|_| said.status.success()).unwrap_or_else(|| format!("{0} <{0}@{host}>", user()));
    Ok(Who { holder, host })
}
