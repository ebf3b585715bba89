//! The publish algorithm on a perfect store, and on thousands of bad days.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use kubeassume_core::store::{DocumentPath, DocumentStore};
use kubeassume_core::testing::keys::{self, KeyFixture};
use kubeassume_core::testing::publisher::{self, Place, draw};
use kubeassume_core::testing::{Change, FaultStore, MemoryStore, StoreReader, VirtualClock, block_on};
use kubeassume_core::{
    Authority, Clock, DocumentMarks, Generation, Headers, IssuerUrl, KeySet, Mark, Owner, Publication,
    Publisher, StateError, StorePublisher,
};

const SCHEDULES: u64 = 3000;
const REPLICAS: u64 = 3;

fn issuer() -> IssuerUrl {
    "https://oidc.example.com/cluster1".parse().unwrap()
}

#[test]
fn store_publisher_on_memory() {
    block_on(publisher::conformance(|| {
        Place::behind(Arc::new(MemoryStore::new()), issuer())
    }));
}

#[test]
fn store_publisher_on_versions_of_the_content() {
    block_on(publisher::conformance(|| {
        Place::behind(Arc::new(MemoryStore::new().with_content_versions()), issuer())
    }));
}

/// Replicas publish at once while the state moves on, each with faults of its own and its own idea of the
/// newest state.
#[test]
fn no_schedule_of_faults_tears_or_turns_back_a_publication() {
    let mut failed = 0;
    let mut written = 0;
    let mut parsed = HashMap::new();
    for seed in 0..SCHEDULES {
        let run = Schedule::new(seed);
        failed += run.go();
        let changes = run.store.changes();
        written += changes.len();
        check(&changes, &mut parsed, seed);
        run.converges();
    }
    // The faults were real ones.
    assert!(failed > SCHEDULES, "only {failed} failed publishes");
    assert!(written as u64 > SCHEDULES * 3, "only {written} writes");
}

struct Schedule {
    seed: u64,
    store: MemoryStore,
    state: Arc<StateOfAll>,
    replicas: Vec<StorePublisher<FaultStore<MemoryStore>>>,
}

/// The state store, reduced to what a publisher asks of it; it fails now and then.
struct StateOfAll {
    history: Mutex<Vec<Publication>>,
    marks: Mutex<DocumentMarks>,
    random: Mutex<fastrand::Rng>,
    clock: VirtualClock,
}

#[async_trait]
impl Authority for StateOfAll {
    async fn current(&self) -> Result<Publication, StateError> {
        if self.random.lock().unwrap().f64() < 0.05 {
            return Err(StateError::Unavailable("a bad moment".to_owned()));
        }
        Ok(self.newest())
    }
}

impl StateOfAll {
    fn newest(&self) -> Publication {
        self.history.lock().unwrap().last().unwrap().clone()
    }

    fn any(&self) -> Publication {
        let history = self.history.lock().unwrap();
        self.random
            .lock()
            .unwrap()
            .choice(history.iter())
            .unwrap()
            .clone()
    }

