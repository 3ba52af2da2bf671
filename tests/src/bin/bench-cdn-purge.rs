//! What a purge of 100,000 pages costs: CPU, memory and time against a loopback vendor, beside curl in a loop. And how long it takes
//! until it is known that an invalidation is completed, beside the fixed questions of `aws cloudfront wait invalidation-completed`.
#![allow(clippy::print_stdout, reason = "the figures go to stdout, as Markdown")]

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use testkit::CloudFront;
use testkit::http::{Reply, Server};
use wait4::Wait4;

const ANSWER: &str =
    r#"{"success":true,"errors":[],"messages":[],"result":{"id":"023e105f4ecef8ad9ca31a8372d0c353"}}"#;

/// A vendor (and its edge) that says yes to everything over connections that stay open: what is measured is the client.
fn vendor() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        while let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|l| l.lines().next())
                .and_then(|l| l.parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if bytes.len() < whole {
                break;
            }
            bytes.drain(..whole);
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-Release: 1.2.0\r\nX-Cache: HIT\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                ANSWER.len()
            );
            if stream.write_all(format!("{head}{ANSWER}").as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
}

struct Cost {
    wall: Duration,
    cpu: Duration,
    peak: u64,
}

fn measured(mut command: Command) -> Cost {
    let started = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let used = child.wait4().expect("it ends");
    assert!(used.status.success(), "{command:?}: {:?}", used.status);
    Cost { wall: started.elapsed(), cpu: used.rusage.utime + used.rusage.stime, peak: used.rusage.maxrss }
}

/// The median by CPU.
fn median(rounds: usize, run: impl Fn() -> Cost) -> Cost {
    let mut costs: Vec<Cost> = (0..rounds).map(|_| run()).collect();
    costs.sort_by_key(|cost| cost.cpu);
    costs.swap_remove(rounds / 2)
}

fn row(what: &str, cost: &Cost) {
    let mib = u32::try_from(cost.peak >> 10).map(|kib| f64::from(kib) / 1024.0).unwrap_or_default();
    println!(
        "| {what} | {:.2} s | {:.2} s | {mib:.1} MiB |",
        cost.cpu.as_secs_f64(),
        cost.wall.as_secs_f64()
    );
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = vendor();
    let edge = format!("http://127.0.0.1:{port}");
    let settings = format!(
        "[environment.production]\npublic_urls = [\"{edge}/\"]\nmarker = \"X-Release\"\n[cdn-purge]\ndriver = \"cloudflare\"\nzone = \"z\"\nurl = \"{edge}\"\nassets = false\nrate = 1e9\nburst = 1e9\n"
    );
    std::fs::write(folder.path().join("release.toml"), settings).expect("written");
    println!("| | CPU | wall | peak memory |\n|---|---:|---:|---:|");
    for (pages, rounds) in [(100, 7), (100_000, 7), (1_000_000, 3)] {
        // Not kept in memory here: what we hold when we start a program counts as that program's.
        let mut list = BufWriter::new(File::create(folder.path().join("list")).expect("a file"));
        for n in 0..pages {
            writeln!(list, "{edge}/product/some-longer-name-{n}").expect("written");
        }
        list.flush().expect("written");
        let run = || {
            let mut command = Command::new(testkit::bin("cdn-purge"));
            command.args(["--fresh", "--env", "production", "--release", "1.2.0", "--urls-from", "list"]);
            command.env("CLOUDFLARE_API_TOKEN", "some-bench-token").current_dir(folder.path());
            measured(command)
        };
        row(&format!("cdn-purge, {pages} pages in {} requests", pages / 100), &median(rounds, run));
    }
    let curl = || {
        let mut command = Command::new("sh");
        command.args(["-c", "for n in $(seq 100); do curl -s -o /dev/null -X POST -d \"{\\\"files\\\":[\\\"$n\\\"]}\" \"$0/client/v4/zones/z/purge_cache\" || exit 1; done"]);
        command.arg(&edge);
        measured(command)
    };
    row("curl in a loop, 100 of those requests, nothing proven", &median(3, curl));
    proving();
    waiting();
}

/// Nodes that fetch each form of each page once after the purge, and keep it.
fn node() -> Server {
    let kept = Mutex::new(HashSet::new());
    Server::start(move |request| {
        if request.method == "PURGE" {
            return Reply::text(200, "text/plain", "Purged");
        }
        let key = (request.target.clone(), request.header("accept-encoding").to_owned());
        let word = if kept.lock().expect("copies").insert(key) { "MISS" } else { "HIT" };
        Reply::text(200, "text/html", "<html>page</html>").with("X-Release", "1.2.0").with("X-Cache", word)
    })
}

