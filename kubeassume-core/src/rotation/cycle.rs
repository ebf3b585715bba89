//! One call of [`KeyRing::observe`]: what an observation changes, rule by rule.
//!
//! Maps of keys are in one order everywhere, that of the thumbprints, so that the same observation gives the
//! same events and the same state on every replica.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ring::{REMOVED_MEMORY, SHARED_ADDRESS_POLLS};
use super::{Clocks, EndpointKeys, Event, KeyEntry, KeyName, KeyRing, KeyState, Retention, ServedKey};
use crate::clock::Timestamp;
use crate::source::{Addressing, Answer, Observation};
use crate::{Jwk, Thumbprint};

/// One call of [`KeyRing::observe`].
pub(super) struct Cycle<'o> {
    observation: &'o Observation,
    clocks: Clocks,
    complete: bool,
    pub(super) events: Vec<Event>,
}

impl<'o> Cycle<'o> {
    pub(super) fn new(observation: &'o Observation, now: Timestamp) -> Self {
        let dates = observation.answers.values().filter_map(|answer| match answer {
            Answer::Read { date, .. } => *date,
            Answer::Failed(_) => None,
        });
        Self {
            observation,
            clocks: Clocks::new(now, dates),
            complete: observation.is_complete(),
            events: Vec::new(),
        }
    }

    /// The ring after a change. It raises the revision if something changes; the changed entries bear the
    /// raised one.
    pub(super) fn change(&mut self, ring: &KeyRing, change: impl FnOnce(&mut Self, &mut KeyRing)) -> KeyRing {
        let mut next = ring.clone();
        next.state.revision = ring.state.revision.saturating_add(1);
        change(self, &mut next);
        let raised = std::mem::replace(&mut next.state.revision, ring.state.revision);
        if next.state != ring.state {
            next.state.revision = raised;
        }
        next
    }

    pub(super) fn run(&mut self, ring: &mut KeyRing) {
        self.revoke(ring);
        let mut present = self.present(ring);
        self.settle_conflicts(ring, &mut present);
        self.serve(ring, &present);
        self.miss(ring, &present);
        self.expire(ring, &present);
        self.remember_endpoints(ring);
    }

    pub(super) fn revoke(&mut self, ring: &mut KeyRing) {
        for thumbprint in ring.policy.revoked.clone() {
            let known = ring.state.keys.get(&thumbprint);
            if known.is_some_and(|entry| entry.state.is_revoked()) {
                continue;
            }
            let kid = known.map(|entry| entry.kid.clone()).unwrap_or_default();
            self.events.push(Event::Revoked(KeyName {
                kid: kid.clone(),
                thumbprint: thumbprint.clone(),
            }));
            self.set(
                ring,
                &thumbprint,
                kid,
                KeyState::Revoked(self.clocks.latest()),
                None,
            );
        }
    }

    /// What is served: by endpoints that answered, and by the last good answer of those that did not. The
    /// latter have only names; the key itself is in its entry.
    fn present(&self, ring: &KeyRing) -> BTreeMap<Thumbprint, Option<Jwk>> {
        let mut present: BTreeMap<Thumbprint, Option<Jwk>> = BTreeMap::new();
        for (endpoint, answer) in &self.observation.answers {
            match answer {
                Answer::Read { parsed, .. } => {
                    for key in &parsed.keys {
                        let slot = present.entry(key.thumbprint()).or_default();
                        // One key in two forms at two endpoints: the published one stays while it is served.
                        let published = ring.state.keys.get(&key.thumbprint());
                        let likeness = |key: &Jwk| {
                            published.map(|entry| (entry.jwk.as_ref() == Some(key), entry.kid == key.kid()))
                        };
                        if slot.as_ref().is_none_or(|other| likeness(other) < likeness(key)) {
                            *slot = Some(key.clone());
                        }
                    }
                }
                Answer::Failed(_) => {
                    for served in ring
                        .state
                        .endpoints
                        .get(endpoint)
                        .iter()
                        .flat_map(|last| &last.keys)
                    {
                        let slot = present.entry(served.thumbprint.clone()).or_default();
                        let published = ring.state.keys.get(&served.thumbprint);
                        if let Some(entry) = published.filter(|entry| entry.kid == served.kid) {
                            *slot = entry.jwk.clone().or(slot.take());
                        }
                    }
                }
            }
        }
        present.retain(|thumbprint, key| match ring.state.keys.get(thumbprint) {
            Some(entry) => !entry.state.is_revoked() && (key.is_some() || entry.jwk.is_some()),
            None => key.is_some(),
        });
        present
    }

