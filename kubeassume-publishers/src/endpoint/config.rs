//! What an `endpoint` publisher is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use kubeassume_core::IssuerUrl;
use serde::{Deserialize, Serialize};

/// Where to listen, with which certificate, and where the public reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointConfig {
    /// The address and port of this replica: `0.0.0.0:8443`.
    pub listen: SocketAddr,
    /// The certificate and its chain, PEM, the server's own first.
    pub cert_file: PathBuf,
    /// The certificate's private key, PEM.
    pub key_file: PathBuf,
    /// Where the public reads it; byte-equal to the issuer.
    #[serde(rename = "publicURL")]
    pub public_url: IssuerUrl,
}
