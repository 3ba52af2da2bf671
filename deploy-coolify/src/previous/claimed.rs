//! What another machine says that it has deployed: is it what Coolify and the pages say? Its run lies on the remote, where whoever may push
//! can write it; so the build is known by the tags that the remote has and the commit that is checked out, never by the run's own facts.

use std::collections::BTreeMap;
use std::path::Path;

use facts::Previous;
use image::split;
use jiff::Timestamp;
use serde::Deserialize;
use step::{Failure, Outcome, Procedure, Run};

use super::rollback::what_runs;
use super::{bare, name};
use crate::api::{Application, Net, Row};
use crate::settings::Settings;
use crate::wait::each;
use crate::wanted::is_candidate;
use crate::world::World;

/// So many deployments of each application are looked at.
const LOOKED: usize = 20;

/// What is to be looked for, as the keeper of the run writes it down.
#[derive(Debug, Deserialize)]
struct Claim {
    run: String,
    procedure: Procedure,
    version: String,
    opened: Timestamp,
    /// It says that it is at its end.
    finished: bool,
    /// The commit that is checked out.
    head: Option<String>,
    /// The tags of the version and its candidates, and the commits that they lead to.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// What a build of the claim is called.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    versions: Vec<String>,
    commits: Vec<String>,
}

impl Claim {
    /// What its build may be called; none where no tag leads to what is checked out.
    fn names(&self) -> Names {
        let version_of = |tag: &String| tag.strip_prefix('v').unwrap_or(tag).to_owned();
        let is_candidate =
            |tag: &String| version_of(tag).strip_prefix(self.version.as_str()).is_some_and(is_candidate);
        let Some(head) = &self.head else { return Names::default() };
        let here = |(_, commit): &(&String, &String)| *commit == head;
        if self.procedure == Procedure::Candidate {
            let candidates = self.tags.iter().filter(|(tag, _)| is_candidate(tag));
            let versions: Vec<String> = candidates.filter(here).map(|(tag, _)| version_of(tag)).collect();
            let commits = if versions.is_empty() { Vec::new() } else { vec![head.clone()] };
            return Names { versions, commits };
        }
        let is_final =
            self.tags.iter().any(|(tag, commit)| version_of(tag) == self.version && commit == head);
        if !is_final {
            return Names::default();
        }
        // A release ships what was tested, which may call itself by its candidate's name.
        let candidates = self.tags.iter().filter(|(tag, _)| is_candidate(tag));
        let (mut versions, mut commits) = (vec![self.version.clone()], vec![head.clone()]);
        for (tag, commit) in candidates {
            versions.push(version_of(tag));
            commits.push(commit.clone());
        }
        Names { versions, commits }
    }
}

impl Names {
    /// Whether a build is called so: by its commit where that is known, else by its version.
    fn fit(&self, build: &Previous) -> bool {
        let tag = build.image.as_deref().and_then(split).map(|(_, tag)| bare(&tag));
        let mut called = tag.iter().chain(&build.version);
        let by_version = called.any(|name| self.versions.contains(&bare(name)));
        match &build.commit {
            Some(commit) => self.commits.contains(commit) && (by_version || build.version.is_none()),
            None => by_version,
        }
    }

    /// Whether such a build was deployed, however that ended, since the last one of another build that finished. The newest come first.
    fn were_deployed(&self, rows: &[Row], opened: Timestamp) -> bool {
        let mut since = rows.iter().take_while(|row| self.brought(row, opened) || !row.is_finished());
        since.any(|row| self.brought(row, opened))
    }

    /// Whether a deployment was of such a build. What it brought may not be known yet, or be a digest that is no name.
    fn brought(&self, row: &Row, opened: Timestamp) -> bool {
        let since = row.created_at.parse::<Timestamp>().is_ok_and(|at| at >= opened);
        match &row.revision {
            Some(revision) if self.versions.contains(&bare(revision)) || self.commits.contains(revision) => {
                true
            }
            Some(revision) => since && revision.starts_with("sha256-"),
            None => since && !row.is_finished(),
        }
    }
}

