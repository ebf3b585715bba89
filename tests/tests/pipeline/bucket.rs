//! The bucket: what the public sees in it, what stands beside the documents, and what a stranger's hand does.

use aws_sdk_s3::Client;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kubeassume_tests::{SigningKey, Versitygw};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::public::Public;

pub(crate) const BUCKET: &str = "oidc";
pub(crate) const PREFIX: &str = "clusters/one";
pub(crate) const DISCOVERY: &str = "clusters/one/.well-known/openid-configuration";
pub(crate) const JWKS: &str = "clusters/one/openid/v1/jwks";
pub(crate) const BOTH: [&str; 2] = [JWKS, DISCOVERY];

/// One document with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) body: String,
    pub(crate) content_type: String,
    pub(crate) cache_control: String,
    pub(crate) generation: Option<u64>,
    pub(crate) owner: Option<String>,
    pub(crate) digest: Option<String>,
}

/// The bucket with the administrator's eyes and hands.
#[derive(Clone)]
pub(crate) struct Bucket {
    s3: Client,
    url: String,
    anonymous: reqwest::Client,
    pub(crate) public: Public,
}

impl Bucket {
    /// Creates the bucket; the public may read exactly the two documents.
    pub(crate) async fn create(gateway: &Versitygw, anonymous: reqwest::Client) -> Self {
        gateway.public_bucket(BUCKET, &BOTH).await;
        let url = format!("{}/{BUCKET}", gateway.url());
        Self {
            s3: gateway.client(),
            public: Public::new(format!("{url}/{PREFIX}"), anonymous.clone()),
            url,
            anonymous,
        }
    }

    /// The issuer: where the public reads.
    pub(crate) fn issuer(&self) -> String {
        self.public.issuer().to_owned()
    }

    /// An object, `None` where there is none.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn object(&self, key: &str) -> Result<Option<Object>, String> {
        let answer = match self.s3.get_object().bucket(BUCKET).key(key).send().await {
            Ok(answer) => answer,
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|raw| raw.status().as_u16() == 404) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(format!("{error:?}")),
        };
        let metadata = answer.metadata().cloned().unwrap_or_default();
        let mark = |name: &str| metadata.get(&format!("kubeassume-{name}")).cloned();
        let text = |header: Option<&str>| header.unwrap_or_default().to_owned();
        let object = Object {
            content_type: text(answer.content_type()),
            cache_control: text(answer.cache_control()),
            generation: mark("generation").and_then(|text| text.parse().ok()),
            owner: mark("owner"),
            digest: mark("digest"),
            body: String::new(),
        };
        let body = answer.body.collect().await.map_err(|error| error.to_string())?;
        Ok(Some(Object {
            body: String::from_utf8_lossy(&body.into_bytes()).into_owned(),
            ..object
        }))
    }

    /// Both documents: key set, discovery.
    pub(crate) async fn both(&self) -> [Option<Object>; 2] {
        [
            self.object(JWKS).await.unwrap(),
            self.object(DISCOVERY).await.unwrap(),
        ]
    }

    /// An anonymous GET of an object, also of one that is not below the issuer: status, headers, body.
    pub(crate) async fn anonymous(&self, key: &str) -> Result<(u16, HeaderMap, String), String> {
        let bucket = Public::new(self.url.clone(), self.anonymous.clone());
        bucket.get(key).await
    }

    /// Puts an object there by hand, without condition; with `generation` it bears a mark like ours.
    pub(crate) async fn put(&self, key: &str, body: &str, metadata: &[(&str, &str)]) {
        let request = metadata.iter().fold(
            self.s3.put_object().bucket(BUCKET).key(key),
            |request, (name, value)| request.metadata(format!("kubeassume-{name}"), *value),
        );
        let request = request.body(body.as_bytes().to_vec().into());
        request.send().await.expect("a PUT by hand");
    }

    /// Deletes an object by hand.
    pub(crate) async fn delete(&self, key: &str) {
        let request = self.s3.delete_object().bucket(BUCKET).key(key);
        request.send().await.expect("a DELETE by hand");
    }
}

/// The kids of a key set.
pub(crate) fn kids(jwks: &str) -> Result<Vec<String>, String> {
    let set: Value = serde_json::from_str(jwks).map_err(|error| format!("{error}: {jwks}"))?;
    let keys = set["keys"].as_array().ok_or_else(|| format!("no keys: {jwks}"))?;
    keys.iter()
        .map(|key| {
            key["kid"]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("no kid: {jwks}"))
        })
        .collect()
}

/// A P-256 key as a JWK: its PKIX form ends with the point's two coordinates.
pub(crate) fn jwk(key: &SigningKey) -> Value {
    let base64: String = key
        .public_pem()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let der = STANDARD.decode(base64).unwrap();
    let (x, y) = der[der.len() - 64..].split_at(32);
    json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.kid(),
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    })
}

pub(crate) fn sorted<S: Into<String>>(kids: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut kids: Vec<String> = kids.into_iter().map(Into::into).collect();
    kids.sort();
    kids
}
