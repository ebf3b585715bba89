//! The stores for tests keep what they promise, and the suites find a store that does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use async_trait::async_trait;
use bytes::Bytes;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};
use kubeassume_core::testing::{
    Fault, FaultStore, MemoryStateStore, MemoryStore, Operation, block_on, state_store, store,
};

#[test]
fn memory_store() {
    block_on(store::conformance(MemoryStore::new));
}

#[test]
fn memory_store_with_versions_of_the_content() {
    block_on(store::conformance(|| MemoryStore::new().with_content_versions()));
}

#[test]
fn a_fault_store_without_faults() {
    block_on(store::conformance(|| FaultStore::new(MemoryStore::new())));
}

#[test]
fn memory_state_store() {
    let issuer = "https://oidc.example.com/cluster1".parse().unwrap();
    block_on(state_store::conformance(&issuer, || {
        MemoryStateStore::new(&issuer)
    }));
}

#[test]
fn a_body_over_the_limit_is_cut() {
    let store = MemoryStore::new();
    let document = document(vec![b'x'; MAX_DOCUMENT_BYTES + 1]);
    store.overwrite(&DocumentPath::JWKS, &document);
    let stored = block_on(store.get(&DocumentPath::JWKS)).unwrap().unwrap();
    assert_eq!(stored.bytes.len(), MAX_DOCUMENT_BYTES);
    let replace = Precondition::Matches(stored.version);
    block_on(store.put(&DocumentPath::JWKS, &self::document("small"), &replace)).unwrap();
}

#[test]
fn versions_of_the_content_let_an_a_b_a_pass() {
    let lost = |store: MemoryStore| {
        block_on(async {
            let path = DocumentPath::JWKS;
            let put = async |body: &'static str, precondition| {
                store.put(&path, &document(body), &precondition).await
            };
            let seen = put("a", Precondition::Absent).await.unwrap();
            let next = put("b", Precondition::Matches(seen.clone())).await.unwrap();
            put("a", Precondition::Matches(next)).await.unwrap();
            put("of one who slept", Precondition::Matches(seen)).await
        })
    };
    assert_eq!(lost(MemoryStore::new()), Err(StoreError::Precondition));
    assert!(lost(MemoryStore::new().with_content_versions()).is_ok());
}

#[test]
fn every_fault_does_what_its_name_says() {
    block_on(async {
        let path = DocumentPath::JWKS;
        let create = async |fault| {
            let store = FaultStore::new(MemoryStore::new());
            store.next(Operation::Put, fault);
            let result = store.put(&path, &document("new"), &Precondition::Absent).await;
            let happened = store
                .inner()
                .peek(&path)
                .is_some_and(|stored| stored.bytes == "new");
            (result.map(drop).map_err(|error| error.label()), happened)
        };
        for (fault, answer, happened) in [
            (Fault::PreconditionFailed, Err("precondition"), false),
            (Fault::Conflict, Err("precondition"), false),
            (Fault::NotFound, Err("precondition"), false),
            (Fault::WonThenRefused, Err("precondition"), true),
            (Fault::Denied, Err("denied"), false),
            (Fault::ServerError, Err("unavailable"), false),
            (Fault::TimeoutBefore, Err("unknown"), false),
            (Fault::TimeoutAfter, Err("unknown"), true),
            (Fault::Slow, Ok(()), true),
            (Fault::Rival(document("rival")), Err("precondition"), false),
        ] {
            assert_eq!(create(fault.clone()).await, (answer, happened), "{fault:?}");
        }

        let store = FaultStore::new(MemoryStore::new());
        let old = store
            .put(&path, &document("four"), &Precondition::Absent)
            .await
            .unwrap();
        store.get(&path).await.unwrap();
        store
            .put(&path, &document("five!"), &Precondition::Matches(old))
            .await
            .unwrap();
        let read = async |fault| {
            store.next(Operation::Get, fault);
            let result = store.get(&path).await;
            result
                .map(|stored| stored.map(|stored| stored.bytes))
                .map_err(|error| error.label())
        };
        let text = |text: &'static str| Ok(Some(Bytes::from(text)));
        assert_eq!(read(Fault::Stale).await, text("four"));
        assert_eq!(read(Fault::Truncated).await, text("fi"));
        assert_eq!(read(Fault::Slow).await, text("five!"));
        assert_eq!(read(Fault::NotFound).await, Ok(None));
        assert_eq!(read(Fault::Denied).await, Err("denied"));
        assert_eq!(read(Fault::ServerError).await, Err("unavailable"));
        assert_eq!(read(Fault::TimeoutAfter).await, Err("unavailable"));
    });
}

/// A store that breaks one promise.
#[derive(Clone, Copy, Debug)]
enum Broken {
    IgnoresCreate,
    IgnoresMatch,
    CreatesOnMatch,
    DeletesAnyVersion,
    LosesMetadata,
    LosesCacheControl,
    ValidateLeavesSomething,
}

struct BrokenStore(Broken, MemoryStore);

#[async_trait]
impl DocumentStore for BrokenStore {
    fn kind(&self) -> &'static str {
        "broken"
    }

    fn location(&self) -> String {
        self.1.location()
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let mut stored = self.1.get(path).await?;
        if let Some(stored) = &mut stored {
            match self.0 {
                Broken::LosesMetadata => stored.metadata.clear(),
                Broken::LosesCacheControl => stored.cache_control = None,
                _ => {}
            }
        }
        Ok(stored)
    }

    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError> {
        let there = self.1.peek(path).map(|stored| stored.version);
        let precondition = match (self.0, precondition, there) {
            (Broken::IgnoresCreate, Precondition::Absent, Some(there))
            | (Broken::IgnoresMatch, Precondition::Matches(_), Some(there)) => Precondition::Matches(there),
            (Broken::CreatesOnMatch, _, None) => Precondition::Absent,
            _ => precondition.clone(),
        };
        self.1.put(path, document, &precondition).await
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        self.1.list().await
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        match (self.0, self.1.peek(path)) {
            (Broken::DeletesAnyVersion, Some(there)) => self.1.delete(path, &there.version).await,
            _ => self.1.delete(path, version).await,
        }
    }

    async fn validate(&self) -> Result<(), StoreError> {
        if matches!(self.0, Broken::ValidateLeavesSomething) {
            let probe = DocumentPath::new("probe").unwrap();
            self.1.overwrite(&probe, &document("probe"));
        }
        Ok(())
    }
}

#[test]
fn the_suite_finds_a_store_that_breaks_its_word() {
    for broken in [
        Broken::IgnoresCreate,
        Broken::IgnoresMatch,
        Broken::CreatesOnMatch,
        Broken::DeletesAnyVersion,
        Broken::LosesMetadata,
        Broken::LosesCacheControl,
        Broken::ValidateLeavesSomething,
    ] {
        let suite = || block_on(store::conformance(|| BrokenStore(broken, MemoryStore::new())));
        assert!(
            catch_unwind(AssertUnwindSafe(suite)).is_err(),
            "{broken:?} went unnoticed"
        );
    }
}

fn document(bytes: impl Into<Bytes>) -> NewDocument {
    NewDocument {
        bytes: bytes.into(),
        content_type: "application/json".to_owned(),
        cache_control: "no-store".to_owned(),
        metadata: Default::default(),
    }
}
