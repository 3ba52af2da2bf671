//! Proxmox VE's API, as far as a cluster is looked at by it: nodes that go, storages that fill, guests that are locked and move, HA, and a
//! token that has rights or none. Flags are 0 and 1, some numbers are texts, and what nobody may see is an empty list with 200.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};

/// The token that is taken.
pub const TOKEN: &str = "release@pve!pipeline=c0ffee00-1111-4222-8333-canary444444";

const GB: u64 = 1 << 30;

/// A storage on a node.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Where.
    pub node: String,
    /// Its name.
    pub name: String,
    /// `available` or `unknown`.
    pub status: String,
    /// Bytes in use.
    pub used: u64,
    /// Bytes in all; 0 of one that is not active.
    pub whole: u64,
}

/// A guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its number.
    pub number: u64,
    /// Where it is.
    pub node: String,
    /// Where the list of resources still has it: it is some seconds old.
    pub listed: String,
    /// A container; else a machine.
    pub is_container: bool,
    /// `running` or `stopped`.
    pub status: String,
    /// What its monitor says.
    pub monitor: String,
    /// What holds it.
    pub lock: Option<String>,
}

/// How the cluster is.
#[derive(Clone, Debug)]
pub struct State {
    /// The nodes, and whether each is online.
    pub nodes: Vec<(String, bool)>,
    /// One machine that was never made a cluster.
    pub is_standalone: bool,
    /// Whether enough nodes see each other.
    pub is_quorate: bool,
    /// The storages.
    pub storages: Vec<Storage>,
    /// The guests.
    pub guests: Vec<Guest>,
    /// HA's services, and the state of each.
    pub services: Vec<(String, String)>,
    /// Whether the token has the role PVEAuditor on /; privilege separation begins without.
    pub has_rights: bool,
    /// Times the list of resources was asked for.
    pub lists: usize,
}

impl Default for State {
    fn default() -> Self {
        let storage = |node: &str| Storage {
            node: node.into(),
            name: "local-zfs".into(),
            status: "available".into(),
            used: 400 * GB,
            whole: 1000 * GB,
        };
        let guest = |number, node: &str, is_container| Guest {
            number,
            node: node.into(),
            listed: node.into(),
            is_container,
            status: "running".into(),
            monitor: "running".into(),
            lock: None,
        };
        State {
            nodes: ["pve1", "pve2", "pve3"].map(|name| (name.into(), true)).to_vec(),
            is_standalone: false,
            is_quorate: true,
            storages: ["pve1", "pve2", "pve3"].map(storage).to_vec(),
            guests: vec![guest(110, "pve1", false), guest(120, "pve2", true)],
            services: vec![("vm:110".into(), "started".into())],
            has_rights: true,
            lists: 0,
        }
    }
}

impl State {
    /// A guest by its number.
    pub fn guest(&mut self, number: u64) -> &mut Guest {
        self.guests.iter_mut().find(|guest| guest.number == number).expect("such a guest")
    }

    /// A storage by its node.
    pub fn storage(&mut self, node: &str) -> &mut Storage {
        self.storages.iter_mut().find(|storage| storage.node == node).expect("such a storage")
    }

    /// A node goes: what is on it is known no more.
    pub fn lose(&mut self, node: &str) {
        self.nodes.iter_mut().filter(|(name, _)| name == node).for_each(|(_, online)| *online = false);
    }

    fn is_online(&self, node: &str) -> Option<bool> {
        self.nodes.iter().find(|(name, _)| name == node).map(|(_, online)| *online)
    }
}

/// The cluster, for whatever server answers for it.
#[derive(Clone, Debug, Default)]
pub struct Cluster(Arc<Mutex<State>>);

impl Cluster {
    /// How it is, to be changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("state")
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Reply {
        let given = request.header("authorization");
        if given.is_empty() {
            return nothing(401, "No ticket");
        }
        if given != format!("PVEAPIToken={TOKEN}") {
            return nothing(401, "invalid token value!");
        }
        let segments = request.segments();
        let ["api2", "json", rest @ ..] = segments.as_slice() else { return nothing(501, "no such file") };
        let mut state = self.state();
        match (request.method.as_str(), rest) {
            ("GET", ["cluster", "status"]) => audited(&state, request, status),
            ("GET", ["cluster", "ha", "status", "current"]) => audited(&state, request, ha),
            ("GET", ["cluster", "resources"]) => {
                state.lists += 1;
                resources(&mut state, request)
            }
            ("GET", ["nodes", node, kind @ ("qemu" | "lxc"), number, "status", "current"]) => {
                current(&state, node, kind, number)
            }
            _ => nothing(501, &format!("Method '{} /{}' not implemented", request.method, rest.join("/"))),
        }
    }
}

/// The stand-in.
pub struct Proxmox {
    server: Server,
    cluster: Cluster,
}

impl Proxmox {
    /// Three nodes that are online, a storage on each, the machine 110 on pve1 and the container 120 on pve2.
    pub fn start() -> Self {
        let cluster = Cluster::default();
        let ours = cluster.clone();
        Proxmox { server: Server::start(move |request| ours.answer(request)), cluster }
    }

    /// URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How the cluster is, to be changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.cluster.state()
    }
}

/// No data, as Proxmox refuses; newer ones say why in the body too.
pub fn nothing(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "data": null, "message": format!("{message}\n") }))
}

fn list(rows: &[Value]) -> Reply {
    Reply::json(200, json!({ "data": rows }))
}

