//! Orderly ends, and a beginning that is refused.

use std::time::Duration;

use kubeassume_tests::{Replica, until};

use crate::LIMIT;
use crate::world::World;

#[tokio::test]
async fn a_leader_that_is_told_to_end_gives_the_lease_up() {
    let mut world = World::running("leaving", 1, Duration::from_secs(60)).await;
    let (watch, traffic, writes) = (world.watch(), world.traffic().await, world.writes());
    for _ in 0..2 {
        let leader = world.leader().await;
        let code = world.replicas[leader].stop().await;
        assert_eq!(code, Some(0), "{}", world.replicas[leader].log());
        // Nobody has to wait until it expires.
        let holder = world.cluster.view.holder().await.unwrap();
        assert_ne!(
            holder,
            world.replicas[leader].name(),
            "the Lease is given up before the process ends"
        );
        let other = world.leader().await;
        assert_ne!(other, leader);
        world.replicas[leader].start();
        world.replicas[leader].answers("/verifiedz", 200).await;
        assert_eq!(world.leader().await, other, "who comes back follows");
    }
    assert_eq!(world.writes(), writes, "a change of leaders writes nothing");
    traffic.end().await;
    watch.end().await;
}

#[tokio::test]
async fn an_issuer_that_is_not_the_api_servers_is_refused_and_nothing_is_written() {
    let world = World::new("issuer", 1, Duration::from_secs(60)).await;
    let served = world.bucket.issuer();
    // The same bucket by another name, so that only the API server disagrees.
    let configured = served.replace("localhost", "127.0.0.1");
    let mut replica = world.replica(&world.cluster, "mistaken", 0, &configured);
    replica.start();
    shows(&replica, &[&configured, &served]).await;
    replica.answers("/healthz", 200).await;
    replica.answers("/readyz", 503).await;
    replica
        .counts(
            "kubeassume_sync_duration_seconds_count",
            &[("phase", "fetch")],
            4.0,
        )
        .await;
    assert_eq!(replica.stop().await, Some(0));

    // A place that is not public under the issuer is refused before anything else.
    let elsewhere = served.replace("clusters/one", "clusters/two");
    let mut replica = world.replica(&world.cluster, "elsewhere", 0, &elsewhere);
    replica.start();
    assert_ne!(replica.ends().await, Some(0));
    shows(&replica, &[&elsewhere, &served]).await;

    assert_eq!(world.writes(), [0, 0]);
    assert!(world.cluster.view.config_map().await.unwrap().is_none());
}

/// Waits for a line of the log that has all these words.
async fn shows(replica: &Replica, words: &[&str]) {
    until(&format!("the log to show {words:?}"), LIMIT, async || {
        let log = replica.log();
        let shown = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        if shown { Ok(()) } else { Err(log) }
    })
    .await;
}
