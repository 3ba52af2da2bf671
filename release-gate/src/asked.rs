//! A gate as a step: what it is about, the policy, the answer, and what becomes of the run.

use facts::{GATES, Gate, Waiver};
use git_program::{Aside, Git};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use step::{Context, Failure, Outcome, Procedure, Run};

use crate::approval::{self, chain};
use crate::args::{Asked, Command};
use crate::evidence::store;
use crate::gate::{Finding, Subject, Terms, judge};
use crate::policy::Policy;
use crate::{checklist, ci, cluster, contents, suites, window};

/// What was looked at so recently is not fetched once more.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// The releases and candidates that the remote has.
const TAGS: &str = "+refs/tags/v*:refs/tags/v*";

/// Where branches of the remote lie.
pub const BRANCHES: &str = "refs/branch/";

/// What the remote has for the gates: the policy, the evidence and the approvals.
pub struct Desk<'a> {
    pub aside: Aside<'a>,
    pub policy: Policy,
}

impl<'a> Desk<'a> {
    /// Asks the remote, in one conversation.
    pub fn open(context: &'a Context, subject: Option<&Subject>) -> Result<Self, Failure> {
        let aside = aside(context)?;
        let policy = Policy::spec(context)?;
        let evidence = subject.map(|subject| store::spec(&subject.tree));
        let chains = chain::spec();
        let specs: Vec<&str> =
            [policy.as_str(), &chains, TAGS].into_iter().chain(evidence.as_deref()).collect();
        aside.fetch(&specs)?;
        Desk::known(context, aside)
    }

    /// The same with the tags of the remote, and a branch: what somebody approves need not be in this clone.
    pub fn of_candidate(context: &'a Context, branch: Option<&str>) -> Result<Self, Failure> {
        let aside = aside(context)?;
        let branch = branch.map(|branch| format!("+refs/heads/{branch}*:{BRANCHES}{branch}*"));
        let (policy, chains) = (Policy::spec(context)?, chain::spec());
        let fixed = [policy.as_str(), &chains, TAGS];
        aside.fetch(&fixed.into_iter().chain(branch.as_deref()).collect::<Vec<_>>())?;
        Desk::known(context, aside)
    }

    /// The same as it was last brought.
    fn known(context: &'a Context, aside: Aside<'a>) -> Result<Self, Failure> {
        let policy = Policy::read(context, &aside)?;
        Ok(Desk { aside, policy })
    }
}

/// Where what the remote has for the gates lies here.
pub fn aside(context: &Context) -> Result<Aside<'_>, Failure> {
    Aside::open(context, &context.settings.value::<String>("remote")?, "gates")
}

/// Carries a gate out.
pub fn ask(run: &mut Run, command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::Gates => gates(run),
        Command::Contents => contents::tell(run),
        Command::Still => still(run),
        Command::Ci { asked, .. }
        | Command::Tests { asked }
        | Command::Checklist { asked, .. }
        | Command::Approval { asked }
        | Command::Window { asked }
        | Command::Cluster { asked } => one(run, command, asked),
        _ => Err(Failure::bug("this is no gate")),
    }
}

