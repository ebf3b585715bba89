//! [`Claims`]: what a verified token says, after every check of OpenID Connect Core 1.0 section 3.1.3.7
//! that applies to a service account token.
//!
//! - `iss` is compared byte for byte, `aud` must contain the expected audience. Several audiences without
//!   `azp` are accepted: Kubernetes issues such tokens, and Core leaves `azp` to extensions.
//! - `exp`, `iat` and `nbf` are RFC 7519 NumericDates, fractions included, from 1970 to 9999; 60 s of
//!   clock difference are tolerated. An `exp` before `iat` has no rule of its own in any of the RFCs: such
//!   a token is expired or not issued yet, save for the tolerance.

use jiff::SignedDuration;

use super::error::ClaimError;
use super::limits::CLOCK_SKEW;
use crate::clock::Timestamp;
use crate::json::Json;
use crate::jwk::shown;
use crate::{Algorithm, IssuerUrl};

/// The longest subject. OpenID Connect Core 1.0 section 2 says 255, but
/// `system:serviceaccount:<namespace>:<name>` can have 339.
const MAX_SUBJECT_BYTES: usize = 512;
/// The most audiences; Kubernetes' API servers have a handful.
const MAX_AUDIENCES: usize = 100;
/// The last whole year that a [`Timestamp`] holds begins here (9999-01-01).
const LAST_SECOND: i64 = 253_370_764_800;

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// `iss`: the expected issuer.
    pub issuer: IssuerUrl,
    /// `sub`: 1 to 512 ASCII characters, `system:serviceaccount:<namespace>:<name>` in Kubernetes.
    pub subject: String,
    /// `aud`: the expected audience is among them.
    pub audiences: Vec<String>,
    /// `exp`.
    pub expires_at: Timestamp,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
    /// The published key that signed it.
    pub kid: String,
    /// The algorithm of that key.
    pub algorithm: Algorithm,
}

/// What must hold.
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e IssuerUrl,
    pub(super) audience: &'e str,
    pub(super) now: Timestamp,
}

impl Expected<'_> {
    /// Checks the claims of a token whose signature holds.
    pub(super) fn check(
        &self,
        claims: &[u8],
        kid: String,
        algorithm: Algorithm,
    ) -> Result<Claims, ClaimError> {
        let claims = Json::parse(claims).map_err(|e| ClaimError::Malformed(e.to_string()))?;
        if !matches!(claims, Json::Object(_)) {
            return Err(ClaimError::Malformed("not a JSON object".to_owned()));
        }
        self.check_issuer(&claims)?;
        let audiences = self.audiences(&claims)?;
        let claims = Claims {
            issuer: self.issuer.clone(),
            subject: subject(&claims)?,
            audiences,
            expires_at: date(&claims, "exp")?.ok_or(ClaimError::Missing("exp"))?,
            issued_at: date(&claims, "iat")?.ok_or(ClaimError::Missing("iat"))?,
            not_before: date(&claims, "nbf")?,
            kid,
            algorithm,
        };
        self.check_time(&claims)?;
        Ok(claims)
    }

    fn check_issuer(&self, claims: &Json<'_>) -> Result<(), ClaimError> {
        let found = text(claims, "iss")?;
        if found == self.issuer.as_str() {
            return Ok(());
        }
        Err(ClaimError::Issuer {
            expected: self.issuer.to_string(),
            found: found.chars().take(256).collect(),
        })
    }

    fn audiences(&self, claims: &Json<'_>) -> Result<Vec<String>, ClaimError> {
        let wrong = || ClaimError::Type {
            claim: "aud",
            expected: "a non-empty string or an array of 1 to 100 of them",
        };
        let named = |json: &Json<'_>| match json.text() {
            Some(audience) if !audience.is_empty() => Ok(audience.to_owned()),
            _ => Err(wrong()),
        };
        let audiences = match claims.member("aud").ok_or(ClaimError::Missing("aud"))? {
            Json::Array(array) if (1..=MAX_AUDIENCES).contains(&array.len()) => {
                array.iter().map(named).collect::<Result<Vec<_>, _>>()?
            }
            one => vec![named(one)?],
        };
        if audiences.iter().any(|audience| audience == self.audience) {
            return Ok(audiences);
        }
        Err(ClaimError::Audience {
            expected: self.audience.to_owned(),
            found: audiences.iter().take(8).map(|audience| shown(audience)).collect(),
        })
    }

    fn check_time(&self, claims: &Claims) -> Result<(), ClaimError> {
        let skew = SignedDuration::try_from(CLOCK_SKEW).unwrap_or_default();
        // "On or after" (RFC 7519 section 4.1.4).
        if self.now.duration_since(claims.expires_at) >= skew {
            return Err(ClaimError::Expired(claims.expires_at));
        }
        let starts = [("iat", Some(claims.issued_at)), ("nbf", claims.not_before)];
        for (claim, at) in starts {
            if let Some(at) = at
                && at.duration_since(self.now) > skew
            {
                return Err(ClaimError::NotYet { claim, at });
            }
        }
        Ok(())
    }
}

fn text<'c>(claims: &'c Json<'_>, claim: &'static str) -> Result<&'c str, ClaimError> {
    claims
        .member(claim)
        .ok_or(ClaimError::Missing(claim))?
        .text()
        .ok_or(ClaimError::Type {
            claim,
            expected: "a string",
        })
}

fn subject(claims: &Json<'_>) -> Result<String, ClaimError> {
    let subject = text(claims, "sub")?;
    // ASCII, because a subject decides on access and other alphabets have look-alikes.
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || !subject.is_ascii() {
        return Err(ClaimError::Type {
            claim: "sub",
            expected: "a string of 1 to 512 ASCII characters",
        });
    }
    Ok(subject.to_owned())
}

fn date(claims: &Json<'_>, claim: &'static str) -> Result<Option<Timestamp>, ClaimError> {
    let at = match claims.member(claim) {
        None => return Ok(None),
        Some(Json::Integer(seconds)) if (0..LAST_SECOND).contains(seconds) => {
            Timestamp::from_second(*seconds).ok()
        }
        Some(Json::Number(seconds)) if (0.0..LAST_SECOND as f64).contains(seconds) => {
            Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
        }
        Some(_) => None,
    };
    at.map(Some).ok_or(ClaimError::Type {
        claim,
        expected: "a number of seconds from 1970 to 9998",
    })
}
