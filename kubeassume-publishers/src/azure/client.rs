//! SDK clients for one container: credential, trust, time limits, and what may be tried again.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport, Url};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use kubeassume_cloud::azure::{
    AzureCloud, AzureCredential, AzureCredentialOptions, AzureEnvironment, AzureTransport,
};
use kubeassume_cloud::http::CALL_TIMEOUT;
use kubeassume_cloud::retry::{Again, Retry};
use kubeassume_core::IssuerUrl;
use kubeassume_core::store::StoreError;

use super::AzureConfig;
use super::error::{Call, retry_after, store_error};
use crate::meaning::{Effect, not_answered};
use crate::{Invalid, OpenError, Patience, Tls};

const PATIENCE: Patience = Patience {
    attempt: CALL_TIMEOUT,
    attempts: Retry::READ.attempts,
    pause: Retry::READ.first,
};

/// One container.
///
/// The SDK sends each request once: it would send a write again whose answer was lost, and what came of it could not
/// be told any more; and it lets a server say how long it sleeps (`Retry-After`), be it an hour.
pub(super) struct Connected {
    pub(super) container: BlobContainerClient,
    /// Who issued the token with which we sign in, asked anew each time.
    pub(super) own: Option<Arc<AzureCredential>>,
    url: Url,
    credential: Arc<dyn TokenCredential>,
    transport: Arc<AzureTransport>,
    patience: Patience,
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
    Ok(Connected {
        container: client(&container, &credential, &transport)?,
        own,
        url: container,
        credential,
        transport,
        patience: PATIENCE,
    })
}

fn client(
    container: &Url,
    credential: &Arc<dyn TokenCredential>,
    transport: &Arc<AzureTransport>,
) -> Result<BlobContainerClient, StoreError> {
    let options = BlobContainerClientOptions {
        client_options: ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(transport.clone())),
            ..ClientOptions::default()
        },
        ..BlobContainerClientOptions::default()
    };
    BlobContainerClient::new(container.clone(), Some(credential.clone()), Some(options))
        .map_err(|error| store_error(&error, Call::Read))
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

impl Connected {
    /// The same, waiting so long.
    pub(super) fn with_patience(&self, patience: Patience) -> Result<Self, StoreError> {
        let transport = self.transport.with_call_timeout(patience.attempt);
        Ok(Self {
            container: client(&self.url, &self.credential, &transport)?,
            own: self.own.clone(),
            url: self.url.clone(),
            credential: self.credential.clone(),
            transport,
            patience,
        })
    }

    /// Asks, again where nothing is changed by it, bounds it all in time and says what came of it.
    pub(super) async fn ask<T, F>(&self, call: Call, mut ask: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = azure_core::Result<T>>,
    {
        let effect = call.effect();
        let retry = Retry {
            attempts: if effect == Effect::Read {
                self.patience.attempts
            } else {
                1
            },
            first: self.patience.pause,
            ..Retry::READ
        };
        let once = || {
            let asked = ask();
            async { asked.await.map_err(|error| Failure::of(&error, call)) }
        };
        let limit = self.patience.whole();
        match tokio::time::timeout(limit, retry.run(once)).await {
            Ok(result) => result.map_err(|failure| failure.meaning),
            Err(_) => Err(not_answered(format!("no answer within {limit:?}"), effect)),
        }
    }
}

struct Failure {
    meaning: StoreError,
    retry_after: Option<Duration>,
}

impl Failure {
    fn of(error: &azure_core::Error, call: Call) -> Self {
        Self {
            meaning: store_error(error, call),
            retry_after: retry_after(error),
        }
    }
}

impl Again for Failure {
    fn is_retryable(&self) -> bool {
        matches!(self.meaning, StoreError::Unavailable(_))
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
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
