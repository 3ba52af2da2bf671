//! Where in the history of its cluster a snapshot stands. While the live database is a descendant of that point, a row whose
//! transaction is older was there already, as it is now: only what is newer can have been written since. Whether it is a descendant
//! is not taken on trust: a cluster that was set back (a file system's or a machine's snapshot, point-in-time recovery, commits that a
//! crash has lost) gives the same numbers to other transactions. So a snapshot leaves a seal, and whoever compares looks for it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};
use step::{Failure, Permit};

use crate::server::sql::{self, Sql};
use crate::server::{Row, Session, get};

/// Rows carry 32 bits of a transaction's number: beyond half of that, old and new look alike. Half of it is enough for us.
const REACH: i64 = 1 << 30;
/// How many transactions a seal is made of.
const BITS: u32 = 32;

/// That point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The database's own identity: another one that has got its name has another past.
    pub database: u32,
    /// Every transaction before this one was over.
    pub xmin: u64,
    /// What [`seal`] has left.
    pub seal: String,
    /// How each table was laid out; nothing for a clone, whose own tables tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<BTreeMap<String, String>>,
    /// The rows of each table that the snapshot is known to hold.
    #[serde(skip)]
    pub rows: Option<BTreeMap<String, u64>>,
}

/// Leaves a number of 32 random bits in the cluster's commit log, by transactions that do nothing and are committed or rolled back as
/// chance will have it. Any user may, nobody sees it, and no other history has it. What is older than the seal is as durable as it.
pub fn seal(session: &mut Session, permit: &Permit) -> Result<String, Failure> {
    let chance = RandomState::new().hash_one(std::process::id());
    let signs: Vec<bool> = (0..BITS).map(|bit| chance >> bit & 1 == 1).collect();
    let one = |commit: &bool| {
        Sql::from(if *commit {
            "begin; select pg_current_xact_id()::text; commit"
        } else {
            "begin; select pg_current_xact_id()::text; rollback"
        })
    };
    let xids = session.batch(permit, sql::join(signs.iter().map(one), ";"))?;
    let written =
        xids.iter().zip(&signs).map(|(xid, commit)| format!("{xid}{}", if *commit { '+' } else { '-' }));
    Ok(written.collect::<Vec<_>>().join(" "))
}

/// The transactions of a seal and how they ended; `None` when it is none.
fn read(seal: &str) -> Option<(Vec<String>, Vec<&'static str>)> {
    let one = |word: &str| {
        let status = match word.chars().last()? {
            '+' => "committed",
            '-' => "aborted",
            _ => return None,
        };
        let xid = &word[..word.len() - 1];
        xid.parse::<u64>().ok().map(|_| (xid.to_owned(), status))
    };
    let all: Option<(Vec<_>, Vec<_>)> = seal.split(' ').map(one).collect();
    all.filter(|(xids, _)| xids.len() == BITS as usize)
}

/// The values of a question about a seal.
pub struct Seal {
    pub xids: Vec<String>,
    pub ends: Vec<&'static str>,
}

impl Origin {
    /// What a session is asked about a seal, with the values of [`Origin::question`].
    pub const QUESTION: &'static str = "
        select (select oid from pg_database where datname = current_database()), pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
               (select count(*) from unnest($1::text[], $2::text[]) s(xid, ended)
                where case when xid::xid8 < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status(xid::xid8) end = ended)";

    /// The transactions of the seal, and how they ended; nothing of one that is none.
    pub fn question(&self) -> Seal {
        let (xids, ends) = read(&self.seal).unwrap_or_default();
        Seal { xids, ends }
    }

    /// Why the database of the session that has answered cannot be told to descend from here; nothing if it does.
    pub fn doubt(&self, rows: &[Row]) -> Result<Option<&'static str>, Failure> {
        if read(&self.seal).is_none() {
            return Ok(Some("the snapshot has no seal"));
        }
        let row = rows.first().ok_or_else(|| Failure::bug("no row about the seal"))?;
        let (database, next, found): (u32, i64, i64) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
        let passed = i64::try_from(self.xmin).ok().map(|xmin| next - xmin);
        Ok(if database != self.database {
            Some("it is another database than the one that the snapshot was taken of")
        } else if found != i64::from(BITS) {
            Some("the snapshot's seal is not in the cluster's commit log any more")
        } else if !passed.is_some_and(|passed| (0..REACH).contains(&passed)) {
            Some("too many transactions have passed since the snapshot")
        } else {
            None
        })
    }

    /// SQL for whether a row `t` may be newer. A number that says nothing of its age counts as newer.
    pub fn newer(&self) -> Sql {
        // Rows carry the lower 32 bits; 2 is what old versions, and tools that mend tables, write in place of a number.
        sql::fill(
            "(age(t.xmin) <= age('{}'::xid) or t.xmin = '2'::xid)",
            &[sql::number(self.xmin & 0xffff_ffff)],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_whole_or_none() {
        let seal: Vec<String> = (0..BITS)
            .map(|n| format!("{}{}", 4_294_967_296_u64 + u64::from(n), if n % 3 == 0 { '+' } else { '-' }))
            .collect();
        let (xids, ends) = read(&seal.join(" ")).expect("a seal");
        assert_eq!((xids[1].as_str(), ends[0], ends[1]), ("4294967297", "committed", "aborted"));
        assert_eq!(read(&seal[1..].join(" ")), None);
        assert_eq!(read(&seal.join(" ").replace('+', "?")), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_row_is_newer_by_the_bits_that_it_carries() {
        let origin =
            Origin { database: 1, xmin: (1 << 32) + 700, seal: String::new(), tables: None, rows: None };
        assert_eq!(origin.newer().as_str(), "(age(t.xmin) <= age('700'::xid) or t.xmin = '2'::xid)");
    }
}
