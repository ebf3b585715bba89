//! [`State`]: everything that must survive a restart, in a versioned form, and the join of two of them.
//!
//! States form a join-semilattice: [`State::join`] is commutative, associative and idempotent, and a
//! revocation is never lost in it. That is what lets any replica that has seen more repair a state that
//! was deleted, edited or rolled back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::KeyName;
use crate::clock::Timestamp;
use crate::key_set::Count;
use crate::publication::{DocumentMark, DocumentMarks, Headers, Owner};
use crate::{Jwk, KeySet, Limits, Refusal, Thumbprint};

/// The schema that this version writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The state of one issuer's publication: `state.json`.
///
/// Fields that a newer version added survive a rewrite by this one, as long as that version's `minReader`
/// allows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The schema it was written with.
    pub schema_version: u32,
    /// The lowest schema whose software may rewrite it.
    pub min_reader: u32,
    /// Rises with every change.
    pub revision: u64,
    /// Who publishes.
    pub owner: Owner,
    /// The headers that all replicas publish.
    pub headers: Headers,
    /// The generation of each document and what it stood for.
    pub documents: DocumentMarks,
    /// The locations that this state may write to.
    #[serde(default)]
    pub claims: BTreeMap<String, Claim>,
    /// The keys that each listed endpoint served last.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointKeys>,
    /// What is known of each key, by thumbprint.
    #[serde(default)]
    pub keys: BTreeMap<Thumbprint, KeyEntry>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// That this state owns a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// When it was claimed.
    pub since: Timestamp,
    /// Whether it was occupied and taken over on somebody's order.
    #[serde(default)]
    pub taken_over: bool,
}

/// The last good answer of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointKeys {
    /// Its keys, in order.
    pub keys: Vec<ServedKey>,
}

/// A key as an endpoint serves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServedKey {
    /// Its name.
    pub kid: String,
    /// Its identity.
    pub thumbprint: Thumbprint,
}

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEntry {
    /// The state's revision that last changed this entry.
    pub revision: u64,
    /// Its `kid`; empty for a key that was revoked before it was ever seen.
    #[serde(default)]
    pub kid: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: KeyState,
    /// The key itself, as long as it may be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Jwk>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Where a key stands. See the diagram in [`rotation`](crate::rotation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "since", rename_all = "camelCase")]
pub enum KeyState {
    /// Served by an API server.
    Live(Timestamp),
    /// Observed absent everywhere since then; published until its retention ends.
    Retiring(Timestamp),
    /// Found only in the public copy then, with no state to explain it; published for one retention.
    Unconfirmed(Timestamp),
    /// No longer published since then; remembered for 30 days.
    Removed(Timestamp),
    /// Revoked then; never published again.
    Revoked(Timestamp),
}

impl KeyState {
    /// Whether the key is published.
    pub fn is_published(self) -> bool {
        matches!(self, Self::Live(_) | Self::Retiring(_) | Self::Unconfirmed(_))
    }

    /// Whether the key was revoked.
    pub fn is_revoked(self) -> bool {
        matches!(self, Self::Revoked(_))
    }

    /// Since when the key stands there.
    pub fn since(self) -> Timestamp {
        match self {
            Self::Live(at)
            | Self::Retiring(at)
            | Self::Unconfirmed(at)
            | Self::Removed(at)
            | Self::Revoked(at) => at,
        }
    }

    /// The state's name, as tables and `state.json` show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live(_) => "live",
            Self::Retiring(_) => "retiring",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::Removed(_) => "removed",
            Self::Revoked(_) => "revoked",
        }
    }
}

