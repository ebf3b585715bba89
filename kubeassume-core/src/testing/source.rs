//! [`StaticSource`]: API servers that answer what a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::executor::turns;
use super::keys::KeyFixture;
use crate::clock::Timestamp;
use crate::source::{Addressing, Answer, Observation, Source, SourceError};
use crate::{KeySet, Parsed};

/// A [`Source`] whose endpoints answer what they were last set to. Clones share them.
///
/// ```
/// use kubeassume_core::{Source, testing::{StaticSource, block_on, keys}};
///
/// let source = StaticSource::new();
/// source.serve("api-1", &[keys::RSA_1]);
/// assert!(block_on(source.observe()).is_complete());
/// ```
#[derive(Debug, Clone)]
pub struct StaticSource(Arc<Mutex<Observation>>);

impl StaticSource {
    /// No endpoint yet; each that is added is reached by itself.
    pub fn new() -> Self {
        Self::addressed(Addressing::Each)
    }

    /// No endpoint yet.
    pub fn addressed(addressing: Addressing) -> Self {
        Self(Arc::new(Mutex::new(Observation {
            addressing,
            answers: BTreeMap::new(),
        })))
    }

    /// An endpoint serves these keys, without a clock of its own.
    pub fn serve(&self, endpoint: &str, keys: &[KeyFixture]) {
        self.serve_at(endpoint, keys, None);
    }

    /// An endpoint serves these keys, with its own clock.
    pub fn serve_at(&self, endpoint: &str, keys: &[KeyFixture], date: Option<Timestamp>) {
        let keys = KeySet::new(keys.iter().map(KeyFixture::jwk), []).expect("distinct kids");
        let findings = Vec::new();
        let parsed = Parsed { keys, findings };
        self.answer(endpoint, Answer::Read { parsed, date });
    }

    /// An endpoint cannot be read.
    pub fn fail(&self, endpoint: &str, error: SourceError) {
        self.answer(endpoint, Answer::Failed(error));
    }

    /// An endpoint answers this.
    pub fn answer(&self, endpoint: &str, answer: Answer) {
        self.observation().answers.insert(endpoint.to_owned(), answer);
    }

    /// An endpoint is no longer listed.
    pub fn remove(&self, endpoint: &str) {
        self.observation().answers.remove(endpoint);
    }

    fn observation(&self) -> MutexGuard<'_, Observation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for StaticSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Source for StaticSource {
    async fn observe(&self) -> Observation {
        turns(1).await;
        self.observation().clone()
    }

    async fn probe(&self, endpoint: &str) -> bool {
        turns(1).await;
        matches!(
            self.observation().answers.get(endpoint),
            Some(Answer::Read { .. })
        )
    }
}
