//! The certificate of a release: before anything in production is changed, each part of the way back was seen to be there. Pure.

use facts::{Edge, Previous, Rehearsal, Snapshot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use step::Failure;

use super::data;
use crate::args::Part;
use migrations::{Class, Range};

/// What the document says about the way back.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub previous: Option<Previous>,
    pub snapshot: Option<Snapshot>,
    pub rehearsal: Option<Rehearsal>,
    pub edge: Option<Edge>,
    pub channels: Vec<String>,
    /// What a release without data would do to data, if there is any after all.
    pub migrations: Option<Range>,
    /// It is a fix: what runs now need not work.
    pub is_fix: bool,
}

/// The fact `certificate`: one sentence a part, and until when it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Parts that the product does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Certifies, or says everything that is missing in one answer.
pub fn certify(seen: &Seen, without: &[Part], now: Timestamp) -> Result<Certificate, Failure> {
    let mut missing: Vec<String> = seen.migrations.as_ref().and_then(no_database).into_iter().collect();
    let mut part = |part: Part, found: Result<String, String>| {
        if without.contains(&part) {
            return None;
        }
        found.map_err(|why| missing.push(why)).ok()
    };
    let certificate = Certificate {
        code: part(Part::Code, code(seen)),
        data: part(Part::Data, data(seen, now)),
        edge: part(Part::Edge, edge(seen)),
        team: part(Part::Team, team(seen)),
        without: without.iter().map(|p| format!("{p:?}").to_lowercase()).collect(),
        until: seen.rehearsal.as_ref().filter(|_| !without.contains(&Part::Data)).map(|r| r.until.clone()),
    };
    if missing.is_empty() {
        return Ok(certificate);
    }
    let parts = if missing.len() == 1 { "1 part".to_owned() } else { format!("{} parts", missing.len()) };
    let failure = Failure::refused("no-way-back", format!("there is no proven way back: {parts} missing"));
    Err(missing.into_iter().fold(failure, Failure::cause))
}

/// Whoever says that there is no database is not believed over migrations that only a snapshot could undo.
fn no_database(range: &Range) -> Option<String> {
    let said = data::said(range);
    let lost = !matches!(range.class, Class::None | Class::Expand);
    lost.then(|| format!("data: {said}, and without a snapshot nothing brings it back: release with one (not --no-snapshot)"))
}

fn code(seen: &Seen) -> Result<String, String> {
    let missing = "code: nothing says what runs now; run `deploy-coolify observe`";
    let previous = seen.previous.as_ref().ok_or(missing)?;
    let name = previous.image.as_ref().or(previous.commit.as_ref()).ok_or(missing)?;
    if let Some(trouble) = &previous.trouble {
        return if seen.is_fix {
            Ok(format!("{name} runs now, which does not work: {trouble}; a rollback would go back to that"))
        } else {
            Err(format!(
                "code: {name} runs now, and {trouble}: going back to it would be no way back; go back first (rilis-rollback), or fix forward (rilis-hotfix)"
            ))
        };
    }
    match (previous.kept, &previous.kept_note) {
        (Some(false), note) => {
            let why = note.as_deref().unwrap_or("its image is gone");
            Err(format!(
                "code: {name} runs now, and there would be no way back to it: {why}; push it again, then begin again with --again"
            ))
        }
        (_, Some(note)) => Ok(format!("{name} runs now; {note}")),
        (_, None) => Ok(format!("{name} runs now")),
    }
}

fn data(seen: &Seen, now: Timestamp) -> Result<String, String> {
    let snapshot = seen.snapshot.as_ref().ok_or("data: there is no snapshot; run `db-restore snapshot`")?;
    let id = &snapshot.id;
    let unproven = || format!("data: {id} was never restored; run `db-restore rehearse`");
    let rehearsal = seen.rehearsal.as_ref().filter(|r| r.snapshot == *id).ok_or_else(unproven)?;
    let until = &rehearsal.until;
    // An end that cannot be read is over.
    if until.parse::<Timestamp>().map_or(true, |until| now > until) {
        return Err(format!(
            "data: {id} is older than the RPO since {until}; begin again with --again, which takes a new one"
        ));
    }
    let proof = match (&rehearsal.unproven, rehearsal.ms) {
        (Some(why), _) => format!("was not rehearsed ({why})"),
        (None, Some(ms)) => format!("was restored and verified in {:.1} s", seconds(ms)),
        (None, None) => "was restored and verified".to_owned(),
    };
    Ok(format!("{id} {proof}, and is younger than the RPO until {until}"))
}

