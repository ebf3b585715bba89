//! [`ResourcePrincipal`]: a session that the platform puts into the environment (version 2.2).
//!
//! `OCI_RESOURCE_PRINCIPAL_RPST`, `_PRIVATE_PEM` and `_PRIVATE_PEM_PASSPHRASE` hold values, or absolute paths of
//! files that somebody else renews; files are read for each credential. The other versions (1.1, 2.1, 3.0) fetch
//! their token from endpoints that only OCI's own services have; they are refused by name.

use secrecy::ExposeSecret as _;

use super::environment::Environment;
use super::error::CredentialError;
use super::key::SigningKey;
use super::sign::Credential;
use super::token::SecurityToken;

#[derive(Debug, Clone)]
pub(super) struct ResourcePrincipal {
    environment: Environment,
}

const VERSION: &str = "OCI_RESOURCE_PRINCIPAL_VERSION";
const RPST: &str = "OCI_RESOURCE_PRINCIPAL_RPST";
const PRIVATE_PEM: &str = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM";
const PASSPHRASE: &str = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE";
const REGION: &str = "OCI_RESOURCE_PRINCIPAL_REGION";

impl ResourcePrincipal {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment }
    }

    pub(super) fn exists(&self) -> bool {
        self.environment.variable(VERSION).is_some()
    }

    pub(super) fn region(&self) -> Option<String> {
        self.environment.variable(REGION)
    }

    pub(super) fn load(&self) -> Result<Credential, CredentialError> {
        match self.environment.variable(VERSION).as_deref() {
            Some("2.2") => {}
            Some(other) => {
                let text = format!("{VERSION} is {other:?}; only \"2.2\" is supported");
                return Err(CredentialError::Unusable(text));
            }
            None => {
                let text = format!("{VERSION} is not set: nothing here is an OCI resource principal");
                return Err(CredentialError::Missing(text));
            }
        }
        let required = |name| {
            let value = self.environment.value_or_file(name)?;
            value.ok_or_else(|| CredentialError::Missing(format!("{name} is not set")))
        };
        let token = SecurityToken::parse(required(RPST)?.expose_secret())
            .ok_or_else(|| CredentialError::Unusable(format!("{RPST} holds no token (a JWT with an exp)")))?;
        let passphrase = self.environment.value_or_file(PASSPHRASE)?;
        let key = SigningKey::from_pem(
            required(PRIVATE_PEM)?.expose_secret().as_bytes(),
            passphrase.as_ref(),
        )
        .map_err(|error| CredentialError::Unusable(format!("{PRIVATE_PEM} {error}")))?;
        Ok(Credential::session(token, key))
    }
}