/// What needs Sys.Audit on /, and takes no parameters.
fn audited(state: &State, request: &Request, rows: impl Fn(&State) -> Vec<Value>) -> Reply {
    match () {
        () if !request.query.is_empty() => unknown_parameter(request),
        () if !state.has_rights => nothing(403, "Permission check failed (/, Sys.Audit)"),
        () => list(&rows(state)),
    }
}

fn unknown_parameter(request: &Request) -> Reply {
    let why = "property is not defined in schema and the schema does not allow additional properties";
    let errors: serde_json::Map<String, Value> =
        request.query.keys().map(|key| (key.clone(), json!(why))).collect();
    Reply::json(400, json!({ "data": null, "message": "Parameter verification failed.\n", "errors": errors }))
}

fn status(state: &State) -> Vec<Value> {
    let node = |(number, (name, online)): (usize, &(String, bool))| {
        json!({ "type": "node", "id": format!("node/{name}"), "name": name, "ip": format!("10.0.0.1{number}"), "level": "",
            "nodeid": if state.is_standalone { 0 } else { number + 1 }, "online": i32::from(*online), "local": i32::from(number == 0) })
    };
    let nodes = state.nodes.iter().enumerate().map(node);
    let cluster = json!({ "type": "cluster", "id": "cluster", "name": "kluster", "nodes": state.nodes.len(), "version": 7,
        "quorate": i32::from(state.is_quorate) });
    (!state.is_standalone).then_some(cluster).into_iter().chain(nodes).collect()
}

fn ha(state: &State) -> Vec<Value> {
    let quorate = state.is_quorate || state.is_standalone;
    let first = &state.nodes[0].0;
    let quorum = json!({ "id": "quorum", "type": "quorum", "node": first, "quorate": i32::from(quorate),
        "status": if quorate { "OK" } else { "No quorum!" } });
    let service = |(sid, is): &(String, String)| {
        json!({ "id": format!("service:{sid}"), "sid": sid, "type": "service", "node": first, "state": is, "crm_state": is,
            "request_state": "started", "status": format!("{sid} ({first}, {is})") })
    };
    std::iter::once(quorum).chain(state.services.iter().map(service)).collect()
}

/// Everybody may ask; who has no rights sees nothing.
fn resources(state: &mut State, request: &Request) -> Reply {
    if request.query.keys().any(|key| key != "type") {
        return unknown_parameter(request);
    }
    let wanted = request.query.get("type").map(String::as_str);
    if wanted.is_some_and(|kind| !["vm", "storage", "node", "sdn"].contains(&kind)) {
        return nothing(400, "Parameter verification failed.");
    }
    if !state.has_rights {
        return list(&[]);
    }
    let is_asked = |kind: &str| wanted.is_none_or(|wanted| wanted == kind);
    let mut rows = Vec::new();
    if is_asked("node") {
        rows.extend(state.nodes.iter().map(|(name, online)| {
            json!({ "id": format!("node/{name}"), "type": "node", "node": name, "status": if *online { "online" } else { "offline" } })
        }));
    }
    if is_asked("storage") {
        rows.extend(state.storages.iter().map(storage));
    }
    if is_asked("vm") {
        rows.extend(state.guests.iter().map(guest));
        // The list catches up with a guest that has moved.
        state.guests.iter_mut().for_each(|guest| guest.listed = guest.node.clone());
    }
    list(&rows)
}

fn storage(one: &Storage) -> Value {
    let Storage { node, name, status, used, whole } = one;
    let mut row = json!({ "id": format!("storage/{node}/{name}"), "type": "storage", "node": node, "storage": name, "status": status,
        "plugintype": "zfspool", "content": "images,rootdir", "shared": 0 });
    if status == "available" {
        row["disk"] = json!(used);
        row["maxdisk"] = json!(whole.to_string());
    }
    row
}

fn guest(one: &Guest) -> Value {
    let kind = if one.is_container { "lxc" } else { "qemu" };
    json!({ "id": format!("{kind}/{}", one.number), "type": kind, "vmid": one.number, "node": one.listed, "name": "app",
        "status": one.status, "template": 0, "disk": 0, "maxdisk": 32 * GB })
}

/// The node that is asked hands the question on to the one that is named.
fn current(state: &State, node: &str, kind: &str, number: &str) -> Reply {
    if !state.has_rights {
        return nothing(403, &format!("Permission check failed (/vms/{number}, VM.Audit)"));
    }
    match state.is_online(node) {
        None => {
            return nothing(500, &format!("hostname lookup '{node}' failed - failed to get address info"));
        }
        Some(false) => return nothing(595, "No route to host"),
        Some(true) => {}
    }
    let folder = if kind == "lxc" { "lxc" } else { "qemu-server" };
    let is_it = |guest: &&Guest| {
        guest.number.to_string() == number && guest.node == node && guest.is_container == (kind == "lxc")
    };
    let Some(guest) = state.guests.iter().find(is_it) else {
        return nothing(
            500,
            &format!("Configuration file 'nodes/{node}/{folder}/{number}.conf' does not exist"),
        );
    };
    let mut data = json!({ "vmid": guest.number, "name": "app", "status": guest.status, "uptime": 864_000, "cpus": 4, "ha": { "managed": 0 } });
    if guest.is_container {
        // Perl writes what was once used as a text as one.
        data["vmid"] = json!(number);
    } else {
        data["qmpstatus"] = json!(guest.monitor);
    }
    if let Some(lock) = &guest.lock {
        data["lock"] = json!(lock);
    }
    Reply::json(200, json!({ "data": data }))
}
