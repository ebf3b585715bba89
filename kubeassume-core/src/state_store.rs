//! Where the state lives: one object, replaced by compare-and-swap, read afresh.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use thiserror::Error;

use crate::publication::{
    DISCOVERY_CONTENT_TYPE, Document, DocumentMarks, Headers, JWKS_CONTENT_TYPE, Owner, Publication,
};
use crate::rotation::{SCHEMA_VERSION, State};
use crate::store::DocumentPath;
use crate::{DiscoveryClaims, IssuerUrl, KeySet, Refusal};

/// The largest encoded snapshot, in bytes: etcd refuses objects over 1.5 MiB and the API server ConfigMaps
/// over 1 MiB.
pub const MAX_SNAPSHOT_BYTES: usize = 900 << 10;

/// Names of the three entries, as the ConfigMap has them.
pub const SNAPSHOT_ENTRIES: [&str; 3] = ["discovery.json", "jwks.json", "state.json"];

/// One object that holds the state and the documents drawn from it.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Reads what is stored now, never from a cache: a quorum read.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read; an object that is absent or unreadable is [`Stored`].
    async fn load(&self) -> Result<Loaded, StateError>;

    /// Replaces the version that was loaded, or creates the object where none was.
    ///
    /// # Errors
    /// [`StateError::Conflict`] when another version is there by now.
    async fn save(
        &self,
        snapshot: &Snapshot,
        loaded: Option<&StateVersion>,
    ) -> Result<StateVersion, StateError>;

    /// Returns when the stored version may differ from `seen`: a hint to load again, possibly for nothing.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] when the connection broke, which is when API servers restart and keys
    /// rotate.
    async fn changed(&self, seen: Option<&StateVersion>) -> Result<(), StateError>;
}

/// What a load found.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The contents.
    pub stored: Stored,
    /// The version to give to [`StateStore::save`]; `None` when there is no object.
    pub version: Option<StateVersion>,
}

/// The contents of the object.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// There is no object.
    Missing,
    /// It is no snapshot: edited or damaged. To be rewritten.
    Corrupt(Corrupt),
    /// A newer version of the software wrote it. Never overwritten; its documents are still published, if
    /// this version can tell that they are whole.
    Newer(Option<Publication>),
    /// A snapshot.
    Snapshot(Box<Snapshot>),
}

/// A version of the stored object: the ConfigMap's `resourceVersion`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StateVersion(pub String);

/// A state, and the publication drawn from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// Its documents.
    pub publication: Publication,
}

impl Snapshot {
    /// The three entries, in the order of [`SNAPSHOT_ENTRIES`].
    ///
    /// # Errors
    /// [`StateError::TooLarge`] over [`MAX_SNAPSHOT_BYTES`].
    pub fn encode(&self) -> Result<[String; 3], StateError> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let state =
            serde_json::to_string_pretty(&self.state).map_err(|e| StateError::Invalid(e.to_string()))?;
        let entries = [
            text(&self.publication.discovery.bytes),
            text(&self.publication.jwks.bytes),
            state,
        ];
        if entries.iter().map(String::len).sum::<usize>() > MAX_SNAPSHOT_BYTES {
            return Err(StateError::TooLarge);
        }
        Ok(entries)
    }

    /// Reads the three entries back, for one issuer, checking that the documents are the ones that the
    /// state stands for: bytes, headers, issuer, and exactly the keys that the state publishes.
    pub fn decode(entries: [&str; 3], issuer: &IssuerUrl) -> Stored {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Reader {
            min_reader: u32,
        }
        let newer = serde_json::from_str(entries[2]).is_ok_and(|r: Reader| r.min_reader > SCHEMA_VERSION);
        match decode_documents(entries, issuer) {
            documents if newer => Stored::Newer(documents.ok().map(|(publication, _)| publication)),
            Ok((publication, keys)) => match decode_state(entries[2], &keys) {
                Ok(state) => Stored::Snapshot(Box::new(Snapshot { state, publication })),
                Err(corrupt) => Stored::Corrupt(corrupt),
            },
            Err(corrupt) => Stored::Corrupt(corrupt),
        }
    }
}

/// The part of a state that every schema keeps, so that an older replica can go on publishing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    owner: Owner,
    headers: Headers,
    documents: DocumentMarks,
}

