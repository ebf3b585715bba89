//! What a replica sees of the world: the traits that the product is given, with latency and faults.
//!
//! A request, once sent, is under way whatever becomes of the replica: it may take effect after the caller
//! gave up, lost the Lease or died.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, NewDocument, Precondition, StoreError, StoredDocument,
};
use kubeassume_core::{
    Addressing, Answer, Clock, Loaded, Observation, PublicDocument, PublicReadError, PublicReader, Snapshot,
    Source, SourceError, StateError, StateStore, StateVersion, Stored, Timestamp,
};

use super::keys;
use super::oracle::Look;
use super::world::{DISCOVERY, EPOCH_MS, ISSUER, Inner, JWKS, Life, Ms, Object, World};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// One replica's way to one part of the world.
pub struct Port {
    world: Arc<World>,
    life: Life,
    rng: Mutex<fastrand::Rng>,
}

/// Which part of the world is called.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Source,
    State,
    Store,
    Public,
}

/// What becomes of one call.
#[derive(Clone, Copy)]
struct Fate {
    cut: bool,
    before: bool,
    after: bool,
    stale: bool,
    /// How long the replica does not run after the answer came.
    pause: Ms,
    there: Ms,
    back: Ms,
}

enum Failure {
    /// Nothing was done.
    Before,
    /// It may have been done.
    After,
}

