//! What must be healthy, by both policies.

use std::collections::BTreeSet;

use step::{Context, Failure, FromSetting, Settings};

use crate::policy::Policy;
use crate::settings::bytes;

use super::storages::Room;

/// What must be healthy.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub nodes: BTreeSet<String>,
    pub storages: BTreeSet<Storage>,
    pub guests: BTreeSet<Guest>,
    pub room: Room,
    /// One machine without a quorum is enough.
    pub standalone: bool,
}

impl Wanted {
    /// Of the settings: at least one thing must be named.
    pub fn read(context: &Context, policy: &Policy) -> Result<Self, Failure> {
        let no_default = || Failure::bug("cluster.max_used has a default");
        let wanted = Wanted {
            nodes: policy.union("cluster.nodes")?,
            storages: policy.union_of("cluster.storages")?,
            guests: policy.union_of("cluster.guests")?,
            room: Room {
                most: policy.most::<Share>("cluster.max_used")?.ok_or_else(no_default)?.0,
                least: policy.least::<Size>("cluster.min_free")?.map_or(0, |size| size.0),
            },
            standalone: policy.allows("cluster.standalone")?,
        };
        if wanted.nodes.is_empty() && wanted.storages.is_empty() && wanted.guests.is_empty() {
            let why = "the gate is on and nothing is named: name what must be healthy in cluster.nodes, cluster.storages or cluster.guests";
            return Err(context.settings.wrong("cluster.nodes", why));
        }
        Ok(wanted)
    }

    /// The least that must have been seen: the quorum, the word of HA, and each that is named.
    pub fn count(&self) -> usize {
        2 + self.nodes.len() + self.storages.len() + self.guests.len()
    }

    /// The list that has all that is named, if one is needed.
    pub fn list(&self) -> Option<&'static str> {
        match (self.storages.is_empty(), self.guests.is_empty()) {
            (true, true) => None,
            (false, true) => Some("/cluster/resources?type=storage"),
            (true, false) => Some("/cluster/resources?type=vm"),
            (false, false) => Some("/cluster/resources"),
        }
    }

    /// For people.
    pub fn said(&self) -> String {
        let quorum = if self.standalone { "a quorum or one machine" } else { "a quorum" };
        let list = |what: &str, names: Vec<String>| {
            (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
        };
        let parts = [
            Some(format!("{quorum}, no HA error")),
            list("online:", self.nodes.iter().cloned().collect()),
            list("active and with room:", self.storages.iter().map(Storage::said).collect()),
            list("running and not locked:", self.guests.iter().map(|guest| guest.0.to_string()).collect()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A storage, on one node or wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Storage {
    pub node: Option<String>,
    pub name: String,
}

impl Storage {
    /// As it is written.
    pub fn said(&self) -> String {
        self.node.as_ref().map_or_else(|| self.name.clone(), |node| format!("{node}/{}", self.name))
    }
}

impl FromSetting for Storage {
    fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [name] if !name.is_empty() => Ok(Storage { node: None, name: name.to_owned() }),
            [node, name] if !node.is_empty() && !name.is_empty() => {
                Ok(Storage { node: Some(node.to_owned()), name: name.to_owned() })
            }
            _ => Err("a storage is named as name or node/name".to_owned()),
        }
    }
}

/// A guest's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guest(pub u64);

impl FromSetting for Guest {
    fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| is_plain && (100..=999_999_999).contains(n));
        number.map(Guest).ok_or_else(|| "a guest is named by its number, from 100 on".to_owned())
    }
}

/// A part of a whole, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Share(u32);

impl FromSetting for Share {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and a million"
    )]
    fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
        let part: Option<f64> = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
        part.map(|part| Share((part * 1e6) as u32))
            .ok_or_else(|| "it must be a number from 0 to 1".to_owned())
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Size(u64);

impl FromSetting for Size {
    fn from_setting(_: &Settings, text: &str) -> Result<Self, String> {
        bytes(text).map(Size).ok_or_else(|| "it must be a size, such as 20GB".to_owned())
    }
}
