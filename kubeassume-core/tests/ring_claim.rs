//! Claiming a location, keys that only it holds, and the generations of what is published there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use keys::{at, fresh_state, kids, look, policy, rsa, standing};
use kubeassume_core::store::{DocumentPath, StoredDocument, Version};
use kubeassume_core::{
    Event, Found, Generation, Headers, IssuerUrl, Jwk, KeyRing, KeySet, KeyState, Mark, Observation,
    OnStateLoss, Owner, Publication, Timestamp,
};

const PLACE: &str = "s3://bucket/c1";

fn issuer() -> IssuerUrl {
    "https://oidc.example.com/c1".parse().unwrap()
}

fn one(keys: &[Jwk]) -> Observation {
    look(&[("1", Some(keys.to_vec()))])
}

fn ring_that_serves(keys: &[Jwk]) -> KeyRing {
    let mut ring = KeyRing::new(fresh_state(), policy(100));
    ring.observe(&one(keys), at(0)).unwrap();
    ring
}

fn stored(document: &kubeassume_core::Document, owner: Owner) -> StoredDocument {
    let new = document.to_new(owner);
    StoredDocument {
        bytes: new.bytes,
        content_type: Some(new.content_type),
        cache_control: Some(new.cache_control),
        metadata: new.metadata,
        version: Version::new("1"),
    }
}

/// What another publication of these keys left behind.
fn left_behind(keys: &[Jwk], issuer: &IssuerUrl, owner: Owner, time: Timestamp) -> Found {
    let mut marks = kubeassume_core::DocumentMarks::NONE;
    let keys = KeySet::new(keys.iter().cloned(), []).unwrap();
    let headers = Headers { max_age_seconds: 300 };
    let publication = Publication::draw(issuer, owner, &keys, &headers, &mut marks, time);
    Found {
        jwks: Some(stored(&publication.jwks, owner)),
        discovery: Some(stored(&publication.discovery, owner)),
    }
}

fn elsewhere() -> IssuerUrl {
    "https://oidc.example.com/c2".parse().unwrap()
}

fn stranger() -> Owner {
    Owner::from_random(99)
}

fn us() -> Owner {
    fresh_state().owner
}

#[test]
fn an_empty_location_is_claimed_once() {
    let mut ring = ring_that_serves(&[rsa("a", 1)]);
    let revision = ring.state().revision;
    assert_eq!(
        ring.claim(PLACE, &issuer(), &Found::default(), false, at(5)),
        Ok(Vec::new())
    );
    assert!(ring.state().revision > revision);
    assert_eq!(ring.state().claims[PLACE].since, at(5));
    assert!(!ring.state().claims[PLACE].taken_over);
    // Claimed already: what is there by now is drift, not a reason to adopt or to refuse.
    let before = ring.clone();
    let found = left_behind(&[rsa("z", 9)], &elsewhere(), stranger(), at(0));
    assert_eq!(ring.claim(PLACE, &issuer(), &found, false, at(6)), Ok(Vec::new()));
    assert_eq!(ring, before);
}

