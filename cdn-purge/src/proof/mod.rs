//! The proof: every page, in every form that an edge may keep apart, at every address, must be what it has to be, and not older than
//! the purge. One place asks: others may differ, and nothing here says otherwise.

mod blame;
pub mod board;
pub mod canary;
mod count;
pub mod gate;
pub mod watch;
mod whole;

use std::time::{Duration, Instant};

use facts::Build;
use jiff::Timestamp;
use serde_json::Value;
use step::{Context, Failure};
use url::Url;

use crate::page::edge::{Edge, Look};
use crate::page::form::Form;
use crate::page::node::Nodes;
use crate::page::seen::{Body, Claim, Seen, Target, Twin};
use crate::proof::board::{Board, Slot};
use crate::proof::canary::Canary;
use crate::proof::gate::{Gate, Shown};
use crate::proof::watch::Watched;
use crate::select::hosts_of;
use crate::settings::Settings;

/// The waits between two looks at what is not right yet; the last one is repeated.
const WAITS: [u64; 4] = [250, 500, 1000, 2000];
/// Between two looks at what is right and has to stay so.
const STAY: Duration = Duration::from_secs(1);
/// The shortest and the longest that one look may take.
pub const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// What a page answers that has no such form of React's wire format.
const NO_FORM: [u16; 5] = [204, 400, 404, 405, 406];

/// Pages to ask, and what they have to be.
pub struct Proof<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub edge: Edge<'a>,
    pub pages: Vec<Url>,
    /// Whether the purge takes each page with it for certain: a tag may have nothing to do with a page.
    pub purged: Vec<bool>,
    pub nodes: Nodes,
    pub shown: Shown,
    /// Copies must not be older than this.
    pub since: Option<Timestamp>,
    /// Whether a person has named the pages.
    pub by_hand: bool,
}

/// How things stood before the purge.
#[derive(Clone, Debug, Default)]
pub struct Before {
    seen: Vec<Seen>,
    vary: Vec<Vec<String>>,
    canaries: Vec<Canary>,
}

