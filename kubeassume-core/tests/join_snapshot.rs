//! The stored object: what it encodes to, and every way in which it can be damaged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use keys::{at, fresh_state, look, policy, rsa};
use kubeassume_core::store::DocumentPath;
use kubeassume_core::{
    Corrupt, IssuerUrl, Jwk, KeyRing, KeySet, MAX_SNAPSHOT_BYTES, Publication, Refusal, SNAPSHOT_ENTRIES,
    Snapshot, StateError, Stored,
};
use serde_json::{Value, json};

fn issuer() -> IssuerUrl {
    "https://oidc.example.com/c1".parse().unwrap()
}

fn snapshot_of(mut ring: KeyRing) -> Snapshot {
    let publication = ring.publication(&issuer(), at(5)).unwrap();
    Snapshot {
        state: ring.into_state(),
        publication,
    }
}

/// One live and one retiring key.
fn snapshot() -> Snapshot {
    let mut ring = KeyRing::new(fresh_state(), policy(100));
    ring.observe(&look(&[("1", Some(vec![rsa("a", 1), rsa("b", 2)]))]), at(0))
        .unwrap();
    ring.observe(&look(&[("1", Some(vec![rsa("b", 2)]))]), at(1))
        .unwrap();
    snapshot_of(ring)
}

fn decode(entries: &[String; 3]) -> Stored {
    Snapshot::decode([&entries[0], &entries[1], &entries[2]], &issuer())
}

fn corrupt(entries: &[String; 3]) -> Corrupt {
    match decode(entries) {
        Stored::Corrupt(corrupt) => corrupt,
        other => panic!("accepted: {other:?}"),
    }
}

/// The entries with other documents, whose fingerprints the state is made to bear.
fn forged(entries: &[String; 3], discovery: Option<&str>, jwks: Option<&str>) -> [String; 3] {
    let mut forged = entries.clone();
    let mut publication: Publication = snapshot().publication;
    let mut state: Value = serde_json::from_str(&forged[2]).unwrap();
    if let Some(discovery) = discovery {
        forged[0] = discovery.to_owned();
        publication.discovery.bytes = discovery.to_owned().into();
        state["documents"]["discovery"]["fingerprint"] = publication.discovery.fingerprint().into();
    }
    if let Some(jwks) = jwks {
        forged[1] = jwks.to_owned();
        publication.jwks.bytes = jwks.to_owned().into();
        state["documents"]["jwks"]["fingerprint"] = publication.jwks.fingerprint().into();
    }
    forged[2] = state.to_string();
    forged
}

fn bytes_of(keys: impl IntoIterator<Item = Jwk>) -> String {
    String::from_utf8(KeySet::new(keys, []).unwrap().to_bytes()).unwrap()
}

#[test]
fn a_snapshot_comes_back_as_it_was() {
    let snapshot = snapshot();
    let entries = snapshot.encode().unwrap();
    assert_eq!(SNAPSHOT_ENTRIES, ["discovery.json", "jwks.json", "state.json"]);
    assert_eq!(entries[0].as_bytes(), snapshot.publication.discovery.bytes);
    assert_eq!(entries[1].as_bytes(), snapshot.publication.jwks.bytes);
    assert_eq!(decode(&entries), Stored::Snapshot(Box::new(snapshot.clone())));
    // The forging below is right where it changes nothing.
    let same = forged(&entries, Some(&entries[0]), Some(&entries[1]));
    assert_eq!(decode(&same), Stored::Snapshot(Box::new(snapshot)));
}

