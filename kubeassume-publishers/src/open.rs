//! From configuration to a [`Publisher`].

use std::sync::Arc;

use kubeassume_core::store::StoreError;
use kubeassume_core::{Clock, PublicReader, Publisher};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::azure::AzureConfig;
use crate::endpoint::EndpointConfig;
use crate::file::FileConfig;
use crate::gcs::GcsConfig;
use crate::oci::OciConfig;
use crate::s3::S3Config;

/// Which backend, and how. As JSON or YAML: `{type: s3, bucket: b, region: r}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum PublisherConfig {
    /// Azure Blob Storage.
    Azure(AzureConfig),
    /// The built-in HTTPS server.
    Endpoint(EndpointConfig),
    /// A directory.
    File(FileConfig),
    /// Google Cloud Storage.
    Gcs(GcsConfig),
    /// Oracle Cloud's Object Storage.
    Oci(OciConfig),
    /// S3.
    S3(S3Config),
}

/// Whom to trust beside the system's roots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificates of a private CA, PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// How a publisher works, whatever its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Spreads the retries of replicas: different on each.
    pub seed: u64,
    /// See [`StorePublisher::take_over`](kubeassume_core::StorePublisher::take_over).
    pub take_over: bool,
    /// See [`StorePublisher::mirror`](kubeassume_core::StorePublisher::mirror).
    pub mirror: bool,
}

/// Why there is no publisher.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The backend was left out of this build.
    #[error("publisher type {0:?} is not in this build; build kubeassume-publishers with feature {0:?}")]
    NotBuilt(&'static str),
    /// A field breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The store cannot serve as configured.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The built-in server cannot listen there.
    #[error("endpoint.listen: cannot listen on {address}: {reason}")]
    Listen {
        /// As configured.
        address: std::net::SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The built-in server's certificate cannot be used.
    #[error("endpoint.certFile, endpoint.keyFile: {0}")]
    Certificate(String),
}

/// A field of the configuration that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} {rule}")]
pub struct Invalid {
    /// The field's path from the publisher's section: `s3.bucket`.
    pub field: &'static str,
    /// The rule.
    pub rule: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, rule: impl Into<String>) -> Self {
        Self {
            field,
            rule: rule.into(),
        }
    }
}

/// Opens the configured store and puts the publish algorithm in front of it. It reads credentials'
/// configuration and the directory's name; it does not reach for the documents: that is
/// [`Publisher::validate`]. The built-in server listens from then on, until the publisher is dropped.
///
/// # Errors
/// [`OpenError`].
#[cfg_attr(
    not(all(
        feature = "azure",
        feature = "endpoint",
        feature = "file",
        feature = "gcs",
        feature = "oci",
        feature = "s3"
    )),
    allow(
        unused_variables,
        clippy::unused_async,
        reason = "what is not built needs none of it"
    )
)]
pub async fn open(
    config: &PublisherConfig,
    tls: &Tls,
    reader: Arc<dyn PublicReader>,
    clock: Arc<dyn Clock>,
    options: Options,
) -> Result<Arc<dyn Publisher>, OpenError> {
    match config {
        #[cfg(feature = "azure")]
        PublisherConfig::Azure(config) => {
            let store = crate::azure::AzureStore::open(config, tls)?;
            let public_url = store.public_url();
            Ok(publisher(store, public_url, reader, clock, options))
        }
        #[cfg(feature = "endpoint")]
        PublisherConfig::Endpoint(config) => {
            let store = crate::endpoint::EndpointStore::serve(config, clock.clone()).await?;
            let public_url = config.public_url.clone();
            Ok(publisher(store, public_url, reader, clock, options))
        }
        #[cfg(feature = "file")]
        PublisherConfig::File(config) => {
            let store = crate::file::FileStore::open(&config.path)?;
            let public_url = config.public_url.clone();
            Ok(publisher(store, public_url, reader, clock, options))
        }
        #[cfg(feature = "gcs")]
        PublisherConfig::Gcs(config) => {
            let store = crate::gcs::GcsStore::open(config, tls)?;
            let public_url = config.public_url()?;
            Ok(publisher(store, public_url, reader, clock, options))
        }
        #[cfg(feature = "oci")]
        PublisherConfig::Oci(config) => {
            let store = crate::oci::OciStore::open(config, tls).await?;
            let public_url = store.public_url()?;
            Ok(publisher(store, public_url, reader, clock, options))
        }
        #[cfg(feature = "s3")]
        PublisherConfig::S3(config) => {
            let store = crate::s3::S3Store::open(config, tls).await?;
            let public_url = store.public_url()?;
            Ok(publisher(store, public_url, reader, clock, options))
        }
        #[cfg(not(feature = "azure"))]
        PublisherConfig::Azure(_) => Err(OpenError::NotBuilt("azure")),
        #[cfg(not(feature = "endpoint"))]
        PublisherConfig::Endpoint(_) => Err(OpenError::NotBuilt("endpoint")),
        #[cfg(not(feature = "file"))]
        PublisherConfig::File(_) => Err(OpenError::NotBuilt("file")),
        #[cfg(not(feature = "gcs"))]
        PublisherConfig::Gcs(_) => Err(OpenError::NotBuilt("gcs")),
        #[cfg(not(feature = "oci"))]
        PublisherConfig::Oci(_) => Err(OpenError::NotBuilt("oci")),
        #[cfg(not(feature = "s3"))]
        PublisherConfig::S3(_) => Err(OpenError::NotBuilt("s3")),
    }
}

#[cfg(any(
    feature = "azure",
    feature = "endpoint",
    feature = "file",
    feature = "gcs",
    feature = "oci",
    feature = "s3"
))]
fn publisher(
    store: impl kubeassume_core::store::DocumentStore + 'static,
    public_url: kubeassume_core::IssuerUrl,
    reader: Arc<dyn PublicReader>,
    clock: Arc<dyn Clock>,
    options: Options,
) -> Arc<dyn Publisher> {
    let publisher = kubeassume_core::StorePublisher::new(store, public_url, reader, clock, options.seed);
    Arc::new(publisher.take_over(options.take_over).mirror(options.mirror))
}
