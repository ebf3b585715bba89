//! The first two hops: discovery document, then key set.

use super::error::{DiscoveryFailure, JwksFailure, VerifyError};
use crate::store::MAX_DOCUMENT_BYTES;
use crate::{DiscoveryClaims, IssuerUrl, KeySet, Parsed, PublicDocument, PublicReader};

/// What an issuer publishes, read as a relying party reads it.
pub(super) struct Documents {
    pub(super) discovery: PublicDocument,
    pub(super) jwks_uri: String,
    pub(super) jwks: PublicDocument,
    pub(super) parsed: Parsed,
}

/// Reads both documents. The key set is read where the discovery document says, on whatever host that is:
/// its issuer was compared first, and it was read from the issuer's own host, over TLS, without a redirect.
pub(super) async fn read(issuer: &IssuerUrl, reader: &dyn PublicReader) -> Result<Documents, VerifyError> {
    let url = issuer.discovery_url();
    let failed = |reason| VerifyError::Discovery {
        url: url.clone(),
        reason,
    };
    let discovery = reader
        .get(&url, MAX_DOCUMENT_BYTES)
        .await
        .map_err(|e| failed(DiscoveryFailure::Unreadable(e)))?;
    let says = DiscoveryClaims::parse(&discovery.bytes)
        .and_then(|says| says.check_issuer(issuer).map(|()| says))
        .map_err(|e| failed(DiscoveryFailure::Unusable(e)))?;
    let jwks_uri = says.jwks_uri;
    if !jwks_uri.starts_with("https://") {
        return Err(failed(DiscoveryFailure::JwksUri(
            jwks_uri.chars().take(256).collect(),
        )));
    }

    let failed = |reason| VerifyError::Jwks {
        url: jwks_uri.clone(),
        reason,
    };
    let jwks = reader
        .get(&jwks_uri, MAX_DOCUMENT_BYTES)
        .await
        .map_err(|e| failed(JwksFailure::Unreadable(e)))?;
    let parsed = KeySet::parse(&jwks.bytes).map_err(|e| failed(JwksFailure::Refused(e)))?;
    Ok(Documents {
        discovery,
        jwks_uri,
        jwks,
        parsed,
    })
}
