//! Somebody's hand: in the ConfigMap, and in the bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kubeassume_tests::{NAMESPACE, SigningKey, until};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::LIMIT;
use crate::access::administrator;
use crate::bucket::{DISCOVERY, JWKS, Object, jwk};
use crate::cluster::Cluster;
use crate::view::CONFIG_MAP;
use crate::world::World;

#[tokio::test]
async fn a_lost_or_damaged_config_map_is_restored_from_what_replicas_remember() {
    let mut world = World::running("config-map", 1, Duration::from_secs(300)).await;
    let before_the_roll = entries(&world).await;
    let (old, new) = (world.cluster.key.clone(), SigningKey::p256());
    world.cluster.roll(&old, &new).await;
    world.cluster.serve(&new, &[&new]).await;
    world.cluster.view.key_becomes(old.kid(), "retiring").await;
    world
        .bucket
        .public
        .shows(&[old.kid(), new.kid(), world.cluster.bootstrap.kid()])
        .await;
    until("the bucket to be right", LIMIT, async || {
        in_agreement(&world).await
    })
    .await;
    let (watch, traffic) = (world.watch(), world.traffic().await);
    let (writes, documents) = (world.writes(), world.bucket.both().await);

    let right = entries(&world).await;
    let change = |name: &str, content: &str| {
        let mut entries = right.clone();
        entries.insert(name.to_owned(), content.to_owned());
        Some(entries)
    };
    let stranger = json!({"keys": [jwk(&SigningKey::p256())]}).to_string();
    let mut without = right.clone();
    without.remove("jwks.json");
    for (what, damage) in [
        ("deleted", None),
        ("without its state", change("state.json", "")),
        (
            "with garbage for its state",
            change("state.json", "{\"revision\": 1"),
        ),
        ("with a stranger's key", change("jwks.json", &stranger)),
        ("without its key set", Some(without)),
        ("as it was before the roll", Some(before_the_roll)),
    ] {
        let revision = revision(&world.cluster.view.state().await.unwrap());
        damage_config_map(&world.cluster, damage).await;
        until(
            &format!("the ConfigMap to be restored ({what})"),
            LIMIT,
            async || {
                let found = self::revision(&world.cluster.view.state().await?);
                if found <= revision {
                    return Err(format!("revision {found} after {revision}"));
                }
                in_agreement(&world).await
            },
        )
        .await;
        for (key, state) in [
            (&old, "retiring"),
            (&new, "live"),
            (&world.cluster.bootstrap, "live"),
        ] {
            assert_eq!(
                world.cluster.view.key_state(key.kid()).await.unwrap(),
                state,
                "{what}"
            );
        }
    }
    world.cluster.view.tells("StateRepaired", "it is missing").await;

    traffic.minted(10).await;
    traffic.end().await;
    watch.end().await;
    assert_eq!(
        world.bucket.both().await,
        documents,
        "nothing of this was ever public"
    );
    assert_eq!(world.writes(), writes);
}

#[tokio::test]
async fn after_a_total_loss_of_state_public_keys_stay_for_one_retention() {
    let mut world = World::running("total-loss", 1, Duration::from_secs(15)).await;
    let watch = world.watch();
    let (old, new) = (world.cluster.key.clone(), SigningKey::p256());
    world.cluster.roll(&old, &new).await;
    world.cluster.serve(&new, &[&new]).await;
    world.cluster.view.key_becomes(old.kid(), "retiring").await;
    for replica in &mut world.replicas {
        replica.kill().await;
    }
    damage_config_map(&world.cluster, None).await;

    world.start_replicas();
    world.cluster.view.key_becomes(old.kid(), "unconfirmed").await;
    world.cluster.view.tells("KeyUnconfirmed", old.kid()).await;
    for key in [&new, &world.cluster.bootstrap] {
        assert_eq!(world.cluster.view.key_state(key.kid()).await.unwrap(), "live");
    }
    world.cluster.view.key_becomes(old.kid(), "removed").await;
    world
        .bucket
        .public
        .shows(&[new.kid(), world.cluster.bootstrap.kid()])
        .await;
    until("the bucket to be right", LIMIT, async || {
        in_agreement(&world).await
    })
    .await;
    watch.end().await;
}

