//! [`FaultStore`]: any store, on a bad day.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::executor::turns;
use super::store::overwrite;
use crate::store::{
    DocumentPath, DocumentStore, NewDocument, Precondition, StoreError, StoredDocument, Version,
};

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the variants are the calls of DocumentStore")]
pub enum Operation {
    Get,
    Put,
    List,
    Delete,
    Validate,
}

/// What goes wrong in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// HTTP 412 on a write that did not happen, whatever its precondition.
    PreconditionFailed,
    /// HTTP 409 on a write that did not happen: two were under way at once.
    Conflict,
    /// A write happens and is then answered with 412: a client library tried it twice by itself.
    WonThenRefused,
    /// HTTP 404: a read sees nothing; a write against a version does not happen.
    NotFound,
    /// HTTP 403, nothing happens.
    Denied,
    /// HTTP 503, nothing happens.
    ServerError,
    /// No answer; a write did not happen.
    TimeoutBefore,
    /// No answer; a write did happen.
    TimeoutAfter,
    /// A read gives half of the body.
    Truncated,
    /// The call takes effect only after many other steps.
    Slow,
    /// A read answers what an earlier read through this store answered.
    Stale,
    /// Just before the call takes effect, somebody else puts this document at its path.
    Rival(NewDocument),
}

impl Fault {
    const OF_READS: [Self; 7] = [
        Self::NotFound,
        Self::Denied,
        Self::ServerError,
        Self::TimeoutBefore,
        Self::Truncated,
        Self::Slow,
        Self::Stale,
    ];
    const OF_WRITES: [Self; 8] = [
        Self::PreconditionFailed,
        Self::Conflict,
        Self::WonThenRefused,
        Self::Denied,
        Self::ServerError,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::Slow,
    ];

    /// The answer to a call that does not happen.
    fn instead(&self, operation: Operation) -> Option<StoreError> {
        let writes = matches!(operation, Operation::Put | Operation::Delete);
        match self {
            Self::PreconditionFailed | Self::Conflict => Some(StoreError::Precondition),
            Self::NotFound if writes => Some(StoreError::Precondition),
            Self::Denied => Some(StoreError::Denied("HTTP status 403".to_owned())),
            Self::ServerError => Some(StoreError::Unavailable("HTTP status 503".to_owned())),
            Self::TimeoutBefore if writes => Some(StoreError::Unknown("no answer".to_owned())),
            Self::TimeoutBefore | Self::TimeoutAfter if !writes => {
                Some(StoreError::Unavailable("no answer".to_owned()))
            }
            _ => None,
        }
    }

    /// The answer to a write that did happen.
    fn afterwards(&self) -> Option<StoreError> {
        match self {
            Self::WonThenRefused => Some(StoreError::Precondition),
            Self::TimeoutAfter => Some(StoreError::Unknown("no answer".to_owned())),
            _ => None,
        }
    }
}

/// A store in front of another that fails on order, and counts.
///
/// Faults come from a script, one call at a time, or from a seed. Without either it changes nothing.
///
/// ```
/// use kubeassume_core::store::{DocumentPath, DocumentStore, StoreError};
/// use kubeassume_core::testing::{Fault, FaultStore, MemoryStore, Operation, block_on};
///
/// let store = FaultStore::new(MemoryStore::new());
/// store.next(Operation::Get, Fault::ServerError);
/// assert!(matches!(block_on(store.get(&DocumentPath::JWKS)), Err(StoreError::Unavailable(_))));
/// assert_eq!(block_on(store.get(&DocumentPath::JWKS)), Ok(None));
/// assert_eq!(store.calls(Operation::Get), 2);
/// ```
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: S,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    script: BTreeMap<Operation, VecDeque<Option<Fault>>>,
    chance: Option<(fastrand::Rng, f64)>,
    calls: BTreeMap<Operation, usize>,
    answers: BTreeMap<DocumentPath, Vec<Option<StoredDocument>>>,
}

