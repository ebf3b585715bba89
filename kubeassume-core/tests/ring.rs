//! The rules of observation, one scenario each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use keys::{at, dated, fresh_state, kids, look, policy, rsa, shared, standing};
use kubeassume_core::rotation::{REMOVED_MEMORY, SHARED_ADDRESS_POLLS};
use kubeassume_core::{
    Algorithm, Event, Jwk, KeyRing, KeySet, KeyState, Observation, RingError, SourceError, State, Timestamp,
};

const RETENTION: u64 = 100;

fn ring() -> KeyRing {
    KeyRing::new(fresh_state(), policy(RETENTION))
}

fn observe(ring: &mut KeyRing, observation: &Observation, seconds: i64) -> Vec<Event> {
    ring.observe(observation, at(seconds)).unwrap()
}

fn a() -> Jwk {
    rsa("a", 1)
}

fn b() -> Jwk {
    rsa("b", 2)
}

/// The keys that one API server serves.
fn one(keys: &[Jwk]) -> Observation {
    look(&[("1", Some(keys.to_vec()))])
}

fn two(first: Option<&[Jwk]>, second: Option<&[Jwk]>) -> Observation {
    look(&[
        ("1", first.map(<[Jwk]>::to_vec)),
        ("2", second.map(<[Jwk]>::to_vec)),
    ])
}

fn reasons(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::reason).collect()
}

/// A leader that died and another one that read what was saved.
fn handed_over(ring: &KeyRing) -> KeyRing {
    let state: State = serde_json::from_str(&serde_json::to_string(ring.state()).unwrap()).unwrap();
    assert_eq!(&state, ring.state());
    KeyRing::new(state, policy(RETENTION))
}

#[test]
fn nothing_is_publishable_before_the_first_key() {
    let mut ring = ring();
    assert_eq!(ring.publishable(), Err(RingError::Nothing));
    observe(&mut ring, &two(None, None), 0);
    assert_eq!(ring.publishable(), Err(RingError::Nothing));
    let issuer = "https://a.example".parse().unwrap();
    assert_eq!(ring.publication(&issuer, at(0)), Err(RingError::Nothing));
}

#[test]
fn a_key_that_any_endpoint_serves_is_published_at_once() {
    let mut ring = ring();
    let events = observe(&mut ring, &two(Some(&[a()]), Some(&[a(), b()])), 0);
    assert_eq!(reasons(&events), ["NewKey", "NewKey"]);
    assert_eq!(kids(&ring), ["a", "b"]);
    // Also in a cycle that did not read everything.
    let events = observe(&mut ring, &two(Some(&[rsa("c", 3)]), None), 1);
    assert_eq!(reasons(&events), ["NewKey"]);
    assert_eq!(kids(&ring), ["a", "b", "c"]);
}

#[test]
fn a_vanished_key_stays_for_exactly_one_retention() {
    let mut ring = ring();
    observe(&mut ring, &one(&[a(), b()]), 0);
    let events = observe(&mut ring, &one(&[b()]), 10);
    let [Event::Retiring { key, until }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((key.kid.as_str(), *until), ("a", at(110)));
    assert_eq!(ring.next_deadline(), Some(at(110)));
    assert_eq!(kids(&ring), ["b", "a"], "retiring keys come last");

    let revision = ring.state().revision;
    assert_eq!(observe(&mut ring, &one(&[b()]), 109), []);
    assert_eq!(
        ring.state().revision,
        revision,
        "nothing changed, nothing to save"
    );
    assert_eq!(kids(&ring), ["b", "a"]);
    assert_eq!(reasons(&observe(&mut ring, &one(&[b()]), 110)), ["KeyRemoved"]);
    assert_eq!(kids(&ring), ["b"]);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Removed(at(110))));
    assert_eq!(ring.next_deadline(), None);
}

#[test]
fn without_an_overlap_a_vanished_key_goes_at_once() {
    let mut ring = KeyRing::new(fresh_state(), policy(0));
    observe(&mut ring, &one(&[a(), b()]), 0);
    observe(&mut ring, &one(&[b()]), 1);
    assert_eq!(kids(&ring), ["b"]);
}

