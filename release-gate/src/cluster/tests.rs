//! What Proxmox's rows mean, one by one: what cannot be read is never right.

use facts::Verdict;
use serde_json::{Value, json};

use super::found::{Found, verdict};
use super::storages::Room;
use super::wanted::{Guest, Storage};
use super::{guests, lenient, members, services, storages};

const GB: u64 = 1 << 30;

/// The kind of a finding and whether its words hold these.
fn is(found: &Found, kind: &str, words: &str) -> bool {
    let (is, what) = match found {
        Found::Right(what) => ("right", what),
        Found::Wrong(what) => ("wrong", what),
        Found::Unknown(what) => ("unknown", what),
        Found::Passing(what) => ("passing", what),
    };
    is == kind && what.contains(words)
}

fn cluster(quorate: &Value, nodes: &Value) -> Value {
    json!({ "type": "cluster", "id": "cluster", "name": "kluster", "nodes": nodes, "version": 3, "quorate": quorate })
}

fn member(name: &str, online: &Value) -> Value {
    json!({ "type": "node", "id": format!("node/{name}"), "name": name, "nodeid": 1, "online": online, "local": 0 })
}

#[test]
fn a_flag_is_0_or_1_and_a_number_is_one_from_0_on() {
    for (value, flag, whole) in [
        (json!(1), Some(true), Some(1)),
        (json!("1"), Some(true), Some(1)),
        (json!(1.0), None, Some(1)),
        (json!("01"), None, Some(1)),
        (json!("00"), None, Some(0)),
        (json!("True"), None, None),
        (json!("on"), None, None),
        (json!(true), Some(true), None),
        (json!(0), Some(false), Some(0)),
        (json!("0"), Some(false), Some(0)),
        (json!(false), Some(false), None),
        (json!(2), None, Some(2)),
        (json!("12884901888"), None, Some(12 * GB)),
        (json!(1e12), None, Some(1_000_000_000_000)),
        (json!(-1), None, None),
        (json!("-1"), None, None),
        (json!(0.5), None, None),
        (json!(1e30), None, None),
        (json!("NaN"), None, None),
        (json!("inf"), None, None),
        (json!("+1"), None, None),
        (json!(" 1"), None, None),
        (json!(""), None, None),
        (json!("true"), None, None),
        (json!("99999999999999999999"), None, None),
        (json!([1]), None, None),
        (json!({}), None, None),
        (Value::Null, None, None),
    ] {
        assert_eq!((lenient::flag(&value), lenient::whole(&value)), (flag, whole), "{value}");
    }
}

#[test]
fn a_quorum_is_said_and_as_many_nodes_as_are_announced_are_listed() {
    let two = |quorate: Value, nodes: Value| {
        vec![cluster(&quorate, &nodes), member("pve1", &json!(1)), member("pve2", &json!(1))]
    };
    for (rows, standalone, kind, words) in [
        (two(json!(1), json!(2)), false, "right", "kluster of 2 nodes has a quorum"),
        (two(json!("1"), json!("2")), true, "right", "has a quorum"),
        (two(json!(0), json!(2)), false, "wrong", "no quorum"),
        // That one machine is enough does not make up for a lost quorum.
        (two(json!(0), json!(2)), true, "wrong", "no quorum"),
        (two(Value::Null, json!(2)), false, "unknown", "does not say"),
        (two(json!("yes"), json!(2)), false, "unknown", "does not say"),
        (two(json!(1), json!(3)), false, "unknown", "announces 3 nodes, and 2"),
        (two(json!(1), json!(1)), false, "unknown", "announces 1"),
        (two(json!(1), Value::Null), false, "unknown", "announces null"),
        (vec![cluster(&json!(1), &json!(0))], false, "unknown", "announces 0"),
        (vec![cluster(&json!(1), &json!(1)); 2], false, "unknown", "2 rows of a cluster"),
        (vec![member("pve1", &json!(1))], true, "right", "pve1 is one machine"),
        (vec![member("pve1", &json!(1))], false, "wrong", "cluster.standalone = true"),
        (
            vec![member("pve1", &json!(1)), member("pve2", &json!(1))],
            true,
            "unknown",
            "0 rows of a cluster and 2",
        ),
        (vec![json!({ "type": "other" })], true, "unknown", "0 rows of a cluster and 0"),
    ] {
        let found = members::quorum(&rows, standalone);
        assert!(is(&found, kind, words), "{rows:?}: {found:?}");
    }
}

