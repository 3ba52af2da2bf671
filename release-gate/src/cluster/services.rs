//! What HA says of its services (`/cluster/ha/status/current`). Only what is known to be well is: a state that nobody knows is none.

use serde_json::Value;

use super::found::Found;
use super::lenient::{flag, shown, text};

/// Types of rows.
const TYPES: [&str; 5] = ["quorum", "master", "lrm", "service", "fencing"];
/// States in which a service runs, or a person has taken it out of HA's hands.
const GOOD: [&str; 4] = ["started", "enabled", "ignored", "disabled"];
/// States in which a service is lost, or is being fetched back from a node that is.
const BAD: [&str; 3] = ["error", "fence", "recovery"];
/// States that pass.
const MOVING: [&str; 11] = [
    "queued",
    "starting",
    "stopping",
    "deleting",
    "request_start",
    "request_start_balance",
    "request_stop",
    "migrate",
    "relocate",
    "relocating",
    "freeze",
];

/// HA's own word on the quorum, and every service. Without that word the answer is not whole: it is there on one machine too.
pub fn weigh(rows: &[Value]) -> Vec<Found> {
    let of = |kind: &'static str| rows.iter().filter(move |row| row["type"] == kind);
    let mut found: Vec<Found> = of("service").filter_map(service).collect();
    found.extend(of("master").filter_map(|row| manager(row, "HA's master")));
    found.extend(of("lrm").filter_map(|row| manager(row, "HA's manager of services")));
    found.extend(of("fencing").filter_map(fencing));
    found.extend(strange(rows, &TYPES, "HA's status"));
    let quorums: Vec<Option<bool>> = of("quorum").map(|row| flag(&row["quorate"])).collect();
    found.push(match quorums[..] {
        [Some(true)] => Found::Right(format!("none of {} HA services is in error", of("service").count())),
        [Some(false)] => Found::Wrong("HA has no quorum".to_owned()),
        _ => Found::Unknown("HA's status has no row that says whether it has a quorum".to_owned()),
    });
    found
}

/// A row of a type that nobody knows may say anything.
pub fn strange(rows: &[Value], known: &[&str], of: &str) -> Option<Found> {
    let is_known = |row: &&Value| row["type"].as_str().is_some_and(|kind| known.contains(&kind));
    let odd = rows.iter().find(|row| !is_known(row))?;
    Some(Found::Unknown(format!("{of} has a row of a type that nobody knows: {}", shown(&odd["type"]))))
}

fn service(row: &Value) -> Option<Found> {
    let name = shown(if row["sid"].is_string() { &row["sid"] } else { &row["id"] });
    let (state, crm) = (&row["state"], &row["crm_state"]);
    let is = |value: &Value, list: &[&str]| value.as_str().is_some_and(|state| list.contains(&state));
    if let Some(bad) = [state, crm].into_iter().find(|value| is(value, &BAD)) {
        return Some(Found::Wrong(format!("the HA service {name} is in state {}", shown(bad))));
    }
    let is_stopped = |value: &Value| value == "stopped";
    // The manager of the cluster may not have seen it yet.
    if !(crm.is_null() || is(crm, &GOOD) || is(crm, &MOVING) || is_stopped(crm)) {
        return Some(Found::Unknown(format!(
            "the HA service {name} is in a state that nobody knows: {}",
            shown(crm)
        )));
    }
    match state {
        good if is(good, &GOOD) => None,
        stopped if is_stopped(stopped) && is_stopped(&row["request_state"]) => None,
        stopped if is_stopped(stopped) => {
            Some(Found::Unknown(format!("the HA service {name} is stopped, and is not asked to be")))
        }
        moving if is(moving, &MOVING) => {
            Some(Found::Passing(format!("the HA service {name} is on the move: {}", shown(moving))))
        }
        odd if text(odd).is_some() => Some(Found::Unknown(format!(
            "the HA service {name} is in a state that nobody knows: {}",
            shown(odd)
        ))),
        _ => Some(Found::Unknown(format!("the HA service {name} does not say its state"))),
    }
}

/// A program of HA, by its words: `pve1 (active, Mon Nov 23 10:00:00 2026)`.
fn manager(row: &Value, what: &str) -> Option<Found> {
    let said = shown(&row["status"]);
    let name = format!("{what} on {}", shown(&row["node"]));
    let word = row["status"].as_str().and_then(|text| text.split_once('('));
    let word = word.map(|(_, rest)| rest.split([',', ')']).next().unwrap_or_default());
    match word {
        Some("active" | "idle" | "maintenance mode") => None,
        Some("wait_for_agent_lock" | "restart mode" | "shutdown mode") => {
            Some(Found::Passing(format!("{name} is not at work yet: {said}")))
        }
        Some("lost_agent_lock" | "detected time drift!") => {
            Some(Found::Wrong(format!("{name} is not well: {said}")))
        }
        Some(word) if word.contains("dead") || word.contains("old timestamp") => {
            Some(Found::Wrong(format!("{name} is dead: {said}")))
        }
        _ => Some(Found::Unknown(format!("{name} does not say how it is: {said}"))),
    }
}

fn fencing(row: &Value) -> Option<Found> {
    match row["armed-state"].as_str() {
        Some("armed" | "standby") => None,
        Some("disarming" | "disarmed") => {
            Some(Found::Wrong("HA is disarmed: it starts nothing anew".to_owned()))
        }
        _ => Some(Found::Unknown(format!(
            "HA does not say whether it is armed: {}",
            shown(&row["armed-state"])
        ))),
    }
}
