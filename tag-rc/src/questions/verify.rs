//! `verify TAG`: who made it, when, whether the signature holds, on which branches of the remote it is, and from which
//! candidate it came.

use serde_json::{Value, json};
use step::{Answer, Context, Failure};

use super::claims;
use crate::args::Strategy;
use crate::git::{Aside, Git, Repo, Signature, TagObject};
use crate::message::{self, Trailers, printable};
use crate::name::short;
use crate::name::{self, Name};
use crate::promotion::Proof;
use crate::remote::{Remote, Tag};
use crate::seen::Warning;

/// Everything that was found out about a tag.
struct Found {
    tag: Tag,
    object: TagObject,
    trailers: Trailers,
    /// What its message claims and the remote does not bear out.
    claims: Vec<(&'static str, String)>,
    signature: Option<Signature>,
    branches: Vec<String>,
    /// A cut-off history may hide branches.
    shallow: bool,
    proof: Proof,
    /// What stands under the name here, if it is something else.
    here: Option<TagObject>,
    /// What else a person should know of where the remote is.
    note: Option<String>,
}

impl Found {
    /// The tag here is only a name for the commit that the remote's tag leads to: CI lays it so (actions/checkout on a tag).
    fn is_laid_by_ci(&self) -> bool {
        self.here.as_ref().is_some_and(|here| here.object == here.commit && here.commit == self.tag.commit)
    }
}

/// Asks the remote and judges.
pub fn answer(context: &Context, remote: &str, tag: &str, require_signed: bool) -> Result<Answer, Failure> {
    let name = tag.strip_prefix("refs/tags/").unwrap_or(tag);
    let (repo, git) = crate::here(context, remote)?;
    let remote = git.look()?;
    let Some(there) = remote.tags.get(name).cloned() else { return Err(absent(&git, &repo, &remote, name)) };
    let aside = fetch(&git, &repo, &remote, &there)?;
    if let Some(aside) = &aside {
        repo.see(aside)?;
    }
    let found = find(context, &git, &repo, &remote, there, aside.as_ref())?;
    let required = require_signed || context.settings.value::<bool>("require_signed")?;
    let (problems, warnings) = (problems(&found, required), warnings(&found));
    warnings.iter().for_each(|(_, warning)| context.voice.warn(warning));
    let answer = Answer::new(text(&found, &problems), value(&found, &problems, &warnings));
    Ok(match problems.first() {
        Some((reason, problem)) => answer.but(Failure::refused(reason, problem.clone())),
        None => answer,
    })
}

fn absent(git: &Git, repo: &Repo, remote: &Remote, name: &str) -> Failure {
    let here = matches!(repo.tag(name), Ok(Some(_)));
    let but = if here { "; it is only here" } else { "" };
    let message = format!("{} has no tag {}{but}", git.remote(), printable(name));
    if let Some(tag) = meant(remote, name) {
        let message = format!("{message}; did you mean {}?", printable(&tag.name));
        return Failure::refused("tag-missing", message).command(["tag-rc", "verify", &tag.name]);
    }
    let Some(name) = Name::parse(name) else {
        return Failure::refused("tag-missing", message).next("tag-rc list");
    };
    let version = name.version();
    let message = match last_candidate(remote, version) {
        Some(last) => format!("{message}; the last candidate of {version} is {}", last.name),
        None => message,
    };
    Failure::refused("tag-missing", message).command(["tag-rc", "list", &version.to_string()])
}

/// The tag that was meant: the same written otherwise, or, where the name is no version, one that is written nearly so. Another version,
/// or a candidate for its final, is not what was meant.
fn meant<'r>(remote: &'r Remote, name: &str) -> Option<&'r Tag> {
    match Name::parse(name) {
        Some(Name::Final(version)) => return remote.final_of(&version),
        Some(Name::Candidate(version, _, number)) => {
            return remote.candidates(&version).into_iter().find(|c| c.number == number).map(|c| c.tag);
        }
        _ => {}
    }
    let score = |tag: &&Tag| strsim::jaro_winkler(name::bare(name), name::bare(&tag.name));
    remote.tags.values().max_by(|a, b| score(a).total_cmp(&score(b))).filter(|tag| score(tag) > 0.85)
}

fn last_candidate<'r>(remote: &'r Remote, version: &semver::Version) -> Option<&'r Tag> {
    remote.candidates(version).last().map(|c| c.tag)
}

