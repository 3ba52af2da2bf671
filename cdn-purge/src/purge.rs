//! The step: nothing is purged before the origin serves the wanted build (the edge would fetch the old one again), and nothing is
//! believed before the edge has served it twice.

use std::time::{Duration, Instant};

use facts::{Build, Loss};
use http_client::Client;
use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Acted, Context, Failure, Outcome, Permit, Run};

use crate::args::Args;
use crate::drivers::{Mode, Order};
use crate::page::edge::Edge;
use crate::page::node::Nodes;
use crate::plan::{self, Part};
use crate::proof::board::Board;
use crate::proof::gate::Shown;
use crate::proof::{Before, Proof};
use crate::select::Kind;
use crate::select::gather::{self, Work};
use crate::select::list::Lists;
use crate::select::remaining::Remaining;
use crate::send::Sender;
use crate::settings::Settings;

/// Between the two purges of a cache with another one behind it (what Fastly advises).
const GAP: Duration = Duration::from_secs(2);
const GAP_OF_EVERYTHING: Duration = Duration::from_secs(30);

pub fn run(run: &mut Run, settings: &Settings, args: &Args) -> Result<Outcome, Failure> {
    let client = Client::new(&run.context, crate::NAME);
    let Work { mut lists, probes } = gather::gather(run, settings, args, &client)?;
    let since = data_changed(run)?;
    let mode = plan::mode(args.mode(), &run.document.procedure(), since.is_some(), args.named());
    let passes = if settings.shield { 2 } else { 1 };
    let parts = parts(run, settings, &lists, mode, passes)?;
    let purged = probes.iter().map(|page| lists.cover(page)).collect();
    let edge = Edge { client: &client, marker: &settings.marker, normalise: &settings.normalise };
    let nodes = Nodes::of(&client, &probes, &settings.nodes);
    let (context, by_hand) = (&run.context, args.named());
    let shown = Shown { wanted: Build::of(run)?, ..Shown::default() };
    let wanted = shown.wanted.clone();
    let mut proof = Proof { context, settings, edge, pages: probes, purged, nodes, shown, since, by_hand };
    // What is only planned cannot be asked for.
    if !run.is_planned("live") {
        proof.gate(wanted)?;
    }
    let names = format!("{} ({})", lists.counted(), proof.hosts());
    let costs: Vec<Value> = parts.iter().map(Part::to_value).collect();
    let Some(permit) = run.permit() else {
        return Ok(only_planned(run, settings, &lists, &parts, &names).output("plan", costs));
    };
    // Purged in any case: that a look finds it right says nothing of other nodes, forms and copies.
    let before = proof.before(Some(&unique(run.document.id())))?;
    let (id, nodes) = (run.document.id(), &proof.nodes);
    let purging = Purging { context, settings, client: &client, parts: &parts, args, id, nodes };
    let mut done = purging.carry_out(&permit, &mut lists, &proof, &before, passes)?;
    proof.whole(&mut done.board)?;
    heard(&proof, &done.board, &names)?;
    let outcome = Outcome::changed(format!("purged {names}: {}", proof.said(&done.board)))
        .output("urls", proof.report(&done.board))
        .output("claim", done.board.claim())
        .output("vantage_points", 1)
        .output("addresses", proof.nodes.all.len())
        .output("servers", done.board.servers(&proof.pages, &proof.nodes))
        .output("answers", done.board.answers())
        .output("plan", costs)
        .output("purges", done.purges);
    Ok(if settings.stable.is_zero() {
        outcome
    } else {
        outcome.output("stable_seconds", settings.stable.as_secs())
    })
}

/// Something must have been read: a purge that was carried out has proven nothing.
fn heard(proof: &Proof, board: &Board, names: &str) -> Result<(), Failure> {
    if !board.is_unread() {
        return Ok(());
    }
    let message = format!(
        "purged {names}, and no form of them that was asked can be read: whether the edge serves the new build is unknown"
    );
    Err(Failure::failed("edge-silent", message).acted(Acted::Yes).output("urls", proof.report(board)))
}