#[test]
fn a_node_is_listed_once_and_online() {
    let rows = |online: Value| vec![cluster(&json!(1), &json!(1)), member("pve1", &online)];
    for (rows, kind, words) in [
        (rows(json!(1)), "right", "pve1 is online"),
        (rows(json!(0)), "wrong", "pve1 is offline"),
        (rows(Value::Null), "unknown", "not said"),
        (rows(json!("NaN")), "unknown", "not said"),
        (vec![member("pve10", &json!(1))], "wrong", "not in the cluster"),
        // A cluster of that name is no node.
        (vec![json!({ "type": "cluster", "name": "pve1", "online": 1 })], "wrong", "not in the cluster"),
        (vec![member("pve1", &json!(1)), member("pve1", &json!(0))], "unknown", "2 times"),
    ] {
        let found = members::node(&rows, "pve1");
        assert!(is(&found, kind, words), "{rows:?}: {found:?}");
    }
}

fn storage(node: &str, used: &Value, whole: &Value) -> Value {
    json!({ "id": format!("storage/{node}/zfs"), "type": "storage", "node": node, "storage": "zfs", "status": "available",
        "plugintype": "zfspool", "shared": 0, "disk": used, "maxdisk": whole })
}

const ROOM: Room = Room { most: 900_000, least: 20 * GB };

#[test]
fn a_storage_is_measured_and_has_room() {
    let with = |key: &str, value: Value| {
        let mut row = storage("pve1", &json!(50 * GB), &json!(100 * GB));
        row[key] = value;
        row
    };
    for (row, kind, words) in [
        (with("shared", json!("0")), "right", "pve1/zfs has 50 % in use and 50.0 GB free"),
        (with("disk", json!((50 * GB).to_string())), "right", "50 % in use"),
        (with("disk", json!(80 * GB)), "right", "20.0 GB free"),
        (with("disk", json!(80 * GB + 1)), "wrong", "20.0 GB must be free"),
        (storage("pve1", &json!(900 * GB), &json!(1000 * GB)), "right", "90 % in use"),
        (storage("pve1", &json!(900 * GB + 1), &json!(1000 * GB)), "wrong", "90.1 % in use"),
        (with("disk", json!(101 * GB)), "wrong", "101 % in use and 0.0 GB free"),
        (with("disk", Value::Null), "unknown", "was not measured: unknown of"),
        (with("disk", json!("NaN")), "unknown", "was not measured"),
        (with("disk", json!(-1)), "unknown", "was not measured"),
        (with("disk", json!({ "bytes": 1 })), "unknown", "was not measured"),
        (with("maxdisk", Value::Null), "unknown", "of unknown bytes"),
        // Proxmox writes 0 of 0 for one that is not active.
        (storage("pve1", &json!(0), &json!(0)), "unknown", "0 of 0 bytes"),
        (with("status", json!("unknown")), "unknown", "its status is unknown"),
        (with("status", Value::Null), "unknown", "its status is null"),
        (with("status", json!(1)), "unknown", "its status is 1"),
        (with("storage", json!("zfs2")), "unknown", "Datastore.Audit"),
        (with("node", json!("pve2")), "unknown", "Datastore.Audit"),
        (with("type", json!("qemu")), "unknown", "PVEAuditor"),
    ] {
        let wanted = Storage { node: Some("pve1".into()), name: "zfs".into() };
        let rows = [row];
        let found = storages::weigh(&rows, &[member("pve1", &json!(1))], &wanted, &ROOM);
        assert!(found.len() == 1 && is(&found[0], kind, words), "{rows:?}: {found:?}");
        let found = storages::weigh(&rows, &[member("pve1", &json!(0))], &wanted, &ROOM);
        assert!(!is(&found[0], "right", ""), "its node is offline: {found:?}");
    }
}

