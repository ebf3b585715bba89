//! Keys for tests: as many as needed, and the vectors that other software computed.
#![allow(dead_code, reason = "each test crate uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken fixture is a failed test"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kubeassume_core::{
    Addressing, Algorithm, Answer, Headers, Jwk, KeyRing, KeySet, KeyState, Material, Observation,
    OnStateLoss, Owner, Parsed, Policy, Refusal, Retention, RingError, SourceError, State, Timestamp,
};
use serde_json::{Value, json};

pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An odd number of 2048 bits, another one for each seed: all that a verifier can know of an RSA key.
pub(crate) fn modulus(seed: u32) -> Vec<u8> {
    let mut n = vec![0xa5; 256];
    n[8..12].copy_from_slice(&seed.to_be_bytes());
    n
}

/// An RSA key that is told apart by its seed.
pub(crate) fn rsa(kid: &str, seed: u32) -> Jwk {
    let material = Material::Rsa {
        n: modulus(seed),
        e: vec![1, 0, 1],
    };
    Jwk::new(kid, Algorithm::Rs256, material).unwrap()
}

/// An RSA key as an API server writes it.
pub(crate) fn rsa_json(kid: &str, seed: u32) -> Value {
    json!({"use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256", "n": b64(&modulus(seed)), "e": "AQAB"})
}

/// The P-256 points 1·G to 101·G, as computed by OpenSSL.
pub(crate) fn p256_points() -> Vec<(&'static str, &'static str)> {
    let points: Vec<_> = include_str!("../data/p256_points.txt")
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert_eq!(points.len(), 101);
    points
}

/// The EC key of a point of [`p256_points`].
pub(crate) fn ec_json(kid: &str, point: usize) -> Value {
    let (x, y) = p256_points()[point];
    json!({"use": "sig", "kty": "EC", "kid": kid, "crv": "P-256", "alg": "ES256", "x": x, "y": y})
}

/// Keys of every size and curve, with the `kid` that SHA-256 of OpenSSL's PKIX DER gives and an independent
/// RFC 7638 thumbprint.
pub(crate) fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../data/kubernetes_keys.json")).unwrap()
}

/// The document that holds these keys.
pub(crate) fn document(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

/// What an endpoint that serves these keys answers.
pub(crate) fn served(keys: impl IntoIterator<Item = Jwk>) -> Parsed {
    Parsed {
        keys: KeySet::new(keys, []).unwrap(),
        findings: Vec::new(),
    }
}

/// A good EC key under the kid `good`, to stand beside a bad one.
pub(crate) fn good() -> Value {
    ec_json("good", 0)
}

/// Parses the document that holds these keys.
pub(crate) fn parse(keys: &[Value]) -> Result<Parsed, Refusal> {
    KeySet::parse(&document(keys))
}

/// A good key with other members.
pub(crate) fn with(mut key: Value, members: &[(&str, Value)]) -> Value {
    for (name, value) in members {
        match value {
            // Null stands for: without this member.
            Value::Null => drop(key.as_object_mut().unwrap().remove(*name)),
            _ => key[*name] = value.clone(),
        }
    }
    key
}

/// The first vector of that kind.
pub(crate) fn vector(kty: &str, crv: Option<&str>) -> Value {
    let found = vectors()
        .into_iter()
        .find(|v| v["jwk"]["kty"] == kty && v["jwk"]["crv"].as_str() == crv);
    found.unwrap()["jwk"].clone()
}

/// A modulus of so many bytes in base64url.
pub(crate) fn rsa_modulus(bytes: usize, first: u8, last: u8) -> Value {
    let mut n = vec![0x5a; bytes];
    n[0] = first;
    n[bytes - 1] = last;
    b64(&n).into()
}

/// So many seconds after an arbitrary moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A cycle that looked at each endpoint; `None` is one that could not be read.
pub(crate) fn look(answers: &[(&str, Option<Vec<Jwk>>)]) -> Observation {
    let answers = answers.iter().map(|(endpoint, keys)| {
        let answer = match keys {
            Some(keys) => Answer::Read {
                parsed: served(keys.clone()),
                date: None,
            },
            None => Answer::Failed(SourceError::Unreachable("no route".to_owned())),
        };
        ((*endpoint).to_owned(), answer)
    });
    Observation {
        addressing: Addressing::Each,
        answers: answers.collect(),
    }
}

/// A cycle through a load balancer.
pub(crate) fn shared(keys: Option<Vec<Jwk>>) -> Observation {
    Observation {
        addressing: Addressing::Shared,
        ..look(&[("lb", keys)])
    }
}

/// A cycle in which an endpoint also told the time.
pub(crate) fn dated(mut observation: Observation, endpoint: &str, time: Timestamp) -> Observation {
    if let Some(Answer::Read { date, .. }) = observation.answers.get_mut(endpoint) {
        *date = Some(time);
    }
    observation
}

pub(crate) fn policy(retention_seconds: u64) -> Policy {
    Policy {
        retention: Retention::new(Duration::from_secs(retention_seconds)),
        revoked: BTreeSet::new(),
        on_state_loss: OnStateLoss::Keep,
    }
}

pub(crate) fn fresh_state() -> State {
    State::new(Owner::from_random(1), Headers { max_age_seconds: 300 })
}

/// The published kids, in published order; none also when there is nothing to publish.
pub(crate) fn kids(ring: &KeyRing) -> Vec<String> {
    match ring.publishable() {
        Ok(keys) => keys.iter().map(|key| key.kid().to_owned()).collect(),
        Err(RingError::Nothing) => Vec::new(),
        Err(limit) => panic!("{limit}"),
    }
}

/// Where a key stands, or `None` when it is unknown.
pub(crate) fn standing(ring: &KeyRing, key: &Jwk) -> Option<KeyState> {
    ring.state().keys.get(&key.thumbprint()).map(|entry| entry.state)
}
