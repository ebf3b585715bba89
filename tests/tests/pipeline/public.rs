//! What anybody sees at the issuer's URL.

use kubeassume_tests::until;
use reqwest::header::HeaderMap;

use crate::LIMIT;
use crate::bucket::{kids, sorted};

/// The public, which knows the issuer and nothing else.
#[derive(Clone)]
pub(crate) struct Public {
    issuer: String,
    http: reqwest::Client,
}

impl Public {
    pub(crate) fn new(issuer: String, http: reqwest::Client) -> Self {
        Self { issuer, http }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An anonymous GET below the issuer: status, headers, body.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, HeaderMap, String), String> {
        let request = self.http.get(format!("{}/{path}", self.issuer));
        let response = request.send().await.map_err(|error| error.to_string())?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.map_err(|error| error.to_string())?;
        Ok((status, headers, body))
    }

    /// The kids that the public sees.
    ///
    /// # Errors
    ///
    /// What the public sees instead.
    pub(crate) async fn kids(&self) -> Result<Vec<String>, String> {
        match self.get("openid/v1/jwks").await? {
            (200, _, body) => kids(&body),
            (status, _, body) => Err(format!("HTTP {status}: {body}")),
        }
    }

    /// Waits until the public sees exactly these keys, in any order.
    pub(crate) async fn shows(&self, expected: &[&str]) {
        let expected = sorted(expected.iter().copied());
        until(&format!("exactly {expected:?} to be public"), LIMIT, async || {
            let found = sorted(self.kids().await?);
            if found == expected {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
    }
}
