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

impl PublicDocument {
    /// How long the document may be kept, from its `Cache-Control`; `None` where that says nothing.
    pub fn max_age(&self) -> Option<Duration> {
        max_age(self.cache_control.as_deref())
    }
}

/// `max-age` (RFC 9111 section 5.2.2.1), zero for `no-store` and `no-cache`, of which the strictest counts.
pub(crate) fn max_age(cache_control: Option<&str>) -> Option<Duration> {
    cache_control?
        .split(',')
        .filter_map(|directive| {
            let directive = directive.trim().to_ascii_lowercase();
            match directive.split_once('=') {
                None if matches!(directive.as_str(), "no-store" | "no-cache") => Some(0),
                Some(("max-age", seconds)) => seconds.trim_matches('"').parse::<u64>().ok(),
                _ => None,
            }
        })
        .min()
        .map(Duration::from_secs)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_the_strictest_directive() {
        for (header, seconds) in [
            ("public, max-age=300", Some(300)),
            ("Max-Age=\"60\"", Some(60)),
            ("max-age=300, no-cache", Some(0)),
            ("no-store", Some(0)),
            ("max-age=300, max-age=20", Some(20)),
            ("s-maxage=300", None),
            ("max-age=-1", None),
            ("max-age=18446744073709551616", None),
            ("", None),
        ] {
            assert_eq!(
                max_age(Some(header)),
                seconds.map(Duration::from_secs),
                "{header}"
            );
        }
        assert_eq!(max_age(None), None);
    }
}
