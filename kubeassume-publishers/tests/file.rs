//! The directory keeps what every store must keep, also when somebody pulls the plug between two steps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, StoredDocument,
};
use kubeassume_core::testing::publisher::Place;
use kubeassume_core::testing::{FaultStore, StoreReader, VirtualClock, publisher, store};
use kubeassume_publishers::file::{FileConfig, FileStore};
use kubeassume_publishers::{OpenError, Options, PublisherConfig, Tls, open};
use tempfile::TempDir;

const JWKS: &str = "openid/v1/jwks";
const SIDECAR: &str = "openid/v1/.jwks.kubeassume.json";
const LEFT_BEHIND: [&str; 2] = [
    "openid/v1/.jwks.kubeassume.new",
    "openid/v1/.jwks.kubeassume.json.new",
];

/// Directories that live as long as a test.
#[derive(Default)]
struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    fn fresh(&self) -> PathBuf {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        self.0.lock().unwrap().push(folder);
        path
    }

    fn store(&self) -> FileStore {
        FileStore::open(&self.fresh()).unwrap()
    }
}

fn document(body: &str) -> NewDocument {
    NewDocument {
        bytes: body.to_owned().into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), body.len().to_string())].into(),
    }
}

async fn get(folder: &Path) -> Option<StoredDocument> {
    let store = FileStore::open(folder).unwrap();
    store.get(&DocumentPath::JWKS).await.unwrap()
}

