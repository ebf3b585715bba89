//! What happens in front of a fault, whichever it is and whatever the backend.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::store::{DocumentPath, DocumentStore};
use kubeassume_core::testing::keys::{KeyFixture, P256_1, RSA_1, RSA_2, RSA_3};
use kubeassume_core::testing::publisher::draw;
use kubeassume_core::testing::{StoreReader, VirtualClock};
use kubeassume_core::{
    Clock as _, DocumentMarks, Headers, IssuerUrl, KeySet, Owner, Publication, PublishError, Published,
    Publisher as _, StorePublisher,
};
use kubeassume_publishers::Patience;
use kubeassume_tests::{Fault, FaultProxy, Recorded, Row};
use xtask::conformance::FAULTS;

use crate::cases::{Case, Hits, Outcome};
use Before::{Absent, There};

/// For faults that come at once.
const PATIENT: Patience = Patience {
    attempt: Duration::from_secs(10),
    attempts: 2,
    pause: Duration::from_millis(1),
};
/// For answers that never end.
const SHORT: Patience = Patience {
    attempt: Duration::from_millis(400),
    attempts: 1,
    pause: Duration::from_millis(1),
};
/// What one publish may cost at most while the fault lasts: the publisher's eight attempts at a document, each a
/// read (of two requests on GCS) and a write, each request sent as often as [`PATIENT`] has attempts.
const BOUND: usize = 8 * 3 * 2;
/// The same where another try is no use: one read, one write, each request sent as often as before.
const BOUND_FOR_GOOD: usize = 2 * 2;

/// A place of its own on a real server, empty, and a proxy in front of it.
pub(crate) struct Stage {
    pub(crate) proxy: Arc<FaultProxy>,
    pub(crate) through: Arc<dyn DocumentStore>,
    pub(crate) direct: Arc<dyn DocumentStore>,
    pub(crate) public_url: IssuerUrl,
}

/// A row per case; all cases at once.
pub(crate) async fn play_all(
    subject: &'static str,
    server: &'static str,
    cases: Vec<Case>,
    stage: impl AsyncFn(Patience) -> Stage,
) {
    for fault in FAULTS {
        let played = cases.iter().any(|case| case.check == fault);
        assert!(played, "{subject}: the table demands {fault:?}");
    }
    let mut plays = Vec::new();
    for case in cases {
        let patience = if matches!(case.fault, Fault::Drip) {
            SHORT
        } else {
            PATIENT
        };
        let mut scenes = Vec::new();
        for (hits, outcome) in case.outcomes {
            scenes.push((stage(patience).await, hits, outcome));
        }
        let fault = case.fault;
        plays.push(tokio::spawn(async move {
            let row = Row::begin(subject, case.check, server);
            for (stage, hits, outcome) in scenes {
                let what = format!("{subject}, {}, {hits:?}", case.check);
                play(&stage, fault.clone(), hits, &outcome, &what).await;
            }
            row.passed();
        }));
    }
    let mut failed = 0;
    for play in plays {
        failed += usize::from(play.await.is_err());
    }
    assert_eq!(failed, 0, "cases failed, see above");
}

async fn play(stage: &Stage, fault: Fault, hits: Hits, outcome: &Outcome, what: &str) {
    let scene = &Scene::new(stage);
    let mut state = State::new(stage);
    let strike = || {
        let proxy = &stage.proxy;
        proxy.strike(fault.clone(), move |request| hits.is_hit(request));
    };
    let ours = scene.publisher(&stage.through);

    // Into an empty place.
    let first = state.draw(scene, &[RSA_1]);
    strike();
    let before = stage.proxy.connections();
    let result = ours.publish(&first, &first).await;
    scene.must_be_whole(what).await;
    outcome.must_be(&result, Absent, what);
    let asked = stage.proxy.connections() - before;
    let for_good = matches!(&result, Err(error) if !error.is_retryable());
    let bound = if for_good { BOUND_FOR_GOOD } else { BOUND };
    assert!((1..=bound).contains(&asked), "{what}: asked {asked} times");
    stage.proxy.heal();
    ours.publish(&first, &first)
        .await
        .unwrap_or_else(|error| panic!("{what}, after it: {error}"));
    scene.must_hold(&first, what).await;

    // Another replica publishes something newer at the worst moment.
    let second = state.draw(scene, &[RSA_1, RSA_2]);
    let third = state.draw(scene, &[RSA_1, RSA_3]);
    let (theirs, newer) = (scene.publisher(&stage.direct), third.clone());
    strike();
    stage.proxy.meanwhile(async move {
        theirs
            .publish(&newer, &newer)
            .await
            .expect("the other replica's publish");
    });
    let result = ours.publish(&second, &second).await;
    match hits {
        Hits::Writes | Hits::KeySet => assert!(
            matches!(result, Err(PublishError::Ahead { .. })),
            "{what}: {result:?}"
        ),
        Hits::Reads | Hits::All => outcome.must_be(&result, There, what),
    }
    scene.must_be_whole(what).await;
    scene.must_hold(&third, what).await;
    stage.proxy.heal();
    let stale = ours.publish(&second, &second).await;
    assert!(
        matches!(stale, Err(PublishError::Ahead { .. })),
        "{what}, after it: {stale:?}"
    );
    scene.must_hold(&third, what).await;
    let told = ours
        .publish(&second, &third)
        .await
        .expect("the state says the newer one");
    assert_eq!(told.written, [], "{what}: it is there");

    let last = state.draw(scene, &[RSA_1, RSA_3, P256_1]);
    ours.publish(&last, &last)
        .await
        .unwrap_or_else(|error| panic!("{what}, at last: {error}"));
    scene.must_hold(&last, what).await;
}

