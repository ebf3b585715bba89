//! [`MemoryStore`]: the strictest store there is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::executor::turns;
use crate::publication::digest;
use crate::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};

/// A [`DocumentStore`] in memory, with strict compare-and-swap. Clones share their documents.
///
/// Every call gives way to other futures once before it takes effect, all at once.
///
/// By default a version is never used twice. [`with_content_versions`](Self::with_content_versions) makes
/// it a digest of the body, as an S3 ETag is: then a writer that slept through two replacements, the
/// second of which restored the body, is not refused. That is the A-B-A limit of such stores.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    objects: Arc<Mutex<Objects>>,
    location: String,
    content_versions: bool,
}

#[derive(Debug, Default)]
struct Objects {
    documents: BTreeMap<DocumentPath, StoredDocument>,
    versions: u64,
    changes: Vec<Change>,
}

/// One change of a store's documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which document.
    pub path: DocumentPath,
    /// What is there since; `None` after a deletion.
    pub document: Option<StoredDocument>,
    /// Whether it was made through [`DocumentStore`]; otherwise by a test's hand.
    pub conditional: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            objects: Arc::default(),
            location: "memory://test".to_owned(),
            content_versions: false,
        }
    }

    /// Versions that depend on the body alone.
    #[must_use]
    pub fn with_content_versions(mut self) -> Self {
        self.content_versions = true;
        self
    }

    /// Another [`location`](DocumentStore::location).
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = location.into();
        self
    }

    /// What is there now.
    pub fn peek(&self, path: &DocumentPath) -> Option<StoredDocument> {
        self.objects().documents.get(path).cloned()
    }

    /// Puts a document there, whatever stands there: what a person with access does. Any size.
    pub fn overwrite(&self, path: &DocumentPath, document: &NewDocument) {
        self.set(&mut self.objects(), path, Some(document), false);
    }

    /// Takes a document away, whatever stands there.
    pub fn remove(&self, path: &DocumentPath) {
        self.set(&mut self.objects(), path, None, false);
    }

    /// Every change so far, in order.
    pub fn changes(&self) -> Vec<Change> {
        self.objects().changes.clone()
    }

    fn set(
        &self,
        objects: &mut Objects,
        path: &DocumentPath,
        document: Option<&NewDocument>,
        conditional: bool,
    ) {
        objects.versions += 1;
        let stored = document.map(|document| StoredDocument {
            bytes: document.bytes.clone(),
            content_type: Some(document.content_type.clone()),
            cache_control: Some(document.cache_control.clone()),
            metadata: document.metadata.clone(),
            version: if self.content_versions {
                Version::new(digest(&document.bytes))
            } else {
                Version::new(objects.versions.to_string())
            },
        });
        match &stored {
            Some(stored) => objects.documents.insert(path.clone(), stored.clone()),
            None => objects.documents.remove(path),
        };
        objects.changes.push(Change {
            path: path.clone(),
            document: stored,
            conditional,
        });
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl DocumentStore for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        turns(1).await;
        Ok(self.peek(path).map(|mut stored| {
            stored.bytes.truncate(MAX_DOCUMENT_BYTES);
            stored
        }))
    }

    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError> {
        if document.bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::TooLarge);
        }
        turns(1).await;
        let mut objects = self.objects();
        let there = objects.documents.get(path).map(|stored| &stored.version);
        let holds = match precondition {
            Precondition::Absent => there.is_none(),
            Precondition::Matches(version) => there == Some(version),
        };
        if !holds {
            return Err(StoreError::Precondition);
        }
        self.set(&mut objects, path, Some(document), true);
        let stored = objects.documents.get(path).expect("it was just put there");
        Ok(stored.version.clone())
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        turns(1).await;
        Ok(self.objects().documents.keys().cloned().collect())
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        turns(1).await;
        let mut objects = self.objects();
        if objects.documents.get(path).map(|stored| &stored.version) != Some(version) {
            return Err(StoreError::Precondition);
        }
        self.set(&mut objects, path, None, true);
        Ok(())
    }

    async fn validate(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
