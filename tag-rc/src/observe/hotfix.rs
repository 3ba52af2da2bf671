//! What production runs, and how the commit here came from it.

use std::collections::{BTreeSet, HashSet};

use step::Failure;

use super::{Look, full};
use crate::args::Act;
use crate::base::{Base, Built, Runs, newest};
use crate::git::{Aside, Change, Commit, matches};
use crate::remote::Tag;
use crate::seen::Target;

/// Commits that came along, and from which branch.
type Strange = Vec<(Commit, String)>;

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
            return Ok((Some(Base { version, tag: tag.clone(), why, is_seen: true, no_final: None }), aside));
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
            is_seen: runs.is_some(),
            no_final: runs.map(|runs| runs.name().to_owned()),
        });
        Ok((base, aside))
    }

    /// All branches, because work that is not released may have been copied from any of them, and the finals, as far as they are not here.
    fn fetch_line(&self) -> Result<Option<Aside>, Failure> {
        // With a cut-off history more commits would not tell what lies between them.
        if self.repo.is_shallow() {
            return Ok(None);
        }
        let heads = self.remote.heads.iter().filter(|(_, tip)| !self.has(tip));
        let mut missing: Vec<String> = heads.map(|(name, _)| format!("refs/heads/{name}")).collect();
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
        let Some(base) = &target.base else { return Ok(Built::default()) };
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
        let mut strange = self.strange(&commits, &known, branch)?;
        let own = commits.iter().filter(|c| !c.merge && !strange.iter().any(|(s, _)| s.id == c.id));
        let (copies, shared) = self.copies(&own.cloned().collect::<Vec<_>>(), &known, branch)?;
        strange.extend(copies);
        Ok(Built { strange, unknown: false, commits, lost, shared })
    }

    /// Those of the hotfix's own commits that bring what a branch with unreleased work has: by another id, as a cherry-pick, a squash
    /// and a rebase leave it. Also the paths that both have changed, where it cannot be told.
    fn copies(
        &self,
        own: &[Commit],
        known: &[String],
        branch: &str,
    ) -> Result<(Strange, Vec<String>), Failure> {
        let objects = &self.repo.objects;
        let own: Vec<(&Commit, Change)> =
            own.iter().map(|c| Ok((c, objects.change(&c.id)?))).collect::<Result<_, Failure>>()?;
        let released = [known, std::slice::from_ref(&self.head.commit)].concat();
        let (mut found, mut shared) = (Strange::new(), BTreeSet::new());
        let mut looked_at = HashSet::new();
        for (name, tip) in self.others(branch) {
            for theirs in objects.between(std::slice::from_ref(tip), &released)? {
                if theirs.merge || !looked_at.insert(theirs.id.clone()) {
                    continue;
                }
                let change = objects.change(&theirs.id)?;
                for (commit, mine) in &own {
                    shared.extend(mine.shared(&change));
                    let is_new = !found.iter().any(|(copy, _)| copy.id == commit.id);
                    if is_new && objects.is_copy(mine, &change) {
                        found.push(((*commit).clone(), name.clone()));
                    }
                }
            }
        }
        Ok((found, shared.into_iter().collect()))
    }

    /// The other branches that are here: first those on which work comes together. Another hotfix branch may have the same fix.
    fn others(&self, branch: &str) -> Vec<(&String, &String)> {
        let stations = self.stations();
        let is_station = |name: &String| stations.iter().any(|(station, _)| *station == name);
        let is_hotfix = |name: &str| matches(&self.settings.strategy.hotfixes, name).unwrap_or(false);
        let rest = self.remote.heads.iter().filter(|(name, _)| !is_station(name) && !is_hotfix(name));
        let all = stations.iter().copied().chain(rest);
        all.filter(|(name, tip)| *name != branch && self.has(tip)).collect()
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
    fn strange(&self, commits: &[Commit], known: &[String], branch: &str) -> Result<Strange, Failure> {
        let ids: HashSet<&String> = commits.iter().map(|c| &c.id).collect();
        let mut found = Strange::new();
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
