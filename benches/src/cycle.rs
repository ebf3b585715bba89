//! One cycle of a leader, without its network, and the least that any such program has to do.

use std::time::Duration;

use kubeassume_core::{
    Headers, KeyRing, KeySet, Limits, Observation, Owner, Policy, Retention, State, Timestamp,
};
use serde::{Deserialize, Serialize};

/// As many keys as a 1 MiB document holds: relying parties read 200, and the benches also measure 1000.
pub const LIFTED: Limits = Limits {
    rsa: usize::MAX,
    ec: usize::MAX,
    other: usize::MAX,
};

/// An API server's answer becomes the document to publish: parsed and validated, observed by a ring that
/// knows of no key yet, written. Nothing is remembered from the last call, so every key is checked, hashed
/// and new each time.
pub fn cycle(answer: &[u8]) -> Vec<u8> {
    let state = State::new(Owner::from_random(1), Headers { max_age_seconds: 300 });
    let policy = Policy::new(Retention::new(Duration::from_secs(24 * 3600)));
    let mut ring = KeyRing::new(state, policy).with_limits(LIFTED);
    let parsed = KeySet::parse_within(LIFTED, answer).expect("a good key set");
    let observation = Observation::of("https://192.0.2.1:6443", parsed);
    ring.observe(&observation, Timestamp::UNIX_EPOCH)
        .expect("within the limits");
    ring.publishable().expect("keys").to_bytes()
}

/// The same bytes into structs that own their strings, and back to bytes: no duplicate is refused, no number
/// decoded, no key checked, hashed, compared or sorted.
pub fn baseline(answer: &[u8]) -> Vec<u8> {
    let set: OwnedSet = serde_json::from_slice(answer).expect("a good key set");
    serde_json::to_vec(&set).expect("strings")
}

#[derive(Serialize, Deserialize)]
struct OwnedSet {
    keys: Vec<OwnedKey>,
}

#[derive(Serialize, Deserialize)]
struct OwnedKey {
    #[serde(rename = "use")]
    usage: String,
    kty: String,
    kid: String,
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::key_set;

    #[test]
    fn cycle_and_baseline_do_what_they_claim() {
        let answer = key_set(20);
        let published = KeySet::parse(&cycle(&answer)).unwrap().keys;
        assert_eq!(published, KeySet::parse(&answer).unwrap().keys);
        let rewritten = KeySet::parse(&baseline(&answer)).unwrap().keys;
        assert_eq!(rewritten, published);
    }
}
