//! The documents alone: what every relying party will find, without a token.

use std::fmt;
use std::time::Duration;

use super::documents;
use super::error::VerifyError;
use crate::{DISCOVERY_CONTENT_TYPE, Finding, IssuerUrl, JWKS_CONTENT_TYPE, KeySet, PublicReader};

/// An issuer's documents as the public reads them, good enough for a strict relying party.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublicCopy {
    /// The usable keys.
    pub keys: KeySet,
    /// Where the discovery document says that they are.
    pub jwks_uri: String,
    /// What a relying party may stumble over, though a strict one does not.
    pub remarks: Vec<Remark>,
}

/// Something about an issuer's documents that is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// The key set is not at issuer + `/openid/v1/jwks`, so it is not one that this project publishes.
    JwksUri {
        /// What the discovery document says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A `Content-Type` that some clients refuse.
    ContentType {
        /// The document's URL.
        url: String,
        /// What was served.
        found: Option<String>,
        /// What was expected.
        expected: &'static str,
    },
    /// No `max-age`: each relying party keeps the document for as long as it likes.
    NoMaxAge {
        /// The document's URL.
        url: String,
    },
    /// A `max-age` over a day: a new key needs that long to arrive everywhere.
    LongMaxAge {
        /// The document's URL.
        url: String,
        /// What was served.
        max_age: Duration,
    },
    /// Something about one key of the set.
    Key(Finding),
}

/// Reads both documents as a strict relying party does.
///
/// # Errors
/// [`VerifyError::Discovery`] or [`VerifyError::Jwks`].
pub async fn check_documents(
    issuer: &IssuerUrl,
    reader: &dyn PublicReader,
) -> Result<PublicCopy, VerifyError> {
    let documents = documents::read(issuer, reader).await?;
    let mut remarks = Vec::new();
    if documents.jwks_uri != issuer.jwks_uri() {
        remarks.push(Remark::JwksUri {
            found: documents.jwks_uri.clone(),
            expected: issuer.jwks_uri(),
        });
    }
    let read = [
        (
            issuer.discovery_url(),
            &documents.discovery,
            DISCOVERY_CONTENT_TYPE,
        ),
        (documents.jwks_uri.clone(), &documents.jwks, JWKS_CONTENT_TYPE),
    ];
    for (url, document, expected) in read {
        if !is_media_type(document.content_type.as_deref(), expected) {
            remarks.push(Remark::ContentType {
                url: url.clone(),
                found: document.content_type.clone(),
                expected,
            });
        }
        match document.max_age() {
            None => remarks.push(Remark::NoMaxAge { url }),
            Some(max_age) if max_age > Duration::from_secs(24 * 3600) => {
                remarks.push(Remark::LongMaxAge { url, max_age });
            }
            Some(_) => {}
        }
    }
    remarks.extend(documents.parsed.findings.into_iter().map(Remark::Key));
    Ok(PublicCopy {
        keys: documents.parsed.keys,
        jwks_uri: documents.jwks_uri,
        remarks,
    })
}

/// Media types have no case, and parameters such as `charset` change nothing here (RFC 9110 section 8.3.1).
fn is_media_type(found: Option<&str>, expected: &str) -> bool {
    found
        .and_then(|found| found.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(expected))
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JwksUri { found, expected } => {
                write!(f, "the key set is at {found:?}, expected {expected:?}")
            }
            Self::ContentType { url, found, expected } => match found {
                Some(found) => write!(f, "{url} has Content-Type {found:?}, expected {expected}"),
                None => write!(f, "{url} has no Content-Type, expected {expected}"),
            },
            Self::NoMaxAge { url } => {
                write!(
                    f,
                    "{url} has no Cache-Control max-age: relying parties keep it as long as they like"
                )
            }
            Self::LongMaxAge { url, max_age } => {
                write!(
                    f,
                    "{url} may be kept for {} s: that long a new key may be unknown",
                    max_age.as_secs()
                )
            }
            Self::Key(finding) => finding.fmt(f),
        }
    }
}
