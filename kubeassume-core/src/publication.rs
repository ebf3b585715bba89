//! [`Publication`]: both documents with all that is written beside them: the unit that travels.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::store::{DocumentPath, Metadata, NewDocument, StoredDocument};
use crate::{Discovery, IssuerUrl, KeySet};

/// `Content-Type` of the discovery document.
pub const DISCOVERY_CONTENT_TYPE: &str = "application/json";
/// `Content-Type` of the key set (RFC 7517 section 8.5.2).
pub const JWKS_CONTENT_TYPE: &str = "application/jwk-set+json";

/// A generation further ahead than this of clock and state was not drawn by any leader.
pub const MAX_GENERATION_LEAD: Duration = Duration::from_secs(7 * 24 * 3600);

const GENERATION: &str = "kubeassume-generation";
const DIGEST: &str = "kubeassume-digest";
const OWNER: &str = "kubeassume-owner";

/// Both documents of an issuer, as they must stand in every sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Whose documents these are.
    pub issuer: IssuerUrl,
    /// Which state they come from.
    pub owner: Owner,
    /// The key set, written first: discovery must never point to nothing.
    pub jwks: Document,
    /// The discovery document.
    pub discovery: Document,
}

/// One document of a [`Publication`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The body.
    pub bytes: Bytes,
    /// `Content-Type`.
    pub content_type: String,
    /// `Cache-Control`.
    pub cache_control: String,
    /// Orders the publications of this document; drawn by the leader.
    pub generation: Generation,
}

/// The headers that are published with the documents. They travel in the state, so that replicas with
/// different configuration never write against each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Headers {
    /// How long a relying party may keep a document, in seconds.
    pub max_age_seconds: u64,
}

impl Headers {
    /// `Cache-Control`: public, so that a CDN keeps it too.
    pub fn cache_control(&self) -> String {
        format!("public, max-age={}", self.max_age_seconds)
    }
}

impl Publication {
    /// Both documents for these keys. A document whose bytes or headers differ from what `marks` remember
    /// gets a generation above every earlier one of its own; the other keeps its generation. The marks
    /// are brought up to date.
    pub fn draw(
        issuer: &IssuerUrl,
        owner: Owner,
        keys: &KeySet,
        headers: &Headers,
        marks: &mut DocumentMarks,
        now: Timestamp,
    ) -> Self {
        let document = |bytes: Vec<u8>, content_type: &str, mark: &mut DocumentMark| {
            let mut document = Document {
                bytes: bytes.into(),
                content_type: content_type.to_owned(),
                cache_control: headers.cache_control(),
                generation: mark.generation,
            };
            let fingerprint = document.fingerprint();
            if mark.fingerprint != fingerprint {
                document.generation = mark.generation.next(now);
                *mark = DocumentMark {
                    generation: document.generation,
                    fingerprint,
                };
            }
            document
        };
        let discovery = Discovery::new(issuer, keys).to_bytes();
        Self {
            issuer: issuer.clone(),
            owner,
            jwks: document(keys.to_bytes(), JWKS_CONTENT_TYPE, &mut marks.jwks),
            discovery: document(discovery, DISCOVERY_CONTENT_TYPE, &mut marks.discovery),
        }
    }

    /// The documents in the order in which they must be written.
    pub fn in_order(&self) -> [(DocumentPath, &Document); 2] {
        [
            (DocumentPath::JWKS, &self.jwks),
            (DocumentPath::DISCOVERY, &self.discovery),
        ]
    }

    /// The document at a path.
    pub fn document(&self, path: &DocumentPath) -> Option<&Document> {
        self.in_order()
            .into_iter()
            .find(|(own, _)| own == path)
            .map(|(_, document)| document)
    }
}

