//! `AzureStore` against Microsoft's own emulator of the Blob service, over TLS and with tokens.
//!
//! The server itself is looked at first: what follows proves nothing on one that takes stale writes. What it
//! cannot show is [named](what_the_emulator_cannot_show).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use kubeassume_core::http::HttpReader;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError,
};
use kubeassume_core::testing::publisher::{self, Place};
use kubeassume_core::testing::{FaultStore, store};
use kubeassume_publishers::azure::{AzureConfig, AzureStore};
use kubeassume_publishers::{OpenError, Tls};
use kubeassume_tests::{Azurite, Row, Testbed};

const CONTAINER: &str = "oidc";

/// Azure does each of these; the emulator does not, so that nothing here speaks for it.
const NOT_SHOWN: [(&str, &str); 8] = [
    (
        "roles",
        "whoever has a token may do everything; a missing data action is answered by the fake server of \
         kubeassume-publishers/tests/azure.rs",
    ),
    (
        "a token's signature, and Entra ID",
        "it looks at audience, issuer and times alone",
    ),
    ("the sovereign clouds' hosts", "it is at localhost"),
    (
        "the static website",
        "$web is a container here, and nothing serves it",
    ),
    (
        "the account's switch against public access, and its firewall",
        "it has neither",
    ),
    ("503 ServerBusy and its Retry-After", "it never throttles"),
    (
        "leases, legal holds and immutability in the way of a replacement",
        "nothing here sets them",
    ),
    (
        "the version of the service",
        "it is told not to look at x-ms-version",
    ),
];

/// One server, and a new prefix for every store.
struct Server {
    bed: Testbed,
    azurite: Azurite,
    prefixes: AtomicUsize,
}

impl Server {
    async fn start(name: &str) -> Self {
        let bed = Testbed::new(name);
        let azurite = bed.azurite().await;
        azurite.public_container(CONTAINER).await;
        Self {
            bed,
            azurite,
            prefixes: AtomicUsize::new(0),
        }
    }

    fn tls(&self) -> Tls {
        Tls {
            ca_pem: Some(self.bed.pki().ca_pem().as_bytes().to_vec()),
        }
    }

    fn config(&self) -> AzureConfig {
        let number = self.prefixes.fetch_add(1, Ordering::Relaxed);
        AzureConfig {
            storage_account: self.azurite.account().to_owned(),
            container: CONTAINER.to_owned(),
            endpoint: Some(self.azurite.url()),
            prefix: Some(format!("c{number}")),
            ..AzureConfig::default()
        }
    }

    fn open(&self, config: &AzureConfig) -> AzureStore {
        self.open_with(config, self.azurite.token())
    }

    fn open_with(&self, config: &AzureConfig, token: String) -> AzureStore {
        let store = AzureStore::open_with(config, &self.tls(), Arc::new(Token(token)));
        store.unwrap_or_else(|error| panic!("{error}"))
    }

    fn store(&self) -> AzureStore {
        self.open(&self.config())
    }
}

struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(self.0.clone(), OffsetDateTime::now_utc()))
    }
}

fn document(bytes: impl Into<bytes::Bytes>) -> NewDocument {
    NewDocument {
        bytes: bytes.into(),
        content_type: "application/json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "7".to_owned())].into(),
    }
}

