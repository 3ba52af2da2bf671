//! Whether the Proxmox cluster below the product is healthy: it has a quorum, and what is named is online, active, has room, runs and is
//! not locked. It is asked with few requests, all of which read. Proxmox says yes to a token without rights, with empty lists: what is
//! named and not listed is never healthy.

mod api;
mod found;
mod guests;
mod lenient;
mod members;
mod services;
mod storages;
#[cfg(test)]
mod tests;
mod thin;
mod wanted;

use serde_json::Value;
use step::{Context, Failure};

use crate::gate::Finding;
use crate::policy::Policy;
use api::Api;
use found::{Found, verdict};
use wanted::{Guest, Wanted};

/// Asks Proxmox.
pub fn look(context: &Context, policy: &Policy) -> Result<Finding, Failure> {
    let wanted = Wanted::read(context, policy)?;
    let api = Api::open(context)?;
    let (verdict, is_passing) = verdict(wanted.count(), survey(&api, &wanted)?);
    let finding = Finding::new(verdict, format!("Proxmox at {}", api.base()), wanted.said());
    let finding = finding.detail("requests", api.asked());
    Ok(if is_passing { finding.passing() } else { finding })
}

/// All that is asked and what was found.
fn survey(api: &Api, wanted: &Wanted) -> Result<Vec<Found>, Failure> {
    let status = match api.rows("/cluster/status")? {
        Ok(rows) => rows,
        // Nobody else has an answer where nobody says who there is.
        Err(trouble) => return Ok(vec![trouble]),
    };
    let mut found = vec![members::quorum(&status, wanted.standalone)];
    found.extend(services::strange(&status, &members::TYPES, "the cluster's status"));
    found.extend(wanted.nodes.iter().map(|name| members::node(&status, name)));
    found.extend(
        api.rows("/cluster/ha/status/current")?
            .map_or_else(|trouble| vec![trouble], |rows| services::weigh(&rows)),
    );
    let Some(list) = wanted.list() else { return Ok(found) };
    match api.rows(list)? {
        Err(trouble) => found.push(trouble),
        Ok(rows) => {
            found.extend(services::strange(&rows, &storages::TYPES, "the list of resources"));
            found.extend(
                wanted.storages.iter().flat_map(|one| storages::weigh(&rows, &status, one, &wanted.room)),
            );
            for guest in &wanted.guests {
                found.push(ask(api, &rows, list, *guest)?);
            }
        }
    }
    Ok(found)
}

/// A guest, where the list says that it is. It may have gone to another node since, which is looked up once more.
fn ask(api: &Api, rows: &[Value], list: &str, guest: Guest) -> Result<Found, Failure> {
    let look = |rows: &[Value]| match guests::locate(rows, guest) {
        Ok(place) => {
            Ok(api.once(&place.path(guest))?.map_or_else(|found| found, |data| place.weigh(&data, guest)))
        }
        Err(found) => Ok(found),
    };
    match look(rows)? {
        Found::Passing(_) => {}
        found => return Ok(found),
    }
    api.pause()?;
    api.rows(list)?.map_or_else(Ok, |rows| look(&rows))
}
