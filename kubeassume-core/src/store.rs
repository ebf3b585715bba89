//! A store of public documents, reduced to what compare-and-swap publishing needs.
//!
//! One [`DocumentStore`] per backend, each as small as its API allows. A store does not order writes,
//! compare contents or retry: [`StorePublisher`](crate::StorePublisher) does, once for all of them.
//! Each implementation must pass `testing::store::conformance`, which first proves that the server
//! really refuses a stale write.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::IssuerUrl;

/// A place for documents in which a write can be tied to the version that was read.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// What kind of store this is, as metrics and configuration name it: `s3`, `file`.
    fn kind(&self) -> &'static str;

    /// Where exactly it writes, for people and for the claim in the state: `s3://bucket/prefix`.
    fn location(&self) -> String;

    /// Whether all replicas write to one place, as to a bucket. What each replica has for itself needs no claim
    /// and nobody has to wait for the leader; that it is empty says nothing about what others have.
    fn is_shared(&self) -> bool {
        true
    }

    /// Reads a document with its version, or `None` when there is none. A body over
    /// [`MAX_DOCUMENT_BYTES`] is cut there: it equals no publication and can still be replaced.
    ///
    /// # Errors
    /// [`StoreError::Denied`] also where a store hides absence behind it (S3 without `ListBucket`).
    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError>;

    /// Writes a document if the precondition holds, in one atomic step, and says its new version.
    ///
    /// # Errors
    /// [`StoreError::Precondition`] when somebody else's version is there (412, 409, or 404 for
    /// [`Precondition::Matches`]); [`StoreError::Unknown`] when the write may have happened.
    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError>;

    /// The paths that exist below this store's prefix, in order.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where listing is not granted; publishing does not need it.
    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError>;

    /// Deletes a document that still has the given version. Deleting what is absent is a lost race.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError>;

    /// Checks configuration and permissions without leaving anything behind: a write is probed with a
    /// precondition that cannot hold.
    ///
    /// # Errors
    /// What is missing, named.
    async fn validate(&self) -> Result<(), StoreError>;

    /// What works now and may stop, for people: a credential that depends on the documents themselves. The
    /// public reads them at `issuer`.
    async fn warnings(&self, issuer: &IssuerUrl) -> Vec<String> {
        let _ = issuer;
        Vec::new()
    }
}

/// A store that several share is a store.
#[async_trait]
impl<S: DocumentStore + ?Sized> DocumentStore for std::sync::Arc<S> {
    fn kind(&self) -> &'static str {
        (**self).kind()
    }

    fn location(&self) -> String {
        (**self).location()
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        (**self).get(path).await
    }

    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError> {
        (**self).put(path, document, precondition).await
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        (**self).list().await
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        (**self).delete(path, version).await
    }

    async fn validate(&self) -> Result<(), StoreError> {
        (**self).validate().await
    }

    async fn warnings(&self, issuer: &IssuerUrl) -> Vec<String> {
        (**self).warnings(issuer).await
    }
}

/// A document's path below the issuer, without a leading slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentPath(Cow<'static, str>);

impl DocumentPath {
    /// `.well-known/openid-configuration` (OpenID Connect Discovery 1.0 section 4).
    pub const DISCOVERY: Self = Self(Cow::Borrowed(".well-known/openid-configuration"));
    /// `openid/v1/jwks`, the path that Kubernetes uses.
    pub const JWKS: Self = Self(Cow::Borrowed("openid/v1/jwks"));

    /// A path of segments made of ASCII letters, digits, `.`, `_` and `-`, at most 512 bytes; or `None`.
    pub fn new(path: impl Into<String>) -> Option<Self> {
        let path = path.into();
        let segment = |s: &str| {
            !matches!(s, "" | "." | "..")
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        (path.len() <= 512 && path.split('/').all(segment)).then(|| Self(path.into()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is written: bytes, the headers that relying parties and caches see, and user metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    /// The body.
    pub bytes: Bytes,
    /// `Content-Type`.
    pub content_type: String,
    /// `Cache-Control`.
    pub cache_control: String,
    /// User metadata: `x-amz-meta-*` and its kin.
    pub metadata: Metadata,
}

/// What a store returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// The body.
    pub bytes: Bytes,
    /// `Content-Type`, where the store has one.
    pub content_type: Option<String>,
    /// `Cache-Control`, where the store has one.
    pub cache_control: Option<String>,
    /// User metadata, keys in lower case.
    pub metadata: Metadata,
    /// The version to tie the next write to.
    pub version: Version,
}

/// User metadata of a document: lower-case ASCII keys of letters, digits and `-`, printable ASCII values.
pub type Metadata = BTreeMap<String, String>;

/// A store's own name for one version of a document: an ETag, a generation number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// The store's own text.
    pub fn new(version: impl Into<String>) -> Self {
        Self(version.into())
    }

    /// The store's own text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// There is no such document: `If-None-Match: *`.
    Absent,
    /// The document still has this version: `If-Match`.
    Matches(Version),
}

/// The largest document that is published, and the most that is read of one, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Why a store did not do as asked, by meaning.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The precondition did not hold: somebody else wrote or deleted in between.
    #[error("another version of the document is there")]
    Precondition,
    /// Refused for lack of permission, or a bad credential.
    #[error("the store refused access: {0}")]
    Denied(String),
    /// Nothing was done: unreachable, throttled or 5xx. Worth another try.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The answer to a write was lost; it may have happened. Read before writing again.
    #[error("the store did not say whether the write happened: {0}")]
    Unknown(String),
    /// The body to write exceeds [`MAX_DOCUMENT_BYTES`].
    #[error("the document is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// The store cannot serve at all as configured: no such bucket, wrong region, no conditional writes.
    #[error("the store cannot be used: {0}")]
    Misconfigured(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Precondition | Self::Unavailable(_) | Self::Unknown(_))
    }

    /// A short name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Precondition => "precondition",
            Self::Denied(_) => "denied",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::TooLarge => "too_large",
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}
