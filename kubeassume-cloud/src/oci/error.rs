//! [`CredentialError`].

use thiserror::Error;

use crate::http::CallError;

/// Why there is no credential. Messages name variables, files and fields, never what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Nothing is configured.
    #[error("{0}")]
    Missing(String),
    /// What is configured cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A token is over, and whoever gave it has to give another.
    #[error("{0}")]
    Expired(String),
    /// The instance's metadata service or OCI's authentication service did not give one.
    #[error("{from}: {error}")]
    Call {
        /// Which service.
        from: &'static str,
        /// What came of the call.
        error: CallError,
    },
}

impl CredentialError {
    /// Whether there may be one later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Call { error, .. } if error.is_retryable())
    }
}

impl From<CredentialError> for CallError {
    fn from(error: CredentialError) -> Self {
        Self::Credential {
            transient: error.is_retryable(),
            reason: error.to_string(),
        }
    }
}