#[test]
fn each_document_must_be_absent_ours_or_speak_for_us() {
    let live = rsa("a", 1);
    let foreign = left_behind(&[rsa("z", 9)], &elsewhere(), stranger(), at(0));
    let of_ours = left_behind(&[rsa("z", 9)], &elsewhere(), us(), at(0));
    let names_us = left_behind(&[rsa("z", 9)], &issuer(), stranger(), at(0));
    let shares_key = left_behind(std::slice::from_ref(&live), &elsewhere(), stranger(), at(0));
    let (jwks, discovery) = (Some(DocumentPath::JWKS), Some(DocumentPath::DISCOVERY));
    let only = |found: &Found, jwks: bool| Found {
        jwks: found.jwks.clone().filter(|_| jwks),
        discovery: found.discovery.clone().filter(|_| !jwks),
    };
    let both = |jwks: &Found, discovery: &Found| Found {
        jwks: jwks.jwks.clone(),
        discovery: discovery.discovery.clone(),
    };
    for (name, found, occupied) in [
        ("ours", of_ours.clone(), None),
        ("a foreign key set", only(&foreign, true), jwks.clone()),
        ("a foreign discovery", only(&foreign, false), discovery.clone()),
        ("our issuer", only(&names_us, false), None),
        (
            "our issuer beside a foreign key set",
            names_us.clone(),
            jwks.clone(),
        ),
        ("a live key", only(&shares_key, true), None),
        ("a live key beside another issuer", shares_key.clone(), discovery),
        ("a live key and our issuer", both(&shares_key, &names_us), None),
        ("our key set beside our issuer", both(&of_ours, &names_us), None),
        ("both foreign", foreign.clone(), jwks),
    ] {
        let mut ring = ring_that_serves(std::slice::from_ref(&live));
        let before = ring.clone();
        match (ring.claim(PLACE, &issuer(), &found, false, at(1)), occupied) {
            (Ok(_), None) => assert!(ring.state().claims.contains_key(PLACE), "{name}"),
            (Err(error), Some(document)) => {
                assert_eq!(error.document, document, "{name}");
                assert_eq!(error.owner, Some(stranger()), "{name}");
                assert!(error.to_string().contains(PLACE) && error.to_string().contains("--take-over"));
                assert_eq!(ring, before, "{name}: a refusal changes nothing");
            }
            (result, expected) => panic!("{name}: {result:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_key_that_is_served_no_more_claims_nothing() {
    let mut ring = ring_that_serves(&[rsa("a", 1), rsa("b", 2)]);
    ring.observe(&one(&[rsa("b", 2)]), at(1)).unwrap();
    let found = left_behind(&[rsa("a", 1)], &issuer(), stranger(), at(0));
    assert!(ring.claim(PLACE, &issuer(), &found, false, at(2)).is_err());
}

#[test]
fn rubbish_in_the_place_of_a_document_is_somebody_elses() {
    let mut found = left_behind(&[rsa("a", 1)], &issuer(), stranger(), at(0));
    found.discovery.as_mut().unwrap().bytes = "<html>".into();
    let mut ring = ring_that_serves(&[rsa("a", 1)]);
    assert!(ring.claim(PLACE, &issuer(), &found, false, at(2)).is_err());
    found.discovery = None;
    found.jwks.as_mut().unwrap().bytes = "{".into();
    assert!(ring.claim(PLACE, &issuer(), &found, false, at(2)).is_err());
    assert!(found.keys().is_empty());
}

#[test]
fn keys_that_only_the_location_holds_stay_unconfirmed_for_one_retention() {
    let (a, old) = (rsa("a", 1), rsa("old", 7));
    let mut ring = ring_that_serves(std::slice::from_ref(&a));
    let found = left_behind(&[a.clone(), old.clone()], &issuer(), stranger(), at(0));
    let events = ring.claim(PLACE, &issuer(), &found, false, at(10)).unwrap();
    let [Event::Unconfirmed { key, until }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((key.kid.as_str(), *until), ("old", at(110)));
    assert!(events[0].is_warning());
    assert_eq!(ring.next_deadline(), Some(at(110)));
    assert_eq!(kids(&ring), ["a", "old"]);
    assert_eq!(
        ring.state().keys[&old.thumbprint()].revision,
        ring.state().revision
    );
    ring.observe(&one(std::slice::from_ref(&a)), at(109)).unwrap();
    assert_eq!(kids(&ring), ["a", "old"]);
    ring.observe(&look(&[("1", None)]), at(500)).unwrap();
    assert_eq!(
        kids(&ring),
        ["a", "old"],
        "not in a cycle that did not read everything"
    );
    let mut returned = ring.clone();
    let events = ring.observe(&one(std::slice::from_ref(&a)), at(501)).unwrap();
    assert!(matches!(&events[..], [Event::Removed(key)] if key.kid == "old"));
    assert_eq!(kids(&ring), ["a"]);
    // Served after all: an ordinary key from then on.
    let events = returned.observe(&one(&[a, old.clone()]), at(501)).unwrap();
    assert!(matches!(&events[..], [Event::Returned(key)] if key.kid == "old"));
    assert!(matches!(standing(&returned, &old), Some(KeyState::Live(_))));
}

#[test]
fn unconfirmed_keys_go_at_once_where_the_policy_says_so() {
    let mut policy = policy(100);
    policy.on_state_loss = OnStateLoss::Drop;
    let a = rsa("a", 1);
    let mut ring = KeyRing::new(ring_that_serves(std::slice::from_ref(&a)).into_state(), policy);
    let found = left_behind(&[a, rsa("old", 7)], &issuer(), stranger(), at(0));
    assert_eq!(ring.claim(PLACE, &issuer(), &found, false, at(1)), Ok(Vec::new()));
    assert_eq!(kids(&ring), ["a"]);
}

#[test]
fn what_is_known_revoked_or_in_conflict_is_not_adopted() {
    let (a, removed, revoked, twin) = (rsa("a", 1), rsa("r", 2), rsa("v", 3), rsa("a", 4));
    let mut policy = policy(0);
    policy.revoked = [revoked.thumbprint()].into();
    let mut ring = KeyRing::new(fresh_state(), policy);
    ring.observe(&one(&[a.clone(), removed.clone()]), at(0)).unwrap();
    ring.observe(&one(std::slice::from_ref(&a)), at(1)).unwrap();
    assert!(matches!(standing(&ring, &removed), Some(KeyState::Removed(_))));
    let discovery = left_behind(std::slice::from_ref(&a), &issuer(), stranger(), at(0)).discovery;
    for found in [
        left_behind(&[removed, revoked], &issuer(), us(), at(0)),
        left_behind(&[twin], &issuer(), us(), at(0)),
    ] {
        let mut ring = ring.clone();
        let found = Found {
            discovery: discovery.clone(),
            ..found
        };
        assert_eq!(ring.claim(PLACE, &issuer(), &found, false, at(2)), Ok(Vec::new()));
        assert_eq!(kids(&ring), ["a"]);
    }
}

#[test]
fn a_full_set_keeps_what_api_servers_serve() {
    let keys: Vec<Jwk> = (0..99).map(|i| rsa(&format!("k{i:02}"), i)).collect();
    let mut ring = ring_that_serves(&keys);
    let found = left_behind(
        &[rsa("x", 200), rsa("y", 201), keys[0].clone()],
        &issuer(),
        stranger(),
        at(0),
    );
    let events = ring.claim(PLACE, &issuer(), &found, false, at(1)).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(kids(&ring).len(), 100);
}

#[test]
fn what_is_taken_over_is_not_trusted() {
    let mut ring = ring_that_serves(&[rsa("a", 1)]);
    let found = left_behind(&[rsa("z", 9)], &elsewhere(), stranger(), at(1000));
    assert_eq!(ring.claim(PLACE, &issuer(), &found, true, at(1)), Ok(Vec::new()));
    assert_eq!(kids(&ring), ["a"]);
    assert!(ring.state().claims[PLACE].taken_over);
    let publication = ring.publication(&issuer(), at(1)).unwrap();
    let theirs = Mark::read(&found.jwks.unwrap().metadata).generation.unwrap();
    assert!(publication.jwks.generation > theirs);
}

#[test]
fn the_next_publication_is_drawn_above_a_plausible_generation_only() {
    let week = 7 * 24 * 3600;
    let (a, us) = (rsa("a", 1), us());
    for (ahead, raised) in [
        (0, true),
        (week - 1, true),
        (week + 60, false),
        (1_000_000_000, false),
    ] {
        let mut ring = ring_that_serves(std::slice::from_ref(&a));
        let first = ring.publication(&issuer(), at(0)).unwrap();
        let found = left_behind(std::slice::from_ref(&a), &issuer(), us, at(100 + ahead));
        let theirs = Mark::read(&found.jwks.as_ref().unwrap().metadata)
            .generation
            .unwrap();
        let revision = ring.state().revision;
        ring.draw_above(&found, at(100));
        assert_eq!(ring.state().revision > revision, raised, "{ahead}");
        let second = ring.publication(&issuer(), at(100)).unwrap();
        assert_eq!(second.jwks.generation > theirs, raised, "{ahead}");
        assert_eq!(second == first, !raised, "{ahead}");
    }
    // A leader whose clock is behind may have to accept its own state's lead.
    let found = left_behind(std::slice::from_ref(&a), &issuer(), us, at(week));
    let mut ring = ring_that_serves(&[a]);
    ring.publication(&issuer(), at(week - 10)).unwrap();
    ring.draw_above(&found, Timestamp::UNIX_EPOCH);
    let drawn = ring.publication(&issuer(), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(
        drawn.jwks.generation.0,
        Mark::read(&found.jwks.unwrap().metadata).generation.unwrap().0 + 1
    );
}

#[test]
fn a_sinks_metadata_cannot_confuse_the_draw() {
    for text in ["", "-1", "18446744073709551616", "1.0", "0x10", "\u{0661}"] {
        let mut found = left_behind(&[rsa("a", 1)], &issuer(), us(), at(0));
        for document in [&mut found.jwks, &mut found.discovery].into_iter().flatten() {
            document
                .metadata
                .insert("kubeassume-generation".to_owned(), text.to_owned());
        }
        let mut ring = ring_that_serves(&[rsa("a", 1)]);
        let before = ring.clone();
        ring.draw_above(&found, at(0));
        assert_eq!(ring, before, "{text:?}");
    }
    for text in ["", "AAAA", &"A".repeat(32), &"g".repeat(32), &"0".repeat(33)] {
        assert!(text.parse::<Owner>().is_err(), "{text:?}");
    }
    assert_eq!(us().to_string().parse(), Ok(us()));
}

#[test]
fn the_owner_of_what_is_found_is_the_one_that_both_documents_name() {
    let found = left_behind(&[rsa("a", 1)], &issuer(), stranger(), at(0));
    assert_eq!(found.owner(), Some(stranger()));
    let mixed = Found {
        discovery: left_behind(&[rsa("a", 1)], &issuer(), us(), at(0)).discovery,
        ..found.clone()
    };
    assert_eq!(mixed.owner(), None);
    assert_eq!(
        Found {
            discovery: None,
            ..found
        }
        .owner(),
        Some(stranger())
    );
    assert_eq!(Found::default().owner(), None);
}

#[test]
fn a_generation_is_drawn_only_when_bytes_or_headers_change() {
    let (a, b) = (rsa("a", 1), rsa("b", 2));
    let mut ring = ring_that_serves(std::slice::from_ref(&a));
    let first = ring.publication(&issuer(), at(0)).unwrap();
    let millis = u64::try_from(at(0).as_millisecond()).unwrap();
    assert_eq!(
        (first.jwks.generation, first.discovery.generation),
        (Generation(millis), Generation(millis))
    );

    let revision = ring.state().revision;
    assert_eq!(ring.publication(&issuer(), at(50)).unwrap(), first);
    ring.fence();
    ring.observe(&one(std::slice::from_ref(&a)), at(51)).unwrap();
    assert_eq!(ring.publication(&issuer(), at(52)).unwrap(), first);
    assert_eq!(ring.state().revision, revision + 1, "only the fence");

    // Another RSA key: the discovery document says the same as before.
    ring.observe(&one(&[a.clone(), b]), at(60)).unwrap();
    let second = ring.publication(&issuer(), at(60)).unwrap();
    assert_eq!(second.jwks.generation, Generation(millis + 60_000));
    assert_eq!(second.discovery, first.discovery);

    // Headers are part of both; a clock that went back still draws one above.
    ring.set_headers(Headers { max_age_seconds: 10 });
    let third = ring.publication(&issuer(), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(third.jwks.generation, Generation(millis + 60_001));
    assert_eq!(third.discovery.generation, Generation(millis + 1));
    assert_eq!(third.jwks.cache_control, "public, max-age=10");
    assert_eq!(third.jwks.bytes, second.jwks.bytes);

    // The set turns back to what it was: that is a new publication too.
    ring.set_headers(Headers { max_age_seconds: 300 });
    let fourth = ring.publication(&issuer(), at(0)).unwrap();
    assert_eq!(fourth.jwks.bytes, second.jwks.bytes);
    assert_eq!(fourth.jwks.generation, Generation(millis + 60_002));
}

#[test]
fn a_published_document_carries_its_mark() {
    let mut ring = ring_that_serves(&[rsa("a", 1)]);
    let publication = ring.publication(&issuer(), at(0)).unwrap();
    assert_eq!(publication.jwks.content_type, "application/jwk-set+json");
    assert_eq!(publication.discovery.content_type, "application/json");
    assert_eq!(
        publication.in_order().map(|(path, _)| path),
        [DocumentPath::JWKS, DocumentPath::DISCOVERY]
    );
    let there = stored(&publication.jwks, us());
    assert!(publication.jwks.is(us(), &there));
    assert!(!publication.jwks.is(stranger(), &there));
    let mut changed: Vec<StoredDocument> = vec![there.clone(); 5];
    changed[0].bytes = "{}".into();
    changed[1].content_type = None;
    changed[2].cache_control = Some("no-store".to_owned());
    changed[3].metadata.remove("kubeassume-generation");
    changed[4]
        .metadata
        .insert("kubeassume-digest".to_owned(), "x".to_owned());
    for (at, document) in changed.iter().enumerate() {
        assert!(!publication.jwks.is(us(), document), "{at}");
    }
}
