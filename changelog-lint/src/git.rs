//! What git knows about the file: how it was where the branch began, the tags, the repository's address. Reads only, by the
//! git program, so that every kind of repository works; it runs under the step's deadline and gets no secret that is not for git.

use std::path::Path;

use git_program::Git;
use step::{Context, Failure};

use crate::file::LIMIT;

/// Git in the folder of a file.
pub struct Repository<'a> {
    git: Git<'a>,
    folder: String,
    name: String,
}

impl<'a> Repository<'a> {
    /// Of a file.
    pub fn of(context: &'a Context, file: &Path) -> Self {
        let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Repository {
            git: Git::new(context),
            folder: folder.to_string_lossy().into_owned(),
            name: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// Runs git; its answer, or what it said on stderr.
    fn ask(&self, args: &[&str]) -> Result<Result<Vec<u8>, String>, Failure> {
        let said = self.git.run(&[&["-C", &self.folder], args].concat(), b"")?;
        Ok(if said.status.success() { Ok(said.stdout) } else { Err(said.stderr.trim().to_owned()) })
    }

    /// The file's text where this branch left `reference`; empty if it did not exist there.
    pub fn at_merge_base(&self, reference: &str) -> Result<String, Failure> {
        if reference.starts_with('-') {
            return Err(Failure::usage("arguments", format!("--base: `{reference}` is no git reference")));
        }
        if let Err(why) = self.ask(&["rev-parse", "--git-dir"])? {
            let message = format!(
                "it is not known where this branch left {reference}: there is no git repository here"
            );
            return Err(Failure::refused("no-merge-base", message).cause(why));
        }
        let named = format!("{reference}^{{commit}}");
        if self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &named])?.is_err() {
            let message = format!("git knows no `{reference}` here: check the name, or fetch it");
            return Err(Failure::refused("unknown-reference", message).command(fetch(reference)));
        }
        let unknown = |why: String| {
            let message =
                format!("it is not known where this branch left {reference}: git finds no common commit");
            Failure::refused("no-merge-base", message).cause(why).next("git fetch --unshallow origin")
        };
        let commit = line(&self.ask(&["merge-base", reference, "HEAD"])?.map_err(unknown)?);
        // A file that is new has nothing to lose; that it is asked for first tells this from a failure.
        let listed = self.ask(&["ls-tree", "--name-only", &commit, "--", &self.name])?.map_err(unknown)?;
        if line(&listed).is_empty() {
            return Ok(String::new());
        }
        let object = format!("{commit}:./{}", self.name);
        let size = line(&self.ask(&["cat-file", "-s", &object])?.map_err(unknown)?);
        if size.parse::<u64>().is_ok_and(|size| size > LIMIT) {
            return Err(crate::file::too_large(&format!("{} where this branch left {reference}", self.name)));
        }
        let bytes = self.ask(&["cat-file", "blob", &object])?.map_err(unknown)?;
        Ok(changelog_lint::text::decode(bytes).0)
    }

    /// The tags, oldest version first.
    pub fn tags(&self) -> Result<Vec<String>, Failure> {
        let failed = |why: String| Failure::refused("no-tags", format!("the git tags cannot be read: {why}"));
        let bytes = self.ask(&["tag", "--list", "--sort=version:refname"])?.map_err(failed)?;
        let tags: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        if tags.is_empty() {
            let message = "this repository has no tags: a shallow clone lacks them";
            return Err(Failure::refused("no-tags", message).next("git fetch --tags"));
        }
        Ok(tags)
    }

    /// The web address of the remote `origin`; none when it cannot be told.
    pub fn address(&self) -> Option<String> {
        let remote = self.ask(&["remote", "get-url", "origin"]).ok()?.ok()?;
        changelog_lint::host::web(&line(&remote))
    }

    /// The tags if there are any.
    pub fn known_tags(&self) -> Option<Vec<String>> {
        self.tags().ok()
    }
}

/// How a reference gets here.
fn fetch(reference: &str) -> Vec<&str> {
    let branch = reference.strip_prefix("origin/");
    ["git", "fetch", "origin"].into_iter().chain(branch).collect()
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
