//! Whether a guest runs and nothing holds it. Guests move from node to node, so their place is looked up each time.

use serde_json::Value;

use super::found::Found;
use super::lenient::{shown, text, whole};
use super::storages::NO_RIGHTS;
use super::wanted::Guest;

/// Where a guest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    node: String,
    is_machine: bool,
}

/// Looks it up among the resources.
pub fn locate(rows: &[Value], guest: Guest) -> Result<Place, Found> {
    let is_guest = |row: &&Value| row["type"] == "qemu" || row["type"] == "lxc";
    let number = guest.0;
    let ours: Vec<&Value> =
        rows.iter().filter(is_guest).filter(|row| whole(&row["vmid"]) == Some(number)).collect();
    match ours[..] {
        [row] => {
            // What is a secret of ours is no name, and must not come back in an address.
            let is_name = |node: &&str| !node.trim_matches('.').is_empty() && step::scrub(node) == **node;
            let node = text(&row["node"]).filter(is_name);
            let node =
                node.ok_or_else(|| Found::Unknown(format!("guest {number} is listed without its node")))?;
            Ok(Place { node: node.to_owned(), is_machine: row["type"] == "qemu" })
        }
        [] if rows.iter().any(|row| is_guest(&row)) => {
            let why = "it is not there, or the token lacks VM.Audit on it (role PVEAuditor)";
            Err(Found::Unknown(format!("guest {number} is not listed: {why}")))
        }
        [] => Err(Found::Unknown(format!("no guest is listed, and {number} is looked for: {NO_RIGHTS}"))),
        _ => Err(Found::Unknown(format!("guest {number} is listed {} times", ours.len()))),
    }
}

impl Place {
    /// Where its status is asked for. The node's name comes from outside: it stays one segment.
    pub fn path(&self, guest: Guest) -> String {
        let kind = if self.is_machine { "qemu" } else { "lxc" };
        format!("/nodes/{}/{kind}/{}/status/current", segment(&self.node), guest.0)
    }

    /// What its status says.
    pub fn weigh(&self, data: &Value, guest: Guest) -> Found {
        let name = match text(&data["name"]) {
            Some(_) => format!("guest {} ({})", guest.0, shown(&data["name"])),
            None => format!("guest {}", guest.0),
        };
        let at = shown(&Value::from(self.node.as_str()));
        if whole(&data["vmid"]) != Some(guest.0) {
            return Found::Unknown(format!(
                "the answer about guest {} is about {}",
                guest.0,
                shown(&data["vmid"])
            ));
        }
        // A container has no monitor.
        let monitor = if self.is_machine { Some(&data["qmpstatus"]) } else { None };
        for (what, value) in
            std::iter::once(("status", &data["status"])).chain(monitor.map(|value| ("qmpstatus", value)))
        {
            match text(value) {
                Some("running") => {}
                None | Some("unknown") => {
                    return Found::Unknown(format!("{name} on {at} does not say its {what}"));
                }
                Some(_) => return Found::Wrong(format!("{name} on {at} is {}", shown(value))),
            }
        }
        match &data["lock"] {
            Value::Null => Found::Right(format!("{name} runs on {at}")),
            lock if text(lock).is_some() => {
                Found::Wrong(format!("{name} on {at} is locked: {}", shown(lock)))
            }
            lock => {
                Found::Unknown(format!("it is not known whether {name} on {at} is locked: {}", shown(lock)))
            }
        }
    }
}

/// One segment of a path, whatever is in it.
fn segment(name: &str) -> String {
    let one = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    name.bytes().map(one).collect()
}
