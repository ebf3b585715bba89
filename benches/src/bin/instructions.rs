//! What `cargo xtask instructions` runs under callgrind: one cycle with 100 keys.
#![allow(clippy::print_stdout, reason = "its output shows that the cycle did its work")]

use std::hint::black_box;

use kubeassume_benches::{cycle, documents};

fn main() {
    let answer = documents::key_set(100);
    // What happens once per process (finding out what the CPU can do) is no part of a cycle.
    let warm = cycle::cycle(&answer);
    let published = measured_cycle(black_box(&answer));
    assert_eq!(warm, published, "a cycle remembers nothing");
    println!("{} bytes published", published.len());
}

/// Callgrind collects between entering and leaving the function of this name.
#[inline(never)]
fn measured_cycle(answer: &[u8]) -> Vec<u8> {
    cycle::cycle(answer)
}
