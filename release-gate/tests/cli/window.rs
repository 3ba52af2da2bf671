//! The calendar's gate, as it is asked.

use std::process::Command;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

struct Shop {
    _folder: tempfile::TempDir,
    repo: Repo,
}

impl Shop {
    /// With these settings of the gate here, and those on the remote's production branch, if it has any.
    fn with(here: &str, there: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let repo = remote.clone_to(&folder.path().join("shop"));
        let settings = |gate: &str| format!("[product]\nname = 'shop'\n{gate}");
        if let Some(there) = there {
            repo.commit("there", &[("release.toml", &settings(there))]);
            repo.git(&["push", "--quiet", "origin", "HEAD:main"]);
        }
        repo.commit("here", &[("release.toml", &settings(here))]);
        Shop { _folder: folder, repo }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-gate"));
        isolate(&mut command).arg("window").args(args).current_dir(self.repo.path());
        command
    }

    fn ask(&self) -> (i32, Value, String) {
        exchange(&mut self.command(&[]), None)
    }
}

/// Days around today: `-1..1` is frozen whatever the clock says.
fn days(from: i64, to: i64) -> String {
    let day = |days: i64| Timestamp::now() + (days * 24).hours();
    format!("{}..{}", day(from).strftime("%Y-%m-%d"), day(to).strftime("%Y-%m-%d"))
}

fn gate(entries: &[&str], zone: &str) -> String {
    format!("[release-gate.window]\nfreeze = {}\ntimezone = '{zone}'\n", json!(entries))
}

#[test]
fn it_is_open_or_frozen_and_says_until_when() {
    let (code, went, said) = Shop::with(&gate(&[&days(30, 33)], "Asia/Jakarta"), None).ask();
    let fact = &went["facts"]["window"];
    assert_eq!((code, &fact["verdict"]), (0, &json!("yes")), "{said}");
    let seen = fact["seen"].to_string();
    assert!(
        seen.contains("nothing is frozen; the next freeze begins") && seen.contains(", Asia/Jakarta"),
        "{seen}"
    );
    assert!(fact["details"]["next"].is_string() && fact["commit"].is_null(), "{fact}");
    let frozen = days(-1, 1);
    let (code, went, said) = Shop::with(&gate(&[&frozen], "Asia/Jakarta"), None).ask();
    let fact = &went["facts"]["window"];
    assert_eq!((code, &went["failure"]["reason"]), (1, &json!("gate-no")), "{said}");
    assert!(said.contains(&format!("frozen by `{frozen}` until ")) && said.contains("00:00 +07 ("), "{said}");
    assert!(fact["details"]["until"].as_str().is_some_and(|until| until.ends_with("T17:00:00Z")), "{fact}");
}

#[test]
fn of_both_policies_whichever_freezes_counts_each_in_its_own_zone() {
    let (ahead, now) = (gate(&[&days(30, 33)], "Asia/Jakarta"), gate(&[&days(-1, 1)], "Europe/Berlin"));
    for (here, there, word) in [(&ahead, &now, "no"), (&now, &ahead, "no"), (&ahead, &ahead, "yes")] {
        let (_, went, said) = Shop::with(here, Some(there)).ask();
        assert_eq!(went["facts"]["window"]["verdict"], word, "{said}");
    }
    // The gate is on as soon as one of them has it.
    let (code, _, said) = Shop::with("", Some(&now)).ask();
    assert!(code == 1 && said.contains("frozen"), "{said}");
    let (_, went, said) = Shop::with(&ahead, Some(&gate(&[&days(60, 61)], "Europe/Berlin"))).ask();
    let seen = went["facts"]["window"]["seen"].to_string();
    assert!(seen.contains(", Asia/Jakarta") && seen.contains(", Europe/Berlin"), "{said}");
}

#[test]
fn a_calendar_that_cannot_be_read_is_an_error_and_no_answer() {
    for (settings, words) in [
        ("[release-gate.window]\ntimezone = 'Asia/Jakarta'\n".to_owned(), "its calendar is empty"),
        (gate(&[], "Asia/Jakarta"), "its calendar is empty"),
        ("[release-gate.window]\nfreeze = 'Fri 16:00..Mon 08:00'\n".to_owned(), "no `window.timezone`"),
        (gate(&["Fri 16:00..Mon 08:00", "Freitag"], "Asia/Jakarta"), "`Freitag` is no freeze"),
        (
            gate(&["Fri 16:00..Mon 08:00"], "Asia/Atlantis"),
            "`Asia/Atlantis` is not in this machine's time zone database",
        ),
        (gate(&["Fri 16:00..Mon 08:00"], "WIB"), "install tzdata"),
    ] {
        let (code, went, said) = Shop::with(&settings, None).ask();
        assert!(code == 78 && said.contains(words), "{code}: {said}");
        assert!(went["facts"]["window"].is_null(), "{went}");
        // The same where only the production branch says it, and ours is right.
        let (code, _, said) = Shop::with(&gate(&[&days(30, 31)], "Asia/Jakarta"), Some(&settings)).ask();
        let is_empty = words.contains("empty");
        assert!(is_empty == (code == 0), "{code}: {said}");
        assert!(is_empty || (said.contains(words) && said.contains("on main of origin")), "{said}");
    }
}

#[test]
fn a_machine_without_this_zone_is_told_what_to_install() {
    let zones = tempfile::tempdir().expect("a folder");
    std::fs::copy("/usr/share/zoneinfo/UTC", zones.path().join("UTC")).expect("a zone of this machine");
    let shop = Shop::with(&gate(&["Fri 16:00..Mon 08:00"], "Asia/Jakarta"), None);
    let mut command = shop.command(&[]);
    let (code, _, said) = exchange(command.env("TZDIR", zones.path()), None);
    assert!(code == 78 && said.contains("install tzdata"), "{code}: {said}");
}

#[test]
fn a_freeze_is_put_up_with_by_name_or_only_recorded() {
    let frozen = gate(&[&days(-1, 1)], "Asia/Jakarta");
    let shop = Shop::with(&frozen, None);
    let (code, went, said) = exchange(&mut shop.command(&["--waive", "the shop is down"]), None);
    assert_eq!(
        (code, &went["facts"]["window"]["waived"]["reason"]),
        (0, &json!("the shop is down")),
        "{said}"
    );
    let (code, went, said) = Shop::with(&format!("{frozen}record_only = true\n"), None).ask();
    assert_eq!((code, &went["facts"]["window"]["verdict"]), (0, &json!("no")), "{said}");
}