/// A value that no other run has, and nobody else at all.
fn unique(id: &str) -> String {
    let salt = Timestamp::now().as_nanosecond();
    let hash = ring::digest::digest(&ring::digest::SHA256, format!("{id} {salt}").as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn only_planned(run: &Run, settings: &Settings, lists: &Lists, parts: &[Part], names: &str) -> Outcome {
    let requests = requests(run, settings, lists, parts);
    requests.iter().for_each(|request| run.context.voice.say(&format!("would send {request}")));
    let said = parts.iter().map(Part::said).collect::<Vec<_>>().join("; ");
    Outcome::planned(format!("would purge {names}: {said}")).output("requests", requests)
}

/// A copy from before a database was restored shows data that is gone, though its build is right.
fn data_changed(run: &Run) -> Result<Option<Timestamp>, Failure> {
    let loss: Option<Loss> = run.fact("loss")?;
    Ok(loss.and_then(|loss| loss.to.parse().ok()))
}

/// The plan of each kind, all of it before anything is asked or done.
fn parts(
    run: &Run,
    settings: &Settings,
    lists: &Lists,
    mode: Mode,
    passes: u32,
) -> Result<Vec<Part>, Failure> {
    let (driver, left) = (settings.driver.as_ref(), run.context.deadline.left());
    let environment = run.context.environment()?;
    let one = |list| {
        let part = plan::part(driver, list, mode, settings.tuning, passes)?;
        plan::affordable(driver, &part, list, left, environment)?;
        Ok(part)
    };
    lists.full().map(one).collect()
}

/// The first request of each kind, as it would be sent.
fn requests(run: &Run, settings: &Settings, lists: &Lists, parts: &[Part]) -> Vec<String> {
    let first = |(list, part): (&crate::select::list::List, &Part)| {
        let items = &list.first[..list.first.len().min(part.limits.size.items)];
        let order = Order {
            kind: list.kind,
            mode: part.mode,
            items,
            reference: run.document.id(),
            now: Timestamp::now(),
        };
        settings.driver.calls(&order).first().map(http_client::Call::shown)
    };
    lists.full().zip(parts).filter_map(first).collect()
}

/// One run's purges.
struct Purging<'a> {
    context: &'a Context,
    settings: &'a Settings,
    client: &'a Client<'a>,
    parts: &'a [Part],
    args: &'a Args,
    id: &'a str,
    nodes: &'a Nodes,
}

/// What came of them.
struct Done {
    purges: Vec<Value>,
    board: Board,
}

impl Purging<'_> {
    /// Purges, and asks the pages; where softly did not help, hard. A soft purge behind a shield may do nothing: the shield hands
    /// out its old copy once more, and the edge keeps it as if it were new.
    fn carry_out(
        &self,
        permit: &Permit,
        lists: &mut Lists,
        proof: &Proof,
        before: &Before,
        passes: u32,
    ) -> Result<Done, Failure> {
        let mut purges = Vec::new();
        let mut soft = self.parts.iter().any(|part| part.mode == Mode::Soft);
        for round in 0.. {
            let harder = round > 0;
            let purged_at = self.round(permit, lists, round, passes, harder, &mut purges)?;
            let yes = |failure: Failure| failure.acted(Acted::Yes).output("purges", purges.clone());
            match proof.confirm(purged_at, before).map_err(yes) {
                Err(failure) if soft && ["edge-stale", "cached-error"].contains(&failure.reason.as_str()) => {
                    self.context
                        .voice
                        .warn(&format!("the soft purge did not help ({}); purging hard", failure.message));
                    soft = false;
                }
                Err(failure) => return Err(failure),
                Ok(board) => return Ok(Done { purges, board }),
            }
        }
        Err(Failure::bug("rounds do not end"))
    }

    /// All kinds, as often as the shield needs; when the last time was begun. (Not when it ended: a long list takes minutes, and
    /// its first pages are in the cache again by then.)
    fn round(
        &self,
        permit: &Permit,
        lists: &mut Lists,
        round: u32,
        passes: u32,
        harder: bool,
        purges: &mut Vec<Value>,
    ) -> Result<Timestamp, Failure> {
        let mut begun = Timestamp::now();
        for pass in 0..passes {
            if pass > 0 {
                let everything = lists.full().any(|list| list.kind == Kind::Everything);
                let gap = self.settings.gap.unwrap_or(if everything { GAP_OF_EVERYTHING } else { GAP });
                self.context.pause(gap).map_err(|failure| failure.acted(Acted::Yes))?;
            }
            begun = Timestamp::now();
            let reference = format!("{}-{}", self.id, round * passes + pass + 1);
            self.pass(permit, lists, &reference, harder, purges)?;
        }
        Ok(begun)
    }

    fn pass(
        &self,
        permit: &Permit,
        lists: &mut Lists,
        reference: &str,
        harder: bool,
        purges: &mut Vec<Value>,
    ) -> Result<(), Failure> {
        let mut remaining = Remaining::create(self.args.remaining.as_deref())?;
        let mut stopped: Option<Failure> = None;
        for (list, part) in lists.full_mut().zip(self.parts) {
            if stopped.is_some() {
                remaining.keep_all(list)?;
                continue;
            }
            let (kind, mode) = (part.kind, if harder { Mode::Hard } else { part.mode });
            let started = Instant::now();
            let sender = Sender {
                context: self.context,
                client: self.client,
                driver: self.settings.driver.as_ref(),
                limits: part.limits,
                mode,
                reference,
                nodes: self.nodes,
            };
            let (sent, failure) = sender.send(permit, list, &mut |item| remaining.keep(kind, item))?;
            let mut value = sent.to_value(kind, mode);
            value["ms"] = json!(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
            purges.push(value);
            if sent.found_nothing() {
                self.context.voice.warn(&format!("the cache held nothing for {}", kind.counted(part.count)));
            }
            // Of several kinds, some may have been purged before this one stopped.
            let before = purges.iter().any(|purge| purge["accepted"].as_u64() > Some(0));
            stopped = failure.map(|failure| if before { failure.acted(Acted::Yes) } else { failure });
        }
        let (count, path) = (remaining.count, self.args.remaining.as_deref());
        remaining.done()?;
        let Some(mut failure) = stopped else { return Ok(()) };
        failure = failure.output("purges", purges.clone()).output("remaining", count);
        if let (Some(path), None) = (path, &failure.next) {
            let path = path.display().to_string();
            let environment = self.context.environment()?;
            let words = ["cdn-purge", "--env", environment, "--urls-from", &path, "--remaining", &path];
            failure = failure.command(words);
        }
        Err(failure.cause(format!("not purged: {count} of the list")))
    }
}
