//! [`VerifyError`]: which hop of a relying party's way failed, and why.
//!
//! No message holds the token, its signature or its subject. Text from a stranger is quoted, cut and
//! escaped, so that it cannot forge a log line.

use thiserror::Error;

use super::limits::{CLOCK_SKEW, FORBIDDEN_PARAMETERS, MAX_TOKEN_BYTES};
use crate::clock::Timestamp;
use crate::{Algorithm, DiscoveryError, MAX_KID_BYTES, Problem, PublicReadError, Refusal};

/// Why a relying party does not accept a token, by the hop that failed, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Its form or its header. Nothing was read for it.
    #[error("the token is not acceptable: {0}")]
    Token(#[from] TokenError),
    /// The issuer's discovery document.
    #[error("the discovery document {url} cannot be used: {reason}")]
    Discovery {
        /// Where it was read.
        url: String,
        /// What is wrong.
        reason: DiscoveryFailure,
    },
    /// The issuer's key set.
    #[error("the key set {url} cannot be used: {reason}")]
    Jwks {
        /// Where it was read: the discovery document's `jwks_uri`.
        url: String,
        /// What is wrong.
        reason: JwksFailure,
    },
    /// No key of the set belongs to the token.
    #[error("no published key belongs to the token: {0}")]
    Key(#[from] KeyError),
    /// The signature does not belong to header, claims and key.
    #[error(
        "the signature does not verify with the published key {kid:?} ({algorithm}): the token was altered, or \
         signed with another key than the one published under that kid"
    )]
    Signature {
        /// The published key.
        kid: String,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// Signed, but not for here or not for now.
    #[error("the token is signed, but its claims do not hold: {0}")]
    Claims(#[from] ClaimError),
}

impl VerifyError {
    /// The hop that failed, for metrics and exit messages: `token`, `discovery`, `jwks`, `key`, `signature`
    /// or `claims`.
    pub fn hop(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Discovery { .. } => "discovery",
            Self::Jwks { .. } => "jwks",
            Self::Key(_) => "key",
            Self::Signature { .. } => "signature",
            Self::Claims(_) => "claims",
        }
    }

    /// Whether the same token may be accepted a little later: a document could not be read, or its key is
    /// not public yet.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Discovery {
                reason: DiscoveryFailure::Unreadable(error),
                ..
            }
            | Self::Jwks {
                reason: JwksFailure::Unreadable(error),
                ..
            } => matches!(
                error,
                PublicReadError::Timeout
                    | PublicReadError::Unreachable(_)
                    | PublicReadError::Status(429 | 500..)
            ),
            Self::Key(KeyError::Unknown { .. }) => true,
            Self::Claims(ClaimError::NotYet { .. }) => true,
            _ => false,
        }
    }
}

/// What is wrong with a token's form or header.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Over 64 KiB.
    #[error("it is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// RFC 7515 section 3.1: header, claims, signature.
    #[error("it does not have exactly three segments separated by dots")]
    Segments,
    /// An empty last segment (RFC 7519 section 6).
    #[error("it is not signed")]
    Unsigned,
    /// Padding, another alphabet, white space, or stray bits (RFC 7515 section 2): another spelling of the
    /// same bytes would be another token with the same signature.
    #[error("its {0} is not unpadded base64url; check that the token was copied whole, without a line break")]
    Base64(&'static str),
    /// Not one JSON object, or a member stands twice (RFC 7515 section 4).
    #[error("its header is malformed: {0}")]
    Header(String),
    /// `alg` or `kid` is absent or no text.
    #[error("its header has no text {0:?}")]
    Missing(&'static str),
    /// Longer than any published `kid`.
    #[error("its kid is empty or longer than {MAX_KID_BYTES} bytes")]
    KidLength,
    /// `none`, an HMAC, RSA-PSS or anything else that no published key has (RFC 8725 section 3.1).
    #[error("its algorithm {0:?} is not one that published keys have (RS256/384/512, ES256/384/512)")]
    Algorithm(String),
    /// A header parameter that would bring a key, an extension or an encoding along.
    #[error(
        "its header has {0:?}; none of {list} is accepted (RFC 8725 sections 3.8 and 3.10)",
        list = FORBIDDEN_PARAMETERS.join(", ")
    )]
    Parameter(&'static str),
    /// Another kind of token (RFC 8725 section 3.11).
    #[error("its type {0:?} is not \"JWT\"")]
    Type(String),
}

/// Why the discovery document stops the way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DiscoveryFailure {
    /// It cannot be read as the public reads.
    #[error(transparent)]
    Unreadable(PublicReadError),
    /// It is no such document, or another issuer's.
    #[error(transparent)]
    Unusable(DiscoveryError),
    /// Keys over plain HTTP are anybody's keys.
    #[error("its jwks_uri {0:?} is not an https URL")]
    JwksUri(String),
}

/// Why the key set stops the way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwksFailure {
    /// It cannot be read as the public reads.
    #[error(transparent)]
    Unreadable(PublicReadError),
    /// Nothing of it may be used.
    #[error(transparent)]
    Refused(Refusal),
}

/// Why no published key belongs to a token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing is published under the token's `kid`.
    #[error(
        "nothing is published under kid {kid:?}{}; either the token comes from another cluster, or its key is \
         not public yet or not any more",
        .token_issuer.as_deref().map(|i| format!(" (the token names issuer {i:?})")).unwrap_or_default()
    )]
    Unknown {
        /// The token's `kid`.
        kid: String,
        /// The issuer that the token names, unverified, if it is not the expected one.
        token_issuer: Option<String>,
    },
    /// A key is published under the `kid`, but no relying party may use it.
    #[error("the key published under kid {kid:?} cannot be used: {problem}")]
    Unusable {
        /// The token's `kid`.
        kid: String,
        /// What is wrong with the key.
        problem: Problem,
    },
    /// The token wants its key used with another algorithm (RFC 8725 section 3.1).
    #[error("the token says {token}, but the key published under kid {kid:?} is for {key} only")]
    Algorithm {
        /// The token's `kid`.
        kid: String,
        /// What the token's header says.
        token: Algorithm,
        /// The key's one algorithm.
        key: Algorithm,
    },
}

/// What is wrong with signed claims.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Not one JSON object, or a claim stands twice (RFC 7519 section 4).
    #[error("they are malformed: {0}")]
    Malformed(String),
    /// A required claim is absent.
    #[error("{0:?} is missing")]
    Missing(&'static str),
    /// A claim has the wrong type or is out of range.
    #[error("{claim:?} is not {expected}")]
    Type {
        /// The claim.
        claim: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// Another issuer, even if only by a slash (OpenID Connect Core 1.0 section 3.1.3.7).
    #[error("\"iss\" is {found:?}, expected exactly {expected:?}")]
    Issuer {
        /// What it must be.
        expected: String,
        /// What it is, cut.
        found: String,
    },
    /// For somebody else.
    #[error("\"aud\" is {found:?}, without the expected {expected:?}; request the token for that audience")]
    Audience {
        /// What must be among them.
        expected: String,
        /// What they are, cut.
        found: Vec<String>,
    },
    /// Over.
    #[error("the token expired at {0} (\"exp\"; {skew} s are tolerated)", skew = CLOCK_SKEW.as_secs())]
    Expired(Timestamp),
    /// In the future.
    #[error(
        "{claim:?} is in the future, {at} ({} s are tolerated); compare this clock with the issuer's",
        CLOCK_SKEW.as_secs()
    )]
    NotYet {
        /// `iat` or `nbf`.
        claim: &'static str,
        /// What it says.
        at: Timestamp,
    },
}
