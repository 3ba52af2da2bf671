//! Four eyes without a server: a person signs what is to be released with an SSH key, and the gate counts what was signed. All statements of a
//! product are one chain of commits on the release remote, which only grows.

pub mod approve;
pub mod chain;
pub mod count;
pub mod statement;

use std::collections::{BTreeMap, BTreeSet};

use facts::{Candidate, Verdict};
use git_program::Git;
use jiff::Timestamp;
use serde_json::json;
use step::{Context, Failure, Procedure, Run};

use crate::asked::Desk;
use crate::gate::{Finding, Subject};
use crate::policy::Policy;
use crate::settings::Settings;
use crate::signature::{self, Signers};
use chain::Chain;
use count::{Asked, Next, Outsiders};
use statement::{Migrations, Shipped};

/// What a signature of the one who releases is for.
const RELEASER: &str = "rilis-releaser";

/// Asks the chain whether enough people have approved exactly what is released.
pub fn look(run: &Run, desk: &Desk, subject: &Subject, candidate: Option<&str>) -> Result<Finding, Failure> {
    let from = format!("the approvals on {}", desk.aside.remote());
    let mut needs = needs(&desk.policy)?;
    if run.document.procedure() == Procedure::Hotfix && !needs.is_empty() {
        // A fix cannot wait for everybody: one of them is enough, and the rest is owed.
        needs = BTreeMap::from([(count::ANYBODY.to_owned(), 1)]);
    }
    let least = needs.iter().map(|(role, count)| format!("{count} of {role}")).collect::<Vec<_>>().join(", ");
    let finding = |verdict| Finding::new(verdict, from.clone(), least.clone());
    let Some(allowed) = desk.policy.file(&desk.aside, "allowed_signers")? else {
        let why = format!(
            "the production branch of {} has no {}, so nobody's signature counts: write it there",
            desk.aside.remote(),
            desk.policy.theirs().value::<String>("allowed_signers")?
        );
        return Ok(finding(Verdict::Unknown(why)));
    };
    let revoked = desk.policy.revoked(&desk.aside)?;
    let signers = Signers::new(&allowed, revoked.as_deref())?;
    let chain = match Chain::read(&run.context, &desk.aside, &product(&run.context)?)? {
        Ok(chain) => chain,
        Err(why) => return Ok(finding(Verdict::No(facts::Evidence::of(why)))),
    };
    let shipped = shipped(run, desk, subject, candidate)?;
    let asked = Asked {
        shipped: &shipped,
        needs,
        roles: roles(&desk.policy)?,
        valid: desk.policy.longest("approval.valid")?.unwrap_or_default(),
        out: outsiders(run, desk, subject, &signers)?,
        now: Timestamp::now(),
    };
    let counted = count::count(&asked, &chain.statements, &|at| chain.key(&run.context, &signers, at))?;
    let finding = finding(counted.verdict);
    let finding = match counted.next {
        Next::Approve => finding.command(["rilis-approve", &shipped.tag]),
        Next::Candidate => finding.command(["rilis-candidate", &shipped.version]),
        Next::Nothing => finding,
    };
    Ok(finding
        .detail("head", chain.head)
        .detail("approved_by", json!(counted.by))
        .detail("releaser", asked.out.releaser.clone().unwrap_or_default())
        .detail("releaser_is_proven", asked.out.key.is_some()))
}

/// Remembers which head of the chain was seen here.
pub fn remember(run: &Run, desk: &Desk, head: &str) -> Result<(), Failure> {
    chain::remember(&desk.aside, &product(&run.context)?, head)
}

/// How many people of each role are needed.
fn needs(policy: &Policy) -> Result<BTreeMap<String, usize>, Failure> {
    let one = |role: String| {
        let count = policy.least::<usize>(&format!("approvals.{}", step::Settings::part(&role)))?;
        Ok((role, count.unwrap_or(1)))
    };
    policy.names("approvals").into_iter().map(one).collect()
}

/// Who has which role, as the production branch says it.
pub fn roles(policy: &Policy) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
    let settings = policy.theirs();
    let one = |role: String| {
        let names: Vec<String> = settings.list(&format!("roles.{}", step::Settings::part(&role)))?;
        Ok((role, names.into_iter().map(|name| name.to_lowercase()).collect()))
    };
    settings.names("roles").into_iter().map(one).collect()
}

