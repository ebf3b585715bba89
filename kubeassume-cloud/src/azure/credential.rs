//! [`AzureCredential`]: whom to ask for a token, and nobody else.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::Error;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, HttpClient, RetryOptions, Transport};
use azure_core::time::OffsetDateTime;
use azure_identity::{
    ClientAssertionCredentialOptions, DeveloperToolsCredential, DeveloperToolsCredentialOptions, Executor,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use thiserror::Error as ThisError;
use tokio::sync::OnceCell;

use super::AzureCloud;
use crate::text::printable;
use crate::token;

/// How long the metadata service may take when nobody else is asked.
const MANAGED_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to find out that this is no machine of Azure's.
const PROBE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long `az` and `azd` may take.
const TOOLS_TIMEOUT: Duration = Duration::from_secs(20);

/// What was said about the credential.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AzureCredentialOptions {
    /// In which cloud we sign in; unset: where `AZURE_AUTHORITY_HOST` says, else in the public one.
    pub cloud: Option<AzureCloud>,
    /// `true`: the managed identity and nothing else; `false`: never the managed identity; unset: the chain.
    pub use_managed_identity: Option<bool>,
    /// A file with an access token for the service, such as `az account get-access-token` prints. Read for
    /// each request; nothing else is asked then.
    pub access_token_file: Option<PathBuf>,
}

/// What the environment says, by the names that Azure's own SDKs use. Empty counts as unset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AzureEnvironment {
    /// `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// `AZURE_CLIENT_ID`: the application, or the user-assigned managed identity.
    pub client_id: Option<String>,
    /// `AZURE_FEDERATED_TOKEN_FILE`: the pod's own token for Entra ID.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`: where to sign in, if not at the cloud's own address.
    pub authority_host: Option<String>,
    /// `IDENTITY_ENDPOINT`: App Service's way to a managed identity.
    pub identity_endpoint: Option<String>,
}

impl AzureEnvironment {
    /// This process's environment.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            tenant_id: variable("AZURE_TENANT_ID"),
            client_id: variable("AZURE_CLIENT_ID"),
            federated_token_file: variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            authority_host: variable("AZURE_AUTHORITY_HOST"),
            identity_endpoint: variable("IDENTITY_ENDPOINT"),
        }
    }
}

/// Whom a credential asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureSource {
    /// An access token in a file.
    AccessTokenFile(PathBuf),
    /// Workload identity: this file's token, exchanged at Entra ID.
    WorkloadIdentity(PathBuf),
    /// The managed identity of the machine or the App Service.
    ManagedIdentity,
    /// `az`, then `azd`.
    DeveloperTools,
    /// The managed identity; where there is none, the developer's tools.
    ManagedIdentityThenDeveloperTools,
}

impl AzureSource {
    /// The first that applies: the access token file, `use_managed_identity: true`, a federated token, and
    /// then what is left of managed identity and the developer's tools. A federated token that is there but
    /// does not work is an error, not a reason to be somebody else.
    pub fn choose(options: &AzureCredentialOptions, environment: &AzureEnvironment) -> Self {
        match (
            &options.access_token_file,
            options.use_managed_identity,
            &environment.federated_token_file,
        ) {
            (Some(file), _, _) => Self::AccessTokenFile(file.clone()),
            (None, Some(true), _) => Self::ManagedIdentity,
            (None, _, Some(file)) => Self::WorkloadIdentity(file.clone()),
            (None, Some(false), None) => Self::DeveloperTools,
            (None, None, None) => Self::ManagedIdentityThenDeveloperTools,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::AccessTokenFile(_) => "access token file",
            Self::WorkloadIdentity(_) => "workload identity",
            Self::ManagedIdentity => "managed identity",
            Self::DeveloperTools => "developer tools",
            Self::ManagedIdentityThenDeveloperTools => "nobody to sign in as",
        }
    }
}

/// `AZURE_AUTHORITY_HOST` is another cloud's sign-in address: its tokens are worth nothing here.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error(
    "AZURE_AUTHORITY_HOST is {authority:?}, of another cloud than {}",
    cloud.blob_suffix()
)]
pub struct WrongAuthority {
    /// As in the environment.
    pub authority: String,
    /// The cloud of what is to be used.
    pub cloud: AzureCloud,
}

