//! From nothing to a token that everybody accepts.

use std::time::Duration;

use serde_json::Value;

use crate::bucket::{BOTH, DISCOVERY, JWKS, sorted};
use crate::traffic::{AUDIENCE, POD, SUBJECT};
use crate::world::{CACHE_MAX_AGE, World};

#[tokio::test]
async fn an_empty_bucket_becomes_an_issuer_that_everybody_trusts() {
    let mut world = World::new("publishing", 1, Duration::from_secs(60)).await;
    for key in BOTH {
        assert_ne!(
            world.bucket.anonymous(key).await.unwrap().0,
            200,
            "{key} is there already"
        );
    }
    let watch = world.watch();
    world.start_replicas();
    for replica in &world.replicas {
        for check in ["/healthz", "/readyz", "/verifiedz"] {
            replica.answers(check, 200).await;
        }
    }

    the_documents_are_right(&world).await;
    the_config_map_has_what_is_public(&world).await;
    both_replicas_report(&world).await;
    everybody_accepts_a_pod(&world).await;

    assert_eq!(world.writes(), [1, 1], "one successful PUT per document");
    let revision = world.cluster.view.state().await.unwrap()["revision"].clone();
    world.periods(6).await;
    assert_eq!(world.writes(), [1, 1], "nothing changed, nothing is written");
    assert_eq!(world.cluster.view.state().await.unwrap()["revision"], revision);
    watch.end().await;
}

async fn the_documents_are_right(world: &World) {
    let (issuer, cluster) = (world.bucket.issuer(), &world.cluster);
    let cache_control = format!("public, max-age={CACHE_MAX_AGE}");
    for (key, content_type) in [
        (DISCOVERY, "application/json"),
        (JWKS, "application/jwk-set+json"),
    ] {
        let (status, headers, _) = world.bucket.anonymous(key).await.unwrap();
        assert_eq!(status, 200, "{key}");
        assert_eq!(headers["content-type"], content_type);
        assert_eq!(headers["cache-control"], cache_control);
        assert!(!headers.contains_key("content-encoding"), "{key}: {headers:?}");
    }
    let json = async |key| -> Value {
        let (_, _, body) = world.bucket.anonymous(key).await.unwrap();
        serde_json::from_str(&body).unwrap()
    };
    let discovery = json(DISCOVERY).await;
    assert_eq!(discovery["issuer"], issuer);
    assert_eq!(discovery["jwks_uri"], format!("{issuer}/openid/v1/jwks"));
    assert_eq!(
        discovery["id_token_signing_alg_values_supported"],
        serde_json::json!(["RS256"])
    );
    let jwks = json(JWKS).await;
    for key in jwks["keys"].as_array().unwrap() {
        let members = sorted(key.as_object().unwrap().keys());
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    }
    let expected = [cluster.key.kid(), cluster.bootstrap.kid()];
    assert_eq!(
        sorted(world.bucket.public.kids().await.unwrap()),
        sorted(expected)
    );

    let [jwks, discovery] = world.bucket.both().await.map(Option::unwrap);
    assert!(jwks.generation.is_some() && discovery.generation.is_some());
    assert!(jwks.owner.is_some() && jwks.owner == discovery.owner);
    let (status, _, _) = world.bucket.anonymous("clusters/one/other").await.unwrap();
    assert_eq!(
        status, 403,
        "the public reads these two documents and nothing else"
    );
}

async fn the_config_map_has_what_is_public(world: &World) {
    for (entry, key) in [("discovery.json", DISCOVERY), ("jwks.json", JWKS)] {
        let (_, _, public) = world.bucket.anonymous(key).await.unwrap();
        assert_eq!(world.cluster.view.entry(entry).await.unwrap(), public);
    }
    for key in [&world.cluster.key, &world.cluster.bootstrap] {
        assert_eq!(world.cluster.view.key_state(key.kid()).await.unwrap(), "live");
        world.cluster.view.tells("NewKey", key.kid()).await;
    }
}

async fn both_replicas_report(world: &World) {
    let leader = world.leader().await;
    for replica in &world.replicas {
        let metrics = replica.metrics().await.unwrap();
        let s3: &[_] = &[("publisher", "s3")];
        assert!(metrics.sum("kubeassume_sync_total", &[("status", "success"), s3[0]]) >= 1.0);
        assert_eq!(metrics.sum("kubeassume_active_keys", &[]), 2.0, "{}", metrics.0);
        assert!(metrics.sum("kubeassume_last_publish_timestamp", &[]) > 1.7e9);
        assert!(metrics.has("kubeassume_sync_duration_seconds_count", &[("phase", "publish")]));
        assert!(metrics.has("kubeassume_public_copy_age_seconds", &[]));
        assert_eq!(metrics.sum("kubeassume_foreign_keys_total", &[]), 0.0);
    }
    let metrics = world.replicas[leader].metrics().await.unwrap();
    assert_eq!(
        metrics.sum("kubeassume_rotation_total", &[("type", "new_key")]),
        2.0,
        "{}",
        metrics.0
    );
    assert!(metrics.has("kubeassume_sync_duration_seconds_count", &[("phase", "fetch")]));
    let url = world.cluster.servers[0].url();
    let endpoint = url.trim_start_matches("https://");
    assert_eq!(
        metrics.sum("kubeassume_endpoint_reachable", &[("endpoint", endpoint)]),
        1.0
    );
}

async fn everybody_accepts_a_pod(world: &World) {
    let token = world.cluster.pod_token().await;
    let (namespace, account) = POD;
    let elsewhere = world.cluster.servers[0]
        .token(namespace, account, "elsewhere.example")
        .await;
    for (name, mut party) in world.parties().await {
        let verdict = party.verify(&token).await;
        assert!(verdict.ok && verdict.sub == SUBJECT, "{name}: {verdict:?}");
        assert!(
            !party.verify(&elsewhere).await.ok,
            "{name} looks at the audience {AUDIENCE}"
        );
    }
}