impl<S> FaultStore<S> {
    /// A store in front of another, without faults yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
        }
    }

    /// Each call fails with this probability, in a way that it can; the same seed, the same faults.
    #[must_use]
    pub fn seeded(self, seed: u64, probability: f64) -> Self {
        self.plan().chance = Some((fastrand::Rng::with_seed(seed), probability));
        self
    }

    /// The next such call that has no fault in the script yet gets this one.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.plan()
            .script
            .entry(operation)
            .or_default()
            .push_back(Some(fault));
    }

    /// The next such call that has no fault in the script yet goes well.
    pub fn pass(&self, operation: Operation) {
        self.plan().script.entry(operation).or_default().push_back(None);
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.chance = None;
        plan.script.clear();
    }

    /// How many such calls there were, failed ones too.
    pub fn calls(&self, operation: Operation) -> usize {
        self.plan().calls.get(&operation).copied().unwrap_or_default()
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn draw(&self, operation: Operation) -> Option<Fault> {
        let mut plan = self.plan();
        *plan.calls.entry(operation).or_default() += 1;
        if let Some(scripted) = plan.script.get_mut(&operation).and_then(VecDeque::pop_front) {
            return scripted;
        }
        let (random, probability) = plan.chance.as_mut()?;
        if random.f64() >= *probability {
            return None;
        }
        let faults: &[Fault] = match operation {
            Operation::Put | Operation::Delete => &Fault::OF_WRITES,
            Operation::Get => &Fault::OF_READS,
            Operation::List | Operation::Validate => &[Fault::Denied, Fault::ServerError],
        };
        random.choice(faults).cloned()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: DocumentStore> FaultStore<S> {
    /// What happens before the call itself.
    async fn before(
        &self,
        operation: Operation,
        path: Option<&DocumentPath>,
        fault: Option<&Fault>,
    ) -> Result<(), StoreError> {
        match (fault, path) {
            (Some(Fault::Slow), _) => turns(50).await,
            (Some(Fault::Rival(document)), Some(path)) => overwrite(&self.inner, path, document).await,
            _ => {}
        }
        fault
            .and_then(|fault| fault.instead(operation))
            .map_or(Ok(()), Err)
    }
}

#[async_trait]
impl<S: DocumentStore> DocumentStore for FaultStore<S> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let fault = self.draw(Operation::Get);
        self.before(Operation::Get, Some(path), fault.as_ref()).await?;
        let answer = self.inner.get(path).await?;
        let earlier = {
            let mut plan = self.plan();
            let answers = plan.answers.entry(path.clone()).or_default();
            answers.push(answer.clone());
            answers.iter().rev().find(|earlier| **earlier != answer).cloned()
        };
        Ok(match fault {
            Some(Fault::NotFound) => None,
            Some(Fault::Stale) => earlier.unwrap_or(answer),
            Some(Fault::Truncated) => answer.map(|mut stored| {
                stored.bytes.truncate(stored.bytes.len() / 2);
                stored
            }),
            _ => answer,
        })
    }

    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError> {
        let fault = self.draw(Operation::Put);
        self.before(Operation::Put, Some(path), fault.as_ref()).await?;
        let version = self.inner.put(path, document, precondition).await?;
        fault
            .and_then(|fault| fault.afterwards())
            .map_or(Ok(version), Err)
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        let fault = self.draw(Operation::List);
        self.before(Operation::List, None, fault.as_ref()).await?;
        self.inner.list().await
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let fault = self.draw(Operation::Delete);
        self.before(Operation::Delete, Some(path), fault.as_ref()).await?;
        self.inner.delete(path, version).await?;
        fault.and_then(|fault| fault.afterwards()).map_or(Ok(()), Err)
    }

    async fn validate(&self) -> Result<(), StoreError> {
        let fault = self.draw(Operation::Validate);
        self.before(Operation::Validate, None, fault.as_ref()).await?;
        self.inner.validate().await
    }
}
