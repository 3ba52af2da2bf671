//! `release-gate approve`: shows what would be approved, asks, and puts a signed statement at the end of the chain. What is approved is what
//! the remote has.

use std::hash::{BuildHasher, RandomState};

use git_program::Aside;
use jiff::Timestamp;
use serde_json::json;
use step::{Answer, Context, Failure, Outcome, Run};

use super::chain::{self, Chain};
use super::statement::{Kind, SCHEMA, Shipped, Statement};
use super::{product, roles, shipped};
use crate::args::Approve;
use crate::asked::{BRANCHES, Desk};
use crate::gate::Subject;
use crate::signature::{self, Signers};

/// So many lines of what settings are new are shown.
const DIFF: usize = 40;

/// Carries it out.
pub fn approve(run: &mut Run, wish: &Approve) -> Result<Outcome, Failure> {
    let tag = candidate(run, wish)?;
    let statement = {
        let desk = Desk::of_candidate(&run.context, wish.branch.as_deref())?;
        let chain = known(run, &desk)?;
        let by = me(run, &desk)?;
        match &wish.revoke {
            Some(id) => revocation(&chain, &by, id)?,
            None => {
                let shipped = what(run, &desk, wish, &tag)?;
                let statement = of(&desk, wish, by, shipped)?;
                if let Some(outcome) = said_already(&chain, &statement, &tag)? {
                    return Ok(outcome);
                }
                statement
            }
        }
    };
    let words = said(&statement, &tag);
    let Some(permit) = run.permit() else {
        return Ok(Outcome::planned(format!("would sign and publish: {words}")));
    };
    let next = step::shell::command(command(run, wish, &tag));
    run.context.confirm(&words, &tag, wish.confirm.as_deref(), &next)?;
    let aside = crate::asked::aside(&run.context)?;
    let head = chain::append(&run.context, &permit, (&aside, &product(&run.context)?), &statement)?;
    is_there(run, &aside, &statement)?;
    Ok(Outcome::changed(format!("{words}; its number is {}", statement.id))
        .output("id", statement.id)
        .output("head", head))
}

/// The candidate's tag; of a fix that was never one the version as a tag.
fn candidate(run: &Run, wish: &Approve) -> Result<String, Failure> {
    let text = wish.candidate.trim_start_matches('v');
    let (version, number) =
        text.split_once("-rc").map_or((text, None), |(version, number)| (version, Some(number)));
    let is_number = number.is_some_and(|n| {
        !n.trim_start_matches('.').is_empty() && n.trim_start_matches('.').bytes().all(|b| b.is_ascii_digit())
    });
    let wrong =
        |why: &str| Failure::usage("candidate", format!("{}: {why}", step::excerpt(&wish.candidate, 60)));
    if wish.branch.as_deref().is_some_and(|branch| !is_branch(branch)) {
        return Err(wrong("--branch is the name of a branch, such as hotfix/prices"));
    }
    match (&wish.branch, number) {
        (None, None) => {
            return Err(wrong(
                "a candidate is a tag such as v1.2.0-rc2; a fix is named by --branch and its version",
            ));
        }
        (None, Some(_)) if !is_number => return Err(wrong("a candidate is a tag such as v1.2.0-rc2")),
        (Some(_), Some(_)) => {
            return Err(wrong("with --branch it is the version that the fix will have, such as 1.2.1"));
        }
        _ => {}
    }
    if let Some(other) = run.context.release.as_deref().filter(|release| *release != version) {
        return Err(wrong(&format!("it is no candidate of {other}")));
    }
    Ok(format!("v{text}"))
}

/// Whether a text can be a branch's name in a refspec.
fn is_branch(name: &str) -> bool {
    name.split('/').all(git_program::aside::is_word)
}

/// What was said so far, which must go on from what this clone has seen.
fn known(run: &Run, desk: &Desk) -> Result<Chain, Failure> {
    let product = product(&run.context)?;
    let chain =
        Chain::read(&run.context, &desk.aside, &product)?.map_err(|why| Failure::refused("chain", why))?;
    chain::remember(&desk.aside, &product, &chain.head)?;
    Ok(chain)
}

