//! [`S3Store`]: two objects in a bucket.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use kubeassume_cloud::text::causes;
use kubeassume_core::IssuerUrl;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};

use super::S3Config;
use super::client::{Connected, PATIENCE, connect, patient};
use super::error::{Refusal, store_error};
use crate::fields::endpoint_host;
use crate::meaning::{Effect, not_answered};
use crate::probe::refuses_stale_writes;
use crate::{Invalid, OpenError, Patience, Tls};

/// No object has this ETag: it is the right length and the digest of nothing that anybody has found.
const IMPOSSIBLE_ETAG: &str = "\"00000000000000000000000000000000\"";
/// The most that is listed of a bucket that others may fill.
const MAX_PAGES: usize = 10;

/// A [`DocumentStore`] in a bucket. It needs a tokio runtime.
#[derive(Clone)]
pub struct S3Store {
    client: Client,
    config: S3Config,
    region: String,
    patience: Patience,
}

impl S3Store {
    /// A store for this bucket. Reads the SDK's configuration from environment and profile; does not
    /// connect, unless the region must be asked from the instance.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] for the configuration, [`StoreError::Misconfigured`] for the CA file or an
    /// unknown region.
    pub async fn open(config: &S3Config, tls: &Tls) -> Result<Self, OpenError> {
        Self::connect(config, tls, None).await
    }

    /// As [`open`](Self::open), with credentials of the caller's own; `useIRSA` does not count then.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        config: &S3Config,
        tls: &Tls,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, OpenError> {
        Self::connect(config, tls, Some(credentials)).await
    }

    async fn connect(
        config: &S3Config,
        tls: &Tls,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, OpenError> {
        config.check()?;
        let Connected {
            client,
            region,
            endpoint,
        } = connect(config, tls, credentials).await?;
        let config = S3Config {
            endpoint,
            ..config.clone()
        };
        Ok(Self {
            client,
            config,
            region,
            patience: PATIENCE,
        })
    }

    /// Waits so long for the server from now on.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self {
            client: patient(self.client.config().to_builder(), &patience),
            patience,
            ..self
        }
    }

    /// Where the public reads what it holds, as configured or by default.
    ///
    /// # Errors
    /// As [`S3Config::public_url`].
    pub fn public_url(&self) -> Result<IssuerUrl, Invalid> {
        self.config.public_url(&self.region)
    }

    async fn probe(&self, path: &DocumentPath, there: Option<&StoredDocument>) -> Result<(), StoreError> {
        let key = self.config.key(path);
        let impossible = Version::new(IMPOSSIBLE_ETAG);
        let probed = refuses_stale_writes(self, path, there, impossible, &key).await;
        probed.map_err(|error| match error {
            StoreError::Denied(reason) => StoreError::Denied(format!("s3:PutObject on {key} ({reason})")),
            other => other,
        })
    }
}

#[async_trait]
impl DocumentStore for S3Store {
    fn kind(&self) -> &'static str {
        "s3"
    }

    fn location(&self) -> String {
        let mut location = format!("s3://{}", self.config.bucket);
        if let Some(prefix) = &self.config.prefix {
            location.push('/');
            location.push_str(prefix);
        }
        if let Some(endpoint) = &self.config.endpoint {
            let host = endpoint_host("s3.endpoint", endpoint).unwrap_or_else(|_| endpoint.clone());
            location.push_str(&format!(" at {host}"));
        }
        location
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let request = self
            .client
            .get_object()
            .bucket(&self.config.bucket)
            .key(self.config.key(path));
        let found = match request.send().await {
            Ok(found) => found,
            Err(error) if Refusal::of(&error).is_absence() => return Ok(None),
            Err(error) => return Err(store_error(&error, Effect::Read)),
        };
        let version = found.e_tag.map(Version::new).ok_or_else(|| {
            StoreError::Misconfigured(
                "the server gives no ETag, so no write can be tied to what was read".to_owned(),
            )
        })?;
        Ok(Some(StoredDocument {
            bytes: read_body(found.body, self.patience.whole()).await?,
            content_type: found.content_type,
            cache_control: found.cache_control,
            metadata: found
                .metadata
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            version,
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
        let request = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .key(self.config.key(path))
            .content_type(&document.content_type)
            .cache_control(&document.cache_control)
            .set_metadata(Some(document.metadata.clone().into_iter().collect()))
            .body(ByteStream::from(document.bytes.clone()));
        let (request, effect) = match precondition {
            Precondition::Absent => (request.if_none_match("*"), Effect::Create),
            Precondition::Matches(version) => (request.if_match(version.as_str()), Effect::Replace),
        };
        let written = request
            .send()
            .await
            .map_err(|error| store_error(&error, effect))?;
        written
            .e_tag
            .map(Version::new)
            .ok_or_else(|| StoreError::Unknown("the server gave no ETag".to_owned()))
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        let prefix = self
            .config
            .prefix
            .as_ref()
            .map_or(String::new(), |prefix| format!("{prefix}/"));
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.config.bucket)
            .prefix(&prefix)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else {
                break;
            };
            let page = page.map_err(|error| store_error(&error, Effect::Read))?;
            let keys = page.contents.unwrap_or_default().into_iter();
            found.extend(keys.filter_map(|object| DocumentPath::new(object.key?.strip_prefix(&prefix)?)));
        }
        found.sort();
        Ok(found)
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        // S3 calls it a success to delete what is not there. Should it go between the two requests, it is
        // gone as the caller wants.
        if self.get(path).await?.is_none() {
            return Err(StoreError::Precondition);
        }
        let request = self
            .client
            .delete_object()
            .bucket(&self.config.bucket)
            .key(self.config.key(path))
            .if_match(version.as_str());
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| store_error(&error, Effect::Replace))
    }

    async fn validate(&self) -> Result<(), StoreError> {
        for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
            match self.get(&path).await {
                Ok(there) => self.probe(&path, there.as_ref()).await?,
                // Amazon hides absence from whoever may not list, and honours preconditions.
                Err(StoreError::Denied(_)) if self.config.endpoint.is_none() => {
                    self.probe(&path, None).await?;
                }
                Err(StoreError::Denied(reason)) => {
                    let key = self.config.key(&path);
                    return Err(StoreError::Denied(format!(
                        "s3:GetObject on {key}, or s3:ListBucket if there is no such key ({reason})"
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// At most as much as a document may have; the rest is not fetched.
async fn read_body(mut body: ByteStream, within: Duration) -> Result<Bytes, StoreError> {
    let read = async {
        let mut bytes = BytesMut::new();
        while bytes.len() < MAX_DOCUMENT_BYTES {
            match body.try_next().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(not_answered(causes(&error), Effect::Read)),
            }
        }
        bytes.truncate(MAX_DOCUMENT_BYTES);
        Ok(bytes.freeze())
    };
    tokio::time::timeout(within, read).await.unwrap_or_else(|_| {
        let text = format!("the body did not end within {within:?}");
        Err(not_answered(text, Effect::Read))
    })
}

/// Without the client, which holds credentials.
impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Store").field(&self.location()).finish()
    }
}
