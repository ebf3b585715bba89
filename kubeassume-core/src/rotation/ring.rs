//! [`KeyRing`]: the rules of observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

use super::{Clocks, EndpointKeys, Event, KeyEntry, KeyName, KeyState, Retention, ServedKey, State};
use crate::clock::Timestamp;
use crate::publication::{Headers, Publication};
use crate::source::{Addressing, Answer, Observation};
use crate::{IssuerUrl, Jwk, KeySet, Refusal, Thumbprint};

/// How long a removed key is remembered.
pub const REMOVED_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Through one address that stands for several servers, a key counts as absent after so many complete
/// polls in a row without it.
pub const SHARED_ADDRESS_POLLS: u32 = 20;

/// The rules that a user chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a vanished key stays public.
    pub retention: Retention,
    /// Keys that must not be public, whatever serves them.
    pub revoked: BTreeSet<Thumbprint>,
    /// What becomes of keys that only the public copy has when no state explains them.
    pub on_state_loss: OnStateLoss,
}

impl Policy {
    /// This retention, nothing revoked, and unconfirmed keys kept.
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            revoked: BTreeSet::new(),
            on_state_loss: OnStateLoss::Keep,
        }
    }
}

/// What becomes of keys that only the public copy has when no state explains them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStateLoss {
    /// They stay for one retention, with an alarm: tokens that they signed may still be in use.
    #[default]
    Keep,
    /// They go at once.
    Drop,
}

/// The keys of one issuer and the rules by which they come and go.
///
/// ```
/// use std::time::Duration;
/// use kubeassume_core::{Event, Headers, KeyRing, KeySet, Observation, Owner, Policy, Retention, State, Timestamp};
///
/// let policy = Policy::new(Retention::new(Duration::from_secs(3600)));
/// let state = State::new(Owner::from_random(1), Headers { max_age_seconds: 300 });
/// let mut ring = KeyRing::new(state, policy);
///
/// let served = KeySet::parse(br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a",
///     "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#)?;
/// let events = ring.observe(&Observation::of("api-1", served), Timestamp::UNIX_EPOCH)?;
/// assert!(matches!(&events[..], [Event::NewKey(key)] if key.kid == "a"));
/// assert_eq!(ring.publishable()?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRing {
    pub(super) state: State,
    pub(super) policy: Policy,
    /// Complete polls in a row, through a shared address, without a live key. Not kept in the state: a new
    /// leader counts again, which can only keep a key longer.
    absent_polls: BTreeMap<Thumbprint, u32>,
}

impl KeyRing {
    /// A ring that goes on from a state.
    pub fn new(state: State, policy: Policy) -> Self {
        Self {
            state,
            policy,
            absent_polls: BTreeMap::new(),
        }
    }

    /// Goes on from another state, keeping only what is counted in memory.
    pub fn resume(&mut self, state: State) {
        self.state = state;
    }

    /// What has to be saved.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Gives the state up.
    pub fn into_state(self) -> State {
        self.state
    }

    /// Takes one cycle's answers into account, seen at `now` by the local clock.
    ///
    /// # Errors
    /// [`RingError::Limit`] when the keys together exceed what relying parties read; then nothing but
    /// revocations was taken into account.
    pub fn observe(&mut self, observation: &Observation, now: Timestamp) -> Result<Vec<Event>, RingError> {
        let mut next = self.clone();
        let events = Cycle::new(observation, now).run(&mut next);
        if let Err(refusal) = next.state.published() {
            // A revocation waits for nothing, not even for a set that fits.
            Cycle::new(observation, now).change(self, Cycle::revoke);
            return Err(refusal.into());
        }
        *self = next;
        Ok(events)
    }

    /// The keys to publish: the live ones, then the retiring and the unconfirmed ones.
    ///
    /// # Errors
    /// [`RingError::Nothing`] when that would be an empty set without a revocation behind it.
    pub fn publishable(&self) -> Result<KeySet, RingError> {
        let keys = self.state.published()?;
        if keys.is_empty() && !self.state.keys.values().any(|entry| entry.state.is_revoked()) {
            return Err(RingError::Nothing);
        }
        Ok(keys)
    }

    /// The publication of this state, with new generations where documents changed. Raises the revision
    /// only then.
    ///
    /// # Errors
    /// As [`publishable`](Self::publishable).
    pub fn publication(&mut self, issuer: &IssuerUrl, now: Timestamp) -> Result<Publication, RingError> {
        let keys = self.publishable()?;
        let mut marks = self.state.documents.clone();
        let publication = Publication::draw(
            issuer,
            self.state.owner,
            &keys,
            &self.state.headers,
            &mut marks,
            now,
        );
        if marks != self.state.documents {
            self.state.documents = marks;
            self.state.revision = self.state.revision.saturating_add(1);
        }
        Ok(publication)
    }

    /// Publishes other headers from now on.
    pub fn set_headers(&mut self, headers: Headers) {
        if self.state.headers != headers {
            self.state.headers = headers;
            self.state.revision = self.state.revision.saturating_add(1);
        }
    }

    /// Raises the revision and nothing else: saved by compare-and-swap, it fences every earlier leader.
    pub fn fence(&mut self) {
        self.state.revision = self.state.revision.saturating_add(1);
    }