/// The truth, past the proxy.
struct Scene<'a> {
    stage: &'a Stage,
    clock: VirtualClock,
}

impl<'a> Scene<'a> {
    fn new(stage: &'a Stage) -> Self {
        let clock = VirtualClock::new();
        Self { stage, clock }
    }

    fn publisher(&self, store: &Arc<dyn DocumentStore>) -> StorePublisher<Arc<dyn DocumentStore>> {
        let url = &self.stage.public_url;
        let reader = Arc::new(StoreReader::new(self.stage.direct.clone(), url));
        StorePublisher::new(
            store.clone(),
            url.clone(),
            reader,
            Arc::new(self.clock.clone()),
            7,
        )
    }

    async fn must_hold(&self, publication: &Publication, what: &str) {
        for (path, document) in publication.in_order() {
            let stored = self.stage.direct.get(&path).await.expect("a read");
            let stored = stored.unwrap_or_else(|| panic!("{what}: there is no {path}"));
            assert!(
                document.is(publication.owner, &stored),
                "{what}: {path} is {stored:?}"
            );
        }
    }

    /// Where there is a discovery document, there is the key set that it names.
    async fn must_be_whole(&self, what: &str) {
        let read = async |path| self.stage.direct.get(&path).await.expect("a read");
        let Some(discovery) = read(DocumentPath::DISCOVERY).await else {
            return;
        };
        let discovery: serde_json::Value = serde_json::from_slice(&discovery.bytes).expect("JSON");
        let jwks_uri = self.stage.public_url.document_url(&DocumentPath::JWKS);
        assert_eq!(discovery["jwks_uri"], jwks_uri.as_str(), "{what}: discovery");
        let jwks = read(DocumentPath::JWKS)
            .await
            .unwrap_or_else(|| panic!("{what}: torn, there is no JWKS"));
        let parsed = KeySet::parse(&jwks.bytes).unwrap_or_else(|error| panic!("{what}: torn, {error}"));
        assert!(
            parsed.keys.iter().next().is_some(),
            "{what}: torn, the JWKS is empty"
        );
    }
}

/// What the leader keeps.
struct State {
    url: IssuerUrl,
    owner: Owner,
    marks: DocumentMarks,
}

impl State {
    fn new(stage: &Stage) -> Self {
        Self {
            url: stage.public_url.clone(),
            owner: Owner::from_random(1),
            marks: DocumentMarks::NONE,
        }
    }

    /// A minute later.
    fn draw(&mut self, scene: &Scene<'_>, keys: &[KeyFixture]) -> Publication {
        scene.clock.advance(Duration::from_secs(60));
        let headers = Headers { max_age_seconds: 300 };
        draw(
            &self.url,
            self.owner,
            &headers,
            &mut self.marks,
            keys,
            scene.clock.now(),
        )
    }
}

impl Hits {
    fn is_hit(self, request: &Recorded) -> bool {
        match self {
            Self::Reads => request.method == "GET",
            Self::Writes => request.method != "GET",
            Self::KeySet => {
                let keys = br#""keys":["#;
                request.method != "GET" && request.body.windows(keys.len()).any(|part| part == keys)
            }
            Self::All => true,
        }
    }
}

impl Outcome {
    fn must_be(&self, result: &Result<Published, PublishError>, before: Before, what: &str) {
        let (label, words) = match (self, before) {
            (Self::Settles, _) | (Self::FailsOnceThere(..), Absent) => {
                assert!(result.is_ok(), "{what}: {result:?}");
                return;
            }
            (Self::Fails(label, words) | Self::FailsOnceThere(label, words), _) => (label, words),
        };
        let Err(PublishError::Store { error, .. }) = result else {
            panic!("{what}: {result:?}");
        };
        let text = error.to_string();
        assert_eq!(error.label(), *label, "{what}: {text}");
        let lower = text.to_lowercase();
        for word in &**words {
            assert!(
                lower.contains(&word.to_lowercase()),
                "{what}: no {word:?} in: {text}"
            );
        }
        assert!(text.len() < 700 && !text.contains(['\r', '\n']), "{what}: {text}");
    }
}

/// Whether there was a document before the publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Absent,
    There,
}
