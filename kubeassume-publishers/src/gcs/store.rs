//! [`GcsStore`]: two objects in a bucket.

use std::fmt;

use async_trait::async_trait;
use http::Uri;
use kubeassume_cloud::google::{Choice, Credentials, STORAGE_READ_WRITE};
use kubeassume_cloud::http::{HttpClient, HttpClientError};
use kubeassume_cloud::retry::Retry;
use kubeassume_core::IssuerUrl;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};

use super::GcsConfig;
use super::client::{Client, is_bucket_missing, is_generation};
use crate::fields::endpoint_host;
use crate::meaning::{Bucket, Effect, store_error};
use crate::probe::refuses_stale_writes;
use crate::{Invalid, OpenError, Patience, Tls};

const GOOGLE: &str = "https://storage.googleapis.com";
/// The variable by which Google's own clients find an emulator.
const EMULATOR_VARIABLE: &str = "STORAGE_EMULATOR_HOST";
/// Generations are microseconds since 1970.
const IMPOSSIBLE_GENERATION: &str = "1";
/// How often a read begins anew because the object was replaced between its two requests.
const READS: usize = 4;

const BUCKET: Bucket = Bucket {
    field: "gcs.bucket",
    is_missing: is_bucket_missing,
};

/// A [`DocumentStore`] in a bucket of Google Cloud Storage. It needs a tokio runtime.
#[derive(Clone)]
pub struct GcsStore {
    client: Client,
    config: GcsConfig,
}

/// Where requests go.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    base: String,
    /// Not Google's: it gets no credentials that were not given for it.
    anonymous: bool,
}

impl GcsStore {
    /// A store for this bucket, with the credentials that the environment has. Nothing is sent.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] for the configuration, [`StoreError::Misconfigured`] for the CA file or
    /// `STORAGE_EMULATOR_HOST`.
    pub fn open(config: &GcsConfig, tls: &Tls) -> Result<Self, OpenError> {
        Self::connect(config, tls, None)
    }

    /// As [`open`](Self::open), with credentials of the caller's own; `useWorkloadIdentity` does not count
    /// then. They are sent wherever the configuration says.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(config: &GcsConfig, tls: &Tls, credentials: Credentials) -> Result<Self, OpenError> {
        Self::connect(config, tls, Some(credentials))
    }

    fn connect(config: &GcsConfig, tls: &Tls, given: Option<Credentials>) -> Result<Self, OpenError> {
        config.check()?;
        let emulator = std::env::var(EMULATOR_VARIABLE).ok();
        let Place { base, anonymous } = place(config, emulator.as_deref())?;
        let mut http = HttpClient::new(tls.ca_pem.as_deref()).map_err(|error| {
            StoreError::Misconfigured(match error {
                HttpClientError::Roots(reason) => {
                    format!("tls.caFile has no usable certificates: {reason}")
                }
                other => other.to_string(),
            })
        })?;
        let uri = base.parse::<Uri>().ok();
        if let Some(host) = uri
            .as_ref()
            .and_then(Uri::host)
            .filter(|_| base.starts_with("http://"))
        {
            http = http.with_plain_http_to(host);
        }
        let credentials = match given {
            Some(given) => given,
            None if anonymous => Credentials::anonymous(),
            None => Credentials::found(Choice::from(config.use_workload_identity), &[STORAGE_READ_WRITE]),
        };
        let client = Client {
            http,
            credentials,
            base,
            bucket: config.bucket.clone(),
            retry: Retry::READ,
        };
        Ok(Self {
            client,
            config: config.clone(),
        })
    }

    /// Waits so long for the server from now on.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.client.http = self.client.http.with_call_timeout(patience.attempt);
        self.client.retry = Retry {
            attempts: patience.attempts,
            first: patience.pause,
            ..Retry::READ
        };
        self
    }

    /// Whether what a replacement needs may be done: the write, and the deletion of what it replaces.
    async fn probe(&self, path: &DocumentPath, there: Option<&StoredDocument>) -> Result<(), StoreError> {
        let object = self.config.object(path);
        let impossible = Version::new(IMPOSSIBLE_GENERATION);
        let denied = |permission: &str, reason: &str| {
            StoreError::Denied(format!("{permission} on {object} ({reason})"))
        };
        let probed = refuses_stale_writes(self, path, there, impossible, &object).await;
        probed.map_err(|error| match error {
            // The service asks for both where something is replaced, and names the one that it misses.
            StoreError::Denied(reason) if reason.contains("storage.objects.delete") => {
                denied("storage.objects.delete", &reason)
            }
            StoreError::Denied(reason) => denied("storage.objects.create", &reason),
            other => other,
        })?;
        // Named twice: a server that ignores the precondition must not take away what is published.
        let deleted = self
            .client
            .delete_generation(&object, IMPOSSIBLE_GENERATION)
            .await;
        match deleted.map_err(|error| store_error(error, Effect::Replace, &BUCKET)) {
            Err(StoreError::Precondition) => Ok(()),
            Err(StoreError::Denied(reason)) => Err(denied("storage.objects.delete", &reason)),
            Err(error) => Err(error),
            Ok(()) => Err(StoreError::Misconfigured(
                "the server says that it deleted a version that nothing has".to_owned(),
            )),
        }
    }
}

