//! The join of states, what a state lacks, and the stored form.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use std::collections::BTreeMap;

use keys::{at, fresh_state, kids, look, policy, rsa, served};
use kubeassume_core::rotation::{EndpointKeys, REMOVED_MEMORY, ServedKey};
use kubeassume_core::{
    Claim, DocumentMark, DocumentMarks, Found, Generation, Headers, IssuerUrl, Jwk, KeyEntry, KeyRing,
    KeyState, Observation, Owner, State, Thumbprint,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const DAY: i64 = 24 * 3600;

fn issuer() -> IssuerUrl {
    "https://oidc.example.com/c1".parse().unwrap()
}

/// Four keys, two of them of one kid.
fn pool(index: usize) -> Jwk {
    rsa(["a", "b", "c", "a"][index], u32::try_from(index).unwrap())
}

fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    let values = prop::sample::select(vec![json!(1), json!("x"), json!({"y": [null]})]);
    btree_map(prop::sample::select(vec!["newField", "other"]), values, 0..2).prop_map(|members| {
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

fn key_state() -> impl Strategy<Value = KeyState> {
    (0i64..3, 0..5).prop_map(|(since, state)| match state {
        0 => KeyState::Live(at(since)),
        1 => KeyState::Retiring(at(since)),
        2 => KeyState::Unconfirmed(at(since)),
        3 => KeyState::Removed(at(since)),
        _ => KeyState::Revoked(at(since)),
    })
}

fn entries() -> impl Strategy<Value = BTreeMap<Thumbprint, KeyEntry>> {
    btree_map(0usize..4, (0u64..4, key_state(), unknown()), 0..4).prop_map(|entries| {
        let entry = |(index, (revision, state, unknown)): (usize, (u64, KeyState, _))| {
            let key = pool(index);
            let entry = KeyEntry {
                revision,
                kid: key.kid().to_owned(),
                state,
                jwk: state.is_published().then(|| key.clone()),
                unknown,
            };
            (key.thumbprint(), entry)
        };
        entries.into_iter().map(entry).collect()
    })
}

fn mark() -> impl Strategy<Value = DocumentMark> {
    (0u64..3, "[xy]?").prop_map(|(generation, fingerprint)| DocumentMark {
        generation: Generation(generation),
        fingerprint,
    })
}

/// States that have much in common and few revisions, so that they clash wherever they can.
fn state() -> impl Strategy<Value = State> {
    let endpoint = vec(0usize..4, 0..2).prop_map(|keys| EndpointKeys {
        keys: keys
            .into_iter()
            .map(|index| ServedKey {
                kid: pool(index).kid().to_owned(),
                thumbprint: pool(index).thumbprint(),
            })
            .collect(),
    });
    let claim = (0i64..2, any::<bool>()).prop_map(|(since, taken_over)| Claim {
        since: at(since),
        taken_over,
    });
    (
        (0u64..4, 0u128..2, 0u64..2, 0u32..2),
        (mark(), mark()),
        btree_map("[pq]", claim, 0..2),
        btree_map("[12]", endpoint, 0..2),
        entries(),
        unknown(),
    )
        .prop_map(
            |((revision, owner, max_age, reader), (jwks, discovery), claims, endpoints, keys, unknown)| {
                State {
                    schema_version: 1 + reader,
                    revision,
                    documents: DocumentMarks { jwks, discovery },
                    claims,
                    endpoints,
                    keys,
                    unknown,
                    ..State::new(
                        Owner::from_random(owner),
                        Headers {
                            max_age_seconds: max_age,
                        },
                    )
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn join_is_commutative(a in state(), b in state()) {
        prop_assert_eq!(a.join(&b), b.join(&a));
    }

    #[test]
    fn join_is_associative(a in state(), b in state(), c in state()) {
        prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
    }

    #[test]
    fn join_is_idempotent_and_absorbs(a in state(), b in state()) {
        prop_assert_eq!(&a.join(&a), &a);
        let joined = a.join(&b);
        prop_assert_eq!(&joined.join(&a), &joined);
    }

    #[test]
    fn join_loses_no_key_and_no_revocation_and_goes_back_in_nothing(a in state(), b in state()) {
        let joined = a.join(&b);
        for side in [&a, &b] {
            prop_assert!(joined.revision >= side.revision);
            prop_assert!(joined.documents.jwks.generation >= side.documents.jwks.generation);
            prop_assert!(joined.documents.discovery.generation >= side.documents.discovery.generation);
            for (thumbprint, entry) in &side.keys {
                let kept = &joined.keys[thumbprint];
                if entry.state.is_revoked() {
                    prop_assert!(kept.state.is_revoked());
                }
                prop_assert!(kept.revision >= entry.revision || kept.state.is_revoked());
            }
        }
        for (thumbprint, entry) in &joined.keys {
            let sides = [a.keys.get(thumbprint), b.keys.get(thumbprint)];
            prop_assert!(sides.contains(&Some(entry)), "an entry that neither side has");
        }
    }

    #[test]
    fn a_join_lacks_nothing_and_neither_does_its_restart(a in state(), b in state(), now in 0i64..4) {
        let joined = a.join(&b);
        for state in [&joined, &joined.clone().restarted(at(now))] {
            prop_assert!(!state.lacks(&a));
            prop_assert!(!state.lacks(&b));
            prop_assert!(!state.lacks(&joined));
        }
    }

    #[test]
    fn a_restart_shortens_no_retention(a in state(), now in 0i64..4) {
        let restarted = a.clone().restarted(at(now));
        prop_assert!(restarted.revision > a.revision);
        for (thumbprint, entry) in &a.keys {
            let after = &restarted.keys[thumbprint];
            prop_assert_eq!(after.state.name(), entry.state.name());
            prop_assert!(after.state.since() >= entry.state.since());
            if matches!(entry.state, KeyState::Retiring(_) | KeyState::Unconfirmed(_)) {
                prop_assert!(after.state.since() >= at(now));
            } else {
                prop_assert_eq!(after, entry);
            }
        }
    }

    #[test]
    fn what_memory_has_and_the_stored_state_has_not_is_lacking(a in state(), b in state()) {
        if a.lacks(&b) {
            prop_assert_ne!(a.join(&b), a);
        } else {
            // What counts for a publication is the same with and without memory; old tombstones aside.
            let joined = a.join(&b);
            prop_assert_eq!(joined.revision, a.revision);
            prop_assert_eq!(joined.documents.jwks.generation, a.documents.jwks.generation);
            let known = |state: &State| {
                let keys = state.keys.iter().filter(|(_, entry)| !matches!(entry.state, KeyState::Removed(_)));
                keys.map(|(thumbprint, entry)| (thumbprint.clone(), entry.clone())).collect::<Vec<_>>()
            };
            prop_assert_eq!(known(&joined), known(&a));
        }
    }

    #[test]
    fn states_survive_json(state in state()) {
        let text = serde_json::to_string(&state).unwrap();
        let back: State = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &state);
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}

#[test]
fn a_lost_revocation_a_lost_key_or_an_older_entry_is_lacking() {
    let mut ring = KeyRing::new(fresh_state(), policy(100));
    ring.observe(&look(&[("1", Some(vec![pool(0), pool(1)]))]), at(0))
        .unwrap();
    ring.publication(&issuer(), at(0)).unwrap();
    let before = ring.state().clone();
    let mut revoking = policy(100);
    revoking.revoked = [pool(0).thumbprint()].into();
    let mut ring = KeyRing::new(before.clone(), revoking);
    ring.observe(&look(&[("1", Some(vec![pool(0), pool(1)]))]), at(1))
        .unwrap();
    ring.publication(&issuer(), at(1)).unwrap();
    let memory = ring.into_state();
    assert!(!memory.lacks(&before));
    assert!(before.lacks(&memory), "rolled back");

    let edit = |change: &dyn Fn(&mut State)| {
        let mut edited = memory.clone();
        change(&mut edited);
        edited
    };
    let revoked = pool(0).thumbprint();
    for (name, edited) in [
        (
            "revocation undone",
            edit(&|s| *s.keys.get_mut(&revoked).unwrap() = before.keys[&revoked].clone()),
        ),
        ("revocation deleted", edit(&|s| drop(s.keys.remove(&revoked)))),
        (
            "key deleted",
            edit(&|s| drop(s.keys.remove(&pool(1).thumbprint()))),
        ),
        (
            "key deleted, revision raised",
            edit(&|s| {
                s.keys.remove(&pool(1).thumbprint());
                s.revision += 5;
            }),
        ),
        (
            "generation set back",
            edit(&|s| s.documents.jwks.generation = Generation(1)),
        ),
        (
            "other generation set back",
            edit(&|s| s.documents.discovery.generation = Generation(1)),
        ),
        ("revision set back", edit(&|s| s.revision -= 1)),
        (
            "entry set back",
            edit(&|s| s.keys.get_mut(&pool(1).thumbprint()).unwrap().revision = 0),
        ),
        (
            "revocation undone at a later revision",
            edit(&|s| {
                let entry = s.keys.get_mut(&revoked).unwrap();
                (entry.state, entry.revision) = (KeyState::Live(at(9)), 99);
                s.revision = 99;
            }),
        ),
    ] {
        assert!(edited.lacks(&memory), "{name}");
        let repaired = edited.join(&memory).restarted(at(2));
        assert!(!repaired.lacks(&memory), "{name}");
        assert!(repaired.keys[&revoked].state.is_revoked(), "{name}");
        assert!(
            !KeyRing::new(repaired, policy(100))
                .publishable()
                .unwrap()
                .is_empty(),
            "{name}"
        );
    }
}

#[test]
fn a_tombstone_that_was_forgotten_on_purpose_is_not_lacking_even_after_a_late_read() {
    let mut ring = KeyRing::new(fresh_state(), policy(0));
    ring.observe(&look(&[("1", Some(vec![pool(0), pool(1)]))]), at(0))
        .unwrap();
    ring.observe(&look(&[("1", Some(vec![pool(1)]))]), at(1)).unwrap();
    let remembered = ring.state().clone();
    let forgotten = at(1 + i64::try_from(REMOVED_MEMORY.as_secs()).unwrap());
    ring.observe(&look(&[("1", Some(vec![pool(1)]))]), forgotten)
        .unwrap();
    let stored = ring.state();
    assert!(!stored.keys.contains_key(&pool(0).thumbprint()));
    assert!(!stored.lacks(&remembered));
    // A read that was overtaken by a later one is joined into memory after it.
    assert!(!stored.lacks(&stored.join(&remembered)));
}

#[test]
fn fields_of_a_newer_version_survive_a_rewrite() {
    let mut ring = KeyRing::new(fresh_state(), policy(100));
    ring.observe(&look(&[("1", Some(vec![pool(0), pool(1)]))]), at(0))
        .unwrap();
    let mut state = serde_json::to_value(ring.state()).unwrap();
    state["schemaVersion"] = json!(7);
    state["fleet"] = json!({"members": [1, {"name": "x"}]});
    for entry in state["keys"].as_object_mut().unwrap().values_mut() {
        entry["pinnedTo"] = json!("member-1");
    }
    let state: State = serde_json::from_value(state).unwrap();
    assert!(state.is_writable());
    let mut ring = KeyRing::new(state, policy(100));
    ring.observe(&look(&[("1", Some(vec![pool(1), pool(2)]))]), at(1))
        .unwrap();
    ring.observe(&look(&[("1", Some(vec![pool(1), pool(2)]))]), at(200))
        .unwrap();
    ring.publication(&issuer(), at(200)).unwrap();
    let after = serde_json::to_value(ring.into_state().restarted(at(201))).unwrap();
    assert_eq!(after["schemaVersion"], 7);
    assert_eq!(after["fleet"], json!({"members": [1, {"name": "x"}]}));
    for index in 0..2 {
        let entry = &after["keys"][pool(index).thumbprint().as_str()];
        assert_eq!(entry["pinnedTo"], "member-1", "{entry}");
    }
    let newer = serde_json::from_value::<State>({
        let mut newer = after;
        newer["minReader"] = json!(2);
        newer
    });
    assert!(!newer.unwrap().is_writable());
}

#[test]
fn the_stored_form_of_a_key_is_what_its_documentation_says() {
    let mut ring = KeyRing::new(fresh_state(), policy(100));
    ring.observe(&Observation::of("1", served([pool(0)])), at(0))
        .unwrap();
    let state = serde_json::to_value(ring.state()).unwrap();
    let key = &state["keys"][pool(0).thumbprint().as_str()];
    assert_eq!(
        (&key["state"], &key["kid"], &key["revision"]),
        (&json!("live"), &json!("a"), &json!(1))
    );
    assert_eq!(key["since"], json!("2027-01-15T08:00:00Z"));
    assert_eq!(key["jwk"]["kid"], "a");
    assert_eq!(
        state["endpoints"]["1"]["keys"][0]["thumbprint"],
        json!(pool(0).thumbprint().as_str())
    );
    assert_eq!(
        (&state["schemaVersion"], &state["minReader"]),
        (&json!(1), &json!(1))
    );
}

/// What a leader may do with the state, one after the other.
#[derive(Debug, Clone)]
enum Step {
    Serve(Vec<usize>, Option<Vec<usize>>),
    Revoke(usize),
    Fence,
    Headers(u64),
    Claim(bool),
    Leader,
}

fn step() -> impl Strategy<Value = Step> {
    // Never two keys of one kid at one endpoint: such an answer is refused before the ring sees it.
    let keys = || prop::sample::subsequence(vec![0usize, 1, 2], 1..3);
    prop_oneof![
        6 => (keys(), prop::option::weighted(0.8, prop::sample::subsequence(vec![1usize, 2, 3], 1..3)))
            .prop_map(|(first, second)| Step::Serve(first, second)),
        1 => (0usize..4).prop_map(Step::Revoke),
        1 => Just(Step::Fence),
        1 => (1u64..4).prop_map(Step::Headers),
        1 => any::<bool>().prop_map(Step::Claim),
        1 => Just(Step::Leader),
    ]
}

fn take(ring: &mut KeyRing, step: Step, now: i64) {
    match step {
        Step::Serve(first, second) => {
            let keys = |indices: Vec<usize>| indices.into_iter().map(pool).collect::<Vec<_>>();
            let observation = look(&[("1", Some(keys(first))), ("2", second.map(keys))]);
            ring.observe(&observation, at(now)).unwrap();
        }
        Step::Revoke(index) => {
            let mut revoking = policy(100);
            revoking.revoked = [pool(index).thumbprint()].into();
            *ring = KeyRing::new(ring.state().clone(), revoking);
        }
        Step::Fence => ring.fence(),
        Step::Headers(max_age_seconds) => ring.set_headers(Headers { max_age_seconds }),
        Step::Claim(first) => {
            let place = if first { "file:///a" } else { "file:///b" };
            ring.claim(place, &issuer(), &Found::default(), false, at(now))
                .unwrap();
        }
        Step::Leader => {
            let state = serde_json::from_value(serde_json::to_value(ring.state()).unwrap()).unwrap();
            *ring = KeyRing::new(state, policy(100));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_normal_operation_the_stored_state_already_is_the_join(
        steps in vec((step(), prop::sample::select(vec![0, 1, 60, 99, 100, 5 * DAY, 11 * DAY])), 1..24),
    ) {
        let mut ring = KeyRing::new(fresh_state(), policy(100));
        let mut earlier: Vec<(i64, State)> = Vec::new();
        let mut memory: Option<State> = None;
        let mut now = 0;
        for (step, later) in steps {
            now += later;
            take(&mut ring, step, now);
            if !kids(&ring).is_empty() {
                ring.publication(&issuer(), at(now)).unwrap();
            }
            let stored = ring.state();
            if let Some(memory) = &memory {
                prop_assert!(!stored.lacks(memory));
            }
            for (then, state) in &earlier {
                // A replica that read nothing for thirty days may remember as live what is forgotten by now.
                if now - then < 30 * DAY {
                    prop_assert!(!stored.lacks(state));
                }
            }
            memory = Some(memory.map_or_else(|| stored.clone(), |memory| memory.join(stored)));
            prop_assert!(!stored.lacks(memory.as_ref().unwrap()), "read twice");
            earlier.push((now, stored.clone()));
        }
    }
}
