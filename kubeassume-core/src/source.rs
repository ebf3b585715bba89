//! Where keys come from: API servers, a directory of files, a URL.
//!
//! A [`Source`] reads and reports; it does not remember, merge or decide. [`KeyRing`](crate::KeyRing) does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::{Parsed, Refusal};

/// Something that serves the keys with which tokens are signed.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads every listed endpoint once (a shared address several times). What fails is part of the
    /// answer; it never fails as a whole.
    async fn observe(&self) -> Observation;

    /// Whether an endpoint answers, for retrying one that did not without reading all the others.
    async fn probe(&self, endpoint: &str) -> bool;
}

/// One cycle's look at all endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// How the endpoints are reached, which decides what absence proves.
    pub addressing: Addressing,
    /// The answer of each listed endpoint, by its address.
    pub answers: BTreeMap<String, Answer>,
}

impl Observation {
    /// The answer of one endpoint that is the only one, without a clock of its own.
    pub fn of(endpoint: impl Into<String>, parsed: Parsed) -> Self {
        let answer = Answer::Read { parsed, date: None };
        Self {
            addressing: Addressing::Each,
            answers: [(endpoint.into(), answer)].into(),
        }
    }

    /// Whether every listed endpoint was read: only then may a key be marked or expire.
    pub fn is_complete(&self) -> bool {
        !self.answers.is_empty()
            && self
                .answers
                .values()
                .all(|answer| matches!(answer, Answer::Read { .. }))
    }

    /// The endpoints that could not be read, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &SourceError)> {
        self.answers.iter().filter_map(|(name, answer)| match answer {
            Answer::Read { .. } => None,
            Answer::Failed(error) => Some((name.as_str(), error)),
        })
    }
}

/// How endpoints are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// Every server is listed: a key that none of them serves is absent.
    Each,
    /// One address stands for several servers (a load balancer): absence shows only after many reads.
    Shared,
}

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its key set, and the `Date` of its response where it gave one.
    Read {
        /// Keys and findings; through a shared address those of all its reads in this cycle.
        parsed: Parsed,
        /// The server's clock.
        date: Option<Timestamp>,
    },
    /// It could not be read, or its whole answer was refused; its last good answer stays in force.
    Failed(SourceError),
}

/// Why an endpoint's answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Not reached, or no complete answer in time.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// 401 or 403.
    #[error(
        "refused the request (HTTP status {0}); either it is still starting, or the ClusterRole lacks get on the two discovery paths"
    )]
    Denied(u16),
    /// Any other status than 200.
    #[error("answered HTTP status {0}")]
    Status(u16),
    /// 404: Kubernetes installs the paths only for an https issuer without query and fragment.
    #[error(
        "serves no discovery document; --service-account-issuer must be an https URL without query and fragment"
    )]
    NoDiscovery,
    /// Its discovery document names another issuer than configured. Nothing is published for it.
    #[error("its issuer is {found:?}, configured is {expected:?}; they must be equal byte for byte")]
    Issuer {
        /// What is configured.
        expected: String,
        /// What the endpoint says.
        found: String,
    },
    /// Its discovery document is no such document.
    #[error("its discovery document is unusable: {0}")]
    Discovery(String),
    /// Its key set is refused as a whole.
    #[error("its key set is refused: {0}")]
    Refused(#[from] Refusal),
    /// The source cannot be used as configured.
    #[error("the source is misconfigured: {0}")]
    Misconfigured(String),
}

impl SourceError {
    /// A short name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Denied(_) => "denied",
            Self::Status(_) => "status",
            Self::NoDiscovery => "no_discovery",
            Self::Issuer { .. } => "issuer",
            Self::Discovery(_) => "discovery",
            Self::Refused(_) => "refused",
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}
