//! Who is in the cluster, who is online, and whether they are enough (`/cluster/status`).

use serde_json::Value;

use super::found::Found;
use super::lenient::{flag, shown, text, whole};

/// Types of rows.
pub const TYPES: [&str; 2] = ["cluster", "node"];

fn of<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["type"] == kind).collect()
}

/// Whether there is a quorum, or one machine that is meant to be alone. Fewer nodes than are announced are an answer that was cut.
pub fn quorum(rows: &[Value], standalone: bool) -> Found {
    let nodes = of(rows, "node");
    let cluster = match (&of(rows, "cluster")[..], &nodes[..]) {
        ([one], _) => *one,
        ([], [alone]) => return alone_is(&shown(&alone["name"]), standalone),
        (clusters, nodes) => {
            let (clusters, nodes) = (clusters.len(), nodes.len());
            return Found::Unknown(format!(
                "the cluster's status has {clusters} rows of a cluster and {nodes} of nodes"
            ));
        }
    };
    let name = shown(&cluster["name"]);
    let announced = whole(&cluster["nodes"]);
    if announced.is_none_or(|count| count != nodes.len() as u64 || count == 0) {
        let announced = shown(&cluster["nodes"]);
        return Found::Unknown(format!(
            "the cluster {name} announces {announced} nodes, and {} are listed",
            nodes.len()
        ));
    }
    match flag(&cluster["quorate"]) {
        Some(true) => Found::Right(format!("the cluster {name} of {} nodes has a quorum", nodes.len())),
        Some(false) => Found::Wrong(format!(
            "the cluster {name} has no quorum: too few of its {} nodes see each other",
            nodes.len()
        )),
        None => Found::Unknown(format!("the cluster {name} does not say whether it has a quorum")),
    }
}

fn alone_is(name: &str, standalone: bool) -> Found {
    if standalone {
        Found::Right(format!("{name} is one machine, which cluster.standalone allows"))
    } else {
        Found::Wrong(format!(
            "{name} is one machine and no cluster: set cluster.standalone = true if that is meant"
        ))
    }
}

/// Whether a node is listed and online.
pub fn node(rows: &[Value], name: &str) -> Found {
    let rows: Vec<&Value> =
        of(rows, "node").into_iter().filter(|row| text(&row["name"]) == Some(name)).collect();
    let online: Vec<Option<bool>> = rows.iter().map(|row| flag(&row["online"])).collect();
    match online[..] {
        [] => Found::Wrong(format!("the node {name} is not in the cluster")),
        [Some(true)] => Found::Right(format!("{name} is online")),
        [Some(false)] => Found::Wrong(format!("{name} is offline")),
        [None] => Found::Unknown(format!("it is not said whether {name} is online")),
        _ => Found::Unknown(format!("{name} is listed {} times", online.len())),
    }
}
