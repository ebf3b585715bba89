//! How long keys are believed, and how often they are read.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::PublicReadError;
use kubeassume_core::verify::{CachePolicy, KeyError, Verifier, VerifyError};

use super::signer::{P256, P384, RSA, Signer};
use super::site::{AUDIENCE, Site, World, claims, claims_at, issuer};

/// Two documents are one reading.
fn readings(world: &World) -> usize {
    let reads = world.site.reads();
    assert!(reads.len().is_multiple_of(2), "{reads:?}");
    reads.len() / 2
}

fn fresh_token(world: &World, signer: &Signer) -> String {
    signer.token(&claims_at(world.clock.seconds()))
}

async fn accepts(world: &World, signer: &Signer) -> bool {
    world.verify(&fresh_token(world, signer)).await.is_ok()
}

#[tokio::test]
async fn a_warm_cache_reads_nothing() {
    let world = World::new();
    for _ in 0..50 {
        assert!(accepts(&world, &RSA).await && accepts(&world, &P256).await);
        world.clock.advance(5);
    }
    assert_eq!(readings(&world), 1);
}

#[tokio::test]
async fn a_rotated_key_is_picked_up_without_waiting_for_max_age() {
    let world = World::on(Site::with_keys(&[&RSA]));
    assert!(accepts(&world, &RSA).await);
    world.clock.advance(20);
    world.site.publish(&[&RSA, &P256]);
    assert!(accepts(&world, &P256).await && accepts(&world, &RSA).await);
    assert_eq!(readings(&world), 2);
}

