//! Measures the CPU time that it costs to search text for five secrets in every form: `cargo run --release -p step --example bench-redact`.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use std::time::Duration;

use step::{Secret, redact, scrub};

const ROUNDS: usize = 21;
const SIZE: usize = 1 << 20;

fn main() {
    for secret in [
        "17|Kq3zx9Tt0WmB2cVn8LrYp5HsDg1JfUaE6oXiQ4kZ7",
        "123456789:AAH7dT2mXw9rB4AAH7dT2mXw9rB4xxx",
        "postgres://shop:s3cr-t%2Fpass@db.example:5432/shop",
        "https://hooks.example/services/T0/B0/abcdefghijklmnopqrstuvwx",
        "glpat-abcdefghij0123456789",
    ] {
        let _known = Secret::new(secret);
    }
    let log = sample();
    println!("| 1 MiB of build log, five secrets known | median | least | most |\n|---|---:|---:|---:|");
    row("`redact`: loaded secrets in every form", || redact(&log).len());
    row("`scrub`: and secrets of others by their shape", || scrub(&log).len());
    let started = cpu();
    let _another = Secret::new("another-secret-0123456789");
    redact("x");
    println!("\nThe first search after a secret is loaded: {:.2} ms.", milliseconds(cpu() - started));
}

/// Lines as a build writes them, with quotes, escapes and addresses.
fn sample() -> String {
    let lines = [
        "2026-11-27T08:12:44.120Z #14 [builder 5/7] RUN npm run build\n",
        "> next build\n   Creating an optimized production build ...\n ✓ Compiled successfully in 14.2s\n",
        "{\"level\":\"info\",\"msg\":\"GET \\\"/api/products?page=2&sort=price%20asc\\\" 200\",\"ms\":12}\n",
        "├ ○ /products/[slug]                        4.21 kB         118 kB\n",
        "npm warn deprecated glob@7.2.3: Glob versions prior to v9 are no longer supported\n",
        "  - Environments: .env.production, fetched https://registry.example/react/-/react-19.0.0.tgz\n",
    ];
    lines
        .iter()
        .cycle()
        .scan(0, |size, line| {
            *size += line.len();
            (*size < SIZE).then_some(*line)
        })
        .collect()
}

fn row(name: &str, work: impl Fn() -> usize) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = cpu();
            assert!(std::hint::black_box(work()) > SIZE / 2);
            cpu() - started
        })
        .collect();
    times.sort();
    println!(
        "| {name} | {:.2} ms | {:.2} ms | {:.2} ms |",
        milliseconds(times[ROUNDS / 2]),
        milliseconds(times[0]),
        milliseconds(times[ROUNDS - 1])
    );
}

/// The CPU time of this process so far, by the kernel's scheduler: what other processes do does not count.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