/// Publishes by hand: whatever is there, this is there then.
async fn put(folder: &Path, body: &str) {
    let store = FileStore::open(folder).unwrap();
    kubeassume_core::testing::store::overwrite(&store, &DocumentPath::JWKS, &document(body)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_conformance() {
    let folders = Folders::default();
    store::conformance(|| folders.store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publisher_conformance() {
    let folders = Folders::default();
    let issuer = "https://oidc.example.com/cluster1".parse().unwrap();
    publisher::conformance(|| Place::behind(Arc::new(folders.store()), IssuerUrl::clone(&issuer))).await;
}

#[tokio::test]
async fn whatever_a_crash_leaves_is_whole_and_heals() {
    // What two complete writes leave, to be mixed as an interrupted one would.
    let folders = Folders::default();
    let (before, after) = (folders.fresh(), folders.fresh());
    put(&before, "old").await;
    put(&after, "the new one").await;
    let part = |folder: &Path, name: &str| fs::read(folder.join(name)).unwrap();
    let (old_body, old_sidecar) = (part(&before, JWKS), part(&before, SIDECAR));
    let (new_body, new_sidecar) = (part(&after, JWKS), part(&after, SIDECAR));
    let (old, new) = (get(&before).await.unwrap(), get(&after).await.unwrap());

    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let [new_body_name, new_sidecar_name] = LEFT_BEHIND;
    let half = &new_sidecar[..new_sidecar.len() / 2];
    let states: [(&str, Files<'_>, Option<&[u8]>); 9] = [
        (
            "half a sidecar written",
            &[
                (JWKS, &old_body),
                (SIDECAR, &old_sidecar),
                (new_sidecar_name, half),
            ],
            Some(&old_body),
        ),
        (
            "both written, none renamed",
            &[
                (JWKS, &old_body),
                (SIDECAR, &old_sidecar),
                (new_sidecar_name, &new_sidecar),
                (new_body_name, &new_body),
            ],
            Some(&old_body),
        ),
        (
            "the sidecar renamed, the body not",
            &[
                (JWKS, &old_body),
                (SIDECAR, &new_sidecar),
                (new_body_name, &new_body),
            ],
            Some(&old_body),
        ),
        // A power failure may keep the second rename and lose the first.
        (
            "the body renamed, the sidecar lost",
            &[
                (JWKS, &new_body),
                (SIDECAR, &old_sidecar),
                (new_sidecar_name, &new_sidecar),
            ],
            Some(&new_body),
        ),
        (
            "both renamed",
            &[(JWKS, &new_body), (SIDECAR, &new_sidecar)],
            Some(&new_body),
        ),
        (
            "creating: the sidecar renamed",
            &[(SIDECAR, &new_sidecar), (new_body_name, &new_body)],
            None,
        ),
        ("creating: the body alone", &[(JWKS, &new_body)], Some(&new_body)),
        ("deleting: the body is gone", &[(SIDECAR, &old_sidecar)], None),
        (
            "rubbish in the sidecar",
            &[(JWKS, &old_body), (SIDECAR, b"{")],
            Some(&old_body),
        ),
    ];
    for (what, files, body) in states {
        let folder = folders.fresh();
        fs::create_dir_all(folder.join("openid/v1")).unwrap();
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        let found = get(&folder).await;
        assert_eq!(
            found.as_ref().map(|found| &found.bytes[..]),
            body,
            "{what}: the body"
        );
        let store = FileStore::open(&folder).unwrap();
        if let Some(found) = &found {
            let whole = [&old, &new]
                .into_iter()
                .find(|whole| whole.version == found.version);
            match whole {
                // Only a complete document has the version of one, and then it has its metadata.
                Some(whole) => assert_eq!(found, whole, "{what}"),
                None => assert!(
                    found.metadata.is_empty() && found.content_type.is_none(),
                    "{what}"
                ),
            }
        }
        let torn = found.as_ref().is_none_or(|found| found.version != old.version);
        if torn {
            let stale = Precondition::Matches(old.version.clone());
            let late = store.put(&DocumentPath::JWKS, &document("late"), &stale).await;
            assert_eq!(
                late,
                Err(StoreError::Precondition),
                "{what}: a writer from before"
            );
        }
        let precondition = found.map_or(Precondition::Absent, |found| Precondition::Matches(found.version));
        store
            .put(&DocumentPath::JWKS, &document("healed"), &precondition)
            .await
            .unwrap();
        let healed = get(&folder).await.unwrap();
        assert_eq!(
            (&healed.bytes[..], healed.metadata.len()),
            (&b"healed"[..], 1),
            "{what}"
        );
        assert!(
            !LEFT_BEHIND.iter().any(|name| folder.join(name).exists()),
            "{what}: rubbish stays"
        );
        assert_eq!(store.list().await.unwrap(), [DocumentPath::JWKS], "{what}");
    }
}

#[tokio::test]
async fn a_web_server_of_another_user_can_read() {
    let folders = Folders::default();
    let folder = folders.fresh();
    put(&folder, "keys").await;
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("openid"), mode("openid/v1")), (0o755, 0o755));
    assert_eq!(
        (mode(JWKS), mode(SIDECAR), mode(".kubeassume.lock")),
        (0o644, 0o644, 0o644)
    );
}

#[tokio::test]
async fn nothing_is_reached_through_a_link() {
    let folders = Folders::default();
    for (link, is_file) in [
        ("openid", false),
        ("openid/v1", false),
        (JWKS, true),
        (SIDECAR, true),
        (".kubeassume.lock", true),
    ] {
        let (folder, outside) = (folders.fresh(), folders.fresh());
        let target = outside.join("target");
        if is_file {
            fs::write(&target, "outside").unwrap();
        } else {
            fs::create_dir_all(target.join("v1")).unwrap();
            fs::write(target.join("v1/jwks"), "outside").unwrap();
        }
        let link_path = folder.join(link);
        fs::create_dir_all(link_path.parent().unwrap()).unwrap();
        if link == SIDECAR {
            fs::write(folder.join(JWKS), "inside").unwrap();
        }
        symlink(&target, &link_path).unwrap();
        let store = FileStore::open(&folder).unwrap();
        let read = store.get(&DocumentPath::JWKS).await;
        assert!(
            matches!(read, Err(StoreError::Misconfigured(_))),
            "{link}: {read:?}"
        );
        let written = store
            .put(&DocumentPath::JWKS, &document("x"), &Precondition::Absent)
            .await;
        assert!(
            matches!(written, Err(StoreError::Misconfigured(_))),
            "{link}: {written:?}"
        );
        if is_file {
            assert_eq!(fs::read_to_string(&target).unwrap(), "outside", "{link}");
        } else {
            assert_eq!(
                fs::read_to_string(target.join("v1/jwks")).unwrap(),
                "outside",
                "{link}"
            );
        }
    }

    // A link in the place of a file that is still to be written is replaced, not followed.
    let (folder, outside) = (folders.fresh(), folders.fresh());
    let target = outside.join("target");
    fs::write(&target, "outside").unwrap();
    fs::create_dir_all(folder.join("openid/v1")).unwrap();
    for name in LEFT_BEHIND {
        symlink(&target, folder.join(name)).unwrap();
    }
    put(&folder, "inside").await;
    assert_eq!(fs::read_to_string(&target).unwrap(), "outside");
    assert_eq!(get(&folder).await.unwrap().bytes, "inside");
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() {
    let folders = Folders::default();
    let folder = folders.fresh();
    let missing = FileStore::open(&folder.join("missing")).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
    fs::write(folder.join("file"), "").unwrap();
    assert!(matches!(
        FileStore::open(&folder.join("file")),
        Err(StoreError::Misconfigured(_))
    ));

    let store = FileStore::open(&folder).unwrap();
    fs::create_dir_all(folder.join(JWKS)).unwrap();
    let error = store.validate().await.unwrap_err();
    assert!(error.to_string().contains(JWKS), "{error}");
    fs::remove_dir_all(folder.join("openid")).unwrap();
    fs::write(folder.join("openid"), "").unwrap();
    assert!(matches!(
        store.validate().await,
        Err(StoreError::Misconfigured(_))
    ));
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut_and_can_be_replaced() {
    let folders = Folders::default();
    let folder = folders.fresh();
    fs::create_dir_all(folder.join("openid/v1")).unwrap();
    let large = |extra| vec![b'x'; MAX_DOCUMENT_BYTES + extra];
    fs::write(folder.join(JWKS), large(1)).unwrap();
    let cut = get(&folder).await.unwrap();
    assert_eq!(cut.bytes.len(), MAX_DOCUMENT_BYTES);
    fs::write(folder.join(JWKS), large(2)).unwrap();
    assert_ne!(
        get(&folder).await.unwrap().version,
        cut.version,
        "what lies beyond counts too"
    );
    put(&folder, "small").await;
    assert_eq!(get(&folder).await.unwrap().bytes, "small");
}

#[tokio::test]
async fn a_lock_file_that_somebody_removes_excludes_all_the_same() {
    let folders = Folders::default();
    let folder = folders.fresh();
    for round in 0..20 {
        put(&folder, &format!("round {round}")).await;
        fs::remove_file(folder.join(".kubeassume.lock")).unwrap();
    }
    assert_eq!(get(&folder).await.unwrap().bytes, "round 19");
}

#[tokio::test]
async fn a_faulty_directory_passes_the_suite_once_it_heals() {
    let folders = Folders::default();
    let store = FaultStore::new(folders.store()).seeded(5, 0.5);
    for _ in 0..50 {
        let _ = store
            .put(&DocumentPath::DISCOVERY, &document("x"), &Precondition::Absent)
            .await;
        let _ = store.get(&DocumentPath::DISCOVERY).await;
    }
    store.heal();
    store::remove(&store, &DocumentPath::DISCOVERY).await;
    store::refuses_stale_writes(&store).await;
}

#[tokio::test]
async fn opens_from_configuration() {
    let folders = Folders::default();
    let folder = folders.fresh();
    let yaml_as_json =
        serde_json::json!({"type": "file", "path": folder, "publicURL": "https://oidc.example.com"});
    let config: PublisherConfig = serde_json::from_value(yaml_as_json).unwrap();
    let public_url = "https://oidc.example.com".parse().unwrap();
    let expected = FileConfig {
        path: folder.clone(),
        public_url,
    };
    assert_eq!(config, PublisherConfig::File(expected.clone()));
    let open = async |config| {
        let store = Arc::new(kubeassume_core::testing::MemoryStore::new());
        let reader = Arc::new(StoreReader::new(store, &expected.public_url));
        open(
            &config,
            &Tls::default(),
            reader,
            Arc::new(VirtualClock::new()),
            Options::default(),
        )
        .await
    };
    let publisher = open(config).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(publisher.kind(), "file");
    assert!(
        publisher.location().starts_with("file:///"),
        "{}",
        publisher.location()
    );
    publisher.validate().await.unwrap();

    let missing = FileConfig {
        path: folder.join("missing"),
        ..expected.clone()
    };
    let refused = open(PublisherConfig::File(missing)).await;
    assert!(matches!(
        refused.map(drop),
        Err(OpenError::Store(StoreError::Misconfigured(_)))
    ));
    if cfg!(not(feature = "s3")) {
        let s3: PublisherConfig = serde_json::from_str(r#"{"type":"s3","bucket":"keys"}"#).unwrap();
        let error = open(s3).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("feature \"s3\""), "{error}");
    }
}
