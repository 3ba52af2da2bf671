//! What production runs, and how the commit here came from it.

use std::collections::HashSet;

use step::Failure;

use super::{Look, full};
use crate::args::Act;
use crate::base::{Base, Built, Runs, newest};
use crate::git::{Aside, Commit};
use crate::remote::Tag;
use crate::seen::Target;

impl Look<'_> {
    /// The final that a hotfix has to be built on, if there is any. What has to be looked into for it is fetched aside.
    pub fn base(&self) -> Result<(Option<Base>, Option<Aside>), Failure> {
        if self.settings.act != Act::Hotfix {
            return Ok((None, None));
        }
        let finals = self.remote.finals();
        let before: Vec<_> = finals.into_iter().filter(|(_, tag)| tag.commit != self.head.commit).collect();
        let runs = Runs::of(self.run.fact("previous")?, self.run.fact("live")?);
        let aside = self.fetch_line()?;
        if let Some(runs) = &runs
            && let Some((version, tag)) = runs.find(self.remote)
        {
            let why = format!("production runs {}", runs.name());
            return Ok((Some(Base { version, tag: tag.clone(), why, no_final: None }), aside));
        }
        let branch = &self.settings.production;
        let tip = self.remote.heads.get(branch);
        let is_in = |commit: &str, tip: &str| {
            let both = self.has(commit) && self.has(tip);
            both && self.repo.objects.is_ancestor(commit, tip).unwrap_or(false)
        };
        let in_production = |tag: &Tag| tip.is_some_and(|tip| is_in(&tag.commit, tip));
        let found = newest(&before, in_production, |one, other| is_in(&other.commit, &one.commit));
        let base = found.map(|(version, tag)| Base {
            why: format!("{} is the newest final on {branch}", tag.name),
            version,
            tag: tag.clone(),
            no_final: runs.map(|runs| runs.name().to_owned()),
        });
        Ok((base, aside))
    }

    /// The branches on which work comes together and the finals, as far as they are not here.
    fn fetch_line(&self) -> Result<Option<Aside>, Failure> {
        // With a cut-off history more commits would not tell what lies between them.
        if self.repo.is_shallow() {
            return Ok(None);
        }
        let stations = self.stations().into_iter().filter(|(_, tip)| !self.has(tip));
        let mut missing: Vec<String> = stations.map(|(name, _)| format!("refs/heads/{name}")).collect();
        let finals = self.remote.finals().into_iter().filter(|(_, tag)| !self.has(&tag.commit));
        missing.extend(finals.map(|(_, tag)| full(&tag.name)));
        self.fetch_aside(&missing)
    }

    /// The branches on which work comes together, with their tips.
    fn stations(&self) -> Vec<(&String, &String)> {
        let strategy = &self.settings.strategy;
        let names: HashSet<&String> =
            [&strategy.develop, &strategy.staging, &strategy.main, &self.settings.production].into();
        self.remote.heads.iter().filter(|(name, _)| names.contains(name)).collect()
    }

    /// What the commit here has besides its base, and where that came from.
    pub fn built(&self, target: &Target) -> Result<Built, Failure> {
        let Some(base) = target.base.as_ref().filter(|_| target.there.is_none()) else {
            return Ok(Built::default());
        };
        // In a cut-off history nobody can tell what else came along.
        let needed = self.stations().into_iter().map(|(_, tip)| tip).chain([&base.tag.commit]);
        if self.repo.is_shallow() || !needed.into_iter().all(|id| self.has(id)) {
            return Ok(Built { unknown: true, ..Built::default() });
        }
        self.compared(base, &target.branch)
    }

    fn compared(&self, base: &Base, branch: &str) -> Result<Built, Failure> {
        let objects = &self.repo.objects;
        let known = self.alike(base)?;
        let head = [self.head.commit.clone()];
        let lost = objects.between(&known[..1], &head)?;
        let holds = || {
            let built_on = known.iter().any(|id| objects.is_ancestor(id, &head[0]).unwrap_or(false));
            built_on || objects.adds_nothing(&base.tag.commit, &head[0]).unwrap_or(false)
        };
        let lost = if lost.is_empty() || holds() { Vec::new() } else { lost };
        let commits = objects.between(&head, &known)?;
        Ok(Built { strange: self.strange(&commits, &known, branch)?, unknown: false, commits, lost })
    }

    /// The base, and what holds the same as it: what it was tested as (before a merge or a squash), and where a branch has taken it up.
    fn alike(&self, base: &Base) -> Result<Vec<String>, Failure> {
        let objects = &self.repo.objects;
        let alike = |id: &String| objects.same_files(id, &base.tag.commit);
        let mut known = vec![base.tag.commit.clone()];
        let tested = self.remote.candidates(&base.version).last().map(|c| c.tag.commit.clone());
        known.extend(tested.filter(|id| self.has(id) && alike(id)));
        for (_, tip) in self.stations() {
            let line = objects.line(tip, &known)?;
            known.extend(line.into_iter().filter(|id| alike(id)));
        }
        Ok(known)
    }

    /// The commits that came along from elsewhere: whatever lies below a commit that was once the tip of a branch on which work
    /// comes together, or is the tip of any other branch.
    fn strange(
        &self,
        commits: &[Commit],
        known: &[String],
        branch: &str,
    ) -> Result<Vec<(Commit, String)>, Failure> {
        let ids: HashSet<&String> = commits.iter().map(|c| &c.id).collect();
        let mut found: Vec<(Commit, String)> = Vec::new();
        let mut along = |tips: Vec<String>, from: &str| -> Result<(), Failure> {
            for commit in self.repo.objects.between(&tips, known)? {
                if !found.iter().any(|(known, _)| known.id == commit.id) {
                    found.push((commit, from.to_owned()));
                }
            }
            Ok(())
        };
        let stations = self.stations();
        for (name, tip) in stations.iter().filter(|(name, _)| *name != branch) {
            let line = self.repo.objects.line(tip, known)?;
            along(line.into_iter().filter(|id| ids.contains(id)).collect(), name)?;
        }
        let others = self.remote.heads.iter().filter(|(name, tip)| {
            *name != branch
                && **tip != self.head.commit
                && !stations.iter().any(|(station, _)| station == name)
        });
        for (name, tip) in others.filter(|(_, tip)| ids.contains(tip)) {
            along(vec![tip.clone()], name)?;
        }
        Ok(found)
    }
}