/// Which gates are on, by both policies. What the remote has is brought for all of them.
fn gates(run: &mut Run) -> Result<Outcome, Failure> {
    if Policy::is_known_to_be_empty(&run.context)? {
        let off = json!({ "on": [], "record_only": [], "off": GATES, "at": Timestamp::now().to_string() });
        run.set("gates", off)?;
        return Ok(Outcome::unchanged("no gate is asked: [release-gate] names none"));
    }
    let subject = Subject::of(run, None)?;
    let (policy, note, loosened) = {
        let desk = Desk::open(&run.context, Some(&subject))?;
        (desk.policy.clone(), desk.policy.note.clone(), desk.policy.loosened())
    };
    let mut lists: [Vec<&str>; 3] = Default::default();
    let asks = asked_by(&run.document.procedure());
    for gate in GATES {
        let place = if !policy.is_on(gate) || !asks.contains(&gate) {
            2
        } else {
            usize::from(is_recorded(&policy, gate)?)
        };
        lists[place].push(gate);
    }
    let [on, recorded, off] = &lists;
    let part =
        |what: &str, names: &[&str]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
    let parts = [part("on", on), part("only recorded", recorded), part("off", off)];
    let said = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let at = Timestamp::now().to_string();
    let mut fact = json!({ "on": on, "record_only": recorded, "off": off, "at": at });
    if let Some(commit) = policy.commit {
        fact["policy"] = json!(commit);
    }
    run.set("gates", fact)?;
    if let Some(note) = &note {
        run.context.voice.warn(note);
    }
    if !loosened.is_empty() {
        let names = loosened.join(", ");
        run.context.voice.warn(&format!(
            "release.toml here does not ask {names}, which the production branch does: asked all the same"
        ));
    }
    Ok(Outcome::unchanged(format!("gates: {said}")))
}

/// Whether a gate is only recorded; of the tests each name says so for itself.
fn is_recorded(policy: &Policy, gate: &str) -> Result<bool, Failure> {
    if gate == "tests" { suites::is_recorded(policy) } else { policy.allows(&format!("{gate}.record_only")) }
}

/// The gates that a procedure asks: a candidate is what QA and people look at, and a fix cannot wait for them.
fn asked_by(procedure: &Procedure) -> Vec<&'static str> {
    match procedure {
        Procedure::Candidate => vec!["ci", "tests", "checklist"],
        Procedure::Hotfix => vec!["ci", "approval"],
        _ => GATES.to_vec(),
    }
}

fn one(run: &mut Run, command: &Command, asked: &Asked) -> Result<Outcome, Failure> {
    let name = command.action().ok_or_else(|| Failure::bug("a gate without a name"))?;
    if name == "window" && matches!(run.document.procedure(), Procedure::Hotfix | Procedure::Rollback) {
        return Ok(Outcome::skipped("a fix and a rollback are never stopped by the calendar"));
    }
    let subject = Subject::of(run, asked.commit.as_deref())?;
    let is_about_code = !["window", "cluster"].contains(&name);
    let (finding, record_only, who) = {
        let desk = desk(run, &subject)?;
        if !desk.policy.is_on(name) {
            let table = if name == "approval" { "approvals" } else { name };
            let message = format!(
                "{name} is off: neither release.toml here nor that of the production branch has [release-gate.{table}]"
            );
            return Err(Failure::config("gate-off", message));
        }
        let finding = found(run, &desk, command, &subject)?;
        if let Some(head) = finding.details.get("head").and_then(|head| head.as_str()) {
            approval::remember(run, &desk, head)?;
        }
        let record_only = name != "tests" && is_recorded(&desk.policy, name)?;
        let finding = finding.detail("policy", desk.policy.place.clone());
        (finding, record_only, desk.aside.who().map(str::to_owned))
    };
    let waiver = asked.waive.as_ref().map(|reason| waiver(who, reason)).transpose()?;
    judge(run, name, is_about_code.then_some(&subject), &finding, Terms { record_only, waiver })
}

/// A waiver is somebody's.
fn waiver(who: Option<String>, reason: &str) -> Result<Waiver, Failure> {
    let nobody = || Failure::config("no-identity", "who waives it? set git's user.name and user.email");
    // Letters that nobody sees are no name.
    let is_name = |who: &String| step::reason(who.split(" <").next().unwrap_or_default()).is_ok();
    who.filter(is_name).map(|by| Waiver { by, reason: reason.to_owned() }).ok_or_else(nobody)
}

/// What the remote has, asked for anew unless this run has just done so.
fn desk<'a>(run: &'a Run, subject: &Subject) -> Result<Desk<'a>, Failure> {
    let gates: Option<serde_json::Value> = run.fact("gates")?;
    let at = gates.and_then(|gates| gates["at"].as_str()?.parse::<Timestamp>().ok());
    let is_fresh = at.is_some_and(|at| {
        let age = Timestamp::now().duration_since(at);
        age < FRESH && !age.is_negative()
    });
    if is_fresh {
        Desk::known(&run.context, aside(&run.context)?)
    } else {
        Desk::open(&run.context, Some(subject))
    }
}