/// Whose approvals these are, as a part of a ref.
fn product(context: &Context) -> Result<String, Failure> {
    let missing = || {
        let message = "the product must have its name: set name in [product] of release.toml";
        Failure::config("missing-setting", message)
    };
    context.settings.product("name")?.ok_or_else(missing)
}

/// What is about to be released, by everything that an approval must agree with.
pub fn shipped(run: &Run, desk: &Desk, subject: &Subject, named: Option<&str>) -> Result<Shipped, Failure> {
    let candidate: Option<Candidate> = run.fact("candidate")?;
    let tag = crate::asked::candidate(run, named)?;
    let of_tag = || tag.trim_start_matches('v').split("-rc").next().unwrap_or_default().to_owned();
    let version = run.context.release.clone().or(run.fact("version")?).unwrap_or_else(of_tag);
    Ok(Shipped {
        product: product(&run.context)?,
        environment: run.context.environment()?.to_owned(),
        tag,
        version,
        tree: subject.tree.clone(),
        images: candidate.map(|candidate| candidate.images).unwrap_or_default(),
        migrations: migrations_of(run, desk, subject)?,
    })
}

/// The migrations that come with it: since the newest final before it.
fn migrations_of(run: &Run, desk: &Desk, subject: &Subject) -> Result<Migrations, Failure> {
    let settings = Settings::read(&run.context)?;
    let git = desk.aside.git();
    let from = last_final(git, &subject.commit)?.unwrap_or_else(|| desk.aside.nothing().to_owned());
    let range = migrations::read(git, &settings.migrations, &from, &subject.commit)?;
    Ok(Migrations {
        class: range.class.word().to_owned(),
        files: range.files.into_iter().map(|file| file.path).collect(),
    })
}

/// The newest final tag that is an ancestor of a commit, and not of that commit itself.
pub fn last_final(git: &Git, commit: &str) -> Result<Option<String>, Failure> {
    let words = [
        "for-each-ref",
        "--sort=-version:refname",
        "--merged",
        commit,
        "--format=%(refname:short)",
        "refs/tags/v*",
    ];
    let said = git.ask(&words, b"")?.text();
    let is_final = |tag: &&str| tag.trim_start_matches('v').bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_itself = |tag: &str| Subject::named(git, tag).is_ok_and(|tagged| tagged.commit == commit);
    Ok(said.lines().filter(is_final).find(|tag| !is_itself(tag)).map(str::to_owned))
}

/// Who may not approve: the one who releases, and the author of the last commit.
fn outsiders(run: &Run, desk: &Desk, subject: &Subject, signers: &Signers) -> Result<Outsiders, Failure> {
    let policy = &desk.policy;
    let mail =
        |who: &str| who.rsplit_once('<').map_or(who, |(_, mail)| mail.trim_end_matches('>')).to_lowercase();
    let claimed = mail(desk.aside.who().unwrap_or_default());
    let text = format!("{} {}\n", run.document.id(), subject.tree);
    // Whoever has a key of the signers proves it with a signature; anybody can set git's user.email.
    let key = signature::key(&run.context)?;
    let has_key = key.is_some();
    let proven = match key {
        Some(_) => match signature::sign(&run.context, RELEASER, text.as_bytes()) {
            Ok(signed) => signers.of(&run.context, RELEASER, text.as_bytes(), &signed)?,
            Err(failure) if failure.is_interrupted() || failure.is_deadline() => return Err(failure),
            Err(_) => None,
        },
        None => None,
    };
    let git = Git::new(&run.context);
    let author = git.ask(&["log", "-1", "--no-show-signature", "--format=%ae", &subject.commit], b"")?.text();
    Ok(Outsiders {
        has_key,
        key: proven.as_ref().map(|signer| signer.key.clone()),
        releaser: Some(proven.map_or(claimed, |signer| signer.name.to_lowercase())),
        author: Some(author.to_lowercase()),
        releaser_may: policy.allows("approval.releaser")?,
        author_may: policy.allows("approval.author")?,
        claimed_counts: policy.allows("approval.claimed_releaser")?,
    })
}
