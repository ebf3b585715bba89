//! SDK clients for one container: credential, trust, time limits, and what may be tried again.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport, Url};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use kubeassume_cloud::azure::{
    AzureCloud, AzureCredential, AzureCredentialOptions, AzureEnvironment, AzureTransport,
};
use kubeassume_core::IssuerUrl;
use kubeassume_core::store::StoreError;

use super::AzureConfig;
use super::error::{Call, store_error};
use crate::meaning::not_answered;
use crate::{Invalid, OpenError, Tls};

/// A call with all its retries and the token that it needs takes at most this.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a read is tried again.
const READ_RETRIES: u32 = 2;

/// One container, by two clients.
pub(super) struct Connected {
    pub(super) reads: BlobContainerClient,
    /// Sends each write once: the SDK would send one again whose answer was lost, and what came of it could
    /// not be told any more.
    pub(super) writes: BlobContainerClient,
    /// Who issued the token with which we sign in, asked anew each time.
    pub(super) own: Option<Arc<AzureCredential>>,
}

/// Whose token is sent.
pub(super) enum SignIn {
    /// As the configuration and this environment say.
    Chain(AzureEnvironment),
    /// As the caller says.
    Given(Arc<dyn TokenCredential>),
}

pub(super) fn connect(config: &AzureConfig, tls: &Tls, sign_in: SignIn) -> Result<Connected, OpenError> {
    let environment = match &sign_in {
        SignIn::Chain(environment) => environment.clone(),
        SignIn::Given(_) => AzureEnvironment::default(),
    };
    let transport = AzureTransport::new(tls.ca_pem.as_deref(), &environment)
        .map_err(|error| StoreError::Misconfigured(format!("tls.caFile: {error}")))?;
    let (credential, own): (Arc<dyn TokenCredential>, _) = match sign_in {
        SignIn::Given(given) => (given, None),
        SignIn::Chain(environment) => {
            let own = AzureCredential::new(&options(config), environment, transport.clone())
                .map_err(|error| Invalid::new("azure.endpoint", error.to_string()))?;
            let own = Arc::new(own);
            (own.clone(), Some(own))
        }
    };
    let container = format!("{}/{}", config.service(), config.container);
    let container =
        Url::parse(&container).map_err(|error| Invalid::new("azure.endpoint", error.to_string()))?;
    let client = |retry: RetryOptions| {
        let options = BlobContainerClientOptions {
            client_options: ClientOptions {
                retry,
                transport: Some(Transport::new(transport.clone())),
                ..ClientOptions::default()
            },
            ..BlobContainerClientOptions::default()
        };
        BlobContainerClient::new(container.clone(), Some(credential.clone()), Some(options))
            .map_err(|error| store_error(&error, Call::Read))
    };
    let again = ExponentialRetryOptions {
        max_retries: READ_RETRIES,
        ..ExponentialRetryOptions::default()
    };
    Ok(Connected {
        reads: client(RetryOptions::exponential(again))?,
        writes: client(RetryOptions::none())?,
        own,
    })
}

/// The cloud is the endpoint's; a host name that is none of Azure's says nothing about it.
fn options(config: &AzureConfig) -> AzureCredentialOptions {
    let cloud = config
        .service()
        .parse::<IssuerUrl>()
        .ok()
        .and_then(|url| AzureCloud::of_blob_host(url.authority()).map(|(cloud, _)| cloud));
    AzureCredentialOptions {
        cloud,
        use_managed_identity: config.use_managed_identity,
        access_token_file: None,
    }
}

/// Bounds a call in time and says what came of it.
pub(super) async fn within<T>(
    call: Call,
    answer: impl Future<Output = azure_core::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(OPERATION_TIMEOUT, answer).await {
        Ok(result) => result.map_err(|error| store_error(&error, call)),
        Err(_) => {
            let text = format!("no answer within {} s", OPERATION_TIMEOUT.as_secs());
            Err(not_answered(text, call.effect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_says_the_cloud() {
        let cloud = |endpoint: Option<&str>| {
            let config = AzureConfig {
                storage_account: "keys".to_owned(),
                endpoint: endpoint.map(str::to_owned),
                ..AzureConfig::default()
            };
            options(&config).cloud
        };
        assert_eq!(cloud(None), Some(AzureCloud::Public));
        assert_eq!(
            cloud(Some("https://keys.blob.core.chinacloudapi.cn")),
            Some(AzureCloud::China)
        );
        assert_eq!(
            cloud(Some("https://keys.blob.core.usgovcloudapi.net")),
            Some(AzureCloud::UsGovernment)
        );
        assert_eq!(cloud(Some("https://blobs.example.com")), None);
    }
}
