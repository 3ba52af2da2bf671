//! Softly or not, how many requests, how long it takes, and whether that is absurd. Pure.

use std::time::Duration;

use serde_json::{Value, json};
use step::{Failure, Procedure};

use crate::drivers::{Driver, Limits, Mode};
use crate::select::Kind;
use crate::select::list::List;

/// Softly for a release: pages that are a minute old hurt nobody, and the origin is not asked for all of them at once. Hard for
/// whatever takes a bad build or bad data away, and for what a person names.
pub fn mode(asked: Option<Mode>, procedure: &Procedure, data_changed: bool, named: bool) -> Mode {
    let gentle = matches!(procedure, Procedure::Release | Procedure::Candidate) && !data_changed && !named;
    asked.unwrap_or(if gentle { Mode::Soft } else { Mode::Hard })
}

/// What a purge of so many takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub requests: u64,
    pub time: Duration,
}

/// For `count` selectors, each purged `passes` times.
pub fn estimate(count: u64, limits: &Limits, passes: u32) -> Estimate {
    let items = limits.size.items.max(1) as u64;
    let requests = count.div_ceil(items) * u64::from(passes);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let tokens = if limits.per_item { count * u64::from(passes) } else { requests } as f64;
    let waiting = ((tokens - limits.burst) / limits.rate).max(0.0);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let working = requests as f64 * limits.takes.as_secs_f64() / limits.workers.max(1) as f64;
    let time = Duration::try_from_secs_f64(waiting.max(working)).unwrap_or(Duration::MAX);
    Estimate { requests, time }
}

/// One kind's part of the plan.
#[derive(Debug)]
pub struct Part {
    pub kind: Kind,
    pub count: u64,
    pub mode: Mode,
    pub limits: Limits,
    pub estimate: Estimate,
}

impl Part {
    /// For the record.
    pub fn to_value(&self) -> Value {
        let seconds = self.estimate.time.as_secs_f64().ceil();
        json!({ "kind": self.kind.word(), "count": self.count, "mode": self.mode.word(),
                "requests": self.estimate.requests, "seconds": seconds })
    }

    /// For people.
    pub fn said(&self) -> String {
        let Estimate { requests, time } = self.estimate;
        let plural = if requests == 1 { "" } else { "s" };
        let (kind, mode) = (self.kind.counted(self.count), self.mode.word());
        format!("{kind} in {requests} {mode} request{plural}, about {}", spoken(time))
    }
}

/// What the settings change about a vendor's limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tuning {
    pub batch: Option<usize>,
    pub rate: Option<f64>,
    pub burst: Option<f64>,
    pub workers: Option<usize>,
}

impl Tuning {
    fn over(self, limits: Limits) -> Limits {
        let mut limits = limits;
        if limits.size.items > 1 {
            limits.size.items = self.batch.unwrap_or(limits.size.items);
        }
        limits.rate = self.rate.unwrap_or(limits.rate);
        limits.burst = self.burst.unwrap_or(limits.burst);
        limits.workers = self.workers.unwrap_or(limits.workers);
        limits
    }
}

/// How one kind is purged.
///
/// # Errors
/// `refused`: `cannot-select` when the vendor has no such purge, `too-long` when one selector fills more than a request.
pub fn part(
    driver: &dyn Driver,
    list: &List,
    mode: Mode,
    tuning: Tuning,
    passes: u32,
) -> Result<Part, Failure> {
    let kind = list.kind;
    let Some(limits) = driver.limits(kind) else {
        let can: Vec<&str> =
            Kind::ALL.into_iter().filter(|k| driver.limits(*k).is_some()).map(Kind::word).collect();
        let message = format!(
            "{} cannot be told to purge by {} (it takes: {}): nothing was purged",
            driver.whose(),
            kind.word(),
            can.join(", ")
        );
        return Err(Failure::refused("cannot-select", message));
    };
    let limits = tuning.over(limits);
    if (limits.size.weigh)(&list.longest) > limits.size.bytes {
        let start = step::excerpt(&list.longest, 80);
        let message =
            format!("the {} {start} is longer than a request may be: nothing was purged", kind.word());
        return Err(Failure::refused("too-long", message));
    }
    let mode = if driver.soft(kind) { mode } else { Mode::Hard };
    let estimate = estimate(list.count, &limits, passes);
    Ok(Part { kind, count: list.count, mode, limits, estimate })
}