/// The tag, its candidate and the tips of all branches, as far as they are not here.
fn fetch(git: &Git, repo: &Repo, remote: &Remote, tag: &Tag) -> Result<Option<Aside>, Failure> {
    let mut refs = Vec::new();
    if !repo.objects.has(&tag.object) {
        refs.push(format!("refs/tags/{}", tag.name));
    }
    if !repo.is_shallow() {
        let candidates = candidate(remote, tag).into_iter().chain(claims::named(remote, tag));
        let missing = candidates.filter(|c| !repo.objects.has(&c.commit));
        refs.extend(missing.map(|c| format!("refs/tags/{}", c.name)));
        let heads = remote.heads.iter().filter(|(_, tip)| !repo.objects.has(tip));
        refs.extend(heads.map(|(branch, _)| format!("refs/heads/{branch}")));
    }
    if refs.is_empty() { Ok(None) } else { git.fetch_aside(&repo.objects_folder(), &refs).map(Some) }
}

/// The last candidate of a final.
fn candidate<'a>(remote: &'a Remote, tag: &Tag) -> Option<&'a Tag> {
    let Some(Name::Final(version)) = Name::parse(&tag.name) else { return None };
    last_candidate(remote, &version)
}

fn find(
    context: &Context,
    git: &Git,
    repo: &Repo,
    remote: &Remote,
    tag: Tag,
    aside: Option<&Aside>,
) -> Result<Found, Failure> {
    let object = repo.objects.tag(&tag.object)?;
    let text = object.message.clone().unwrap_or_default();
    let signed = message::unsigned(&text).1;
    let signature = signed.then(|| git.verify(&tag.object, &repo.objects_folder(), aside)).transpose()?;
    let on =
        |tip: &String| repo.objects.has(tip) && repo.objects.is_ancestor(&tag.commit, tip).unwrap_or(false);
    let mut branches: Vec<String> =
        remote.heads.iter().filter(|(_, tip)| on(tip)).map(|(b, _)| b.clone()).collect();
    let strategy = Strategy::read(context)?;
    let stations = [&strategy.main, &strategy.staging, &strategy.develop];
    let rank = |branch: &String| stations.iter().position(|s| *s == branch).unwrap_or(stations.len());
    branches.sort_by_key(rank);
    let here = repo.tag(&tag.name)?.filter(|here| here.object != tag.object);
    let trailers = message::trailers(&text);
    Ok(Found {
        claims: claims::untrue(repo, remote, &tag, &trailers),
        trailers,
        proof: proof(context, repo, remote, &tag)?,
        shallow: repo.is_shallow(),
        object,
        signature,
        branches,
        note: git.note(),
        here,
        tag,
    })
}

fn proof(context: &Context, repo: &Repo, remote: &Remote, tag: &Tag) -> Result<Proof, Failure> {
    let Some(candidate) = candidate(remote, tag) else { return Ok(Proof::NoCandidate) };
    if !repo.objects.has(&candidate.commit) || !repo.objects.has(&tag.commit) {
        return Ok(Proof::Shallow(candidate.name.clone()));
    }
    let allowed = context.settings.list("may_differ")?;
    let (differs, permitted) = repo.objects.differences(&candidate.commit, &tag.commit, &allowed)?;
    match repo.objects.mode(&candidate.commit, &tag.commit) {
        Err(_) if repo.is_shallow() => Ok(Proof::Shallow(candidate.name.clone())),
        mode => Ok(Proof::Compared { candidate: candidate.name.clone(), mode: mode?, differs, permitted }),
    }
}

/// What is not sound, the worst first.
fn problems(found: &Found, require_signed: bool) -> Vec<(&'static str, String)> {
    let name = &found.tag.name;
    let mut all = Vec::new();
    if let Some(here) = found.here.as_ref().filter(|_| !found.is_laid_by_ci()) {
        all.push((
            "tag-differs",
            format!("{name} is another object here ({}) than on the remote", short(&here.object)),
        ));
    }
    match &found.signature {
        // Unless it is required, a signature by a key that is not known here is no evidence against the tag.
        Some(signature) if !signature.good && (require_signed || bad(signature)) => {
            all.push(("signature", format!("the signature of {name} is not proven: {}", signature.said)));
        }
        None if require_signed => all.push(("unsigned", format!("{name} is not signed"))),
        _ => {}
    }
    if let Proof::Compared { candidate, differs, .. } = &found.proof
        && !differs.is_empty()
    {
        let text = format!("{name} is not what {candidate} was: {}", differs.join(", "));
        all.push(("not-the-candidate", text));
    }
    all.extend(found.claims.iter().cloned());
    if found.branches.is_empty() && !found.shallow {
        all.push(("no-branch", format!("{name} is on no branch of the remote")));
    }
    all
}

