//! What HA says of its services (`/cluster/ha/status/current`).

use serde_json::Value;

use super::found::Found;
use super::lenient::{flag, shown, text};

/// States in which a service is lost, or is being fetched back from a node that is.
const BAD: [&str; 3] = ["error", "fence", "recovery"];

/// HA's own word on the quorum, and every service. Without that word the answer is not whole: it is there on one machine too.
pub fn weigh(rows: &[Value]) -> Vec<Found> {
    let of = |kind: &'static str| rows.iter().filter(move |row| row["type"] == kind);
    let mut found: Vec<Found> = of("service").filter_map(trouble).collect();
    let quorums: Vec<Option<bool>> = of("quorum").map(|row| flag(&row["quorate"])).collect();
    found.push(match quorums[..] {
        [Some(true)] => Found::Right(format!("none of {} HA services is in error", of("service").count())),
        [Some(false)] => Found::Wrong("HA has no quorum".to_owned()),
        _ => Found::Unknown("HA's status has no row that says whether it has a quorum".to_owned()),
    });
    found
}

fn trouble(row: &Value) -> Option<Found> {
    let name = shown(if row["sid"].is_string() { &row["sid"] } else { &row["id"] });
    let states = [&row["state"], &row["crm_state"]];
    if let Some(bad) = states.iter().filter_map(|state| text(state)).find(|state| BAD.contains(state)) {
        return Some(Found::Wrong(format!("the HA service {name} is in state {bad}")));
    }
    text(&row["state"])
        .is_none()
        .then(|| Found::Unknown(format!("the HA service {name} does not say its state")))
}