#[test]
fn every_kind_of_damage_is_noticed() {
    let entries = snapshot().encode().unwrap();
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut state: Value = serde_json::from_str(&entries[2]).unwrap();
        change(&mut state);
        [entries[0].clone(), entries[1].clone(), state.to_string()]
    };
    let with = |at: usize, text: &str| {
        let mut entries = entries.clone();
        entries[at] = text.to_owned();
        entries
    };
    let thumbprint = rsa("a", 1).thumbprint().to_string();
    let (jwks, discovery) = (
        DocumentPath::JWKS.to_string(),
        DocumentPath::DISCOVERY.to_string(),
    );
    let mismatches = [
        ("jwks emptied", with(1, ""), &jwks),
        ("jwks edited", with(1, &entries[1].replace("AQAB", "AQAD")), &jwks),
        (
            "jwks with a space more",
            with(1, &(entries[1].clone() + " ")),
            &jwks,
        ),
        ("jwks of one key less", with(1, &bytes_of([rsa("b", 2)])), &jwks),
        ("discovery emptied", with(0, ""), &discovery),
        (
            "discovery edited",
            with(0, &entries[0].replace("c1", "c2")),
            &discovery,
        ),
        (
            "documents swapped",
            [entries[1].clone(), entries[0].clone(), entries[2].clone()],
            &jwks,
        ),
        (
            "headers edited",
            edit(&|s| s["headers"]["max_age_seconds"] = json!(1)),
            &jwks,
        ),
        (
            "fingerprint edited",
            edit(&|s| s["documents"]["jwks"]["fingerprint"] = json!("")),
            &jwks,
        ),
        (
            "other fingerprint edited",
            edit(&|s| s["documents"]["discovery"]["fingerprint"] = json!("x")),
            &discovery,
        ),
    ];
    for (name, entries, path) in mismatches {
        assert_eq!(corrupt(&entries), Corrupt::Mismatch(path.clone()), "{name}");
    }
    let unreadable = [
        ("state emptied", with(2, "")),
        ("state cut", with(2, &entries[2][..entries[2].len() / 2])),
        ("state is a list", with(2, "[]")),
        (
            "state with something behind",
            with(2, &(entries[2].clone() + "x")),
        ),
        (
            "no owner",
            edit(&|s| drop(s.as_object_mut().unwrap().remove("owner"))),
        ),
        ("owner in capitals", edit(&|s| s["owner"] = json!("A".repeat(32)))),
        (
            "no schema",
            edit(&|s| drop(s.as_object_mut().unwrap().remove("schemaVersion"))),
        ),
        ("revision below zero", edit(&|s| s["revision"] = json!(-1))),
        (
            "a state that no key has",
            edit(&|s| s["keys"][&thumbprint]["state"] = json!("resting")),
        ),
        (
            "a mark that is no time",
            edit(&|s| s["keys"][&thumbprint]["since"] = json!("soon")),
        ),
        (
            "a thumbprint that is none",
            edit(&|s| s["keys"]["x"] = s["keys"][&thumbprint].clone()),
        ),
        (
            "a weak key",
            edit(&|s| s["keys"][&thumbprint]["jwk"]["n"] = json!("AQAB")),
        ),
        (
            "a private key",
            edit(&|s| s["keys"][&thumbprint]["jwk"]["d"] = json!("AQAB")),
        ),
    ];
    for (name, entries) in unreadable {
        assert!(
            matches!(corrupt(&entries), Corrupt::State(_)),
            "{name}: {:?}",
            corrupt(&entries)
        );
    }
    let foreign = [
        (
            "key retired by hand",
            edit(&|s| s["keys"][&thumbprint]["state"] = json!("removed")),
        ),
        (
            "key revoked by hand",
            edit(&|s| s["keys"][&thumbprint]["state"] = json!("revoked")),
        ),
        (
            "key deleted",
            edit(&|s| drop(s["keys"].as_object_mut().unwrap().remove(&thumbprint))),
        ),
        (
            "key without its numbers",
            edit(&|s| s["keys"][&thumbprint]["jwk"] = Value::Null),
        ),
    ];
    for (name, entries) in foreign {
        assert_eq!(corrupt(&entries), Corrupt::Foreign("a".to_owned()), "{name}");
    }
}

