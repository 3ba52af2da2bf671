//! What git knows about the file: how it was where the branch began, the tags, the repository's address. Reads only, by the
//! git program, so that every kind of repository works.

use std::path::Path;
use std::process::Command;

use step::Failure;

/// Runs git in the folder of a file; its output, or what it said on stderr.
fn git(file: &Path, args: &[&str]) -> Result<Vec<u8>, String> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let output = Command::new("git").arg("-C").arg(folder).args(args).env("LC_ALL", "C").output();
    let output = output.map_err(|e| format!("git cannot be run: {e}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The file's text where this branch left `reference`; empty if it did not exist there.
pub fn at_merge_base(file: &Path, reference: &str) -> Result<String, Failure> {
    let unknown = |why: String| {
        let message =
            format!("it is not known where this branch left {reference}: git finds no common commit");
        Failure::refused("no-merge-base", message).cause(why).next("git fetch --unshallow origin")
    };
    if reference.starts_with('-') {
        return Err(Failure::usage("arguments", format!("--base: `{reference}` is no git reference")));
    }
    let commit = line(&git(file, &["merge-base", reference, "HEAD"]).map_err(unknown)?);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let object = format!("{commit}:./{name}");
    // A file that is new has nothing to lose; that it is asked for first tells this from a failure.
    if line(&git(file, &["ls-tree", "--name-only", &commit, "--", &name]).map_err(unknown)?).is_empty() {
        return Ok(String::new());
    }
    let bytes = git(file, &["cat-file", "blob", &object]).map_err(unknown)?;
    Ok(changelog_lint::text::decode(bytes).0)
}

/// The tags, oldest version first.
pub fn tags(file: &Path) -> Result<Vec<String>, Failure> {
    let failed = |why: String| Failure::refused("no-tags", format!("the git tags cannot be read: {why}"));
    let bytes = git(file, &["tag", "--list", "--sort=version:refname"]).map_err(failed)?;
    let tags: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    if tags.is_empty() {
        let message = "this repository has no tags: a shallow clone lacks them";
        return Err(Failure::refused("no-tags", message).next("git fetch --tags"));
    }
    Ok(tags)
}

/// The web address of the remote `origin`; none when it cannot be told.
pub fn repository(file: &Path) -> Option<String> {
    changelog_lint::host::web(&line(&git(file, &["remote", "get-url", "origin"]).ok()?))
}

/// The tags if there are any.
pub fn known_tags(file: &Path) -> Option<Vec<String>> {
    tags(file).ok()
}
