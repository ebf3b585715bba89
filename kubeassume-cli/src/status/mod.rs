//! `kubeassume status`: where the controller, its keys and the public copy stand.
//!
//! It reads the Lease, the ConfigMap and the Events of the controller's namespace, and the documents as the
//! public does. It reads no metrics and asks no replica.

mod cluster;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kubeassume_controller::config::Config;
use kubeassume_core::store::MAX_DOCUMENT_BYTES;
use kubeassume_core::verify::check_documents;
use kubeassume_core::{PublicReader, Publication, Stored, Timestamp};

use self::cluster::Seen;
use self::report::{PublicState, Standing};
use crate::cluster::Cluster;
use crate::duration::duration;
use crate::failure::Failure;
use crate::output::{Output, show};
use crate::runtime;
use crate::verify::public_reader;

/// Of which cluster.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The controller's configuration file, for the time that retiring keys have left
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without --config: the controller's overlapPeriod
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration, conflicts_with = "config")]
    overlap: Duration,
    /// Certificate authorities to trust besides the system's when reading as the public does, in PEM
    #[arg(long, value_name = "FILE")]
    cacert: Option<String>,
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    output: Output,
}

impl Status {
    /// Runs the command.
    ///
    /// # Errors
    /// When the cluster cannot be asked, there is no state, or nothing good is public.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let overlap = match &self.config {
            None => self.overlap,
            Some(path) => {
                let config = Config::load(path).map_err(|error| {
                    Failure::new(format!("the configuration {path:?} cannot be used")).because(&error)
                })?;
                config.overlap_period
            }
        };
        let reader = public_reader(self.cacert.as_deref())?;
        runtime::block_on(async {
            let (_, client) = self.cluster.connect().await?;
            let seen = Seen::read(client, &self.cluster.namespace).await?;
            let public = match publication(&seen) {
                Some(publication) => Some(public(publication, &reader).await),
                None => None,
            };
            let standing = Standing::new(&self.cluster.namespace, &seen, public, overlap, Timestamp::now());
            show(&standing, self.output.format)?;
            standing.verdict()
        })
    }
}

fn publication(seen: &Seen) -> Option<&Publication> {
    match &seen.stored {
        Stored::Snapshot(snapshot) => Some(&snapshot.publication),
        Stored::Newer(publication) => publication.as_ref(),
        Stored::Missing | Stored::Corrupt(_) => None,
    }
}

/// Reads as the public does, and compares.
async fn public(publication: &Publication, reader: &dyn PublicReader) -> PublicState {
    for (path, document) in publication.in_order() {
        let url = publication.issuer.document_url(&path);
        match reader.get(&url, MAX_DOCUMENT_BYTES).await {
            Ok(read) if read.bytes == document.bytes => {}
            Ok(_) => {
                return match check_documents(&publication.issuer, reader).await {
                    Ok(_) => PublicState::Different(url),
                    Err(error) => PublicState::Unusable(error.to_string()),
                };
            }
            Err(error) => return PublicState::Unusable(format!("{url}: {error}")),
        }
    }
    PublicState::Verified
}
