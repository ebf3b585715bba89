//! What every [`StateStore`] must do.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::keys;
use crate::clock::Timestamp;
use crate::publication::{Headers, Owner};
use crate::rotation::{KeyRing, Policy, Retention, State};
use crate::source::Observation;
use crate::state_store::{MAX_SNAPSHOT_BYTES, Snapshot, StateError, StateStore, StateVersion, Stored};
use crate::{IssuerUrl, KeySet};

const WRITERS: usize = 12;
const ROUNDS: usize = 20;

/// Runs every check. Each gets a store of its own from `fresh`, for this issuer and without an object.
///
/// # Panics
/// With the promise that the store broke.
pub async fn conformance<S: StateStore>(issuer: &IssuerUrl, fresh: impl Fn() -> S) {
    refuses_stale_saves(issuer, &fresh()).await;
    keeps_every_field(issuer, &fresh()).await;
    one_of_many_wins(issuer, &fresh()).await;
    tells_of_changes(issuer, &fresh()).await;
    refuses_what_is_too_large(issuer, &fresh()).await;
}

/// A state with some keys, and its publication; a test changes `revision` to have another one.
pub fn snapshot(issuer: &IssuerUrl, revision: u64) -> Snapshot {
    let policy = Policy {
        retention: Retention::new(Duration::from_secs(24 * 3600)),
        revoked: [keys::RSA_3.jwk().thumbprint()].into(),
        on_state_loss: Default::default(),
    };
    let state = State::new(Owner::from_random(7), Headers { max_age_seconds: 300 });
    let mut ring = KeyRing::new(state, policy);
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
    let served = |fixtures| KeySet::parse(&keys::document(fixtures)).expect("a key set");
    for (hours, fixtures) in [
        (0, &[keys::RSA_1, keys::P256_1][..]),
        (1, &[keys::RSA_2, keys::P521][..]),
    ] {
        let observation = Observation::of("https://192.0.2.1:6443", served(fixtures));
        let now = now
            .saturating_add(Duration::from_secs(3600 * hours))
            .expect("a time");
        ring.observe(&observation, now).expect("few keys");
    }
    let publication = ring.publication(issuer, now).expect("some keys");
    let mut state = ring.into_state();
    state.revision = revision;
    Snapshot { state, publication }
}

async fn refuses_stale_saves<S: StateStore>(issuer: &IssuerUrl, store: &S) {
    let [first, second, third] = [101, 102, 103].map(|revision| snapshot(issuer, revision));
    let loaded = store.load().await.expect("a load");
    assert_eq!(loaded.stored, Stored::Missing, "there is no object yet");
    assert_eq!(loaded.version, None, "what is missing has no version");

    let old = store.save(&first, None).await.expect("the object is created");
    let refused = store.save(&second, None).await;
    assert_eq!(refused, Err(StateError::Conflict), "creating over an object");
    assert_eq!(revision(store).await, 101, "a refused save changed the object");

    let version = store
        .save(&second, Some(&old))
        .await
        .expect("the version that is there");
    let refused = store.save(&third, Some(&old)).await;
    assert_eq!(refused, Err(StateError::Conflict), "replacing an old version");
    assert_eq!(revision(store).await, 102, "a refused save changed the object");

    let loaded = store.load().await.expect("a load");
    assert_eq!(
        loaded.version,
        Some(version),
        "a load and the save before it differ in the version"
    );
}

async fn keeps_every_field<S: StateStore>(issuer: &IssuerUrl, store: &S) {
    let mut written = snapshot(issuer, 7);
    let field = ("fieldOfANewerVersion".to_owned(), Value::from([1, 2, 3].to_vec()));
    written.state.unknown.extend([field]);
    store.save(&written, None).await.expect("the object is created");
    let loaded = store.load().await.expect("a load").stored;
    assert_eq!(
        loaded,
        Stored::Snapshot(Box::new(written)),
        "the snapshot read back"
    );
}

async fn one_of_many_wins<S: StateStore>(issuer: &IssuerUrl, store: &S) {
    let mut version: Option<StateVersion> = None;
    for round in 0..ROUNDS {
        let snapshots: Vec<Snapshot> = (0..WRITERS)
            .map(|writer| snapshot(issuer, (round * 100 + writer + 1) as u64))
            .collect();
        let saves = snapshots
            .iter()
            .map(|snapshot| store.save(snapshot, version.as_ref()));
        let results = join_all(saves).await;
        let winners: Vec<usize> = (0..WRITERS).filter(|writer| results[*writer].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {results:?}");
        for lost in results.iter().filter_map(|result| result.as_ref().err()) {
            assert_eq!(*lost, StateError::Conflict, "round {round}: how a writer loses");
        }
        let winner = snapshots[winners[0]].state.revision;
        assert_eq!(
            revision(store).await,
            winner,
            "round {round}: not the winner's state stands"
        );
        version = results.into_iter().find_map(Result::ok);
    }
}

async fn tells_of_changes<S: StateStore>(issuer: &IssuerUrl, store: &S) {
    let first = store
        .save(&snapshot(issuer, 1), None)
        .await
        .expect("the object is created");
    store
        .changed(None)
        .await
        .expect("it tells of an object where none was seen");
    let (told, saved) = futures_util::future::join(
        store.changed(Some(&first)),
        store.save(&snapshot(issuer, 2), Some(&first)),
    )
    .await;
    told.expect("it tells of a change while it waits");
    let second = saved.expect("the version that is there");
    store
        .changed(Some(&first))
        .await
        .expect("it tells of a change that is over");
    assert_ne!(first, second, "two versions have one name");
}

async fn refuses_what_is_too_large<S: StateStore>(issuer: &IssuerUrl, store: &S) {
    let mut large = snapshot(issuer, 1);
    let filler = Value::from("x".repeat(MAX_SNAPSHOT_BYTES));
    large.state.unknown.insert("filler".to_owned(), filler);
    let refused = store.save(&large, None).await;
    assert_eq!(refused, Err(StateError::TooLarge), "a state over the limit");
    let loaded = store.load().await.expect("a load");
    assert_eq!(
        loaded.stored,
        Stored::Missing,
        "a refused save left something behind"
    );
}

async fn revision<S: StateStore>(store: &S) -> u64 {
    match store.load().await.expect("a load").stored {
        Stored::Snapshot(snapshot) => snapshot.state.revision,
        other => panic!("no snapshot but {other:?}"),
    }
}
