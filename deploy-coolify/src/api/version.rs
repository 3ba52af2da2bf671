//! What a version of Coolify can do, by its changelog.

use std::fmt;

use semver::{Prerelease, Version as Semver};

/// A version; of one that cannot be read nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    shown: String,
    parsed: Option<Semver>,
}

/// What a version does with a commit that an application is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pins {
    /// It deploys that commit, and says so.
    Honoured,
    /// It deploys the branch's head all the same.
    Ignored,
    /// It deploys that commit, and calls it the branch's head.
    Mislabelled,
    /// Nobody knows.
    Unknown,
}

impl Version {
    /// `4.3.11`, `v4.3.11`, `4.0.0-beta.460`.
    pub fn parse(text: &str) -> Self {
        let shown = text.trim().trim_start_matches('v').to_owned();
        let parsed = Semver::parse(&shown).ok();
        Version { shown, parsed }
    }

    /// One that Coolify has not told.
    pub fn unknown() -> Self {
        Version { shown: "unknown".into(), parsed: None }
    }

    /// Whether it is this one or a later one; not known is no.
    fn since(&self, major: u64, minor: u64, patch: u64) -> bool {
        self.parsed.as_ref().is_some_and(|v| *v >= Semver::new(major, minor, patch))
    }

    fn since_beta(&self, number: u32) -> bool {
        let mut beta = Semver::new(4, 0, 0);
        beta.pre = Prerelease::new(&format!("beta.{number}")).unwrap_or_default();
        self.parsed.as_ref().is_some_and(|v| *v >= beta)
    }

    /// `POST /applications/{uuid}/rollback` deploys exactly one commit.
    pub fn has_rollback(&self) -> bool {
        self.since(4, 3, 0)
    }

    /// What becomes of a pinned commit.
    pub fn pins(&self) -> Pins {
        match () {
            () if self.parsed.is_none() => Pins::Unknown,
            () if self.since(4, 2, 0) => Pins::Honoured,
            () if self.since_beta(464) => Pins::Ignored,
            () => Pins::Mislabelled,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_ways() {
        for (text, rollback, pins) in [
            ("4.3.11", true, Pins::Honoured),
            ("v4.3.0", true, Pins::Honoured),
            ("4.2.0", false, Pins::Honoured),
            ("4.1.2", false, Pins::Ignored),
            ("4.0.0", false, Pins::Ignored),
            ("4.0.0-beta.464", false, Pins::Ignored),
            ("4.0.0-beta.460", false, Pins::Mislabelled),
            ("4.0.0-beta.402", false, Pins::Mislabelled),
            ("4.3.11-nightly.5", true, Pins::Honoured),
            ("nightly", false, Pins::Unknown),
            ("OK", false, Pins::Unknown),
            ("null", false, Pins::Unknown),
            ("5", false, Pins::Unknown),
        ] {
            let version = Version::parse(text);
            assert_eq!((version.has_rollback(), version.pins()), (rollback, pins), "{text}");
        }
    }
}