#[test]
fn what_the_emulator_cannot_show() {
    for (check, reason) in NOT_SHOWN {
        Row::begin("azure", check, Azurite::VERSION).not_shown(reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_stale_writes_and_the_store_conforms() {
    let server = Server::start("azure-store").await;
    for check in store::CHECKS {
        let row = Row::begin("azure", check.name, Azurite::VERSION);
        check.run(Arc::new(server.store())).await;
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publisher_conforms_and_the_public_reads_over_tls() {
    let server = Server::start("azure-publisher").await;
    let ca = server.bed.pki().ca_pem().as_bytes();
    let reader = Arc::new(HttpReader::new(Some(ca)).unwrap());
    for check in publisher::CHECKS {
        let store = server.store();
        let place = Place {
            public_url: store.public_url(),
            store: Arc::new(store),
            reader: reader.clone(),
        };
        let row = Row::begin("azure", check.name, Azurite::VERSION);
        check.run(place).await;
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_front_of_it_the_promises_hold() {
    let server = Server::start("azure-faults").await;
    for seed in 0..20 {
        let store = FaultStore::new(server.store()).seeded(seed, 0.4);
        for round in 0..10 {
            let there = store.get(&DocumentPath::JWKS).await;
            let precondition = match there {
                Ok(Some(stored)) => Precondition::Matches(stored.version),
                _ => Precondition::Absent,
            };
            let _ = store
                .put(&DocumentPath::JWKS, &document(format!("{round}")), &precondition)
                .await;
        }
        store.heal();
        store::remove(&store, &DocumentPath::JWKS).await;
        store::refuses_stale_writes(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_reads_the_documents_with_their_headers_and_nothing_else() {
    let server = Server::start("azure-public").await;
    let config = server.config();
    let store = server.open(&config);
    let create = Precondition::Absent;
    store
        .put(&DocumentPath::JWKS, &document("{}"), &create)
        .await
        .unwrap();
    let anonymous = async |url: String| {
        let response = server.bed.http().get(url).send().await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let headers = ["content-type", "cache-control", "x-ms-meta-kubeassume_generation"].map(header);
        (response.status().as_u16(), headers.map(Option::unwrap_or_default))
    };
    let url = store.public_url().document_url(&DocumentPath::JWKS);
    let expected = ["application/json", "public, max-age=300", "7"].map(str::to_owned);
    assert_eq!(anonymous(url).await, (200, expected));
    let list = format!("{}/{CONTAINER}?restype=container&comp=list", server.azurite.url());
    assert_eq!(anonymous(list).await.0, 403, "blobs, and not the list of them");

    server.azurite.private_container("private").await;
    let private = AzureConfig {
        container: "private".to_owned(),
        ..config
    };
    let store = server.open(&private);
    store
        .put(&DocumentPath::JWKS, &document("{}"), &create)
        .await
        .unwrap();
    let url = store.public_url().document_url(&DocumentPath::JWKS);
    assert!(matches!(anonymous(url).await.0, 403 | 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_websites_container_is_written_like_any_other() {
    let server = Server::start("azure-website").await;
    server.azurite.private_container("$web").await;
    let website = AzureConfig {
        container: "$web".to_owned(),
        public_url: Some("https://oidc.example.com/one".to_owned()),
        ..server.config()
    };
    let store = server.open(&website);
    store::refuses_stale_writes(&store).await;
    store.validate().await.unwrap();
    assert_eq!(store.public_url().as_str(), "https://oidc.example.com/one");
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_probes_by_writes_that_the_server_refuses() {
    let server = Server::start("azure-validate").await;
    let config = server.config();
    let store = server.open(&config);
    let writes = || -> Vec<(String, u16)> {
        let blob = config.blob(&DocumentPath::JWKS);
        let log = server.azurite.access_log().into_iter();
        log.filter(|request| request.method != "GET")
            .filter(|request| request.target.replace("%2F", "/").ends_with(&blob))
            .map(|request| (request.method, request.status))
            .collect()
    };
    let put = |status| ("PUT".to_owned(), status);
    store.validate().await.unwrap();
    assert_eq!(writes(), [put(412)], "absent: If-Match on nothing");
    store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await
        .unwrap();
    store.validate().await.unwrap();
    assert_eq!(
        writes(),
        [put(412), put(201), put(409), put(412)],
        "there: both preconditions are refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_over_the_limit_is_cut_and_can_be_replaced() {
    let server = Server::start("azure-large").await;
    let config = server.config();
    let store = server.open(&config);
    let blob = config.blob(&DocumentPath::JWKS);
    for size in [5 * MAX_DOCUMENT_BYTES, 0] {
        server.azurite.put(CONTAINER, &blob, vec![b'x'; size]).await;
        let stored = store.get(&DocumentPath::JWKS).await.unwrap().unwrap();
        assert_eq!(stored.bytes.len(), size.min(MAX_DOCUMENT_BYTES));
        let replace = Precondition::Matches(stored.version);
        store
            .put(&DocumentPath::JWKS, &document("{}"), &replace)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_without_secrets() {
    let mut server = Server::start("azure-wrong").await;
    server.azurite.private_container("private").await;
    let config = AzureConfig {
        container: "private".to_owned(),
        ..server.config()
    };
    for token in [server.azurite.foreign_token(), server.azurite.expired_token()] {
        let denied = server.open_with(&config, token.clone());
        for result in [
            denied.get(&DocumentPath::JWKS).await.map(drop),
            denied
                .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
                .await
                .map(drop),
            denied.list().await.map(drop),
            denied.validate().await,
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
            let text = format!("{error} {error:?} {denied:?}");
            assert!(!text.contains(&token), "{text}");
        }
    }

    let elsewhere = AzureConfig {
        container: "nobodys".to_owned(),
        ..config.clone()
    };
    let no_container = server.open(&elsewhere);
    let error = no_container.validate().await.unwrap_err();
    assert!(error.to_string().contains("correct azure.container"), "{error}");
    let put = no_container
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Misconfigured(_))), "{put:?}");

    let store = server.open(&config);
    let token = Arc::new(Token(server.azurite.token()));
    let unknown_ca = AzureStore::open_with(&config, &Tls::default(), token).unwrap();
    let error = unknown_ca.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );

    server.azurite.kill().await;
    for result in [
        store.get(&DocumentPath::JWKS).await.map(drop),
        store
            .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
            .await
            .map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    }

    let bad = AzureConfig {
        storage_account: "No".to_owned(),
        ..config
    };
    let refused = AzureStore::open(&bad, &Tls::default());
    assert!(matches!(refused, Err(OpenError::Invalid(_))));
}