#[test]
fn a_gap_in_observation_never_shortens_a_retention() {
    let mut ring = ring();
    observe(&mut ring, &one(&[a(), b()]), 0);
    let mut later = handed_over(&ring);
    observe(&mut later, &one(&[b()]), 100_000);
    assert_eq!(standing(&later, &a()), Some(KeyState::Retiring(at(100_000))));
    let mut later = handed_over(&later);
    observe(&mut later, &one(&[b()]), 100_099);
    assert_eq!(kids(&later), ["b", "a"]);
    observe(&mut later, &one(&[b()]), 100_100);
    assert_eq!(kids(&later), ["b"]);
}

#[test]
fn a_key_that_returns_loses_its_mark() {
    let mut ring = ring();
    observe(&mut ring, &one(&[a(), b()]), 0);
    observe(&mut ring, &one(&[b()]), 10);
    assert_eq!(
        reasons(&observe(&mut ring, &one(&[a(), b()]), 109)),
        ["KeyReturned"]
    );
    assert_eq!(kids(&ring), ["a", "b"]);
    observe(&mut ring, &one(&[b()]), 111);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(111))));
    observe(&mut ring, &one(&[b()]), 210);
    assert_eq!(kids(&ring), ["b", "a"]);
    // At the very moment of its end, being served comes first; also in an incomplete cycle.
    observe(&mut ring, &two(Some(&[a()]), None), 211);
    assert_eq!(kids(&ring), ["a", "b"]);
    // After it is gone it is new.
    observe(&mut ring, &one(&[b()]), 300);
    observe(&mut ring, &one(&[b()]), 400);
    assert_eq!(reasons(&observe(&mut ring, &one(&[a(), b()]), 401)), ["NewKey"]);
    assert_eq!(kids(&ring), ["a", "b"]);
}

#[test]
fn an_incomplete_cycle_neither_marks_nor_ends() {
    let mut ring = ring();
    observe(&mut ring, &two(Some(&[a(), b()]), Some(&[b()])), 0);
    observe(&mut ring, &two(Some(&[b()]), None), 10);
    assert!(matches!(standing(&ring, &a()), Some(KeyState::Live(_))));
    observe(&mut ring, &two(Some(&[b()]), Some(&[b()])), 20);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(20))));
    observe(&mut ring, &two(Some(&[b()]), None), 1000);
    assert_eq!(kids(&ring), ["b", "a"]);
    observe(&mut ring, &two(Some(&[b()]), Some(&[b()])), 1001);
    assert_eq!(kids(&ring), ["b"]);
    // A cycle that looked at nothing is not complete.
    observe(&mut ring, &look(&[]), 5000);
    assert_eq!(kids(&ring), ["b"]);
    assert!(matches!(standing(&ring, &b()), Some(KeyState::Live(_))));
}

#[test]
fn a_failing_endpoint_keeps_its_last_answer_in_force() {
    let mut ring = ring();
    observe(&mut ring, &two(Some(&[a()]), Some(&[b()])), 0);
    for cycle in 1..50 {
        assert_eq!(observe(&mut ring, &two(Some(&[a()]), None), cycle * 1000), []);
    }
    let mut ring = handed_over(&ring);
    assert_eq!(observe(&mut ring, &two(None, None), 60_000), []);
    assert_eq!(kids(&ring), ["a", "b"]);
    assert_eq!(ring.state().endpoints["2"].keys[0].kid, "b");
    // Refused as a whole counts as not read.
    let mut refused = two(Some(&[a()]), None);
    let refusal = KeySet::parse(b"{").unwrap_err();
    *refused.answers.get_mut("2").unwrap() = kubeassume_core::Answer::Failed(SourceError::Refused(refusal));
    assert_eq!(observe(&mut ring, &refused, 61_000), []);
    observe(&mut ring, &two(Some(&[a()]), Some(&[a()])), 70_000);
    assert_eq!(standing(&ring, &b()), Some(KeyState::Retiring(at(70_000))));
}

