//! [`EndpointStore`]: the documents that this replica serves, in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};
use kubeassume_core::{Clock, IssuerUrl};
use tokio::net::TcpListener;

use super::{Certificate, CertificateError, EndpointConfig, Limits, Server, Site};
use crate::OpenError;

/// A [`DocumentStore`] in memory, of this replica alone: [`is_shared`](DocumentStore::is_shared) is false.
/// Clones share their documents and what serves them.
#[derive(Debug, Clone)]
pub struct EndpointStore {
    public_url: IssuerUrl,
    documents: Arc<Mutex<Documents>>,
    /// Serves the documents while a clone of this store lives; only its own clone holds no server.
    server: Option<Arc<Running>>,
}

/// What ends with the store.
#[derive(Debug)]
struct Running {
    address: SocketAddr,
    renewal: tokio::task::JoinHandle<()>,
    _server: Server,
}

#[derive(Debug, Default)]
struct Documents {
    stored: BTreeMap<DocumentPath, StoredDocument>,
    /// Never used twice.
    version: u64,
}

impl EndpointStore {
    /// An empty store of what the public reads at `public_url`. Nobody serves it yet.
    pub fn new(public_url: IssuerUrl) -> Self {
        Self {
            public_url,
            documents: Arc::default(),
            server: None,
        }
    }

    /// An empty store, and a server that answers from it until the last clone is dropped. The certificate is
    /// looked at every ten seconds of `clock`.
    ///
    /// # Errors
    /// [`OpenError::Certificate`], [`OpenError::Listen`].
    pub async fn serve(config: &EndpointConfig, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let unusable = |error: CertificateError| OpenError::Certificate(error.to_string());
        let certificate = Arc::new(Certificate::load(&config.cert_file, &config.key_file).map_err(unusable)?);
        let tls = certificate.clone().server_config().map_err(unusable)?;
        let taken = |error: std::io::Error| OpenError::Listen {
            address: config.listen,
            reason: error.to_string(),
        };
        let listener = TcpListener::bind(config.listen).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let mut store = Self::new(config.public_url.clone());
        let site = Arc::new(Site::new(store.clone(), &config.public_url));
        store.server = Some(Arc::new(Running {
            address,
            renewal: tokio::spawn(certificate.follow(clock)),
            _server: Server::start(listener, Some(tls), site, Limits::default()),
        }));
        Ok(store)
    }

    /// Where it is served, if it is: the configured address, with the port that was free for port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|server| server.address)
    }

    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Documents {
    fn check(&self, path: &DocumentPath, precondition: &Precondition) -> Result<(), StoreError> {
        let there = self.stored.get(path).map(|stored| &stored.version);
        let holds = match precondition {
            Precondition::Absent => there.is_none(),
            Precondition::Matches(version) => there == Some(version),
        };
        holds.then_some(()).ok_or(StoreError::Precondition)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

#[async_trait]
impl DocumentStore for EndpointStore {
    fn kind(&self) -> &'static str {
        "endpoint"
    }

    fn location(&self) -> String {
        format!("endpoint {}", self.public_url)
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        Ok(self.documents().stored.get(path).cloned())
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
        let mut documents = self.documents();
        documents.check(path, precondition)?;
        documents.version += 1;
        let version = Version::new(documents.version.to_string());
        let stored = StoredDocument {
            bytes: document.bytes.clone(),
            content_type: Some(document.content_type.clone()),
            cache_control: Some(document.cache_control.clone()),
            metadata: document.metadata.clone(),
            version: version.clone(),
        };
        documents.stored.insert(path.clone(), stored);
        Ok(version)
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        Ok(self.documents().stored.keys().cloned().collect())
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let mut documents = self.documents();
        documents.check(path, &Precondition::Matches(version.clone()))?;
        documents.stored.remove(path);
        Ok(())
    }

    async fn validate(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
