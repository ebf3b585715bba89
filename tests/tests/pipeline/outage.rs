//! The S3 server goes away for a while, and a key rolls meanwhile.

use std::time::Duration;

use kubeassume_tests::SigningKey;

use crate::world::World;

#[tokio::test]
async fn an_s3_outage_is_reported_and_made_good() {
    let mut world = World::running("outage", 1, Duration::from_secs(60)).await;
    let token = world.cluster.pod_token().await;
    let mut parties = world.parties().await;
    for (name, party) in &mut parties {
        assert!(party.verify(&token).await.ok, "{name}");
    }
    let (watch, writes) = (world.watch(), world.writes());

    world.gateway.kill().await;
    world.all_answer("/verifiedz", 503).await;
    for replica in &world.replicas {
        assert_eq!(replica.health("/healthz").await.unwrap().0, 200);
        assert_eq!(
            replica.health("/readyz").await.unwrap().0,
            200,
            "its state is confirmed all the same"
        );
        replica
            .counts("kubeassume_publish_errors_total", &[("publisher", "s3")], 1.0)
            .await;
        replica
            .counts("kubeassume_verify_failures_total", &[("hop", "jwks")], 1.0)
            .await;
        let metrics = replica.metrics().await.unwrap();
        assert!(
            metrics.sum("kubeassume_public_copy_age_seconds", &[]) >= 2.0,
            "{}",
            metrics.0
        );
    }
    for (name, party) in parties
        .iter_mut()
        .filter(|(name, _)| *name != "go-oidc without memory")
    {
        assert!(party.verify(&token).await.ok, "{name} remembers the key");
    }
    let (old, new) = (world.cluster.key.clone(), SigningKey::p256());
    world.cluster.serve(&old, &[&old, &new]).await;
    world.cluster.view.key_becomes(new.kid(), "live").await;

    world.gateway.start_again().await;
    world.cluster.is_public(&new).await;
    world.all_answer("/verifiedz", 200).await;
    assert_eq!(
        world.writes(),
        [writes[0] + 1, writes[1] + 1],
        "the key set, and ES256 in discovery"
    );
    world.cluster.serve(&new, &[&old, &new]).await;
    let by_new = world.cluster.pod_token().await;
    for (name, party) in &mut parties {
        for token in [&token, &by_new] {
            let verdict = party.verify(token).await;
            assert!(verdict.ok, "{name}: {verdict:?}");
        }
    }
    watch.end().await;
}