#[test]
fn a_storage_that_is_on_several_nodes_is_right_on_each() {
    let half = |node: &str| storage(node, &json!(50 * GB), &json!(100 * GB));
    let full = storage("pve2", &json!(99 * GB), &json!(100 * GB));
    let anywhere = Storage { node: None, name: "zfs".into() };
    let status = [member("pve1", &json!(1)), member("pve2", &json!(1))];
    let found = storages::weigh(&[half("pve1"), full], &status, &anywhere, &ROOM);
    assert!(is(&found[0], "right", "pve1/zfs") && is(&found[1], "wrong", "pve2/zfs"), "{found:?}");
    let mut lost = half("pve2");
    lost["node"] = Value::Null;
    let found = storages::weigh(&[half("pve1"), lost], &status, &anywhere, &ROOM);
    assert!(is(&found[1], "unknown", "without its node"), "{found:?}");
    for (status, kind) in [
        (vec![member("pve2", &json!(1))], "wrong"),
        (vec![member("pve1", &json!(0))], "wrong"),
        (vec![member("PVE1", &json!(1))], "wrong"),
        (vec![member("pve1", &Value::Null)], "unknown"),
        (vec![member("pve1", &json!(1)), member("pve1", &json!(1))], "unknown"),
        (vec![], "wrong"),
    ] {
        let found = storages::weigh(&[half("pve1")], &status, &anywhere, &ROOM);
        assert!(is(&found[0], kind, ""), "{status:?}: {found:?}");
    }
}

fn guest(kind: &str, node: &str) -> Value {
    json!({ "id": format!("{kind}/110"), "type": kind, "vmid": 110, "node": node, "name": "app", "status": "running" })
}

#[test]
fn a_guest_is_found_on_the_one_node_that_has_it() {
    for (rows, path) in [
        (vec![guest("qemu", "pve1")], Ok("/nodes/pve1/qemu/110/status/current")),
        (vec![guest("lxc", "pve2")], Ok("/nodes/pve2/lxc/110/status/current")),
        // A name is one segment, whatever is in it.
        (
            vec![guest("qemu", "a/../b?c#d e%2f\n")],
            Ok("/nodes/a%2F..%2Fb%3Fc%23d%20e%252f%0A/qemu/110/status/current"),
        ),
        (vec![guest("qemu", "..")], Err("without its node")),
        (vec![guest("qemu", ".")], Err("without its node")),
        (vec![guest("qemu", " ")], Err("without its node")),
        (vec![guest("qemu", "pve1"), guest("qemu", "pve2")], Err("2 times")),
        (vec![guest("openvz", "pve1")], Err("PVEAuditor")),
        (vec![json!({ "type": "qemu", "vmid": 111, "node": "pve1" })], Err("VM.Audit")),
        (vec![json!({ "type": "qemu", "vmid": "110", "node": 7 })], Err("without its node")),
    ] {
        let found = guests::locate(&rows, Guest(110)).map(|place| place.path(Guest(110)));
        match (&found, path) {
            (Ok(found), Ok(path)) => assert_eq!(found, path),
            (Err(found), Err(words)) => assert!(is(found, "unknown", words), "{rows:?}: {found:?}"),
            _ => panic!("{rows:?}: {found:?}"),
        }
    }
}

