//! What all gates share: what was found, what it is about, and what a no or an unknown means for the run. A gate changes nothing.

use facts::{Gate, Verdict, Waiver};
use git_program::Git;
use jiff::Timestamp;
use serde_json::{Map, Value};
use step::{Failure, Outcome, Run};

/// What is kept of what was seen: so many lines of so many characters.
const LINES: usize = 20;
const LENGTH: usize = 300;

/// What is released: the commit, and the tree that ships. Evidence is about the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub commit: String,
    pub tree: String,
}

impl Subject {
    /// The commit of the document, else what is named, else what is checked out.
    pub fn of(run: &Run, named: Option<&str>) -> Result<Self, Failure> {
        let fact: Option<String> = run.fact("commit")?;
        // What was only planned is not there yet.
        let fact = fact.filter(|_| !run.is_planned("commit"));
        Subject::named(&Git::new(&run.context), fact.as_deref().or(named).unwrap_or("HEAD"))
    }

    /// The commit that a name leads to.
    pub fn named(git: &Git, name: &str) -> Result<Self, Failure> {
        let words = [&format!("{name}^{{commit}}"), &format!("{name}^{{tree}}")];
        let said = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", words[0]], b"")?;
        let tree = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", words[1]], b"")?;
        if said.stderr.contains("not a git repository") {
            let message = "the working directory is in no git repository: run this in a clone of the product";
            return Err(Failure::config("no-repository", message).cause(said.stderr));
        }
        if !said.status.success() || !tree.status.success() {
            let message = format!("git knows no commit {name} here; is it fetched?");
            return Err(Failure::usage("revision", message).cause(said.stderr));
        }
        Ok(Subject { commit: said.text(), tree: tree.text() })
    }

    /// The commit as people read it.
    pub fn short(&self) -> &str {
        self.commit.get(..12).unwrap_or(&self.commit)
    }
}

/// An id that others have sent, for people: its beginning only where it is one, and nothing of what might be a secret.
pub fn short_id(id: &str) -> String {
    let text = step::excerpt(&step::plain_line(id), 64);
    let is_id = text == id && id.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id { id.get(..12).unwrap_or(id).to_owned() } else { text }
}

/// What a gate has found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Yes, no or unknown, with what it rests on.
    pub verdict: Verdict,
    /// Where it was looked at, for people: `the checks of GitHub`.
    pub from: String,
    /// The least that was asked for, for people: `lint, unit and build`.
    pub least: String,
    /// What else is worth keeping in the fact.
    pub details: Map<String, Value>,
    /// The command that helps, word by word.
    pub next: Vec<String>,
    /// Asking again may help: it was not answered, or is not ready yet.
    pub is_passing: bool,
    /// Whatever is not right of it is only recorded.
    pub is_recorded: bool,
}

impl Finding {
    /// A verdict, where it comes from, and the least that was asked for.
    pub fn new(verdict: Verdict, from: impl Into<String>, least: impl Into<String>) -> Self {
        Finding {
            verdict,
            from: from.into(),
            least: least.into(),
            details: Map::new(),
            next: Vec::new(),
            is_passing: false,
            is_recorded: false,
        }
    }

    /// It could not be asked or is not ready: asking again may help.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.is_passing = true;
        self
    }

    /// With the command that helps.
    #[must_use]
    pub fn command<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.next = words.into_iter().map(Into::into).collect();
        self
    }

    /// With something else worth keeping.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Verdict and what was seen, in one sentence.
    pub fn said(&self) -> String {
        format!("{}: {}", self.verdict.word(), short(&self.seen()))
    }

    fn seen(&self) -> Vec<String> {
        let line = |text: &str| step::excerpt(&step::plain_line(text), LENGTH);
        let lines: Vec<String> = match &self.verdict {
            Verdict::Yes(evidence) | Verdict::No(evidence) => evidence.all().map(line).collect(),
            Verdict::Unknown(why) => why.lines().map(line).collect(),
        };
        let surplus = lines.len().saturating_sub(LINES);
        let more = (surplus > 0).then(|| format!("and {surplus} more"));
        lines.into_iter().take(LINES).chain(more).collect()
    }
}

/// How strictly a gate is meant.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// It is recorded, and stops nothing.
    pub record_only: bool,
    /// Somebody goes on without a yes.
    pub waiver: Option<Waiver>,
}

