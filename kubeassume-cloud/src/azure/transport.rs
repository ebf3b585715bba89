//! [`AzureTransport`]: our HTTP client below Microsoft's SDK, whose own would come with time limits, trust and
//! body sizes of its own choosing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{AUTHORIZATION, HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, Request};
use bytes::Bytes;

use super::AzureEnvironment;
use crate::http::{Answer, CallError, HttpClient, HttpClientError, Take};

/// The machine's metadata service, which a virtual machine and the pods on it ask for a managed identity.
const METADATA_HOST: &str = "169.254.169.254";
/// The most that is read of one answer: a page of 5000 blob names is below it.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Sends what the SDK wants sent, as [`HttpClient`] sends: once, bounded in time and size. Plain http goes
/// to the metadata service alone, where App Service says that it has its own to that, and to loopback.
#[derive(Clone)]
pub struct AzureTransport(HttpClient);

impl AzureTransport {
    /// A transport that trusts the system's certificate authorities and, beside them, those in
    /// `extra_roots` (PEM, one or more certificates).
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn new(
        extra_roots: Option<&[u8]>,
        environment: &AzureEnvironment,
    ) -> Result<Arc<Self>, HttpClientError> {
        let mut client = HttpClient::new(extra_roots)?.with_plain_http_to(METADATA_HOST);
        let endpoint = environment.identity_endpoint.as_deref();
        if let Some(host) = endpoint.and_then(|endpoint| {
            let uri: http::Uri = endpoint.parse().ok()?;
            uri.host().map(str::to_owned)
        }) {
            client = client.with_plain_http_to(host);
        }
        Ok(Arc::new(Self(client)))
    }

    /// One that waits so long for an answer, see [`HttpClient::with_call_timeout`].
    #[must_use]
    pub fn with_call_timeout(&self, limit: Duration) -> Arc<Self> {
        Arc::new(Self(self.0.clone().with_call_timeout(limit)))
    }
}

#[async_trait]
impl azure_core::http::HttpClient for AzureTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let outgoing = outgoing(request)?;
        let answer = self.0.exchange(outgoing, Take::All(MAX_BODY_BYTES)).await;
        let answer = answer.map_err(|error| Error::with_message(kind(&error), error.to_string()))?;
        let status = answer.status.as_u16().into();
        let headers = headers(&answer);
        let body = match answer.status.is_success() {
            true => answer.body,
            false => withheld(&answer.body, request),
        };
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

impl fmt::Debug for AzureTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureTransport").finish_non_exhaustive()
    }
}

fn outgoing(request: &Request) -> azure_core::Result<http::Request<Bytes>> {
    let mut outgoing = http::Request::builder()
        .method(request.method().as_ref())
        .uri(request.url().as_str());
    for (name, value) in request.headers().iter() {
        outgoing = outgoing.header(name.as_str(), value.as_str());
    }
    let body = match request.body() {
        Body::Bytes(bytes) => bytes.clone(),
        Body::SeekableStream(_) => {
            let text = "only bodies in memory are sent";
            return Err(Error::with_message(ErrorKind::Other, text));
        }
    };
    // The error names no value: a header's may be a token.
    outgoing
        .body(body)
        .map_err(|error| Error::with_message(ErrorKind::Other, error.to_string()))
}

/// What a server says to explain itself, which goes into errors, without the token that it was sent.
fn withheld(body: &[u8], request: &Request) -> Bytes {
    let token = request.headers().get_optional_str(&AUTHORIZATION);
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    match token.filter(|token| !token.is_empty()) {
        Some(token) => String::from_utf8_lossy(body).replace(token, "[withheld]").into(),
        None => Bytes::copy_from_slice(body),
    }
}

fn headers(answer: &Answer) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in &answer.headers {
        if let Ok(value) = value.to_str() {
            let name = HeaderName::from(name.as_str().to_owned());
            headers.insert(name, HeaderValue::from(value.to_owned()));
        }
    }
    headers
}

/// [`ErrorKind::Connection`] and [`ErrorKind::Io`] are what the SDK tries again; only after the latter may
/// something have happened.
fn kind(error: &CallError) -> ErrorKind {
    match error {
        CallError::NotSent(_) => ErrorKind::Connection,
        CallError::Lost(_) => ErrorKind::Io,
        _ => ErrorKind::Other,
    }
}