/// What does not speak against the tag.
fn warnings(found: &Found) -> Vec<Warning> {
    let mut all: Vec<Warning> = found.note.iter().map(|note| ("remote-apart", note.clone())).collect();
    if found.is_laid_by_ci() {
        let text = format!(
            "{} is only a name for the commit here, as actions/checkout lays it; the remote's tag leads to the same commit, and that is what is shown",
            found.tag.name
        );
        all.push(("lightweight-here", text));
    }
    if found.tag.is_lightweight() {
        all.push((
            "lightweight-tag",
            format!("{} is a lightweight tag on the remote: nobody signs for it", found.tag.name),
        ));
    }
    all
}

fn bad(signature: &Signature) -> bool {
    signature.said.to_ascii_lowercase().starts_with("bad signature")
        || signature.said.contains("incorrect signature")
}

fn text(found: &Found, problems: &[(&str, String)]) -> String {
    let mut lines = vec![format!("{} is at {} on the remote", found.tag.name, short(&found.tag.commit))];
    let who = found.object.tagger.as_deref();
    lines.push(match (who, when(found)) {
        (Some(who), Some(when)) => format!("made by {who}, {when}"),
        _ => "a lightweight tag: it does not say who made it or when".to_owned(),
    });
    lines.push(match &found.signature {
        Some(signature) => printable(&signature.said),
        None => "not signed".to_owned(),
    });
    let branches = if found.branches.is_empty() {
        "no branch that is known here".to_owned()
    } else {
        found.branches.join(", ")
    };
    let cut = if found.shallow { " (the history here is cut off: there may be more)" } else { "" };
    lines.push(format!("on {branches}{cut}"));
    let claims = [
        ("its message says: from", &found.trailers.candidate),
        ("its message says: without a candidate:", &found.trailers.no_candidate),
        ("its message says: a hotfix of", &found.trailers.base),
        ("its message says: built on something else too:", &found.trailers.other_base),
        ("its message says: run", &found.trailers.run),
    ];
    lines.extend(
        claims.iter().filter_map(|(word, claim)| Some(format!("{word} {}", printable(claim.as_ref()?)))),
    );
    lines.extend(
        found.trailers.waived.iter().map(|waived| format!("its message says: waived: {}", printable(waived))),
    );
    lines.extend(problems.iter().map(|(_, problem)| format!("NOT SOUND: {problem}")));
    lines.join("\n")
}

fn when(found: &Found) -> Option<String> {
    let seconds = found.object.seconds?;
    jiff::Timestamp::from_second(seconds).ok().map(|t| t.to_string())
}

fn value(found: &Found, problems: &[(&str, String)], warnings: &[Warning]) -> Value {
    let listed = |all: &[(&str, String)]| -> Vec<Value> {
        all.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect()
    };
    let kind = match Name::parse(&found.tag.name) {
        Some(Name::Final(_)) => "final",
        Some(Name::Candidate(..)) => "candidate",
        _ => "other",
    };
    let mut value = json!({
        "tag": found.tag.name, "kind": kind, "commit": found.tag.commit, "object": found.tag.object,
        "annotated": found.object.message.is_some(), "branches": found.branches, "history_cut_off": found.shallow,
        "problems": listed(problems), "warnings": listed(warnings),
    });
    let signature = found.signature.as_ref().map(|s| json!({ "good": s.good, "said": s.said }));
    let optional = [
        ("tagger", found.object.tagger.clone().map(Value::from)),
        ("tagged_at", when(found).map(Value::from)),
        ("signature", signature),
        ("run", found.trailers.run.clone().map(Value::from)),
        ("no_candidate", found.trailers.no_candidate.clone().map(Value::from)),
        ("promotion", found.proof.to_value()),
        ("base", found.trailers.base.clone().map(Value::from)),
        ("other_base", found.trailers.other_base.clone().map(Value::from)),
        ("here", found.here.as_ref().map(|here| here.object.clone().into())),
    ];
    for (key, it) in optional.into_iter().filter_map(|(key, it)| Some((key, it?))) {
        value[key] = it;
    }
    value
}