/// What the proof of 10 pages in 3 forms on 4 nodes takes.
fn proving() {
    let nodes: Vec<Server> = (0..4).map(|_| node()).collect();
    let list = |items: Vec<String>| items.join(", ");
    let pages = list((0..10).map(|n| format!("\"http://shop.test/p/{n}\"")).collect());
    let addresses = list(nodes.iter().map(|node| format!("\"127.0.0.1:{}\"", node.port())).collect());
    let settings = format!(
        "[environment.production]\npublic_urls = [{pages}]\nmarker = \"X-Release\"\n[cdn-purge]\ndriver = \"http\"\nnodes = [{addresses}]\nvariants = \"gzip\"\nassets = false\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("release.toml"), settings).expect("written");
    let mut command = Command::new(testkit::bin("cdn-purge"));
    command.args(["--fresh", "--env", "production", "--release", "1.2.0"]).current_dir(folder.path());
    let cost = measured(command);
    let asked: usize = nodes.iter().map(|node| node.count("GET", "/")).sum();
    let purged: usize = nodes.iter().map(|node| node.count("PURGE", "/")).sum();
    println!("\n| | requests that ask | purges | CPU | wall |\n|---|---:|---:|---:|---:|");
    println!(
        "| 10 pages in 3 forms on 4 nodes, purged and proven | {asked} | {purged} | {:.2} s | {:.2} s |",
        cost.cpu.as_secs_f64(),
        cost.wall.as_secs_f64()
    );
}

const DISTRIBUTION: &str = "EDFDVBD6EXAMPLE";
const KEY: &str = "AKIDEXAMPLE";

/// An edge with an invalidation that takes so long; its origin lives as long.
fn cloudfront(takes: Duration) -> (Server, CloudFront) {
    let origin = Server::start(|_| {
        let page = Reply::text(200, "text/html", "page").with("X-Release", "1.2.0");
        page.with("Cache-Control", "s-maxage=3600")
    });
    let cloudfront = CloudFront::start(DISTRIBUTION, KEY, &origin.url());
    cloudfront.takes(takes);
    (origin, cloudfront)
}

/// Questions until it was known, and how long that took from the request that made the invalidation.
struct Waited {
    questions: usize,
    known: Duration,
}

fn questions(cloudfront: &CloudFront) -> usize {
    cloudfront.api().count("GET", &format!("/2020-05-31/distribution/{DISTRIBUTION}/invalidation/"))
}

fn by_cdn_purge(takes: Duration) -> Waited {
    let (_origin, cloudfront) = cloudfront(takes);
    let folder = tempfile::tempdir().expect("a folder");
    let (edge, api) = (cloudfront.edge().url(), cloudfront.api().url());
    let settings = format!(
        "[product]\nname = \"shop\"\n[environment.production]\npublic_urls = [\"{edge}/\"]\nmarker = \"X-Release\"\n[cdn-purge]\ndriver = \"cloudfront\"\ndistribution = \"{DISTRIBUTION}\"\nurl = \"{api}\"\nassets = false\n"
    );
    std::fs::write(folder.path().join("release.toml"), settings).expect("written");
    let page = format!("{edge}/sale");
    let mut command = Command::new(testkit::bin("cdn-purge"));
    command.args(["--fresh", "--env", "production", "--release", "1.2.0", &page]);
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", "some-bench-key");
    let (code, document, stderr) = testkit::exchange(command.current_dir(folder.path()), None);
    assert_eq!(code, 0, "{stderr}");
    let purge = &document["steps"][0]["output"]["purges"][0];
    assert_eq!(purge["claim"], "completed", "{purge}");
    let known = Duration::from_millis(purge["ms"].as_u64().expect("a time"));
    Waited { questions: questions(&cloudfront), known }
}

/// Creates an invalidation and asks at once and then every 20 s, at most 30 times, as botocore's waiter does.
const AWS: &str = r#"
ask() { curl -sSf -H "X-Amz-Date: ${day}T000000Z" -H "Authorization: AWS4-HMAC-SHA256 Credential=$key/$day/us-east-1/cloudfront/aws4_request, SignedHeaders=host;x-amz-date, Signature=0" "$@"; }
day=20261125 key=$2
ask -d '<InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/sale</Path></Items></Paths><CallerReference>r</CallerReference></InvalidationBatch>' "$1" >/dev/null || exit 1
for n in $(seq 30); do
    ask "$1/I0" | grep -q Completed && exit 0
    sleep 20
done
exit 1"#;

fn by_aws(takes: Duration) -> Waited {
    let (_origin, cloudfront) = cloudfront(takes);
    let url = format!("{}/2020-05-31/distribution/{DISTRIBUTION}/invalidation", cloudfront.api().url());
    let mut command = Command::new("sh");
    command.args(["-c", AWS, "sh", &url, KEY]);
    let cost = measured(command);
    Waited { questions: questions(&cloudfront), known: cost.wall }
}

/// All at the same time: nobody does anything but wait.
fn waiting() {
    println!(
        "\n| an invalidation that takes | cdn-purge: questions | known after | every 20 s: questions | known after |\n|---:|---:|---:|---:|---:|"
    );
    let run = |seconds: u64| {
        let takes = Duration::from_secs(seconds);
        (seconds, std::thread::spawn(move || by_cdn_purge(takes)), std::thread::spawn(move || by_aws(takes)))
    };
    let runs: Vec<_> = [1, 5, 12, 30, 65, 110].map(run).into_iter().collect();
    for (seconds, ours, theirs) in runs {
        let (ours, theirs) = (ours.join().expect("it ended"), theirs.join().expect("it ended"));
        println!(
            "| {seconds} s | {} | {:.1} s | {} | {:.1} s |",
            ours.questions,
            ours.known.as_secs_f64(),
            theirs.questions,
            theirs.known.as_secs_f64()
        );
    }
}
