//! Where a Google access token comes from.
//!
//! [`Credentials`] are the vendor's (`google-cloud-auth`) behind one rule about which of them count, or a
//! token that somebody brought. Found are, in this order (Application Default Credentials, AIP-4110): the
//! file that `GOOGLE_APPLICATION_CREDENTIALS` names, the file that `gcloud auth application-default login`
//! writes, the metadata server. A file is a service account's key, a user's login, an impersonation, or an
//! `external_account`: workload identity federation.
//!
//! The vendor's library keeps tokens, renews them before they expire, and asks its sources with a client of
//! its own: the system's certificate authorities, the proxies of the environment. It gives up for ever
//! when a source refuses once; here it is asked anew, because what is refused now (an issuer that is not
//! published yet, a role not yet granted) may be granted a minute later.

mod source;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use google_cloud_auth::credentials::CacheableResource;
use google_cloud_auth::errors::CredentialsError;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Extensions, Request};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use self::source::Places;
use crate::http::{CALL_TIMEOUT, CallError, explanation};
use crate::text::printable;
use crate::token;

/// Objects in Cloud Storage, to read and write; not who may.
pub const STORAGE_READ_WRITE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// Buckets and objects in Cloud Storage, and who may read and write them.
pub const STORAGE_FULL_CONTROL: &str = "https://www.googleapis.com/auth/devstorage.full_control";

/// Which of the credentials that are found count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The first.
    First,
    /// Those without a secret of their own: an `external_account` file, else the metadata server.
    WorkloadIdentity,
    /// Those with one: a key, a login, an impersonation that begins with either. Never the metadata server.
    Secret,
}

/// Something that authorizes requests. Clones share their tokens.
#[derive(Clone)]
pub struct Credentials(Arc<Source>);

enum Source {
    Found {
        places: Places,
        choice: Choice,
        scopes: Vec<String>,
        built: Mutex<Option<google_cloud_auth::credentials::Credentials>>,
    },
    Token(SecretString),
    TokenFile(PathBuf),
    Anonymous,
}

impl From<Option<bool>> for Choice {
    /// As `useWorkloadIdentity` says it.
    fn from(use_workload_identity: Option<bool>) -> Self {
        match use_workload_identity {
            None => Self::First,
            Some(true) => Self::WorkloadIdentity,
            Some(false) => Self::Secret,
        }
    }
}

impl Credentials {
    /// Credentials as this process finds them. Nothing is read or asked before the first request.
    pub fn found(choice: Choice, scopes: &[&str]) -> Self {
        Self::found_in(Places::of_process(), choice, scopes)
    }

    /// This access token, until it expires.
    pub fn token(token: SecretString) -> Self {
        Self(Arc::new(Source::Token(token)))
    }

    /// The access token in this file, which is read for each request: somebody else renews it.
    pub fn token_file(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Source::TokenFile(path.into())))
    }

    /// None at all: for emulators and what everybody may do.
    pub fn anonymous() -> Self {
        Self(Arc::new(Source::Anonymous))
    }

    fn found_in(places: Places, choice: Choice, scopes: &[&str]) -> Self {
        Self(Arc::new(Source::Found {
            places,
            choice,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            built: Mutex::new(None),
        }))
    }

    /// Puts into the request what authorizes it.
    ///
    /// # Errors
    /// [`CallError::Credential`].
    pub async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), CallError> {
        match &*self.0 {
            Source::Anonymous => Ok(()),
            Source::Token(token) => bearer(request, token.expose_secret()),
            Source::TokenFile(path) => {
                let read = token::read_file(path);
                let token = read.map_err(|error| refused(&format!("{}: {error}", path.display())))?;
                bearer(request, SecretString::from(token).expose_secret())
            }
            Source::Found {
                places,
                choice,
                scopes,
                built,
            } => {
                let mut built = built.lock().await;
                let credentials = match &*built {
                    Some(credentials) => credentials.clone(),
                    None => built.insert(places.credentials(*choice, scopes)?).clone(),
                };
                // The library's client has no time limit.
                let headers =
                    tokio::time::timeout(CALL_TIMEOUT, credentials.headers(Extensions::new())).await;
                let (reason, transient, stuck) = match headers {
                    Ok(Ok(CacheableResource::New { data, .. })) => {
                        request.headers_mut().extend(data);
                        return Ok(());
                    }
                    Ok(Ok(CacheableResource::NotModified)) => {
                        ("the library gave none".to_owned(), true, true)
                    }
                    Ok(Err(error)) => {
                        let transient = error.is_transient();
                        (said(&error), transient, !transient)
                    }
                    Err(_) => ("their source does not answer".to_owned(), true, true),
                };
                if stuck {
                    *built = None;
                }
                Err(CallError::Credential { reason, transient })
            }
        }
    }

    /// Who issued the token that is exchanged for Google's, where a file holds it now.
    pub fn subject_issuer(&self) -> Option<String> {
        match &*self.0 {
            Source::Found { places, choice, .. } => places.subject_issuer(*choice),
            _ => None,
        }
    }
}

fn bearer(request: &mut Request<Bytes>, token: &str) -> Result<(), CallError> {
    let value = format!("Bearer {}", token.trim());
    let value = match HeaderValue::from_str(&value) {
        Ok(value) if !token.trim().is_empty() => value,
        _ => return Err(refused("what was given is no access token")),
    };
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

fn refused(reason: &str) -> CallError {
    CallError::Credential {
        reason: printable(reason),
        transient: false,
    }
}

/// The library's words with all causes. It quotes whole bodies, a subject token's file among them; of a body
/// only code and message are repeated, and nothing of one that has neither.
fn said(error: &CredentialsError) -> String {
    let text = {
        let mut parts = Vec::new();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            let part = without_body(&error.to_string());
            if !parts.contains(&part) {
                parts.push(part);
            }
            cause = error.source();
        }
        parts.join(": ")
    };
    printable(&text)
}

fn without_body(text: &str) -> String {
    let text = text
        .trim_end_matches(" but future attempts may succeed")
        .trim_end_matches(" and future attempts will not succeed");
    let Some((before, body)) = text.split_once("body=<") else {
        return text.to_owned();
    };
    let body = body.rsplit_once('>').map_or(body, |(body, _)| body);
    let json = body.trim_start().starts_with('{');
    let (code, message) = if json {
        explanation(body.as_bytes())
    } else {
        Default::default()
    };
    let words = [before.trim_end_matches([' ', ',']), &code, &message];
    let words: Vec<&str> = words.into_iter().filter(|part| !part.is_empty()).collect();
    words.join(": ")
}

/// Which kind, and no more.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &*self.0 {
            Source::Found { choice, .. } => return f.debug_tuple("Found").field(choice).finish(),
            Source::Token(_) => "Token",
            Source::TokenFile(_) => "TokenFile",
            Source::Anonymous => "Anonymous",
        };
        f.write_str(kind)
    }
}

#[cfg(test)]
mod tests;
