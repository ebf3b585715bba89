//! The ring against a naive model and against the invariants themselves, on random schedules.
//!
//! The model knows nothing of entries, events or revisions. It keeps the whole history of cycles and, at
//! every step, replays it from the beginning to say what is public, by the sentences of the rules. The
//! invariants are checked against the schedule alone, by the true time that no component ever sees.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use keys::{at, dated, fresh_state, kids, look, policy, rsa};
use kubeassume_core::{Addressing, Jwk, KeyRing, State, Thumbprint, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

const RETENTION: i64 = 100;
const SHARED_POLLS: usize = 20;
/// The keys of the schedules. `x` names two of them.
const KIDS: [&str; 6] = ["a", "b", "c", "x", "x", "d"];
const ENDPOINTS: [&str; 3] = ["1", "2", "3"];

static POOL: LazyLock<Vec<(Jwk, Thumbprint)>> = LazyLock::new(|| {
    let keys = KIDS.iter().zip(100..).map(|(kid, seed)| rsa(kid, seed));
    keys.map(|key| (key.clone(), key.thumbprint())).collect()
});

fn key(index: usize) -> Jwk {
    POOL[index].0.clone()
}

fn thumbprint(index: usize) -> Thumbprint {
    POOL[index].1.clone()
}

/// One cycle of a schedule, by true time and by what each party sees.
#[derive(Debug, Clone)]
struct Turn {
    /// Seconds of true time since the turn before.
    passed: i64,
    /// For each listed endpoint: the keys that it serves, by index; `None` where it cannot be read.
    answers: Vec<Option<BTreeSet<usize>>>,
    /// How wrong the local clock is, then that of each endpoint that tells one.
    local_error: i64,
    date_errors: Vec<Option<i64>>,
    /// Keys whose revocation the configuration lists from now on.
    revoked: BTreeSet<usize>,
    /// Whether another leader takes over before this cycle, with what is stored.
    new_leader: bool,
}

/// How often an endpoint changes what it serves. Rarely, where absence takes many polls to show.
const OFTEN: f64 = 0.35;
const RARELY: f64 = 0.05;

/// Many turns look like the one before: keys are served for a while, not at random.
fn schedule(endpoints: usize, kinds: usize, changes: f64) -> impl Strategy<Value = Vec<Turn>> {
    let served = move || prop::sample::subsequence((0..kinds).collect::<Vec<_>>(), 1..=3.min(kinds));
    let change = (0..endpoints, served());
    let error = || prop_oneof![4 => Just(0), 1 => -500i64..500, 1 => -100_000i64..100_000];
    let turn = (
        prop_oneof![4 => 1i64..10, 3 => 40i64..70, 1 => Just(100), 1 => 200i64..2000],
        prop::option::weighted(changes, change),
        vec(prop::bool::weighted(changes / 3.0), endpoints),
        error(),
        vec(prop::option::weighted(0.5, error()), endpoints),
        prop::option::weighted(0.03, 0..kinds),
        prop::bool::weighted(changes / 3.0),
    );
    (vec(served(), endpoints), vec(turn, 1..70)).prop_map(|(first, turns)| {
        let mut serving: Vec<BTreeSet<usize>> = first.into_iter().map(one_per_kid).collect();
        let mut revoked = BTreeSet::new();
        let turn = |(passed, change, failed, local_error, date_errors, revoke, new_leader)| {
            if let Some((endpoint, keys)) = change {
                serving[endpoint] = one_per_kid(keys);
            }
            revoked.extend(revoke);
            let failed: Vec<bool> = failed;
            Turn {
                passed,
                answers: serving
                    .iter()
                    .zip(&failed)
                    .map(|(keys, failed)| (!failed).then(|| keys.clone()))
                    .collect(),
                local_error,
                date_errors,
                revoked: revoked.clone(),
                new_leader,
            }
        };
        turns.into_iter().map(turn).collect()
    })
}

/// An answer with two keys of one kid would have been refused before the ring.
fn one_per_kid(keys: Vec<usize>) -> BTreeSet<usize> {
    let mut by_kid = BTreeMap::new();
    for index in keys {
        by_kid.insert(KIDS[index], index);
    }
    by_kid.into_values().collect()
}

/// What the model remembers of a cycle.
#[derive(Debug, Clone)]
struct Past {
    answers: Vec<Option<BTreeSet<usize>>>,
    earliest: i64,
    latest: i64,
    revoked: BTreeSet<usize>,
    new_leader: bool,
}

/// What is public after a history: live keys and marks, by key.
#[derive(Debug, Clone, Default, PartialEq)]
struct Public {
    live: BTreeSet<usize>,
    marked: BTreeMap<usize, i64>,
}

impl Public {
    fn holds(&self, index: usize) -> bool {
        self.live.contains(&index) || self.marked.contains_key(&index)
    }

    fn drop_key(&mut self, index: usize) {
        self.live.remove(&index);
        self.marked.remove(&index);
    }

    /// As published: live keys by kid, then the others by kid.
    fn kids(&self) -> Vec<String> {
        let sorted = |indices: Vec<usize>| {
            let mut kids: Vec<String> = indices.into_iter().map(|index| KIDS[index].to_owned()).collect();
            kids.sort();
            kids
        };
        [
            sorted(self.live.iter().copied().collect()),
            sorted(self.marked.keys().copied().collect()),
        ]
        .concat()
    }
}

fn replay(history: &[Past], addressing: Addressing) -> Public {
    let mut public = Public::default();
    let mut revoked = BTreeSet::new();
    for (now, past) in history.iter().enumerate() {
        revoked.extend(&past.revoked);
        revoked.iter().for_each(|index| public.drop_key(*index));

        // Served: what was read, and what is in force where nothing could be read. A key that is not public
        // by then is only a name.
        let mut served = BTreeSet::new();
        for endpoint in 0..past.answers.len() {
            match &past.answers[endpoint] {
                Some(keys) => served.extend(keys.iter().copied()),
                None if addressing == Addressing::Shared => served.extend(&public.live),
                None => {
                    let last = history[..now]
                        .iter()
                        .rev()
                        .find_map(|past| past.answers[endpoint].clone());
                    served.extend(
                        last.unwrap_or_default()
                            .into_iter()
                            .filter(|index| public.holds(*index)),
                    );
                }
            }
        }
        served.retain(|index| !revoked.contains(index));

        // One kid, one key.
        for kid in KIDS {
            let rivals: Vec<usize> = served
                .iter()
                .copied()
                .filter(|index| KIDS[*index] == kid)
                .collect();
            let holder = (0..KIDS.len()).find(|index| KIDS[*index] == kid && public.holds(*index));
            let keeps = |index: usize| {
                rivals.contains(&index) || (addressing == Addressing::Shared && public.live.contains(&index))
            };
            let Some(winner) = holder
                .filter(|index| keeps(*index))
                .or_else(|| rivals.iter().copied().min_by_key(|index| thumbprint(*index)))
            else {
                continue;
            };
            served.retain(|index| KIDS[*index] != kid || *index == winner && rivals.contains(&winner));
            if let Some(holder) = holder.filter(|holder| *holder != winner) {
                public.drop_key(holder);
            }
        }

        for index in &served {
            public.drop_key(*index);
            public.live.insert(*index);
        }
        for mark in public.marked.values_mut() {
            *mark = (*mark).min(past.latest);
        }
        if past.answers.iter().any(Option::is_none) {
            continue;
        }
        for index in public.live.clone() {
            let absent = match addressing {
                Addressing::Each => !served.contains(&index),
                Addressing::Shared => absent_polls(&history[..=now], index) >= SHARED_POLLS,
            };
            if absent && !served.contains(&index) {
                public.live.remove(&index);
                public.marked.insert(index, past.latest);
            }
        }
        public.marked.retain(|_, mark| past.earliest < *mark + RETENTION);
    }
    public
}

/// How many polls in a row, up to the last, did not see the key: counted by one leader, who begins anew.
fn absent_polls(history: &[Past], index: usize) -> usize {
    let mut polls = 0;
    for past in history.iter().rev() {
        match &past.answers[0] {
            Some(keys) if !keys.contains(&index) => polls += 1,
            _ => break,
        }
        if past.new_leader {
            break;
        }
    }
    polls
}

/// Runs the product on a schedule and calls `check` after every turn with the true time.
fn run(
    schedule: &[Turn],
    addressing: Addressing,
    right_clock: bool,
    mut check: impl FnMut(&KeyRing, &[Past], i64) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut ring = KeyRing::new(fresh_state(), policy(RETENTION.unsigned_abs()));
    let mut history: Vec<Past> = Vec::new();
    let mut time = 0;
    for turn in schedule {
        time += turn.passed;
        let mut policy = policy(RETENTION.unsigned_abs());
        policy.revoked = turn.revoked.iter().map(|index| thumbprint(*index)).collect();
        if turn.new_leader || policy.revoked.len() != history.last().map_or(0, |past| past.revoked.len()) {
            let text = serde_json::to_string(ring.state()).unwrap();
            let state: State = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&state, ring.state());
            ring = KeyRing::new(state, policy);
        }
        let names = |keys: &BTreeSet<usize>| keys.iter().map(|index| key(*index)).collect::<Vec<_>>();
        let answers: Vec<(&str, Option<Vec<Jwk>>)> = ENDPOINTS
            .into_iter()
            .zip(turn.answers.iter().map(|keys| keys.as_ref().map(names)))
            .collect();
        let mut observation = look(&answers);
        observation.addressing = addressing;

        // With `right_clock`, at least one clock of each cycle tells the true time.
        let mut clocks = vec![time + turn.local_error];
        for (endpoint, error) in turn.date_errors.iter().enumerate() {
            if let (Some(error), Some(_)) = (error, &turn.answers[endpoint]) {
                clocks.push(time + error);
                observation = dated(observation, ENDPOINTS[endpoint], at(time + error));
            }
        }
        if right_clock && !clocks.contains(&time) {
            clocks[0] = time;
        }
        ring.observe(&observation, at(clocks[0])).unwrap();
        history.push(Past {
            answers: turn.answers.clone(),
            earliest: *clocks.iter().min().unwrap(),
            latest: *clocks.iter().max().unwrap(),
            revoked: turn.revoked.clone(),
            new_leader: turn.new_leader
                || turn.revoked.len() != history.last().map_or(0, |past| past.revoked.len()),
        });
        check(&ring, &history, time)?;
    }
    Ok(())
}

