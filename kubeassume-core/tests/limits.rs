//! Limits, the usual ones and others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use keys::{at, document, fresh_state, look, policy, rsa, rsa_json};
use kubeassume_core::{
    Event, Jwk, KeyEntry, KeyRing, KeySet, KeyState, Limits, Observation, Refusal, RingError, State,
};
use serde_json::Map;

const THREE: Limits = Limits {
    rsa: 3,
    ec: 0,
    other: 0,
};

fn key(index: u32) -> Jwk {
    rsa(&format!("k{index:03}"), index)
}

fn looked(keys: u32) -> Observation {
    look(&[("1", Some((0..keys).map(key).collect()))])
}

#[test]
fn other_limits_hold_to_the_key() {
    let json = |keys: u32| {
        document(
            &(0..keys)
                .map(|i| rsa_json(&format!("k{i}"), i))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(KeySet::parse_within(THREE, &json(3)).unwrap().keys.len(), 3);
    let refusal = KeySet::parse_within(THREE, &json(4)).unwrap_err();
    assert_eq!(refusal, Refusal::TooManyKeys(THREE));
    assert_eq!(
        refusal.to_string(),
        "the key set has more than 3 RSA, 0 EC or 0 other keys"
    );

    assert!(KeySet::within(THREE, [key(1)], [key(2), key(3), key(1)]).is_ok());
    let four = KeySet::within(THREE, [key(1), key(4)], [key(2), key(3)]);
    assert_eq!(four, Err(Refusal::TooManyKeys(THREE)));
}

#[test]
fn a_ring_publishes_what_its_limits_allow() {
    let ring = || KeyRing::new(fresh_state(), policy(100));
    let lifted = Limits {
        rsa: 150,
        ..Limits::default()
    };
    // More than a parse with the usual limits would let through.
    let keys = (0..150).map(key).map(|key| {
        let mut one = look(&[("1", Some(vec![key]))]);
        one.answers.pop_first().unwrap().1
    });
    let mut observation = looked(0);
    observation.answers = keys
        .enumerate()
        .map(|(i, answer)| (i.to_string(), answer))
        .collect();

    assert!(matches!(
        ring().observe(&observation, at(0)),
        Err(RingError::Limit(_))
    ));
    let mut ring = ring().with_limits(lifted);
    assert_eq!(ring.observe(&observation, at(0)).unwrap().len(), 150);
    assert_eq!(ring.publishable().unwrap().len(), 150);
}

#[test]
fn what_exceeds_is_said_in_the_order_of_the_keys() {
    let twins = [rsa("a", 1), rsa("a", 2)];
    let crowd: Vec<Jwk> = (0..4).map(key).collect();
    let first_twins = [&twins[..], &crowd].concat();
    let first_crowd = [&crowd[..], &twins].concat();
    assert_eq!(
        KeySet::within(THREE, first_twins, []),
        Err(Refusal::DuplicateKid("a".into()))
    );
    assert_eq!(
        KeySet::within(THREE, first_crowd, []),
        Err(Refusal::TooManyKeys(THREE))
    );
}

/// A state as two joined histories can leave it.
fn joined(entries: impl IntoIterator<Item = (u64, &'static str, Jwk)>) -> State {
    let mut state = fresh_state();
    state.revision = 10;
    for (revision, kid, jwk) in entries {
        let entry = KeyEntry {
            revision,
            kid: kid.to_owned(),
            state: KeyState::Retiring(at(0)),
            jwk: Some(jwk.clone()),
            unknown: Map::new(),
        };
        state.keys.insert(jwk.thumbprint(), entry);
    }
    state
}

#[test]
fn two_keys_of_one_kid_count_once() {
    let entries = [(1, "a", 1), (2, "a", 2), (3, "a", 3), (4, "b", 4)];
    let state = joined(entries.map(|(revision, kid, seed)| (revision, kid, rsa(kid, seed))));
    let kids = |keys: &KeySet| {
        keys.iter()
            .map(|key| (key.kid().to_owned(), key.thumbprint()))
            .collect::<Vec<_>>()
    };
    let two = Limits { rsa: 2, ..THREE };
    let mut ring = KeyRing::new(state, policy(100)).with_limits(two);
    let last = [("a", 3), ("b", 4)].map(|(kid, seed)| (kid.to_owned(), rsa(kid, seed).thumbprint()));
    assert_eq!(kids(&ring.publishable().unwrap()), last);
    // Nothing was read, so nothing is settled that was not served; the limit holds all the same.
    let unread = look(&[("1", None)]);
    let events = ring.observe(&unread, at(1)).unwrap();
    assert!(
        events
            .iter()
            .all(|event| matches!(event, Event::Conflict { .. } | Event::Removed(_))),
        "{events:?}"
    );
    assert_eq!(kids(&ring.publishable().unwrap()), last);
    let one = Limits { rsa: 1, ..THREE };
    let refused = ring.with_limits(one).observe(&unread, at(2));
    assert_eq!(refused, Err(RingError::Limit(Refusal::TooManyKeys(one))));
}

#[test]
fn a_state_edited_to_give_one_kid_to_two_keys_is_refused() {
    // The entries have two names, their keys have one.
    let state = joined([(1, "a", rsa("same", 1)), (2, "b", rsa("same", 2))]);
    let mut ring = KeyRing::new(state, policy(100));
    let refused = RingError::Limit(Refusal::DuplicateKid("same".to_owned()));
    assert_eq!(ring.publishable(), Err(refused.clone()));
    assert_eq!(ring.observe(&look(&[("1", None)]), at(1)), Err(refused));
}
