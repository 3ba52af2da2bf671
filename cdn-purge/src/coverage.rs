//! Whether the vendor's zone covers the hosts of the pages. A purge through the wrong zone is answered with yes and drops nothing,
//! so `--check` and `--ready` compare the two before a release. Pure: a driver asks, this judges.

use serde_json::{Value, json};
use step::Failure;
use url::{Host, Url};

use crate::select;

/// What a driver found out without a purge.
#[derive(Debug)]
pub struct Checked {
    /// A sentence for people.
    pub said: String,
    /// The zone as the vendor's people call it: `pull zone 77`.
    pub zone: String,
    pub covers: Covers,
}

/// The hosts that a zone covers.
#[derive(Debug)]
pub enum Covers {
    /// These; `*.shop.example` is all below `shop.example`.
    Names(Vec<String>),
    /// The vendor does not tell this token, and why.
    Untold(String),
    /// A cache of one's own has no list of hosts.
    NoZone,
}

/// The outcome, for people and for the record.
#[derive(Debug)]
pub struct Compared {
    pub said: String,
    /// For each host whether it is covered; null where that cannot be told.
    pub hosts: Value,
}

/// The names of the pages' hosts as zones have them, without ports, each once.
pub fn hosts(pages: &[String]) -> Vec<String> {
    let mut hosts: Vec<String> = pages.iter().filter_map(|page| host(page)).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn host(page: &str) -> Option<String> {
    Url::parse(page).ok()?.host_str().map(str::to_owned)
}

/// Whether one of the names covers a host.
pub fn covered(names: &[String], host: &str) -> bool {
    names.iter().any(|name| match name.strip_prefix("*.") {
        // At any depth: AWS says so of its aliases, and the others do not say otherwise.
        Some(above) => {
            let below = host.strip_suffix(&canonical(above)).and_then(|rest| rest.strip_suffix('.'));
            below.is_some_and(|label| !label.is_empty())
        }
        None => canonical(name) == host,
    })
}

/// A name as a URL has it: lower case, and Punycode for what is not ASCII.
fn canonical(name: &str) -> String {
    Host::parse(name).map_or_else(|_| name.to_ascii_lowercase(), |host| host.to_string())
}

/// Holds the pages against the zone.
///
/// # Errors
/// `refused`, `zone-mismatch`: a page's host is not covered. That it cannot be told is no error.
pub fn compare(checked: Checked, pages: &[String]) -> Result<Compared, Failure> {
    let Checked { said, zone, covers } = checked;
    let hosts = hosts(pages);
    let list = |covered: Option<bool>| {
        hosts.iter().map(|host| json!({ "host": host, "covered": covered })).collect::<Value>()
    };
    let all = hosts.join(", ");
    match covers {
        Covers::NoZone => Ok(Compared { said, hosts: list(None) }),
        Covers::Untold(why) => Ok(Compared {
            said: format!("{said}\nwhether {zone} covers {all} cannot be told: {why}"),
            hosts: list(None),
        }),
        Covers::Names(names) => match mismatch(&zone, &names, pages) {
            Some(failure) => Err(failure),
            None => Ok(Compared { said: format!("{said}\n{zone} covers {all}"), hosts: list(Some(true)) }),
        },
    }
}

fn mismatch(zone: &str, names: &[String], pages: &[String]) -> Option<Failure> {
    let bare = |page: &&String| host(page).is_some_and(|host| !covered(names, &host));
    let mut pages = pages.iter().filter(bare);
    let first = pages.next()?;
    let shown: Vec<&str> = names.iter().map(String::as_str).take(10).collect();
    let known = if shown.is_empty() { "no host at all".to_owned() } else { shown.join(", ") };
    let message = format!(
        "{first} is not on a host of {zone}, which covers {known}: a purge through it would be answered with yes and purge nothing"
    );
    let name = Url::parse(first).map(|page| select::host(&page)).unwrap_or_default();
    let next = format!(
        "set the zone that covers {name} in [environment.X.cdn-purge], add {name} to {zone}, or correct public_urls"
    );
    let failure = Failure::refused("zone-mismatch", message).next(next);
    Some(pages.map(|page| format!("{page} is not covered either")).fold(failure, Failure::cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_itself_and_a_star_all_below() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let table = [
            (["shop.example", "*.shop.example"], "shop.example", true),
            (["shop.example", "*.shop.example"], "a.b.shop.example", true),
            (["shop.example", "*.shop.example"], "myshop.example", false),
            (["shop.example", "*.shop.example"], "shop.example.org", false),
            (["*.shop.example", "x"], "shop.example", false),
            (["Shop.Example", "x"], "shop.example", true),
            (["*.bücher.example", "x"], "www.xn--bcher-kva.example", true),
            (["www.shop.example", "x"], "shop.example", false),
        ];
        for (given, host, wanted) in table {
            assert_eq!(covered(&names(&given), host), wanted, "{given:?} {host}");
        }
    }

    #[test]
    fn each_of_the_three_outcomes_is_said() {
        let pages = ["https://shop.example:8443/", "https://shop.example/sale", "https://other.example/"]
            .map(str::to_owned);
        let checked = |covers| Checked { said: "yes".into(), zone: "zone z".into(), covers };
        let names = || Covers::Names(vec!["shop.example".into()]);
        let covered = compare(checked(names()), &pages[..2]).expect("covered");
        assert_eq!(covered.said, "yes\nzone z covers shop.example");
        assert_eq!(covered.hosts, json!([{ "host": "shop.example", "covered": true }]));
        let refused = compare(checked(names()), &pages).expect_err("one is not");
        assert_eq!(refused.reason, "zone-mismatch");
        assert!(
            refused.message.starts_with("https://other.example/ is not on a host of zone z"),
            "{}",
            refused.message
        );
        let untold = compare(checked(Covers::Untold("no right to read".into())), &pages).expect("no error");
        assert!(untold.said.ends_with("cannot be told: no right to read"), "{}", untold.said);
        assert_eq!(untold.hosts[0]["covered"], Value::Null);
    }
}
