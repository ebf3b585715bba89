//! [`HttpReader`]: the public's way of reading.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::BytesMut;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderName};
use reqwest::{Certificate, Client, Response, Url, redirect};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::{PUBLIC_READ_TIMEOUT, PublicDocument, PublicReadError, PublicReader};

/// An anonymous HTTPS client: no redirects, no cookies, no credentials, bounded in bytes and time.
///
/// Each read opens a connection of its own, so that behind a load balancer two reads can reach two servers
/// and a read-back proves that new connections still succeed. Proxies are taken from the environment
/// (`HTTPS_PROXY`, `NO_PROXY`). Bodies are taken as sent: no content coding is asked for or undone.
pub struct HttpReader {
    client: Client,
    timeout: Duration,
}

/// A document with the server's clock.
pub(super) struct Dated {
    pub(super) document: PublicDocument,
    pub(super) date: Option<Timestamp>,
}

impl HttpReader {
    /// A reader that trusts the system's certificate authorities and, beside them, those in `extra_roots`
    /// (PEM, one or more certificates).
    ///
    /// # Errors
    /// [`HttpReaderError::Roots`] for a PEM that holds no certificate or a broken one, and
    /// [`HttpReaderError::Client`] where the system has no certificate authorities at all.
    pub fn new(extra_roots: Option<&[u8]>) -> Result<Self, HttpReaderError> {
        let roots = extra_roots.map(certificates).transpose()?.unwrap_or_default();
        let has_roots = !roots.is_empty();
        let client = Client::builder()
            .tls_certs_merge(roots)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("kubeassume/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| match chain(&error) {
                text if has_roots => HttpReaderError::Roots(text),
                text => HttpReaderError::Client(text),
            })?;
        Ok(Self {
            client,
            timeout: PUBLIC_READ_TIMEOUT,
        })
    }

    /// Waits for a shorter time than [`PUBLIC_READ_TIMEOUT`], never for a longer one.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(PUBLIC_READ_TIMEOUT);
        self
    }

    pub(super) async fn read(&self, url: &str, limit: usize) -> Result<Dated, PublicReadError> {
        let url: Url = url.parse().map_err(|_| PublicReadError::NotHttps)?;
        if url.scheme() != "https" {
            return Err(PublicReadError::NotHttps);
        }
        // The client would send them as credentials.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(PublicReadError::Unreachable(
                "the URL holds user information".to_owned(),
            ));
        }
        let response = self
            .client
            .get(url)
            .header(ACCEPT, "application/json, application/jwk-set+json")
            .timeout(self.timeout)
            .send()
            .await
            .map_err(unreadable)?;
        let status = response.status();
        match status.as_u16() {
            200 => take(response, limit).await,
            300..=399 => Err(PublicReadError::Redirect(status.as_u16())),
            other => Err(PublicReadError::Status(other)),
        }
    }
}

#[async_trait]
impl PublicReader for HttpReader {
    async fn get(&self, url: &str, limit: usize) -> Result<PublicDocument, PublicReadError> {
        Ok(self.read(url, limit).await?.document)
    }
}

impl fmt::Debug for HttpReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReader")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

async fn take(mut response: Response, limit: usize) -> Result<Dated, PublicReadError> {
    let header = |name: HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (content_type, cache_control) = (header(CONTENT_TYPE), header(CACHE_CONTROL));
    let date = header(DATE)
        .and_then(|date| httpdate::parse_http_date(&date).ok())
        .and_then(|date: SystemTime| Timestamp::try_from(date).ok());
    // Content-Length is only a promise; what counts is what arrives.
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unreadable)? {
        if bytes.len() + chunk.len() > limit {
            return Err(PublicReadError::TooLarge(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    let document = PublicDocument {
        bytes: bytes.freeze(),
        content_type,
        cache_control,
    };
    Ok(Dated { document, date })
}

fn unreadable(error: reqwest::Error) -> PublicReadError {
    if error.is_timeout() {
        return PublicReadError::Timeout;
    }
    // The caller names the URL.
    PublicReadError::Unreachable(chain(&error.without_url()))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, HttpReaderError> {
    let roots = Certificate::from_pem_bundle(pem)
        .map_err(|_| HttpReaderError::Roots("a certificate block is damaged".to_owned()))?;
    if roots.is_empty() {
        return Err(HttpReaderError::Roots(
            "there is no \"BEGIN CERTIFICATE\" in it".to_owned(),
        ));
    }
    Ok(roots)
}

/// An error with its causes: reqwest's own text ends before the one that matters.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Why there is no reader.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpReaderError {
    /// The extra certificate authorities are not PEM certificates.
    #[error("the file of certificate authorities is not usable PEM: {0}")]
    Roots(String),
    /// The TLS client cannot be set up, most often because the system has no certificate authorities.
    #[error("the HTTPS client cannot be set up: {0}; install ca-certificates or set SSL_CERT_FILE")]
    Client(String),
}