#[test]
fn documents_that_were_forged_together_with_their_fingerprints_are_noticed() {
    let entries = snapshot().encode().unwrap();
    let forge_jwks = |jwks: &str| corrupt(&forged(&entries, None, Some(jwks)));
    let evil = bytes_of([rsa("a", 1), rsa("b", 2), rsa("evil", 66)]);
    assert_eq!(forge_jwks(&evil), Corrupt::Foreign("evil".to_owned()));
    assert_eq!(
        forge_jwks(&bytes_of([rsa("a", 66), rsa("b", 2)])),
        Corrupt::Foreign("a".to_owned())
    );
    assert_eq!(
        forge_jwks(&bytes_of([rsa("x", 1), rsa("b", 2)])),
        Corrupt::Foreign("x".to_owned())
    );
    assert_eq!(
        forge_jwks(&bytes_of([rsa("b", 2)])),
        Corrupt::Mismatch(DocumentPath::JWKS.to_string())
    );
    assert_eq!(
        forge_jwks(r#"{"keys":[]}"#),
        Corrupt::Mismatch(DocumentPath::JWKS.to_string())
    );
    assert!(matches!(forge_jwks("{"), Corrupt::Jwks(Refusal::Malformed(_))));
    let private = entries[1].replacen(r#""e":"#, r#""d":"AQAB","e":"#, 1);
    assert_eq!(forge_jwks(&private), Corrupt::Jwks(Refusal::PrivateMaterial("d")));

    let forge_discovery = |discovery: &str| corrupt(&forged(&entries, Some(discovery), None));
    let other = entries[0].replace("https://oidc.example.com/c1\"", "https://oidc.example.com/c1/\"");
    assert_eq!(
        forge_discovery(&other),
        Corrupt::Issuer("https://oidc.example.com/c1/".to_owned())
    );
    let elsewhere = entries[0].replace("c1/openid/v1/jwks", "evil/openid/v1/jwks");
    assert!(matches!(forge_discovery(&elsewhere), Corrupt::Issuer(_)));
    assert!(matches!(forge_discovery("{}"), Corrupt::Discovery(_)));
}

#[test]
fn the_snapshot_of_another_issuer_is_corrupt() {
    let entries = snapshot().encode().unwrap();
    let other: IssuerUrl = "https://oidc.example.com/c2".parse().unwrap();
    let stored = Snapshot::decode([&entries[0], &entries[1], &entries[2]], &other);
    assert_eq!(stored, Stored::Corrupt(Corrupt::Issuer(issuer().to_string())));
}

#[test]
fn a_newer_schema_is_not_corrupt_and_its_documents_are_there() {
    let snapshot = snapshot();
    let mut entries = snapshot.encode().unwrap();
    let mut state: Value = serde_json::from_str(&entries[2]).unwrap();
    state["schemaVersion"] = json!(2);
    state["minReader"] = json!(2);
    // What this version could not even read.
    state["keys"] = json!(["another", "shape"]);
    entries[2] = state.to_string();
    assert_eq!(decode(&entries), Stored::Newer(Some(snapshot.publication)));
    // Damaged, it is still not ours to overwrite.
    let jwks = std::mem::replace(&mut entries[1], r#"{"keys":[]}"#.to_owned());
    assert_eq!(decode(&entries), Stored::Newer(None));
    entries[1] = jwks;
    state["minReader"] = json!(1);
    entries[2] = state.to_string();
    assert!(matches!(corrupt(&entries), Corrupt::State(_)));
}

#[test]
fn only_a_revocation_stores_an_empty_set() {
    let mut revoking = policy(100);
    revoking.revoked = [rsa("a", 1).thumbprint()].into();
    let mut ring = KeyRing::new(fresh_state(), revoking);
    ring.observe(&look(&[("1", Some(vec![rsa("a", 1)]))]), at(0))
        .unwrap();
    let snapshot = snapshot_of(ring);
    let entries = snapshot.encode().unwrap();
    assert_eq!(entries[1], r#"{"keys":[]}"#);
    assert_eq!(decode(&entries), Stored::Snapshot(Box::new(snapshot)));
    let mut state: Value = serde_json::from_str(&entries[2]).unwrap();
    state["keys"] = json!({});
    let edited = [entries[0].clone(), entries[1].clone(), state.to_string()];
    assert_eq!(corrupt(&edited), Corrupt::Jwks(Refusal::Empty(Vec::new())));
}

#[test]
fn more_than_900_kib_is_refused() {
    let mut snapshot = snapshot();
    let size = |snapshot: &Snapshot| snapshot.encode().unwrap().iter().map(String::len).sum::<usize>();
    snapshot.state.unknown.insert("x".to_owned(), json!(""));
    let room = MAX_SNAPSHOT_BYTES - size(&snapshot);
    snapshot
        .state
        .unknown
        .insert("x".to_owned(), json!("x".repeat(room)));
    assert_eq!(size(&snapshot), 900 * 1024);
    snapshot
        .state
        .unknown
        .insert("x".to_owned(), json!("x".repeat(room + 1)));
    assert_eq!(snapshot.encode(), Err(StateError::TooLarge));
}

#[test]
fn two_keys_of_one_kid_after_a_join_are_stored_and_read() {
    let history = |key: Jwk| {
        let mut ring = KeyRing::new(fresh_state(), policy(100));
        ring.observe(&look(&[("1", Some(vec![key]))]), at(0)).unwrap();
        ring.into_state()
    };
    let joined = history(rsa("x", 1)).join(&history(rsa("x", 2))).restarted(at(1));
    let snapshot = snapshot_of(KeyRing::new(joined, policy(100)));
    assert_eq!(
        decode(&snapshot.encode().unwrap()),
        Stored::Snapshot(Box::new(snapshot))
    );
}
