//! Whether there is room for a copy: as much as the snapshot needs, not what the incident has left of the live database. A disk that runs full
//! stops the whole server, the live database with it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use step::Failure;

use crate::operation::Operation;
use crate::restore::demands::Demands;
use crate::restore::preflight::Problems;
use crate::server::Room;
use crate::server::{Live, Row, get};

/// How large the log may become, and whether it stays (archived, or held by a slot).
pub const LOG: &str = "
    select pg_size_bytes(current_setting('max_wal_size')), current_setting('archive_mode') <> 'off' or exists (select from pg_replication_slots)";
/// Where things lie: the data folder (nothing where we may not know it), the database's own tablespace, and each tablespace's folder.
pub const PLACES: &str = "
    select case when pg_has_role('pg_read_all_settings', 'USAGE') then current_setting('data_directory') end, (select spcname::text from pg_tablespace t join pg_database d on d.dattablespace = t.oid where d.datname = $1),
           array(select spcname::text from pg_tablespace order by oid), array(select pg_tablespace_location(oid) from pg_tablespace order by oid)";

/// How many bytes are needed where, for people and for looking.
#[derive(Debug, Default)]
struct Needs {
    /// In a tablespace, by its name.
    spaces: BTreeMap<String, u64>,
    log: u64,
}

impl Needs {
    fn total(&self) -> u64 {
        self.spaces.values().sum::<u64>() + self.log
    }
}

/// A copy takes what the database took when the snapshot was taken, and writes 1.6 times as much into the log, which stays there when it is
/// archived or held by a slot (measured).
fn needs(live: &Live, demands: &Demands, own: &str, log: u64, held: bool) -> Needs {
    let bytes = demands.bytes.unwrap_or(live.bytes);
    let elsewhere: u64 = demands.spaces.values().sum();
    let mut spaces = demands.spaces.clone();
    *spaces.entry(own.to_owned()).or_default() += bytes.saturating_sub(elsewhere);
    // The log grows no more than is written, and without an archive no more than max_wal_size allows.
    let written = bytes * 8 / 5;
    Needs { spaces, log: if held { written } else { log.min(written) } }
}

/// Says so if there is not enough room, or if nobody can see it.
pub fn room(
    operation: &Operation,
    live: &Live,
    demands: &Demands,
    (log, places): (&[Row], &[Row]),
    problems: &mut Problems,
) -> Result<(), Failure> {
    let missing = || Failure::bug("no row about the disk");
    let (log, places) = (log.first().ok_or_else(missing)?, places.first().ok_or_else(missing)?);
    let own: String = get::<Option<String>>(places, 1)?.unwrap_or_default();
    let needs = needs(
        live,
        demands,
        &own,
        get::<i64>(log, 0)?.unsigned_abs(),
        get::<Option<bool>>(log, 1)?.unwrap_or(false),
    );
    let needed = needs.total();
    let folders = folders(places)?;
    match operation.settings.room {
        Room::Unchecked => {}
        Room::Bytes(free) if free < needed => problems.add("disk", short(free, needed, "")),
        Room::Bytes(_) => {}
        Room::Measure => match folders
            .filter(|_| operation.settings.place.is_local())
            .and_then(|folders| disks(&needs, &folders))
        {
            Some(disks) => {
                let full = disks.into_values().filter(|disk| disk.free < disk.needed);
                for disk in full {
                    problems.add(
                        "disk",
                        short(disk.free, disk.needed, &format!(" where {} lies", disk.path.display())),
                    );
                }
            }
            None => {
                let host = &operation.settings.place.host;
                problems.add("disk-unknown", format!("nobody can see from here how much disk {host} has free, and a full one stops it: {} are needed; set disk_free to what there is (or to unchecked)", mib(needed)));
            }
        },
    }
    Ok(())
}

fn short(free: u64, needed: u64, place: &str) -> String {
    let (free, needed) = (mib(free), mib(needed));
    format!(
        "{free} are free{place} and {needed} are needed (a second copy, as large as the snapshot's, and its log): free some, or prune"
    )
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// The folder of each tablespace, and of the log (as no tablespace); `None` where we may not know.
fn folders(places: &Row) -> Result<Option<BTreeMap<String, PathBuf>>, Failure> {
    let Some(data) = get::<Option<String>>(places, 0)? else { return Ok(None) };
    let (names, at): (Vec<String>, Vec<String>) = (get(places, 2)?, get(places, 3)?);
    let folder = |at: String| if at.is_empty() { PathBuf::from(&data) } else { PathBuf::from(at) };
    let mut folders: BTreeMap<String, PathBuf> = names.into_iter().zip(at.into_iter().map(folder)).collect();
    folders.insert(String::new(), Path::new(&data).join("pg_wal"));
    Ok(Some(folders))
}

/// A disk that something is written to.
#[derive(Debug)]
struct Disk {
    path: PathBuf,
    free: u64,
    needed: u64,
}

/// Only on the server's own machine can its disks be looked at. What is not there yet is said elsewhere.
fn disks(needs: &Needs, folders: &BTreeMap<String, PathBuf>) -> Option<BTreeMap<u64, Disk>> {
    let mut disks: BTreeMap<u64, Disk> = BTreeMap::new();
    let log = (String::new(), needs.log);
    for (name, bytes) in needs.spaces.iter().map(|(name, bytes)| (name.clone(), *bytes)).chain([log]) {
        let Some(path) = folders.get(&name) else { continue };
        let device = std::fs::metadata(path).ok()?.dev();
        let found = rustix::fs::statvfs(path).ok()?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let disk = disks.entry(device).or_insert_with(|| Disk { path: path.clone(), free, needed: 0 });
        disk.needed += bytes;
    }
    Some(disks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_needs_what_the_snapshot_holds_wherever_it_lies() {
        let live = Live::of_bytes(7 << 20);
        let demands = Demands {
            bytes: Some(400 << 20),
            spaces: [("fast".to_owned(), 300 << 20)].into(),
            ..Demands::default()
        };
        let found = needs(&live, &demands, "pg_default", 1 << 30, false);
        assert_eq!(
            found.spaces,
            [("fast".to_owned(), 300 << 20), ("pg_default".to_owned(), 100 << 20)].into()
        );
        assert_eq!((found.log, found.total()), (640 << 20, 1040 << 20));
        assert_eq!(needs(&live, &demands, "pg_default", 1 << 20, false).log, 1 << 20);
        assert_eq!(
            needs(&live, &Demands::default(), "pg_default", 1 << 30, true).total(),
            (7 << 20) + ((7 << 20) * 8 / 5)
        );
        let here = |name: &str| (name.to_owned(), PathBuf::from("/"));
        let folders = [here("fast"), here("pg_default"), here("")].into();
        let disks = disks(&found, &folders).expect("one disk");
        assert_eq!(disks.len(), 1, "what lies on one disk is needed there together");
        assert_eq!(disks.values().map(|disk| disk.needed).sum::<u64>(), 1040 << 20);
    }
}