fn decode_documents(
    [discovery, jwks, state]: [&str; 3],
    issuer: &IssuerUrl,
) -> Result<(Publication, KeySet), Corrupt> {
    let envelope: Envelope = serde_json::from_str(state).map_err(|e| Corrupt::State(e.to_string()))?;
    let document = |bytes: &str, content_type: &str, generation| Document {
        bytes: Bytes::copy_from_slice(bytes.as_bytes()),
        content_type: content_type.to_owned(),
        cache_control: envelope.headers.cache_control(),
        generation,
    };
    let publication = Publication {
        issuer: issuer.clone(),
        owner: envelope.owner,
        jwks: document(jwks, JWKS_CONTENT_TYPE, envelope.documents.jwks.generation),
        discovery: document(
            discovery,
            DISCOVERY_CONTENT_TYPE,
            envelope.documents.discovery.generation,
        ),
    };
    for (path, document) in publication.in_order() {
        let mark = envelope.documents.of(&path).map(|mark| mark.fingerprint.as_str());
        if mark != Some(document.fingerprint().as_str()) {
            return Err(Corrupt::Mismatch(path.to_string()));
        }
    }
    let claims =
        DiscoveryClaims::parse(discovery.as_bytes()).map_err(|e| Corrupt::Discovery(e.to_string()))?;
    if claims.issuer != issuer.as_str() || claims.jwks_uri != issuer.jwks_uri() {
        return Err(Corrupt::Issuer(claims.issuer));
    }
    let keys = match KeySet::parse(jwks.as_bytes()) {
        Ok(parsed) => parsed.keys,
        // Only a revocation publishes nothing; `decode_state` asks whether there was one.
        Err(Refusal::Empty(left_out)) if left_out.is_empty() => KeySet::default(),
        Err(refusal) => return Err(Corrupt::Jwks(refusal)),
    };
    Ok((publication, keys))
}

fn decode_state(state: &str, keys: &KeySet) -> Result<State, Corrupt> {
    let state: State = serde_json::from_str(state).map_err(|e| Corrupt::State(e.to_string()))?;
    let published = state.published().map_err(Corrupt::Jwks)?;
    if let Some(foreign) = keys.iter().find(|key| published.by_kid(key.kid()) != Some(*key)) {
        return Err(Corrupt::Foreign(foreign.kid().to_owned()));
    }
    if keys.len() != published.len() {
        return Err(Corrupt::Mismatch(DocumentPath::JWKS.to_string()));
    }
    if keys.is_empty() && !state.keys.values().any(|entry| entry.state.is_revoked()) {
        return Err(Corrupt::Jwks(Refusal::Empty(Vec::new())));
    }
    Ok(state)
}

/// Why a stored object is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// `state.json` cannot be read.
    #[error("state.json: {0}")]
    State(String),
    /// `discovery.json` cannot be read.
    #[error("discovery.json: {0}")]
    Discovery(String),
    /// `jwks.json` cannot be read.
    #[error("jwks.json: {0}")]
    Jwks(Refusal),
    /// A document is not the one that the state stands for.
    #[error("{0} is not the document that state.json stands for")]
    Mismatch(String),
    /// The documents are another issuer's.
    #[error("discovery.json names issuer {0:?}")]
    Issuer(String),
    /// `jwks.json` holds a key that `state.json` does not publish.
    #[error("jwks.json holds key {0:?}, which state.json does not publish")]
    Foreign(String),
    /// An entry is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// Why the state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another version is there: a later leader, another replica, or somebody's hand.
    #[error("the state was changed by somebody else")]
    Conflict,
    /// Not reached, or 5xx.
    #[error("the state store is unavailable: {0}")]
    Unavailable(String),
    /// The answer to a write was lost; it may have happened.
    #[error("the state store did not say whether the write happened: {0}")]
    Unknown(String),
    /// 401 or 403.
    #[error("the state store refused access: {0}")]
    Denied(String),
    /// Over [`MAX_SNAPSHOT_BYTES`].
    #[error("the state is larger than {MAX_SNAPSHOT_BYTES} bytes")]
    TooLarge,
    /// The store refused the object itself.
    #[error("the state was refused: {0}")]
    Invalid(String),
    /// The stored object is none that may be published from.
    #[error("the stored state cannot be published: {0}")]
    Unpublishable(String),
}

impl StateError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict | Self::Unavailable(_) | Self::Unknown(_))
    }

    /// A short name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::Denied(_) => "denied",
            Self::TooLarge => "too_large",
            Self::Invalid(_) => "invalid",
            Self::Unpublishable(_) => "unpublishable",
        }
    }
}

impl fmt::Display for StateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
