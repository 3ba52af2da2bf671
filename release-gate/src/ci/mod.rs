//! Whether a commit is green and reviewed, by what GitHub has seen of it. Green is what has succeeded by name: that nothing failed proves
//! nothing. Reviewed is every commit since the last final version. GitHub is asked with GET alone, and as rarely as it goes.

mod api;
mod checks;
mod green;
mod history;
mod pages;
mod pulls;
mod repository;
mod reviewed;
mod reviews;
pub mod signed;
mod trouble;

use std::collections::BTreeSet;
use std::time::Duration;

use api::Api;
use facts::Verdict;
use green::Source;
use reviewed::Reviewed;
use step::{Context, Failure};
use trouble::Stop;

use crate::gate::{Finding, Subject};
use crate::policy::Policy;

/// Branches that others are merged into, whoever has not named theirs.
const LONG_LIVED: [&str; 4] = ["main", "master", "staging", "develop"];
/// So much of what people must know is kept.
const NOTES: usize = 20;

/// What is asked for.
#[derive(Debug)]
pub struct Wanted {
    /// The names that must have succeeded.
    pub required: BTreeSet<String>,
    /// How many people must have approved each pull request.
    pub reviews: usize,
    /// Approvals of an earlier commit count.
    pub stale: bool,
    /// How long a check that is not over is waited for.
    pub wait: Duration,
    /// The environment's branch, whose rules GitHub is asked for.
    pub branch: String,
    /// Branches whose pull requests only carry what others have brought.
    pub long_lived: BTreeSet<String>,
}

impl Wanted {
    fn read(context: &Context, policy: &Policy, wait: Option<Duration>) -> Result<Self, Failure> {
        let settings = &context.settings;
        let required = policy.union("ci.required")?;
        let is_name =
            |name: &String| !step::plain_line(name).trim().is_empty() && !name.contains(char::is_control);
        if required.is_empty() || !required.iter().all(is_name) {
            let why = "name the checks that must have succeeded, as GitHub shows them, such as [\"lint\", \"unit\"]: that nothing has failed proves nothing";
            return Err(settings.wrong("ci.required", why));
        }
        let branches = ["staging", "production"]
            .into_iter()
            .filter_map(|name| settings.at(name).ok()?.shared("branch").ok()?);
        let branch = settings.shared("branch")?.unwrap_or_else(|| "main".to_owned());
        let long_lived = LONG_LIVED
            .iter()
            .map(|name| (*name).to_owned())
            .chain(branches)
            .chain([branch.clone()])
            .collect();
        Ok(Wanted {
            required,
            reviews: policy.least("ci.reviews")?.unwrap_or(1),
            stale: policy.allows("ci.stale")?,
            wait: wait.map_or_else(|| settings.value("ci.wait"), Ok)?,
            branch,
            long_lived,
        })
    }

    fn least(&self) -> String {
        let names: Vec<&str> = self.required.iter().map(String::as_str).collect();
        let reviews = match self.reviews {
            0 => String::new(),
            1 => "; an approval of each pull request since the last final version".to_owned(),
            n => format!("; {n} approvals of each pull request since the last final version"),
        };
        format!("success of {}{reviews}", names.join(", "))
    }
}

/// Asks whoever knows.
pub fn look(
    context: &Context,
    policy: &Policy,
    subject: &Subject,
    wait: Option<Duration>,
) -> Result<Finding, Failure> {
    let wanted = Wanted::read(context, policy, wait)?;
    let mut api = Api::open(context)?;
    let mut found = Found::default();
    match ask(context, &wanted, &mut api, &subject.commit, &mut found) {
        Ok(()) => {}
        Err(Stop::Failure(failure)) => return Err(failure),
        Err(Stop::Unknown(trouble)) => found.add(trouble.is_passing(), Verdict::Unknown(trouble.why)),
    }
    Ok(found.finding(context, &wanted, api.requests))
}

