//! From an API server's bytes to publishable bytes, against parsing and re-serialising the same bytes.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use kubeassume_benches::report::print_ratios;
use kubeassume_benches::{cycle, documents};

criterion_group!(benches, jwks_cycle);

fn main() {
    let started = SystemTime::now();
    benches();
    print_ratios("jwks_cycle", &["2", "100", "200", "1000"], 3.0, started);
}

fn jwks_cycle(criterion: &mut Criterion) {
    for keys in [2, 100, 200, 1000] {
        let answer = documents::key_set(keys);
        // One after the other, so that a noisy minute of the machine meets both.
        for (group, run) in [
            ("jwks_cycle_baseline", cycle::baseline as fn(&[u8]) -> Vec<u8>),
            ("jwks_cycle", cycle::cycle),
        ] {
            criterion
                .benchmark_group(group)
                .throughput(Throughput::Bytes(answer.len() as u64))
                .bench_function(BenchmarkId::from_parameter(keys), |bencher| {
                    bencher.iter(|| run(black_box(&answer)));
                });
        }
    }
}