impl Port {
    pub fn new(world: Arc<World>, life: Life, seed: u64) -> Self {
        Self {
            world,
            life,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    fn fate(&self, part: Part) -> Fate {
        let mut rng = self.rng.lock().unwrap();
        let (faults, cut) = self.world.step(|world| {
            let cut = world.replicas[self.life.replica].cut_until > world.now;
            (world.faults, cut)
        });
        let mut chance = |probability: f64| rng.f64() < probability;
        let (before, after) = match part {
            Part::Source => (chance(faults.source), false),
            Part::State => (chance(faults.state_before), chance(faults.state_after)),
            Part::Store => (chance(faults.store_before), chance(faults.store_after)),
            Part::Public => (chance(faults.store_before), false),
        };
        let stale = chance(faults.store_stale);
        let (slow, pause) = (chance(faults.slow), chance(faults.pause));
        let pause = if pause { rng.u64(1..=20_000) } else { 0 };
        let mut latency = |slow: bool| {
            if slow {
                rng.u64(1..=faults.slow_ms.max(2))
            } else {
                rng.u64(1..=30)
            }
        };
        let (late, early) = (latency(slow), latency(false));
        let (there, back) = if rng.bool() { (late, early) } else { (early, late) };
        Fate {
            cut,
            before,
            after,
            stale,
            pause,
            there,
            back,
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        part: Part,
        effect: impl FnOnce(&mut Inner, &Fate) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.world.gate(self.life.replica).await;
        let fate = self.fate(part);
        let answer = if fate.cut {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Err(Failure::Before)
        } else {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let world = self.world.clone();
            tokio::spawn(async move {
                let slow = fate.there + fate.back > 200;
                world.step(|world| world.slow_calls += u32::from(slow));
                tokio::time::sleep(Duration::from_millis(fate.there)).await;
                let answer = world.step(|world| {
                    let out = match part {
                        Part::Source => 0,
                        Part::State => world.faults.state_out_until,
                        Part::Store | Part::Public => world.faults.store_out_until,
                    };
                    if fate.before || out > world.now {
                        return Err(Failure::Before);
                    }
                    let done = effect(world, &fate);
                    if fate.after { Err(Failure::After) } else { Ok(done) }
                });
                tokio::time::sleep(Duration::from_millis(fate.back)).await;
                world.step(|world| world.slow_calls -= u32::from(slow));
                let _ = sender.send(answer);
            });
            match tokio::time::timeout(PATIENCE, receiver).await {
                Ok(Ok(answer)) => answer,
                _ => Err(Failure::After),
            }
        };
        self.world.step(|world| {
            let replica = &mut world.replicas[self.life.replica];
            replica.paused_until = replica.paused_until.max(world.now + fate.pause);
        });
        self.world.gate(self.life.replica).await;
        answer
    }
}

/// A replica's clock: it may be wrong and it may jump.
pub struct ReplicaClock {
    pub world: Arc<World>,
    pub replica: usize,
}

#[async_trait]
impl Clock for ReplicaClock {
    fn now(&self) -> Timestamp {
        let (now, skew) = self
            .world
            .step(|world| (world.now, world.replicas[self.replica].skew_ms));
        timestamp(now, skew)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.world.now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.world.gate(self.replica).await;
    }
}

fn timestamp(now: Ms, skew_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(EPOCH_MS + i64::try_from(now).unwrap() + skew_ms).unwrap()
}

pub struct ApiServers(pub Port);

impl ApiServers {
    /// The answer, and when the server gave it.
    async fn read(&self, server: usize) -> (Answer, Ms) {
        let read = self.0.call(Part::Source, move |world, _| {
            let facts = world.servers[server].clone();
            if facts.down_until > world.now {
                return None;
            }
            // RFC 9110 section 5.6.7: whole seconds.
            let date = timestamp(world.now, facts.skew_ms).as_second();
            Some((world.now, world.parsed(&facts.keys), date))
        });
        match read.await {
            Ok(Some((at, parsed, date))) => {
                let date = Some(Timestamp::from_second(date).unwrap());
                (Answer::Read { parsed, date }, at)
            }
            Ok(None) => (Answer::Failed(SourceError::Status(503)), 0),
            Err(_) => (
                Answer::Failed(SourceError::Unreachable("no answer".to_owned())),
                0,
            ),
        }
    }
}

#[async_trait]
impl Source for ApiServers {
    async fn observe(&self) -> Observation {
        let Port { world, life, .. } = &self.0;
        let servers = world.step(|world| {
            world.oracle.looks(*life);
            world.servers.len()
        });
        let mut answers = BTreeMap::new();
        let mut latest = 0;
        for server in 0..servers {
            let (answer, at) = self.read(server).await;
            latest = latest.max(at);
            answers.insert(format!("api-{server}"), answer);
        }
        world.step(|world| {
            let mut seen = BTreeSet::new();
            for answer in answers.values() {
                if let Answer::Read { parsed, .. } = answer {
                    seen.extend(parsed.keys.iter().filter_map(|key| keys::by_kid(key.kid())));
                }
            }
            let look = Look {
                seen,
                complete: answers
                    .values()
                    .all(|answer| matches!(answer, Answer::Read { .. })),
                // A server tells its time with its answer.
                right_clock: !world.servers_are_right || latest > 0,
                latest,
            };
            world.note(|| format!("{life:?} saw {:?} complete {}", look.seen, look.complete));
            let none = BTreeMap::new();
            let stored = world.stored.as_ref().map_or(&none, |stored| &stored.keys);
            world.oracle.observed(world.now, *life, &look, stored);
        });
        Observation {
            addressing: Addressing::Each,
            answers,
        }
    }

    async fn probe(&self, endpoint: &str) -> bool {
        let server: usize = endpoint.trim_start_matches("api-").parse().unwrap();
        matches!(self.read(server).await.0, Answer::Read { .. })
    }
}

pub struct StateInWorld(pub Port);

#[async_trait]
impl StateStore for StateInWorld {
    async fn load(&self) -> Result<Loaded, StateError> {
        let life = self.0.life;
        let loaded = self.0.call(Part::State, move |world, _| {
            if world.replicas[life.replica].life == life.nth {
                world.replicas[life.replica].read_state = world.now;
            }
            world
                .stored
                .as_ref()
                .map(|stored| (stored.version, stored.decoded.clone()))
        });
        let Ok(loaded) = loaded.await else {
            return Err(StateError::Unavailable("no answer".to_owned()));
        };
        let version = loaded.as_ref().map(|(version, _)| *version);
        self.0.world.step(|world| world.learns(life, version));
        Ok(match loaded {
            None => Loaded {
                stored: Stored::Missing,
                version: None,
            },
            Some((version, stored)) => Loaded {
                stored,
                version: Some(StateVersion(version.to_string())),
            },
        })
    }

    async fn save(
        &self,
        snapshot: &Snapshot,
        loaded: Option<&StateVersion>,
    ) -> Result<StateVersion, StateError> {
        let life = self.0.life;
        let entries = snapshot.encode()?;
        let expected = loaded.map(|version| version.0.parse().unwrap());
        let knows = self
            .0
            .world
            .step(|world| world.replicas[life.replica].knows.clone());
        let saved = self.0.call(Part::State, move |world, _| {
            world.save_state(life, entries, expected, knows)
        });
        match saved.await {
            Ok(Some(version)) => {
                self.0.world.step(|world| world.learns(life, Some(version)));
                Ok(StateVersion(version.to_string()))
            }
            Ok(None) => Err(StateError::Conflict),
            Err(Failure::Before) => Err(StateError::Unavailable("no answer".to_owned())),
            Err(Failure::After) => Err(StateError::Unknown("no answer".to_owned())),
        }
    }

    async fn changed(&self, seen: Option<&StateVersion>) -> Result<(), StateError> {
        let seen: Option<u64> = seen.map(|version| version.0.parse().unwrap());
        loop {
            let notified = self.0.world.state_changed.notified();
            let current = self
                .0
                .world
                .step(|world| world.stored.as_ref().map(|stored| stored.version));
            if current != seen {
                break;
            }
            notified.await;
        }
        // The watch: it may break, it may be late.
        match self.0.call(Part::State, |_, _| ()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(StateError::Unavailable("the watch broke".to_owned())),
        }
    }
}

pub struct Bucket(pub Port);

fn known(path: &DocumentPath) -> &'static str {
    if *path == DocumentPath::JWKS {
        JWKS
    } else {
        DISCOVERY
    }
}

fn stored(object: &Object) -> StoredDocument {
    StoredDocument {
        bytes: object.bytes.clone().into(),
        content_type: Some(object.content_type.clone()),
        cache_control: Some(object.cache_control.clone()),
        metadata: object.metadata.clone(),
        version: kubeassume_core::store::Version::new(object.version.clone()),
    }
}

#[async_trait]
impl DocumentStore for Bucket {
    fn kind(&self) -> &'static str {
        "simulated"
    }

    fn location(&self) -> String {
        "simulated://bucket".to_owned()
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let (life, path) = (self.0.life, known(path));
        let got = self.0.call(Part::Store, move |world, fate| {
            if path == JWKS {
                world.replicas[life.replica].looked_at_jwks = if fate.stale { 0 } else { world.now };
            }
            let old = world.old_objects.get(path).and_then(|old| old.last().cloned());
            let object = match old {
                Some(old) if fate.stale => old,
                _ => world.objects.get(path).cloned(),
            };
            (object, world.hides_absence)
        });
        match got.await {
            Ok((Some(object), _)) => Ok(Some(stored(&object))),
            Ok((None, true)) => Err(StoreError::Denied("403".to_owned())),
            Ok((None, false)) => Ok(None),
            Err(_) => Err(StoreError::Unavailable("no answer".to_owned())),
        }
    }

    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<kubeassume_core::store::Version, StoreError> {
        let (life, path) = (self.0.life, known(path));
        let object = Object {
            bytes: document.bytes.to_vec(),
            content_type: document.content_type.clone(),
            cache_control: document.cache_control.clone(),
            metadata: document.metadata.clone(),
            version: String::new(),
            by: None,
            at: 0,
        };
        let expected = match precondition {
            Precondition::Absent => None,
            Precondition::Matches(version) => Some(version.as_str().to_owned()),
        };
        let looked = self
            .0
            .world
            .step(|world| world.replicas[life.replica].looked_at_jwks);
        let written = self.0.call(Part::Store, move |world, _| {
            world.put(life, path, object, expected.as_deref(), looked)
        });
        match written.await {
            Ok(Some(version)) => Ok(kubeassume_core::store::Version::new(version)),
            Ok(None) => Err(StoreError::Precondition),
            Err(Failure::Before) => Err(StoreError::Unavailable("no answer".to_owned())),
            Err(Failure::After) => Err(StoreError::Unknown("no answer".to_owned())),
        }
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        Err(StoreError::Denied("listing is not granted".to_owned()))
    }

    async fn delete(&self, _: &DocumentPath, _: &kubeassume_core::store::Version) -> Result<(), StoreError> {
        Err(StoreError::Denied("deleting is not granted".to_owned()))
    }

    async fn validate(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The public URL, behind one cache that keeps what it may.
pub struct Public(pub Port);

#[async_trait]
impl PublicReader for Public {
    async fn get(&self, url: &str, _: usize) -> Result<PublicDocument, PublicReadError> {
        let path = if url == format!("{ISSUER}/{JWKS}") {
            JWKS
        } else {
            DISCOVERY
        };
        let read = self.0.call(Part::Public, move |world, _| {
            if let Some((until, object)) = world.cache.get(path)
                && *until > world.now
            {
                return Some(object.clone());
            }
            let object = world.objects.get(path)?.clone();
            world
                .cache
                .insert(path, (world.now + object.max_age_ms(), object.clone()));
            Some(object)
        });
        match read.await {
            Ok(Some(object)) => Ok(PublicDocument {
                bytes: object.bytes.into(),
                content_type: Some(object.content_type),
                cache_control: Some(object.cache_control),
            }),
            Ok(None) => Err(PublicReadError::Status(404)),
            Err(_) => Err(PublicReadError::Timeout),
        }
    }
}
