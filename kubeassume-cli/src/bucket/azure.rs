//! Azure Blob Storage's arguments.

use std::path::PathBuf;

use clap::Args;
use kubeassume_publishers::azure::AzureConfig;
use kubeassume_publishers::bucket::AzureContainer;
use kubeassume_publishers::{Invalid, Tls};

use super::{Prepared, given};

/// A container of its own in an account that is there, and who writes there
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The subscription's id
    #[arg(long, value_name = "ID")]
    subscription: String,
    /// The storage account's resource group
    #[arg(long, value_name = "NAME")]
    resource_group: String,
    /// The storage account
    #[arg(long, value_name = "NAME")]
    storage_account: String,
    /// The container; it holds nothing but documents
    #[arg(long, value_name = "NAME")]
    container: String,
    /// What goes before both documents in the issuer
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// The one principal that writes: the object id of a managed identity or service principal
    #[arg(long, value_name = "OBJECT-ID")]
    writer: String,
    /// The id of a role definition of your own for the writer, instead of Storage Blob Data Contributor
    #[arg(long, value_name = "ID")]
    role: Option<String>,
    /// Another Resource Manager than the public cloud's (https)
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The account's Blob service, when it is not in the public cloud
    #[arg(long, value_name = "URL")]
    blob_endpoint: Option<String>,
}

/// Who asks.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// An administrator's access token (az account get-access-token --query accessToken -o tsv)
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
    /// A second one for the Blob service (--resource https://storage.azure.com), to see whether a private container is
    /// empty
    #[arg(long, value_name = "FILE", requires = "access_token_file")]
    storage_token_file: Option<PathBuf>,
}

impl super::Place for Place {
    type Access = Access;

    fn bucket(&self, tls: Tls, access: Option<&Access>) -> Result<Prepared, Invalid> {
        let config = AzureConfig {
            storage_account: self.storage_account.clone(),
            container: self.container.clone(),
            endpoint: given(self.blob_endpoint.as_ref()),
            prefix: given(self.prefix.as_ref()),
            ..AzureConfig::default()
        };
        let mut bucket = AzureContainer::new(
            &config,
            &self.subscription,
            &self.resource_group,
            &self.writer,
            tls,
        )?;
        if let Some(role) = &self.role {
            bucket = bucket.role(role)?;
        }
        if let Some(endpoint) = given(self.endpoint.as_ref()) {
            bucket = bucket.resource_manager(&endpoint)?;
        }
        if let Some(access) = access
            && let Some(file) = &access.access_token_file
        {
            bucket = bucket.token_files(file, access.storage_token_file.clone());
        }
        Ok(Prepared {
            public_url: bucket.public_url().ok(),
            by_hand: !bucket.has_token(),
            bucket: Box::new(bucket),
        })
    }
}
