//! `--check-config`: what a configuration does, in words.

use std::time::Duration;

use kubeassume_core::OnStateLoss;
use kubeassume_core::kube::METADATA_CONFIG_MAP;
use kubeassume_publishers::PublisherConfig;

use super::Failure;
use crate::cluster::LEASE;
use crate::config::{Config, PublisherEntry, SourceConfig};
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
    let loss = match config.on_state_loss {
        OnStateLoss::Keep => "kept for that long",
        OnStateLoss::Drop => "dropped",
    };
    let election = config.leader_election;
    let places: Vec<String> = config.publishers.iter().map(place).collect();
    let mut text = format!(
        "issuer      {}\n\
         keys from   {source}, every {}\n\
         published   to {}; caches may keep it {}\n\
         retention   a vanished key stays {}; keys that only the public copy has after a loss of state are {loss}; {} revoked\n\
         state       ConfigMap {namespace}/{METADATA_CONFIG_MAP}\n\
         leader      Lease {namespace}/{LEASE}: {} lease, {} to renew, tried every {}\n",
        config.issuer,
        shown(config.sync_period),
        places.join("; and to "),
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

fn place(entry: &PublisherEntry) -> String {
    let (place, prefix, endpoint) = match &entry.config {
        PublisherConfig::S3(s3) => (format!("S3 bucket {}", s3.bucket), &s3.prefix, &s3.endpoint),
        PublisherConfig::Gcs(gcs) => {
            let place = format!("Google Cloud Storage bucket {}", gcs.bucket);
            (place, &gcs.prefix, &gcs.endpoint)
        }
        PublisherConfig::Azure(azure) => {
            let (container, account) = (&azure.container, &azure.storage_account);
            let place = format!("Azure container {container} of the storage account {account}");
            (place, &azure.prefix, &azure.endpoint)
        }
        PublisherConfig::Oci(oci) => {
            let (bucket, namespace) = (&oci.bucket, &oci.namespace);
            let place = format!("Oracle Cloud bucket {bucket} of the namespace {namespace}");
            (place, &oci.prefix, &oci.endpoint)
        }
        PublisherConfig::Endpoint(endpoint) => {
            let place = format!("the built-in HTTPS server at {}", endpoint.listen);
            (place, &None, &None)
        }
        PublisherConfig::File(file) => (format!("directory {}", file.path.display()), &None, &None),
        _ => ("another place".to_owned(), &None, &None),
    };
    let mut text = place;
    for (word, part) in [("below", prefix), ("at", endpoint)] {
        if let Some(part) = part {
            text.push_str(&format!(" {word} {part}"));
        }
    }
    if entry.mirror {
        text.push_str(" (a mirror)");
    }
    text
}

fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}
