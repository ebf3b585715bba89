//! A token through the verifier with a warm cache, against raw `jsonwebtoken` with the key at hand.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up has to stop"
)]

mod scene;

use std::time::SystemTime;

use criterion::{Criterion, criterion_group};
use kubeassume_benches::report::print_ratios;
use kubeassume_core::Algorithm;
use scene::Scene;

criterion_group!(benches, verify);

fn main() {
    let started = SystemTime::now();
    benches();
    print_ratios("verify", &["rs256", "es256"], 1.15, started);
}

fn verify(criterion: &mut Criterion) {
    // Raw jsonwebtoken asks a process-wide setting for its signatures; the verifier does not.
    jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
        .install_default()
        .ok();
    for (id, algorithm) in [("rs256", Algorithm::Rs256), ("es256", Algorithm::Es256)] {
        let scene = Scene::new(algorithm);
        criterion
            .benchmark_group("verify_baseline")
            .bench_function(id, |bencher| bencher.iter(|| scene.baseline()));
        criterion
            .benchmark_group("verify")
            .bench_function(id, |bencher| bencher.iter(|| scene.verify()));
    }
}
