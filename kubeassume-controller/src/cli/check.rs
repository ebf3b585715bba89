//! `--check-config`: what a configuration does, in words.

use std::time::Duration;

use kubeassume_core::OnStateLoss;
use kubeassume_core::kube::METADATA_CONFIG_MAP;
use kubeassume_publishers::PublisherConfig;

use super::Failure;
use crate::cluster::LEASE;
use crate::config::{Config, SourceConfig};
use crate::wiring;

/// Refuses endpoints that cannot be meant, which the configuration itself does not know.
pub(super) fn endpoints(config: &Config) -> Result<(), Failure> {
    match wiring::servers(&config.source) {
        Some(servers) => servers
            .check()
            .map_err(|e| Failure::configuration(format!("source.endpoints: {e}"))),
        None => Ok(()),
    }
}

/// One line for each thing that it does.
pub(super) fn summary(config: &Config, namespace: &str) -> String {
    let source = match &config.source {
        SourceConfig::ApiServers { endpoints, .. } if endpoints.is_empty() => {
            "the one address of the pod or the kubeconfig, taken for a load balancer".to_owned()
        }
        SourceConfig::ApiServers {
            endpoints,
            server_name,
        } => format!("API servers {} as {server_name}", endpoints.join(", ")),
        SourceConfig::Directory(path) => format!("files in {}", path.display()),
        SourceConfig::Url(url) => format!("{url}, anonymously"),
    };
    let publisher = match &config.publisher {
        PublisherConfig::S3(s3) => {
            let place = match &s3.prefix {
                Some(prefix) => format!("S3 bucket {} below {prefix}", s3.bucket),
                None => format!("S3 bucket {}", s3.bucket),
            };
            match &s3.endpoint {
                Some(endpoint) => format!("{place} at {endpoint}"),
                None => place,
            }
        }
        PublisherConfig::Endpoint(endpoint) => {
            format!("the built-in HTTPS server at {}", endpoint.listen)
        }
        PublisherConfig::File(file) => format!("directory {}", file.path.display()),
        _ => "another place".to_owned(),
    };
    let loss = match config.on_state_loss {
        OnStateLoss::Keep => "kept for that long",
        OnStateLoss::Drop => "dropped",
    };
    let election = config.leader_election;
    let mut text = format!(
        "issuer      {}\n\
         keys from   {source}, every {}\n\
         published   to {publisher}; caches may keep it {}\n\
         retention   a vanished key stays {}; keys that only the public copy has after a loss of state are {loss}; {} revoked\n\
         state       ConfigMap {namespace}/{METADATA_CONFIG_MAP}\n\
         leader      Lease {namespace}/{LEASE}: {} lease, {} to renew, tried every {}\n",
        config.issuer,
        shown(config.sync_period),
        shown(config.cache_max_age),
        shown(config.overlap_period),
        config.revoked.len(),
        shown(election.lease_duration),
        shown(election.renew_deadline),
        shown(election.retry_period),
    );
    for warning in config.warnings() {
        text.push_str(&format!("warning     {warning}\n"));
    }
    text
}

fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}