impl Document {
    /// A digest of everything that a generation stands for: bytes and headers.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for header in [&self.content_type, &self.cache_control] {
            hash.update(header.as_bytes());
            hash.update(b"\n");
        }
        hash.update(&self.bytes);
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }

    /// What is given to a store.
    pub fn to_new(&self, owner: Owner) -> NewDocument {
        NewDocument {
            bytes: self.bytes.clone(),
            content_type: self.content_type.clone(),
            cache_control: self.cache_control.clone(),
            metadata: Mark {
                generation: Some(self.generation),
                digest: Some(digest(&self.bytes)),
                owner: Some(owner),
            }
            .to_metadata(),
        }
    }

    /// Whether a sink holds exactly this document: bytes, headers and mark.
    pub fn is(&self, owner: Owner, stored: &StoredDocument) -> bool {
        let mark = Mark::read(&stored.metadata);
        stored.bytes == self.bytes
            && stored.content_type.as_deref() == Some(self.content_type.as_str())
            && stored.cache_control.as_deref() == Some(self.cache_control.as_str())
            && mark.generation == Some(self.generation)
            && mark.digest.as_deref() == Some(digest(&self.bytes).as_str())
            && mark.owner == Some(owner)
    }
}

/// Orders the publications of one document: the larger of the last one plus one and Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// Before the first one.
    pub const NONE: Self = Self(0);

    /// The generation of the next publication.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self(self.0.saturating_add(1).max(unix_millis(now)))
    }

    /// Whether a leader can have drawn this: not more than [`MAX_GENERATION_LEAD`] ahead of clock and state.
    pub fn is_plausible(self, state: Self, now: Timestamp) -> bool {
        let lead = u64::try_from(MAX_GENERATION_LEAD.as_millis()).unwrap_or(u64::MAX);
        self.0 <= state.0.max(unix_millis(now)).saturating_add(lead)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn unix_millis(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

/// What a state remembers of a document: its last generation and what that stood for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentMark {
    /// The last generation drawn.
    pub generation: Generation,
    /// [`Document::fingerprint`] of it; empty when the next publication must draw a new generation.
    pub fingerprint: String,
}

/// The mark of each document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentMarks {
    /// Of the key set.
    pub jwks: DocumentMark,
    /// Of the discovery document.
    pub discovery: DocumentMark,
}

impl DocumentMark {
    /// Before the first publication.
    pub const NONE: Self = Self {
        generation: Generation::NONE,
        fingerprint: String::new(),
    };

    /// Makes the next publication draw a generation above one that a sink holds.
    pub fn raise_above(&mut self, found: Generation) {
        if found > self.generation {
            *self = Self {
                generation: found,
                fingerprint: String::new(),
            };
        }
    }
}

impl DocumentMarks {
    /// Before the first publication.
    pub const NONE: Self = Self {
        jwks: DocumentMark::NONE,
        discovery: DocumentMark::NONE,
    };

    /// The mark of the document at a path, if it is one of the two.
    pub fn of(&self, path: &DocumentPath) -> Option<&DocumentMark> {
        [
            (DocumentPath::JWKS, &self.jwks),
            (DocumentPath::DISCOVERY, &self.discovery),
        ]
        .into_iter()
        .find(|(own, _)| own == path)
        .map(|(_, mark)| mark)
    }
}

/// Who publishes: a random number of 128 bits, drawn once when a state begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner(u128);

impl Owner {
    /// An owner from 128 random bits; two clusters must not draw the same ones.
    pub fn from_random(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("an owner is 32 hexadecimal digits in lower case".to_owned());
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|e| e.to_string())
    }
}

impl TryFrom<String> for Owner {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

/// What a sink's user metadata says about a document. Anyone who can write there can write this too: it
/// orders honest writers, it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    /// Missing or unparsable counts as none.
    pub generation: Option<Generation>,
    /// SHA-256 of the bytes that were written with it, in unpadded base64url.
    pub digest: Option<String>,
    /// Missing or unparsable counts as none.
    pub owner: Option<Owner>,
}

impl Mark {
    /// Reads what is there.
    pub fn read(metadata: &Metadata) -> Self {
        Self {
            generation: metadata
                .get(GENERATION)
                .and_then(|text| text.parse().ok())
                .map(Generation),
            digest: metadata.get(DIGEST).cloned(),
            owner: metadata.get(OWNER).and_then(|text| text.parse().ok()),
        }
    }

    /// The metadata to write.
    pub fn to_metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
            }
        };
        set(GENERATION, self.generation.map(|g| g.to_string()));
        set(DIGEST, self.digest.clone());
        set(OWNER, self.owner.map(|o| o.to_string()));
        metadata
    }
}

/// SHA-256 in unpadded base64url.
pub fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}