#[async_trait]
impl DocumentStore for GcsStore {
    fn kind(&self) -> &'static str {
        "gcs"
    }

    fn location(&self) -> String {
        let mut location = format!("gs://{}", self.config.bucket);
        if let Some(prefix) = &self.config.prefix {
            location.push('/');
            location.push_str(prefix);
        }
        if self.client.base != GOOGLE {
            let host = self.client.base.split_once("://").map_or("", |(_, host)| host);
            location.push_str(&format!(" at {host}"));
        }
        location
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let object = self.config.object(path);
        let failed = |error| store_error(error, Effect::Read, &BUCKET);
        for _ in 0..READS {
            let Some(attributes) = self.client.attributes(&object).await.map_err(failed)? else {
                return Ok(None);
            };
            let generation = attributes.generation.ok_or_else(|| {
                StoreError::Misconfigured(
                    "the server gives no generation, so no write can be tied to what was read".to_owned(),
                )
            })?;
            if let Some(bytes) = self.client.media(&object, &generation).await.map_err(failed)? {
                return Ok(Some(StoredDocument {
                    bytes,
                    content_type: attributes.content_type,
                    cache_control: attributes.cache_control,
                    metadata: attributes.metadata,
                    version: Version::new(generation),
                }));
            }
        }
        Err(StoreError::Unavailable(format!(
            "{object} was replaced each of {READS} times while it was read"
        )))
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
        let (if_generation, effect) = match precondition {
            Precondition::Absent => ("0", Effect::Create),
            Precondition::Matches(version) => (generation(version)?, Effect::Replace),
        };
        let object = self.config.object(path);
        let written = self.client.insert(&object, document, if_generation).await;
        let written = written.map_err(|error| store_error(error, effect, &BUCKET))?;
        written
            .map(Version::new)
            .ok_or_else(|| StoreError::Unknown("the server gave no generation".to_owned()))
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        let prefix = self.config.prefix.as_ref();
        let prefix = prefix.map_or(String::new(), |prefix| format!("{prefix}/"));
        let names = self.client.list(&prefix).await;
        let names = names.map_err(|error| store_error(error, Effect::Read, &BUCKET))?;
        let mut found: Vec<DocumentPath> = names
            .iter()
            .filter_map(|name| DocumentPath::new(name.strip_prefix(&prefix)?))
            .collect();
        found.sort();
        Ok(found)
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let deleted = self
            .client
            .delete(&self.config.object(path), generation(version)?)
            .await;
        deleted.map_err(|error| store_error(error, Effect::Replace, &BUCKET))
    }

    async fn validate(&self) -> Result<(), StoreError> {
        for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
            match self.get(&path).await {
                Ok(there) => self.probe(&path, there.as_ref()).await?,
                Err(StoreError::Denied(reason)) => {
                    let object = self.config.object(&path);
                    return Err(StoreError::Denied(format!(
                        "storage.objects.get on {object}, or storage.objects.list if there is no such object ({reason})"
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn warnings(&self, issuer: &IssuerUrl) -> Vec<String> {
        let depends = self.client.credentials.subject_issuer().as_deref() == Some(issuer.as_str());
        let warning = || {
            format!(
                "the credential for {} is had for a token of {issuer}, the issuer that is published there: should the \
                 published keys ever be wrong, they cannot be mended with it; keep another way to write the bucket",
                self.location()
            )
        };
        depends.then(warning).into_iter().collect()
    }
}

/// The version as a generation; another store's version is none of this one's.
fn generation(version: &Version) -> Result<&str, StoreError> {
    // 0 would mean that there is none.
    match version.as_str() {
        text if is_generation(text) && text.bytes().any(|b| b != b'0') => Ok(text),
        _ => Err(StoreError::Precondition),
    }
}

/// `https://HOST[:PORT]` of the server that is asked, and whether it is none of Google's.
#[cfg(feature = "bucket")]
pub(crate) fn server(config: &GcsConfig) -> Result<(String, bool), StoreError> {
    let emulator = std::env::var(EMULATOR_VARIABLE).ok();
    let Place { base, anonymous } = place(config, emulator.as_deref())?;
    Ok((base, anonymous))
}

fn place(config: &GcsConfig, emulator: Option<&str>) -> Result<Place, StoreError> {
    let emulator = emulator.map(str::trim).filter(|emulator| !emulator.is_empty());
    match (&config.endpoint, emulator) {
        (Some(endpoint), _) => Ok(Place {
            base: endpoint.clone(),
            anonymous: endpoint.starts_with("http://"),
        }),
        (None, Some(emulator)) => {
            let emulator = emulator.trim_end_matches('/');
            let base = if emulator.contains("://") {
                emulator.to_owned()
            } else {
                format!("http://{emulator}")
            };
            let checked = endpoint_host(EMULATOR_VARIABLE, &base);
            checked.map_err(|invalid: Invalid| StoreError::Misconfigured(invalid.to_string()))?;
            Ok(Place {
                base,
                anonymous: true,
            })
        }
        (None, None) => Ok(Place {
            base: GOOGLE.to_owned(),
            anonymous: false,
        }),
    }
}

/// Without the client, which holds credentials.
impl fmt::Debug for GcsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GcsStore").field(&self.location()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_google_and_to_endpoints_over_https() {
        let at = |endpoint: Option<&str>, emulator: Option<&str>| {
            let config = GcsConfig {
                endpoint: endpoint.map(str::to_owned),
                ..GcsConfig::default()
            };
            place(&config, emulator).map(|place| (place.base, place.anonymous))
        };
        let is = |base: &str, anonymous| Ok((base.to_owned(), anonymous));
        assert_eq!(at(None, None), is(GOOGLE, false));
        assert_eq!(at(None, Some("")), is(GOOGLE, false));
        assert_eq!(
            at(None, Some("localhost:4443")),
            is("http://localhost:4443", true)
        );
        assert_eq!(
            at(None, Some("https://localhost:4443/")),
            is("https://localhost:4443", true)
        );
        assert_eq!(
            at(Some("https://storage-x.p.googleapis.com"), Some("localhost:1")),
            is("https://storage-x.p.googleapis.com", false)
        );
        assert_eq!(at(Some("http://emulator"), None), is("http://emulator", true));
        let error = at(None, Some("a b")).unwrap_err();
        assert!(error.to_string().contains("STORAGE_EMULATOR_HOST"), "{error}");
    }

    #[test]
    fn a_version_of_another_store_is_none_of_this_one() {
        for bad in ["", "0", "00", "\"etag\"", "1&generation=2"] {
            assert_eq!(
                generation(&Version::new(bad)),
                Err(StoreError::Precondition),
                "{bad}"
            );
        }
        assert_eq!(generation(&Version::new("17")), Ok("17"));
    }
}
