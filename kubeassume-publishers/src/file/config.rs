//! What a `file` publisher is told.

use std::path::PathBuf;

use kubeassume_core::IssuerUrl;
use serde::{Deserialize, Serialize};

/// A directory, and where a web server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileConfig {
    /// The directory. It must exist: making it would hide a volume that is not mounted.
    pub path: PathBuf,
    /// Where the public reads it; byte-equal to the issuer.
    #[serde(rename = "publicURL")]
    pub public_url: IssuerUrl,
}
