//! Several places for one issuer: one that never answers holds back neither the state nor the others.
#![allow(clippy::unwrap_used, reason = "tests say plainly what they expect")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kubeassume_controller::{Controller, Parts, Settings, Status};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, NewDocument, Precondition, StoreError, StoredDocument, Version,
};
use kubeassume_core::testing::{MemoryStateStore, MemoryStore, StaticSource, StoreReader, keys};
use kubeassume_core::{IssuerUrl, Owner, Policy, Publisher, Retention, StorePublisher};
use tokio::sync::watch;

/// Behind a network that drops every packet.
struct Silent;

#[async_trait]
impl DocumentStore for Silent {
    fn kind(&self) -> &'static str {
        "silent"
    }

    fn location(&self) -> String {
        "silent://".to_owned()
    }

    async fn get(&self, _: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        std::future::pending().await
    }

    async fn put(&self, _: &DocumentPath, _: &NewDocument, _: &Precondition) -> Result<Version, StoreError> {
        std::future::pending().await
    }

    async fn delete(&self, _: &DocumentPath, _: &Version) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        std::future::pending().await
    }

    async fn validate(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_place_that_never_answers_holds_back_nothing() {
    let issuer: IssuerUrl = "https://oidc.example.com/one".parse().unwrap();
    let clock = Arc::new(SystemClock::new());
    let place = |store: Arc<dyn DocumentStore>, url: &IssuerUrl| {
        let reader = Arc::new(StoreReader::new(store.clone(), url));
        StorePublisher::new(store, url.clone(), reader, clock.clone(), 1)
    };
    let stores = ["memory://one", "memory://two"].map(|location| Arc::new(MemoryStore::new().at(location)));
    let mirror: IssuerUrl = "https://mirror.example.com".parse().unwrap();
    let publishers: Vec<Arc<dyn Publisher>> = vec![
        Arc::new(place(Arc::new(Silent), &"https://silent.example.com".parse().unwrap()).mirror(true)),
        Arc::new(place(stores[0].clone(), &issuer)),
        Arc::new(place(stores[1].clone(), &mirror).mirror(true)),
    ];
    let source = StaticSource::new();
    source.serve("api-server-1", &[keys::RSA_1]);
    let policy = Policy::new(Retention::new(Duration::from_secs(3600)));
    let parts = Parts {
        issuer: issuer.clone(),
        source: Arc::new(source.clone()),
        state: Arc::new(MemoryStateStore::new(&issuer)),
        publishers,
        clock,
        observer: Arc::new(()),
    };
    let settings = Settings {
        sync_period: Duration::from_millis(50),
        lease_duration: Duration::from_millis(300),
        renew_deadline: Duration::from_millis(200),
        ..Settings::new(policy, Owner::from_random(7), 1)
    };
    let controller = Controller::new(parts, settings);
    let (_leads, leading) = watch::channel(true);
    let mut status = controller.status();
    let rotation = async {
        let keys = |status: &Status| status.snapshot.as_ref().map_or(0, |s| s.state.keys.len());
        let verified = |status: &Status, location: &str| {
            status
                .sinks
                .get(location)
                .is_some_and(|sink| sink.verified > status.confirmed)
        };
        let both = |status: &Status| verified(status, "memory://one") && verified(status, "memory://two");
        status
            .wait_for(|status| keys(status) == 1 && both(status))
            .await
            .unwrap();
        source.serve("api-server-1", &[keys::RSA_1, keys::P256_1]);
        status
            .wait_for(|status| keys(status) == 2 && both(status))
            .await
            .unwrap();
        let silent = status.borrow().sinks.get("silent://").cloned().unwrap();
        assert_eq!((silent.published, silent.verified), (None, None));
        assert!(
            silent.error.unwrap().contains("no answer within"),
            "and it says so"
        );
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), controller.run(leading, rotation)).await;
    assert!(ended.is_ok(), "the others were held back");
    let [one, two] = stores.map(|store| store.peek(&DocumentPath::JWKS).unwrap().bytes);
    assert_eq!(one, two, "a mirror has the same bytes");
}