/// What is to be released, as it is shown to the person who signs it.
fn what(run: &Run, desk: &Desk, wish: &Approve, tag: &str) -> Result<Shipped, Failure> {
    let environment = run.context.environment()?;
    if wish.reject.is_none() && !desk.policy.is_on("approval") {
        let message = format!(
            "no approvals are asked for in {environment}: set approvals in [environment.{environment}.release-gate]"
        );
        return Err(Failure::config("gate-off", message));
    }
    let (name, kind) = match &wish.branch {
        Some(branch) => (format!("{BRANCHES}{branch}"), format!("branch {branch}")),
        None => (format!("refs/tags/{tag}"), format!("tag {tag}")),
    };
    let missing = |_| Failure::usage("candidate", format!("{} has no {kind}", desk.aside.remote()));
    let subject = Subject::named(desk.aside.git(), &name).map_err(missing)?;
    let shipped = shipped(run, desk, &subject, Some(tag))?;
    show(run, desk, &subject, &shipped)?;
    Ok(shipped)
}

/// The statement that takes another one of the same person back, by the beginning of its number.
fn revocation(chain: &Chain, by: &str, id: &str) -> Result<Statement, Failure> {
    let own = |one: &&Statement| one.by == by && one.kind != Kind::Revoke;
    let is_back = |one: &Statement| {
        chain.statements.iter().any(|other| other.of.as_ref() == Some(&one.id) && other.by == by)
    };
    let found: Vec<&Statement> =
        chain.statements.iter().filter(|one| !id.is_empty() && one.id.starts_with(id)).collect();
    let refused = |why: String| Err(Failure::usage("number", why));
    match found[..] {
        [one] if one.by != by => refused(format!("{} is of {}, who alone can take it back", one.id, one.by)),
        [one] if one.kind == Kind::Revoke => {
            refused(format!("{} takes something back itself: say it anew instead", one.id))
        }
        [one] if is_back(one) => refused(format!("{} was taken back already", one.id)),
        [one] => Ok(Statement { of: Some(one.id.clone()), ..empty(Kind::Revoke, by.to_owned()) }),
        [] => {
            let yours =
                chain.statements.iter().filter(own).filter(|one| !is_back(one)).map(|one| one.id.as_str());
            let yours = yours.collect::<Vec<_>>().join(", ");
            let yours = if yours.is_empty() {
                "you have said nothing that counts".to_owned()
            } else {
                format!("yours are {yours}")
            };
            refused(format!("there is no statement {}; {yours}", step::excerpt(id, 20)))
        }
        _ => refused(format!("{id} is the beginning of several numbers: write more of it")),
    }
}

/// Somebody who has said it needs not say it again; what is rejected is not approved besides.
fn said_already(chain: &Chain, statement: &Statement, tag: &str) -> Result<Option<Outcome>, Failure> {
    let is_back = |one: &Statement| {
        chain.statements.iter().any(|other| other.of.as_ref() == Some(&one.id) && other.by == one.by)
    };
    let of_it = |one: &&Statement| one.shipped == statement.shipped && !is_back(one);
    let rejection = chain.statements.iter().filter(of_it).find(|one| one.kind == Kind::Reject);
    if let (Some(rejection), Kind::Approve) = (rejection, statement.kind) {
        let why = rejection.reason.as_deref().unwrap_or_default();
        let message = format!("{} has rejected {tag}: \"{why}\"; a new candidate must be made", rejection.by);
        return Err(Failure::refused("rejected", message));
    }
    let same =
        |one: &&Statement| one.kind == statement.kind && one.by == statement.by && one.role == statement.role;
    let known = chain.statements.iter().filter(of_it).find(same);
    Ok(known.map(|known| {
        Outcome::unchanged(format!(
            "{}, since {}; its number is {}",
            said(known, tag),
            seconds(known.at),
            known.id
        ))
        .output("id", known.id.clone())
    }))
}

/// An instant as people read it.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn said(statement: &Statement, tag: &str) -> String {
    let by = &statement.by;
    match statement.kind {
        Kind::Approve => format!("{by} approves {tag} as {}", statement.role.as_deref().unwrap_or("nobody")),
        Kind::Reject => {
            format!("{by} rejects {tag} for good (\"{}\")", statement.reason.as_deref().unwrap_or_default())
        }
        Kind::Revoke => format!("{by} takes back {}", statement.of.as_deref().unwrap_or_default()),
    }
}