#[test]
fn an_endpoint_that_is_no_longer_listed_keeps_nothing_in_force() {
    let mut ring = ring();
    observe(&mut ring, &two(Some(&[a()]), Some(&[b()])), 0);
    observe(&mut ring, &two(Some(&[a()]), None), 1);
    observe(&mut ring, &one(&[a()]), 2);
    assert_eq!(standing(&ring, &b()), Some(KeyState::Retiring(at(2))));
    assert!(!ring.state().endpoints.contains_key("2"));
    // Listed again but not read: its old answer is not remembered.
    observe(&mut ring, &two(Some(&[a()]), None), 3);
    assert_eq!(standing(&ring, &b()), Some(KeyState::Retiring(at(2))));
}

#[test]
fn through_a_shared_address_absence_takes_twenty_complete_polls_in_a_row() {
    let mut ring = ring();
    observe(&mut ring, &shared(Some(vec![a(), b()])), 0);
    let polls = i64::from(SHARED_ADDRESS_POLLS);
    for poll in 1..polls {
        observe(&mut ring, &shared(Some(vec![b()])), poll);
    }
    // One sight of it begins the count anew. So does a poll that failed: it proves no absence.
    for begin in [shared(Some(vec![a()])), shared(None)] {
        observe(&mut ring, &begin, 100);
        for poll in 1..polls {
            observe(&mut ring, &shared(Some(vec![b()])), 100 + poll);
            assert!(matches!(standing(&ring, &a()), Some(KeyState::Live(_))));
        }
    }
    observe(&mut ring, &shared(Some(vec![b()])), 200);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(200))));
    observe(&mut ring, &shared(Some(vec![b()])), 299);
    assert_eq!(kids(&ring), ["b", "a"]);
    observe(&mut ring, &shared(Some(vec![b()])), 300);
    assert_eq!(kids(&ring), ["b"]);
}

#[test]
fn a_new_leader_counts_polls_through_a_shared_address_again() {
    let mut ring = ring();
    observe(&mut ring, &shared(Some(vec![a(), b()])), 0);
    for poll in 0..19 {
        observe(&mut ring, &shared(Some(vec![b()])), poll);
    }
    let mut ring = handed_over(&ring);
    observe(&mut ring, &shared(Some(vec![b()])), 20);
    assert!(matches!(standing(&ring, &a()), Some(KeyState::Live(_))));
    // A ring that goes on from the state that it saved itself has not forgotten.
    for poll in 0..19 {
        let state = ring.state().clone();
        ring.resume(state);
        observe(&mut ring, &shared(Some(vec![b()])), 30 + poll);
    }
    assert!(matches!(standing(&ring, &a()), Some(KeyState::Retiring(_))));
}

#[test]
fn on_a_kid_collision_the_published_key_stays_while_any_endpoint_serves_it() {
    let (old, new) = (rsa("x", 11), rsa("x", 12));
    let mut ring = ring();
    observe(
        &mut ring,
        &two(Some(std::slice::from_ref(&old)), Some(std::slice::from_ref(&old))),
        0,
    );
    for cycle in 1..5 {
        let events = observe(
            &mut ring,
            &two(Some(&[new.clone(), b()]), Some(std::slice::from_ref(&old))),
            cycle * 1000,
        );
        assert!(events.iter().any(|event| matches!(event,
            Event::Conflict { published, refused } if published.thumbprint == old.thumbprint() && *refused == new.thumbprint())));
        assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&old));
        assert_eq!(kids(&ring), ["b", "x"], "the others are not blocked");
    }
    // Not read is not gone.
    observe(&mut ring, &two(Some(&[new.clone(), b()]), None), 6000);
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&old));
    let events = observe(
        &mut ring,
        &two(Some(std::slice::from_ref(&new)), Some(std::slice::from_ref(&new))),
        7000,
    );
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&new));
    assert_eq!(standing(&ring, &old), Some(KeyState::Removed(at(7000))));
    assert!(reasons(&events).contains(&"KeyRemoved"), "{events:?}");
    // Now the other one is the published one.
    observe(
        &mut ring,
        &two(Some(std::slice::from_ref(&old)), Some(std::slice::from_ref(&new))),
        8000,
    );
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&new));
}

