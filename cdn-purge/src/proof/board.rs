//! All that is watched after a purge, page by page, form by form, node by node, and what may be said of it.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::page::form::Form;
use crate::page::node::Nodes;
use crate::page::seen::{Claim, Seen, Twin};
use crate::page::verdict::Cached;
use crate::proof::canary::Fate;
use crate::proof::count::Group;
use crate::proof::watch::{Quiet, Servers, Watched};

/// One form of one page at one node.
#[derive(Clone, Debug)]
pub struct Slot {
    pub page: usize,
    pub form: Form,
    pub node: usize,
    /// Which servers it is one of.
    pub group: usize,
    /// The page at the origin in this form, if that is known.
    pub twin: Option<Twin>,
    pub watched: Watched,
}

/// Everything that is watched.
#[derive(Clone, Debug)]
pub struct Board {
    pub slots: Vec<Slot>,
    /// How many servers are behind each node, for each part of the site.
    pub groups: Vec<Group>,
    /// Each page's nodes, and its groups there.
    pub of_page: Vec<Vec<(usize, usize)>>,
    /// What each page varies by.
    pub vary: Vec<Vec<String>>,
    /// What has become of copies that only we had.
    pub fates: Vec<Fate>,
    /// Each page before the purge.
    pub before: Vec<Seen>,
    pub quiet: Quiet,
}

impl Board {
    /// The numbers of those for which nothing can be claimed yet.
    pub fn open(&self) -> Vec<usize> {
        self.which(|slot| slot.watched.claim.is_none() && !slot.watched.absent)
    }

    /// Those that were right or silent once, which proves nothing.
    pub fn once(&self) -> Vec<usize> {
        let once = |page: &Watched| page.row == 1 || page.mute == 1;
        self.which(|slot| slot.watched.claim.is_none() && !slot.watched.absent && once(&slot.watched))
    }

    /// Those that only have to be right more often.
    pub fn short(&self) -> Vec<usize> {
        self.which(|slot| slot.watched.lacks_answers(self.groups[slot.group].servers, self.quiet))
    }

    fn which(&self, is: impl Fn(&Slot) -> bool) -> Vec<usize> {
        (0..self.slots.len()).filter(|n| is(&self.slots[*n])).collect()
    }

    /// Whether some only have to stay right for a while.
    pub fn lacks_time(&self) -> bool {
        let open = self.open();
        !open.is_empty() && open.iter().all(|n| self.slots[*n].watched.lacks_time())
    }

    /// Claims what may be claimed by now, everywhere.
    pub fn judge(&mut self) {
        let now = Instant::now();
        for slot in &mut self.slots {
            let servers = &mut self.groups[slot.group].servers;
            if slot.watched.is_of_several() && *servers == Servers::One {
                *servers = Servers::Several(2);
            }
        }
        for slot in &mut self.slots {
            slot.watched.judge(self.groups[slot.group].servers, self.quiet, now);
        }
    }

    /// The headers by which a page has copies at a node that were not looked at. `listed` says of which the values are known.
    fn unlooked(&self, slot: &Slot, listed: &dyn Fn(&str) -> bool) -> Vec<String> {
        let fate = |header: &str| {
            let servers = match self.groups[slot.group].servers {
                Servers::One => 1,
                Servers::Several(n) => usize::try_from(n).unwrap_or(usize::MAX),
                Servers::Uncounted | Servers::Untold => usize::MAX,
            };
            let mut fates = self.fates.iter().filter(|fate| fate.node == slot.node && fate.page == slot.page);
            let fate = fates.find(|fate| fate.header == header);
            // Of more servers than it was on, another one may have kept its copies.
            fate.filter(|fate| !fate.dropped || fate.copies >= servers).map(|fate| fate.dropped)
        };
        let missing = |header: &&String| match fate(header) {
            Some(dropped) => !dropped,
            None => !listed(header),
        };
        self.vary[slot.page].iter().filter(missing).cloned().collect()
    }

    /// Right, but copies or addresses were not looked at: that is no longer `observed`.
    pub fn settle(&mut self, listed: &dyn Fn(&str) -> bool, nodes: &Nodes) {
        let all_asked = nodes.unasked().is_none();
        let blind: Vec<bool> =
            self.slots.iter().map(|slot| !all_asked || !self.unlooked(slot, listed).is_empty()).collect();
        for (slot, blind) in self.slots.iter_mut().zip(blind) {
            let sure = matches!(slot.watched.claim, Some(Claim::Observed | Claim::Stable));
            if sure && blind {
                slot.watched.claim = Some(Claim::Unknown);
            }
        }
    }

    /// Whatever was claimed of a page is not known any more.
    pub fn doubt(&mut self, page: usize) {
        for slot in self.slots.iter_mut().filter(|slot| slot.page == page && slot.watched.claim.is_some()) {
            slot.watched.claim = Some(Claim::Unknown);
        }
    }

    /// The forms that pages have, with the worst of their nodes first.
    fn rows(&self) -> Vec<Vec<&Slot>> {
        let mut rows: Vec<Vec<&Slot>> = Vec::new();
        for slot in self.slots.iter().filter(|slot| !slot.watched.absent) {
            match rows.iter_mut().find(|row| row[0].page == slot.page && row[0].form == slot.form) {
                Some(row) => row.push(slot),
                None => rows.push(vec![slot]),
            }
        }
        rows.iter_mut().for_each(|row| row.sort_by_key(|slot| rank(slot.watched.claim)));
        rows.sort_by_key(|row| row[0].page);
        rows
    }

