//! Sends a list to the vendor: in batches, by a few threads that share one token bucket, again where that is right, in halves
//! where the vendor finds a batch too large. It stops at the first failure, and knows what is left.

pub mod batch;
pub mod pace;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http_client::{Call, Client, Lost, Reply};
use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Acted, Again, Context, Failure, Permit, again};

use crate::drivers::{self, Driver, Limits, Mode, Order, Receipt, Verdict};
use crate::page::node::Nodes;
use crate::plan;
use crate::select::Kind;
use crate::select::list::{List, SHOWN};
use crate::send::batch::Batches;
use crate::send::pace::Bucket;

/// The longest wait between two questions whether a purge is done.
const ASK: Duration = Duration::from_secs(10);
/// The longest wait where a vendor says "not now" and not until when.
const BUSY: Duration = Duration::from_secs(20);

/// What the vendor took.
#[derive(Debug, Default)]
pub struct Sent {
    pub requests: u64,
    /// Selectors that it accepted.
    pub accepted: u64,
    /// Whether it said of all of them that they are gone.
    pub completed: bool,
    ids: Vec<String>,
    objects: Option<u64>,
}

impl Sent {
    /// For the record: what the vendor claims, and no more.
    pub fn to_value(&self, kind: Kind, mode: Mode) -> Value {
        let claim = if self.completed { "completed" } else { "accepted" };
        let mut value = json!({ "kind": kind.word(), "mode": mode.word(), "requests": self.requests,
                                "accepted": self.accepted, "claim": claim });
        if !self.ids.is_empty() {
            value["ids"] = json!(self.ids);
        }
        if let Some(objects) = self.objects {
            value["objects"] = json!(objects);
        }
        value
    }

    /// A cache that counts and says nought did nothing.
    pub fn found_nothing(&self) -> bool {
        self.objects == Some(0)
    }

    fn add(&mut self, items: usize, requests: u64, receipts: Vec<Receipt>) {
        self.completed = (self.requests == 0 || self.completed) && receipts.iter().all(|r| r.completed);
        self.requests += requests;
        self.accepted += items as u64;
        for receipt in receipts {
            self.ids.extend(receipt.id.filter(|_| self.ids.len() < SHOWN));
            self.objects = receipt.objects.map_or(self.objects, |n| Some(self.objects.unwrap_or(0) + n));
        }
    }
}

/// How a list is sent.
pub struct Sender<'a> {
    pub context: &'a Context,
    pub client: &'a Client<'a>,
    pub driver: &'a dyn Driver,
    pub limits: Limits,
    pub mode: Mode,
    /// The run, and which time in it.
    pub reference: &'a str,
    /// The addresses of the pages' own hosts.
    pub nodes: &'a Nodes,
}

/// What the threads share.
struct Feed<I> {
    batches: Batches<I>,
    /// Halves of what was too large.
    halves: VecDeque<Vec<String>>,
    limits: Limits,
    bucket: Bucket,
    sent: Sent,
    stopped: Option<Failure>,
    /// Given to a thread and not accepted.
    left: Vec<String>,
}

