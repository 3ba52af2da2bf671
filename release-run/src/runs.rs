//! Several runs together: of two copies the one that counts, their order, and whose word is the last about what customers write.

use std::cmp::Ordering;

use crate::record::Record;

/// Brings together what lies here and what lies elsewhere; of two copies of a run one counts.
pub fn merge(all: &mut Vec<Record>, theirs: impl IntoIterator<Item = Record>) {
    for record in theirs {
        match all.iter_mut().find(|known| known.run == record.run) {
            Some(known) if record.supersedes(known) => *known = record,
            Some(_) => {}
            None => all.push(record),
        }
    }
}

/// The order of runs: the one that was opened last comes first.
pub fn newest_first(a: &Record, b: &Record) -> Ordering {
    (b.opened, &b.run).cmp(&(a.opened, &a.run))
}

/// Of runs, the newest first: the one that has stopped what customers write and not allowed it again, unless another one has since.
pub fn paused<'a>(newest: impl IntoIterator<Item = &'a Record>) -> Option<&'a Record> {
    newest.into_iter().take_while(|run| !run.has_allowed()).find(|run| run.is_paused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Changes;
    use crate::record::tests::{at, sample};

    #[test]
    fn the_newest_word_about_what_customers_write_counts() {
        let of = |key: &str, steps: &[&str]| {
            let mut run = sample("rollback", key);
            for step in steps {
                run.begin(step, Changes::Pause, at(1));
                run.end(step, "yes", at(2));
            }
            run
        };
        let (stops, allows, other) = (of("a", &["stop"]), of("b", &["stop", "allow"]), of("c", &[]));
        let said = |runs: &[&Record]| paused(runs.iter().copied()).map(|run| run.key.clone());
        assert_eq!(said(&[&other, &stops, &allows]), Some("a".into()));
        assert_eq!(said(&[&allows, &stops]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn of_two_copies_of_a_run_the_newer_one_counts() {
        let old = sample("release", "k");
        let mut new = old.clone();
        new.begin("deploy", Changes::Customers, at(1));
        for (here, theirs) in [(&old, &new), (&new, &old)] {
            let mut all = vec![here.clone()];
            merge(&mut all, [theirs.clone(), sample("hotfix", "other")]);
            assert_eq!((all.len(), all[0].serial), (2, new.serial));
        }
    }
}
