//! Which versions come before each release, for links that begin at one.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;

use crate::changelog::Section;
use crate::rules::Ask;
use crate::version::Order;

/// So many candidates, withdrawn or later releases in a row are passed over, and no more.
const PASSED: usize = 200;

/// Which versions come before each release.
pub(super) struct Before<'a> {
    releases: &'a [&'a Section],
    orders: Vec<Option<Order>>,
    days: HashMap<usize, Date>,
    /// The next release of the same package further down in the file.
    next: Vec<Option<usize>>,
    /// By package and version.
    sorted: BTreeSet<(Option<&'a str>, Order, usize)>,
}

impl<'a> Before<'a> {
    pub(super) fn of(ask: &'a Ask<'a>) -> Self {
        let releases = &ask.releases;
        let orders: Vec<_> = releases.iter().map(|section| Order::of(section.name())).collect();
        let keys = releases.iter().enumerate().zip(&orders);
        let sorted = keys
            .filter_map(|((index, section), order)| Some((package(section), order.clone()?, index)))
            .collect();
        let days = releases
            .iter()
            .filter_map(|section| Some((section.heading, crate::rules::versions::day(ask, section)?)))
            .collect();
        let mut last = HashMap::new();
        let mut next: Vec<_> = releases
            .iter()
            .enumerate()
            .rev()
            .map(|(index, section)| last.insert(package(section), index))
            .collect();
        next.reverse();
        Before { releases, orders, days, next, sorted }
    }

    /// The next lower versions of the file, nearest first.
    fn lower(&self, index: usize) -> impl Iterator<Item = &'a Section> {
        let package = package(self.releases[index]);
        let order = self.orders[index].clone();
        let below = order.into_iter().flat_map(move |order| self.sorted.range(..(package, order, 0)).rev());
        let same = below.take_while(move |(other, ..)| *other == package);
        same.map(|(.., index)| self.releases[*index])
    }

    /// The next releases further down in the file.
    fn below(&self, index: usize) -> impl Iterator<Item = &'a Section> {
        let indices = std::iter::successors(self.next[index], |index| self.next[*index]);
        indices.map(|index| self.releases[index])
    }

    /// What the link should begin at.
    pub(super) fn expected(&self, index: usize) -> Option<&'a Section> {
        let is_lower = |section: &&Section| Order::of(section.name()) < self.orders[index];
        let below = self.below(index).next().filter(is_lower);
        below.or_else(|| self.lower(index).next())
    }

    /// Whether a link may begin there: at the release below it or the next lower version, leaving out candidates and
    /// withdrawn ones if it likes, or at a version in between that the file does not have.
    pub(super) fn is_right(&self, index: usize, found: &str) -> bool {
        let Some(order) = Order::of(found) else { return true };
        if self.orders[index].as_ref().is_none_or(|own| order >= *own) {
            return self.orders[index].is_none();
        }
        let own_day = self.days.get(&self.releases[index].heading);
        let passed = |section: &&Section| {
            // A patch of the line before that came out later was not there to begin at.
            let later = self.days.get(&section.heading).zip(own_day).is_some_and(|(day, own)| day >= own);
            later
                || section.yanked.is_some()
                || Order::of(section.name()).is_some_and(|o| o.is_before_release())
        };
        // Everything that may be passed over, and the first one that may not.
        let reached = |sections: &mut dyn Iterator<Item = &Section>| {
            for section in sections.take(PASSED) {
                if super::is_of(section, found) {
                    return Some(true);
                }
                if !passed(&section) {
                    return Some(false);
                }
            }
            None
        };
        let file = reached(&mut self.below(index));
        let numeric = reached(&mut self.lower(index));
        // Where all that is lower may be passed over, the version before is one that the file does not have.
        if file == Some(true) || numeric != Some(false) {
            return true;
        }
        let nearest = self.lower(index).next().and_then(|section| Order::of(section.name()));
        nearest.is_none_or(|nearest| order > nearest)
    }
}

fn package(section: &Section) -> Option<&str> {
    section.version().and_then(|version| version.package.as_deref())
}
