//! How many servers are behind an address, for each part of a site: a balancer may hand `/blog/` to other servers than `/shop/`. Pages
//! of one part are taken to be handed on alike until their answers show something else; the record says by which page they were counted.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use step::Failure;
use url::Url;

use crate::page::form::Form;
use crate::page::node::Nodes;
use crate::proof::Proof;
use crate::proof::board::{Board, Slot, tells};
use crate::proof::watch::{Counting, Servers};
use crate::select;

/// Counts at the same time.
const THREADS: usize = 8;

/// The pages of one part of a site at one node.
#[derive(Clone, Debug)]
pub struct Group {
    pub node: usize,
    part: String,
    pub servers: Servers,
    /// The page by which they were counted.
    by: Option<usize>,
}

impl Group {
    /// For the record.
    pub fn to_value(&self, pages: &[Url], nodes: &Nodes) -> Value {
        let mut value = json!({ "host": nodes.all[self.node].host, "part": self.part });
        if let Some(address) = nodes.all[self.node].address {
            value["address"] = json!(address.to_string());
        }
        if let Some(page) = self.by {
            value["counted_by"] = json!(pages[page].as_str());
        }
        match self.servers {
            Servers::One => value["servers"] = json!(1),
            Servers::Several(n) => value["servers"] = json!(n),
            Servers::Uncounted | Servers::Untold => {}
        }
        value
    }
}

/// The part of the site that each page belongs to: `/blog/` for `/blog/a`, and for `/blog` if another page lies below it; else `/`.
fn parts(pages: &[Url]) -> Vec<String> {
    let folder = |page: &Url| {
        let (folders, _) = page.path().trim_start_matches('/').rsplit_once('/')?;
        folders.split('/').next().map(|first| format!("/{first}/"))
    };
    let known: Vec<(String, Option<String>)> =
        pages.iter().map(|page| (select::host(page), folder(page))).collect();
    let part = |(page, (host, own)): (&Url, &(String, Option<String>))| {
        let as_folder = format!("{}/", page.path());
        let above = known.iter().any(|(h, folder)| h == host && folder.as_ref() == Some(&as_folder));
        own.clone().unwrap_or_else(|| if above { as_folder } else { "/".to_owned() })
    };
    pages.iter().zip(&known).map(part).collect()
}

/// The groups of all pages, and for each page and node the number of its group.
pub fn groups(pages: &[Url], nodes: &Nodes) -> (Vec<Group>, Vec<Vec<(usize, usize)>>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut number = |node: usize, part: &str| {
        let known = groups.iter().position(|group| group.node == node && group.part == part);
        known.unwrap_or_else(|| {
            groups.push(Group { node, part: part.to_owned(), servers: Servers::Uncounted, by: None });
            groups.len() - 1
        })
    };
    let of_page = |(page, part): (&Url, String)| {
        nodes.of_page(page).into_iter().map(|node| (node, number(node, &part))).collect()
    };
    let of_pages = pages.iter().zip(parts(pages)).map(of_page).collect();
    (groups, of_pages)
}

impl Proof<'_> {
    /// Counts the servers of each group whose address keeps copies, once.
    pub fn count(&self, board: &mut Board, end: Instant) -> Result<(), Failure> {
        let page = |group: usize| {
            let kept =
                |slot: &&Slot| slot.group == group && tells(slot.watched.seen.cached) && !slot.form.wire;
            board.slots.iter().find(kept).map(|slot| slot.page)
        };
        let uncounted = (0..board.groups.len()).filter(|n| board.groups[*n].servers == Servers::Uncounted);
        let asked: Vec<(usize, Option<usize>)> = uncounted.map(|group| (group, page(group))).collect();
        for (group, page) in &asked {
            board.groups[*group].by = *page;
        }
        for some in asked.chunks(THREADS) {
            let counted = self.count_some(board, some, end);
            for ((group, _), servers) in some.iter().zip(counted) {
                board.groups[*group].servers = servers?;
            }
        }
        Ok(())
    }

    fn count_some(
        &self,
        board: &Board,
        some: &[(usize, Option<usize>)],
        end: Instant,
    ) -> Vec<Result<Servers, Failure>> {
        let ask = |(group, page): &(usize, Option<usize>)| match page {
            Some(page) => self.count_one(*page, board.groups[*group].node, end),
            None => Ok(Servers::Untold),
        };
        std::thread::scope(|scope| {
            let ask = &ask;
            let asking: Vec<_> = some.iter().map(|one| scope.spawn(move || ask(one))).collect();
            let lost = |_| Err(Failure::bug("a count was lost"));
            asking.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
        })
    }

    fn count_one(&self, page: usize, node: usize, end: Instant) -> Result<Servers, Failure> {
        let mut counting = Counting::default();
        let within = end.saturating_duration_since(Instant::now());
        let mut look = self.look_at(page, &Form::browser(), node, within);
        let unique = format!("{node}-{}", Timestamp::now().as_nanosecond());
        look.url.query_pairs_mut().append_pair("cdn-purge-counts", &unique);
        loop {
            let seen = self.edge.page(&look)?;
            if let Some(servers) = counting.take(seen.cached) {
                return Ok(servers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_one_folder_are_one_part_of_the_site() {
        let parts = |paths: &[&str]| {
            let page = |path: &&str| Url::parse(&format!("https://shop.example{path}")).expect("a page");
            parts(&paths.iter().map(page).collect::<Vec<_>>())
        };
        assert_eq!(
            parts(&["/", "/sale", "/p/1", "/p/2", "/p/q/3", "/blog/"]),
            ["/", "/", "/p/", "/p/", "/p/", "/blog/"]
        );
        assert_eq!(
            parts(&["/blog", "/sale", "/blog/a?b=/c/"]),
            ["/blog/", "/", "/blog/"],
            "a rule for /blog is for both"
        );
        let hosts = ["https://a.example/blog", "https://b.example/blog/a"]
            .map(|page| Url::parse(page).expect("a page"));
        assert_eq!(super::parts(&hosts), ["/", "/blog/"], "of another host");
    }
}