/// A plan that does not fit into the time that is left is refused, with a better one.
pub fn affordable(
    driver: &dyn Driver,
    part: &Part,
    list: &List,
    left: Duration,
    environment: &str,
) -> Result<(), Failure> {
    let time = part.estimate.time;
    if time <= left {
        return Ok(());
    }
    let message = format!(
        "{} at {} take {} requests and about {}, more than the {} that are left: nothing was purged",
        part.kind.counted(part.count),
        driver.whose(),
        part.estimate.requests,
        spoken(time),
        spoken(left)
    );
    let patience = format!("{}m", time.as_secs().div_ceil(60) + 5);
    let failure =
        Failure::refused("too-slow", message).cause(format!("or give it the time: --timeout {patience}"));
    let way = better(driver, list).unwrap_or(vec!["--timeout", &patience]);
    Err(failure.command(["cdn-purge", "--env", environment].into_iter().chain(way)))
}

/// One request in place of many.
fn better<'l>(driver: &dyn Driver, list: &'l List) -> Option<Vec<&'l str>> {
    let can = |kind| driver.limits(kind).is_some();
    let below_the_host = list.common.splitn(4, '/').nth(3).is_some_and(|path| !path.is_empty());
    if list.kind == Kind::Url && can(Kind::Prefix) && below_the_host {
        return Some(vec!["--prefix", &list.common]);
    }
    let host = list.common.split('/').nth(2).filter(|host| !host.is_empty());
    if let (Kind::Url | Kind::Prefix, true, Some(host)) = (list.kind, can(Kind::Host), host) {
        return Some(vec!["--host", host]);
    }
    if can(Kind::Tag) && list.kind != Kind::Tag {
        return Some(vec!["--tag", "TAG"]);
    }
    can(Kind::Everything).then(|| vec!["--everything"])
}

/// A length of time for people: `5h 33m`, `2m 5s`, `3s`.
pub fn spoken(time: Duration) -> String {
    step::human(Duration::from_secs(time.as_secs() + u64::from(time.subsec_millis() > 0)))
        .replace("0ms", "0s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::batch::Size;

    #[test]
    fn soft_for_a_release_and_hard_for_a_rollback() {
        assert_eq!(mode(None, &Procedure::Release, false, false), Mode::Soft);
        assert_eq!(
            mode(None, &Procedure::Release, true, false),
            Mode::Hard,
            "old copies show data that is gone"
        );
        assert_eq!(mode(None, &Procedure::Rollback, false, false), Mode::Hard);
        assert_eq!(mode(None, &Procedure::Hotfix, false, false), Mode::Hard);
        assert_eq!(mode(None, &Procedure::Manual, false, true), Mode::Hard);
        assert_eq!(mode(Some(Mode::Soft), &Procedure::Rollback, true, true), Mode::Soft);
    }

    #[test]
    fn what_a_hundred_thousand_pages_take_at_each_vendor() {
        let limits = |size, per_item, burst, rate, workers, ms| Limits {
            size,
            per_item,
            burst,
            rate,
            workers,
            takes: Duration::from_millis(ms),
        };
        let table = [
            ("Cloudflare Free", limits(Size::json(100), true, 800.0, 800.0, 4, 100), 1000, "2m 4s"),
            ("Bunny", limits(Size::ONE, false, 120.0, 5.0, 2, 200), 100_000, "5h 32m"),
            ("Fastly", limits(Size::ONE, true, 100_000.0, 27.8, 16, 100), 100_000, "10m 25s"),
            ("CloudFront", Limits::unlimited(Size::json(3000), 1, Duration::from_secs(60)), 34, "34m"),
            ("Varnish", Limits::unlimited(Size::ONE, 4, Duration::from_millis(1)), 100_000, "25s"),
        ];
        for (name, limits, requests, time) in table {
            let estimate = estimate(100_000, &limits, 1);
            assert_eq!((estimate.requests, spoken(estimate.time)), (requests, time.to_owned()), "{name}");
        }
    }
}