#[tokio::test]
async fn invented_kids_cannot_make_it_read_more_than_once_in_ten_seconds() {
    let world = World::new();
    assert!(accepts(&world, &RSA).await);
    for second in 0..60 {
        for i in 0..20 {
            let token = RSA.token_with(&format!(r#"{{"alg":"RS256","kid":"{second}-{i}"}}"#), &claims());
            let error = world.verify(&token).await.unwrap_err();
            assert!(
                matches!(error, VerifyError::Key(KeyError::Unknown { .. })),
                "{error}"
            );
        }
        assert!(accepts(&world, &RSA).await);
        world.clock.advance(1);
    }
    // One to begin with, then at 10, 20, 30, 40 and 50 seconds.
    assert_eq!(readings(&world), 6);
}

#[tokio::test]
async fn a_new_key_waits_for_the_back_off_and_no_longer() {
    let world = World::on(Site::with_keys(&[&RSA]));
    assert!(accepts(&world, &RSA).await);
    world.site.publish(&[&RSA, &P256]);
    world.clock.advance(9);
    assert!(!accepts(&world, &P256).await);
    world.clock.advance(1);
    assert!(accepts(&world, &P256).await);
}

#[tokio::test]
async fn a_removed_key_lives_until_max_age_and_no_longer() {
    let world = World::on(Site::with_keys(&[&RSA, &P256]));
    assert!(accepts(&world, &RSA).await);
    world.site.publish(&[&P256]);
    world.clock.advance(299);
    assert!(accepts(&world, &RSA).await);
    world.clock.advance(1);
    assert_eq!(world.hop(&fresh_token(&world, &RSA)).await, "key");
    assert!(accepts(&world, &P256).await);
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_last_good_keys_until_their_time_is_over() {
    let world = World::on(Site::with_keys(&[&RSA]));
    assert!(accepts(&world, &RSA).await);
    world
        .site
        .answer(&issuer().discovery_url(), Err(PublicReadError::Timeout));

    world.clock.advance(100);
    // An unknown key cannot be looked up: that, and not "unknown", is the answer, also within the back-off.
    for _ in 0..2 {
        assert_eq!(world.hop(&fresh_token(&world, &P256)).await, "discovery");
    }
    assert!(accepts(&world, &RSA).await);
    world.clock.advance(199);
    assert!(accepts(&world, &RSA).await);
    world.clock.advance(1);
    assert_eq!(world.hop(&fresh_token(&world, &RSA)).await, "discovery");

    world
        .site
        .serve(&issuer().discovery_url(), &super::site::discovery());
    world.clock.advance(1);
    assert!(accepts(&world, &RSA).await);
}

#[tokio::test]
async fn a_failure_stands_for_one_second() {
    let world = World::new();
    world
        .site
        .answer(&issuer().discovery_url(), Err(PublicReadError::Status(503)));
    for _ in 0..20 {
        assert_eq!(world.hop(&RSA.token(&claims())).await, "discovery");
    }
    assert_eq!(world.site.reads().len(), 1);
    world.clock.advance(1);
    assert_eq!(world.hop(&RSA.token(&claims())).await, "discovery");
    assert_eq!(world.site.reads().len(), 1);
}

#[tokio::test]
async fn max_age_is_honoured_between_nothing_and_a_day() {
    for (cache_control, kept_seconds) in [
        (Some("public, max-age=60"), 60),
        (Some("no-store"), 0),
        (Some("max-age=3600, no-cache"), 0),
        (Some("max-age=31536000"), 24 * 3600),
        (Some("public"), 300),
        (None, 300),
    ] {
        let world = World::new();
        world.site.set_cache_control(cache_control);
        assert!(accepts(&world, &RSA).await);
        if kept_seconds > 0 {
            world.clock.advance(kept_seconds - 1);
            assert!(accepts(&world, &RSA).await);
            assert_eq!(readings(&world), 1, "{cache_control:?}");
            world.clock.advance(1);
        } else {
            assert_eq!(readings(&world), 1);
        }
        assert!(accepts(&world, &RSA).await);
        assert_eq!(readings(&world), 1, "{cache_control:?}");
    }
}

#[tokio::test]
async fn the_shorter_of_both_documents_times_counts() {
    let world = World::new();
    let document = super::site::document_of(super::site::discovery().to_string(), Some("max-age=20"));
    world.site.answer(&issuer().discovery_url(), Ok(document));
    assert!(accepts(&world, &RSA).await);
    world.clock.advance(20);
    assert!(accepts(&world, &RSA).await);
    assert_eq!(readings(&world), 2);
}

#[tokio::test]
async fn the_policy_can_be_chosen() {
    let world = World::on(Site::with_keys(&[&RSA]));
    let policy = CachePolicy {
        max_age_cap: Duration::from_secs(30),
        min_refetch: Duration::from_secs(2),
        ..CachePolicy::default()
    };
    let verifier =
        Verifier::new(issuer(), AUDIENCE, world.site.clone(), world.clock.clone()).with_cache_policy(policy);
    verifier.verify(&fresh_token(&world, &RSA)).await.unwrap();
    world.site.publish(&[&P256]);
    world.clock.advance(1);
    verifier.verify(&fresh_token(&world, &P256)).await.unwrap_err();
    world.clock.advance(1);
    verifier.verify(&fresh_token(&world, &P256)).await.unwrap();

    world.site.publish(&[&P384]);
    world.clock.advance(29);
    verifier.verify(&fresh_token(&world, &P256)).await.unwrap();
    world.clock.advance(1);
    verifier.verify(&fresh_token(&world, &P256)).await.unwrap_err();
}

#[tokio::test]
async fn fifty_tokens_at_once_cause_one_reading() {
    for cache_control in ["max-age=300", "no-store"] {
        let world = Arc::new(World::new());
        world.site.set_cache_control(Some(cache_control));
        world.site.gate.forget_permits(usize::MAX);
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let world = world.clone();
                tokio::spawn(async move { accepts(&world, &RSA).await })
            })
            .collect();
        // The test's runtime has one thread: every task runs until it waits.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        world.site.gate.add_permits(100);
        for task in waiting {
            assert!(task.await.unwrap());
        }
        assert_eq!(readings(&world), 1, "{cache_control}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_blocks_nobody() {
    let world = Arc::new(World::new());
    world.site.gate.forget_permits(usize::MAX);
    let gone = {
        let world = world.clone();
        tokio::spawn(async move { accepts(&world, &RSA).await })
    };
    tokio::task::yield_now().await;
    assert_eq!(world.site.reads().len(), 1);
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());

    world.site.gate.add_permits(2);
    assert!(accepts(&world, &RSA).await);
}