    /// The one word for everything.
    pub fn claim(&self) -> &'static str {
        let claims = self.slots.iter().filter(|slot| !slot.watched.absent).map(|slot| slot.watched.claim);
        claims.min_by_key(|claim| rank(*claim)).flatten().map_or("unknown", Claim::word)
    }

    /// All answers since the purge.
    pub fn answers(&self) -> u32 {
        self.slots.iter().map(|slot| slot.watched.answers).sum()
    }

    /// Whether no form of any page could be read: then nothing is known of what the edge serves.
    pub fn is_unread(&self) -> bool {
        let rows = self.rows();
        let unread = |slot: &Slot| slot.watched.mute > 0 && slot.watched.seen.unreadable;
        !rows.is_empty() && rows.iter().all(|row| unread(row[0]))
    }

    /// One sentence that says no more than was seen.
    pub fn said(&self, name: &str, nodes: &Nodes, listed: &dyn Fn(&str) -> bool) -> String {
        let rows = self.rows();
        let count = |is: &dyn Fn(&Slot) -> bool| rows.iter().filter(|row| is(row[0])).count();
        let asked = rows.len();
        let uncached = count(&|slot| slot.watched.claim == Some(Claim::NotCached));
        let mute = count(&|slot| slot.watched.mute > 0);
        let unsaid = count(&|slot| slot.watched.claim == Some(Claim::Unknown) && slot.watched.mute == 0);
        let mut said = match uncached {
            _ if mute == asked => "what the edge serves is not known".to_owned(),
            0 => format!("the edge serves {name}"),
            all if all == asked => format!("the edge serves {name}, and keeps no copy of what was asked"),
            some => format!("the edge serves {name}, and keeps no copy of {some} of the {asked} forms asked"),
        };
        said.push_str(&format!(" ({} answers from {})", self.answers(), addresses(nodes.all.len())));
        if mute > 0 {
            said.push_str(&format!("; {mute} of the {asked} forms of pages asked do not say what they are"));
        }
        if unsaid > 0 {
            said.push_str(&format!(
                "; of {unsaid} of the {asked} forms it is not known whether a copy is left"
            ));
        }
        let mut headers: Vec<String> =
            self.slots.iter().flat_map(|slot| self.unlooked(slot, listed)).collect();
        headers.sort();
        headers.dedup();
        if !headers.is_empty() {
            said.push_str(&format!("; other copies by {} were not seen to go", headers.join(", ")));
        }
        if let Some(unasked) = nodes.unasked() {
            said.push_str(&format!("; {unasked}"));
        }
        said
    }

    /// What was observed here and now, and no more than that: other places of the edge and browsers may differ.
    pub fn report(&self, pages: &[url::Url], nodes: &Nodes, listed: &dyn Fn(&str) -> bool) -> Value {
        self.rows().iter().map(|row| self.row(row, pages, nodes, listed)).collect()
    }

    /// How many servers there are, as far as that is known, and by which page they were counted.
    pub fn servers(&self, pages: &[url::Url], nodes: &Nodes) -> Value {
        self.groups.iter().map(|group| group.to_value(pages, nodes)).collect()
    }

    fn row(&self, row: &[&Slot], pages: &[url::Url], nodes: &Nodes, listed: &dyn Fn(&str) -> bool) -> Value {
        let slot = row[0];
        let watched = &slot.watched;
        let mut after = watched.seen.to_value();
        after["count"] = json!(watched.row);
        if let Some(at) = watched.at {
            after["at"] = json!(millis(at));
        }
        let claim = |slot: &Slot| slot.watched.claim.map_or("unknown", Claim::word);
        let mut value = json!({ "url": pages[slot.page].as_str() });
        if slot.form.is_plain() {
            value["before"] = self.before.get(slot.page).map(Seen::to_value).unwrap_or_default();
        } else {
            value["variant"] = json!(slot.form.name);
        }
        value["after"] = after;
        value["claim"] = json!(claim(slot));
        if row.len() > 1 {
            let node = |slot: &&Slot| {
                let address = nodes.all[slot.node].address.map(|address| address.to_string());
                json!({ "address": address, "claim": claim(slot), "answers": slot.watched.answers })
            };
            value["nodes"] = row.iter().map(node).collect();
        }
        if !self.vary[slot.page].is_empty() {
            value["varies_by"] = json!(self.vary[slot.page]);
        }
        let mut unlooked: Vec<String> = row.iter().flat_map(|slot| self.unlooked(slot, listed)).collect();
        unlooked.dedup();
        if !unlooked.is_empty() {
            value["not_looked_at"] = json!(unlooked);
        }
        value
    }
}

fn addresses(count: usize) -> String {
    if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") }
}

/// The worst first.
fn rank(claim: Option<Claim>) -> u8 {
    match claim {
        None => 0,
        Some(Claim::Unknown) => 1,
        Some(Claim::NotCached) => 2,
        Some(Claim::Observed) => 3,
        Some(Claim::Stable) => 4,
    }
}

fn millis(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Whether an answer shows that its address keeps copies, or never does.
pub fn tells(cached: Cached) -> bool {
    matches!(cached, Cached::Hit | Cached::Miss)
}
