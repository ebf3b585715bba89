//! A public web in memory, a virtual clock, and the issuer that most tests read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kubeassume_core::verify::{Claims, Verifier, VerifyError};
use kubeassume_core::{Clock, IssuerUrl, PublicDocument, PublicReadError, PublicReader, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::signer::{P256, P384, P521, RSA, Signer};

pub(crate) const ISSUER: &str = "https://oidc.example.com/cluster1";
pub(crate) const AUDIENCE: &str = "sts.example.com";
pub(crate) const SUBJECT: &str = "system:serviceaccount:shop:checkout";
/// What the clock shows at first: 2027-01-15.
pub(crate) const NOW: i64 = 1_800_000_000;

/// The claims of a service account token, as kube-apiserver writes them.
pub(crate) fn claims() -> String {
    claims_at(NOW)
}

pub(crate) fn claims_at(now: i64) -> String {
    format!(
        r#"{{"aud":["{AUDIENCE}","{ISSUER}"],"exp":{},"iat":{now},"iss":"{ISSUER}","jti":"6a2e2b35-8f7b-4dcb-9d1d-0f9a4f9d6f11","kubernetes.io":{{"namespace":"shop","serviceaccount":{{"name":"checkout","uid":"9d0b"}}}},"nbf":{now},"sub":"{SUBJECT}"}}"#,
        now + 3600
    )
}

pub(crate) fn issuer() -> IssuerUrl {
    ISSUER.parse().unwrap()
}

/// What the public can read.
pub(crate) struct Site {
    documents: Mutex<BTreeMap<String, Result<PublicDocument, PublicReadError>>>,
    reads: Mutex<Vec<String>>,
    /// One permit per read that may go through.
    pub(crate) gate: Semaphore,
}

impl Site {
    /// The issuer with all four keys.
    pub(crate) fn new() -> Arc<Self> {
        Self::with_keys(&[&RSA, &P256, &P384, &P521])
    }

    pub(crate) fn with_keys(keys: &[&Signer]) -> Arc<Self> {
        let site = Arc::new(Self {
            documents: Mutex::default(),
            reads: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        site.serve(&issuer().discovery_url(), &discovery());
        site.publish(keys);
        site
    }

    pub(crate) fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.serve(&issuer().jwks_uri(), &json!({"keys": keys}));
    }

    pub(crate) fn serve(&self, url: &str, document: &Value) {
        self.answer(
            url,
            Ok(document_of(document.to_string(), Some("public, max-age=300"))),
        );
    }

    pub(crate) fn answer(&self, url: &str, answer: Result<PublicDocument, PublicReadError>) {
        self.documents.lock().unwrap().insert(url.to_owned(), answer);
    }

    pub(crate) fn set_cache_control(&self, cache_control: Option<&str>) {
        for document in self.documents.lock().unwrap().values_mut().flatten() {
            document.cache_control = cache_control.map(str::to_owned);
        }
    }

    /// The URLs read since the last call.
    pub(crate) fn reads(&self) -> Vec<String> {
        std::mem::take(&mut self.reads.lock().unwrap())
    }
}

pub(crate) fn discovery() -> Value {
    json!({"issuer": ISSUER, "jwks_uri": issuer().jwks_uri(), "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256", "RS256"]})
}

pub(crate) fn document_of(text: impl Into<Vec<u8>>, cache_control: Option<&str>) -> PublicDocument {
    PublicDocument {
        bytes: text.into().into(),
        content_type: Some("application/json".to_owned()),
        cache_control: cache_control.map(str::to_owned),
    }
}

#[async_trait]
impl PublicReader for Site {
    async fn get(&self, url: &str, limit: usize) -> Result<PublicDocument, PublicReadError> {
        self.reads.lock().unwrap().push(url.to_owned());
        self.gate.acquire().await.unwrap().forget();
        let answer = self.documents.lock().unwrap().get(url).cloned();
        match answer.unwrap_or(Err(PublicReadError::Status(404))) {
            Ok(document) if document.bytes.len() > limit => Err(PublicReadError::TooLarge(limit)),
            answer => answer,
        }
    }
}

/// Wall clock and monotonic clock, moved by hand.
#[derive(Default)]
pub(crate) struct VirtualClock(AtomicU64);

impl VirtualClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn seconds(&self) -> i64 {
        NOW + self.0.load(Ordering::SeqCst) as i64
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration.as_secs());
    }
}

/// A relying party of the issuer, with its web and its clock.
pub(crate) struct World {
    pub(crate) site: Arc<Site>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) verifier: Verifier,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Site::new())
    }

    pub(crate) fn on(site: Arc<Site>) -> Self {
        let clock = Arc::new(VirtualClock::default());
        Self {
            verifier: Verifier::new(issuer(), AUDIENCE, site.clone(), clock.clone()),
            site,
            clock,
        }
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        self.verifier.verify(token).await
    }

    /// The hop that refuses the token; fails if none does.
    pub(crate) async fn hop(&self, token: &str) -> &'static str {
        self.verify(token).await.unwrap_err().hop()
    }
}
