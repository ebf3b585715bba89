//! [`BucketError`].

use thiserror::Error;

use crate::Invalid;

/// Why a bucket cannot be looked at or made ready. `field` is the configuration's, as `s3.bucket`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BucketError {
    /// A field breaks a rule. Nothing was asked.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The cloud refused a call, or it came to nothing.
    #[error("{operation}: {said}")]
    Call {
        /// The call's name, as the cloud's documentation has it.
        operation: &'static str,
        /// What it is about.
        field: &'static str,
        /// The cloud's code and words, or what became of the connection.
        said: String,
        /// What to do.
        next: String,
    },
    /// What is there must not become, or be, a place to publish. Nothing was changed.
    #[error("{found}")]
    Unsafe {
        /// What it is about.
        field: &'static str,
        /// What is there.
        found: String,
        /// What to do.
        next: String,
    },
    /// It is no longer as it was when the plan was made. Nothing was changed.
    #[error("{0} has changed since it was looked at")]
    Changed(String),
}

impl BucketError {
    /// The field that it is about, if it is one's.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(invalid) => Some(invalid.field),
            Self::Call { field, .. } | Self::Unsafe { field, .. } => Some(field),
            Self::Changed(_) => None,
        }
    }

    /// What to do next.
    pub fn next(&self) -> &str {
        match self {
            Self::Invalid(_) => "correct it; nothing was asked or changed",
            Self::Call { next, .. } | Self::Unsafe { next, .. } => next,
            Self::Changed(_) => "run it again and look at what it shows now",
        }
    }

    pub(super) fn setup(field: &'static str, said: impl Into<String>) -> Self {
        Self::Call {
            operation: "setting up the client",
            field,
            said: said.into(),
            next: "correct it; nothing was asked or changed".to_owned(),
        }
    }
}
