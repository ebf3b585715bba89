//! [`Credential`], and how it signs a request.
//!
//! The scheme is draft-cavage-http-signatures as OCI has it: RSA with SHA-256 over `date`,
//! `(request-target)` and `host`, and for a JSON body over its length, type and digest too
//! (<https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm>). A path is signed as it is sent, so
//! whoever builds it encodes it. The server compares `date` with its own clock and refuses more than five
//! minutes of difference.

use std::fmt;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, HeaderName};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::key::{KeyError, SigningKey};
use super::token::SecurityToken;

/// A name that OCI knows and the private key behind it. It prints as nothing but what kind it is.
#[derive(Clone)]
pub struct Credential {
    key_id: SecretString,
    key: SigningKey,
    token: Option<SecurityToken>,
}

/// What of a body is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// Nothing: GET, HEAD and DELETE, and Object Storage's PutObject.
    Unsigned,
    /// Length, type and SHA-256: every other POST, PUT and PATCH.
    Json(&'a [u8]),
}

const X_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");

impl Credential {
    /// A user's API key.
    pub fn api_key(tenancy: &str, user: &str, fingerprint: &str, key: SigningKey) -> Self {
        Self::named(format!("{tenancy}/{user}/{fingerprint}"), key)
    }

    /// A session: of a person, a resource or an instance.
    pub fn session(token: SecurityToken, key: SigningKey) -> Self {
        let mut credential = Self::named(format!("ST${}", token.expose()), key);
        credential.token = Some(token);
        credential
    }

    pub(super) fn named(key_id: String, key: SigningKey) -> Self {
        Self {
            key_id: key_id.into(),
            key,
            token: None,
        }
    }

    /// When its token ends; an API key does not.
    pub fn expires(&self) -> Option<SystemTime> {
        self.token.as_ref().map(SecurityToken::expires)
    }

    /// Whether a claim of its token is this text, at any depth: a session that was given for a token of this
    /// issuer names it. An API key has no claims.
    pub fn names(&self, text: &str) -> bool {
        fn any(value: &Value, text: &str) -> bool {
            match value {
                Value::String(claim) => claim == text,
                Value::Array(claims) => claims.iter().any(|claim| any(claim, text)),
                Value::Object(claims) => claims.values().any(|claim| any(claim, text)),
                _ => false,
            }
        }
        self.token.as_ref().is_some_and(|token| any(token.claims(), text))
    }

    /// Signs a request: adds `date`, `host`, `authorization` and, for a body, its three headers. Everything
    /// else may be set before or after.
    ///
    /// # Errors
    /// [`KeyError`] when the key cannot sign, or a value is no header.
    pub fn sign(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        content: Content<'_>,
        now: SystemTime,
    ) -> Result<(), KeyError> {
        let host = uri.authority().map_or("", Authority::as_str);
        headers.insert(HOST, value(host)?);
        self.sign_with(&[DATE, REQUEST_TARGET, HOST], method, uri, headers, content, now)
    }

    /// As [`sign`](Self::sign), over other headers than a service wants.
    pub(super) fn sign_with(
        &self,
        generic: &[HeaderName],
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        content: Content<'_>,
        now: SystemTime,
    ) -> Result<(), KeyError> {
        headers.insert(DATE, value(&httpdate::fmt_http_date(now))?);
        let mut signed = generic.to_vec();
        if let Content::Json(body) = content {
            let sha256 = STANDARD.encode(digest(&SHA256, body));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(X_CONTENT_SHA256, value(&sha256)?);
            signed.extend([CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_SHA256]);
        }
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = format!("{} {target}", method.as_str().to_ascii_lowercase());
        let lines: Vec<String> = signed
            .iter()
            .map(|name| {
                let value = match *name == REQUEST_TARGET {
                    true => target.as_str(),
                    false => headers
                        .get(name)
                        .and_then(|value| value.to_str().ok())
                        .unwrap_or_default(),
                };
                format!("{}: {value}", shown(name))
            })
            .collect();
        let signature = STANDARD.encode(self.key.sign(lines.join("\n").as_bytes())?);
        let names: Vec<&str> = signed.iter().map(shown).collect();
        let mut authorization = value(&format!(
            "Signature algorithm=\"rsa-sha256\",headers=\"{}\",keyId=\"{}\",signature=\"{signature}\",version=\"1\"",
            names.join(" "),
            self.key_id.expose_secret()
        ))?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }
}

/// Stands for the pseudo-header `(request-target)`, which no header can be called.
pub(super) const REQUEST_TARGET: HeaderName = HeaderName::from_static("x-request-target");

fn shown(name: &HeaderName) -> &str {
    match *name == REQUEST_TARGET {
        true => "(request-target)",
        false => name.as_str(),
    }
}

/// What came from a file may hold anything; a line break in it would be another header.
fn value(text: &str) -> Result<HeaderValue, KeyError> {
    HeaderValue::from_str(text).map_err(|_| KeyError::Header)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.token {
            Some(_) => "a session token",
            None => "an API key",
        };
        f.debug_tuple("Credential").field(&kind).finish()
    }
}