impl State {
    /// A state before its first observation.
    pub fn new(owner: Owner, headers: Headers) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            min_reader: SCHEMA_VERSION,
            revision: 0,
            owner,
            headers,
            documents: DocumentMarks::NONE,
            claims: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            keys: BTreeMap::new(),
            unknown: Map::new(),
        }
    }

    /// The keys that this state publishes: the live ones, then the retiring and the unconfirmed ones.
    ///
    /// # Errors
    /// [`Refusal::TooManyKeys`].
    pub fn published(&self) -> Result<KeySet, Refusal> {
        self.published_within(Limits::default())
    }

    /// Whether [`published_within`](Self::published_within) has an answer, without putting it together.
    pub(super) fn check_published(&self, limits: Limits) -> Result<(), Refusal> {
        let entries = self.keys.values().filter(|entry| entry.state.is_published());
        let mut count = Count::default();
        for entry in entries {
            let Some(key) = &entry.jwk else { continue };
            // As good as always. What was edited by hand, or counts one kid twice, needs a closer look.
            if entry.kid != key.kid() || count.add(limits, key).is_err() {
                return self.published_within(limits).map(drop);
            }
        }
        Ok(())
    }

    pub(super) fn published_within(&self, limits: Limits) -> Result<KeySet, Refusal> {
        let mut entries: Vec<&KeyEntry> = Vec::with_capacity(self.keys.len());
        entries.extend(self.keys.values().filter(|entry| entry.state.is_published()));
        // Two histories, joined, may have given one kid to two keys; the next cycle settles that.
        entries.sort_by(|a, b| {
            a.kid
                .cmp(&b.kid)
                .then_with(|| b.precedence().cmp(&a.precedence()))
        });
        entries.dedup_by(|b, a| a.kid == b.kid);
        let of = |live: bool| {
            entries
                .iter()
                .filter(move |entry| matches!(entry.state, KeyState::Live(_)) == live)
                .filter_map(|entry| entry.jwk.clone())
        };
        KeySet::within(limits, of(true), of(false))
    }

    /// The least state that is above both: per key the entry of higher revision, a revocation always;
    /// revision and generations the larger; all else from the state of higher revision.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let (mut above, below) = if self.rank() >= other.rank() {
            (self.clone(), other)
        } else {
            (other.clone(), self)
        };
        above.documents = DocumentMarks {
            jwks: larger(&self.documents.jwks, &other.documents.jwks),
            discovery: larger(&self.documents.discovery, &other.documents.discovery),
        };
        for (thumbprint, entry) in &below.keys {
            match above.keys.get_mut(thumbprint) {
                Some(own) if own.rank() >= entry.rank() => {}
                Some(own) => *own = entry.clone(),
                None => {
                    above.keys.insert(thumbprint.clone(), entry.clone());
                }
            }
        }
        above
    }

    /// Whether this stored state lacks something that `memory` has: somebody deleted, edited or rolled it
    /// back. A tombstone is no such thing: it is forgotten on purpose after 30 days, and a memory that read
    /// late may still have it.
    pub fn lacks(&self, memory: &Self) -> bool {
        self.revision < memory.revision
            || self.documents.jwks.generation < memory.documents.jwks.generation
            || self.documents.discovery.generation < memory.documents.discovery.generation
            || memory
                .keys
                .iter()
                .any(|(thumbprint, entry)| match self.keys.get(thumbprint) {
                    None => !matches!(entry.state, KeyState::Removed(_)),
                    Some(own) => own.rank() < entry.rank(),
                })
    }

    /// This state again, as the one that replaces a lost, corrupt or rolled-back one: a revision above all,
    /// and every retention begins anew, because nobody knows how long nobody looked.
    #[must_use]
    pub fn restarted(mut self, now: Timestamp) -> Self {
        // Above the entries too: edited by hand, one of them may be ahead of its state.
        let highest = self
            .keys
            .values()
            .map(|entry| entry.revision)
            .fold(self.revision, u64::max);
        self.revision = highest.saturating_add(1);
        for entry in self.keys.values_mut() {
            let restarted = match entry.state {
                KeyState::Retiring(since) => KeyState::Retiring(since.max(now)),
                KeyState::Unconfirmed(since) => KeyState::Unconfirmed(since.max(now)),
                other => other,
            };
            if restarted != entry.state {
                entry.state = restarted;
                entry.revision = self.revision;
            }
        }
        self
    }

    /// Whether this version of the software may rewrite the state.
    pub fn is_writable(&self) -> bool {
        self.min_reader <= SCHEMA_VERSION
    }

    /// Orders whole states: by revision, then by all that is not joined piece by piece.
    fn rank(&self) -> (u64, String) {
        let registers = (
            (self.schema_version, self.min_reader, self.owner, &self.headers),
            (&self.claims, &self.endpoints, &self.unknown),
        );
        (self.revision, canonical(&registers))
    }
}

impl KeyEntry {
    /// How events name the key.
    pub fn name(&self, thumbprint: &Thumbprint) -> KeyName {
        KeyName {
            kid: self.kid.clone(),
            thumbprint: thumbprint.clone(),
        }
    }

    /// Which of two published keys of one kid comes first: a live one, then that which was written last.
    pub(super) fn precedence(&self) -> (bool, u64) {
        (matches!(self.state, KeyState::Live(_)), self.revision)
    }

    /// Orders what two states say of one key.
    fn rank(&self) -> (bool, u64, String) {
        (self.state.is_revoked(), self.revision, canonical(self))
    }
}

fn larger(a: &DocumentMark, b: &DocumentMark) -> DocumentMark {
    a.max(b).clone()
}

fn canonical(value: &impl Serialize) -> String {
    // Maps with string keys only: serde_json has nothing to fail on.
    serde_json::to_string(value).unwrap_or_default()
}