#[tokio::test]
async fn a_damaged_bucket_is_healed_and_foreign_keys_are_reported() {
    let world = World::running("bucket", 1, Duration::from_secs(60)).await;
    let [jwks, discovery] = world.bucket.both().await.map(Option::unwrap);
    let mut writes = Writes::new(&world);

    for (what, body) in [
        ("garbage", "garbage"),
        ("nothing", ""),
        ("an empty set", "{\"keys\":[]}"),
    ] {
        world.bucket.put(JWKS, body, &[]).await;
        healed(&world, what, &jwks, &discovery).await;
        writes.were(&world, what, [2, 0]);
    }

    let stranger = SigningKey::p256();
    let foreign = json!({"keys": [jwk(&stranger)]}).to_string();
    world.bucket.put(JWKS, &foreign, &[]).await;
    healed(&world, "a foreign key", &jwks, &discovery).await;
    writes.were(&world, "a foreign key", [2, 0]);
    world.cluster.view.tells("ForeignKey", stranger.kid()).await;
    let mut reported = 0.0;
    for replica in &world.replicas {
        reported += replica
            .metrics()
            .await
            .unwrap()
            .sum("kubeassume_foreign_keys_total", &[]);
    }
    assert_eq!(reported, 1.0, "kubeassume_foreign_keys_total of both replicas");

    world.bucket.delete(JWKS).await;
    healed(&world, "no key set", &jwks, &discovery).await;
    writes.were(&world, "no key set", [1, 0]);
    world.bucket.delete(DISCOVERY).await;
    healed(&world, "no discovery", &jwks, &discovery).await;
    writes.were(&world, "no discovery", [0, 1]);
    world.bucket.delete(JWKS).await;
    world.bucket.delete(DISCOVERY).await;
    healed(&world, "an empty bucket", &jwks, &discovery).await;
    writes.were(&world, "an empty bucket", [1, 1]);

    let elsewhere = discovery.body.replace("clusters/one", "clusters/two");
    assert_ne!(elsewhere, discovery.body);
    world.bucket.put(DISCOVERY, &elsewhere, &[]).await;
    healed(&world, "another issuer's discovery", &jwks, &discovery).await;
    writes.were(&world, "another issuer's discovery", [0, 2]);

    // Right bytes without headers, under no mark, and under one that no leader can have drawn. Equal bytes
    // have equal ETags, which is why both replicas may write here.
    world.bucket.put(JWKS, &jwks.body, &[]).await;
    healed(&world, "no headers and no mark", &jwks, &discovery).await;
    world
        .bucket
        .put(JWKS, &jwks.body, &marks(&jwks, u64::MAX).each())
        .await;
    healed(&world, "an impossible generation", &jwks, &discovery).await;

    // Higher than the state's, as after an etcd that was restored: the leader draws above it.
    let ahead = jwks.generation.unwrap() + 3_600_000;
    world
        .bucket
        .put(JWKS, &jwks.body, &marks(&jwks, ahead).each())
        .await;
    let above = Object {
        generation: Some(ahead + 1),
        ..jwks.clone()
    };
    healed(&world, "a higher generation", &above, &discovery).await;
    world.all_answer("/verifiedz", 200).await;
    let token = world.cluster.pod_token().await;
    for (name, mut party) in world.parties().await {
        assert!(party.verify(&token).await.ok, "{name}");
    }
    let mut writes = Writes::new(&world);
    world.periods(3).await;
    writes.were(&world, "all was healed", [0, 0]);
}

/// Waits until the bucket holds exactly these objects.
async fn healed(world: &World, what: &str, jwks: &Object, discovery: &Object) {
    until(&format!("{what} to be healed"), LIMIT, async || {
        for (key, expected) in [(JWKS, jwks), (DISCOVERY, discovery)] {
            let found = world.bucket.object(key).await?;
            if found.as_ref() != Some(expected) {
                return Err(format!("{key} is {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    })
    .await;
}

/// Counts successful PUTs, by whoever, from one look to the next.
struct Writes([usize; 2]);

impl Writes {
    fn new(world: &World) -> Self {
        Self(world.writes())
    }

    fn were(&mut self, world: &World, what: &str, expected: [usize; 2]) {
        let now = world.writes();
        assert_eq!(
            [now[0] - self.0[0], now[1] - self.0[1]],
            expected,
            "writes after {what}, ours included"
        );
        self.0 = now;
    }
}

/// The metadata of an object of the product's, with another generation.
struct Marks {
    generation: String,
    owner: String,
    digest: String,
}

fn marks(object: &Object, generation: u64) -> Marks {
    Marks {
        generation: generation.to_string(),
        owner: object.owner.clone().unwrap(),
        digest: URL_SAFE_NO_PAD.encode(Sha256::digest(&object.body)),
    }
}

impl Marks {
    fn each(&self) -> [(&str, &str); 3] {
        [
            ("generation", &self.generation),
            ("owner", &self.owner),
            ("digest", &self.digest),
        ]
    }
}

/// Whether ConfigMap and bucket hold the same documents of the same generation.
async fn in_agreement(world: &World) -> Result<(), String> {
    let state = world.cluster.view.state().await?;
    for (name, entry, key) in [
        ("jwks", "jwks.json", JWKS),
        ("discovery", "discovery.json", DISCOVERY),
    ] {
        let object = world.bucket.object(key).await?.ok_or("an object is missing")?;
        if world.cluster.view.entry(entry).await? != object.body {
            return Err(format!("{entry} is not what is public"));
        }
        if state["documents"][name]["generation"].as_u64() != object.generation {
            return Err(format!(
                "{name} is public as {:?}: {}",
                object.generation, state["documents"]
            ));
        }
    }
    Ok(())
}

fn revision(state: &Value) -> u64 {
    state["revision"].as_u64().expect("a revision")
}

async fn entries(world: &World) -> BTreeMap<String, String> {
    let map = world.cluster.view.config_map().await.unwrap();
    map.and_then(|map| map.data).expect("a ConfigMap with data")
}

/// Replaces what the ConfigMap holds, or deletes it, as an administrator whom the policy names.
async fn damage_config_map(cluster: &Cluster, data: Option<BTreeMap<String, String>>) {
    let maps: Api<ConfigMap> = Api::namespaced(administrator(cluster), NAMESPACE);
    let Some(data) = data else {
        maps.delete(CONFIG_MAP, &DeleteParams::default()).await.unwrap();
        return;
    };
    let mut map = ConfigMap {
        data: Some(data),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(CONFIG_MAP.to_owned());
    maps.replace(CONFIG_MAP, &PostParams::default(), &map)
        .await
        .unwrap();
}
