//! The release build of the controller, from its size to its memory after ten rotations.

use std::fs;

use kubeassume_tests::{Binary, binary};

use crate::report::Report;
use crate::world::{PERIOD, Place, World};
use crate::{memory, start, steady};

pub(crate) async fn measure(report: &mut Report) {
    sizes(report);
    let mut world = World::start(Place::Bucket).await;
    start::measure(&world, report).await;
    world.forget().await;
    let mut replicas = [
        world.replica("leader", PERIOD).await,
        world.replica("follower", PERIOD).await,
    ];
    steady::measure(&world, &mut replicas, report).await;
    memory::measure(&mut world, &replicas, report).await;
}

fn sizes(report: &mut Report) {
    for (name, which) in [
        ("kubeassume-controller", Binary::Controller),
        ("kubeassume", Binary::Cli),
    ] {
        let path = binary(which);
        let bytes = fs::metadata(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .len();
        report.add(
            &format!("size of `{name}`"),
            bytes as f64 / (1024.0 * 1024.0),
            "MiB",
            "the file that `cargo build --release` leaves, default features, symbols stripped",
        );
    }
}
