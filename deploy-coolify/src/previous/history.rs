//! Coolify's history, read as a stack: what ran, what ran before it, and whether the settings are still those of then. Pure.

use crate::api::Row;

/// Why the history does not say where a rollback goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No deployment has finished, or Coolify has forgotten them (it keeps 60 days).
    History,
    /// What the last one brought cannot be told.
    Current,
    /// There was nothing before it.
    Before,
    /// What came between it and the one before cannot be told.
    Between,
}

impl Missing {
    /// What a person has to know.
    pub fn sentence(self) -> &'static str {
        match self {
            Missing::History => "Coolify knows no finished deployment of it (it forgets them after 60 days)",
            Missing::Current => {
                "Coolify does not say what its last deployment brought (an image's tag stands in the log, which needs read:sensitive)"
            }
            Missing::Before => "Coolify knows no build before the one that runs",
            Missing::Between => {
                "between the build that runs and the one that is known before it there was a deployment of which Coolify does not say \
                 what it brought"
            }
        }
    }
}

/// The builds that ran, oldest first: going back to an older one takes the newer ones off. The last is what runs now; the one before
/// it is where a rollback goes. `rows` are newest first.
pub fn stack(rows: &[Row]) -> Vec<&Row> {
    let mut stack: Vec<&Row> = Vec::new();
    for row in rows.iter().rev().filter(|r| r.is_primary && r.is_finished() && r.revision.is_some()) {
        match stack.iter().position(|known| known.revision == row.revision) {
            Some(at) => {
                stack.truncate(at);
                // The newer row has the newer time and the newer settings.
                stack.push(row);
            }
            None => stack.push(row),
        }
    }
    stack
}

/// What runs, and what ran before it.
pub fn current_and_before(rows: &[Row]) -> Result<(&Row, &Row), Missing> {
    let last = rows.iter().find(|r| r.is_primary && r.is_finished()).ok_or(Missing::History)?;
    if last.revision.is_none() {
        return Err(Missing::Current);
    }
    let [.., before, current] = stack(rows)[..] else { return Err(Missing::Before) };
    // A build that nobody names may be the one to go back to.
    let since = rows.iter().take_while(|r| r.uuid != before.uuid);
    if since.clone().any(|r| r.is_primary && r.is_finished() && r.revision.is_none()) {
        return Err(Missing::Between);
    }
    Ok((current, before))
}

/// What ran directly before what runs, in time: the newest other build that had finished before it came.
pub fn preceding(rows: &[Row]) -> Option<&Row> {
    let mut finished = rows.iter().filter(|r| r.is_primary && r.is_finished());
    let now = finished.next()?.revision.as_ref()?;
    finished.find(|row| row.revision.as_ref() != Some(now))
}

/// Whether the settings with which a revision ran then are those with which it runs now; `None` when Coolify does not say, or when it
/// never ran before.
pub fn drifted(rows: &[Row], now: &Row) -> Option<bool> {
    let revision = now.revision.as_ref()?;
    let then = rows.iter().find(|r| {
        r.is_primary && r.is_finished() && r.uuid != now.uuid && r.revision.as_ref() == Some(revision)
    })?;
    Some(then.configuration_hash.as_ref()? != now.configuration_hash.as_ref()?)
}

/// Whether anything may run: where the old container is stopped first (`keeps_old` is false), a deployment that did not finish may have left
/// half of its build, or nothing.
pub fn is_in_doubt(rows: &[Row], keeps_old: bool) -> bool {
    !keeps_old && rows.iter().find(|r| r.is_primary && !r.is_open()).is_some_and(|r| !r.is_finished())
}

/// The deployment that is on its way, and will replace what ours has brought.
pub fn coming<'a>(rows: &'a [Row], ours: &Row) -> Option<&'a Row> {
    rows.iter().filter(|r| r.is_primary && r.is_open() && r.id > ours.id).max_by_key(|r| r.id)
}

/// The newest deployment that has finished after ours.
pub fn newer<'a>(rows: &'a [Row], ours: &Row) -> Option<&'a Row> {
    rows.iter().filter(|r| r.is_primary && r.is_finished() && r.id > ours.id).max_by_key(|r| r.id)
}