#[test]
fn a_guest_runs_and_nothing_holds_it() {
    let with = |key: &str, value: Value| {
        let mut data = json!({ "vmid": "110", "name": "app", "status": "running", "qmpstatus": "running", "ha": { "managed": 0 } });
        data[key] = value;
        data
    };
    for (data, machine, container, words) in [
        (with("uptime", json!(5)), "right", "right", "guest 110 (app) runs on pve1"),
        (with("status", json!("stopped")), "wrong", "wrong", "is stopped"),
        (with("status", Value::Null), "unknown", "unknown", "does not say its status"),
        (with("status", json!(1)), "unknown", "unknown", "does not say its status"),
        (with("status", json!("unknown")), "unknown", "unknown", "does not say its status"),
        (with("qmpstatus", json!("paused")), "wrong", "right", ""),
        (with("qmpstatus", json!("io-error")), "wrong", "right", ""),
        (with("qmpstatus", Value::Null), "unknown", "right", ""),
        (with("lock", json!("backup")), "wrong", "wrong", "is locked: backup"),
        (with("lock", Value::Null), "right", "right", "runs"),
        (with("lock", json!("")), "unknown", "unknown", "not known whether"),
        (with("lock", json!(1)), "unknown", "unknown", "not known whether"),
        (with("vmid", json!(111)), "unknown", "unknown", "is about 111"),
        (with("vmid", Value::Null), "unknown", "unknown", "is about null"),
        (json!("running"), "unknown", "unknown", "is about null"),
        (json!([]), "unknown", "unknown", "is about null"),
    ] {
        for (kind, right) in [("qemu", machine), ("lxc", container)] {
            let place = guests::locate(&[guest(kind, "pve1")], Guest(110)).expect("a place");
            let found = place.weigh(&data, Guest(110));
            assert!(is(&found, right, words), "{kind} {data}: {found:?}");
        }
    }
}

fn service(state: &str) -> Value {
    json!({ "id": "service:vm:110", "sid": "vm:110", "type": "service", "node": "pve1", "state": state })
}

fn with(mut row: Value, key: &str, value: &str) -> Value {
    row[key] = json!(value);
    row
}

fn manager(kind: &str, status: &str) -> Value {
    json!({ "id": kind, "type": kind, "node": "pve1", "status": status })
}

fn ha_quorum(quorate: &Value) -> Value {
    json!({ "id": "quorum", "type": "quorum", "status": "OK", "quorate": quorate })
}

/// Rows of HA, and what comes of them.
type Case = (Vec<Value>, &'static str, &'static str);

fn weighed(cases: Vec<Case>) {
    for (rows, kind, words) in cases {
        let found = services::weigh(&rows);
        let all = |kind: &str| found.iter().all(|found| is(found, kind, ""));
        let any = found.iter().any(|found| is(found, kind, words));
        assert!(any && (kind != "right" || all("right")), "{rows:?}: {found:?}");
    }
}

fn beside(rows: Vec<(Value, &'static str, &'static str)>) {
    let one = |(row, kind, words)| (vec![ha_quorum(&json!(1)), row], kind, words);
    weighed(rows.into_iter().map(one).collect());
}

#[test]
fn ha_says_that_it_has_a_quorum() {
    weighed(vec![
        (vec![ha_quorum(&json!(1))], "right", "none of 0 HA services"),
        (vec![ha_quorum(&json!("1")), service("started")], "right", "none of 1 HA services"),
        (vec![ha_quorum(&json!(0))], "wrong", "no quorum"),
        (vec![ha_quorum(&Value::Null)], "unknown", "no row that says"),
        (vec![service("started")], "unknown", "no row that says"),
        (vec![ha_quorum(&json!(1)), ha_quorum(&json!(1))], "unknown", "no row that says"),
    ]);
}

