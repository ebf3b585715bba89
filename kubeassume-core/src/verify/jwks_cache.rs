//! The keys of an issuer, kept as long as the issuer allows.
//!
//! A key that is cached and fresh costs no lock but a read lock. Everything else is one refresh at a time,
//! whatever the number of tokens that wait for it. A token with an unknown `kid` causes a refresh, because
//! that is how a rotation shows, but not more often than [`CachePolicy::min_refetch`]: anybody can invent
//! `kid`s. A refresh that fails leaves the last good keys in force until their time is over, and not a
//! second longer: a key that was revoked must not live on because its removal cannot be read.
//!
//! `Age` is not looked at: behind a shared cache, keys can be kept for twice their `max-age`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use super::documents::{self, Documents};
use super::error::{KeyError, VerifyError};
use super::key::VerifyingKey;
use crate::{Clock, FindingKind, IssuerUrl, Problem, PublicReader};

/// How long keys are kept and how often they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    /// How long keys are kept when a document has no `max-age`.
    pub default_max_age: Duration,
    /// The longest that keys are kept, whatever the documents say.
    pub max_age_cap: Duration,
    /// The shortest time between two reads that unknown `kid`s cause.
    pub min_refetch: Duration,
    /// How long a failed read stands for those that follow it, when there are no fresh keys.
    pub failure_backoff: Duration,
}

impl Default for CachePolicy {
    /// 300 s, at most 24 h, unknown `kid`s every 10 s, failures for 1 s.
    fn default() -> Self {
        Self {
            default_max_age: Duration::from_secs(300),
            max_age_cap: Duration::from_secs(24 * 3600),
            min_refetch: Duration::from_secs(10),
            failure_backoff: Duration::from_secs(1),
        }
    }
}

pub(super) struct KeyCache {
    pub(super) issuer: IssuerUrl,
    pub(super) reader: Arc<dyn PublicReader>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: CachePolicy,
    current: RwLock<Option<Arc<Keys>>>,
    refresh: Mutex<Refresh>,
}

/// One reading of both documents.
struct Keys {
    by_kid: HashMap<String, Result<Arc<VerifyingKey>, Problem>>,
    /// Monotonic time.
    expires: Duration,
}

/// What became of the last refresh, in monotonic time.
#[derive(Default)]
struct Refresh {
    began: Option<Duration>,
    failed: Option<(Duration, VerifyError)>,
}

impl KeyCache {
    pub(super) fn new(issuer: IssuerUrl, reader: Arc<dyn PublicReader>, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer,
            reader,
            clock,
            policy: CachePolicy::default(),
            current: RwLock::default(),
            refresh: Mutex::default(),
        }
    }

    /// The key of that name.
    pub(super) async fn key(&self, kid: &str) -> Result<Arc<VerifyingKey>, VerifyError> {
        let seen = self.current();
        if let Some(keys) = &seen
            && keys.is_fresh(self.clock.monotonic())
            && let Some(Ok(key)) = keys.by_kid.get(kid)
        {
            return Ok(key.clone());
        }
        let keys = self.refresh(seen).await?;
        Ok(keys.find(kid)?)
    }

    /// Newer keys than those that the caller saw, or the same ones if they are fresh and it is too early.
    async fn refresh(&self, seen: Option<Arc<Keys>>) -> Result<Arc<Keys>, VerifyError> {
        let mut last = self.refresh.lock().await;
        let current = self.current();
        if let Some(keys) = &current
            && !seen.is_some_and(|seen| Arc::ptr_eq(&seen, keys))
        {
            // Somebody else's refresh ended while this call waited for its turn.
            return Ok(keys.clone());
        }
        let now = self.clock.monotonic();
        let too_early = |since: Duration, pause: Duration| now.saturating_sub(since) < pause;
        match (current.filter(|keys| keys.is_fresh(now)), &last.failed) {
            (Some(keys), failed)
                if last
                    .began
                    .is_some_and(|at| too_early(at, self.policy.min_refetch)) =>
            {
                return match failed {
                    Some((_, error)) => Err(error.clone()),
                    None => Ok(keys),
                };
            }
            (None, Some((at, error))) if too_early(*at, self.policy.failure_backoff) => {
                return Err(error.clone());
            }
            _ => {}
        }
        last.began = Some(now);
        match documents::read(&self.issuer, &*self.reader).await {
            Ok(documents) => {
                let keys = Arc::new(Keys::new(&documents, now, &self.policy));
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
                last.failed = None;
                Ok(keys)
            }
            Err(error) => {
                last.failed = Some((self.clock.monotonic(), error.clone()));
                Err(error)
            }
        }
    }

    fn current(&self) -> Option<Arc<Keys>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Keys {
    /// Keys that were asked for at `now`: their age counts from before the answer (RFC 9111 section 4.2.3).
    fn new(documents: &Documents, now: Duration, policy: &CachePolicy) -> Self {
        let max_age = [&documents.discovery, &documents.jwks]
            .map(|document| document.max_age().unwrap_or(policy.default_max_age))
            .into_iter()
            .fold(policy.max_age_cap, Duration::min);
        let left_out =
            documents
                .parsed
                .findings
                .iter()
                .filter_map(|finding| match (&finding.kid, &finding.kind) {
                    (Some(kid), FindingKind::LeftOut(problem)) => Some((kid.clone(), Err(problem.clone()))),
                    _ => None,
                });
        let usable = documents
            .parsed
            .keys
            .iter()
            .map(|jwk| (jwk.kid().to_owned(), VerifyingKey::new(jwk).map(Arc::new)));
        Self {
            by_kid: left_out.chain(usable).collect(),
            expires: now.saturating_add(max_age),
        }
    }

    fn is_fresh(&self, now: Duration) -> bool {
        now < self.expires
    }

    fn find(&self, kid: &str) -> Result<Arc<VerifyingKey>, KeyError> {
        match self.by_kid.get(kid) {
            Some(Ok(key)) => Ok(key.clone()),
            Some(Err(problem)) => Err(KeyError::Unusable {
                kid: kid.to_owned(),
                problem: problem.clone(),
            }),
            None => Err(KeyError::Unknown {
                kid: kid.to_owned(),
                token_issuer: None,
            }),
        }
    }
}
