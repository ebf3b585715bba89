//! The whole controller, two or three replicas, in a world that goes wrong: seeded, on virtual time.
//!
//! The production `Controller` and `StorePublisher` run against API servers whose keys change, a state store
//! and a document store with real compare-and-swap, a public cache, an election that may be wrong, clocks that
//! jump, pauses and crashes. An oracle judges every public write. A seed gives the same schedule again:
//!
//! - `KUBEASSUME_SIMULATIONS`: how many schedules (default 300);
//! - `KUBEASSUME_SEED`: the first seed; with one simulation, its whole history is printed.
//!
//! What it does not model: several sinks, a shared address in front of API servers, tokens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test: it ends at the first surprise"
)]

#[path = "simulation/hands.rs"]
mod hands;
#[path = "simulation/keys.rs"]
mod keys;
#[path = "simulation/oracle.rs"]
mod oracle;
#[path = "simulation/ports.rs"]
mod ports;
#[path = "simulation/schedule.rs"]
mod schedule;
#[path = "simulation/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::Counts;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn every_schedule_keeps_the_invariants() {
    let count = number("KUBEASSUME_SIMULATIONS", 300);
    let first = number("KUBEASSUME_SEED", 1);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let total = Mutex::new(Counts::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let report = schedule::play(seed, false);
                    total.lock().unwrap().add(&report.counts);
                    if !report.violations.is_empty() {
                        failures.lock().unwrap().push((seed, report.violations));
                    }
                }
            });
        }
    });
    eprintln!("{count} schedules from seed {first}: {:?}", total.lock().unwrap());
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    if let Some((seed, _)) = failures.first() {
        if count == 1 {
            eprintln!("{}", schedule::play(*seed, true).trace.join("\n"));
        }
        for (seed, violations) in &failures {
            eprintln!(
                "KUBEASSUME_SIMULATIONS=1 KUBEASSUME_SEED={seed}: {}",
                violations[0]
            );
        }
        panic!("{} of {count} schedules broke an invariant", failures.len());
    }
}
