//! Whether a storage is active and has room (`/cluster/resources`).

use serde_json::Value;

use super::found::Found;
use super::lenient::{shown, text, whole};
use super::members;
use super::wanted::Storage;

/// Types of rows in the list of resources.
pub const TYPES: [&str; 8] = ["node", "storage", "pool", "qemu", "lxc", "openvz", "sdn", "network"];

/// How much room there must be.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The most that may be in use, in millionths.
    pub most: u32,
    /// The least bytes that must be free.
    pub least: u64,
}

/// Every storage of that name: one that is on several nodes must be right on each.
pub fn weigh(rows: &[Value], status: &[Value], wanted: &Storage, room: &Room) -> Vec<Found> {
    let fits = |row: &&Value| {
        let on = wanted.node.as_deref().is_none_or(|node| text(&row["node"]) == Some(node));
        row["type"] == "storage" && on && text(&row["storage"]) == Some(&wanted.name)
    };
    let found: Vec<Found> = rows.iter().filter(fits).map(|row| one(row, status, wanted, room)).collect();
    if found.is_empty() { vec![missing(rows, wanted)] } else { found }
}

fn missing(rows: &[Value], wanted: &Storage) -> Found {
    let name = wanted.said();
    Found::Unknown(if rows.iter().any(|row| row["type"] == "storage") {
        format!(
            "the storage {name} is not listed: it is not there, or the token lacks Datastore.Audit on it (role PVEAuditor)"
        )
    } else {
        format!("no storage is listed, and {name} is looked for: {NO_RIGHTS}")
    })
}

/// What an empty list means.
pub const NO_RIGHTS: &str = "give the token the role PVEAuditor on / (with privilege separation it has rights of its own, at first none)";

fn one(row: &Value, status: &[Value], wanted: &Storage, room: &Room) -> Found {
    let Some(node) = text(&row["node"]) else {
        return Found::Unknown(format!("the storage {} is listed without its node", wanted.said()));
    };
    let name = format!("{}/{}", shown(&row["node"]), wanted.name);
    match members::node(status, node) {
        Found::Right(_) => {}
        Found::Wrong(_) => {
            return Found::Wrong(format!(
                "{name} cannot be reached: its node is offline or not in the cluster"
            ));
        }
        _ => return Found::Unknown(format!("{name}: it is not known whether its node is online")),
    }
    if row["status"] != "available" {
        return Found::Unknown(format!(
            "Proxmox does not know how {name} is: its status is {}",
            shown(&row["status"])
        ));
    }
    match (whole(&row["disk"]), whole(&row["maxdisk"])) {
        (Some(used), Some(whole)) if whole > 0 => has_room(&name, used, whole, room),
        (used, whole) => {
            let said = |n: Option<u64>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
            Found::Unknown(format!(
                "how full {name} is was not measured: {} of {} bytes",
                said(used),
                said(whole)
            ))
        }
    }
}

fn has_room(name: &str, used: u64, whole: u64, room: &Room) -> Found {
    let free = whole.saturating_sub(used);
    let state = format!("{name} has {} in use and {} free", percent(used, whole), size(free));
    if u128::from(used) * 1_000_000 > u128::from(room.most) * u128::from(whole) {
        return Found::Wrong(format!(
            "{state}: at most {} may be in use",
            percent(room.most.into(), 1_000_000)
        ));
    }
    if free < room.least {
        return Found::Wrong(format!("{state}: {} must be free", size(room.least)));
    }
    Found::Right(state)
}

/// In tenths, rounded up: what is above a limit never looks like it.
fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000).div_ceil(u128::from(whole));
    if tenths % 10 == 0 { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

/// In tenths, rounded down.
fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= 1 << 40 { (1_u64 << 40, "TB") } else { (1 << 30, "GB") };
    format!("{}.{} {name}", bytes / unit, u128::from(bytes % unit) * 10 / u128::from(unit))
}
