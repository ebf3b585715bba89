//! The form of a token and its header: everything that can be refused before a key is looked for.
//!
//! The claims are not decoded here: nothing of them counts before the signature does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::TokenError;
use super::limits::{FORBIDDEN_PARAMETERS, MAX_TOKEN_BYTES};
use crate::json::Json;
use crate::jwk::shown;
use crate::{Algorithm, MAX_KID_BYTES};

/// A token of acceptable form, not verified in any way.
pub(super) struct Token<'t> {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    /// Header and claims as they were signed (RFC 7515 section 5.1, step 8).
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    claims: &'t str,
}

impl<'t> Token<'t> {
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Segments)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Segments)?;
        if claims.contains('.') {
            return Err(TokenError::Segments);
        }
        if signature.is_empty() {
            return Err(TokenError::Unsigned);
        }
        let header = decode(header, "header")?;
        let header = Json::parse(&header).map_err(|e| TokenError::Header(e.to_string()))?;
        if !matches!(header, Json::Object(_)) {
            return Err(TokenError::Header("not a JSON object".to_owned()));
        }
        if let Some(name) = FORBIDDEN_PARAMETERS
            .iter()
            .find(|name| header.member(name).is_some())
        {
            return Err(TokenError::Parameter(name));
        }
        check_type(&header)?;
        let text = |name| header.member(name).and_then(Json::text);
        let algorithm = text("alg").ok_or(TokenError::Missing("alg"))?;
        let kid = text("kid").ok_or(TokenError::Missing("kid"))?;
        if kid.is_empty() || kid.len() > MAX_KID_BYTES {
            return Err(TokenError::KidLength);
        }
        Ok(Self {
            kid: kid.to_owned(),
            algorithm: algorithm
                .parse()
                .map_err(|()| TokenError::Algorithm(shown(algorithm)))?,
            signed,
            signature: decode(signature, "signature")?,
            claims,
        })
    }

    /// The claims as JSON text.
    pub(super) fn claims(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.claims, "claims")
    }

    /// The issuer that the token names, to explain an unknown key; nothing may be concluded from it.
    pub(super) fn unverified_issuer(&self) -> Option<String> {
        let claims = self.claims().ok()?;
        let claims = Json::parse(&claims).ok()?;
        claims.member("iss")?.text().map(str::to_owned)
    }
}

fn decode(segment: &str, name: &'static str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| TokenError::Base64(name))
}

/// `typ` is optional and Kubernetes leaves it out. Another kind of JWT (a security event, an access token
/// of RFC 9068) has rules of its own and must not pass for an identity token.
fn check_type(header: &Json<'_>) -> Result<(), TokenError> {
    match header.member("typ") {
        None => Ok(()),
        Some(Json::Text(kind)) if kind.eq_ignore_ascii_case("JWT") => Ok(()),
        Some(Json::Text(kind)) => Err(TokenError::Type(shown(kind))),
        Some(_) => Err(TokenError::Type("(not a string)".to_owned())),
    }
}
