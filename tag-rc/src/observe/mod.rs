//! Looking: the working copy and the remote, before anything is decided. Nothing here changes the repository; what is
//! missing in it is fetched aside.

mod hotfix;

use semver::Version;
use step::{Failure, Run};

use crate::args::{Act, Settings};
use crate::git::{Aside, Git, Head, Relation, Repo};
use crate::message::{self, Trailers};
use crate::name;
use crate::plan::target;
use crate::promotion::{Mode, Proof};
use crate::remote::{Remote, Tag};
use crate::seen::{Gates, Mine, Notes, Seen, Target, Warning};

/// Everything that the plan needs to know, and the tag that it is about.
pub fn observe(run: &Run, git: &Git, repo: &Repo, settings: &Settings) -> Result<(Target, Seen), Failure> {
    let version = version(run, settings)?;
    let remote = git.look()?;
    let head = repo.head()?;
    let look = Look { run, git, settings, repo, head: &head, remote: &remote };
    // What was fetched aside stays until everything is read.
    let (mine, _kept) = look.mine()?;
    let (base, _kept_too) = look.base()?;
    let target = target(settings, version, &head, &remote, &mine, base)?;
    let aside = look.fetch(&target)?;
    let there = target.there.is_some();
    let seen = Seen {
        dirty: if there { Vec::new() } else { repo.dirty(&settings.ignore)? },
        busy: repo.busy()?,
        relation: look.relation(remote.heads.get(&target.branch))?,
        proof: look.proof(&target)?,
        has_last_final: look.has_last_final(&target),
        built: look.built(&target)?,
        claims: look.claims(&target),
        local: if there { None } else { repo.tag(&target.name)? },
        notes: look.notes()?,
        identity: if there { Ok(String::new()) } else { git.identity() },
        signature: look.signature(&target, aside.as_ref())?,
        facts: (run.fact("tag")?, run.fact("commit")?),
        tested: run.fact("candidate")?,
        surroundings: look.surroundings(&target),
        run: run.document.id().to_owned(),
        gates: Gates::of(run)?,
        head: head.clone(),
        remote: remote.clone(),
    };
    Ok((target, seen))
}

/// The version that is wanted; a hotfix finds its own on the remote.
fn version(run: &Run, settings: &Settings) -> Result<Option<Version>, Failure> {
    if settings.act == Act::Hotfix && run.fact::<String>("version")?.is_none() {
        return Ok(None);
    }
    let text: String = run.need("version", "give --release, or let changelog-lint open the document")?;
    name::version(&text).map(Some)
}

struct Look<'a> {
    run: &'a Run,
    git: &'a Git<'a>,
    settings: &'a Settings,
    repo: &'a Repo<'a>,
    head: &'a Head,
    remote: &'a Remote,
}