#[test]
fn a_retiring_key_gives_its_kid_up_at_once() {
    let (old, new) = (rsa("x", 11), rsa("x", 12));
    let mut ring = ring();
    observe(&mut ring, &one(&[old.clone(), b()]), 0);
    observe(&mut ring, &one(&[b()]), 1);
    // Also in an incomplete cycle: nothing that was read or is in force serves the old one.
    observe(&mut ring, &two(Some(&[b(), new.clone()]), None), 2);
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&new));
    assert_eq!(standing(&ring, &old), Some(KeyState::Removed(at(2))));
}

#[test]
fn through_a_shared_address_a_collision_does_not_swing_with_the_load_balancer() {
    let (old, new) = (rsa("x", 11), rsa("x", 12));
    let mut ring = ring();
    observe(&mut ring, &shared(Some(vec![old.clone()])), 0);
    for poll in 1..30 {
        let keys = if poll % 3 == 0 { &old } else { &new };
        observe(&mut ring, &shared(Some(vec![keys.clone()])), poll);
        assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&old), "poll {poll}");
    }
    // Once it counts as absent, it is replaced at once.
    for poll in 30..52 {
        observe(&mut ring, &shared(Some(vec![new.clone()])), poll);
    }
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&new));
}

#[test]
fn one_key_under_two_names_keeps_the_published_one_while_it_is_served() {
    let (x, y) = (rsa("x", 1), rsa("y", 1));
    let other = Jwk::new("x", Algorithm::Rs512, x.material().clone()).unwrap();
    let mut ring = ring();
    observe(
        &mut ring,
        &two(Some(std::slice::from_ref(&x)), Some(std::slice::from_ref(&x))),
        0,
    );
    for (first, second) in [(&y, &x), (&x, &y), (&other, &x), (&x, &other)] {
        observe(
            &mut ring,
            &two(
                Some(std::slice::from_ref(first)),
                Some(std::slice::from_ref(second)),
            ),
            1,
        );
        assert_eq!(
            ring.publishable().unwrap().by_kid("x"),
            Some(&x),
            "{first:?} {second:?}"
        );
        observe(
            &mut ring,
            &two(
                Some(std::slice::from_ref(first)),
                Some(std::slice::from_ref(second)),
            ),
            2,
        );
        assert_eq!(
            ring.publishable().unwrap().by_kid("x"),
            Some(&x),
            "{first:?} {second:?}"
        );
    }
    observe(
        &mut ring,
        &two(Some(std::slice::from_ref(&x)), Some(std::slice::from_ref(&x))),
        3,
    );
    // In force under its published name at an endpoint that cannot be read now.
    observe(&mut ring, &two(Some(std::slice::from_ref(&y)), None), 4);
    assert_eq!(kids(&ring), ["x"]);
}

#[test]
fn revocation_wins_and_waits_for_nothing() {
    let mut ring = ring();
    observe(&mut ring, &two(Some(&[a(), b()]), Some(&[a(), b()])), 0);
    let mut policy = policy(RETENTION);
    policy.revoked = [a().thumbprint()].into();
    let mut ring = KeyRing::new(ring.into_state(), policy);
    // Served by both, and one cannot even be read.
    let events = observe(&mut ring, &two(Some(&[a(), b()]), None), 1);
    assert_eq!(reasons(&events), ["KeyRevoked"]);
    assert_eq!(kids(&ring), ["b"]);
    assert_eq!(observe(&mut ring, &two(Some(&[a(), b()]), Some(&[a()])), 2), []);
    // The state remembers it when the configuration no longer does.
    let mut ring = handed_over(&ring);
    assert_eq!(
        observe(&mut ring, &two(Some(&[a(), b()]), Some(&[a(), b()])), 3),
        []
    );
    assert_eq!(kids(&ring), ["b"]);
    let after_years = 10 * 365 * 24 * 3600;
    observe(&mut ring, &one(&[a(), b()]), after_years);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Revoked(at(1))));
    assert!(ring.state().keys[&a().thumbprint()].jwk.is_none());
}

