//! The chain of statements: one ref, one commit a statement, each behind the one before. What is taken out of it or put into its middle is seen
//! by whoever has seen its head before: this clone, the documents of runs, and the tags of releases.

use git_program::{Aside, Git, aside};
use jiff::Timestamp;
use step::{Context, Failure, Permit};

use super::statement::{Kind, Statement};
use crate::signature::{self, Signers};

/// What a signature of a statement is for.
pub const APPROVAL: &str = "rilis-approval";
/// The place of all chains.
const ROOT: &str = "refs/rilis/approvals";
/// What this clone has seen of them.
const WITNESS: &str = "refs/witness/approvals";
/// The files of a statement.
const STATEMENT: &str = "statement.json";
const SIGNATURE: &str = "statement.json.sig";
/// No statement is larger, and no chain longer: those of five a day for ten years.
const LIMIT: usize = 1 << 20;
const MOST: usize = 20_000;
/// So many releases are asked what they have seen.
const WITNESSES: usize = 20;
/// The line of a tag's message that names the head which a release has seen.
const TRAILER: &str = "Rilis-Approvals";

/// A chain as it is on the remote.
pub struct Chain {
    /// Its head; empty where there is no chain yet.
    pub head: String,
    /// From the first to the last; what is none is left out.
    pub statements: Vec<Statement>,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The refspec that brings all chains.
pub fn spec() -> String {
    format!("+{ROOT}/*:{ROOT}/*")
}

fn name(product: &str) -> String {
    format!("{ROOT}/{}", aside::component(product))
}

impl Chain {
    /// Reads what was last brought; the inner error says what was tampered with.
    pub fn read(context: &Context, aside: &Aside, product: &str) -> Result<Result<Self, String>, Failure> {
        let (git, name) = (aside.git(), name(product));
        let head = aside.refs(&name)?.into_iter().find(|one| one.name == name).map(|one| one.id);
        if let Some(why) = rewritten(context, git, product, head.as_deref())? {
            return Ok(Err(why));
        }
        let Some(head) = head else {
            return Ok(Ok(Chain { head: String::new(), statements: Vec::new(), signed: Vec::new() }));
        };
        let count = format!("--max-count={}", MOST + 1);
        let said = git.ask(&["log", "--no-show-signature", &count, "--format=%H %P", &head], b"")?.text();
        let mut commits: Vec<&str> = Vec::new();
        for line in said.lines() {
            let mut words = line.split(' ');
            commits.extend(words.next());
            if words.count() > 1 {
                return Ok(Err(
                    "the chain of approvals has been joined from two: it is not what was written".to_owned(),
                ));
            }
        }
        if commits.len() > MOST {
            return Ok(Err(format!("there are more than {MOST} approvals, which no team has given")));
        }
        commits.reverse();
        let mut chain = Chain::of(git, &commits)?;
        chain.head = head;
        Ok(Ok(chain))
    }

    fn of(git: &Git, commits: &[&str]) -> Result<Self, Failure> {
        let names: Vec<String> =
            commits.iter().flat_map(|id| [STATEMENT, SIGNATURE].map(|file| format!("{id}:{file}"))).collect();
        let objects = git.named_objects(&names.iter().map(String::as_str).collect::<Vec<_>>(), LIMIT)?;
        let (mut statements, mut signed) = (Vec::new(), Vec::new());
        for pair in objects.chunks(2) {
            let [Some(text), Some(signature)] = pair else { continue };
            if text.len() > LIMIT || signature.len() > LIMIT {
                continue;
            }
            if let Ok(statement) = serde_json::from_slice(text) {
                statements.push(statement);
                signed.push((text.clone(), signature.clone()));
            }
        }
        Ok(Chain { head: String::new(), statements, signed })
    }

    /// With which key the one whom the n-th statement names has signed it, if it was valid then and is now.
    pub fn key(&self, context: &Context, signers: &Signers, n: usize) -> Result<Option<String>, Failure> {
        let (statement, (text, signature)) = (&self.statements[n], &self.signed[n]);
        let instants = [statement.at, Timestamp::now()];
        // What was rejected stays so when its key is over; its line with valid-before must be kept.
        let at = if statement.kind == Kind::Reject { &instants[..1] } else { &instants[..] };
        signers.is_of(context, &statement.by, (APPROVAL, text, signature), at)
    }
}

/// Why the chain is not what a witness has seen; `None` where it is.
fn rewritten(
    context: &Context,
    git: &Git,
    product: &str,
    head: Option<&str>,
) -> Result<Option<String>, Failure> {
    let mut seen = witnessed(git, product)?;
    seen.extend(tagged(context)?);
    for (id, who) in seen {
        let Some(head) = head else {
            return Ok(Some(format!(
                "the approvals that {who} has seen ({id}) are gone from the remote: find out who has removed them, and put them back"
            )));
        };
        let said = git.run(&["merge-base", "--is-ancestor", &id, head], b"")?;
        if !said.status.success() {
            return Ok(Some(format!(
                "the approvals on the remote do not go on from what {who} has seen ({id}): they were rewritten; find out who did that, and put them back"
            )));
        }
    }
    Ok(None)
}

fn witnessed(git: &Git, product: &str) -> Result<Vec<(String, String)>, Failure> {
    let name = format!("{WITNESS}/{}", aside::component(product));
    let said = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name], b"")?;
    Ok(if said.status.success() { vec![(said.text(), "this clone".to_owned())] } else { Vec::new() })
}

/// What the newest releases have seen, by their tags. Candidates have none: any number of them hides nothing.
fn tagged(context: &Context) -> Result<Vec<(String, String)>, Failure> {
    let format =
        format!("--format=%(refname:short) %(contents:trailers:key={TRAILER},valueonly,separator=%x20)");
    let words = ["for-each-ref", "--sort=-creatordate", &format, "refs/tags/v*"];
    let said = Git::new(context).ask(&words, b"")?.text();
    let is_id = |id: &str| id.len() >= 40 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let one = |line: &str| {
        let (tag, id) = line.split_once(' ')?;
        is_id(id.trim()).then(|| (id.trim().to_owned(), format!("the tag {tag}")))
    };
    Ok(said.lines().filter_map(one).take(WITNESSES).collect())
}

/// Remembers what was seen: a chain that does not go on from here is no longer believed.
pub fn remember(aside: &Aside, product: &str, head: &str) -> Result<(), Failure> {
    if head.is_empty() {
        return Ok(());
    }
    let name = format!("{WITNESS}/{}", aside::component(product));
    aside.git().ask(&["update-ref", &name, head], b"").map(drop)
}

/// Signs a statement and puts it at the end of the chain.
pub fn append(
    context: &Context,
    permit: &Permit,
    (aside, product): (&Aside, &str),
    statement: &Statement,
) -> Result<String, Failure> {
    let text = serde_json::to_vec_pretty(statement).map_err(|e| Failure::bug(format!("a statement: {e}")))?;
    let signed = signature::sign(context, APPROVAL, &text)?;
    let files = vec![(STATEMENT.to_owned(), text), (SIGNATURE.to_owned(), signed)];
    let message = format!("{:?} by {}", statement.kind, statement.by);
    let head = aside.append(permit, &name(product), &message, |_| Ok(files.clone()))?;
    remember(aside, product, &head)?;
    Ok(head)
}
