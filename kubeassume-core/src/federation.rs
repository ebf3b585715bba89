//! [`FederationProvider`]: telling a cloud to trust the issuer. The trait and its types; providers are in
//! `kubeassume-federation`.
//!
//! Every change is planned by reading only, shown, and applied with its before-values checked again.
//! Nothing is deleted that the provider did not create, and nothing is removed that others may use unless
//! `prune` says so.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::IssuerUrl;

/// One cloud's way of trusting an issuer.
#[async_trait]
pub trait FederationProvider: Send + Sync {
    /// What kind of provider this is: `aws`, `gcp`, `azure`, `oci`, `vault`.
    fn kind(&self) -> &'static str;

    /// What `setup` would change. Reads only.
    ///
    /// # Errors
    /// [`FederationError`].
    async fn plan(&self, config: &SetupConfig) -> Result<Plan, FederationError>;

    /// Applies a plan. Each before-value is read again first; running it again after a crash ends in the
    /// same state.
    ///
    /// # Errors
    /// [`FederationError::Changed`] when somebody changed something since the plan was made.
    async fn setup(&self, plan: &Plan) -> Result<SetupResult, FederationError>;

    /// Checks what exists: issuer, audiences, reachable documents, limits, drift.
    ///
    /// # Errors
    /// [`FederationError`] when it cannot be checked; what is wrong with it is in the result.
    async fn validate(&self, issuer: &IssuerUrl) -> Result<Vec<Drift>, FederationError>;

    /// What exists for the issuer, or `None`.
    ///
    /// # Errors
    /// [`FederationError`].
    async fn info(&self, issuer: &IssuerUrl) -> Result<Option<ProviderInfo>, FederationError>;

    /// Deletes what this tool created for the issuer; what it adopted is spared.
    ///
    /// # Errors
    /// [`FederationError`].
    async fn delete(&self, issuer: &IssuerUrl) -> Result<(), FederationError>;
}

/// What is to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupConfig {
    /// The issuer.
    pub issuer: IssuerUrl,
    /// The audiences that tokens for this cloud carry.
    pub audiences: Vec<String>,
    /// Whether audiences and subjects that the configuration lacks are removed; others may use them.
    #[serde(default)]
    pub prune: bool,
    /// What only this provider has, by the names of its command-line flags.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Changes, in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// For which configuration.
    pub config: SetupConfig,
    /// What changes. Empty: nothing to do.
    pub changes: Vec<Change>,
}

/// One change of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The thing, by the cloud's own name for it.
    pub resource: String,
    /// What of it: `clientIDs`, `attributeCondition`; nothing when the thing itself comes or goes.
    pub field: Option<String>,
    /// Before; `None` when it does not exist.
    pub before: Option<String>,
    /// After; `None` when it goes.
    pub after: Option<String>,
}

/// What `setup` made or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupResult {
    /// The provider's own name: an ARN, a resource name.
    pub provider: String,
    /// The audiences that it accepts now.
    pub audiences: Vec<String>,
    /// The certificate thumbprint, where the cloud needed one.
    pub thumbprint: Option<String>,
}

/// What exists in the cloud for an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderInfo {
    /// The provider's own name.
    pub provider: String,
    /// The issuer, as the cloud has it.
    pub issuer: String,
    /// The audiences that it accepts.
    pub audiences: Vec<String>,
    /// Whether this tool created it; otherwise it was adopted.
    pub created: bool,
}

/// Something that is not as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What.
    pub field: String,
    /// As configured.
    pub expected: String,
    /// As it is.
    pub found: String,
}

/// Why a provider did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FederationError {
    /// A value that the cloud would refuse; nothing was called.
    #[error("{field}: {rule}")]
    Invalid {
        /// Which field.
        field: String,
        /// The rule, with its source and the fix.
        rule: String,
    },
    /// The cloud refused a call for lack of permission.
    #[error("{call} was denied: {message}")]
    Denied {
        /// The API call.
        call: String,
        /// The cloud's own code and message.
        message: String,
    },
    /// The cloud refused a call for another reason.
    #[error("{call} failed: {message}")]
    Refused {
        /// The API call.
        call: String,
        /// The cloud's own code and message.
        message: String,
    },
    /// The cloud did not answer.
    #[error("{call} could not be made: {message}")]
    Unavailable {
        /// The API call.
        call: String,
        /// What happened.
        message: String,
    },
    /// Something changed since the plan was made; plan again.
    #[error("{resource} changed since the plan was made")]
    Changed {
        /// What changed.
        resource: String,
    },
}
