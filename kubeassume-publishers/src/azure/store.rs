//! [`AzureStore`]: two blobs in a container.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{Etag, RequestContent};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientDownloadOptions, BlobContainerClientListBlobsOptions,
    BlockBlobClientUploadOptions,
};
use bytes::BytesMut;
use futures_util::TryStreamExt as _;
use kubeassume_cloud::azure::AzureEnvironment;
use kubeassume_core::IssuerUrl;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};

use super::AzureConfig;
use super::client::{Connected, SignIn, connect};
use super::error::{Call, is_absence};
use crate::probe::refuses_stale_writes;
use crate::{OpenError, Patience, Tls};

/// No blob has this ETag: it is of the right form, and from long before there was an Azure.
const IMPOSSIBLE_ETAG: &str = "\"0x100000000000000\"";
/// The most that is listed of a container that others may fill.
const MAX_PAGES: usize = 10;
const PAGE: i32 = 1000;
/// A document is read with one request for so much of it, and what is more is not sent.
const WINDOW: NonZero<usize> = match NonZero::new(MAX_DOCUMENT_BYTES) {
    Some(bytes) => bytes,
    None => NonZero::<usize>::MIN,
};

/// A [`DocumentStore`] in a container. It needs a tokio runtime.
#[derive(Clone)]
pub struct AzureStore {
    client: Arc<Connected>,
    config: AzureConfig,
    public_url: IssuerUrl,
}

impl AzureStore {
    /// A store for this container. Reads the environment, by the names that Azure's own SDKs use; does not
    /// connect.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] for the configuration, also when `AZURE_AUTHORITY_HOST` belongs to another
    /// cloud than the endpoint; [`StoreError::Misconfigured`] for the CA file.
    pub fn open(config: &AzureConfig, tls: &Tls) -> Result<Self, OpenError> {
        Self::connect(config, tls, SignIn::Chain(AzureEnvironment::of_process()))
    }

    /// As [`open`](Self::open), with a credential of the caller's own; `useManagedIdentity` does not count
    /// then.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        config: &AzureConfig,
        tls: &Tls,
        credential: Arc<dyn TokenCredential>,
    ) -> Result<Self, OpenError> {
        Self::connect(config, tls, SignIn::Given(credential))
    }

    fn connect(config: &AzureConfig, tls: &Tls, sign_in: SignIn) -> Result<Self, OpenError> {
        config.check()?;
        Ok(Self {
            client: Arc::new(connect(config, tls, sign_in)?),
            public_url: config.public_url()?,
            config: config.clone(),
        })
    }

    /// Waits so long for the server from now on.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] from the SDK, which took the same once.
    pub fn with_patience(mut self, patience: Patience) -> Result<Self, OpenError> {
        self.client = Arc::new(self.client.with_patience(patience)?);
        Ok(self)
    }

    /// Where the public reads what it holds, as configured or by default.
    pub fn public_url(&self) -> IssuerUrl {
        self.public_url.clone()
    }
}

