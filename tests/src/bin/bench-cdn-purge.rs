//! What a purge of 100,000 pages costs: CPU, memory and time against a loopback vendor, beside curl in a loop.
#![allow(clippy::print_stdout, reason = "the figures go to stdout, as Markdown")]

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
}