/// The published keys, by index.
fn published(ring: &KeyRing) -> BTreeSet<usize> {
    let keys = ring.publishable();
    let keys = keys.iter().flatten();
    keys.map(|jwk| (0..KIDS.len()).find(|index| POOL[*index].0 == *jwk).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_naive_model_does(schedule in (1usize..4).prop_flat_map(|endpoints| schedule(endpoints, KIDS.len(), OFTEN))) {
        run(&schedule, Addressing::Each, false, |ring, history, _| {
            let model = replay(history, Addressing::Each);
            prop_assert_eq!(kids(ring), model.kids());
            prop_assert_eq!(published(ring), (0..KIDS.len()).filter(|index| model.holds(*index)).collect::<BTreeSet<_>>());
            let deadline = model.marked.values().min().map(|mark| at(mark + RETENTION));
            prop_assert_eq!(ring.next_deadline(), deadline);
            Ok(())
        })?;
    }

    #[test]
    fn does_what_the_naive_model_does_through_a_shared_address(schedule in schedule(1, KIDS.len(), RARELY)) {
        run(&schedule, Addressing::Shared, false, |ring, history, _| {
            let model = replay(history, Addressing::Shared);
            prop_assert_eq!(kids(ring), model.kids());
            Ok(())
        })?;
    }

    /// I2: a kid leaves only when no API server serves it and the retention has passed, by true time, since
    /// it was first observed absent from all of them; or by revocation. Without collisions, so that each kid
    /// is one key.
    #[test]
    fn no_key_leaves_early(
        schedule in (1usize..4).prop_flat_map(|endpoints| schedule(endpoints, 3, OFTEN)),
        shared in any::<bool>(),
    ) {
        let one = schedule[0].answers.len() == 1;
        let addressing = if shared && one { Addressing::Shared } else { Addressing::Each };
        let mut seen: BTreeMap<usize, i64> = BTreeMap::new();
        let mut absent_since: BTreeMap<usize, i64> = BTreeMap::new();
        run(&schedule, addressing, true, |ring, history, time| {
            let past = history.last().unwrap();
            let public = published(ring);
            for (index, kid) in KIDS.iter().enumerate().take(3) {
                let read = past.answers.iter().flatten().any(|keys| keys.contains(&index));
                if read {
                    seen.insert(index, time);
                    absent_since.remove(&index);
                } else if past.answers.iter().all(Option::is_some) && seen.contains_key(&index) {
                    absent_since.entry(index).or_insert(time);
                }
                let was_revoked = past.revoked.contains(&index);
                let may_be_gone = absent_since.get(&index).is_some_and(|since| time - since >= RETENTION);
                prop_assert!(
                    !seen.contains_key(&index) || public.contains(&index) || was_revoked || may_be_gone,
                    "{} left after {:?}", kid, absent_since.get(&index).map(|since| time - since)
                );
                // And nothing foreign (I3): what was never read is never public.
                prop_assert!(seen.contains_key(&index) || !public.contains(&index));
            }
            Ok(())
        })?;
    }

    /// I8: from the cycle that knows of it on, a revoked key is never public again.
    #[test]
    fn a_revoked_key_never_comes_back(schedule in (1usize..4).prop_flat_map(|endpoints| schedule(endpoints, KIDS.len(), OFTEN))) {
        let mut revoked: BTreeSet<usize> = BTreeSet::new();
        run(&schedule, Addressing::Each, false, |ring, history, _| {
            revoked.extend(&history.last().unwrap().revoked);
            prop_assert!(published(ring).is_disjoint(&revoked));
            // Not even for a leader whose configuration does not list it.
            let mut forgetful = KeyRing::new(ring.state().clone(), policy(100));
            forgetful.observe(&look(&[("1", Some((0..4).map(key).collect()))]), Timestamp::MAX).unwrap();
            prop_assert!(published(&forgetful).is_disjoint(&revoked));
            Ok(())
        })?;
    }
}

/// The schedules reach what they are for: without this, the properties above could hold of nothing.
#[test]
fn schedules_reach_every_rule() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut removed, mut returned, mut replaced, mut shared_marks) = (0, 0, 0, 0);
    for round in 0..120 {
        let shared = round % 3 == 0;
        let addressing = if shared {
            Addressing::Shared
        } else {
            Addressing::Each
        };
        let endpoints = if shared { 1 } else { 2 };
        let changes = if shared { RARELY } else { OFTEN };
        let schedule = schedule(endpoints, KIDS.len(), changes)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut before = Public::default();
        run(&schedule, addressing, false, |_, history, _| {
            let public = replay(history, addressing);
            let past = history.last().unwrap();
            for (index, _) in before
                .marked
                .iter()
                .filter(|(index, _)| !past.revoked.contains(*index))
            {
                removed += usize::from(!public.holds(*index));
                returned += usize::from(public.live.contains(index));
            }
            let swapped = |held: &Public, now: &Public| held.live.contains(&3) && now.live.contains(&4);
            replaced += usize::from(swapped(&before, &public));
            shared_marks += usize::from(shared && public.marked.len() > before.marked.len());
            before = public;
            Ok(())
        })
        .unwrap();
    }
    assert!(
        removed > 100 && returned > 50 && replaced > 10 && shared_marks > 10,
        "{removed} {returned} {replaced} {shared_marks}"
    );
}