    /// One `kid`, several keys: the published one stays while anything serves it, else it is replaced.
    fn settle_conflicts(&mut self, ring: &mut KeyRing, present: &mut BTreeMap<Thumbprint, Option<Jwk>>) {
        for (kid, served) in contested(ring, present) {
            let mut published: Vec<(&Thumbprint, &KeyEntry)> = ring
                .state
                .keys
                .iter()
                .filter(|(_, entry)| entry.kid == kid && entry.state.is_published())
                .collect();
            published.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.precedence()));
            let published: Vec<Thumbprint> = published
                .into_iter()
                .map(|(thumbprint, _)| thumbprint.clone())
                .collect();
            let incumbent = published
                .iter()
                .find(|thumbprint| served.contains(*thumbprint) || self.may_be_served(ring, thumbprint));
            let Some(winner) = incumbent.or(served.first()).or(published.first()) else {
                continue;
            };
            let name = KeyName {
                kid: kid.clone(),
                thumbprint: winner.clone(),
            };
            for refused in served.iter().filter(|thumbprint| *thumbprint != winner) {
                present.remove(refused);
                self.events.push(Event::Conflict {
                    published: name.clone(),
                    refused: refused.clone(),
                });
            }
            for replaced in published.iter().filter(|thumbprint| *thumbprint != winner) {
                self.events.push(Event::Conflict {
                    published: name.clone(),
                    refused: replaced.clone(),
                });
                self.remove(ring, replaced);
            }
        }
    }

    /// Through a shared address one poll proves no absence: a live key counts as served until it is marked,
    /// or two servers behind it would replace each other's key at every poll.
    fn may_be_served(&self, ring: &KeyRing, thumbprint: &Thumbprint) -> bool {
        let entry = ring.state.keys.get(thumbprint);
        self.observation.addressing == Addressing::Shared
            && entry.is_some_and(|entry| matches!(entry.state, KeyState::Live(_)))
    }

    /// What is present is live.
    fn serve(&mut self, ring: &mut KeyRing, present: &BTreeMap<Thumbprint, Option<Jwk>>) {
        let mut new = Vec::new();
        for (thumbprint, served) in present {
            ring.absent_polls.remove(thumbprint);
            match (ring.state.keys.get_mut(thumbprint), served) {
                (Some(entry), served) => self.serve_known(entry, served.as_ref(), ring.state.revision),
                (None, Some(key)) => {
                    self.events.push(Event::NewKey(key.into()));
                    let entry = KeyEntry {
                        revision: ring.state.revision,
                        kid: key.kid().to_owned(),
                        state: KeyState::Live(self.clocks.latest()),
                        jwk: Some(key.clone()),
                        unknown: serde_json::Map::new(),
                    };
                    new.push((thumbprint.clone(), entry));
                }
                (None, None) => {}
            }
        }
        // They come in order: together they cost less than each on its own.
        ring.state.keys.append(&mut new.into_iter().collect());
    }

    fn serve_known(&mut self, entry: &mut KeyEntry, served: Option<&Jwk>, revision: u64) {
        let Some(key) = served.or(entry.jwk.as_ref()).cloned() else {
            return;
        };
        let since = match entry.state {
            KeyState::Live(since) if entry.jwk.as_ref() != Some(&key) => since,
            KeyState::Live(_) | KeyState::Revoked(_) => return,
            KeyState::Retiring(_) | KeyState::Unconfirmed(_) => {
                self.events.push(Event::Returned((&key).into()));
                self.clocks.latest()
            }
            KeyState::Removed(_) => {
                self.events.push(Event::NewKey((&key).into()));
                self.clocks.latest()
            }
        };
        entry.revision = revision;
        entry.kid = key.kid().to_owned();
        entry.state = KeyState::Live(since);
        entry.jwk = Some(key);
    }

    /// Marks live keys that nothing serves, in a cycle that read everything.
    fn miss(&mut self, ring: &mut KeyRing, present: &BTreeMap<Thumbprint, Option<Jwk>>) {
        if !self.complete {
            return;
        }
        // Both are in one order: side by side, no key has to be looked up.
        let mut served = present.keys().peekable();
        let missing: Vec<(Thumbprint, String)> = ring
            .state
            .keys
            .iter()
            .filter(|(thumbprint, entry)| {
                while served.next_if(|served| served < thumbprint).is_some() {}
                matches!(entry.state, KeyState::Live(_)) && served.peek() != Some(thumbprint)
            })
            .map(|(thumbprint, entry)| (thumbprint.clone(), entry.kid.clone()))
            .collect();
        for (thumbprint, kid) in missing {
            if self.observation.addressing == Addressing::Shared {
                let polls = ring.absent_polls.entry(thumbprint.clone()).or_default();
                *polls += 1;
                if *polls < SHARED_ADDRESS_POLLS {
                    continue;
                }
                ring.absent_polls.remove(&thumbprint);
            }
            let since = self.clocks.latest();
            let until = ring.policy.retention.ends(since);
            let key = KeyName {
                kid: kid.clone(),
                thumbprint: thumbprint.clone(),
            };
            self.events.push(Event::Retiring { key, until });
            let jwk = ring
                .state
                .keys
                .get(&thumbprint)
                .and_then(|entry| entry.jwk.clone());
            self.set(ring, &thumbprint, kid, KeyState::Retiring(since), jwk);
        }
    }

    /// Ends retentions, in a cycle that read everything; forgets old tombstones; pulls back marks that a
    /// clock set in the future.
    fn expire(&mut self, ring: &mut KeyRing, present: &BTreeMap<Thumbprint, Option<Jwk>>) {
        let latest = self.clocks.latest();
        let over = |since| self.clocks.is_past(ring.policy.retention.ends(since));
        let forgotten = |since| self.clocks.is_past(Retention::new(REMOVED_MEMORY).ends(since));
        let end = |(thumbprint, entry): (&Thumbprint, &KeyEntry)| {
            let (since, rewound) = match entry.state {
                KeyState::Removed(since) if forgotten(since) => return Some(End::Forget),
                KeyState::Retiring(since) => (since, KeyState::Retiring(latest)),
                KeyState::Unconfirmed(since) => (since, KeyState::Unconfirmed(latest)),
                KeyState::Live(_) | KeyState::Removed(_) | KeyState::Revoked(_) => return None,
            };
            if since > latest {
                Some(End::Rewind(rewound))
            } else if self.complete && !present.contains_key(thumbprint) && over(since) {
                Some(End::Remove)
            } else {
                None
            }
        };
        let ends: Vec<(Thumbprint, End)> = ring
            .state
            .keys
            .iter()
            .filter_map(|key| Some((key.0.clone(), end(key)?)))
            .collect();
        for (thumbprint, end) in ends {
            match end {
                End::Forget => drop(ring.state.keys.remove(&thumbprint)),
                End::Remove => self.remove(ring, &thumbprint),
                End::Rewind(state) => {
                    if let Some(entry) = ring.state.keys.get_mut(&thumbprint) {
                        entry.state = state;
                        entry.revision = ring.state.revision;
                    }
                }
            }
        }
    }

    /// The lists that stay in force when an endpoint fails. A shared address has no list of its own that
    /// two polls would agree on: it stands for every key that is still live.
    fn remember_endpoints(&self, ring: &mut KeyRing) {
        let last = std::mem::take(&mut ring.state.endpoints);
        for (endpoint, answer) in &self.observation.answers {
            let keys = match (answer, self.observation.addressing) {
                (Answer::Failed(_), _) => match last.get(endpoint) {
                    Some(last) => last.clone(),
                    None => continue,
                },
                (Answer::Read { parsed, .. }, Addressing::Each) => EndpointKeys {
                    keys: parsed
                        .keys
                        .iter()
                        .map(|key| ServedKey {
                            kid: key.kid().to_owned(),
                            thumbprint: key.thumbprint(),
                        })
                        .collect(),
                },
                (Answer::Read { .. }, Addressing::Shared) => EndpointKeys {
                    keys: ring
                        .state
                        .keys
                        .iter()
                        .filter(|(_, entry)| matches!(entry.state, KeyState::Live(_)))
                        .map(|(thumbprint, entry)| ServedKey {
                            kid: entry.kid.clone(),
                            thumbprint: thumbprint.clone(),
                        })
                        .collect(),
                },
            };
            ring.state.endpoints.insert(endpoint.clone(), keys);
        }
    }

    fn remove(&mut self, ring: &mut KeyRing, thumbprint: &Thumbprint) {
        let Some(entry) = ring.state.keys.get(thumbprint) else {
            return;
        };
        let name = entry.name(thumbprint);
        self.events.push(Event::Removed(name.clone()));
        self.set(
            ring,
            thumbprint,
            name.kid,
            KeyState::Removed(self.clocks.latest()),
            None,
        );
    }

    fn set(
        &self,
        ring: &mut KeyRing,
        thumbprint: &Thumbprint,
        kid: String,
        state: KeyState,
        jwk: Option<Jwk>,
    ) {
        let changed = KeyEntry {
            revision: ring.state.revision,
            kid,
            state,
            jwk,
            unknown: serde_json::Map::new(),
        };
        match ring.state.keys.entry(thumbprint.clone()) {
            Entry::Vacant(free) => drop(free.insert(changed)),
            Entry::Occupied(mut known) => {
                let unknown = std::mem::take(&mut known.get_mut().unknown);
                known.insert(KeyEntry { unknown, ..changed });
            }
        }
    }
}

