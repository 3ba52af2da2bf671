//! Which snapshot is the recovery point, or why there is none. Pure: the clock comes in.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use step::{Failure, human};

/// Clocks of two machines may differ by this much before a snapshot counts as one from the future, and before no age is proven.
const SKEW: Duration = Duration::from_secs(60);

/// A snapshot as it is listed.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `archive`, `database` or `supabase`.
    pub source: &'static str,
    /// Its name there.
    pub id: String,
    /// How it is stored; only sizes of one form can be compared.
    pub form: &'static str,
    /// The instant whose data it holds.
    pub taken_at: Timestamp,
    /// By how much that may be wrong.
    pub uncertainty: Duration,
    pub bytes: u64,
    /// The document in whose run it was taken.
    pub document: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Whether it can be used all the same by whoever names it.
    pub by_name: bool,
    /// What it cannot prove.
    pub remark: Option<String>,
}

impl Snapshot {
    /// One that can be used as far as it is known.
    pub fn new(source: &'static str, id: &str, form: &'static str, taken_at: Timestamp) -> Self {
        let (uncertainty, bytes) = (Duration::ZERO, 0);
        let id = id.to_owned();
        Snapshot {
            source,
            id,
            form,
            taken_at,
            uncertainty,
            bytes,
            document: None,
            problem: None,
            by_name: false,
            remark: None,
        }
    }

    /// One that cannot be used.
    pub fn unusable(source: &'static str, id: &str, form: &'static str, problem: impl Into<String>) -> Self {
        Snapshot { problem: Some(problem.into()), ..Self::new(source, id, form, Timestamp::UNIX_EPOCH) }
    }

    /// A line for people.
    pub fn line(&self, now: Timestamp) -> String {
        if let Some(problem) = &self.problem {
            return format!("{}  not usable: {problem}", self.id);
        }
        let remark = self.remark.as_ref().map(|r| format!("  ({r})")).unwrap_or_default();
        let size =
            if self.bytes == 0 { String::new() } else { format!("  {} KiB", self.bytes.div_ceil(1024)) };
        format!("{}  {}  {}{size}{remark}", self.id, instant(self.taken_at), age(self, &Moment::Now, now))
    }

    /// As the document names it.
    pub fn fact(&self) -> facts::Snapshot {
        facts::Snapshot {
            source: self.source.to_owned(),
            id: self.id.clone(),
            taken_at: instant(self.taken_at),
        }
    }

    /// For an answer.
    pub fn to_value(&self) -> Value {
        if let Some(problem) = &self.problem {
            return json!({ "id": self.id, "source": self.source, "problem": problem });
        }
        let mut value = json!({
            "id": self.id, "source": self.source, "form": self.form, "taken_at": instant(self.taken_at),
            "uncertainty_s": self.uncertainty.as_secs(), "bytes": self.bytes,
        });
        if let Some(remark) = &self.remark {
            value["remark"] = json!(remark);
        }
        value
    }
}

/// Marks as incomplete what is much smaller than the usable one before it of the same form. `least` is the part that it must be.
pub fn mark_shrunken(snapshots: &mut [Snapshot], least: f64) {
    let mut before: BTreeMap<&'static str, (String, u64)> = BTreeMap::new();
    for snapshot in snapshots.iter_mut().filter(|s| s.problem.is_none() && s.bytes > 0) {
        if let Some((id, bytes)) = before.get(snapshot.form) {
            #[expect(clippy::cast_precision_loss, reason = "sizes are compared roughly")]
            if (snapshot.bytes as f64) < *bytes as f64 * least {
                let (ours, theirs) = (snapshot.bytes, bytes);
                snapshot.problem = Some(format!(
                    "it has {ours} bytes and {id} before it has {theirs}: incomplete? (`shrink` in the settings says how much smaller it may be)"
                ));
                continue;
            }
        }
        before.insert(snapshot.form, (snapshot.id.clone(), snapshot.bytes));
    }
}

