//! Measures and prints Markdown: what each program costs to start, and how long whole runbooks take beside stand-ins that
//! answer at once. `scripts/bench` writes it to docs/benchmarks.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Sandbox;
use wait4::Wait4;

const STARTS: usize = 100;
const ROUNDS: usize = 7;

fn main() {
    println!("## Start\n");
    println!(
        "`PROGRAM --version`, {STARTS} times each: median CPU (user and system), greatest peak memory, size of the binary.\n"
    );
    println!("| program | CPU | peak memory | binary |\n|---|---:|---:|---:|");
    for program in testkit::programs() {
        println!("{}", start(program));
    }
    println!("\n## Whole runbooks\n");
    println!(
        "In the sandbox (real git, PostgreSQL and Varnish on this machine; Coolify and Telegram are stand-ins that answer at \
         once), {ROUNDS} rounds: wall time from command to end, with everything that pg_dump, pg_restore and git take.\n"
    );
    println!("| runbook | median | least | most |\n|---|---:|---:|---:|");
    let rounds: Vec<[Duration; 4]> = (0..ROUNDS).map(|_| round()).collect();
    for (i, name) in
        ["candidate", "release", "rollback with data, from the staged copy", "rollback, image only"]
            .iter()
            .enumerate()
    {
        let mut times: Vec<Duration> = rounds.iter().map(|r| r[i]).collect();
        times.sort();
        println!(
            "| {name} | {} | {} | {} |",
            seconds(times[ROUNDS / 2]),
            seconds(times[0]),
            seconds(times[ROUNDS - 1])
        );
    }
}

/// One row of the first table.
fn start(program: &str) -> String {
    let path = testkit::bin(program);
    let mut cpu = Vec::new();
    let mut memory = 0;
    for _ in 0..STARTS {
        let mut command = Command::new(&path);
        let quiet = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
        let used = quiet.spawn().expect("it starts").wait4().expect("it ends");
        assert!(used.status.success(), "{program}");
        cpu.push(used.rusage.utime + used.rusage.stime);
        memory = memory.max(used.rusage.maxrss);
    }
    cpu.sort();
    let size = std::fs::metadata(&path).expect("a file").len();
    format!(
        "| {program} | {:.1} ms | {:.1} MiB | {:.1} MB |",
        cpu[STARTS / 2].as_secs_f64() * 1000.0,
        mebibytes(memory),
        megabytes(size)
    )
}

#[expect(clippy::cast_precision_loss, reason = "a figure with one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[expect(clippy::cast_precision_loss, reason = "a figure with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A candidate, a release, a bad release and the rollback from it; and from the good one, whose migration only adds.
fn round() -> [Duration; 4] {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    sandbox.product.git(&["switch", "--quiet", "staging"]);
    let candidate = timed(sandbox.runbook("candidate").arg("1.2.0"), 0);
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    sandbox.product.git(&["pull", "--quiet", "--ff-only"]);
    let release = timed(sandbox.runbook("release").arg("1.2.0"), 0);
    sandbox.prepare_bad_release("1.3.0");
    sandbox.product.git(&["pull", "--quiet", "--ff-only"]);
    timed(sandbox.runbook("release").arg("1.3.0").env("RILIS_DEPLOY_COOLIFY_HEALTH_TIMEOUT", "50ms"), 1);
    let rollback = timed(
        sandbox.runbook("rollback").args(["--database", "restore", "--confirm", &sandbox.confirmation()]),
        0,
    );
    // The environment is on hold, which stops no rollback; the run before the bad one is the good release.
    let code = timed(sandbox.runbook("rollback").arg("--of").arg(first_release(&sandbox)), 0);
    [candidate, release, rollback, code]
}

fn first_release(sandbox: &Sandbox) -> std::path::PathBuf {
    let runs =
        std::fs::read_dir(sandbox.product_dir().join("runs")).expect("runs").flatten().map(|e| e.path());
    let release = |path: &std::path::PathBuf| path.to_string_lossy().contains("-release-production-1.2.0-");
    runs.filter(release).min().expect("a release")
}

fn timed(command: &mut Command, expected: i32) -> Duration {
    let clock = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let time = clock.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected), "{said}");
    time
}
