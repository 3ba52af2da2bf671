//! The policy: what is asked for before a release. It is not taken from the releaser's tree alone: `release.toml` on the remote's production
//! branch is read too, and of both the stricter counts. Where things are (addresses, tokens) is read here.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use facts::GATES;
use git_program::{Aside, Git};
use step::{Context, Failure, FromSetting, Settings};

/// No settings are longer.
const LIMIT: usize = 1 << 20;
/// The production branch where nobody names it.
const MAIN: &str = "main";
/// Where what was last seen of the production branch lies.
const SEEN: &str = "refs/policy/";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Policy {
    here: Settings,
    there: Option<Settings>,
    /// Which commit of the remote's production branch was read.
    pub commit: Option<String>,
    /// What people must know of how it was read.
    pub note: Option<String>,
    /// Where it was read, for people.
    pub place: String,
}

impl Policy {
    /// Of the settings here, and those that lie in the commit of the production branch as it was last fetched.
    pub fn read(context: &Context, aside: &Aside) -> Result<Self, Failure> {
        let branch = production_branch(context)?;
        let name = format!("{SEEN}{branch}");
        let tip = aside.refs(&name)?.into_iter().find(|one| one.name == name);
        let Some(tip) = tip else {
            let note =
                format!("{} has no branch {branch}: the policy is that of this clone alone", aside.remote());
            let place = format!("the settings here alone: {note}");
            let here = context.settings.clone();
            return Ok(Policy { here, there: None, commit: None, note: Some(note), place });
        };
        let path = path_in_repository(context)?;
        let bytes = aside.file(&tip.id, &path, LIMIT)?;
        let there = bytes.map(|bytes| theirs(context, aside.remote(), &branch, bytes)).transpose()?;
        let note = match &there {
            None => Some(format!(
                "{branch} of {} has no {path}: the policy is that of this clone alone",
                aside.remote()
            )),
            // Somebody has meant to ask for something, and does not.
            Some(there) => there.trouble().map(|trouble| trouble.message.clone()),
        };
        let place = match &note {
            Some(note) if there.is_none() => format!("the settings here alone: {note}"),
            _ => format!("the settings here and {path} of {branch} on {}", aside.remote()),
        };
        Ok(Policy { here: context.settings.clone(), there, commit: Some(tip.id), note, place })
    }

    /// Whether anything says that a gate is asked, as far as this clone knows without the remote: the settings, those that are committed, and
    /// the production branch as it was last fetched. What is released is the tip of that branch, which tag-rc proves.
    pub fn is_known_to_be_empty(context: &Context) -> Result<bool, Failure> {
        let (git, path) = (Git::new(context), path_in_repository(context)?);
        let remote: String = context.settings.value("remote")?;
        let tracking = format!("refs/remotes/{remote}/{}:{path}", production_branch(context)?);
        let mut policy = Policy {
            here: context.settings.clone(),
            there: None,
            commit: None,
            note: None,
            place: String::new(),
        };
        for bytes in git.named_objects(&[&format!("HEAD:{path}"), &tracking], LIMIT)?.into_iter().flatten() {
            policy.there = Some(theirs(context, &remote, "HEAD", bytes)?);
            if GATES.iter().any(|gate| policy.is_on(gate)) {
                return Ok(false);
            }
        }
        Ok(!GATES.iter().any(|gate| policy.is_on(gate)))
    }

    /// The refspec that brings the production branch.
    pub fn spec(context: &Context) -> Result<String, Failure> {
        // With a star, so that a branch that is not there is no error.
        production_branch(context).map(|branch| format!("+refs/heads/{branch}*:{SEEN}{branch}*"))
    }

    /// The settings here, and those of the production branch if it has any: for what must be read together, such as times and their zone.
    pub fn both(&self) -> impl Iterator<Item = &Settings> {
        std::iter::once(&self.here).chain(&self.there)
    }

    /// Whether a gate is asked: it is as soon as one of both has its table.
    pub fn is_on(&self, gate: &str) -> bool {
        GATES.contains(&gate) && self.both().any(|settings| is_on(settings, gate))
    }