/// Says whether the build of a run runs, was deployed, or is nowhere. One that says that it is at its end must run.
pub fn look(run: &Run, settings: &Settings, net: &Net, file: &Path) -> Result<Outcome, Failure> {
    let wrong = |why: String| Failure::refused("wrong-document", format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let claim: Claim = serde_json::from_str(&text).map_err(|e| wrong(format!("it is no claim: {e}")))?;
    let names = claim.names();
    let world = World::new(&run.context, settings, net);
    let (now, deployed) = net.block(async {
        let apps = world.applications().await?;
        let pasts = each(&apps, async |app: &Application| world.api.history(app, LOOKED).await).await?;
        let deployed = pasts.iter().any(|rows| names.were_deployed(rows, claim.opened));
        let now = match what_runs(&world).await {
            Err(failure) if claim.finished || !deployed => return Err(failure),
            now => now.ok().flatten(),
        };
        Ok::<_, Failure>((now, deployed))
    })?;
    let runs = now.as_ref().is_some_and(|now| names.fit(now));
    let place = run.context.environment.as_deref().unwrap_or_default();
    let called = now.as_ref().map_or_else(|| "an unknown build".to_owned(), name);
    if claim.finished && !runs {
        return Err(overtaken(&claim, place, &called));
    }
    let (word, sentence) = match (runs, deployed) {
        (true, _) => ("runs", format!("{called} runs in {place}, as {} says", claim.run)),
        (false, true) => {
            ("deployed", format!("{place} runs {called}; what {} says was deployed there", claim.run))
        }
        (false, false) => {
            let none = format!("nothing of {} is among the last {LOOKED} deployments there", claim.run);
            ("nothing", format!("{place} runs {called}, and {none}"))
        }
    };
    Ok(Outcome::unchanged(sentence).output("claim", word))
}

/// It may be planted, or over: nobody but a person can say which.
fn overtaken(claim: &Claim, place: &str, called: &str) -> Failure {
    let message = format!(
        "{} says that {} {} is finished, and {place} runs {called}: if something came later that is right, and there is nothing to do; else do it with --again",
        claim.run, claim.procedure, claim.version
    );
    Failure::refused("claimed", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(procedure: &str, tags: &[(&str, &str)]) -> Claim {
        Claim {
            run: "20261125T081130Z-7f3a-x".into(),
            procedure: procedure.into(),
            version: "1.3.0".into(),
            opened: "2026-11-25T08:11:30Z".parse().expect("a time"),
            finished: true,
            head: Some("aa".repeat(20)),
            tags: tags.iter().map(|(tag, commit)| ((*tag).to_owned(), commit.repeat(20))).collect(),
        }
    }

    fn image(tag: &str, commit: Option<&str>) -> Previous {
        Previous {
            image: Some(format!("r.example/shop:{tag}")),
            version: Some(bare(tag)),
            commit: commit.map(|commit| commit.repeat(20)),
            ..Previous::default()
        }
    }

    #[test]
    fn a_build_is_known_by_the_tags_of_the_remote() {
        let tags = [
            ("v1.3.0", "aa"),
            ("v1.3.0-rc1", "bb"),
            ("v1.3.0-rc2", "cc"),
            ("v1.3.01", "dd"),
            ("v1.3.0-beta", "ee"),
        ];
        let release = claim("release", &tags).names();
        assert_eq!(release.versions, ["1.3.0", "1.3.0-rc1", "1.3.0-rc2"]);
        assert!(release.fit(&image("v1.3.0-rc2", None)) && release.fit(&image("1.3.0", Some("aa"))));
        assert!(
            !release.fit(&image("1.2.0", None)) && !release.fit(&image("1.3.0", Some("ff"))),
            "another commit"
        );
        assert!(!release.fit(&image("1.2.0", Some("aa"))), "its image says otherwise");
        let by_commit = Previous { commit: Some("cc".repeat(20)), ..Previous::default() };
        assert!(release.fit(&by_commit) && !release.fit(&Previous::default()));
        // A planted run has no tag, or one of another commit.
        for tags in [&[][..], &[("v1.3.0", "bb")], &[("v1.3.0-rc1", "aa")]] {
            assert_eq!(claim("release", tags).names(), Names::default(), "{tags:?}");
        }
        let candidate =
            claim("candidate", &[("v1.3.0-rc1", "bb"), ("v1.3.0-rc2", "aa"), ("v1.3.0", "aa")]).names();
        assert_eq!(candidate.versions, ["1.3.0-rc2"]);
        assert!(!candidate.fit(&image("1.3.0-rc1", None)));
    }

    #[test]
    fn a_deployment_counts_however_it_ended_and_one_of_another_build_does_not() {
        let names = claim("release", &[("v1.3.0", "aa")]).names();
        let opened = "2026-11-25T08:11:30Z".parse().expect("a time");
        let row = |status: &str, created_at: &str, revision: Option<&str>| {
            let row = json!({ "deployment_uuid": "a1", "status": status, "created_at": created_at });
            let mut row: Row = serde_json::from_value(row).expect("a row");
            row.revision = revision.map(str::to_owned);
            row
        };
        let deployed =
            |status: &str, at: &str, revision| names.were_deployed(&[row(status, at, revision)], opened);
        let (before, after) = ("2026-11-25T08:00:00Z", "2026-11-25T08:20:00Z");
        assert!(deployed("failed", after, Some("v1.3.0")) && deployed("finished", before, Some("1.3.0")));
        assert!(!deployed("finished", after, Some("1.2.0")));
        assert!(deployed("in_progress", after, None) && !deployed("in_progress", before, None));
        assert!(!deployed("finished", after, None), "what is done and says nothing is no evidence");
        assert!(
            deployed("failed", after, Some("sha256-ab")) && !deployed("failed", before, Some("sha256-ab"))
        );
    }
}