    /// When a key's retention ends next, by the marks alone.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let ends = |entry: &KeyEntry| match entry.state {
            KeyState::Retiring(since) | KeyState::Unconfirmed(since) => {
                Some(self.policy.retention.ends(since))
            }
            _ => None,
        };
        self.state.keys.values().filter_map(ends).min()
    }
}

/// Why a ring has nothing to publish.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RingError {
    /// All keys together exceed what relying parties read, or clash.
    #[error("the keys of all API servers together cannot be published: {0}")]
    Limit(#[from] Refusal),
    /// No key was ever observed.
    #[error("there is no key to publish yet")]
    Nothing,
}

/// One call of [`KeyRing::observe`].
struct Cycle<'o> {
    observation: &'o Observation,
    clocks: Clocks,
    complete: bool,
    events: Vec<Event>,
}

impl<'o> Cycle<'o> {
    fn new(observation: &'o Observation, now: Timestamp) -> Self {
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

    fn run(mut self, ring: &mut KeyRing) -> Vec<Event> {
        self.change(ring, |cycle, ring| {
            cycle.revoke(ring);
            let mut present = cycle.present(ring);
            cycle.settle_conflicts(ring, &mut present);
            for (thumbprint, key) in &present {
                cycle.serve(ring, thumbprint, key.as_ref());
            }
            cycle.miss(ring, &present);
            cycle.expire(ring, &present);
            cycle.remember_endpoints(ring);
        });
        self.events
    }

    /// Raises the revision if something changes; the changed entries bear the raised one.
    fn change(&mut self, ring: &mut KeyRing, change: impl FnOnce(&mut Self, &mut KeyRing)) {
        let before = ring.state.clone();
        ring.state.revision = ring.state.revision.saturating_add(1);
        change(self, ring);
        let raised = std::mem::replace(&mut ring.state.revision, before.revision);
        if ring.state != before {
            ring.state.revision = raised;
        }
    }

    fn revoke(&mut self, ring: &mut KeyRing) {
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
        let mut by_kid: BTreeMap<String, BTreeSet<Thumbprint>> = BTreeMap::new();
        for (thumbprint, key) in present.iter() {
            let kid = match (key, ring.state.keys.get(thumbprint)) {
                (Some(key), _) => key.kid(),
                (None, Some(entry)) => entry.kid.as_str(),
                (None, None) => continue,
            };
            by_kid
                .entry(kid.to_owned())
                .or_default()
                .insert(thumbprint.clone());
        }
        for entry in ring
            .state
            .keys
            .values()
            .filter(|entry| entry.state.is_published())
        {
            by_kid.entry(entry.kid.clone()).or_default();
        }
        for (kid, served) in by_kid {
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

    fn serve(&mut self, ring: &mut KeyRing, thumbprint: &Thumbprint, key: Option<&Jwk>) {
        ring.absent_polls.remove(thumbprint);
        let entry = ring.state.keys.get(thumbprint);
        let Some(key) = key.or(entry.and_then(|entry| entry.jwk.as_ref())).cloned() else {
            return;
        };
        let name = KeyName::from(&key);
        let since = match entry.map(|entry| entry.state) {
            Some(KeyState::Live(since)) if entry.is_some_and(|entry| entry.jwk.as_ref() != Some(&key)) => {
                since
            }
            Some(KeyState::Live(_) | KeyState::Revoked(_)) => return,
            Some(KeyState::Retiring(_) | KeyState::Unconfirmed(_)) => {
                self.events.push(Event::Returned(name.clone()));
                self.clocks.latest()
            }
            Some(KeyState::Removed(_)) | None => {
                self.events.push(Event::NewKey(name.clone()));
                self.clocks.latest()
            }
        };
        self.set(ring, thumbprint, name.kid, KeyState::Live(since), Some(key));
    }

    /// Marks live keys that nothing serves, in a cycle that read everything.
    fn miss(&mut self, ring: &mut KeyRing, present: &BTreeMap<Thumbprint, Option<Jwk>>) {
        if !self.complete {
            return;
        }
        let missing: Vec<(Thumbprint, String)> = ring
            .state
            .keys
            .iter()
            .filter(|(thumbprint, entry)| {
                matches!(entry.state, KeyState::Live(_)) && !present.contains_key(*thumbprint)
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
        for (thumbprint, entry) in ring.state.keys.clone() {
            let (since, rewind): (Timestamp, fn(Timestamp) -> KeyState) = match entry.state {
                KeyState::Retiring(since) => (since, KeyState::Retiring),
                KeyState::Unconfirmed(since) => (since, KeyState::Unconfirmed),
                KeyState::Removed(since) => {
                    if self.clocks.is_past(Retention::new(REMOVED_MEMORY).ends(since)) {
                        ring.state.keys.remove(&thumbprint);
                    }
                    continue;
                }
                KeyState::Live(_) | KeyState::Revoked(_) => continue,
            };
            if since > latest {
                self.set(ring, &thumbprint, entry.kid, rewind(latest), entry.jwk);
            } else if self.complete
                && !present.contains_key(&thumbprint)
                && self.clocks.is_past(ring.policy.retention.ends(since))
            {
                self.remove(ring, &thumbprint);
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
        let unknown = ring
            .state
            .keys
            .get(thumbprint)
            .map(|entry| entry.unknown.clone())
            .unwrap_or_default();
        let revision = ring.state.revision;
        ring.state.keys.insert(
            thumbprint.clone(),
            KeyEntry {
                revision,
                kid,
                state,
                jwk,
                unknown,
            },
        );
    }
}
