//! The leader dies again and again while keys roll.

use std::time::Duration;

use kubeassume_tests::{Replica, SigningKey};
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::view::View;
use crate::world::World;

/// So many crashes and so many rotations at least.
const ROUNDS: usize = 10;
const ROTATIONS: usize = 2;
/// Shorter than a rotation, so that keys also leave while the leader dies.
const OVERLAP: Duration = Duration::from_secs(10);
/// A leader lives this long at most: through an election, polls, saves and writes.
const LIFE: u64 = 5_000;
/// And is gone for so long at most: longer than its Lease.
const DEATH: u64 = 4_000;

#[tokio::test]
async fn leaders_are_killed_during_rotations_and_nothing_valid_is_rejected() {
    let seed = match std::env::var("KUBEASSUME_SEED") {
        Ok(seed) => seed.parse().expect("KUBEASSUME_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("KUBEASSUME_SEED={seed}");
    let mut world = World::running("crashes", 2, OVERLAP).await;
    let (watch, traffic) = (world.watch(), world.traffic().await);

    let (over, done) = watch::channel(false);
    let (rolled, rotations) = watch::channel(0);
    let view = world.cluster.view.clone();
    let kill = async {
        let random = fastrand::Rng::with_seed(seed);
        let rounds = kill_leaders(&mut world.replicas, &view, random, rotations.clone()).await;
        over.send_replace(true);
        rounds
    };
    let (rounds, last) = tokio::join!(kill, roll_until(&mut world.cluster, rolled, done));
    println!("{rounds} leaders killed during {} rotations", *rotations.borrow());

    // It converges, and then it is quiet.
    world
        .bucket
        .public
        .shows(&[world.cluster.bootstrap.kid(), last.kid()])
        .await;
    world.all_answer("/verifiedz", 200).await;
    traffic.minted(10).await;
    let (writes, both) = (world.writes(), world.bucket.both().await);
    world.periods(4).await;
    assert_eq!(world.writes(), writes, "quiet again");
    assert_eq!(world.bucket.both().await, both);
    traffic.end().await;
    watch.end().await;
}

/// Kills whoever leads at a random moment, and lets it come back at another, until enough keys have rolled.
/// How often that was.
async fn kill_leaders(
    replicas: &mut [Replica],
    view: &View,
    mut random: fastrand::Rng,
    rotations: watch::Receiver<usize>,
) -> usize {
    let mut rounds = 0;
    while rounds < ROUNDS || *rotations.borrow() < ROTATIONS {
        rounds += 1;
        let leader = view.leader(replicas).await;
        let (life, death) = (random.u64(..LIFE), random.u64(..DEATH));
        let name = replicas[leader].name();
        println!("round {rounds}: {name} dies after {life} ms for {death} ms");
        tokio::time::sleep(Duration::from_millis(life)).await;
        replicas[leader].kill().await;
        tokio::time::sleep(Duration::from_millis(death)).await;
        replicas[leader].start();
    }
    rounds
}

/// Rolls keys, EC and RSA in turn, until told; the last key.
async fn roll_until(
    cluster: &mut Cluster,
    rolled: watch::Sender<usize>,
    done: watch::Receiver<bool>,
) -> SigningKey {
    let mut key = cluster.key.clone();
    while !*done.borrow() {
        let next = match *rolled.borrow() % 2 {
            0 => SigningKey::p256(),
            _ => SigningKey::rsa(),
        };
        cluster.roll(&key, &next).await;
        cluster.serve(&next, &[&next]).await;
        key = next;
        rolled.send_modify(|rotations| *rotations += 1);
    }
    key
}
