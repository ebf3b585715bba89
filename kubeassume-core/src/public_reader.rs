//! Reading as the public does: anonymous, over HTTPS, bounded, without following anything elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// The longest that a relying party waits for a document: AWS STS gives up after 5 s.
pub const PUBLIC_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// An anonymous GET.
#[async_trait]
pub trait PublicReader: Send + Sync {
    /// Reads at most `limit` bytes from an `https` URL within [`PUBLIC_READ_TIMEOUT`], without
    /// credentials and without following a redirect.
    ///
    /// # Errors
    /// [`PublicReadError`], by what a relying party would see.
    async fn get(&self, url: &str, limit: usize) -> Result<PublicDocument, PublicReadError>;
}

/// What the public sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicDocument {
    /// The body of a 200.
    pub bytes: Bytes,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
}

/// Why a public read failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublicReadError {
    /// An answer other than 200.
    #[error("it answered HTTP status {0}")]
    Status(u16),
    /// A redirect; following one would let the server choose whose keys are trusted.
    #[error("it redirects (HTTP status {0}), which relying parties do not follow to another host")]
    Redirect(u16),
    /// More than the limit.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// No complete answer within [`PUBLIC_READ_TIMEOUT`].
    #[error("it did not answer within {} s", PUBLIC_READ_TIMEOUT.as_secs())]
    Timeout,
    /// DNS, connection or TLS failed; says which.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Not an `https` URL.
    #[error("it is not an https URL")]
    NotHttps,
}
