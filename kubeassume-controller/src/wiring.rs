//! From a [`Config`] to the parts that a [`Controller`](crate::Controller) drives in a cluster.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use kubeassume_core::http::{DirectorySource, HttpReader, UrlSource};
use kubeassume_core::kube::{self, ApiServerSource, Servers};
use kubeassume_core::{Clock, Publisher, Source};
use kubeassume_publishers::{Options, Tls};
use thiserror::Error;

use crate::config::{Config, SourceConfig};

/// The largest file with certificates, in bytes.
const MAX_CA_BYTES: u64 = 1 << 20;

/// The API servers to read, if keys come from API servers.
pub fn servers(source: &SourceConfig) -> Option<Servers> {
    match source {
        SourceConfig::ApiServers { endpoints, .. } if endpoints.is_empty() => Some(Servers::Shared),
        SourceConfig::ApiServers {
            endpoints,
            server_name,
        } => Some(Servers::Each {
            endpoints: endpoints.clone(),
            server_name: server_name.clone(),
        }),
        SourceConfig::Directory(_) | SourceConfig::Url(_) => None,
    }
}

/// Where keys are read.
///
/// # Errors
/// [`StartError::Source`] or [`StartError::Ca`].
pub fn source(config: &Config, cluster: &kube::Config) -> Result<Arc<dyn Source>, StartError> {
    match (&config.source, servers(&config.source)) {
        (SourceConfig::Directory(path), _) => Ok(Arc::new(DirectorySource::new(path))),
        (SourceConfig::Url(url), _) => {
            let reader = Arc::new(reader(config)?);
            Ok(Arc::new(UrlSource::shared(
                config.issuer.clone(),
                url.clone(),
                reader,
            )))
        }
        (SourceConfig::ApiServers { .. }, servers) => {
            let servers = servers.unwrap_or(Servers::Shared);
            let source = ApiServerSource::new(cluster, &servers, config.issuer.clone())
                .map_err(|e| StartError::Source(e.to_string()))?;
            Ok(Arc::new(source))
        }
    }
}

/// Where documents are published, in the configuration's order. Nothing is read or written yet.
///
/// # Errors
/// [`StartError::Publisher`], [`StartError::PublicUrl`], [`StartError::Twice`] or [`StartError::Ca`].
pub async fn publishers(
    config: &Config,
    clock: Arc<dyn Clock>,
    seed: u64,
    take_over: bool,
) -> Result<Vec<Arc<dyn Publisher>>, StartError> {
    let reader = Arc::new(reader(config)?);
    let tls = Tls {
        ca_pem: ca_pem(config)?,
    };
    let mut publishers: Vec<Arc<dyn Publisher>> = Vec::with_capacity(config.publishers.len());
    for entry in &config.publishers {
        let options = Options {
            seed: seed.wrapping_add(publishers.len() as u64),
            take_over,
            mirror: entry.mirror,
        };
        let publisher =
            kubeassume_publishers::open(&entry.config, &tls, reader.clone(), clock.clone(), options)
                .await
                .map_err(|e| StartError::Publisher(e.to_string()))?;
        if (*publisher.public_url() == config.issuer) == entry.mirror {
            return Err(StartError::PublicUrl {
                mirror: entry.mirror,
                public_url: publisher.public_url().to_string(),
                issuer: config.issuer.to_string(),
            });
        }
        let location = publisher.location();
        if publishers.iter().any(|other| other.location() == location) {
            return Err(StartError::Twice(location));
        }
        publishers.push(publisher);
    }
    Ok(publishers)
}

fn reader(config: &Config) -> Result<HttpReader, StartError> {
    HttpReader::new(ca_pem(config)?.as_deref()).map_err(|e| StartError::Ca(e.to_string()))
}

fn ca_pem(config: &Config) -> Result<Option<Vec<u8>>, StartError> {
    config.ca_file.as_deref().map(read_ca).transpose()
}

fn read_ca(path: &Path) -> Result<Vec<u8>, StartError> {
    let unreadable = |error: std::io::Error| StartError::Ca(format!("{}: {error}", path.display()));
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(MAX_CA_BYTES)
        .read_to_end(&mut pem)
        .map_err(unreadable)?;
    Ok(pem)
}

/// Why a controller cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The certificates to trust beside the system's.
    #[error("tls.caFile: {0}")]
    Ca(String),
    /// The source of keys.
    #[error("source: {0}")]
    Source(String),
    /// The publisher.
    #[error("publisher: {0}")]
    Publisher(String),
    /// What is published would not be below the issuer.
    #[error(
        "publisher: the public reads it at {public_url:?}, the issuer is {issuer:?}; they must be {}",
        if *mirror {
            "different for a mirror"
        } else {
            "equal byte for byte (set publicURL if the issuer's URL leads there)"
        }
    )]
    PublicUrl {
        /// Whether it is configured as a mirror.
        mirror: bool,
        /// Of the publisher.
        public_url: String,
        /// As configured.
        issuer: String,
    },
    /// Two publishers write to one place.
    #[error("publishers: two of them write to {0}; remove one, or give one of them another bucket or prefix")]
    Twice(String),
}
