//! [`FileStore`]: the disk behind [`DocumentStore`], off the async threads.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};

use super::disk::Disk;

/// A [`DocumentStore`] in a directory. It needs a tokio runtime.
#[derive(Debug, Clone)]
pub struct FileStore {
    disk: Arc<Disk>,
}

impl FileStore {
    /// A store in this directory, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] when there is no such directory.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let disk = Arc::new(Disk::open(path)?);
        Ok(Self { disk })
    }

    /// Runs on a thread that may block. A caller that goes away does not stop it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = self.disk.clone();
        let done = tokio::task::spawn_blocking(move || work(&disk)).await;
        done.unwrap_or_else(|error| Err(StoreError::Unknown(error.to_string())))
    }
}

#[async_trait]
impl DocumentStore for FileStore {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn location(&self) -> String {
        format!("file://{}", self.disk.root().display())
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let path = path.clone();
        self.run(move |disk| disk.get(&path)).await
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
        let (path, document, precondition) = (path.clone(), document.clone(), precondition.clone());
        self.run(move |disk| disk.put(&path, &document, &precondition))
            .await
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        self.run(Disk::list).await
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let (path, version) = (path.clone(), version.clone());
        self.run(move |disk| disk.delete(&path, &version)).await
    }

    async fn validate(&self) -> Result<(), StoreError> {
        self.run(Disk::validate).await
    }
}