/// What becomes of a key whose time is over, or was set by a wrong clock.
enum End {
    Forget,
    Remove,
    Rewind(KeyState),
}

/// The `kid`s that more than one key has, with those that are served.
fn contested(
    ring: &KeyRing,
    present: &BTreeMap<Thumbprint, Option<Jwk>>,
) -> BTreeMap<String, BTreeSet<Thumbprint>> {
    let known = &ring.state.keys;
    let served = || {
        present.iter().filter_map(|(thumbprint, key)| {
            let kid = match key {
                Some(key) => key.kid(),
                None => known.get(thumbprint)?.kid.as_str(),
            };
            Some((kid, thumbprint))
        })
    };
    let published = known.iter().filter(|(_, entry)| entry.state.is_published());
    let published = published.map(|(thumbprint, entry)| (entry.kid.as_str(), thumbprint));
    let mut first: HashMap<&str, &Thumbprint> = HashMap::with_capacity(present.len());
    let mut contested: BTreeMap<String, BTreeSet<Thumbprint>> = BTreeMap::new();
    for (kid, thumbprint) in served().chain(published) {
        if *first.entry(kid).or_insert(thumbprint) != thumbprint {
            contested.entry(kid.to_owned()).or_default();
        }
    }
    if !contested.is_empty() {
        for (kid, thumbprint) in served() {
            if let Some(served) = contested.get_mut(kid) {
                served.insert(thumbprint.clone());
            }
        }
    }
    contested
}
