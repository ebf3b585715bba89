//! The leader dies again and again while keys roll.

use std::time::Duration;

use kubeassume_tests::SigningKey;
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::view::View;
use crate::world::World;

const ROUNDS: usize = 10;
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
    let view = world.cluster.view.clone();
    let kill = async {
        kill_leaders(&mut world.replicas, &view, fastrand::Rng::with_seed(seed)).await;
        over.send_replace(true);
    };
    let ((), (last, rotations)) = tokio::join!(kill, roll_until(&mut world.cluster, done));
    println!("{ROUNDS} leaders killed during {rotations} rotations");
    assert!(rotations >= 2, "the crashes met too few rotations");

    // It converges, and then it is quiet.
    world
        .bucket
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

/// Kills whoever leads at a random moment; it comes back at another.
async fn kill_leaders(replicas: &mut [Replica], view: &View, mut random: fastrand::Rng) {
    for round in 1..=ROUNDS {
        let leader = view.leader(replicas).await;
        let (life, death) = (random.u64(..LIFE), random.u64(..DEATH));
        println!(
            "round {round}: {} dies after {life} ms for {death} ms",
            replicas[leader].name
        );
        tokio::time::sleep(Duration::from_millis(life)).await;
        replicas[leader].kill().await;
        tokio::time::sleep(Duration::from_millis(death)).await;
        replicas[leader].start();
    }
}

/// Rolls keys, EC and RSA in turn, until told; the last key and how many rotations that were.
async fn roll_until(cluster: &mut Cluster, done: watch::Receiver<bool>) -> (SigningKey, usize) {
    let mut key = cluster.key.clone();
    for rotations in 0.. {
        if *done.borrow() {
            return (key, rotations);
        }
        let next = match rotations % 2 {
            0 => SigningKey::p256(),
            _ => SigningKey::rsa(),
        };
        cluster.roll(&key, &next).await;
        cluster.serve(&next, &[&next]).await;
        key = next;
    }
    unreachable!("there are always more numbers")
}
