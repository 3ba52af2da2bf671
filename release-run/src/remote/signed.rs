//! Signatures of runs. With `require_signed` an entry of the remote is evidence only when git accepts its signature: whoever may push
//! there can write one, but not sign it. Git makes and checks them, by the keys and in the format that it is configured with.

use std::collections::HashSet;
use std::path::PathBuf;

use step::{Context, Failure};

use super::read::Tip;
use super::{Draft, Index, Remote};
use crate::names::{Name, Scope};
use crate::record::Record;

/// That runs must be signed, and by whom.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The file with the SSH keys of those who may (`allowed_signers`); else the one that git is configured with.
    signers: Option<PathBuf>,
}

impl Signing {
    /// Reads the settings.
    pub fn read(context: &Context) -> Result<Option<Self>, Failure> {
        let settings = &context.settings;
        let signers: Option<PathBuf> = settings.optional("allowed_signers")?;
        if let Some(missing) = signers.as_ref().filter(|path| !path.is_file()) {
            let message = format!("[release-run] allowed_signers: there is no file {}", missing.display());
            return Err(Failure::config("setting", message));
        }
        Ok(settings.value::<bool>("require_signed")?.then_some(Signing { signers }))
    }
}

/// Runs that may be believed, each with its entry; and how many others there are.
pub type Evidence<'i> = (Vec<(&'i Tip, Record)>, usize);

impl Remote<'_> {
    /// The same entries, those of runs signed.
    pub(super) fn signed(&self, drafts: &[Draft], ids: Vec<String>) -> Result<Vec<String>, Failure> {
        if self.signing.is_none() {
            return Ok(ids);
        }
        let sign = |(draft, id): (&Draft, String)| {
            if matches!(draft.name, Name::Run(..)) { self.sign(draft, &id) } else { Ok(id) }
        };
        drafts.iter().zip(ids).map(sign).collect()
    }

    fn sign(&self, draft: &Draft, id: &str) -> Result<String, Failure> {
        let tree = format!("{id}^{{tree}}");
        let mut args = vec!["commit-tree", "-S", "-F", "-"];
        if let Some(before) = &draft.before {
            args.extend(["-p", before]);
        }
        args.push(&tree);
        let (name, mail) = self.who.holder.split_once(" <").unwrap_or((&self.who.holder, "unknown>"));
        let git = ["AUTHOR", "COMMITTER"].into_iter().fold(self.git.clone().regardless(), |git, part| {
            git.with(&format!("GIT_{part}_NAME"), name)
                .with(&format!("GIT_{part}_EMAIL"), mail.trim_end_matches('>'))
        });
        let said = git.run(&args, draft.message.as_bytes())?;
        if said.status.success() {
            return Ok(said.text());
        }
        let message = "this run must be signed (require_signed) and git cannot sign it: set user.signingkey, and gpg.format to ssh for an SSH key";
        Err(Failure::config("signing", message).cause(said.stderr))
    }

    /// Of these entries the ones whose signature git accepts as that of somebody known.
    pub fn accepted(&self, ids: &[&str]) -> Result<HashSet<String>, Failure> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let mut git = self.git.clone().regardless();
        if let Some(signers) = self.signing.as_ref().and_then(|s| s.signers.as_ref()) {
            git = git.set("gpg.ssh.allowedSignersFile", signers.display().to_string());
        }
        let input = format!("{}\n", ids.join("\n"));
        let said = git.ask(&["log", "--no-walk=unsorted", "--stdin", "--format=%H %G?"], input.as_bytes())?;
        // `U` is a good signature by a key that nobody has named.
        let good = |line: &str| line.strip_suffix(" G").map(str::to_owned);
        Ok(said.text().lines().filter_map(good).collect())
    }

    /// The runs on the remote that may be believed, the newest first; and how many may not.
    pub fn evidence<'i>(&self, index: &'i Index, scope: Option<&Scope>) -> Result<Evidence<'i>, Failure> {
        let fits = |record: &Record| {
            scope.is_none_or(|scope| *scope == Scope::new(&record.product, &record.environment))
        };
        let mut all: Vec<_> = index.records().filter(|(_, record)| fits(record)).collect();
        all.sort_by(|(_, a), (_, b)| (b.opened, &b.run).cmp(&(a.opened, &a.run)));
        if self.signing.is_none() {
            return Ok((all, 0));
        }
        // All of them: whoever may push could put any number before those that are signed.
        let count = all.len();
        let ids: Vec<&str> = all.iter().map(|(tip, _)| tip.id.as_str()).collect();
        let good = self.accepted(&ids)?;
        all.retain(|(tip, _)| good.contains(&tip.id));
        let refused = count - all.len();
        Ok((all, refused))
    }
}

/// How many runs do not count, in a sentence.
pub fn unsigned(count: usize, remote: &str) -> String {
    let what = if count == 1 { "1 run" } else { &format!("{count} runs") };
    let (are, does) = if count == 1 { ("is", "does") } else { ("are", "do") };
    format!("{what} on {remote} {are} not signed by anybody who may, and {does} not count (require_signed)")
}
