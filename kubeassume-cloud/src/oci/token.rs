//! [`SecurityToken`]: the JWT of a session, as far as its holder reads it.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// A token and when it ends. Its signature is for OCI to check; nothing is decided by its claims but when to
/// ask for a new one and what to warn of.
#[derive(Clone)]
pub struct SecurityToken {
    token: SecretString,
    claims: Value,
    expires: SystemTime,
}

impl SecurityToken {
    /// Reads a token; `None` if it is no JWT with an `exp`.
    pub fn parse(token: &str) -> Option<Self> {
        let token = token.trim();
        let payload = token.split('.').nth(1)?;
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
        let expires =
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.get("exp")?.as_u64()?))?;
        Some(Self {
            token: token.to_owned().into(),
            claims,
            expires,
        })
    }

    /// When it ends.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    pub(super) fn claims(&self) -> &Value {
        &self.claims
    }

    pub(super) fn expose(&self) -> &str {
        self.token.expose_secret()
    }
}

impl fmt::Debug for SecurityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityToken")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