/// The command that confirms exactly this.
fn command(run: &Run, wish: &Approve, tag: &str) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let mut words =
        own(&["rilis-approve", "--env", run.context.environment.as_deref().unwrap_or("production")]);
    for (name, value) in [("--as", &wish.role), ("--reject", &wish.reject), ("--revoke", &wish.revoke)] {
        if let Some(value) = value {
            words.extend(own(&[name, value]));
        }
    }
    if let Some(branch) = &wish.branch {
        words.extend(own(&["--branch", branch]));
    }
    words.extend(own(&["--confirm", tag, tag]));
    words
}

/// The statement that was asked for.
fn of(desk: &Desk, wish: &Approve, by: String, shipped: Shipped) -> Result<Statement, Failure> {
    let shipped = Some(shipped);
    Ok(match &wish.reject {
        Some(reason) => Statement { reason: Some(reason.clone()), shipped, ..empty(Kind::Reject, by) },
        None => Statement { role: Some(role(desk, wish, &by)?), shipped, ..empty(Kind::Approve, by) },
    })
}

fn empty(kind: Kind, by: String) -> Statement {
    let at = Timestamp::now();
    // The standard library seeds its hasher from the system's random source: enough for a name, and no crate.
    let id = format!("{:016x}", RandomState::new().hash_one(at.as_nanosecond()));
    Statement { schema: SCHEMA, kind, id, role: None, by, at, reason: None, of: None, shipped: None }
}

/// Who signs here, by the name in the file of allowed signers: found out by a signature, as everybody else will.
fn me(run: &Run, desk: &Desk) -> Result<String, Failure> {
    let path: String = desk.policy.theirs().value("allowed_signers")?;
    let missing = || {
        let message = format!(
            "the production branch of {} has no {path}: write it (man ssh-keygen, ALLOWED SIGNERS), commit it, and bring it there",
            desk.aside.remote()
        );
        Failure::config("no-signers", message)
    };
    let allowed = desk.policy.file(&desk.aside, "allowed_signers")?.ok_or_else(missing)?;
    let revoked = desk.policy.revoked(&desk.aside)?;
    let text = run.document.id().as_bytes().to_vec();
    let signed = signature::sign(&run.context, chain::APPROVAL, &text)?;
    let signer =
        Signers::new(&allowed, revoked.as_deref())?.of(&run.context, chain::APPROVAL, &text, &signed)?;
    signer.map(|signer| signer.name).ok_or_else(|| {
        let message = format!(
            "your key is none that {path} on the production branch of {} lists, or it counts no more: ask for its public half to be added there",
            desk.aside.remote()
        );
        Failure::refused("not-a-signer", message)
    })
}

/// The role in which somebody approves: the one that was said, else the only one that the person has.
fn role(desk: &Desk, wish: &Approve, by: &str) -> Result<String, Failure> {
    let roles = roles(&desk.policy)?;
    let by = by.to_lowercase();
    let own: Vec<&String> =
        roles.iter().filter(|(_, names)| names.contains(&by)).map(|(role, _)| role).collect();
    match (&wish.role, &own[..]) {
        (Some(role), own) if own.contains(&role) => Ok(role.clone()),
        (None, [only]) => Ok((*only).clone()),
        (_, []) => {
            let message = format!(
                "roles of the production branch give {by} no role: write it into [release-gate.roles] there"
            );
            Err(Failure::refused("no-role", message))
        }
        (wanted, own) => {
            let names = own.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(
                "role",
                match wanted {
                    Some(wanted) => format!("{by} has not the role {wanted}, but {names}"),
                    None => format!("{by} has the roles {names}: choose one with --as"),
                },
            ))
        }
    }
}

