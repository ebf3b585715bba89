//! Three small issuers behind one issuer URL: the control plane, as far as tokens are concerned.
//!
//! Each API server has its own list of public keys and its own signer, as each kube-apiserver has its own
//! `--service-account-key-file`s and `--service-account-signing-key-file`, and is away for a moment when
//! they change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode, request};
use kubeassume_core::store::DocumentPath;
use kubeassume_core::{DISCOVERY_CONTENT_TYPE, Discovery, IssuerUrl, JWKS_CONTENT_TYPE, KeySet, Timestamp};
use kubeassume_publishers::endpoint::{Answer, Body, status};
use serde_json::json;

use super::pace::Pace;
use super::signing_key::SigningKey;
use super::timeline::{Step, Timeline};
use crate::failure::Failure;

/// The audience that the demo's relying party expects.
pub(super) const AUDIENCE: &str = "sts.example.com";

/// One API server.
pub(super) struct ApiServer {
    name: String,
    issuer: IssuerUrl,
    ready: AtomicBool,
    keys: Mutex<Keys>,
    timeline: Arc<Timeline>,
}

struct Keys {
    public: Vec<Arc<SigningKey>>,
    signer: Arc<SigningKey>,
}

/// A pod's token. Not to be printed.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) kid: String,
    /// The first whole second at which it is no longer valid.
    pub(super) expires: Timestamp,
}

impl ApiServer {
    pub(super) fn new(
        name: String,
        issuer: IssuerUrl,
        first: Arc<SigningKey>,
        timeline: Arc<Timeline>,
    ) -> Self {
        timeline.add(Step::Served {
            server: name.clone(),
            kid: first.kid().to_owned(),
        });
        timeline.add(Step::Signs {
            server: name.clone(),
            kid: first.kid().to_owned(),
        });
        Self {
            name,
            issuer,
            ready: AtomicBool::new(true),
            keys: Mutex::new(Keys {
                public: vec![first.clone()],
                signer: first,
            }),
            timeline,
        }
    }

    /// Adds a public key file and restarts.
    pub(super) async fn add(&self, key: Arc<SigningKey>) {
        let kid = key.kid().to_owned();
        self.restart(|keys| keys.public.push(key)).await;
        self.timeline.add(Step::Served {
            server: self.name.clone(),
            kid,
        });
    }

    /// Changes the signing key file and restarts.
    pub(super) async fn sign_with(&self, key: Arc<SigningKey>) {
        let kid = key.kid().to_owned();
        self.restart(|keys| keys.signer = key).await;
        self.timeline.add(Step::Signs {
            server: self.name.clone(),
            kid,
        });
    }

    /// Takes a public key file away and restarts.
    pub(super) async fn withdraw(&self, kid: &str) {
        self.restart(|keys| keys.public.retain(|key| key.kid() != kid))
            .await;
        self.timeline.add(Step::Withdrawn {
            server: self.name.clone(),
            kid: kid.to_owned(),
        });
    }

    /// A token for a pod; nothing while the server restarts.
    pub(super) fn issue(&self, pod: usize, now: Timestamp) -> Option<Result<Token, Failure>> {
        if !self.ready.load(Ordering::Acquire) {
            return None;
        }
        let signer = self.keys().signer.clone();
        let issued = now.as_second();
        let life = i64::try_from(Pace::TOKEN_LIFE.as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "iss": self.issuer.as_str(),
            "sub": format!("system:serviceaccount:demo:pod-{pod}"),
            "aud": [AUDIENCE],
            "iat": issued,
            "nbf": issued,
            "exp": issued + life,
            "jti": format!("{pod}-{}", now.as_nanosecond()),
            "kubernetes.io": {"namespace": "demo", "serviceaccount": {"name": format!("pod-{pod}")}},
        });
        Some(signer.sign(&claims).map(|text| Token {
            text,
            kid: signer.kid().to_owned(),
            expires: Timestamp::from_second(issued + life).unwrap_or(Timestamp::MAX),
        }))
    }

    async fn restart(&self, change: impl FnOnce(&mut Keys)) {
        self.ready.store(false, Ordering::Release);
        tokio::time::sleep(Pace::RESTART).await;
        change(&mut self.keys());
        self.ready.store(true, Ordering::Release);
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key_set(&self) -> KeySet {
        let keys = self.keys();
        // One kid, one key: they are made here and named by their own digest.
        KeySet::new(keys.public.iter().map(|key| key.jwk().clone()), []).unwrap_or_default()
    }
}

#[async_trait]
impl Answer for ApiServer {
    async fn answer(&self, request: &request::Parts) -> Response<Body> {
        if !self.ready.load(Ordering::Acquire) {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        let keys = self.key_set();
        let path = request.uri.path().strip_prefix('/').unwrap_or_default();
        let (body, kind) = if path == DocumentPath::JWKS.as_str() {
            (keys.to_bytes(), JWKS_CONTENT_TYPE)
        } else if path == DocumentPath::DISCOVERY.as_str() {
            (
                Discovery::new(&self.issuer, &keys).to_bytes(),
                DISCOVERY_CONTENT_TYPE,
            )
        } else {
            return status(StatusCode::NOT_FOUND);
        };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        response
    }
}

/// The control plane as pods see it: whichever API server answers.
pub(super) struct ControlPlane {
    pub(super) servers: Vec<Arc<ApiServer>>,
}

impl ControlPlane {
    /// A token from the first API server, in turn, that is there; waits while none is.
    pub(super) async fn issue(&self, pod: usize, turn: usize, now: Timestamp) -> Result<Token, Failure> {
        loop {
            let servers = self.servers.iter().cycle().skip(turn % self.servers.len().max(1));
            for server in servers.take(self.servers.len()) {
                if let Some(token) = server.issue(pod, now) {
                    return token;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