#[expect(clippy::cast_precision_loss, reason = "a figure with one decimal")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn edge(seen: &Seen) -> Result<String, String> {
    let edge = seen.edge.as_ref().ok_or("edge: nobody has asked it; run `cdn-purge --ready`")?;
    Ok(format!("{}: {}", edge.driver, edge.seen))
}

fn team(seen: &Seen) -> Result<String, String> {
    if seen.channels.is_empty() {
        return Err("team: whether they can be told is not known; run `notify --ready`".to_owned());
    }
    Ok(format!("{} can be told", seen.channels.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn whole() -> Seen {
        let snapshot =
            Snapshot { source: "archive".into(), id: "s-1".into(), taken_at: "2026-11-25T09:00:00Z".into() };
        Seen {
            previous: Some(Previous { image: Some("shop:1.1.4".into()), ..Previous::default() }),
            snapshot: Some(snapshot),
            rehearsal: Some(Rehearsal {
                snapshot: "s-1".into(),
                until: "2026-11-25T10:00:00Z".into(),
                ms: Some(1500),
                unproven: None,
            }),
            edge: Some(Edge { driver: "http".into(), seen: "takes PURGE".into() }),
            channels: vec!["luxima-alerts".into()],
            migrations: None,
            is_fix: false,
        }
    }

    fn missing(seen: &Seen, without: &[Part], now: &str) -> Vec<String> {
        certify(seen, without, at(now)).map_or_else(|f| f.causes.clone(), |_| Vec::new())
    }

    const NOW: &str = "2026-11-25T09:30:00Z";

    #[test]
    fn a_whole_way_back_is_certified_until_the_snapshot_is_too_old() {
        let certificate = certify(&whole(), &[], at(NOW)).expect("whole");
        assert_eq!(certificate.until.as_deref(), Some("2026-11-25T10:00:00Z"));
        assert!(certificate.data.expect("data").starts_with("s-1 was restored and verified in 1.5 s"));
        let late = missing(&whole(), &[], "2026-11-25T10:00:01Z");
        assert!(late.len() == 1 && late[0].contains("older than the RPO"), "{late:?}");
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let nothing = missing(&Seen::default(), &[], NOW);
        assert_eq!(nothing.len(), 4, "{nothing:?}");
        for part in ["code:", "data:", "edge:", "team:"] {
            assert!(nothing.iter().any(|m| m.starts_with(part)), "{part} {nothing:?}");
        }
    }

    #[test]
    fn another_snapshot_s_rehearsal_proves_nothing() {
        let mut seen = whole();
        seen.rehearsal = seen.rehearsal.map(|r| Rehearsal { snapshot: "s-0".into(), ..r });
        assert!(missing(&seen, &[], NOW)[0].contains("s-1 was never restored"));
    }

    #[test]
    fn a_product_without_a_database_is_certified_without_it() {
        let seen = Seen { snapshot: None, rehearsal: None, ..whole() };
        let certificate = certify(&seen, &[Part::Data], at(NOW)).expect("whole but for the data");
        assert_eq!((certificate.data, certificate.until), (None, None));
        assert_eq!(certificate.without, ["data"]);
        for (class, whole) in
            [(Class::None, true), (Class::Expand, true), (Class::Contract, false), (Class::Unknown, false)]
        {
            let range = Range { class, from: None, to: None, files: Vec::new(), problem: None };
            let seen = Seen { migrations: Some(range), ..seen.clone() };
            assert_eq!(certify(&seen, &[Part::Data], at(NOW)).is_ok(), whole, "{class:?}");
        }
    }

    #[test]
    fn what_does_not_work_is_no_way_back_but_may_be_fixed() {
        let mut seen = whole();
        let broken = Previous {
            trouble: Some("/api/health answers with HTTP 500".into()),
            ..seen.previous.clone().expect("one")
        };
        seen.previous = Some(broken);
        let failure = certify(&seen, &[], at("2026-11-25T09:30:00Z")).expect_err("refused");
        assert!(
            failure.causes[0].contains("HTTP 500") && failure.causes[0].contains("rilis-rollback"),
            "{failure:?}"
        );
        seen.is_fix = true;
        let certificate = certify(&seen, &[], at("2026-11-25T09:30:00Z")).expect("a fix");
        assert!(certificate.code.expect("said").contains("does not work"));
    }
}