impl Proof<'_> {
    /// Waits until the origin is steady, and learns from it what the pages have to be.
    pub fn gate(&mut self, wanted: Build) -> Result<(), Failure> {
        self.shown = self.asker().pass(wanted)?;
        Ok(())
    }

    fn asker(&self) -> Gate<'_> {
        Gate {
            context: self.context,
            settings: self.settings,
            edge: &self.edge,
            pages: &self.pages,
            by_hand: self.by_hand,
        }
    }

    pub fn name(&self) -> &str {
        self.shown.wanted.name().unwrap_or("what the origin serves")
    }

    pub fn hosts(&self) -> String {
        hosts_of(&self.pages)
    }

    /// Whether all values of a header that matter are asked for.
    fn listed(&self, header: &str) -> bool {
        self.settings.forms.values_of(header).is_some()
    }

    pub fn said(&self, board: &Board) -> String {
        board.said(self.name(), &self.nodes, &|header| self.listed(header))
    }

    pub fn report(&self, board: &Board) -> Value {
        board.report(&self.pages, &self.nodes, &|header| self.listed(header))
    }

    pub fn look_at(&self, page: usize, form: &Form, node: usize, within: Duration) -> Look {
        Look {
            url: self.pages[page].clone(),
            host: None,
            form: form.clone(),
            node: self.nodes.all[node].address,
            apart: self.shown.apart.get(page).copied(),
            within: within.clamp(LOOK.0, LOOK.1),
        }
    }

    /// Every page once, and what it varies by; `unique` makes copies that only this run can have.
    pub fn before(&self, unique: Option<&str>) -> Result<Before, Failure> {
        let within = self.settings.settle.min(Duration::from_secs(10));
        let first = |page: usize| self.nodes.of_page(&self.pages[page]).first().copied().unwrap_or_default();
        let looks: Vec<Look> =
            (0..self.pages.len()).map(|n| self.look_at(n, &Form::browser(), first(n), within)).collect();
        let seen = self.edge.all(&looks)?;
        let mut vary = self.shown.vary.clone();
        vary.resize(self.pages.len(), Vec::new());
        seen.iter().zip(&mut vary).for_each(|(seen, vary)| join(vary, &seen.vary));
        let pages: Vec<(Url, Vec<String>)> = self.pages.iter().cloned().zip(vary.iter().cloned()).collect();
        let canaries = match unique {
            Some(unique) => {
                canary::hatch(&self.edge, &pages, &self.nodes, &self.settings.forms, unique, within)?
            }
            None => Vec::new(),
        };
        Ok(Before { seen, vary, canaries })
    }

    /// Watches everything until something can be claimed of it, or the time to settle is over.
    pub fn confirm(&self, purged_at: Timestamp, before: &Before) -> Result<Board, Failure> {
        let quiet = self.settings.quiet;
        let (groups, of_page) = count::groups(&self.pages, &self.nodes);
        let mut board = Board {
            slots: Vec::new(),
            groups,
            of_page,
            vary: before.vary.clone(),
            fates: Vec::new(),
            before: before.seen.clone(),
            quiet,
        };
        let end = Instant::now() + self.settings.settle;
        let last = end + quiet.time + quiet.time;
        self.grow(&mut board)?;
        for attempt in 0.. {
            let open = board.open();
            self.watch(&mut board, &open, purged_at, end)?;
            let once = board.once();
            self.watch(&mut board, &once, purged_at, end)?;
            if attempt == 0 {
                // Not before the pages: nginx and Squid find copies by a header only through a copy of the page that says `Vary`. A purge
                // takes that one, and until the next answer has made it anew the others seem to be gone.
                board.fates = canary::look(&self.edge, &before.canaries)?;
            }
            self.count(&mut board, end)?;
            board.judge();
            self.complete(&mut board, purged_at, end, last)?;
            if self.grow(&mut board)? && Instant::now() < end {
                continue;
            }
            let now = Instant::now();
            if board.open().is_empty() || (now >= end && !board.lacks_time()) || now >= last {
                break;
            }
            self.wait(attempt, if board.lacks_time() { last } else { end })?;
        }
        self.context.voice.progress_done();
        self.leave(&mut board, before)?;
        self.judge(&board, purged_at)?;
        self.stay(board, purged_at)
    }

    /// Adds the forms that answers have shown to be there; whether there were any.
    fn grow(&self, board: &mut Board) -> Result<bool, Failure> {
        for slot in &board.slots {
            join(&mut board.vary[slot.page], &slot.watched.seen.vary);
        }
        let had = board.slots.len();
        for page in 0..self.pages.len() {
            let here = self.shown.twins.get(page).is_none_or(|twin| twin.status == 200);
            for form in self.settings.forms.forms(&board.vary[page]) {
                let known = board.slots.iter().any(|slot| slot.page == page && slot.form == form);
                // What is gone or moved has no wire format.
                if known || (form.wire && !here) {
                    continue;
                }
                let twin = self.twin(page, &form)?;
                for (node, group) in board.of_page[page].clone() {
                    let (form, twin) = (form.clone(), twin.clone());
                    board.slots.push(Slot { page, form, node, group, twin, watched: Watched::default() });
                }
            }
        }
        Ok(board.slots.len() > had)
    }

    /// A page at the origin in a form.
    fn twin(&self, page: usize, form: &Form) -> Result<Option<Twin>, Failure> {
        let Some(twin) = self.shown.twins.get(page) else { return Ok(None) };
        if form.same || (twin.body == Body::Any && !form.wire) {
            return Ok(Some(twin.clone()));
        }
        // React's wire format says its build; another language has other words.
        let body = match (form.wire, self.asker()) {
            (true, _) => Body::Any,
            (false, gate) => gate.content(page, form)?.map_or(Body::Unsteady, Body::Same),
        };
        Ok(Some(Twin { body, ..twin.clone() }))
    }

    /// Looks at some slots once more.
    fn watch(
        &self,
        board: &mut Board,
        which: &[usize],
        purged_at: Timestamp,
        end: Instant,
    ) -> Result<(), Failure> {
        let within = end.saturating_duration_since(Instant::now());
        let look = |n: &usize| {
            let slot = &board.slots[*n];
            self.look_at(slot.page, &slot.form, slot.node, within)
        };
        let looks: Vec<Look> = which.iter().map(look).collect();
        let seen = self.edge.all(&looks)?;
        self.refresh(board, which, &seen)?;
        for (n, seen) in which.iter().zip(seen) {
            let slot = &mut board.slots[*n];
            let evidence = seen.evidence(self.target(slot, purged_at));
            slot.watched.absent = slot.form.optional && seen.status.is_some_and(|s| NO_FORM.contains(&s));
            slot.watched.take(seen, evidence, Instant::now());
        }
        Ok(())
    }

    /// Where the edge has another content than the origin had, the origin may have another one by now.
    fn refresh(&self, board: &mut Board, which: &[usize], seen: &[Seen]) -> Result<(), Failure> {
        let differs = |(n, seen): (&usize, &Seen)| {
            let twin = board.slots[*n].twin.as_ref()?;
            let other =
                seen.status == Some(200) && matches!(twin.body, Body::Same(known) if known != seen.digest);
            (other && !seen.unreadable).then(|| (board.slots[*n].page, board.slots[*n].form.clone()))
        };
        let mut asked: Vec<(usize, Form)> = Vec::new();
        for (page, form) in which.iter().zip(seen).filter_map(differs) {
            let form = if form.same { Form::plain() } else { form };
            if !asked.iter().any(|known| *known == (page, form.clone())) {
                asked.push((page, form));
            }
        }
        for (page, form) in asked {
            let body = self.asker().content(page, &form)?.map_or(Body::Unsteady, Body::Same);
            let fits =
                |slot: &&mut Slot| slot.page == page && (slot.form == form || (form.same && slot.form.same));
            for slot in board.slots.iter_mut().filter(fits) {
                slot.twin.iter_mut().for_each(|twin| twin.body = body);
            }
        }
        Ok(())
    }

    pub fn target<'s>(&'s self, slot: &'s Slot, purged_at: Timestamp) -> Target<'s> {
        let purged = self.purged.get(slot.page).is_some_and(|purged| *purged).then_some(purged_at);
        Target { build: &self.shown.wanted, twin: slot.twin.as_ref(), since: self.since.max(purged) }
    }

    /// Asks what only lacks answers until it has them: nothing has to be waited for.
    fn complete(
        &self,
        board: &mut Board,
        purged_at: Timestamp,
        end: Instant,
        last: Instant,
    ) -> Result<(), Failure> {
        loop {
            let short = board.short();
            if short.is_empty() || Instant::now() >= last {
                return Ok(());
            }
            self.context.voice.progress(&format!("asking {} again", forms(short.len())));
            self.watch(board, &short, purged_at, end)?;
            board.judge();
        }
    }

    fn wait(&self, attempt: usize, end: Instant) -> Result<(), Failure> {
        let wait = Duration::from_millis(WAITS[WAITS.len().min(attempt + 1) - 1]);
        self.context.voice.progress(&format!("waiting for {}", self.name()));
        self.context.pause(wait.min(end.saturating_duration_since(Instant::now())))
    }

    /// What is claimed at the end: right until then but never from a cache; and copies that were not looked at.
    fn leave(&self, board: &mut Board, before: &Before) -> Result<(), Failure> {
        // An edge may take its time. (Those that are gone are not asked again: our look has made them anew.)
        let left: Vec<Canary> =
            before.canaries.iter().filter(|canary| canary.is_left(&board.fates)).cloned().collect();
        board.fates.retain(|fate| fate.dropped);
        board.fates.extend(canary::look(&self.edge, &left)?);
        // On several servers only now: a look makes anew what is gone, and could not be told from what is left.
        board.fates.extend(canary::look_everywhere(&self.edge, &before.canaries)?);
        for slot in board.slots.iter_mut().filter(|slot| slot.watched.claim.is_none()) {
            let watched = &mut slot.watched;
            if watched.row >= 2 && watched.old.is_none() {
                watched.claim = Some(Claim::Unknown);
            }
        }
        board.settle(&|header| self.listed(header), &self.nodes);
        Ok(())
    }

    /// What is right has to stay so for a while, if that is asked for.
    fn stay(&self, mut board: Board, purged_at: Timestamp) -> Result<Board, Failure> {
        if self.settings.stable.is_zero() {
            return Ok(board);
        }
        let end = Instant::now() + self.settings.stable;
        let all: Vec<usize> = (0..board.slots.len()).filter(|n| !board.slots[*n].watched.absent).collect();
        while Instant::now() < end {
            self.context.voice.progress(&format!("watching that {} stays", self.name()));
            self.context.pause(STAY.min(end.saturating_duration_since(Instant::now())))?;
            let claims: Vec<Option<Claim>> = board.slots.iter().map(|slot| slot.watched.claim).collect();
            self.watch(&mut board, &all, purged_at, end)?;
            for (slot, claimed) in board.slots.iter_mut().zip(claims) {
                let mute = (slot.watched.mute > 0).then_some(Claim::Unknown);
                slot.watched.claim = claimed.filter(|_| slot.watched.row > 0).or(mute);
            }
            self.judge(&board, purged_at)?;
        }
        self.context.voice.progress_done();
        for slot in board.slots.iter_mut().filter(|slot| slot.watched.claim == Some(Claim::Observed)) {
            slot.watched.claim = Some(Claim::Stable);
        }
        Ok(board)
    }
}

fn forms(count: usize) -> String {
    if count == 1 { "1 form of a page".to_owned() } else { format!("{count} forms of pages") }
}

/// Adds what is new.
fn join(all: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
}
