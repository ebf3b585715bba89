//! [`Credentials`]: which of the four kinds, and the credential that holds now.

use std::sync::Arc;
use std::time::SystemTime;

use super::environment::Environment;
use super::error::CredentialError;
use super::instance_principal::InstancePrincipal;
use super::profile::Profile;
use super::resource_principal::ResourcePrincipal;
use super::sign::Credential;
use crate::http::HttpClient;

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// A user's key, from `~/.oci/config` or `OCI_CLI_*`.
    ApiKey,
    /// A person's session (`oci session authenticate`): `security_token_file` of the profile.
    SessionToken,
    /// What the platform put into the environment: `OCI_RESOURCE_PRINCIPAL_*`.
    ResourcePrincipal,
    /// The compute instance's own identity, from its metadata service.
    InstancePrincipal,
}

impl Auth {
    /// What the environment is set up for, when nobody chose: `OCI_CLI_AUTH` if it is set, else a resource
    /// principal, else a profile (with its session token if it names one), else the instance. It is decided
    /// by what is there, once; a kind that then fails is never exchanged for the next.
    ///
    /// # Errors
    /// [`CredentialError::Unusable`] for an `OCI_CLI_AUTH` that is none of these.
    pub fn of_environment(environment: &Environment) -> Result<Self, CredentialError> {
        match environment.variable("OCI_CLI_AUTH").as_deref() {
            Some("api_key") => return Ok(Self::ApiKey),
            Some("security_token") => return Ok(Self::SessionToken),
            Some("resource_principal") => return Ok(Self::ResourcePrincipal),
            Some("instance_principal") => return Ok(Self::InstancePrincipal),
            Some(other) => {
                return Err(CredentialError::Unusable(format!(
                    "OCI_CLI_AUTH is {other:?}; supported are api_key, security_token, resource_principal and \
                     instance_principal"
                )));
            }
            None => {}
        }
        let profile = Profile::new(environment.clone());
        Ok(if ResourcePrincipal::new(environment.clone()).exists() {
            Self::ResourcePrincipal
        } else if profile.has_session_token() {
            Self::SessionToken
        } else if profile.exists() {
            Self::ApiKey
        } else {
            Self::InstancePrincipal
        })
    }
}

/// One kind of credential, and nothing of the others: what was chosen is the only thing that is asked.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    ApiKey(Profile),
    SessionToken(Profile),
    ResourcePrincipal(ResourcePrincipal),
    InstancePrincipal(InstancePrincipal),
    Given(Credential),
}

impl Credentials {
    /// Nothing is read yet.
    pub fn new(auth: Auth, environment: &Environment, http: &HttpClient) -> Self {
        Self(Arc::new(match auth {
            Auth::ApiKey => Kind::ApiKey(Profile::new(environment.clone())),
            Auth::SessionToken => Kind::SessionToken(Profile::new(environment.clone())),
            Auth::ResourcePrincipal => Kind::ResourcePrincipal(ResourcePrincipal::new(environment.clone())),
            Auth::InstancePrincipal => {
                Kind::InstancePrincipal(InstancePrincipal::new(environment, http.clone(), None))
            }
        }))
    }

    /// An instance's, with another authentication service than its region's.
    pub fn instance_principal_at(federation: &str, environment: &Environment, http: &HttpClient) -> Self {
        let principal = InstancePrincipal::new(environment, http.clone(), Some(federation.to_owned()));
        Self(Arc::new(Kind::InstancePrincipal(principal)))
    }

    /// This one, for ever.
    pub fn given(credential: Credential) -> Self {
        Self(Arc::new(Kind::Given(credential)))
    }

    /// The credential that holds at this time. Files are read each time; an instance's token is kept.
    ///
    /// # Errors
    /// [`CredentialError`]; an expired session is one.
    pub async fn load(&self, now: SystemTime) -> Result<Credential, CredentialError> {
        let credential = match &*self.0 {
            Kind::InstancePrincipal(principal) => return principal.load(now).await,
            Kind::Given(credential) => credential.clone(),
            Kind::ApiKey(profile) => {
                let profile = profile.clone();
                blocking(move || profile.api_key()).await?
            }
            Kind::SessionToken(profile) => {
                let profile = profile.clone();
                blocking(move || profile.session_token()).await?
            }
            Kind::ResourcePrincipal(principal) => {
                let principal = principal.clone();
                blocking(move || principal.load()).await?
            }
        };
        match credential.expires() {
            Some(end) if end <= now => Err(CredentialError::Expired(format!(
                "the session token ended {}; {}",
                httpdate::fmt_http_date(end),
                match &*self.0 {
                    Kind::SessionToken(_) => "renew it: oci session refresh",
                    _ => "whoever puts it there has to renew it",
                }
            ))),
            _ => Ok(credential),
        }
    }

    /// The region that goes with it, if it knows one.
    ///
    /// # Errors
    /// [`CredentialError`] where an instance has to be asked.
    pub async fn region(&self) -> Result<Option<String>, CredentialError> {
        match &*self.0 {
            Kind::ApiKey(profile) | Kind::SessionToken(profile) => Ok(profile.region()),
            Kind::ResourcePrincipal(principal) => Ok(principal.region()),
            Kind::InstancePrincipal(principal) => principal.region().await.map(Some),
            Kind::Given(_) => Ok(None),
        }
    }

    /// OCI did not take it: the next [`load`](Self::load) asks for another where one can be had.
    pub async fn forget(&self) {
        if let Kind::InstancePrincipal(principal) = &*self.0 {
            principal.forget().await;
        }
    }
}

/// Files, and a passphrase that is slow on purpose.
async fn blocking(
    read: impl FnOnce() -> Result<Credential, CredentialError> + Send + 'static,
) -> Result<Credential, CredentialError> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|_| {
        Err(CredentialError::Unusable(
            "reading the credential was interrupted".to_owned(),
        ))
    })
}
