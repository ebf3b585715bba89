//! A second cluster with the same issuer is pointed at the same place.

use std::time::Duration;

use crate::book::Book;
use crate::cluster::Cluster;
use crate::world::World;

#[tokio::test]
async fn a_second_cluster_writes_nothing_to_a_taken_place_until_an_administrator_says_so() {
    let world = World::running("occupied", 1, Duration::from_secs(60)).await;
    let (watch, traffic) = (world.watch(), world.traffic().await);
    let (writes, documents) = (world.writes(), world.bucket.both().await);

    let (issuer, strangers) = (world.bucket.issuer(), Book::new(world.overlap));
    let second = Cluster::start(
        &world.bed,
        &world.etcd,
        "/second",
        1,
        &world.bucket.public,
        &strangers,
    )
    .await;
    let mut stranger = world.replica(&second, "second-0", 0, &issuer);
    stranger.start();
    stranger.answers("/readyz", 200).await;
    second.view.tells("PublishFailed", "is occupied").await;
    let owner = documents[0].as_ref().and_then(|jwks| jwks.owner.clone()).unwrap();
    assert!(
        stranger.log().contains(&owner),
        "the log names the owner of the place"
    );
    stranger
        .counts("kubeassume_verify_failures_total", &[("hop", "jwks")], 3.0)
        .await;
    assert_eq!(stranger.health("/verifiedz").await.unwrap().0, 503);

    // Both go on for some periods; each in its own way.
    world.periods(4).await;
    assert_eq!(world.writes(), writes, "nobody wrote");
    assert_eq!(world.bucket.both().await, documents);
    world.all_answer("/verifiedz", 200).await;
    let foreign = second.pod_token().await;
    for (name, mut party) in world.parties().await {
        assert!(
            !party.verify(&foreign).await.ok,
            "{name} accepts the second cluster"
        );
    }
    traffic.end().await;
    watch.end().await;
    assert_eq!(stranger.stop().await, Some(0));

    // An administrator decides otherwise. The first cluster gives way, and says so; nobody writes in turns.
    stranger.start_with(&["--take-over"]);
    stranger.answers("/verifiedz", 200).await;
    let owner = world.bucket.both().await[0].as_ref().unwrap().owner.clone();
    assert!(owner.is_some() && owner != documents[0].as_ref().unwrap().owner);
    world
        .bucket
        .public
        .shows(&[second.key.kid(), second.bootstrap.kid()])
        .await;
    world.all_answer("/verifiedz", 503).await;
    let writes = world.writes();
    for replica in &world.replicas {
        let errors = replica.metrics().await.unwrap().sum(ERRORS.0, ERRORS.1);
        replica.counts(ERRORS.0, ERRORS.1, errors + 2.0).await;
        assert!(
            replica.log().contains(&owner.clone().unwrap()),
            "the log names the new owner"
        );
    }
    stranger.answers("/verifiedz", 200).await;
    assert_eq!(world.writes(), writes, "no war of writes");
}

/// What a replica counts that must not write.
const ERRORS: (&str, &[(&str, &str)]) = ("kubeassume_publish_errors_total", &[("publisher", "s3")]);
