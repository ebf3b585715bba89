//! Two API servers roll keys, RSA to EC and back, while pods use their tokens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kubeassume_tests::{SigningKey, token_kid, until};

use crate::LIMIT;
use crate::bucket::{DISCOVERY, JWKS};
use crate::world::World;

/// Long enough to look at a key that left the API servers, short enough to wait for its end.
const OVERLAP: Duration = Duration::from_secs(20);

#[tokio::test]
async fn keys_roll_and_nothing_valid_is_rejected() {
    let mut world = World::running("rotation", 2, OVERLAP).await;
    let (watch, traffic) = (world.watch(), world.traffic().await);
    let (rsa, ec, rsa_again) = (world.cluster.key.clone(), SigningKey::p256(), SigningKey::rsa());
    let mut published = Published::default();
    published.settle(&world, &[&rsa]).await;

    // By the procedure: add, wait until public, sign. Then the old key goes from the API servers, long
    // before its tokens end; only the retention keeps it.
    world.cluster.roll(&rsa, &ec).await;
    published.settle(&world, &[&rsa, &ec]).await;
    traffic.minted(20).await;
    let old = token_of(&world, &rsa, &traffic).await;
    world.cluster.serve(&ec, &[&ec]).await;
    world.cluster.view.key_becomes(rsa.kid(), "retiring").await;
    assert_eq!(
        world.cluster.servers[0].who_is(&old).await,
        Err(401),
        "its own cluster knows it no more"
    );
    published.settle(&world, &[&rsa, &ec]).await;
    world.cluster.view.key_becomes(rsa.kid(), "removed").await;
    assert!(
        world.book.may_leave(rsa.kid()).unwrap() <= Instant::now(),
        "not before its retention"
    );
    published.settle(&world, &[&ec]).await;
    for (name, mut party) in world.parties().await {
        assert!(!party.verify(&old).await.ok, "{name} accepts a key that is gone");
    }

    // Without waiting: each server signs with a key that may not be public yet. What is refused meanwhile
    // is accepted from the moment on at which the key is public.
    let began = Instant::now();
    world.cluster.serve(&rsa_again, &[&ec, &rsa_again]).await;
    world.cluster.is_public(&rsa_again).await;
    println!(
        "public {:?} after the first of the two restarts began",
        began.elapsed()
    );
    published.settle(&world, &[&ec, &rsa_again]).await;
    traffic.minted(20).await;

    for tally in traffic.end().await {
        let kids: Vec<&str> = [&rsa, &ec, &rsa_again].map(SigningKey::kid).into();
        let missing: Vec<_> = kids.iter().filter(|kid| !tally.kids.contains(**kid)).collect();
        assert!(
            missing.is_empty(),
            "{} never saw a token of {missing:?}",
            tally.name
        );
    }
    let report = watch.end().await;
    println!("the watch looked {} times", report.looks);
    published.matches_writes(&world);
    for (reason, key) in [
        ("NewKey", &ec),
        ("KeyRetiring", &rsa),
        ("KeyRemoved", &rsa),
        ("NewKey", &rsa_again),
    ] {
        world.cluster.view.tells(reason, key.kid()).await;
    }
}

/// A token of the old key, which no API server signs with any more, from the pods' own.
async fn token_of(world: &World, key: &SigningKey, traffic: &crate::traffic::Traffic) -> String {
    let token = traffic.token_of(key.kid()).expect("the pods have one");
    assert_eq!(token_kid(&token), key.kid());
    assert!(world.cluster.servers[0].who_is(&token).await.is_ok());
    token
}

/// The generations that were public when all was quiet; between two such moments a document changes once at
/// most, so that they are all there were.
#[derive(Default)]
struct Published {
    jwks: BTreeSet<u64>,
    discovery: BTreeSet<u64>,
}

impl Published {
    /// Waits until exactly these keys are public, with the bootstrap key, and until the documents are the
    /// state's.
    async fn settle(&mut self, world: &World, keys: &[&SigningKey]) {
        let mut kids: Vec<&str> = keys.iter().map(|key| key.kid()).collect();
        kids.push(world.cluster.bootstrap.kid());
        world.bucket.public.shows(&kids).await;
        let generations = until("the documents to be the state's", LIMIT, async || {
            let state = world.cluster.view.state().await?;
            let mut found = [0, 0];
            for (found, (name, key)) in found.iter_mut().zip([("jwks", JWKS), ("discovery", DISCOVERY)]) {
                let object = world.bucket.object(key).await?.ok_or("an object is missing")?;
                *found = object.generation.ok_or("a generation is missing")?;
                if state["documents"][name]["generation"] != *found {
                    return Err(format!("{name} has {found}: {}", state["documents"]));
                }
            }
            Ok(found)
        })
        .await;
        self.jwks.insert(generations[0]);
        self.discovery.insert(generations[1]);
    }

    fn matches_writes(&self, world: &World) {
        let changes = [self.jwks.len(), self.discovery.len()];
        println!(
            "changes of the key set and of discovery: {changes:?}, writes {:?}",
            world.writes()
        );
        assert_eq!(world.writes(), changes, "one successful PUT per changed document");
    }
}