#[test]
fn a_key_can_be_revoked_before_it_is_seen_and_while_nothing_can_be_read() {
    let mut policy = policy(RETENTION);
    policy.revoked = [a().thumbprint(), b().thumbprint()].into();
    let mut ring = KeyRing::new(fresh_state(), policy.clone());
    observe(&mut ring, &two(None, None), 0);
    assert!(standing(&ring, &a()).unwrap().is_revoked());
    observe(&mut ring, &one(&[a(), rsa("c", 3)]), 1);
    assert_eq!(kids(&ring), ["c"]);
    // Nothing but revoked keys: that empty set is meant.
    let mut ring = KeyRing::new(fresh_state(), policy);
    observe(&mut ring, &one(&[a(), b()]), 0);
    assert!(ring.publishable().unwrap().is_empty());
}

#[test]
fn a_revoked_key_gives_its_kid_to_the_next() {
    let (old, new) = (rsa("x", 11), rsa("x", 12));
    let mut policy = policy(RETENTION);
    policy.revoked = [old.thumbprint()].into();
    let mut ring = KeyRing::new(fresh_state(), policy);
    observe(
        &mut ring,
        &two(Some(std::slice::from_ref(&old)), Some(std::slice::from_ref(&new))),
        0,
    );
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&new));
}

#[test]
fn a_mark_is_the_largest_clock_and_ends_by_the_smallest() {
    let mut ring = ring();
    let with_date = |keys: &[Jwk], date| dated(one(keys), "1", at(date));
    observe(&mut ring, &with_date(&[a(), b()], 0), 0);
    let events = ring.observe(&with_date(&[b()], 50), at(10)).unwrap();
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(50))));
    assert!(matches!(&events[..], [Event::Retiring { until, .. }] if *until == at(150)));
    ring.observe(&with_date(&[b()], 149), at(1_000_000)).unwrap();
    assert_eq!(kids(&ring), ["b", "a"], "the server's clock holds it back");
    ring.observe(&with_date(&[b()], 1_000_000), at(149)).unwrap();
    assert_eq!(kids(&ring), ["b", "a"], "the local clock holds it back");
    ring.observe(&with_date(&[b()], 150), at(150)).unwrap();
    assert_eq!(kids(&ring), ["b"]);
}

#[test]
fn a_mark_beyond_every_clock_is_pulled_back_to_the_largest() {
    let mut ring = ring();
    observe(&mut ring, &one(&[a(), b()]), 0);
    observe(&mut ring, &one(&[b()]), 1_000_000);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(1_000_000))));
    // The clock is set right. Even an incomplete cycle shows it; and no retention is cut short.
    ring.observe(&dated(two(Some(&[b()]), None), "1", at(30)), at(20))
        .unwrap();
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(30))));
    observe(&mut ring, &one(&[b()]), 129);
    assert_eq!(kids(&ring), ["b", "a"]);
    observe(&mut ring, &one(&[b()]), 130);
    assert_eq!(kids(&ring), ["b"]);
}

#[test]
fn a_failing_endpoint_tells_no_time() {
    let mut ring = ring();
    observe(&mut ring, &one(&[a(), b()]), 0);
    let observation = dated(dated(two(Some(&[b()]), None), "1", at(7)), "2", at(99));
    ring.observe(&observation, at(5)).unwrap();
    observe(&mut ring, &one(&[b()]), 8);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Retiring(at(8))));
}

#[test]
fn a_removed_key_is_remembered_for_thirty_days() {
    let mut ring = KeyRing::new(fresh_state(), policy(0));
    observe(&mut ring, &one(&[a(), b()]), 0);
    observe(&mut ring, &one(&[b()]), 1);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Removed(at(1))));
    let days = i64::try_from(REMOVED_MEMORY.as_secs()).unwrap();
    assert_eq!(days, 30 * 24 * 3600);
    observe(&mut ring, &one(&[b()]), days);
    assert_eq!(standing(&ring, &a()), Some(KeyState::Removed(at(1))));
    // By the smallest clock.
    ring.observe(&dated(one(&[b()]), "1", at(days)), at(days + 1))
        .unwrap();
    assert!(standing(&ring, &a()).is_some());
    observe(&mut ring, &one(&[b()]), days + 1);
    assert_eq!(standing(&ring, &a()), None);
}