#[test]
fn every_service_of_ha_is_in_a_state_that_is_known_to_be_well() {
    let asked = |state: &str| with(service("stopped"), "request_state", state);
    let crm = |state: &str| with(service("started"), "crm_state", state);
    beside(vec![
        (service("disabled"), "right", "none of 1"),
        (service("ignored"), "right", "none of 1"),
        (asked("stopped"), "right", "none of 1"),
        (asked("started"), "unknown", "is not asked to be"),
        (service("stopped"), "unknown", "is not asked to be"),
        (service("error"), "wrong", "vm:110 is in state error"),
        (service("fence"), "wrong", "state fence"),
        (service("recovery"), "wrong", "state recovery"),
        (crm("fence"), "wrong", "state fence"),
        (crm("Fence"), "unknown", "nobody knows: Fence"),
        (service("starting"), "passing", "on the move: starting"),
        (service("freeze"), "passing", "on the move: freeze"),
        (service("ERROR"), "unknown", "nobody knows: ERROR"),
        (service("Started"), "unknown", "nobody knows: Started"),
        (service("started "), "unknown", "nobody knows"),
        (service(" "), "unknown", "does not say its state"),
        (json!({ "type": "service", "sid": "vm:110" }), "unknown", "does not say its state"),
        (service("a word of tomorrow"), "unknown", "nobody knows"),
        (with(service("error"), "type", "Service"), "unknown", "type that nobody knows"),
        (json!({ "type": "service " }), "unknown", "type that nobody knows"),
    ]);
}

#[test]
fn the_programs_of_ha_are_at_work() {
    beside(vec![
        (manager("master", "pve1 (active, Mon Nov 23 10:00:00 2026)"), "right", "none of 0"),
        (manager("lrm", "pve1 (idle, Mon Nov 23 10:00:00 2026)"), "right", "none of 0"),
        (manager("lrm", "pve1 (maintenance mode, Mon Nov 23 10:00:00 2026)"), "right", "none"),
        (manager("lrm", "pve1 (old timestamp - dead?, Mon Nov 2 10:00:00 2026)"), "wrong", "is dead"),
        (manager("master", "pve1 (old timestamp - dead?, Mon Nov 2 10:00:00 2026)"), "wrong", "dead"),
        (manager("lrm", "pve1 (lost_agent_lock, Mon Nov 23 10:00:00 2026)"), "wrong", "not well"),
        (manager("lrm", "pve1 (detected time drift!, Mon Nov 2)"), "wrong", "not well"),
        (manager("lrm", "pve1 (wait_for_agent_lock, Mon Nov 23)"), "passing", "not at work"),
        (manager("lrm", "pve1 (unable to read lrm status)"), "unknown", "does not say how"),
        (manager("lrm", ""), "unknown", "does not say how"),
        (json!({ "type": "fencing", "armed-state": "armed" }), "right", "none of 0"),
        (json!({ "type": "fencing", "armed-state": "disarmed" }), "wrong", "disarmed"),
        (json!({ "type": "fencing" }), "unknown", "armed"),
    ]);
}

#[test]
fn one_wrong_thing_is_a_no_and_one_that_is_not_known_is_no_yes() {
    let (right, wrong) = (|| Found::Right("r".into()), || Found::Wrong("w".into()));
    let (unknown, passing) = (|| Found::Unknown("u".into()), || Found::Passing("p".into()));
    for (least, all, word, is_passing) in [
        (2, vec![right(), right()], "yes", false),
        (2, vec![right()], "unknown", false),
        (0, vec![], "unknown", false),
        (1, vec![right(), wrong()], "no", false),
        (1, vec![right(), wrong(), passing()], "no", false),
        (1, vec![right(), unknown()], "unknown", false),
        (1, vec![right(), passing()], "unknown", true),
        (1, vec![passing(), unknown()], "unknown", false),
    ] {
        let said = format!("{all:?}");
        let (found, passes) = verdict(least, all);
        assert_eq!((found.word(), passes), (word, is_passing), "{said}");
    }
    let (found, _) = verdict(1, vec![wrong(), unknown()]);
    let Verdict::No(seen) = found else { panic!("{found:?}") };
    assert_eq!(seen.all().collect::<Vec<_>>(), ["w", "besides, not known: u"]);
}
