//! [`MemoryStateStore`]: the ConfigMap, without a cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;

use super::executor::turns;
use crate::IssuerUrl;
use crate::state_store::{Loaded, Snapshot, StateError, StateStore, StateVersion, Stored};

/// A [`StateStore`] in memory, with strict compare-and-swap. It holds the encoded entries, as the real one
/// does. Clones share them.
///
/// Every call gives way to other futures once before it takes effect.
#[derive(Debug, Clone)]
pub struct MemoryStateStore {
    object: Arc<Mutex<Object>>,
    issuer: IssuerUrl,
}

#[derive(Debug, Default)]
struct Object {
    entries: Option<[String; 3]>,
    version: u64,
    failure: Option<StateError>,
    saves: usize,
    watchers: Vec<Waker>,
}

impl MemoryStateStore {
    /// A store without an object, for one issuer's state.
    pub fn new(issuer: &IssuerUrl) -> Self {
        Self {
            object: Arc::default(),
            issuer: issuer.clone(),
        }
    }

    /// The entries as they are stored, in the order of [`SNAPSHOT_ENTRIES`](crate::SNAPSHOT_ENTRIES).
    pub fn entries(&self) -> Option<[String; 3]> {
        self.object().entries.clone()
    }

    /// Replaces the object by hand: an edit, a restored backup, or with `None` a deletion.
    pub fn overwrite(&self, entries: Option<[String; 3]>) {
        self.object().set(entries);
    }

    /// Lets every load and save fail like this from now on; `None` ends it. Watches break at once.
    pub fn fail(&self, failure: Option<StateError>) {
        let mut object = self.object();
        object.failure = failure;
        object.wake();
    }

    /// How many saves have succeeded.
    pub fn saves(&self) -> usize {
        self.object().saves
    }

    fn object(&self) -> MutexGuard<'_, Object> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object {
    fn set(&mut self, entries: Option<[String; 3]>) {
        self.version += 1;
        self.entries = entries;
        self.wake();
    }

    fn version(&self) -> Option<StateVersion> {
        self.entries
            .as_ref()
            .map(|_| StateVersion(self.version.to_string()))
    }

    fn check(&self) -> Result<(), StateError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn wake(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }
}

#[async_trait]
impl StateStore for MemoryStateStore {
    async fn load(&self) -> Result<Loaded, StateError> {
        turns(1).await;
        let object = self.object();
        object.check()?;
        let stored = object.entries.as_ref().map_or(Stored::Missing, |entries| {
            Snapshot::decode(entries.each_ref().map(String::as_str), &self.issuer)
        });
        Ok(Loaded {
            stored,
            version: object.version(),
        })
    }

    async fn save(
        &self,
        snapshot: &Snapshot,
        loaded: Option<&StateVersion>,
    ) -> Result<StateVersion, StateError> {
        let entries = snapshot.encode()?;
        turns(1).await;
        let mut object = self.object();
        object.check()?;
        if object.version().as_ref() != loaded {
            return Err(StateError::Conflict);
        }
        object.set(Some(entries));
        object.saves += 1;
        Ok(StateVersion(object.version.to_string()))
    }

    async fn changed(&self, seen: Option<&StateVersion>) -> Result<(), StateError> {
        std::future::poll_fn(|context| {
            let mut object = self.object();
            if let Err(failure) = object.check() {
                return Poll::Ready(Err(failure));
            }
            if object.version().as_ref() != seen {
                return Poll::Ready(Ok(()));
            }
            object.watchers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
