//! [`ConfigMapStore`]: the state in one ConfigMap, replaced by `resourceVersion`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

use ::kube::api::{ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams};
use ::kube::{Api, Client, Error, ResourceExt};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use http::StatusCode;
use hyper_util::client::legacy;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::{
    Corrupt, IssuerUrl, Loaded, SNAPSHOT_ENTRIES, Snapshot, StateError, StateStore, StateVersion, Stored,
};

/// The name of the ConfigMap.
pub const METADATA_CONFIG_MAP: &str = "kube-iam-assume-oidc-metadata";

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubeassume");

/// How long a read or a write may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one watch lasts. A connection that died without a word is noticed this much later.
const WATCH_SECONDS: u32 = 60;

/// The state in ConfigMap `kube-iam-assume-oidc-metadata` of one namespace.
///
/// Reads are quorum reads. Needs `get`, `list`, `watch` and `update` on that one name and `create` in the
/// namespace; it lists and watches with a field selector, which is what makes a rule with a name apply.
pub struct ConfigMapStore {
    api: Api<ConfigMap>,
    namespace: String,
    issuer: IssuerUrl,
}

impl ConfigMapStore {
    /// The store in a namespace that exists, of the state for one issuer. Make the client with
    /// [`client`](super::client): one that repeats writes by itself would lose races against itself.
    pub fn new(client: Client, namespace: &str, issuer: IssuerUrl) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            issuer,
        }
    }

    async fn current(&self) -> Result<Option<ConfigMap>, StateError> {
        let object = within(self.api.get_opt(METADATA_CONFIG_MAP));
        object
            .await
            .ok_or_else(late)?
            .map_err(|e| self.read_error("get", &e))
    }

    /// The version of the object and that of the list, from which a watch misses nothing. The object's own
    /// would not do: it soon is older than what API servers remember.
    async fn versions(&self) -> Result<(Option<StateVersion>, String), StateError> {
        let params = ListParams::default().fields(&selector());
        let list = within(self.api.list_metadata(&params));
        let list = list
            .await
            .ok_or_else(late)?
            .map_err(|e| self.read_error("list", &e))?;
        let version = list
            .items
            .first()
            .and_then(ResourceExt::resource_version)
            .map(StateVersion);
        Ok((version, list.metadata.resource_version.unwrap_or_default()))
    }

    /// Returns at the first event, when the watch's time is over, or when it has to begin anew.
    async fn watch(&self, from: &str) -> Result<Watched, StateError> {
        let params = WatchParams::default()
            .fields(&selector())
            .timeout(WATCH_SECONDS)
            .disable_bookmarks();
        let began = Instant::now();
        let lasts = Duration::from_secs(WATCH_SECONDS.into());
        let events = within(self.api.watch_metadata(&params, from));
        let events = match events.await.ok_or_else(late)? {
            Ok(events) => events,
            Err(error) if is_gone(&error) => return Ok(Watched::Expired),
            Err(error) => return Err(self.read_error("watch", &error)),
        };
        let mut events = pin!(events);
        loop {
            let event = tokio::time::timeout(lasts + REQUEST_TIMEOUT, events.try_next());
            match event.await {
                Ok(Ok(Some(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_)))) => {
                    return Ok(Watched::Changed);
                }
                Ok(Ok(Some(WatchEvent::Bookmark(_)))) => {}
                Ok(Ok(Some(WatchEvent::Error(status)))) if status.code == StatusCode::GONE.as_u16() => {
                    return Ok(Watched::Expired);
                }
                Ok(Ok(Some(WatchEvent::Error(status)))) => {
                    return Err(StateError::Unavailable(format!("watch: {}", status.message)));
                }
                Ok(Err(error)) if is_gone(&error) => return Ok(Watched::Expired),
                Ok(Err(error)) => return Err(self.read_error("watch", &error)),
                // A server that goes away in good order ends its watches too.
                Ok(Ok(None)) if began.elapsed() < lasts => {
                    return Err(StateError::Unavailable(
                        "the API server ended the watch early".to_owned(),
                    ));
                }
                Ok(Ok(None)) => return Ok(Watched::TimeOver),
                Err(_) => {
                    return Err(StateError::Unavailable("the watch fell silent".to_owned()));
                }
            }
        }
    }

    async fn create(&self, object: &ConfigMap) -> Result<ConfigMap, StateError> {
        let params = PostParams::default();
        let created = within(self.api.create(&params, object))
            .await
            .ok_or_else(unknown)?;
        created.map_err(|e| self.write_error("create", &e))
    }

    async fn replace(&self, object: &ConfigMap) -> Result<ConfigMap, StateError> {
        let params = PostParams::default();
        let replaced = self.api.replace(METADATA_CONFIG_MAP, &params, object);
        let replaced = within(replaced).await.ok_or_else(unknown)?;
        replaced.map_err(|e| self.write_error("update", &e))
    }

    fn read_error(&self, verb: &str, error: &Error) -> StateError {
        match error {
            Error::Api(status) if matches!(status.code, 401 | 403) => self.denied(verb, &status.message),
            Error::Api(status) if status.code == 429 || status.code >= 500 => {
                StateError::Unavailable(format!("{verb}: HTTP status {}: {}", status.code, status.message))
            }
            Error::Api(status) => StateError::Invalid(format!("{verb}: {}", status.message)),
            error => StateError::Unavailable(super::causes(error)),
        }
    }

    fn write_error(&self, verb: &str, error: &Error) -> StateError {
        match error {
            Error::Api(status) => match status.code {
                409 => StateError::Conflict,
                // Deleted between the read and the write; or, for a create, there is no namespace.
                404 if verb == "update" => StateError::Conflict,
                404 => StateError::Invalid(format!("namespace {:?} does not exist", self.namespace)),
                401 | 403 => self.denied(verb, &status.message),
                429 => StateError::Unavailable(format!("{verb}: {}", status.message)),
                413 => StateError::TooLarge,
                400..500 => StateError::Invalid(format!("{verb}: {}", status.message)),
                code => StateError::Unknown(format!("{verb}: HTTP status {code}: {}", status.message)),
            },
            error if was_not_sent(error) => StateError::Unavailable(super::causes(error)),
            error => StateError::Unknown(super::causes(error)),
        }
    }

    fn denied(&self, verb: &str, message: &str) -> StateError {
        StateError::Denied(format!(
            "{verb} configmaps {METADATA_CONFIG_MAP:?} in namespace {:?}: {message}",
            self.namespace
        ))
    }
}