/// Whether the commits' own signatures say what is reviewed, and no code host. Where one of both policies asks GitHub, GitHub is asked.
pub fn is_by_git(policy: &Policy) -> Result<bool, Failure> {
    Ok(!policy.union("ci.provider")?.contains("github"))
}

/// The repository, as far as it matters.
#[derive(serde::Deserialize)]
struct Shown {
    #[serde(rename = "full_name")]
    _name: String,
}

/// Whether the repository can be read with this token; for `--check`.
pub fn check(context: &Context, policy: &Policy) -> Result<Result<String, (String, bool)>, Failure> {
    if is_by_git(policy)? {
        return Ok(Ok("the commits' own signatures are asked".to_owned()));
    }
    Wanted::read(context, policy, None)?;
    match Api::open(context)?.one::<Shown>("") {
        Ok(_) => Ok(Ok("GitHub shows the repository to this token".to_owned())),
        Err(Stop::Failure(failure)) => Err(failure),
        Err(Stop::Unknown(trouble)) => Ok(Err((trouble.why.clone(), trouble.is_passing()))),
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    parts: Vec<Verdict>,
    notes: Vec<String>,
    source: Option<Source>,
    /// The requests that the checks have cost.
    for_checks: u32,
    reviewed: Option<Reviewed>,
    /// Asking again does not help against something that is not known.
    is_stuck: bool,
}

fn ask(
    context: &Context,
    wanted: &Wanted,
    api: &mut Api,
    commit: &str,
    found: &mut Found,
) -> Result<(), Stop> {
    let mut source = Source::Checks;
    let green = green::look(api, wanted, commit, &mut source);
    found.source = Some(source);
    found.for_checks = api.requests;
    let green = green?;
    found.add(green.may_change, green.verdict);
    found.notes.extend(green.notes);
    let drift = green::drift(api, wanted)?;
    found.notes.extend(drift);
    found.for_checks = api.requests;
    if wanted.reviews > 0 {
        let mut reviewed = reviewed::look(api, context, wanted, commit)?;
        if let Some(verdict) = reviewed.verdict.take() {
            found.add(false, verdict);
        }
        found.notes.append(&mut reviewed.notes);
        found.reviewed = Some(reviewed);
    }
    Ok(())
}

impl Found {
    fn add(&mut self, may_change: bool, verdict: Verdict) {
        self.is_stuck |= matches!(verdict, Verdict::Unknown(_)) && !may_change;
        self.parts.push(verdict);
    }

    fn finding(self, context: &Context, wanted: &Wanted, requests: u32) -> Finding {
        let from = match self.source {
            Some(Source::Actions) => "Actions runs of GitHub, since the token may not read checks",
            _ => "check runs and statuses of GitHub",
        };
        let mut finding = Finding::new(checks::together(self.parts), from, wanted.least())
            .detail("requests", self.for_checks)
            .detail(
                "source",
                if self.source == Some(Source::Actions) { "actions-runs" } else { "check-runs" },
            );
        if wanted.reviews > 0 {
            finding = finding.detail("review_requests", requests - self.for_checks);
        }
        let notes: Vec<String> =
            self.notes.iter().take(NOTES).map(|note| step::excerpt(&step::plain_line(note), 300)).collect();
        if !notes.is_empty() {
            finding = finding.detail("notes", notes);
        }
        if matches!(finding.verdict, Verdict::Unknown(_)) && !self.is_stuck {
            let words = ["release-gate", "ci", "--wait", "10m", "--timeout", "11m"];
            finding = finding.passing().command(words.into_iter().chain(context.env_words()));
        }
        match self.reviewed {
            Some(reviewed) => with_reviews(finding, reviewed),
            None => finding,
        }
    }
}

fn with_reviews(mut finding: Finding, reviewed: Reviewed) -> Finding {
    if let Some(since) = reviewed.since {
        finding = finding.detail("since", since);
    }
    if !reviewed.next.is_empty() {
        finding = finding.command(reviewed.next);
    }
    finding.detail("commits", reviewed.commits).detail("pull_requests", reviewed.pulls)
}