/// A [`TokenCredential`] that asks one [`AzureSource`]. It needs a tokio runtime.
pub struct AzureCredential {
    source: AzureSource,
    environment: AzureEnvironment,
    client_options: ClientOptions,
    executor: Option<Arc<dyn Executor>>,
    workload: OnceCell<Arc<WorkloadIdentityCredential>>,
    managed: OnceCell<Arc<ManagedIdentityCredential>>,
    tools: OnceCell<Arc<DeveloperToolsCredential>>,
    /// Which of the two gave the first token; the other is not asked again.
    settled: OnceCell<AzureSource>,
}

impl AzureCredential {
    /// A credential that sends through `http`, which is an [`AzureTransport`](super::AzureTransport). Asks
    /// nobody yet.
    ///
    /// # Errors
    /// [`WrongAuthority`].
    pub fn new(
        options: &AzureCredentialOptions,
        environment: AzureEnvironment,
        http: Arc<dyn HttpClient>,
    ) -> Result<Self, WrongAuthority> {
        let cloud = sign_in(options.cloud, environment.authority_host.as_deref())?;
        Ok(Self {
            source: AzureSource::choose(options, &environment),
            environment,
            client_options: ClientOptions {
                transport: Some(Transport::new(http)),
                cloud: Some(Arc::new(cloud)),
                // A token request changes nothing, so that it may be repeated.
                retry: RetryOptions::exponential(ExponentialRetryOptions {
                    max_retries: 2,
                    ..ExponentialRetryOptions::default()
                }),
                ..ClientOptions::default()
            },
            executor: None,
            workload: OnceCell::new(),
            managed: OnceCell::new(),
            tools: OnceCell::new(),
            settled: OnceCell::new(),
        })
    }

    /// Whom it asks.
    pub fn source(&self) -> &AzureSource {
        &self.source
    }

    /// Who issued the token that workload identity signs in with, read now and not verified; `None` for any
    /// other source. A publisher that signs in with a token of the issuer that it publishes cannot mend what
    /// it broke.
    pub fn subject_issuer(&self) -> Option<String> {
        match &self.source {
            AzureSource::WorkloadIdentity(file) => token::issuer(&token::read_file(file).ok()?),
            _ => None,
        }
    }

    async fn token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        match self.settled.get().unwrap_or(&self.source) {
            AzureSource::AccessTokenFile(file) => from_file(file),
            AzureSource::WorkloadIdentity(file) => {
                let workload = self.workload.get_or_try_init(async || self.workload(file));
                workload.await?.get_token(scopes, options).await
            }
            AzureSource::ManagedIdentity => self.managed(scopes, options, MANAGED_TIMEOUT).await,
            AzureSource::DeveloperTools => self.tools(scopes, options).await,
            AzureSource::ManagedIdentityThenDeveloperTools => self.first_of_both(scopes, options).await,
        }
    }

    async fn first_of_both(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let managed = match self.managed(scopes, options.clone(), PROBE_TIMEOUT).await {
            Ok(token) => {
                let _ = self.settled.set(AzureSource::ManagedIdentity);
                return Ok(token);
            }
            Err(error) => error,
        };
        match self.tools(scopes, options).await {
            Ok(token) => {
                let _ = self.settled.set(AzureSource::DeveloperTools);
                Ok(token)
            }
            Err(tools) => {
                let (managed, tools) = (words(&managed), words(&tools));
                let text = format!(
                    "AZURE_FEDERATED_TOKEN_FILE is not set; managed identity: {managed}; developer tools: {tools}"
                );
                Err(Error::with_message(ErrorKind::Credential, text))
            }
        }
    }

    fn workload(&self, file: &Path) -> azure_core::Result<Arc<WorkloadIdentityCredential>> {
        WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions {
                client_options: self.client_options.clone(),
            },
            client_id: Some(self.required("AZURE_CLIENT_ID", self.environment.client_id.as_ref())?),
            tenant_id: Some(self.required("AZURE_TENANT_ID", self.environment.tenant_id.as_ref())?),
            token_file_path: Some(file.to_owned()),
        }))
    }

    fn required(&self, name: &str, value: Option<&String>) -> azure_core::Result<String> {
        value.cloned().ok_or_else(|| {
            let text =
                format!("AZURE_FEDERATED_TOKEN_FILE is set and {name} is not: workload identity needs both");
            Error::with_message(ErrorKind::Credential, text)
        })
    }

    async fn managed(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
        limit: Duration,
    ) -> azure_core::Result<AccessToken> {
        let managed = self.managed.get_or_try_init(async || {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: self.environment.client_id.clone().map(UserAssignedId::ClientId),
                client_options: self.client_options.clone(),
            }))
        });
        within(limit, managed.await?.get_token(scopes, options)).await
    }

    async fn tools(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let tools = self.tools.get_or_try_init(async || {
            DeveloperToolsCredential::new(Some(DeveloperToolsCredentialOptions {
                executor: self.executor.clone(),
            }))
        });
        within(TOOLS_TIMEOUT, tools.await?.get_token(scopes, options)).await
    }
}