enum Watched {
    Changed,
    TimeOver,
    /// 410: API servers no longer know what happened since.
    Expired,
}

#[async_trait]
impl StateStore for ConfigMapStore {
    async fn load(&self) -> Result<Loaded, StateError> {
        let Some(object) = self.current().await? else {
            return Ok(Loaded {
                stored: Stored::Missing,
                version: None,
            });
        };
        let version = object.resource_version().map(StateVersion);
        let data = object.data.unwrap_or_default();
        let mut entries = [""; SNAPSHOT_ENTRIES.len()];
        for (entry, name) in entries.iter_mut().zip(SNAPSHOT_ENTRIES) {
            match data.get(name) {
                Some(text) => *entry = text,
                None => {
                    let stored = Stored::Corrupt(Corrupt::Missing(name));
                    return Ok(Loaded { stored, version });
                }
            }
        }
        Ok(Loaded {
            stored: Snapshot::decode(entries, &self.issuer),
            version,
        })
    }

    async fn save(
        &self,
        snapshot: &Snapshot,
        loaded: Option<&StateVersion>,
    ) -> Result<StateVersion, StateError> {
        let entries: BTreeMap<String, String> = SNAPSHOT_ENTRIES
            .into_iter()
            .map(str::to_owned)
            .zip(snapshot.encode()?)
            .collect();
        let mut object = match loaded {
            None => ConfigMap {
                metadata: ObjectMeta {
                    name: Some(METADATA_CONFIG_MAP.to_owned()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            },
            // The labels and annotations that others put there stay.
            Some(version) => self
                .current()
                .await?
                .filter(|object| object.resource_version().as_ref() == Some(&version.0))
                .ok_or(StateError::Conflict)?,
        };
        let (label, value) = MANAGED_BY;
        object.labels_mut().insert(label.to_owned(), value.to_owned());
        object.data = Some(entries);
        object.binary_data = None;
        let saved = match loaded {
            None => self.create(&object).await?,
            Some(_) => self.replace(&object).await?,
        };
        let version = saved.resource_version().ok_or_else(|| {
            StateError::Unknown("the API server answered without a resourceVersion".to_owned())
        })?;
        Ok(StateVersion(version))
    }

    async fn changed(&self, seen: Option<&StateVersion>) -> Result<(), StateError> {
        loop {
            let (version, from) = self.versions().await?;
            if version.as_ref() != seen {
                return Ok(());
            }
            match self.watch(&from).await? {
                Watched::Changed | Watched::Expired => return Ok(()),
                Watched::TimeOver => {}
            }
        }
    }
}

impl fmt::Debug for ConfigMapStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigMapStore")
            .field("namespace", &self.namespace)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

async fn within<T>(request: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(REQUEST_TIMEOUT, request).await.ok()
}

fn selector() -> String {
    format!("metadata.name={METADATA_CONFIG_MAP}")
}

fn late() -> StateError {
    StateError::Unavailable(format!("no answer within {REQUEST_TIMEOUT:?}"))
}

fn unknown() -> StateError {
    StateError::Unknown(format!("no answer within {REQUEST_TIMEOUT:?}"))
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == StatusCode::GONE.as_u16())
}

/// Whether a write certainly did not happen, because there was no connection to send it on.
fn was_not_sent(error: &Error) -> bool {
    match error {
        Error::Service(cause) => cause
            .downcast_ref::<legacy::Error>()
            .is_some_and(legacy::Error::is_connect),
        Error::BuildRequest(_) | Error::Auth(_) => true,
        _ => false,
    }
}