fn found(run: &Run, desk: &Desk, command: &Command, subject: &Subject) -> Result<Finding, Failure> {
    let (context, policy) = (&run.context, &desk.policy);
    match command {
        Command::Ci { .. } if ci::is_by_git(policy)? => ci::signed::look(context, desk, subject),
        Command::Ci { wait, .. } => ci::look(context, policy, subject, *wait),
        Command::Tests { .. } => suites::look(run, desk, subject),
        Command::Checklist { asked, .. } => {
            checklist::look(context, policy, subject, &candidate(run, asked.candidate.as_deref())?)
        }
        Command::Window { .. } => window::look(policy, Timestamp::now()),
        Command::Cluster { .. } => cluster::look(context, policy),
        Command::Approval { asked } => approval::look(run, desk, subject, asked.candidate.as_deref()),
        _ => Err(Failure::bug("this gate is not asked")),
    }
}

/// The tag of the candidate that people have seen: what is named, what the document says was tested, or the last one here of the version.
pub fn candidate(run: &Run, named: Option<&str>) -> Result<String, Failure> {
    let with_v = |text: &str| format!("v{}", text.trim_start_matches('v'));
    if let Some(named) = named {
        return Ok(with_v(named));
    }
    let tested: Option<facts::Candidate> = run.fact("candidate")?;
    if let Some(version) = tested.and_then(|tested| tested.version) {
        return Ok(with_v(&version));
    }
    let tag: Option<String> = run.fact("tag")?;
    let said = tag.or_else(|| run.context.release.as_deref().map(with_v));
    let Some(said) = said else {
        let message = "which candidate? name it with --candidate, such as --candidate v1.2.0-rc1";
        return Err(Failure::usage("no-candidate", message));
    };
    if said.contains("-rc") {
        return Ok(said);
    }
    let git = Git::new(&run.context);
    let found = git.ask(
        &[
            "for-each-ref",
            "--sort=-version:refname",
            "--count=1",
            "--format=%(refname:short)",
            &format!("refs/tags/{said}-rc*"),
        ],
        b"",
    )?;
    let last = found.text();
    Ok(if last.is_empty() { said } else { last })
}

/// The gates that look at an instant, once more, and what ships must be what was judged.
fn still(run: &mut Run) -> Result<Outcome, Failure> {
    let subject = Subject::of(run, None)?;
    let mut again = Vec::new();
    for name in GATES {
        let Some(gate) = run.fact::<Gate>(name)? else { continue };
        if gate.tree.as_ref().is_some_and(|tree| *tree != subject.tree) {
            let message = format!(
                "{name} was asked about another tree than the one that ships ({}): begin again with --again",
                subject.short()
            );
            return Err(Failure::refused("other-tree", message));
        }
        if gate.verdict == "yes" && ["window", "approval", "cluster"].contains(&name) {
            again.push(name);
        }
    }
    if again.is_empty() {
        return Ok(Outcome::unchanged("no gate has to be asked once more"));
    }
    let asked = || Asked { commit: None, candidate: None, waive: None };
    let desk = Desk::open(&run.context, Some(&subject))?;
    let mut said = Vec::new();
    for name in again {
        let command = match name {
            "window" => Command::Window { asked: asked() },
            "approval" => Command::Approval { asked: asked() },
            _ => Command::Cluster { asked: asked() },
        };
        let finding = found(run, &desk, &command, &subject)?;
        if !finding.verdict.is_yes() && !is_recorded(&desk.policy, name)? {
            return Err(crate::gate::refusal(name, &finding));
        }
        said.push(format!("{name} {}", finding.verdict.word()));
    }
    Ok(Outcome::unchanged(format!("asked once more: {}", said.join(", "))))
}
