//! [`Site`]: the two documents of an issuer as HTTP (RFC 9110), from any store.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, request};
use kubeassume_core::store::{DocumentPath, DocumentStore, StoreError, StoredDocument, Version};
use kubeassume_core::{IssuerUrl, digest};

use super::server::{Answer, Body, status};

/// A year, which is what browsers' preload lists ask for (RFC 6797 section 6.1.1). An issuer is https or nothing.
const TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// In seconds: a replica that starts has its documents sooner.
const COME_BACK: HeaderValue = HeaderValue::from_static("5");

/// Answers GET and HEAD of the two documents below an issuer's path with what stands in a store.
///
/// Bytes, `Content-Type` and `Cache-Control` are the store's; the `ETag` is a digest of the bytes, so that it is
/// the same at every replica. A document that is not there, or a store that cannot be read, is 503 with
/// `Retry-After`: 404 would tell relying parties that the issuer is gone, and a cache may keep that. The store
/// is asked at every request; it is meant to be near.
pub struct Site<S> {
    store: S,
    pages: [Page; 2],
}

struct Page {
    /// As the request line has it.
    target: String,
    path: DocumentPath,
    /// The document as it was last served.
    made: Mutex<Option<Arc<Made>>>,
}

/// A document with all of its headers.
struct Made {
    version: Version,
    bytes: Bytes,
    headers: HeaderMap,
}

impl<S: DocumentStore> Site<S> {
    /// The documents of `issuer`, which stand in `store`.
    pub fn new(store: S, issuer: &IssuerUrl) -> Self {
        let pages = [DocumentPath::DISCOVERY, DocumentPath::JWKS].map(|path| Page {
            target: format!("{}/{}", issuer.path(), path.as_str()),
            path,
            made: Mutex::default(),
        });
        Self { store, pages }
    }

    async fn page(&self, page: &Page) -> Result<Option<Arc<Made>>, StoreError> {
        let Some(stored) = self.store.get(&page.path).await? else {
            return Ok(None);
        };
        let mut last = page.made.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(made) if made.version == stored.version => Ok(Some(made.clone())),
            _ => Ok(Some(last.insert(Arc::new(Made::new(stored))).clone())),
        }
    }
}

impl Made {
    fn new(stored: StoredDocument) -> Self {
        let mut headers = common();
        let known: [(HeaderName, Option<String>); 3] = [
            (ETAG, Some(format!("\"{}\"", digest(&stored.bytes)))),
            (CONTENT_TYPE, stored.content_type),
            (CACHE_CONTROL, stored.cache_control),
        ];
        for (name, value) in known {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        Self {
            version: stored.version,
            bytes: stored.bytes,
            headers,
        }
    }

    fn answer(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = match self.headers.get(ETAG) {
            // RFC 9110 section 15.4.5: the same headers as 200, without the body.
            Some(etag) if names(request, etag) => status(StatusCode::NOT_MODIFIED),
            _ => Response::new(Body::new(self.bytes.clone())),
        };
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// What every answer says.
fn common() -> HeaderMap {
    HeaderMap::from_iter([
        (STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // An error is nothing to keep: the next answer may be the documents.
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ])
}

/// Whether `If-None-Match` names this version: `*`, or a list of tags compared weakly (RFC 9110 section 13.1.2).
fn names(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let lists = request.get_all(IF_NONE_MATCH);
    lists.iter().filter_map(|list| list.to_str().ok()).any(|list| {
        // Our tags hold no comma, so one within another's tag only splits what cannot match anyway.
        list.split(',').map(str::trim).any(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.as_bytes() == etag.as_bytes()
        })
    })
}

#[async_trait]
impl<S: DocumentStore + 'static> Answer for Site<S> {
    async fn answer(&self, request: &request::Parts) -> Response<Body> {
        let page = self.pages.iter().find(|page| page.target == request.uri.path());
        let refuse = |code| {
            let mut refusal = status(code);
            *refusal.headers_mut() = common();
            refusal
        };
        let Some(page) = page else {
            return refuse(StatusCode::NOT_FOUND);
        };
        match self.page(page).await {
            Ok(Some(made)) => made.answer(&request.headers),
            Ok(None) | Err(_) => {
                let mut refusal = refuse(StatusCode::SERVICE_UNAVAILABLE);
                refusal.headers_mut().insert(RETRY_AFTER, COME_BACK);
                refusal
            }
        }
    }
}