impl Sender<'_> {
    /// Sends a whole list. When it has to stop, what was not accepted goes to `keep`, one by one.
    pub fn send(
        &self,
        permit: &Permit,
        list: &mut List,
        keep: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(Sent, Option<Failure>), Failure> {
        let kind = list.kind;
        let feed = Mutex::new(Feed {
            batches: Batches::new(list.read()?),
            halves: VecDeque::new(),
            limits: self.limits,
            bucket: Bucket::new(self.limits.burst, self.limits.rate, Instant::now()),
            sent: Sent::default(),
            stopped: None,
            left: Vec::new(),
        });
        thread::scope(|scope| {
            for _ in 0..self.limits.workers.max(1) {
                scope.spawn(|| self.work(permit, kind, &feed));
            }
        });
        let feed = feed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(failure) = feed.stopped else { return Ok((feed.sent, None)) };
        let waiting = feed.left.into_iter().chain(feed.halves.into_iter().flatten());
        waiting.map(Ok).chain(feed.batches.rest()).try_for_each(|item| keep(&item?))?;
        let acted = if feed.sent.accepted > 0 { Acted::Yes } else { failure.acted };
        Ok((feed.sent, Some(failure.acted(acted))))
    }

    fn work<I: Iterator<Item = Result<String, Failure>>>(
        &self,
        permit: &Permit,
        kind: Kind,
        feed: &Mutex<Feed<I>>,
    ) {
        // The lock must be gone before the batch is sent: hence the closure.
        let next = || feed.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(batch) = next() {
            let done = self.deliver(permit, kind, &batch, feed);
            let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
            match done {
                Ok(Delivered::All(requests, receipts)) => feed.sent.add(batch.len(), requests, receipts),
                Ok(Delivered::Halve(requests)) => {
                    feed.sent.requests += requests;
                    feed.halve(batch);
                }
                Err(failure) => {
                    feed.left.extend(batch);
                    feed.stopped.get_or_insert(failure);
                }
            }
        }
    }

    /// Sends one batch until it is accepted, or until that makes no sense any more.
    fn deliver<I>(
        &self,
        permit: &Permit,
        kind: Kind,
        items: &[String],
        feed: &Mutex<Feed<I>>,
    ) -> Result<Delivered, Failure> {
        let mut reference = self.reference.to_owned();
        let (mut receipts, mut requests) = (Vec::new(), 0);
        let cost = if self.limits.per_item { items.len() } else { 1 };
        let calls = |reference: &str| {
            let now = Timestamp::now();
            self.everywhere(self.driver.calls(&Order { kind, mode: self.mode, items, reference, now }))
        };
        for step in 0..calls(&reference).len() {
            let (mut attempt, mut unheard) = (0, None);
            loop {
                attempt += 1;
                // Written anew each time: a signature carries the time.
                let Some(call) = calls(&reference).into_iter().nth(step) else { break };
                let turn = self.wait_for_turn(feed, cost);
                let answer = turn.and_then(|()| {
                    requests += 1;
                    self.once(permit, &call, attempt, feed, &mut unheard)
                });
                let acted = |failure: Failure| match (&unheard, receipts.is_empty()) {
                    (_, false) => failure.acted(Acted::Yes),
                    // An earlier request went out, and may have been carried out.
                    (Some(lost), true) => self.unanswered(&call, lost, &failure),
                    (None, true) => failure,
                };
                match answer.map_err(acted)? {
                    // An earlier try of the same run: it was carried out before we asked, so it is none of ours.
                    Some(Verdict::Accepted(receipt)) if attempt == 1 && self.is_earlier(&receipt) => {
                        reference.push('+');
                        attempt = 0;
                    }
                    Some(Verdict::Accepted(receipt)) => {
                        receipts.push(self.finish(receipt)?);
                        break;
                    }
                    Some(Verdict::TooLarge(_)) if items.len() > 1 => return Ok(Delivered::Halve(requests)),
                    Some(Verdict::TooLarge(failure) | Verdict::Refused(failure)) => {
                        let failure = failure.cause(format!("the purge went to {}", call.place()));
                        return Err(if receipts.is_empty() { failure } else { failure.acted(Acted::Yes) });
                    }
                    Some(Verdict::Busy(_)) | None => {}
                }
            }
        }
        Ok(Delivered::All(requests, receipts))
    }

    /// A cache of one's own is told at every address that its name has: each is another cache.
    fn everywhere(&self, calls: Vec<Call>) -> Vec<Call> {
        if !self.driver.is_ours() {
            return calls;
        }
        let each = |call: Call| {
            let addresses = self.nodes.addresses(self.client, call.url());
            if addresses.is_empty() {
                return vec![call];
            }
            addresses.into_iter().map(|address| call.clone().at(Some(address))).collect()
        };
        calls.into_iter().flat_map(each).collect()
    }

    /// The failure of a purge that was sent, and of which nothing was heard.
    fn unanswered(&self, call: &Call, lost: &Lost, then: &Failure) -> Failure {
        let whose = format!("{} ({})", self.driver.whose(), call.place());
        let failure = drivers::unanswered(lost, &whose);
        if then.reason == failure.reason { failure } else { failure.cause(&then.message) }
    }

    /// Sends a request once; `None` when it is to be sent again.
    fn once<I>(
        &self,
        permit: &Permit,
        call: &Call,
        attempt: u32,
        feed: &Mutex<Feed<I>>,
        unheard: &mut Option<Lost>,
    ) -> Result<Option<Verdict>, Failure> {
        let left = self.context.deadline.left();
        let reply = match self.client.change(permit, call)? {
            Ok(reply) => reply,
            Err(lost) => {
                // Of several, the one that may have been carried out counts.
                if lost.sent || unheard.is_none() {
                    *unheard = Some(lost.clone());
                }
                return match again(None, None, attempt, true, left) {
                    Again::After(wait) => self.context.pause(wait).map(|()| None),
                    Again::Stop => Err(drivers::unanswered(&lost, self.driver.whose())),
                };
            }
        };
        let told = pace::told(reply.retry_after(), |name| reply.header(name), Timestamp::now());
        match self.driver.verdict(&reply) {
            Verdict::Busy(said) => {
                self.back_off(call, &reply, &said, told.wait, attempt, feed).map(|()| None)
            }
            verdict => {
                if let (true, Some(wait)) = (told.empty, told.wait) {
                    feed.lock().unwrap_or_else(PoisonError::into_inner).bucket.close(wait, Instant::now());
                }
                Ok(Some(verdict))
            }
        }
    }

    /// The vendor says "not now": nobody asks before it said, and nobody waits for what will not come in time.
    fn back_off<I>(
        &self,
        call: &Call,
        reply: &Reply,
        said: &str,
        told: Option<Duration>,
        attempt: u32,
        feed: &Mutex<Feed<I>>,
    ) -> Result<(), Failure> {
        let whose = self.driver.whose();
        let rated = reply.status < 500;
        let first = Duration::from_millis(if rated { 1000 } else { 250 });
        let wait = told.unwrap_or_else(|| step::backoff(first, attempt, BUSY));
        let left = self.context.deadline.left();
        if wait < left && (rated || attempt < 8) {
            if rated {
                feed.lock().unwrap_or_else(PoisonError::into_inner).bucket.close(wait, Instant::now());
                return Ok(());
            }
            return self.context.pause(wait);
        }
        let status = reply.status;
        let place = call.place();
        let failure = if rated {
            let at = (Timestamp::now() + wait).strftime("%Y-%m-%dT%H:%M:%SZ");
            let (wait, left) = (plan::spoken(wait), plan::spoken(left));
            let message = format!(
                "{whose} asks to come back in {wait} (at {at}), but only {left} are left (--timeout)"
            );
            Failure::temporary("rate-limited", message)
        } else {
            Failure::temporary("purge-refused", format!("{whose} answers with HTTP {status}"))
        };
        Err(failure.cause(said).cause(format!("the purge went to {place}")))
    }

    /// A vendor that takes its time is never done at once.
    fn is_earlier(&self, receipt: &Receipt) -> bool {
        let asks = |id: &String| self.driver.progress(id, Timestamp::now()).is_some();
        receipt.completed && receipt.id.as_ref().is_some_and(asks)
    }

    fn wait_for_turn<I>(&self, feed: &Mutex<Feed<I>>, cost: usize) -> Result<(), Failure> {
        #[expect(clippy::cast_precision_loss, reason = "a batch has no 2^52 items")]
        let take =
            || feed.lock().unwrap_or_else(PoisonError::into_inner).bucket.take(cost as f64, Instant::now());
        let wait = take();
        if wait.is_zero() { Ok(()) } else { self.context.pause(wait) }
    }

    /// Asks until an accepted purge has been carried out, where the vendor can be asked.
    fn finish(&self, mut receipt: Receipt) -> Result<Receipt, Failure> {
        let Some(id) = receipt.id.clone().filter(|_| !receipt.completed) else { return Ok(receipt) };
        let mut wait = Duration::from_millis(250);
        while !receipt.completed {
            let Some(call) = self.driver.progress(&id, Timestamp::now()) else { return Ok(receipt) };
            self.context
                .voice
                .progress(&format!("waiting until {} has carried out {id}", self.driver.whose()));
            let yes = |failure: Failure| failure.acted(Acted::Yes);
            self.context.pause(wait).map_err(yes)?;
            let answer = self.client.persist(&call).map_err(yes)?;
            receipt.completed = answer.is_ok_and(|reply| self.driver.is_completed(&reply));
            wait = (wait * 2).min(ASK);
        }
        self.context.voice.progress_done();
        Ok(receipt)
    }
}

enum Delivered {
    All(u64, Vec<Receipt>),
    Halve(u64),
}

impl<I: Iterator<Item = Result<String, Failure>>> Feed<I> {
    fn next(&mut self) -> Option<Vec<String>> {
        if self.stopped.is_some() {
            return None;
        }
        if let Some(half) = self.halves.pop_front() {
            return Some(half);
        }
        match self.batches.next(&self.limits.size) {
            Ok(batch) => Some(batch).filter(|batch| !batch.is_empty()),
            Err(failure) => {
                self.stopped = Some(failure);
                None
            }
        }
    }

    /// The limit is smaller than we thought: from here on too.
    fn halve(&mut self, mut batch: Vec<String>) {
        let half = batch.len().div_ceil(2);
        self.limits.size.items = self.limits.size.items.min(half);
        let second = batch.split_off(half);
        self.halves.extend([batch, second]);
    }
}
