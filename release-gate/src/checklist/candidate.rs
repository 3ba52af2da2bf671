//! The candidate that QA has looked at: its tag as git has it here, with the commit and the tree that it leads to.

use git_program::Git;
use step::{Context, Failure, excerpt, plain_line};

use crate::gate::Subject;

/// A candidate's tag.
#[derive(Debug)]
pub struct Candidate {
    /// `v1.2.0-rc1`, or `v1.2.0-rc.1`.
    pub tag: String,
    /// `1.2.0`.
    pub release: String,
    /// The commit that it leads to.
    pub commit: String,
    tree: String,
}

impl Candidate {
    /// The tag of that name, with or without a `v` before it; else why there is none.
    pub fn find(context: &Context, name: &str) -> Result<Result<Self, String>, Failure> {
        let Some(release) = release_of(name) else {
            let name = excerpt(&plain_line(name), 60);
            return Ok(Err(format!(
                "{name} is no candidate such as v1.2.0-rc1, and QA's list is of candidates"
            )));
        };
        let git = Git::new(context);
        let bare = bare(name);
        for tag in [format!("v{bare}"), bare.to_owned()] {
            let Some(Subject { commit, tree }) = known(&git, &format!("refs/tags/{tag}"))? else { continue };
            return Ok(Ok(Candidate { tag, release: release.to_owned(), commit, tree }));
        }
        Ok(Err(format!("git has no tag v{bare} here: fetch the tags (git fetch --tags)")))
    }

    /// What is released has another tree than what was tested: a sentence.
    pub fn differs_from(&self, subject: &Subject) -> Option<String> {
        let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
        (self.tree != subject.tree).then(|| {
            format!(
                "QA's list is of {} (commit {}), whose files are not those of {}, which is released",
                self.tag,
                short(&self.commit),
                subject.short()
            )
        })
    }
}

/// What a name leads to, if git knows it here.
fn known(git: &Git, name: &str) -> Result<Option<Subject>, Failure> {
    match Subject::named(git, name) {
        Ok(subject) => Ok(Some(subject)),
        Err(failure) if failure.reason == "revision" => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn bare(name: &str) -> &str {
    name.strip_prefix('v').unwrap_or(name)
}

/// The version of a candidate's name, as the table takes it: three numbers, `-rc` with or without a dot, and a number.
fn release_of(name: &str) -> Option<&str> {
    let digits = |text: &str| (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let (release, number) = bare(name).split_once("-rc")?;
    let number = number.strip_prefix('.').unwrap_or(number);
    let is_release = release.split('.').count() == 3 && release.split('.').all(digits);
    (is_release && digits(number)).then_some(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_has_three_numbers_and_its_own() {
        for (name, release) in [
            ("v1.2.0-rc1", Some("1.2.0")),
            ("v1.2.0-rc.1", Some("1.2.0")),
            ("1.2.0-rc10", Some("1.2.0")),
            ("v1.2.0", None),
            ("v1.2-rc1", None),
            ("v1.2.0-rc", None),
            ("v1.2.0-rc..1", None),
            ("v1.2.0-rc1.2", None),
            ("v1.2.x-rc1", None),
            ("v1.2.0-beta1", None),
            ("v1.2.0-rc1^{/x}", None),
            ("vv1.2.0-rc1", None),
            ("v1.2.0-rc1&select=x", None),
            ("", None),
        ] {
            assert_eq!(release_of(name), release, "{name}");
        }
    }
}