#[test]
fn a_set_beyond_the_limit_changes_nothing() {
    let keys = |range: std::ops::Range<u32>| range.map(|i| rsa(&format!("k{i}"), i)).collect::<Vec<_>>();
    let mut ring = ring();
    observe(&mut ring, &one(&keys(0..100)), 0);
    let before = ring.clone();
    let over = two(Some(&keys(0..100)), Some(&keys(99..101)));
    assert!(matches!(ring.observe(&over, at(1)), Err(RingError::Limit(_))));
    assert_eq!(ring, before);

    // A revocation waits for nothing, not even for a set that fits.
    let revoked = rsa("k7", 7);
    let mut revoking = policy(100);
    revoking.revoked = [revoked.thumbprint()].into();
    let mut ring = KeyRing::new(ring.into_state(), revoking);
    let over = two(Some(&keys(0..100)), Some(&keys(99..102)));
    assert!(matches!(ring.observe(&over, at(2)), Err(RingError::Limit(_))));
    assert_eq!(standing(&ring, &revoked), Some(KeyState::Revoked(at(2))));
    assert_eq!(ring.publishable().unwrap().len(), 99);
    assert!(ring.state().revision > before.state().revision);
}

#[test]
fn two_histories_that_gave_one_kid_to_two_keys_can_be_published_and_observed() {
    let (x, y) = (rsa("x", 11), rsa("x", 12));
    let history = |key: &Jwk, fences: u32| {
        let mut ring = ring();
        (0..fences).for_each(|_| ring.fence());
        observe(&mut ring, &one(std::slice::from_ref(key)), 0);
        ring.into_state()
    };
    // An etcd restore, and a leader that had not seen what was lost.
    let joined = history(&x, 1).join(&history(&y, 5)).restarted(at(10));
    let mut ring = KeyRing::new(joined, policy(RETENTION));
    assert_eq!(
        ring.publishable().unwrap().by_kid("x"),
        Some(&y),
        "what was written last"
    );
    observe(&mut ring, &one(&[b()]), 20);
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&y));
    observe(&mut ring, &one(&[b(), x.clone()]), 21);
    assert_eq!(ring.publishable().unwrap().by_kid("x"), Some(&x));
}

#[test]
fn fences_and_headers_raise_the_revision_only_when_they_change_something() {
    let mut ring = ring();
    ring.fence();
    assert_eq!(ring.state().revision, 1);
    let headers = ring.state().headers.clone();
    ring.set_headers(headers);
    assert_eq!(ring.state().revision, 1);
    ring.set_headers(kubeassume_core::Headers { max_age_seconds: 60 });
    assert_eq!(ring.state().revision, 2);
    observe(&mut ring, &one(&[a()]), 0);
    assert_eq!(ring.state().revision, 3);
    assert_eq!(ring.state().keys[&a().thumbprint()].revision, 3);
    observe(&mut ring, &one(&[a()]), 1);
    assert_eq!(ring.state().revision, 3);
}

#[test]
fn time_at_the_ends_of_the_calendar_does_no_harm() {
    let mut ring = ring();
    for now in [
        Timestamp::MIN,
        Timestamp::MAX,
        at(0),
        Timestamp::MIN,
        Timestamp::MAX,
    ] {
        ring.observe(&one(&[a()]), now).unwrap();
        ring.observe(&one(&[b()]), now).unwrap();
        assert!(kids(&ring).contains(&"b".to_owned()));
        let issuer = "https://a.example".parse().unwrap();
        ring.publication(&issuer, now).unwrap();
    }
}

#[test]
fn a_revision_at_the_end_of_its_range_does_no_harm() {
    let mut state = fresh_state();
    state.revision = u64::MAX;
    let mut ring = KeyRing::new(state, policy(RETENTION));
    observe(&mut ring, &one(&[a()]), 0);
    ring.fence();
    let issuer = "https://a.example".parse().unwrap();
    ring.publication(&issuer, at(0)).unwrap();
    assert_eq!(ring.into_state().restarted(at(0)).revision, u64::MAX);
}
