//! Names: of products, environments, runs and refs. Whatever comes from a remote or from a folder is one of these or is not ours.
//! Pure.

/// The place of everything that this program writes.
pub const ROOT: &str = "refs/rilis";

pub use git_program::aside::{component, is_word};

/// Something below [`ROOT`] that is ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// The environment's lock, hold, or a run.
    Lock(Scope),
    Hold(Scope),
    Run(Scope, String),
    /// What earlier versions wrote, for all products of a repository together.
    OldLock(String),
    OldHold(String),
    OldRun(String),
}

/// One product's one environment, both as parts of refs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    pub product: String,
    pub environment: String,
}

impl Scope {
    /// Of names as people write them.
    pub fn new(product: &str, environment: &str) -> Self {
        Scope { product: component(product), environment: component(environment) }
    }
}

impl Name {
    /// Reads a full name; `None` when it is not ours.
    pub fn parse(full: &str) -> Option<Self> {
        let parts: Vec<&str> = full.strip_prefix(ROOT)?.strip_prefix('/')?.split('/').collect();
        if !parts.iter().all(|part| is_word(part)) {
            return None;
        }
        let own = |part: &str| part.to_owned();
        let scope =
            |product: &str, environment: &str| Scope { product: own(product), environment: own(environment) };
        match parts[..] {
            ["v2", product, environment, "lock"] => Some(Name::Lock(scope(product, environment))),
            ["v2", product, environment, "hold"] => Some(Name::Hold(scope(product, environment))),
            ["v2", product, environment, "run", run] if is_run(run) => {
                Some(Name::Run(scope(product, environment), own(run)))
            }
            ["lock", environment] => Some(Name::OldLock(own(environment))),
            ["hold", environment] => Some(Name::OldHold(own(environment))),
            ["runs", run] => Some(Name::OldRun(own(run))),
            _ => None,
        }
    }

    /// The environment that it is of; none where earlier versions kept all together.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Name::Lock(scope) | Name::Hold(scope) | Name::Run(scope, _) => Some(scope),
            Name::OldLock(_) | Name::OldHold(_) | Name::OldRun(_) => None,
        }
    }

    /// The full name.
    pub fn full(&self) -> String {
        match self {
            Name::Lock(scope) => format!("{ROOT}/v2/{}/{}/lock", scope.product, scope.environment),
            Name::Hold(scope) => format!("{ROOT}/v2/{}/{}/hold", scope.product, scope.environment),
            Name::Run(scope, run) => format!("{ROOT}/v2/{}/{}/run/{run}", scope.product, scope.environment),
            Name::OldLock(environment) => format!("{ROOT}/lock/{environment}"),
            Name::OldHold(environment) => format!("{ROOT}/hold/{environment}"),
            Name::OldRun(run) => format!("{ROOT}/runs/{run}"),
        }
    }
}

/// `20261125T081130Z-7f3a-release-production-1.2.0-aa7d85cd4cc4`: when, four random digits, and what for.
pub fn run(at: jiff::Timestamp, random: u16, key: &str) -> String {
    format!("{}-{random:04x}-{key}", at.strftime("%Y%m%dT%H%M%SZ"))
}

/// Whether a name begins as those of runs do.
pub fn is_run(name: &str) -> bool {
    let shape = b"00000000T000000Z-0000-";
    let like = |(have, want): (u8, &u8)| match want {
        b'0' => have.is_ascii_hexdigit(),
        other => have == *other,
    };
    is_word(name) && name.len() > shape.len() && name.bytes().zip(shape).all(like)
}

/// Whether a document's id says that it was opened at an instant or later: `shop-1.2.0-20261125T081130Z-7f3a`.
pub fn is_of(document: &str, opened: jiff::Timestamp) -> bool {
    let instant = document.rsplit('-').nth(1).unwrap_or_default();
    instant >= opened.strftime("%Y%m%dT%H%M%SZ").to_string().as_str()
}

/// Whether a run's name says that it was opened more than a day from now: no clock is so wrong, and it would come before all others.
pub fn is_to_come(name: &str, now: jiff::Timestamp) -> bool {
    let limit = (now + jiff::SignedDuration::from_hours(24)).strftime("%Y%m%dT%H%M%SZ").to_string();
    name.get(..limit.len()).is_some_and(|opened| opened > limit.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_ours_is_read_as_it_was_written() {
        let scope = Scope::new("aceh-commerce", "production");
        for name in [
            Name::Lock(scope.clone()),
            Name::Hold(scope.clone()),
            Name::Run(scope, "20261125T081130Z-7f3a-release-production-1.2.0-aa7d".into()),
            Name::OldLock("staging".into()),
            Name::OldHold("staging".into()),
            Name::OldRun("20261125T081130Z-7f3a-release".into()),
        ] {
            assert_eq!(Name::parse(&name.full()), Some(name));
        }
    }

    #[test]
    fn a_run_of_a_day_to_come_is_none() {
        let now = "2026-11-25T08:11:30Z".parse().expect("a time");
        assert!(
            is_to_come("20261126T081131Z-7f3a-release", now) && is_to_come("99991231T000000Z-7f3a-x", now)
        );
        assert!(
            !is_to_come("20261126T081129Z-7f3a-release", now) && !is_to_come("20200101T000000Z-7f3a-x", now)
        );
    }

    #[test]
    fn a_document_that_is_older_than_a_run_is_another_s() {
        let opened = "2026-11-25T08:11:30.5Z".parse().expect("a time");
        for (id, expected) in [
            ("shop-1.2.0-20261125T081130Z-7f3a", true),
            ("shop-20261125T081131Z-7f3a", true),
            ("shop-1.2.0-20261125T081129Z-7f3a", false),
            ("shop", false),
            ("", false),
        ] {
            assert_eq!(is_of(id, opened), expected, "{id}");
        }
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        for full in [
            "refs/rilis/runs/20260101T000000Z-ffff-r\u{e9}lease",
            "refs/rilis/runs/a/b",
            "refs/rilis/runs/",
            "refs/rilis/v2/p/e/run/..",
            "refs/rilis/v2/p/e/run/-x",
            "refs/rilis/v2/p/e/run/plan",
            "refs/rilis/v2/p/e/other",
            "refs/rilis/v3/p/e/lock",
            "refs/heads/main",
            "refs/rilis/lock/a.lock",
            "refs/rilis/lock/a\u{1b}[2J",
        ] {
            assert_eq!(Name::parse(full), None, "{full}");
        }
    }

    #[test]
    fn runs_have_names_of_their_own() {
        let at: jiff::Timestamp = "2026-11-25T08:11:30Z".parse().expect("a time");
        let name = run(at, 0x7f3a, "release-production-1.2.0-aa7d85cd4cc4");
        assert_eq!(name, "20261125T081130Z-7f3a-release-production-1.2.0-aa7d85cd4cc4");
        assert!(is_run(&name) && !is_run("plan") && !is_run("20261125T081130Z-7f3a-"));
    }

    proptest! {
        #[test]
        fn two_names_never_become_one_part(a in "\\PC{1,12}", b in "\\PC{1,12}") {
            let (one, other) = (component(&a), component(&b));
            prop_assert!(is_word(&one), "{one}");
            prop_assert_eq!(one == other, a == b, "{} {}", a, b);
        }
    }
}