/// What would be approved, for the person who signs it.
fn show(run: &Run, desk: &Desk, subject: &Subject, shipped: &Shipped) -> Result<(), Failure> {
    let images =
        if shipped.images.is_empty() { "not known by digest".to_owned() } else { shipped.images.join(", ") };
    let migrations = match shipped.migrations.files.len() {
        0 => "none".to_owned(),
        count => format!("{count}, {}: {}", shipped.migrations.class, shipped.migrations.files.join(", ")),
    };
    let mut lines = vec![
        format!("{} {} goes to {}", shipped.product, shipped.version, shipped.environment),
        format!("candidate   {}, commit {}", shipped.tag, subject.short()),
        format!("tree        {}", shipped.tree),
        format!("image       {images}"),
        format!("migrations  {migrations}"),
        format!("checklist   {}", checklist(run, desk, subject, &shipped.tag)),
    ];
    lines.extend(settings(desk, subject)?);
    run.context.voice.block(&step::plain(&lines.join("\n")));
    Ok(())
}

/// What is still open in QA's list, where it can be asked.
fn checklist(run: &Run, desk: &Desk, subject: &Subject, tag: &str) -> String {
    if !desk.policy.is_on("checklist") {
        return "none is asked for".to_owned();
    }
    match crate::checklist::look(&run.context, &desk.policy, subject, tag) {
        Ok(finding) => finding.said(),
        Err(failure) => format!("not asked: {}", failure.message),
    }
}

/// How the settings differ from those of the production branch.
fn settings(desk: &Desk, subject: &Subject) -> Result<Vec<String>, Failure> {
    let Some(policy) = &desk.policy.commit else { return Ok(Vec::new()) };
    let words = [
        "diff",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--unified=0",
        policy,
        &subject.commit,
        "--",
        "*release.toml",
        ":(glob)**/.rilis/**",
    ];
    let text = desk.aside.git().ask(&words, b"")?.text();
    let is_change =
        |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---");
    let all: Vec<String> = text.lines().filter(is_change).map(|line| step::excerpt(line, 160)).collect();
    let head = if all.is_empty() {
        "settings    as on the production branch"
    } else {
        "settings    differ from the production branch (- there, + here):"
    };
    let surplus = all.len().saturating_sub(DIFF);
    let more = (surplus > 0).then(|| format!("and {surplus} more lines"));
    Ok(std::iter::once(head.to_owned()).chain(all.into_iter().take(DIFF)).chain(more).collect())
}

/// What was pushed is asked for again.
fn is_there(run: &Run, aside: &Aside, statement: &Statement) -> Result<(), Failure> {
    aside.fetch(&[&chain::spec()])?;
    let chain = Chain::read(&run.context, aside, &product(&run.context)?)?
        .map_err(|why| Failure::failed("chain", why))?;
    if chain.statements.contains(statement) {
        return Ok(());
    }
    Err(Failure::failed("not-stored", "the remote does not have what was signed; run it again")
        .acted(step::Acted::Unknown))
}

/// All statements that are about a candidate, or all there are.
pub fn list(context: &Context, candidate: &str) -> Result<Answer, Failure> {
    let desk = Desk::open(context, None)?;
    let product = product(context)?;
    let chain = Chain::read(context, &desk.aside, &product)?.map_err(|why| Failure::refused("chain", why))?;
    chain::remember(&desk.aside, &product, &chain.head)?;
    let wanted = (!candidate.is_empty()).then(|| format!("v{}", candidate.trim_start_matches('v')));
    let is_wanted = |one: &&Statement| {
        let tag = one.shipped.as_ref().map(|shipped| &shipped.tag);
        wanted.as_ref().is_none_or(|wanted| tag.is_none_or(|tag| tag == wanted))
    };
    let all: Vec<&Statement> = chain.statements.iter().filter(is_wanted).collect();
    let line = |one: &&Statement| {
        let tag = one.shipped.as_ref().map_or("", |shipped| shipped.tag.as_str());
        let is_back =
            chain.statements.iter().any(|other| other.of.as_ref() == Some(&one.id) && other.by == one.by);
        let back = if is_back { " (taken back)" } else { "" };
        format!("{}  {}  {}{back}", seconds(one.at), one.id, said(one, tag))
    };
    let text = if all.is_empty() {
        let what = wanted.as_ref().map(|tag| format!("of {tag} ")).unwrap_or_default();
        format!("nothing {what}was approved or rejected yet")
    } else {
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    Ok(Answer::new(step::plain(&text), json!(all)))
}
