//! What every [`DocumentStore`] must do, and two things that a person with access does.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::Check;
use crate::publication::{DISCOVERY_CONTENT_TYPE, JWKS_CONTENT_TYPE};
use crate::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, Version,
};

const WRITERS: usize = 12;
const ROUNDS: usize = 20;

/// The promises, the first of which all others stand on; for a new server it is the first thing to run. Each
/// wants an empty store.
pub const CHECKS: [Check<Arc<dyn DocumentStore>>; 8] = [
    Check::new("refuses a stale write", |store| {
        Box::pin(async move { refuses_stale_writes(&store).await })
    }),
    Check::new("reads back what it wrote", |store| {
        Box::pin(async move { creates_reads_back_and_updates(&store).await })
    }),
    Check::new("keeps headers and metadata", |store| {
        Box::pin(async move { keeps_headers_and_metadata(&store).await })
    }),
    Check::new("takes documents up to the limit", |store| {
        Box::pin(async move { takes_every_size_up_to_the_limit(&store).await })
    }),
    Check::new("lists what is there", |store| {
        Box::pin(async move { lists_what_is_there(&store).await })
    }),
    Check::new("one of many creators wins", |store| {
        Box::pin(async move { one_of_many_creators_wins(&store).await })
    }),
    Check::new("one of many replacers wins", |store| {
        Box::pin(async move { one_of_many_replacers_wins(&store).await })
    }),
    Check::new("validates without a trace", |store| {
        Box::pin(async move { validating_leaves_nothing_behind(&store).await })
    }),
];

/// Runs [every check](CHECKS). Each gets a store of its own from `fresh`, which must give an empty one.
///
/// # Panics
/// With the promise that the store broke.
pub async fn conformance<S: DocumentStore + 'static>(fresh: impl Fn() -> S) {
    for check in CHECKS {
        check.run(Arc::new(fresh())).await;
    }
}

/// Proves that the store refuses each kind of stale write.
///
/// # Panics
/// When it does not.
pub async fn refuses_stale_writes(store: &impl DocumentStore) {
    let path = DocumentPath::JWKS;
    let (first, second, third) = (document("first"), document("second"), document("third"));
    let stale = async |result: Result<(), StoreError>, what: &str, stands: Option<&NewDocument>| {
        assert_eq!(
            result,
            Err(StoreError::Precondition),
            "{what} must be refused as a lost race"
        );
        let there = read(store, &path).await.map(|(bytes, _)| bytes);
        let stands = stands.map(|document| document.bytes.clone());
        assert_eq!(there, stands, "{what} was refused and yet changed the document");
    };
    let put = async |document, precondition: &Precondition| {
        store.put(&path, document, precondition).await.map(drop)
    };

    let replaced = Precondition::Matches(create(store, &path, &first).await);
    stale(
        put(&second, &Precondition::Absent).await,
        "creating over a document",
        Some(&first),
    )
    .await;
    let version = store
        .put(&path, &second, &replaced)
        .await
        .expect("replacing the version that is there");
    stale(
        put(&third, &replaced).await,
        "replacing an old version",
        Some(&second),
    )
    .await;
    let Precondition::Matches(old) = &replaced else {
        unreachable!("built above");
    };
    stale(
        store.delete(&path, old).await,
        "deleting an old version",
        Some(&second),
    )
    .await;
    store
        .delete(&path, &version)
        .await
        .expect("deleting the version that is there");
    let deleted = Precondition::Matches(version.clone());
    stale(put(&third, &deleted).await, "replacing a deleted document", None).await;
    stale(
        store.delete(&path, &version).await,
        "deleting a deleted document",
        None,
    )
    .await;
    create(store, &path, &third).await;
}

async fn creates_reads_back_and_updates(store: &impl DocumentStore) {
    let path = DocumentPath::DISCOVERY;
    assert_eq!(store.get(&path).await, Ok(None), "a document that nobody wrote");
    let mut version = create(store, &path, &document("zero")).await;
    for body in ["one", "two", "three"] {
        let (bytes, there) = read(store, &path).await.expect("the document exists");
        assert_eq!(
            there, version,
            "a read and the write before it differ in the version"
        );
        assert_ne!(bytes, Bytes::from(body));
        let next = store
            .put(&path, &document(body), &Precondition::Matches(there))
            .await;
        version = next.expect("an update against the version just read");
        let (bytes, _) = read(store, &path).await.expect("the document exists");
        assert_eq!(bytes, Bytes::from(body), "the body read back");
    }
    assert_eq!(
        store.get(&DocumentPath::JWKS).await,
        Ok(None),
        "a document at another path"
    );
}