/// Whether two clocks are close enough for an age to mean something; `skew` is the server's lead in seconds.
pub fn clocks(skew: f64) -> Result<(), Failure> {
    if skew.abs() <= SKEW.as_secs_f64() {
        return Ok(());
    }
    let message = format!(
        "the database server's clock is {skew:.0} s away from this machine's: no age can be proven; set both by NTP"
    );
    Err(Failure::refused("clock-skew", message))
}

/// An incident must have been: one that is to come is a slip of the keyboard, and every snapshot would be from before it.
pub fn has_been(incident: Timestamp, now: Timestamp) -> Result<(), Failure> {
    if incident <= now + SKEW {
        return Ok(());
    }
    let (at, ahead) =
        (instant(incident), human(Duration::try_from(incident.duration_since(now)).unwrap_or_default()));
    let message = format!("the incident {at} is {ahead} ahead: write since when the data is wrong, in UTC");
    Err(Failure::refused("incident-ahead", message))
}

/// What the age of a snapshot is measured against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A release: the present.
    Now,
    /// A rollback: since when the data is wrong.
    Incident {
        /// That instant.
        at: Timestamp,
        /// The run that is rolled back, if its own deployment is the incident: a snapshot that this run took came
        /// before its deployment, although the clocks of two machines may say otherwise.
        run: Option<String>,
    },
}

/// The newest usable snapshot; in a rollback, from before the incident.
pub fn newest<'s>(
    snapshots: &'s [Snapshot],
    moment: &Moment,
    now: Timestamp,
) -> Result<&'s Snapshot, Failure> {
    let usable = || snapshots.iter().filter(|s| s.problem.is_none() && !is_future(s, now));
    let before = |s: &&Snapshot| match moment {
        Moment::Now => true,
        Moment::Incident { at, run } => {
            let own = run.is_some() && s.document == *run && s.taken_at <= *at + SKEW;
            s.taken_at + s.uncertainty <= *at || own
        }
    };
    usable()
        .filter(before)
        .max_by_key(|s| s.taken_at)
        .ok_or_else(|| none(snapshots, usable().count(), moment))
}

/// Whether a snapshot says that it is from a time that has not come.
pub fn is_future(snapshot: &Snapshot, now: Timestamp) -> bool {
    snapshot.taken_at > now + SKEW
}

fn none(snapshots: &[Snapshot], usable: usize, moment: &Moment) -> Failure {
    let (reason, message) = match (moment, usable) {
        (Moment::Incident { at, .. }, 1..) => {
            let message = format!(
                "every usable snapshot was taken after {}: the wrong data is in it already",
                instant(*at)
            );
            ("after-incident", message)
        }
        _ if snapshots.is_empty() => ("no-snapshot", "there is no snapshot".to_owned()),
        _ => ("no-snapshot", "no snapshot can be used".to_owned()),
    };
    let failure = Failure::refused(reason, message);
    snapshots
        .iter()
        .filter_map(|s| s.problem.as_ref().map(|p| format!("{}: {p}", s.id)))
        .fold(failure, Failure::cause)
}

/// The recovery point: the newest usable snapshot, if it is young enough.
pub fn recovery_point<'s>(
    snapshots: &'s [Snapshot],
    moment: &Moment,
    now: Timestamp,
    rpo: Duration,
) -> Result<&'s Snapshot, Failure> {
    let chosen = newest(snapshots, moment, now)?;
    if gap(chosen, moment, now) + chosen.uncertainty <= rpo {
        return Ok(chosen);
    }
    let message = format!(
        "{} is {}; the recovery point may be {} old",
        chosen.id,
        age(chosen, moment, now),
        human(rpo)
    );
    Err(Failure::refused("too-old", message))
}

