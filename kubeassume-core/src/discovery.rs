//! [`Discovery`]: the OpenID Connect Discovery 1.0 document, as Kubernetes serves it.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::json::Json;
use crate::store::MAX_DOCUMENT_BYTES;
use crate::{Algorithm, IssuerUrl, KeySet};

/// The discovery document of an issuer. Kubernetes publishes exactly these five members; there is no
/// authorization endpoint because nobody logs in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    issuer: IssuerUrl,
    algorithms: BTreeSet<Algorithm>,
}

impl Discovery {
    /// The document for an issuer that publishes these keys.
    pub fn new(issuer: &IssuerUrl, keys: &KeySet) -> Self {
        Self {
            issuer: issuer.clone(),
            algorithms: keys.algorithms(),
        }
    }

    /// The document: compact JSON, the same bytes on every replica.
    pub fn to_bytes(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            issuer: &'a str,
            jwks_uri: String,
            response_types_supported: [&'static str; 1],
            subject_types_supported: [&'static str; 1],
            id_token_signing_alg_values_supported: &'a BTreeSet<Algorithm>,
        }
        let document = Document {
            issuer: self.issuer.as_str(),
            jwks_uri: self.issuer.jwks_uri(),
            response_types_supported: ["id_token"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: &self.algorithms,
        };
        // Strings into a vector: serde_json has nothing to fail on.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// What a stranger's discovery document says, before anything of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryClaims {
    /// `issuer`, as written.
    pub issuer: String,
    /// `jwks_uri`, as written.
    pub jwks_uri: String,
}

impl DiscoveryClaims {
    /// Parses a document of at most 1 MiB; members beyond the two are read past.
    ///
    /// # Errors
    /// [`DiscoveryError::Malformed`] or [`DiscoveryError::TooLarge`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DiscoveryError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DiscoveryError::TooLarge);
        }
        let json = Json::parse(bytes).map_err(|e| DiscoveryError::Malformed(e.to_string()))?;
        let text = |name| match json.member(name).and_then(Json::text) {
            Some(text) if text.len() <= 2048 => Ok(text.to_owned()),
            _ => Err(DiscoveryError::Malformed(format!("there is no string {name:?}"))),
        };
        Ok(Self {
            issuer: text("issuer")?,
            jwks_uri: text("jwks_uri")?,
        })
    }

    /// Checks that the document names exactly this issuer (OpenID Connect Discovery 1.0 section 4.3).
    ///
    /// # Errors
    /// [`DiscoveryError::Issuer`] with both values.
    pub fn check_issuer(&self, expected: &IssuerUrl) -> Result<(), DiscoveryError> {
        if self.issuer == expected.as_str() {
            return Ok(());
        }
        Err(DiscoveryError::Issuer {
            expected: expected.to_string(),
            found: self.issuer.clone(),
        })
    }
}

/// What is wrong with a discovery document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Not JSON, a duplicate member, or a required member missing.
    #[error("malformed discovery document: {0}")]
    Malformed(String),
    /// Over 1 MiB.
    #[error("the discovery document is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// Another issuer, even if only by a slash.
    #[error("the discovery document names issuer {found:?}, expected {expected:?}")]
    Issuer {
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
}