async fn keeps_headers_and_metadata(store: &impl DocumentStore) {
    for (path, content_type) in [
        (DocumentPath::JWKS, JWKS_CONTENT_TYPE),
        (DocumentPath::DISCOVERY, DISCOVERY_CONTENT_TYPE),
    ] {
        let mut document = document("{}");
        document.content_type = content_type.to_owned();
        let mut precondition = Precondition::Absent;
        for round in 1..=2 {
            document.bytes = format!("{{\"round\":{round}}}").into();
            document.cache_control = format!("public, max-age={}", 300 * round);
            let generation = format!("{}", 1_767_225_600_000u64 + round);
            document
                .metadata
                .insert("kubeassume-generation".to_owned(), generation);
            let version = store
                .put(&path, &document, &precondition)
                .await
                .expect("a write with headers and metadata");
            let stored = store
                .get(&path)
                .await
                .expect("a read")
                .expect("the document exists");
            assert_eq!(stored.bytes, document.bytes, "the body of {path}");
            assert_eq!(
                stored.content_type.as_ref(),
                Some(&document.content_type),
                "Content-Type of {path}"
            );
            assert_eq!(
                stored.cache_control.as_ref(),
                Some(&document.cache_control),
                "Cache-Control of {path}"
            );
            assert_eq!(stored.metadata, document.metadata, "user metadata of {path}");
            assert_eq!(stored.version, version, "version of {path}");
            precondition = Precondition::Matches(version);
        }
    }
}

async fn takes_every_size_up_to_the_limit(store: &impl DocumentStore) {
    let path = DocumentPath::JWKS;
    let mut precondition = Precondition::Absent;
    for size in [1, 4096, MAX_DOCUMENT_BYTES] {
        let mut document = document("");
        document.bytes = vec![b'x'; size].into();
        let version = store.put(&path, &document, &precondition).await;
        let version = version.unwrap_or_else(|error| panic!("a document of {size} bytes: {error}"));
        let (bytes, _) = read(store, &path).await.expect("the document exists");
        assert!(
            bytes == document.bytes,
            "{size} bytes came back as {}",
            bytes.len()
        );
        precondition = Precondition::Matches(version);
    }
    let mut document = document("");
    document.bytes = vec![b'y'; MAX_DOCUMENT_BYTES + 1].into();
    assert_eq!(
        store.put(&path, &document, &precondition).await,
        Err(StoreError::TooLarge),
        "a document over the limit"
    );
    let (bytes, _) = read(store, &path).await.expect("the document exists");
    assert!(
        bytes.len() == MAX_DOCUMENT_BYTES && bytes.first() == Some(&b'x'),
        "a refused write changed the document"
    );
}

async fn lists_what_is_there(store: &impl DocumentStore) {
    let list = async || store.list().await.expect("a list");
    assert_eq!(list().await, [], "an empty store");
    let jwks = create(store, &DocumentPath::JWKS, &document("a")).await;
    create(store, &DocumentPath::DISCOVERY, &document("b")).await;
    assert_eq!(list().await, [DocumentPath::DISCOVERY, DocumentPath::JWKS]);
    store
        .delete(&DocumentPath::JWKS, &jwks)
        .await
        .expect("a deletion");
    assert_eq!(list().await, [DocumentPath::DISCOVERY]);
}

async fn one_of_many_creators_wins(store: &impl DocumentStore) {
    for round in 0..ROUNDS {
        let version = race(store, round, &Precondition::Absent).await;
        store
            .delete(&DocumentPath::JWKS, &version)
            .await
            .expect("a deletion");
    }
}