impl Look<'_> {
    /// With --again: the tag on this commit that an earlier attempt of this very run has pushed. It is not made twice.
    fn mine(&self) -> Result<(Mine, Option<Aside>), Failure> {
        if !self.settings.again {
            return Ok((None, None));
        }
        let tags = self.remote.tags.values();
        let here: Vec<&Tag> = tags.filter(|t| t.commit == self.head.commit && !t.is_lightweight()).collect();
        let missing = here.iter().filter(|t| !self.has(&t.object)).map(|t| full(&t.name));
        let aside = self.fetch_aside(&missing.collect::<Vec<_>>())?;
        for tag in here {
            let message = self.repo.objects.tag(&tag.object)?.message.unwrap_or_default();
            if message::trailers(&message).run.as_deref() == Some(self.run.document.id()) {
                return Ok((Some(tag.name.clone()), aside));
            }
        }
        Ok((None, aside))
    }

    /// In a cut-off history the way to the tip may be missing.
    fn relation(&self, tip: Option<&String>) -> Result<Relation, Failure> {
        match self.repo.objects.relation(&self.head.commit, tip.map(String::as_str)) {
            Err(_) if self.repo.is_shallow() => Ok(Relation::Unknown),
            relation => relation,
        }
    }

    /// What has to be looked into and is not here.
    fn fetch(&self, target: &Target) -> Result<Option<Aside>, Failure> {
        let mut missing = Vec::new();
        // With a cut-off history more commits would not tell what lies between them.
        if !self.repo.is_shallow() {
            let candidate = target.candidate.as_ref().filter(|_| self.settings.act != Act::Candidate);
            let last = target.last_final.as_ref().map(|(_, tag)| tag);
            let commits = candidate.into_iter().chain(last).filter(|t| !self.has(&t.commit));
            missing.extend(commits.map(|t| full(&t.name)));
        }
        let read = self.settings.require_signed || self.settings.act == Act::Hotfix;
        let there = target.there.as_ref().filter(|t| read && !self.has(&t.object));
        missing.extend(there.map(|t| full(&t.name)));
        self.fetch_aside(&missing)
    }

    fn fetch_aside(&self, refs: &[String]) -> Result<Option<Aside>, Failure> {
        if refs.is_empty() {
            return Ok(None);
        }
        let aside = self.git.fetch_aside(&self.repo.objects_folder(), refs)?;
        self.repo.see(&aside)?;
        Ok(Some(aside))
    }

    fn proof(&self, target: &Target) -> Result<Proof, Failure> {
        let Some(candidate) = target.candidate.as_ref().filter(|_| self.settings.act != Act::Candidate)
        else {
            return Ok(Proof::NoCandidate);
        };
        let shallow = self.repo.is_shallow();
        let cut = || Ok(Proof::Shallow(candidate.name.clone()));
        if shallow && !self.has(&candidate.commit) {
            return cut();
        }
        let mode = match self.repo.objects.mode(&candidate.commit, &self.head.commit) {
            // What is not found in a cut-off history may still be in the whole one.
            Ok(Mode::Squash) | Err(_) if shallow => return cut(),
            mode => mode?,
        };
        let allowed = &self.settings.may_differ;
        let (differs, permitted) =
            self.repo.objects.differences(&candidate.commit, &self.head.commit, allowed)?;
        Ok(Proof::Compared { candidate: candidate.name.clone(), mode, differs, permitted })
    }

    /// Whether nothing of the last final gets lost: asked of the candidate where there is one, else of the commit. Only a warning
    /// hangs on it: what cannot be read (a cut-off history, a partial clone without old files) stays unknown.
    fn has_last_final(&self, target: &Target) -> Option<bool> {
        let (_, last) = target.last_final.as_ref().filter(|_| self.settings.act != Act::Hotfix)?;
        let candidate = target.candidate.as_ref().filter(|_| self.settings.act == Act::Final);
        let commit = candidate.map_or(&self.head.commit, |c| &c.commit);
        if !self.has(&last.commit) || !self.has(commit) {
            return None;
        }
        match self.repo.objects.is_ancestor(&last.commit, commit) {
            Ok(true) => Some(true),
            _ if self.repo.is_shallow() => None,
            _ => self.repo.objects.adds_nothing(&last.commit, commit).ok(),
        }
    }

    fn has(&self, object: &str) -> bool {
        self.repo.objects.has(object)
    }

    /// What the tag of a hotfix says that is there already.
    fn claims(&self, target: &Target) -> Option<Trailers> {
        let there = target.there.as_ref().filter(|_| self.settings.act == Act::Hotfix)?;
        let message = self.repo.objects.tag(&there.object).ok()?.message?;
        Some(message::trailers(&message))
    }

    fn notes(&self) -> Result<Notes, Failure> {
        Ok(match self.run.fact("notes")? {
            Some(notes) => Notes::There(notes),
            None if !self.run.document.steps().is_empty() => Notes::Missing,
            None => Notes::ByHand,
        })
    }

    fn signature(
        &self,
        target: &Target,
        aside: Option<&Aside>,
    ) -> Result<Option<Result<String, Failure>>, Failure> {
        let Some(tag) = target.there.as_ref().filter(|_| self.settings.require_signed) else {
            return Ok(None);
        };
        proven(self.git, self.repo, &tag.name, &tag.object, aside).map(Some)
    }

    /// What makes others misread a tag.
    fn surroundings(&self, target: &Target) -> Vec<Warning> {
        let mut all: Vec<Warning> = self.git.note().map(|note| ("remote-apart", note)).into_iter().collect();
        if std::env::var_os("GITHUB_ACTIONS").is_some() {
            let text = "a tag that is pushed with GITHUB_TOKEN starts no other workflow; push with a deploy key or an app's token";
            all.push(("github-token", text.to_owned()));
        }
        let goreleaser = [".goreleaser.yaml", ".goreleaser.yml", "goreleaser.yaml", "goreleaser.yml"];
        let shared = target.candidate.as_ref().is_some_and(|c| c.commit == self.head.commit);
        let has = |name: &&str| self.repo.objects.has_file(&self.head.commit, name);
        if self.settings.act == Act::Final && shared && goreleaser.iter().any(has) {
            let text = "candidate and final are on one commit: goreleaser takes the candidate unless git.prerelease_suffix is \"-\" or \
                        GORELEASER_CURRENT_TAG is set";
            all.push(("goreleaser-takes-candidate", text.to_owned()));
        }
        all
    }
}

/// Whether a tag is signed so that `git verify-tag` accepts it: what it said, or why not.
pub fn proven(
    git: &Git,
    repo: &Repo,
    name: &str,
    object: &str,
    aside: Option<&Aside>,
) -> Result<Result<String, Failure>, Failure> {
    let message = repo.objects.tag(object)?.message.unwrap_or_default();
    if !message::unsigned(&message).1 {
        return Ok(Err(Failure::refused("unsigned", format!("{name} is not signed"))));
    }
    let signature = git.verify(object, &repo.objects_folder(), aside)?;
    Ok(if signature.good {
        Ok(signature.said)
    } else {
        let message = format!("the signature of {name} cannot be proven");
        Err(Failure::refused("signature", message).cause(signature.said))
    })
}

fn full(tag: &str) -> String {
    format!("refs/tags/{tag}")
}
