//! The public side: the store's two documents over TLS, with the headers that the store has for them.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use kubeassume_core::digest;
use kubeassume_core::store::{DocumentPath, DocumentStore};

use super::tls::{Answer, status};

/// Serves what stands in a store, at exactly two paths.
pub(super) struct Site<S>(pub(super) S);

#[async_trait]
impl<S: DocumentStore + 'static> Answer for Site<S> {
    async fn get(&self, path: &str) -> Response<Full<Bytes>> {
        let known = [DocumentPath::DISCOVERY, DocumentPath::JWKS];
        let Some(path) = known
            .into_iter()
            .find(|known| path.strip_prefix('/') == Some(known.as_str()))
        else {
            return status(StatusCode::NOT_FOUND);
        };
        let document = match self.0.get(&path).await {
            Ok(Some(document)) => document,
            Ok(None) => return status(StatusCode::NOT_FOUND),
            Err(_) => return status(StatusCode::SERVICE_UNAVAILABLE),
        };
        let headers: [(HeaderName, Option<String>); 3] = [
            (ETAG, Some(format!("\"{}\"", digest(&document.bytes)))),
            (CONTENT_TYPE, document.content_type),
            (CACHE_CONTROL, document.cache_control),
        ];
        let mut response = Response::new(Full::new(document.bytes));
        for (name, value) in headers {
            if let Some(value) =
                value.and_then(|value| HeaderValue::from_maybe_shared(Bytes::from(value)).ok())
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