async fn one_of_many_replacers_wins(store: &impl DocumentStore) {
    let mut version = create(store, &DocumentPath::JWKS, &document("begin")).await;
    for round in 0..ROUNDS {
        version = race(store, round, &Precondition::Matches(version)).await;
    }
}

/// Many writers at once with one precondition: one wins, it is its document that stands, all others know
/// that they lost.
async fn race(store: &impl DocumentStore, round: usize, precondition: &Precondition) -> Version {
    let path = DocumentPath::JWKS;
    let documents: Vec<NewDocument> = (0..WRITERS)
        .map(|writer| document(&format!("round {round}, writer {writer}")))
        .collect();
    let writes = documents
        .iter()
        .map(|document| store.put(&path, document, precondition));
    let mut winner = None;
    for (writer, result) in join_all(writes).await.into_iter().enumerate() {
        match result {
            Ok(version) => {
                let before = winner.replace((writer, version));
                assert!(
                    before.is_none(),
                    "round {round}: writers {before:?} and {writer} both won"
                );
            }
            Err(error) => assert_eq!(
                error,
                StoreError::Precondition,
                "round {round}: writer {writer} must lose the race"
            ),
        }
    }
    let (writer, version) = winner.unwrap_or_else(|| panic!("round {round}: nobody won"));
    let (bytes, there) = read(store, &path).await.expect("the winner's document exists");
    assert_eq!(
        bytes, documents[writer].bytes,
        "round {round}: it is not the winner's document that stands"
    );
    assert_eq!(there, version, "round {round}: the winner's version");
    version
}

async fn validating_leaves_nothing_behind(store: &impl DocumentStore) {
    let everything = async || {
        let mut all = BTreeMap::new();
        for path in store.list().await.expect("a list") {
            all.insert(path.clone(), store.get(&path).await.expect("a read"));
        }
        all
    };
    store.validate().await.expect("an empty store is valid");
    assert_eq!(
        everything().await,
        BTreeMap::new(),
        "validate left something behind"
    );
    create(store, &DocumentPath::JWKS, &document("a")).await;
    create(store, &DocumentPath::DISCOVERY, &document("b")).await;
    let before = everything().await;
    store.validate().await.expect("a store in use is valid");
    assert_eq!(everything().await, before, "validate changed something");
}

/// Puts a document there whatever stands there, as a person with access would.
///
/// # Panics
/// When the store fails.
pub async fn overwrite(store: &(impl DocumentStore + ?Sized), path: &DocumentPath, document: &NewDocument) {
    loop {
        let there = store.get(path).await.expect("a read");
        let precondition = there.map_or(Precondition::Absent, |stored| {
            Precondition::Matches(stored.version)
        });
        match store.put(path, document, &precondition).await {
            Ok(_) => return,
            Err(StoreError::Precondition) => {}
            Err(error) => panic!("{path} cannot be overwritten: {error}"),
        }
    }
}

/// Takes a document away whatever stands there, as a person with access would.
///
/// # Panics
/// When the store fails.
pub async fn remove(store: &(impl DocumentStore + ?Sized), path: &DocumentPath) {
    while let Some(stored) = store.get(path).await.expect("a read") {
        match store.delete(path, &stored.version).await {
            Ok(()) => return,
            Err(StoreError::Precondition) => {}
            Err(error) => panic!("{path} cannot be removed: {error}"),
        }
    }
}

fn document(body: &str) -> NewDocument {
    let metadata = [
        ("kubeassume-generation", "1767225600000"),
        ("kubeassume-digest", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
        ("kubeassume-owner", "0123456789abcdef0123456789abcdef"),
    ];
    NewDocument {
        bytes: Bytes::copy_from_slice(body.as_bytes()),
        content_type: JWKS_CONTENT_TYPE.to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: metadata
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

async fn create(store: &impl DocumentStore, path: &DocumentPath, document: &NewDocument) -> Version {
    let created = store.put(path, document, &Precondition::Absent).await;
    created.unwrap_or_else(|error| panic!("{path} cannot be created where there is none: {error}"))
}

async fn read(store: &impl DocumentStore, path: &DocumentPath) -> Option<(Bytes, Version)> {
    let stored = store.get(path).await.expect("a read");
    stored.map(|stored| (stored.bytes, stored.version))
}
