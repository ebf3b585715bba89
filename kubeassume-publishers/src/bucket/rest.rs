//! One JSON call to a cloud's REST interface, for the clouds whose SDK has none of this.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH};
use http::{Method, Request, Uri};
use kubeassume_cloud::http::{Answer, CallError, HttpClient, HttpClientError, Refusal, Take};
use kubeassume_cloud::retry::Retry;
use serde_json::Value;

use super::plan::Call;
use super::{BucketError, contents::MAX_NAMES};
use crate::Tls;

/// 1000 names of at most 1024 bytes, escaped; nothing else is as long.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// What makes a request somebody's.
#[async_trait]
pub(super) trait Authorize: Send + Sync {
    /// After everything else of the request is as it will be sent.
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), CallError>;
}

/// A server and who asks it.
pub(super) struct Rest<A> {
    pub(super) http: HttpClient,
    pub(super) credentials: A,
    /// `https://HOST[:PORT]`.
    pub(super) base: String,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// As the cloud's documentation calls it.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    /// An ETag.
    pub(super) if_match: Option<String>,
    pub(super) body: Option<Value>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) body: Value,
    pub(super) etag: Option<String>,
}

impl Ask {
    pub(super) fn read(operation: &'static str, target: impl Into<String>) -> Self {
        Self::new(operation, Method::GET, target, None)
    }

    pub(super) fn new(
        operation: &'static str,
        method: Method,
        target: impl Into<String>,
        body: Option<Value>,
    ) -> Self {
        Self {
            operation,
            method,
            target: target.into(),
            if_match: None,
            body,
        }
    }

    /// As a plan shows it.
    pub(super) fn shown(&self, base: &str) -> Call {
        Call {
            operation: self.operation,
            request: format!("{} {base}{}", self.method, self.target),
            body: self.body.clone().unwrap_or_default(),
        }
    }
}

impl<A: Authorize> Rest<A> {
    /// Reads are tried again, writes never.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Reply, CallError> {
        let answer = match ask.method {
            Method::GET => Retry::READ.run(|| self.once(ask)).await?,
            _ => self.once(ask).await?,
        };
        let body = match answer.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&answer.body)
                .map_err(|_| CallError::Unsendable("the server's answer is no JSON".to_owned()))?,
        };
        let etag = answer.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        Ok(Reply {
            body,
            etag: etag.map(str::to_owned),
        })
    }

    /// As [`send`](Self::send); `None` for what is not there.
    pub(super) async fn find(&self, ask: &Ask) -> Result<Option<Reply>, CallError> {
        match self.send(ask).await {
            Err(CallError::Refused(refusal)) if refusal.status == 404 => Ok(None),
            other => other.map(Some),
        }
    }

    /// All names of a list that comes in pages: `page` gives those of an answer and how to ask for the next.
    pub(super) async fn names(
        &self,
        first: Ask,
        page: impl Fn(&Value) -> (Vec<String>, Option<Ask>) + Send + Sync,
    ) -> Result<Vec<String>, CallError> {
        let (mut names, mut next) = (Vec::new(), Some(first));
        while let Some(ask) = next {
            let (more, following) = page(&self.send(&ask).await?.body);
            names.extend(more);
            // Whatever is behind so many is not ours alone.
            next = following.filter(|_| names.len() < MAX_NAMES);
        }
        Ok(names)
    }

    async fn once(&self, ask: &Ask) -> Result<Answer, CallError> {
        let unsendable = |error: &dyn std::fmt::Display| CallError::Unsendable(error.to_string());
        let body = ask
            .body
            .as_ref()
            .map_or(Bytes::new(), |body| Bytes::from(body.to_string()));
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("{}{}", self.base, ask.target))
            .body(body)
            .map_err(|error| unsendable(&error))?;
        let headers = request.headers_mut();
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(etag) = &ask.if_match {
            headers.insert(
                IF_MATCH,
                HeaderValue::from_str(etag).map_err(|error| unsendable(&error))?,
            );
        }
        self.credentials.authorize(&mut request).await?;
        self.http.send(request, Take::All(MAX_ANSWER_BYTES)).await
    }
}

/// A client for this server; over plain http only where nothing secret is sent.
pub(super) fn http_client(tls: &Tls, base: &str, plain: bool) -> Result<HttpClient, BucketError> {
    let client = HttpClient::new(tls.ca_pem.as_deref()).map_err(|error| match error {
        HttpClientError::Roots(reason) => {
            BucketError::setup("tls.caFile", format!("no usable certificates: {reason}"))
        }
        other => BucketError::setup("tls.caFile", other.to_string()),
    })?;
    let uri = base.parse::<Uri>().ok();
    let host = uri
        .as_ref()
        .and_then(Uri::host)
        .filter(|_| plain && base.starts_with("http://"));
    Ok(match host {
        Some(host) => client.with_plain_http_to(host),
        None => client,
    })
}

/// A failed call, with what a cloud knows to say about a refusal; `None`: nothing special.
pub(super) fn failed(
    operation: &'static str,
    field: &'static str,
    error: &CallError,
    advice: impl FnOnce(&Refusal) -> Option<(&'static str, String)>,
) -> BucketError {
    let special = match error {
        CallError::Refused(refusal) => advice(refusal),
        _ => None,
    };
    let (field, next) = special.unwrap_or_else(|| {
        let next = match error {
            CallError::Credential { .. } => "sign in, or give an access token that holds",
            CallError::Refused(refusal) if refusal.status == 401 => {
                "sign in again: the credential is over, or of somebody who is not known there"
            }
            CallError::Refused(refusal) if matches!(refusal.status, 409 | 412) => {
                "somebody else changes it at the same time; run it again, and what was done stays done"
            }
            CallError::NotSent(_) | CallError::Unsendable(_) => "check address, certificate and network",
            _ => "run it again; what was done stays done",
        };
        (field, next.to_owned())
    });
    BucketError::Call {
        operation,
        field,
        said: error.to_string(),
        next,
    }
}

/// RFC 3986 section 2.1: everything but what is unreserved.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}
