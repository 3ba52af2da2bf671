//! What Coolify shows of a build that it has deployed, beyond repeating what it was asked for. Pure.
//!
//! A deployment is called by the commit that was asked for, whether there is such a commit or not, and an application is configured with
//! the tag that was written into it. Neither shows which build runs. What does: that Coolify has read the commit from the repository or
//! has taken an image that was built from it; that the log of the deployment names the image; or that the settings with which it was
//! deployed, and of these only the tag was changed, are others than before.

use crate::api::{Kind, Row};

/// Whether Coolify shows that a build was deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By what.
    Yes(&'static str),
    /// Another one was.
    Other,
    /// It only repeats what it was asked for.
    Unknown,
}

/// The deployments of an application.
#[derive(Clone, Copy, Debug)]
pub struct Deployed<'a> {
    /// Newest first.
    pub rows: &'a [Row],
    /// Whether another tag was written into the application for the deployment in question.
    pub changed: bool,
    /// Whether nothing ran before it.
    pub first: bool,
}

impl Deployed<'_> {
    /// Whether this one has brought the revision.
    pub fn shows(&self, kind: Kind, revision: &str, row: &Row) -> Shown {
        match (kind, row.revision.as_deref()) {
            (Kind::Inline, _) => Shown::Unknown,
            (_, Some(other)) if other != revision => Shown::Other,
            (Kind::Image, Some(_)) => Shown::Yes("its log names the image"),
            (Kind::Image, None) if self.changed && self.differs(row) => {
                Shown::Yes("it was deployed with other settings than before, and only the tag was changed")
            }
            (Kind::Image, None) if self.first => Shown::Yes("nothing ran before it"),
            (Kind::Git, Some(_)) if row.is_from_git => Shown::Yes("it was built from that commit"),
            (Kind::Git, Some(_)) if self.is_like_one_from_git(row) => {
                Shown::Yes("it was deployed with the settings with which that commit was built")
            }
            _ => Shown::Unknown,
        }
    }

    /// Whether the settings of a deployment are others than those of the one that finished before it; not known is no.
    fn differs(&self, row: &Row) -> bool {
        let before = self.rows.iter().find(|r| r.is_primary && r.is_finished() && r.id < row.id);
        let hashes = before.and_then(|r| r.configuration_hash.as_ref()).zip(row.configuration_hash.as_ref());
        hashes.is_some_and(|(before, now)| before != now)
    }

    /// Where an image is still there nothing is read from the repository again; with the same settings it is the image that was built
    /// then. With other settings it may be no application of a repository any more.
    fn is_like_one_from_git(&self, row: &Row) -> bool {
        let same = |r: &&Row| {
            r.is_primary
                && r.uuid != row.uuid
                && r.is_finished()
                && r.is_from_git
                && r.revision == row.revision
        };
        let then = self.rows.iter().find(same).and_then(|r| r.configuration_hash.as_ref());
        then.zip(row.configuration_hash.as_ref()).is_some_and(|(then, now)| then == now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn row(id: i64, revision: Option<&str>, hash: Option<&str>, from_git: bool) -> Row {
        let mut row = Row::sample(&id.to_string(), "finished", revision);
        (row.id, row.is_from_git, row.configuration_hash) = (id, from_git, hash.map(str::to_owned));
        row
    }

    fn shows(kind: Kind, revision: &str, changed: bool, rows: &[Row]) -> Shown {
        Deployed { rows, changed, first: false }.shows(kind, revision, &rows[0])
    }

    fn yes(shown: &Shown) -> bool {
        matches!(shown, Shown::Yes(_))
    }

    #[test]
    fn a_commit_that_coolify_only_repeats_is_not_shown() {
        let (x, y) = (Some("x"), Some("y"));
        let old = || row(1, Some(A), x, true);
        for (rows, expected) in [
            // Read from the repository.
            (vec![row(2, Some(A), x, true)], true),
            (vec![row(2, Some(A), None, true)], true),
            // Only called so: a commit that exists nowhere, or a Dockerfile that stands in Coolify.
            (vec![row(2, Some(A), x, false)], false),
            (vec![row(2, Some(A), None, false), row(1, Some("bbbb"), None, true)], false),
            // Its image was kept, and nothing else has changed since it was built.
            (vec![row(2, Some(A), x, false), old()], true),
            // Somebody has typed a Dockerfile into it since, or Coolify does not tell.
            (vec![row(2, Some(A), y, false), old()], false),
            (vec![row(2, Some(A), None, false), old()], false),
            (vec![row(2, Some(A), x, false), row(1, Some(A), x, false)], false),
            (vec![row(2, None, x, false)], false),
        ] {
            let shown = shows(Kind::Git, A, true, &rows);
            assert_eq!(yes(&shown), expected, "{shown:?} {rows:#?}");
        }
        let other = [row(2, Some("bbbb"), None, true)];
        assert_eq!(shows(Kind::Git, A, true, &other), Shown::Other);
        assert_eq!(shows(Kind::Inline, A, true, &[row(2, Some(A), None, true)]), Shown::Unknown);
    }

    #[test]
    fn a_tag_that_was_only_written_is_not_shown() {
        let (x, y) = (Some("x"), Some("y"));
        for (rows, changed, expected) in [
            // Its log names it.
            (vec![row(2, Some("1.2.0"), None, false)], false, true),
            // No log to be read: the settings must be others than before, because of this deployment.
            (vec![row(2, None, y, false), row(1, None, x, false)], true, true),
            (vec![row(2, None, y, false), row(1, None, x, false)], false, false),
            (vec![row(2, None, x, false), row(1, None, x, false)], true, false),
            (vec![row(2, None, y, false), row(1, None, None, false)], true, false),
            (vec![row(2, None, None, false), row(1, None, None, false)], true, false),
            // Nothing is known of what ran before.
            (vec![row(2, None, y, false)], true, false),
        ] {
            let shown = shows(Kind::Image, "1.2.0", changed, &rows);
            assert_eq!(yes(&shown), expected, "{shown:?} {rows:#?}");
        }
        assert_eq!(shows(Kind::Image, "1.2.0", true, &[row(2, Some("1.1.4"), y, false)]), Shown::Other);
        let (rows, first) = ([row(2, None, y, false)], true);
        assert!(yes(&Deployed { rows: &rows, changed: true, first }.shows(Kind::Image, "1.2.0", &rows[0])));
        assert!(!yes(&Deployed { rows: &rows, changed: true, first }.shows(Kind::Git, A, &rows[0])));
    }
}
