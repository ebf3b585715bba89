//! [`StoreReader`]: the public, in front of any store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::IssuerUrl;
use crate::clock::Clock;
use crate::public_reader::{PublicDocument, PublicReadError, PublicReader};
use crate::store::{DocumentPath, DocumentStore};

/// A [`PublicReader`] that reads what a store holds, as a web server or a CDN in front of it would.
///
/// It reads through the store itself, so it says nothing about bucket policies or TLS.
pub struct StoreReader {
    store: Arc<dyn DocumentStore>,
    public_url: IssuerUrl,
    cache: Option<(Arc<dyn Clock>, Duration)>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    cached: BTreeMap<String, (Duration, PublicDocument)>,
    failure: Option<PublicReadError>,
}

impl StoreReader {
    /// A web server: always what the store holds now.
    pub fn new(store: Arc<dyn DocumentStore>, public_url: &IssuerUrl) -> Self {
        Self {
            store,
            public_url: public_url.clone(),
            cache: None,
            memory: Mutex::default(),
        }
    }

    /// A CDN: an answer is given again until it is so old.
    #[must_use]
    pub fn caching(mut self, clock: Arc<dyn Clock>, max_age: Duration) -> Self {
        self.cache = Some((clock, max_age));
        self
    }

    /// Lets every read fail like this from now on; `None` ends it.
    pub fn fail(&self, failure: Option<PublicReadError>) {
        self.memory().failure = failure;
    }

    fn cached(&self, url: &str) -> Option<PublicDocument> {
        let (clock, _) = self.cache.as_ref()?;
        let memory = self.memory();
        let (until, document) = memory.cached.get(url)?;
        (clock.monotonic() < *until).then(|| document.clone())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PublicReader for StoreReader {
    async fn get(&self, url: &str, limit: usize) -> Result<PublicDocument, PublicReadError> {
        if let Some(failure) = &self.memory().failure {
            return Err(failure.clone());
        }
        if let Some(document) = self.cached(url) {
            return Ok(document);
        }
        let path = url
            .strip_prefix(self.public_url.as_str())
            .and_then(|path| path.strip_prefix('/'))
            .and_then(DocumentPath::new)
            .ok_or_else(|| PublicReadError::Unreachable(format!("nothing serves {url}")))?;
        let stored = match self.store.get(&path).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Err(PublicReadError::Status(404)),
            Err(error) => return Err(PublicReadError::Unreachable(error.to_string())),
        };
        if stored.bytes.len() > limit {
            return Err(PublicReadError::TooLarge(limit));
        }
        let document = PublicDocument {
            bytes: stored.bytes,
            content_type: stored.content_type,
            cache_control: stored.cache_control,
        };
        if let Some((clock, max_age)) = &self.cache {
            let until = clock.monotonic() + *max_age;
            let mut memory = self.memory();
            memory.cached.insert(url.to_owned(), (until, document.clone()));
        }
        Ok(document)
    }
}