    fn move_on(&self) {
        // Without the large curves: checking their points takes most of the time.
        let mut fixtures: Vec<KeyFixture> = keys::ALL[..6].to_vec();
        {
            let mut random = self.random.lock().unwrap();
            random.shuffle(&mut fixtures);
            fixtures.truncate(random.usize(1..=3));
        }
        let mut marks = self.marks.lock().unwrap();
        let headers = Headers { max_age_seconds: 300 };
        let owner = Owner::from_random(1);
        let next = draw(
            &issuer(),
            owner,
            &headers,
            &mut marks,
            &fixtures,
            self.clock.now(),
        );
        self.history.lock().unwrap().push(next);
    }
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let clock = VirtualClock::new();
        let store = MemoryStore::new();
        let state = StateOfAll {
            history: Mutex::default(),
            marks: Mutex::new(DocumentMarks::NONE),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            clock: clock.clone(),
        };
        state.move_on();
        let replicas = (0..REPLICAS)
            .map(|replica| {
                let own = seed * REPLICAS + replica;
                StorePublisher::new(
                    FaultStore::new(store.clone()).seeded(own, 0.4),
                    issuer(),
                    Arc::new(StoreReader::new(Arc::new(store.clone()), &issuer())),
                    Arc::new(clock.clone()),
                    own,
                )
            })
            .collect();
        Self {
            seed,
            store,
            state: Arc::new(state),
            replicas,
        }
    }

    /// Says how many publishes failed.
    fn go(&self) -> u64 {
        let moving_on = async {
            for _ in 0..4 {
                self.state.clock.sleep(std::time::Duration::from_millis(80)).await;
                self.state.move_on();
            }
            0
        };
        let publishing = async |replica: &StorePublisher<FaultStore<MemoryStore>>| {
            let mut failed = 0;
            for _ in 0..4 {
                let known = self.state.any();
                if replica.publish(&known, &*self.state).await.is_err() {
                    failed += 1;
                }
                self.state.clock.sleep(std::time::Duration::from_millis(50)).await;
            }
            failed
        };
        block_on(async {
            let replicas = join_all(self.replicas.iter().map(publishing));
            let (failed, _) = futures_util::future::join(replicas, moving_on).await;
            failed.iter().sum()
        })
    }

    /// Once all is well, one publish brings the newest state there and every other finds nothing to do.
    fn converges(&self) {
        let newest = self.state.newest();
        for replica in &self.replicas {
            replica.store().heal();
        }
        block_on(self.replicas[0].publish(&newest, &newest))
            .unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        for (path, document) in newest.in_order() {
            let stored = self.store.peek(&path).unwrap();
            assert!(document.is(newest.owner, &stored), "seed {}: {path}", self.seed);
        }
        let changes = self.store.changes();
        for replica in &self.replicas {
            let published = block_on(replica.publish(&newest, &newest)).unwrap();
            assert!(published.written.is_empty(), "seed {}", self.seed);
        }
        assert_eq!(self.store.changes(), changes, "seed {}", self.seed);
    }
}

/// After every single change of the store: a discovery document has a key set with keys beside it, and no
/// document's generation is below an earlier one.
fn check(changes: &[Change], parsed: &mut HashMap<Bytes, usize>, seed: u64) {
    let (mut jwks, mut discovery) = (None, None);
    let mut highest = [Generation::NONE; 2];
    for change in changes {
        let (slot, highest) = if change.path == DocumentPath::JWKS {
            (&mut jwks, &mut highest[0])
        } else {
            (&mut discovery, &mut highest[1])
        };
        slot.clone_from(&change.document);
        if let Some(stored) = &change.document {
            let generation = Mark::read(&stored.metadata).generation.expect("a generation");
            assert!(generation >= *highest, "seed {seed}: {} went back", change.path);
            *highest = generation;
        }
        if discovery.is_some() {
            let jwks = jwks.as_ref().unwrap_or_else(|| panic!("seed {seed}: torn"));
            let count = |bytes: &Bytes| KeySet::parse(bytes).map_or(0, |parsed| parsed.keys.len());
            let keys = parsed.entry(jwks.bytes.clone()).or_insert_with_key(count);
            assert!(*keys > 0, "seed {seed}: torn");
        }
    }
}

/// The one case in which a generation may go back for one period: versions that depend on the content, and
/// a writer that slept through A-B-A. The next publish heals it.
#[test]
fn an_a_b_a_race_is_healed_by_the_next_publish() {
    let store = MemoryStore::new().with_content_versions();
    let clock = VirtualClock::new();
    let mut marks = DocumentMarks::NONE;
    let mut next = |fixtures: &[KeyFixture]| {
        let headers = Headers { max_age_seconds: 300 };
        clock.advance(std::time::Duration::from_secs(1));
        draw(
            &issuer(),
            Owner::from_random(1),
            &headers,
            &mut marks,
            fixtures,
            clock.now(),
        )
    };
    let reader = Arc::new(StoreReader::new(Arc::new(store.clone()), &issuer()));
    let replica = StorePublisher::new(store.clone(), issuer(), reader, Arc::new(clock.clone()), 1);
    let publish = |publication: &Publication| block_on(replica.publish(publication, publication)).unwrap();

    let a = next(&[keys::RSA_1]);
    publish(&a);
    let slept = block_on(store.get(&DocumentPath::JWKS)).unwrap().unwrap().version;
    let b = next(&[keys::RSA_2]);
    publish(&b);
    let a_again = next(&[keys::RSA_1]);
    publish(&a_again);
    let late = kubeassume_core::store::Precondition::Matches(slept);
    block_on(store.put(&DocumentPath::JWKS, &b.jwks.to_new(b.owner), &late)).expect("the known limit");

    assert_eq!(publish(&a_again).written, [DocumentPath::JWKS]);
    let stored = store.peek(&DocumentPath::JWKS).unwrap();
    assert!(a_again.jwks.is(a_again.owner, &stored));
}