/// Writes the gate's fact, and says whether the run goes on: only a yes, a waiver, or a gate that is only recorded.
pub fn judge(
    run: &mut Run,
    name: &str,
    subject: Option<&Subject>,
    finding: &Finding,
    terms: Terms,
) -> Result<Outcome, Failure> {
    let seen = finding.seen();
    let is_yes = finding.verdict.is_yes();
    let fact = Gate {
        verdict: finding.verdict.word().to_owned(),
        at: Timestamp::now().to_string(),
        from: finding.from.clone(),
        least: finding.least.clone(),
        seen: seen.clone(),
        commit: subject.map(|subject| subject.commit.clone()),
        tree: subject.map(|subject| subject.tree.clone()),
        record_only: (terms.record_only || finding.is_recorded) && !is_yes,
        // Nothing is owed for a yes.
        waived: terms.waiver.filter(|_| !is_yes),
        details: finding.details.clone(),
    };
    run.set(name, &fact)?;
    if !fact.lets_pass() {
        return Err(stops(name, finding, &seen));
    }
    let (verdict, said) = (&fact.verdict, short(&seen));
    let end = match (&fact.waived, fact.record_only) {
        _ if is_yes => String::new(),
        (Some(waiver), _) => format!("; {} goes on all the same: {}", waiver.by, waiver.reason),
        (None, _) => "; it is only recorded".to_owned(),
    };
    Ok(Outcome::unchanged(format!("{name}: {verdict}: {said}{end}")))
}

/// The first things that were seen, in one sentence.
fn short(seen: &[String]) -> String {
    let shown = seen.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
    match seen.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// The failure of a gate that stops the run.
pub fn refusal(name: &str, finding: &Finding) -> Failure {
    stops(name, finding, &finding.seen())
}

fn stops(name: &str, finding: &Finding, seen: &[String]) -> Failure {
    let message = format!("{name}: {}: {}", finding.verdict.word(), short(seen));
    let failure = match (&finding.verdict, finding.is_passing) {
        (Verdict::Unknown(_), true) => Failure::temporary("gate-unknown", message),
        (Verdict::Unknown(_), false) => Failure::refused("gate-unknown", message),
        _ => Failure::refused("gate-no", message),
    };
    let failure = if seen.len() > 3 { seen.iter().fold(failure, Failure::cause) } else { failure };
    let failure = failure.cause(format!("looked at: {}; asked for: {}", finding.from, finding.least));
    if finding.next.is_empty() { failure } else { failure.command(&finding.next) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::Evidence;

    #[test]
    fn only_a_yes_a_waiver_or_a_gate_that_is_only_recorded_lets_pass() {
        let waived = Some(Waiver { by: "Rina".into(), reason: "QA is ill".into() });
        for (verdict, record_only, waived, passes) in [
            ("yes", false, None, true),
            ("no", false, None, false),
            ("unknown", false, None, false),
            ("", false, None, false),
            ("no", true, None, true),
            ("unknown", false, waived, true),
        ] {
            let gate = Gate { verdict: verdict.into(), record_only, waived, ..Gate::default() };
            assert_eq!(gate.lets_pass(), passes, "{gate:?}");
        }
    }

    #[test]
    fn what_was_seen_is_kept_in_so_many_lines_and_steers_no_terminal() {
        let many = (1..30).map(|n| format!("check {n}")).fold(Evidence::of("\u{1b}[2J\nx"), Evidence::and);
        let seen = Finding::new(Verdict::No(many), "here", "all").seen();
        assert_eq!((seen.len(), seen[20].as_str()), (21, "and 10 more"));
        assert!(!seen[0].contains(['\u{1b}', '\n']));
        assert_eq!(short(&seen), format!("{}; check 1; check 2; and 18 more", seen[0]));
    }

    #[test]
    fn only_an_id_is_cut() {
        assert_eq!(short_id(&"9f2c".repeat(10)), "9f2c9f2c9f2c");
        assert_eq!(short_id("no-id-at-all-but-words"), "no-id-at-all-but-words");
        let secret = step::Secret::new("a1b2c3d4".repeat(5));
        assert!(!short_id(secret.expose()).contains("a1b2"), "{}", short_id(secret.expose()));
    }

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        let unknown = || Finding::new(Verdict::Unknown("HTTP 503".into()), "GitHub", "all");
        let code = |finding: &Finding| {
            let failure = stops("ci", finding, &finding.seen());
            (failure.exit_code(), failure.reason.clone())
        };
        assert_eq!(code(&unknown()), (1, "gate-unknown".into()));
        assert_eq!(code(&unknown().passing()), (75, "gate-unknown".into()));
        let no = Finding::new(Verdict::No(Evidence::of("unit failed")), "GitHub", "all").passing();
        assert_eq!(code(&no), (1, "gate-no".into()));
    }
}
