//! Google Cloud Storage's arguments.

use std::path::PathBuf;

use clap::Args;
use kubeassume_publishers::bucket::GcsBucket;
use kubeassume_publishers::gcs::GcsConfig;
use kubeassume_publishers::{Invalid, Tls};

use super::{Prepared, given};

/// A bucket of its own, and who writes there
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The bucket; it holds nothing but documents
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// The project in which a bucket that is not there is created
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Where it is created (EU, europe-west4)
    #[arg(long, value_name = "LOCATION")]
    location: Option<String>,
    /// What goes before both documents in the issuer
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// The one principal that writes: a service account's address, or principal://...
    #[arg(long, value_name = "PRINCIPAL")]
    writer: String,
    /// A role of your own for the writer, instead of roles/storage.objectUser
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Another server than Google's
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// Who asks.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// An administrator's access token (gcloud auth print-access-token), instead of Application Default Credentials
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
}

impl super::Place for Place {
    type Access = Access;

    fn bucket(&self, tls: Tls, access: Option<&Access>) -> Result<Prepared, Invalid> {
        let config = GcsConfig {
            bucket: self.bucket.clone(),
            project: given(self.project.as_ref()),
            endpoint: given(self.endpoint.as_ref()),
            prefix: given(self.prefix.as_ref()),
            ..GcsConfig::default()
        };
        let mut bucket = GcsBucket::new(&config, &self.writer, tls)?;
        if let Some(role) = &self.role {
            bucket = bucket.role(role)?;
        }
        if let Some(location) = &self.location {
            bucket = bucket.location(location)?;
        }
        if let Some(file) = access.and_then(|access| access.access_token_file.as_ref()) {
            bucket = bucket.token_file(file);
        }
        Ok(Prepared {
            public_url: bucket.public_url().ok(),
            bucket: Box::new(bucket),
            by_hand: false,
        })
    }
}
