//! The release remote: one look brings everything that is ours, one push moves everything that belongs together.
//!
//! What was seen lies in a bare repository of its own inside of `.git`, so that nothing in the clone changes, only what is new is
//! fetched, and nobody can commit it. The remote's settings are those of the clone.

mod failed;
mod look;
mod read;
mod signed;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use git_program::aside::{own_folder, prepared};
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
        let seen = prepared(&git, &own, "seen")?;
        let git = git.at(&place).aside(&seen);
        let product = crate::names::component(&settings.product);
        Ok(Remote { context, git, place, who, product, head, own, signing: settings.signing.clone() })
    }

    /// The remote's name.
    pub fn name(&self) -> &str {
        self.place.name()
    }
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
