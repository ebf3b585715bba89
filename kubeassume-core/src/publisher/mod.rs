//! [`Publisher`]: brings a publication to where the public reads it. [`StorePublisher`] is the algorithm,
//! once for every backend.

use async_trait::async_trait;
use thiserror::Error;

use crate::publication::Publication;
use crate::rotation::{Found, Occupied};
use crate::state_store::StateError;
use crate::store::{DocumentPath, StoreError};
use crate::{IssuerUrl, KeyName};

mod read_back;
mod store_publisher;

pub use read_back::{ReadBackError, ReadBackFailure, Verification};
pub use store_publisher::StorePublisher;

/// A place from which relying parties read the documents.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// What kind of sink this is, as metrics name it: `s3`, `file`.
    fn kind(&self) -> &'static str;

    /// Where exactly it writes: what the state's claim is recorded under.
    fn location(&self) -> String;

    /// Whether all replicas publish to one place, see [`DocumentStore::is_shared`](crate::store::DocumentStore::is_shared).
    fn is_shared(&self) -> bool {
        true
    }

    /// Where the public reads it; byte-equal to the issuer, unless this is a mirror.
    fn public_url(&self) -> &IssuerUrl;

    /// Reads what the sink holds now, without writing.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    async fn inspect(&self) -> Result<Found, PublishError>;

    /// Brings the sink to `publication`, or to what `authority` says by now if that is newer. Writes
    /// nothing when it is there already.
    ///
    /// # Errors
    /// [`PublishError`]; whatever it says, nothing newer than ours was overwritten and no document points
    /// to a missing one.
    async fn publish(
        &self,
        publication: &Publication,
        authority: &dyn Authority,
    ) -> Result<Published, PublishError>;

    /// Reads the documents back as the public does, and compares.
    async fn verify(&self, publication: &Publication) -> Verification;

    /// Checks configuration and permissions; leaves nothing behind.
    ///
    /// # Errors
    /// What is missing, named.
    async fn validate(&self) -> Result<(), PublishError>;

    /// What works now and may stop, see [`DocumentStore::warnings`](crate::store::DocumentStore::warnings).
    async fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Says what may be written, by a read that no cache answers: the state store.
#[async_trait]
pub trait Authority: Send + Sync {
    /// The publication of the state as it is stored now.
    ///
    /// # Errors
    /// [`StateError`]; then nothing may be written.
    async fn current(&self) -> Result<Publication, StateError>;
}

/// An authority that always says the same: for one who is the authority himself.
#[async_trait]
impl Authority for Publication {
    async fn current(&self) -> Result<Publication, StateError> {
        Ok(self.clone())
    }
}

/// What a call of [`Publisher::publish`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What the sink holds now.
    pub publication: Publication,
    /// The documents that this call wrote.
    pub written: Vec<DocumentPath>,
    /// Keys that the sink held and that were none of ours.
    pub foreign: Vec<KeyName>,
}

/// Why a publication is not in the sink.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The store failed at one document.
    #[error("{document}: {error}")]
    Store {
        /// Which document.
        document: DocumentPath,
        /// What the store said.
        error: StoreError,
    },
    /// The fresh state could not be read; so nothing was written.
    #[error("the state could not be read afresh, so nothing was written: {0}")]
    Authority(#[from] StateError),
    /// The sink holds a higher generation of our own than the state: the leader must draw one above both.
    #[error("{document} has a higher generation there than in the state")]
    Ahead {
        /// Which document.
        document: DocumentPath,
        /// All that the sink holds.
        found: Box<Found>,
    },
    /// The place is another cluster's: it cannot be claimed, or another owner published something newer
    /// there. Nothing was written: no war of writes.
    #[error(transparent)]
    Occupied(#[from] Occupied),
    /// Others kept winning for all attempts.
    #[error("{document}: lost the race of writers {attempts} times")]
    Contended {
        /// Which document.
        document: DocumentPath,
        /// How often.
        attempts: u32,
    },
    /// The public URL cannot be the issuer's.
    #[error("the public URL is {public_url:?}, the issuer is {issuer:?}; they must be equal byte for byte")]
    PublicUrl {
        /// Configured for the publisher.
        public_url: String,
        /// Of the publication.
        issuer: String,
    },
}

impl PublishError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store { error, .. } => error.is_retryable(),
            Self::Authority(error) => error.is_retryable(),
            Self::Ahead { .. } | Self::Contended { .. } => true,
            Self::Occupied(_) | Self::PublicUrl { .. } => false,
        }
    }

    /// A short name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Store { error, .. } => error.label(),
            Self::Authority(_) => "authority",
            Self::Ahead { .. } => "ahead",
            Self::Occupied(_) => "occupied",
            Self::Contended { .. } => "contended",
            Self::PublicUrl { .. } => "public_url",
        }
    }
}
