//! [`KeyRing`]: the rules of observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

use super::cycle::Cycle;
use super::{Event, KeyEntry, KeyState, Retention, State};
use crate::clock::Timestamp;
use crate::publication::{Headers, Publication};
use crate::source::Observation;
use crate::{IssuerUrl, KeySet, Limits, Refusal, Thumbprint};

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
    limits: Limits,
    /// Complete polls in a row, through a shared address, without a live key. Not kept in the state: a new
    /// leader counts again, which can only keep a key longer.
    pub(super) absent_polls: BTreeMap<Thumbprint, u32>,
}

impl KeyRing {
    /// A ring that goes on from a state.
    pub fn new(state: State, policy: Policy) -> Self {
        Self {
            state,
            policy,
            limits: Limits::default(),
            absent_polls: BTreeMap::new(),
        }
    }

    /// Publishes other numbers of keys than [`Limits::default`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
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
        let mut cycle = Cycle::new(observation, now);
        let next = cycle.change(self, Cycle::run);
        if let Err(refusal) = next.state.check_published(self.limits) {
            // A revocation waits for nothing, not even for a set that fits.
            *self = Cycle::new(observation, now).change(self, Cycle::revoke);
            return Err(refusal.into());
        }
        *self = next;
        Ok(cycle.events)
    }

    /// The keys to publish: the live ones, then the retiring and the unconfirmed ones.
    ///
    /// # Errors
    /// [`RingError::Nothing`] when that would be an empty set without a revocation behind it.
    pub fn publishable(&self) -> Result<KeySet, RingError> {
        let keys = self.state.published_within(self.limits)?;
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