/// The deployment with which a build came, since it is there without a break: a failed one may have brought half of it.
pub fn came_with<'a>(rows: &'a [Row], revision: &str) -> Option<&'a Row> {
    let mut first = None;
    for row in rows.iter().filter(|r| r.is_primary) {
        match row.revision.as_deref() {
            Some(brought) if brought == revision => first = Some(row),
            _ if row.is_finished() && first.is_some() => break,
            _ => {}
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_came_with_its_first_deployment() {
        let came = |words: &[(&str, &str)], of: &str| came_with(&rows(words), of).map(|r| r.id);
        let (done, failed) = ("finished", "failed");
        assert_eq!(came(&[("B", done), ("A", done)], "B"), Some(100));
        // It was deployed again, after it had failed once.
        assert_eq!(came(&[("B", done), ("B", failed), ("A", done)], "B"), Some(99));
        assert_eq!(came(&[("B", done), ("B", done), ("A", failed), ("B", done), ("A", done)], "B"), Some(97));
        // It was gone for a while.
        assert_eq!(came(&[("B", done), ("A", done), ("B", done)], "B"), Some(100));
        assert_eq!(came(&[("A", done)], "B"), None);
    }

    /// Newest first.
    fn rows(words: &[(&str, &str)]) -> Vec<Row> {
        let all = words.iter().enumerate();
        all.map(|(i, (revision, status))| {
            let revision = Some(*revision).filter(|r| *r != "?");
            let mut row = Row::sample(&i.to_string(), status, revision);
            row.id = 100 - i64::try_from(i).expect("small");
            row
        })
        .collect()
    }

    fn finished(revisions: &[&str]) -> Vec<Row> {
        rows(&revisions.iter().map(|r| (*r, "finished")).collect::<Vec<_>>())
    }

    fn ways(rows: &[Row]) -> Result<(String, String), Missing> {
        let name = |row: &Row| row.revision.clone().unwrap_or_default();
        current_and_before(rows).map(|(current, before)| (name(current), name(before)))
    }

    #[test]
    fn a_rollback_after_a_rollback_goes_further_back() {
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(ways(&finished(&["C", "B", "A"])), pair("C", "B"));
        // A, B, C, back to B: the next rollback goes to A, not forward to C.
        assert_eq!(ways(&finished(&["B", "C", "B", "A"])), pair("B", "A"));
        assert_eq!(ways(&finished(&["D", "B", "C", "B", "A"])), pair("D", "B"));
        // The same build again is no new one.
        assert_eq!(ways(&finished(&["C", "C", "B"])), pair("C", "B"));
        assert_eq!(ways(&rows(&[("C", "failed"), ("B", "finished"), ("A", "finished")])), pair("B", "A"));
    }

    #[test]
    fn what_is_not_known_is_no_target() {
        assert_eq!(ways(&[]), Err(Missing::History));
        assert_eq!(ways(&rows(&[("A", "failed")])), Err(Missing::History));
        assert_eq!(ways(&finished(&["A"])), Err(Missing::Before));
        assert_eq!(ways(&finished(&["?", "B", "A"])), Err(Missing::Current));
        // One that nobody names may have been the one before.
        assert_eq!(ways(&finished(&["C", "?", "A"])), Err(Missing::Between));
        assert_eq!(ways(&finished(&["C", "?", "C", "B"])), Err(Missing::Between));
        assert_eq!(ways(&finished(&["C", "B", "?"])), Ok(("C".into(), "B".into())));
        let mut elsewhere = finished(&["B", "A"]);
        elsewhere[0].is_primary = false;
        assert_eq!(ways(&elsewhere), Err(Missing::Before));
    }

    #[test]
    fn drift_is_told_only_when_both_sides_are_known() {
        let hash =
            |rows: &mut Vec<Row>, at: usize, hash: &str| rows[at].configuration_hash = Some(hash.into());
        let mut rows = finished(&["A", "B", "A"]);
        assert_eq!(drifted(&rows, &rows[0]), None);
        hash(&mut rows, 0, "x");
        assert_eq!(drifted(&rows, &rows[0]), None);
        hash(&mut rows, 2, "x");
        assert_eq!(drifted(&rows, &rows[0]), Some(false));
        hash(&mut rows, 2, "y");
        assert_eq!(drifted(&rows, &rows[0]), Some(true));
        // Builds that nobody names are not the same build; and the first deployment of one has not drifted from anything.
        for words in [&["?", "?"][..], &["?", "B", "?"], &["?"], &["B", "A"], &["A"]] {
            let mut rows = finished(words);
            (0..words.len()).for_each(|at| hash(&mut rows, at, "x"));
            assert_eq!(drifted(&rows, &rows[0]), None, "{words:?}");
        }
        let mut failed = self::rows(&[("A", "finished"), ("A", "failed")]);
        (0..2).for_each(|at| hash(&mut failed, at, "x"));
        assert_eq!(drifted(&failed, &failed[0]), None);
    }

    #[test]
    fn what_is_on_its_way_will_replace_what_runs() {
        let rows = rows(&[("C", "in_progress"), ("B", "finished"), ("A", "queued")]);
        assert_eq!(coming(&rows, &rows[1]).map(|r| r.uuid.as_str()), Some("0"));
        assert!(coming(&rows[1..], &rows[1]).is_none(), "what was queued before it comes before it");
    }

    #[test]
    fn a_deployment_that_finished_after_ours_is_newer() {
        let rows = finished(&["B", "A"]);
        assert_eq!(newer(&rows, &rows[1]).map(|r| r.uuid.as_str()), Some("0"));
        assert!(newer(&rows, &rows[0]).is_none());
        let failed = self::rows(&[("B", "failed"), ("A", "finished")]);
        assert!(newer(&failed, &failed[1]).is_none());
    }
}
