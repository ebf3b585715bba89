//! What happened to the keys, for people: Kubernetes Events, logs, the demo's timeline.

use std::fmt;

use crate::clock::Timestamp;
use crate::{Jwk, Thumbprint};

/// One step of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An API server serves a key that was not published before.
    NewKey(KeyName),
    /// A key that was retiring or unconfirmed is served again.
    Returned(KeyName),
    /// No API server serves the key any more; it stays public until then.
    Retiring {
        /// Which key.
        key: KeyName,
        /// When its retention ends.
        until: Timestamp,
    },
    /// The key's retention is over, or a key of the same `kid` replaced it: no longer published.
    Removed(KeyName),
    /// The key was revoked: no longer published, whatever serves it.
    Revoked(KeyName),
    /// Two keys have one `kid`; one of them is published.
    Conflict {
        /// The key that is published.
        published: KeyName,
        /// The key that is not.
        refused: Thumbprint,
    },
    /// Only the public copy has the key and the state that explained it is lost; it stays until then.
    Unconfirmed {
        /// Which key.
        key: KeyName,
        /// When it goes, unless an API server serves it before.
        until: Timestamp,
    },
    /// The public copy held a key that no API server of this cluster serves.
    Foreign(KeyName),
}

impl Event {
    /// A name in the style of Kubernetes Event reasons.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NewKey(_) => "NewKey",
            Self::Returned(_) => "KeyReturned",
            Self::Retiring { .. } => "KeyRetiring",
            Self::Removed(_) => "KeyRemoved",
            Self::Revoked(_) => "KeyRevoked",
            Self::Conflict { .. } => "KeyConflict",
            Self::Unconfirmed { .. } => "KeyUnconfirmed",
            Self::Foreign(_) => "ForeignKey",
        }
    }

    /// Whether somebody should look into it.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. } | Self::Unconfirmed { .. } | Self::Foreign(_) | Self::Revoked(_)
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewKey(key) => write!(f, "new key {key}"),
            Self::Returned(key) => write!(f, "key {key} is served again"),
            Self::Retiring { key, until } => {
                write!(
                    f,
                    "no API server serves key {key} any more; it stays public until {until:.0}"
                )
            }
            Self::Removed(key) => write!(f, "key {key} is no longer published"),
            Self::Revoked(key) => write!(f, "key {key} is revoked"),
            Self::Conflict { published, refused } => {
                write!(
                    f,
                    "two keys have the kid of {published}; the one with thumbprint {refused} is not published"
                )
            }
            Self::Unconfirmed { key, until } => write!(
                f,
                "only the public copy has key {key} and no state explains it; it stays public until {until:.0}"
            ),
            Self::Foreign(key) => write!(f, "the public copy held foreign key {key}"),
        }
    }
}

/// How events name a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// Its `kid`; empty for a key that is only known by its thumbprint.
    pub kid: String,
    /// Its identity.
    pub thumbprint: Thumbprint,
}

impl From<&Jwk> for KeyName {
    fn from(key: &Jwk) -> Self {
        Self {
            kid: key.kid().to_owned(),
            thumbprint: key.thumbprint(),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kid.as_str() {
            "" => write!(f, "(thumbprint {})", self.thumbprint),
            kid => write!(f, "{kid:?}"),
        }
    }
}