#[async_trait]
impl DocumentStore for AzureStore {
    fn kind(&self) -> &'static str {
        "azure"
    }

    fn location(&self) -> String {
        let config = &self.config;
        let mut location = format!("azure://{}/{}", config.storage_account, config.container);
        if let Some(prefix) = &config.prefix {
            location.push('/');
            location.push_str(prefix);
        }
        if let Some(endpoint) = &config.endpoint {
            let host = endpoint.strip_prefix("https://").unwrap_or(endpoint);
            location.push_str(&format!(" at {host}"));
        }
        location
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let blob = &self.client.container.blob_client(&self.config.blob(path));
        let read = || async move {
            let options = BlobClientDownloadOptions {
                range: Some((0..WINDOW.get()).into()),
                partition_size: Some(WINDOW),
                parallel: Some(NonZero::<usize>::MIN),
                ..BlobClientDownloadOptions::default()
            };
            let found = match blob.download(Some(options)).await {
                Ok(found) => found,
                Err(error) if is_absence(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut body = found.body;
            let mut bytes = BytesMut::new();
            while bytes.len() < MAX_DOCUMENT_BYTES
                && let Some(chunk) = body.try_next().await?
            {
                bytes.extend_from_slice(&chunk);
            }
            bytes.truncate(MAX_DOCUMENT_BYTES);
            Ok(Some((bytes.freeze(), found.properties)))
        };
        let Some((bytes, properties)) = self.client.ask(Call::Read, read).await? else {
            return Ok(None);
        };
        let etag = properties.etag.ok_or_else(|| {
            StoreError::Misconfigured(
                "the server gives no ETag, so no write can be tied to what was read".to_owned(),
            )
        })?;
        Ok(Some(StoredDocument {
            bytes,
            content_type: properties.content_type,
            cache_control: properties.cache_control,
            metadata: properties.metadata.into_iter().map(from_identifier).collect(),
            version: Version::new(String::from(etag)),
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
        let mut options = BlockBlobClientUploadOptions {
            blob_content_type: Some(document.content_type.clone()),
            blob_cache_control: Some(document.cache_control.clone()),
            metadata: Some(document.metadata.iter().map(to_identifier).collect()),
            ..BlockBlobClientUploadOptions::default()
        };
        let call = match precondition {
            Precondition::Absent => {
                options.if_none_match = Some(Etag::from("*"));
                Call::Create
            }
            Precondition::Matches(version) => {
                options.if_match = Some(Etag::from(version.as_str()));
                Call::Replace
            }
        };
        let blob = self.client.container.blob_client(&self.config.blob(path));
        let upload = || {
            let body = RequestContent::from(document.bytes.to_vec());
            blob.upload(body, Some(options.clone()))
        };
        let written = self.client.ask(call, upload).await?;
        let etag = written.etag.map(|etag| Version::new(String::from(etag)));
        etag.ok_or_else(|| StoreError::Unknown("the server gave no ETag".to_owned()))
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        let prefix = self.config.prefix.as_ref();
        let prefix = prefix.map_or(String::new(), |prefix| format!("{prefix}/"));
        let options = BlobContainerClientListBlobsOptions {
            prefix: (!prefix.is_empty()).then(|| prefix.clone()),
            maxresults: Some(PAGE),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let (container, options, prefix) = (&self.client.container, &options, &prefix);
        let list = || async move {
            let mut pages = container.list_blobs(Some(options.clone()))?.into_pages();
            let mut found = Vec::new();
            for _ in 0..MAX_PAGES {
                let Some(page) = pages.try_next().await? else {
                    break;
                };
                let names = page.into_model()?.blob_items.into_iter();
                found.extend(
                    names.filter_map(|blob| DocumentPath::new(blob.name?.strip_prefix(prefix.as_str())?)),
                );
            }
            Ok(found)
        };
        let mut found = self.client.ask(Call::List, list).await?;
        found.sort();
        Ok(found)
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let options = BlobClientDeleteOptions {
            if_match: Some(Etag::from(version.as_str())),
            ..BlobClientDeleteOptions::default()
        };
        let blob = self.client.container.blob_client(&self.config.blob(path));
        let delete = || blob.delete(Some(options.clone()));
        self.client.ask(Call::Delete, delete).await.map(drop)
    }

    async fn validate(&self) -> Result<(), StoreError> {
        for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
            let there = self.get(&path).await?;
            let (impossible, blob) = (Version::new(IMPOSSIBLE_ETAG), self.config.blob(&path));
            refuses_stale_writes(self, &path, there.as_ref(), impossible, &blob).await?;
        }
        Ok(())
    }

    async fn warnings(&self, issuer: &IssuerUrl) -> Vec<String> {
        let own = self.client.own.as_ref();
        match own.and_then(|own| own.subject_issuer()) {
            Some(signs_in) if signs_in == issuer.as_str() => vec![format!(
                "the credential for the container is a token of {issuer}, the issuer that is published there: should \
                 the documents ever be wrong, Entra ID refuses the token that could mend them; use a managed identity \
                 (azure.useManagedIdentity: true), or keep an administrator's `kubeassume publish` at hand"
            )],
            _ => Vec::new(),
        }
    }
}

/// Azure's metadata names are C# identifiers, in which `-` cannot be; ours have no `_`.
fn to_identifier((name, value): (&String, &String)) -> (String, String) {
    (name.replace('-', "_"), value.clone())
}

fn from_identifier((name, value): (String, String)) -> (String, String) {
    (name.to_ascii_lowercase().replace('_', "-"), value)
}

/// Without the client, which holds credentials.
impl fmt::Debug for AzureStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AzureStore").field(&self.location()).finish()
    }
}

#[cfg(test)]
mod tests {
    use kubeassume_cloud::azure::AzureSource;

    use super::*;

    /// A pod with workload identity set up, whose token is of this issuer.
    fn pod(issuer: &str) -> (AzureEnvironment, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        let claims = base64::Engine::encode(
            &base64::prelude::BASE64_URL_SAFE_NO_PAD,
            format!(r#"{{"iss":"{issuer}"}}"#),
        );
        std::fs::write(&token, format!("e30.{claims}.c2ln")).expect("a file");
        let environment = AzureEnvironment {
            federated_token_file: Some(token),
            ..AzureEnvironment::default()
        };
        (environment, folder)
    }

    fn open(
        use_managed_identity: Option<bool>,
        environment: AzureEnvironment,
    ) -> Result<AzureStore, OpenError> {
        let config = AzureConfig {
            storage_account: "keys".to_owned(),
            container: "oidc".to_owned(),
            use_managed_identity,
            ..AzureConfig::default()
        };
        AzureStore::connect(&config, &Tls::default(), SignIn::Chain(environment))
    }

    #[tokio::test]
    async fn it_warns_of_a_credential_that_depends_on_what_it_publishes() {
        let issuer = "https://keys.blob.core.windows.net/oidc";
        let warnings = async |signs_in: &str, use_managed_identity| {
            let (environment, _folder) = pod(signs_in);
            let store = open(use_managed_identity, environment).expect("a store");
            store.warnings(&store.public_url()).await
        };
        let own = warnings(issuer, None).await;
        assert!(own.len() == 1 && own[0].contains(issuer), "{own:?}");
        assert_eq!(warnings("https://oidc.example.com", None).await, [""; 0]);
        assert_eq!(warnings(issuer, Some(true)).await, [""; 0]);
    }

    #[test]
    fn the_configuration_says_who_is_asked() {
        let source = |choice| {
            let (environment, _folder) = pod("https://oidc.example.com");
            let store = open(choice, environment).expect("a store");
            store.client.own.as_ref().map(|own| own.source().clone())
        };
        assert_eq!(source(Some(true)), Some(AzureSource::ManagedIdentity));
        for choice in [None, Some(false)] {
            assert!(matches!(source(choice), Some(AzureSource::WorkloadIdentity(_))));
        }
    }

    #[test]
    fn another_clouds_sign_in_is_refused() {
        let environment = AzureEnvironment {
            authority_host: Some("https://login.chinacloudapi.cn/".to_owned()),
            ..AzureEnvironment::default()
        };
        let refused = open(None, environment);
        assert!(matches!(refused, Err(OpenError::Invalid(invalid)) if invalid.field == "azure.endpoint"));
    }
}