#[async_trait]
impl TokenCredential for AzureCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.token(scopes, options).await;
        token.map_err(|error| without_token(self.source.name(), error))
    }
}

/// Without the client, which holds credentials.
impl fmt::Debug for AzureCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureCredential")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

fn sign_in(cloud: Option<AzureCloud>, authority: Option<&str>) -> Result<CloudConfiguration, WrongAuthority> {
    let Some(authority) = authority else {
        return Ok(cloud.unwrap_or_default().configuration());
    };
    match (AzureCloud::of_authority(authority), cloud) {
        (Some(other), Some(cloud)) if other != cloud => Err(WrongAuthority {
            authority: authority.to_owned(),
            cloud,
        }),
        (Some(named), _) => Ok(named.configuration()),
        (None, _) => {
            let mut custom = CustomConfiguration::default();
            custom.authority_host = authority.to_owned();
            Ok(custom.into())
        }
    }
}

/// It counts as expired at once, so that the file is read again for the next request.
fn from_file(file: &Path) -> azure_core::Result<AccessToken> {
    let unusable = |what: &dyn fmt::Display| {
        let text = format!("{}: {what}", file.display());
        Error::with_message(ErrorKind::Credential, text)
    };
    let text = token::read_file(file).map_err(|error| unusable(&error))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(&"it must hold one access token and nothing else"));
    }
    Ok(AccessToken::new(token.to_owned(), OffsetDateTime::now_utc()))
}

async fn within(
    limit: Duration,
    answer: impl Future<Output = azure_core::Result<AccessToken>>,
) -> azure_core::Result<AccessToken> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", limit.as_secs());
        let cause = Error::with_message(ErrorKind::Io, text.clone());
        Err(Error::with_error(ErrorKind::Credential, cause, text))
    })
}

/// What the source itself said, without the words that the SDK puts around it.
fn words(error: &Error) -> String {
    const AROUND: [&str; 4] = [
        "To troubleshoot",
        "Multiple errors were encountered",
        "non-transport error occurred",
        "retry policy expired",
    ];
    let mut said: Vec<String> = Vec::new();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        for line in error.to_string().lines() {
            let line = line
                .split_once(" authentication failed. ")
                .map_or(line, |(_, said)| said);
            let line = line.trim();
            let is_around = AROUND.iter().any(|words| line.starts_with(words));
            if !line.is_empty() && !is_around && !said.iter().any(|before| before.contains(line)) {
                said.push(line.to_owned());
            }
        }
        cause = error.source();
    }
    printable(&said.join(", "))
}

/// Of whatever kind it is, a missing token is no reason for the caller's client to send its own request again.
fn without_token(who: &str, error: Error) -> Error {
    let text = format!("{who}: {}", words(&error));
    Error::with_error(ErrorKind::Credential, error, text)
}

#[cfg(test)]
mod tests;
