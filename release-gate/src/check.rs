//! `--check` of the gates: each that is on is asked for something that is there in any case, so that a wrong address, key or right is found before
//! a release needs it.

use facts::{GATES, Verdict};
use jiff::Timestamp;
use step::{Context, Failure};

use crate::asked::Desk;
use crate::policy::Policy;
use crate::{checklist, ci, cluster, signature, window};

/// One line for each gate that is on; what cannot be asked is the failure, with a line for each.
pub fn check(context: &Context) -> Result<Vec<String>, Failure> {
    if Policy::is_known_to_be_empty(context)? {
        return Ok(Vec::new());
    }
    let desk = Desk::open(context, None)?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for gate in GATES.into_iter().filter(|gate| desk.policy.is_on(gate)) {
        match one(context, &desk, gate)? {
            Ok(said) => good.push(format!("{gate}: {said}")),
            Err((why, is_passing)) => bad.push((format!("{gate}: {why}"), is_passing)),
        }
    }
    if bad.is_empty() {
        return Ok(good);
    }
    let message = format!("{} of the gates that are on cannot be asked", bad.len());
    let is_passing = bad.iter().all(|(_, is_passing)| *is_passing);
    let failure = if is_passing {
        Failure::temporary("gate-unknown", message)
    } else {
        Failure::config("gate-unknown", message)
    };
    Err(bad.into_iter().map(|(line, _)| line).chain(good).fold(failure, Failure::cause))
}

/// What can be said of a gate, or why it cannot be asked, and whether that may pass.
type Asked = Result<String, (String, bool)>;

fn one(context: &Context, desk: &Desk, gate: &str) -> Result<Asked, Failure> {
    match gate {
        "ci" => ci::check(context, &desk.policy),
        "checklist" => checklist::check(context),
        "cluster" => {
            let finding = cluster::look(context, &desk.policy)?;
            Ok(match finding.verdict {
                Verdict::Unknown(why) => Err((why, finding.is_passing)),
                _ => Ok(finding.said()),
            })
        }
        "window" => window::look(&desk.policy, Timestamp::now()).map(|finding| Ok(finding.said())),
        "tests" => signed(context, desk, "evidence_signers"),
        _ => signed(context, desk, "allowed_signers"),
    }
}

/// Whether anybody's signature can count, and whether anything can be signed here.
fn signed(context: &Context, desk: &Desk, file: &str) -> Result<Asked, Failure> {
    let is_unsigned = file == "evidence_signers" && desk.policy.allows("unsigned_evidence")?;
    if !is_unsigned && desk.policy.file(&desk.aside, file)?.is_none() {
        let path: String = desk.policy.theirs().value(file)?;
        let why = format!(
            "the production branch of {} has no {path}, so nobody's signature counts",
            desk.aside.remote()
        );
        return Ok(Err((why, false)));
    }
    let key = signature::key(context)?;
    Ok(Ok(if key.is_some() {
        "signatures can be checked and made here"
    } else {
        "signatures can be checked here; no key makes any (signing_key)"
    }
    .to_owned()))
}