    /// The gates that the production branch asks and the settings here do not: a release that would loosen them is held to them all the same.
    pub fn loosened(&self) -> Vec<&'static str> {
        let is_only_there = |gate: &&str| {
            self.there.as_ref().is_some_and(|there| is_on(there, gate)) && !is_on(&self.here, gate)
        };
        GATES.into_iter().filter(is_only_there).collect()
    }

    /// Whether something that makes a gate weaker is allowed: by both.
    pub fn allows(&self, key: &str) -> Result<bool, Failure> {
        self.all(key, Settings::value::<bool>, |all| all.into_iter().all(|allowed| allowed))
    }

    /// Whether something that makes a gate stricter is asked for: by one of both.
    pub fn demands(&self, key: &str) -> Result<bool, Failure> {
        self.all(key, Settings::value::<bool>, |all| all.into_iter().any(|demanded| demanded))
    }

    /// A least: the greater one.
    pub fn least<T: FromSetting + Ord>(&self, key: &str) -> Result<Option<T>, Failure> {
        self.all(key, Settings::optional::<T>, |all| all.into_iter().flatten().max())
    }

    /// A most: the smaller one; where one says nothing, the other's.
    pub fn most<T: FromSetting + Ord>(&self, key: &str) -> Result<Option<T>, Failure> {
        self.all(key, Settings::optional::<T>, |all| all.into_iter().flatten().min())
    }

    /// The longest time that is allowed: the shorter one.
    pub fn longest(&self, key: &str) -> Result<Option<Duration>, Failure> {
        self.most(key)
    }

    /// A list of what is required or forbidden: both together.
    pub fn union(&self, key: &str) -> Result<BTreeSet<String>, Failure> {
        self.union_of(key)
    }

    /// The same of what is more than text.
    pub fn union_of<T: FromSetting + Ord>(&self, key: &str) -> Result<BTreeSet<T>, Failure> {
        self.all(key, Settings::list::<T>, |all| all.into_iter().flatten().collect())
    }

    /// The names of the tables below a key: both together.
    pub fn names(&self, key: &str) -> BTreeSet<String> {
        self.both().flat_map(|settings| settings.names(key)).collect()
    }

    /// What only the production branch may say, such as who may sign; the settings here count where it has no file.
    pub fn theirs(&self) -> &Settings {
        self.there.as_ref().unwrap_or(&self.here)
    }

    /// A file of the repository that only the production branch may say, by the setting that names it; `None` where it is not there.
    pub fn file(&self, aside: &Aside, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let (Some(commit), Some(path)) = (&self.commit, self.theirs().text(key)?) else { return Ok(None) };
        aside.file(commit, &path, LIMIT)
    }

    /// The keys that count no more. A file of them that is named and not there would let them count.
    pub fn revoked(&self, aside: &Aside) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = self.theirs().text("revoked_signers")? else { return Ok(None) };
        let revoked = self.file(aside, "revoked_signers")?;
        let missing = || {
            let message = format!(
                "revoked_signers names {path}, which the production branch of {} does not have: bring it there",
                aside.remote()
            );
            Failure::config("no-revoked-signers", message)
        };
        revoked.map(Some).ok_or_else(missing)
    }

    fn all<T, U>(
        &self,
        key: &str,
        read: impl Fn(&Settings, &str) -> Result<T, Failure>,
        join: impl Fn(Vec<T>) -> U,
    ) -> Result<U, Failure> {
        let there = self.there.iter().filter(|there| has_policy(there, key));
        // Where the production branch asks for nothing of the kind, what is said here is all there is.
        let here = (has_policy(&self.here, key) || there.clone().next().is_none()).then_some(&self.here);
        here.into_iter()
            .chain(there)
            .map(|settings| read(settings, key))
            .collect::<Result<Vec<T>, Failure>>()
            .map(join)
    }
}

/// Whether settings ask for anything that a key is about: its gate, or its suite of tests; of a key of all gates, any gate.
fn has_policy(settings: &Settings, key: &str) -> bool {
    let mut parts = key.split('.');
    match (parts.next(), parts.next()) {
        (Some("tests"), Some(name)) => settings.is_set(&format!("tests.{name}")),
        (Some(gate), _) if GATES.contains(&gate) => is_on(settings, gate),
        (Some("approvals"), _) => is_on(settings, "approval"),
        _ => GATES.iter().any(|gate| is_on(settings, gate)),
    }
}

fn is_on(settings: &Settings, gate: &str) -> bool {
    settings.is_set(if gate == "approval" { "approvals" } else { gate })
}

fn theirs(context: &Context, remote: &str, branch: &str, bytes: Vec<u8>) -> Result<Settings, Failure> {
    let place = format!("release.toml on {branch} of {remote}");
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::config("settings", format!("{place}: it is no text in UTF-8")))?;
    context.settings.beside(Path::new(&place), text)
}

/// The branch of what runs in production: of the environment of that role, or of that name.
fn production_branch(context: &Context) -> Result<String, Failure> {
    for name in context.settings.environments() {
        let settings = context.settings.at(name)?;
        let role = settings.shared("role")?.unwrap_or_else(|| name.to_owned());
        if role == "production" {
            return Ok(settings.shared("branch")?.unwrap_or_else(|| MAIN.to_owned()));
        }
    }
    Ok(MAIN.to_owned())
}

/// Where `release.toml` lies in the repository.
fn path_in_repository(context: &Context) -> Result<String, Failure> {
    let path = context.settings.path().unwrap_or(Path::new("release.toml"));
    let name =
        path.file_name().map_or_else(|| "release.toml".into(), |name| name.to_string_lossy().into_owned());
    let folder = context.settings.folder().display().to_string();
    let said = Git::new(context).run(&["-C", &folder, "rev-parse", "--show-prefix"], b"")?;
    if !said.status.success() {
        let message =
            format!("{folder} is in no git repository: release.toml must lie in a clone of the product");
        return Err(Failure::config("no-repository", message).cause(said.stderr));
    }
    let prefix = said.text();
    Ok(format!("{prefix}{name}"))
}