/// The named snapshot, if it may be restored at all.
pub fn named<'s>(
    snapshots: &'s [Snapshot],
    id: &str,
    moment: &Moment,
    now: Timestamp,
) -> Result<&'s Snapshot, Failure> {
    let missing = || Failure::refused("no-snapshot", format!("there is no snapshot {id}"));
    let at = snapshots.iter().position(|s| s.id == id).ok_or_else(missing)?;
    match &snapshots[at].problem {
        Some(_) if snapshots[at].by_name => {
            let usable = [Snapshot { problem: None, ..snapshots[at].clone() }];
            newest(&usable, moment, now).map(|_| &snapshots[at])
        }
        Some(problem) => Err(Failure::refused("unusable", format!("{id}: {problem}"))),
        None => newest(&snapshots[at..=at], moment, now),
    }
}

/// From the snapshot to the moment; nothing if the clocks say that it is younger.
pub fn gap(snapshot: &Snapshot, moment: &Moment, now: Timestamp) -> Duration {
    let end = match moment {
        Moment::Now => now,
        Moment::Incident { at, .. } => *at,
    };
    Duration::try_from(end.duration_since(snapshot.taken_at)).unwrap_or_default()
}

/// The age for people.
pub fn age(snapshot: &Snapshot, moment: &Moment, now: Timestamp) -> String {
    let gap = human(gap(snapshot, moment, now));
    match moment {
        Moment::Now => format!("{gap} old"),
        Moment::Incident { .. } => format!("from {gap} before the incident"),
    }
}

/// An instant as the document writes it.
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A snapshot's name: of what, when, and in which run.
pub fn id(database: &str, taken_at: Timestamp, document: &str) -> String {
    let digits = document.rsplit('-').next().unwrap_or_default();
    format!("{database}-{}-{digits}", taken_at.strftime("%Y%m%dT%H%M%SZ"))
}

/// The databases of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The public name.
    pub live: String,
    /// What the snapshot is restored into.
    pub side: String,
    /// What the present data will be called.
    pub old: String,
}

/// The names that a restore uses; PostgreSQL would cut longer ones.
pub fn names(database: &str, document: &str) -> Result<Names, Failure> {
    let name = |word: &str| beside(database, word, document);
    Ok(Names { live: database.to_owned(), side: name("dbr")?, old: name("old")? })
}

/// How long the beginning of such a name may be: what follows is at most `__undone_`, a time and four digits.
const HEAD: usize = 33;

/// What the names of the databases beside one begin with: its own name, shortened where PostgreSQL would cut (at 63 bytes) what follows. A
/// digest of the whole name keeps those of two long names apart.
pub fn head(database: &str) -> String {
    if database.len() <= HEAD {
        return database.to_owned();
    }
    let digest: String =
        Sha256::digest(database.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
    let end = (0..=HEAD - 9).rev().find(|at| database.is_char_boundary(*at)).unwrap_or_default();
    format!("{}_{digest}", &database[..end])
}

/// A database beside another one, named after what it is and the run that made it.
pub fn beside(database: &str, word: &str, document: &str) -> Result<String, Failure> {
    // The document's id ends in its time and four digits.
    let mut parts = document.rsplit('-');
    let (digits, time) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let name = format!("{}__{word}_{}_{digits}", head(database), time.to_ascii_lowercase());
    if name.len() > 63 {
        let message = format!(
            "the name {name} of a database beside it would be longer than 63 bytes: the document's id does not end in a time and four digits"
        );
        return Err(Failure::refused("name-too-long", message));
    }
    Ok(name)
}

/// Whether a name is one that [`beside`] makes with this word.
pub fn is_beside(name: &str, database: &str, word: &str) -> bool {
    let after =
        |head: &str| name.strip_prefix(head)?.strip_prefix("__")?.strip_prefix(word)?.strip_prefix('_');
    let rest = after(&head(database)).or_else(|| after(database));
    let made = |rest: &str| {
        let (time, digits) = rest.split_once('_')?;
        let clock = time.len() == 16 && time.bytes().all(|b| b.is_ascii_digit() || b == b't' || b == b'z');
        Some(clock && digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    rest.and_then(made).unwrap_or(false)
}

/// Whole seconds between two instants.
pub fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    Duration::try_from(to.duration_since(from)).unwrap_or_default().as_secs()
}
