//! Whether a store refuses a write whose precondition does not hold.

use bytes::Bytes;
use kubeassume_core::JWKS_CONTENT_TYPE;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, Metadata, NewDocument, Precondition, StoreError, StoredDocument, Version,
};

/// Shows it without a way to leave anything behind: what is there could only be replaced by itself, and what
/// is not there is taken away again should a store have made it. `impossible` is a version that no document
/// has; `key` is the document's name in the store.
pub(crate) async fn refuses_stale_writes(
    store: &impl DocumentStore,
    path: &DocumentPath,
    there: Option<&StoredDocument>,
    impossible: Version,
    key: &str,
) -> Result<(), StoreError> {
    let impossible = Precondition::Matches(impossible);
    let (document, preconditions) = match there {
        Some(stored) => (same(stored), vec![Precondition::Absent, impossible]),
        None => (nothing(), vec![impossible]),
    };
    for precondition in preconditions {
        match store.put(path, &document, &precondition).await {
            Err(StoreError::Precondition) => {}
            Ok(version) => return Err(ignored(store, path, there.is_some(), &version, key).await),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The store took a write that it had to refuse.
async fn ignored(
    store: &impl DocumentStore,
    path: &DocumentPath,
    existed: bool,
    version: &Version,
    key: &str,
) -> StoreError {
    let mut text =
        "the server ignores preconditions on writes, so two writers would overwrite each other; it \
                    cannot be used"
            .to_owned();
    if !existed && store.delete(path, version).await.is_err() {
        text.push_str(&format!(
            "; an empty key set was left at {key} and could not be deleted: delete it"
        ));
    }
    StoreError::Misconfigured(text)
}

/// What is there, to be written over itself.
fn same(stored: &StoredDocument) -> NewDocument {
    NewDocument {
        bytes: stored.bytes.clone(),
        content_type: stored.content_type.clone().unwrap_or_default(),
        cache_control: stored.cache_control.clone().unwrap_or_default(),
        metadata: stored.metadata.clone(),
    }
}

/// What nobody can be harmed by, should a store keep it.
fn nothing() -> NewDocument {
    NewDocument {
        bytes: Bytes::from_static(br#"{"keys":[]}"#),
        content_type: JWKS_CONTENT_TYPE.to_owned(),
        cache_control: "no-store".to_owned(),
        metadata: Metadata::new(),
    }
}
