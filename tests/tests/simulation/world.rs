//! The world: API servers, the state's store, the documents' store, a public cache, and who is alive.
//!
//! It decides nothing about keys. Every change goes through here, at one moment of virtual time, and is told
//! to the [`Oracle`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubeassume_core::store::Metadata;
use kubeassume_core::{IssuerUrl, KeySet, Parsed, Snapshot, Stored};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::keys;
use super::oracle::{Oracle, Write};

pub const ISSUER: &str = "https://oidc.example.com/cluster1";
pub const JWKS: &str = "openid/v1/jwks";
pub const DISCOVERY: &str = ".well-known/openid-configuration";
pub const GENERATION: &str = "kubeassume-generation";
pub const DIGEST: &str = "kubeassume-digest";
pub const OWNER: &str = "kubeassume-owner";
/// 2030-01-01, in Unix milliseconds.
pub const EPOCH_MS: i64 = 1_893_456_000_000;

/// How late a pause that was cut short may end, in milliseconds.
pub const PAUSE_STEP: Ms = 250;

/// Milliseconds of virtual time.
pub type Ms = u64;

/// One life of one replica: a restart begins another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub replica: usize,
    pub nth: u32,
}

pub struct World {
    started: Instant,
    pub state_changed: Notify,
    inner: Mutex<Inner>,
}

impl World {
    pub fn new(inner: Inner) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            state_changed: Notify::new(),
            inner: Mutex::new(inner),
        })
    }

    pub fn now(&self) -> Ms {
        u64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    /// One atomic step of the world.
    pub fn step<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let now = self.now();
        let mut inner = self.inner.lock().unwrap();
        inner.now = now;
        let before = inner.stored.as_ref().map(|stored| stored.version);
        let result = f(&mut inner);
        let changed = before != inner.stored.as_ref().map(|stored| stored.version);
        drop(inner);
        if changed {
            self.state_changed.notify_waiters();
        }
        result
    }

    /// Returns when the replica is not paused. Every call of a replica to the outside begins and ends here:
    /// in between it only computes, so this is as if its process was stopped.
    pub async fn gate(&self, replica: usize) {
        loop {
            let now = self.now();
            let until = self.step(|world| world.replicas[replica].paused_until);
            if until <= now {
                return;
            }
            // In steps: mending the world cuts pauses short.
            tokio::time::sleep(Duration::from_millis((until - now).min(PAUSE_STEP))).await;
        }
    }
}

pub struct Inner {
    pub now: Ms,
    pub trace: Option<Vec<String>>,
    pub servers: Vec<Server>,
    pub replicas: Vec<ReplicaFacts>,
    pub faults: Faults,
    /// Until when replicas were cut off, paused or slow.
    pub rough_until: Ms,
    pub stored: Option<StoredState>,
    /// Valid states that were stored once.
    pub old_states: Vec<StoredState>,
    pub objects: BTreeMap<&'static str, Object>,
    pub old_objects: BTreeMap<&'static str, Vec<Option<Object>>>,
    pub cache: BTreeMap<&'static str, (Ms, Object)>,
    pub content_versions: bool,
    pub hides_absence: bool,
    /// Whose clocks are right: the servers', or else the replicas'.
    pub servers_are_right: bool,
    pub slow_calls: u32,
    pub oracle: Oracle,
    pub counts: Counts,
    parsed: BTreeMap<BTreeSet<usize>, Parsed>,
    next_version: u64,
    /// States that somebody alive may still know.
    remembered: BTreeSet<u64>,
}

/// What happened, to see that a schedule was worth running.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub saves: u32,
    pub save_conflicts: u32,
    pub writes: u32,
    pub write_conflicts: u32,
    pub losses: u32,
    pub removals: u32,
    pub samples: u32,
    pub excused: u32,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.saves += other.saves;
        self.save_conflicts += other.save_conflicts;
        self.writes += other.writes;
        self.write_conflicts += other.write_conflicts;
        self.losses += other.losses;
        self.removals += other.removals;
        self.samples += other.samples;
        self.excused += other.excused;
    }
}

#[derive(Debug, Clone, Default)]
pub struct Server {
    pub keys: BTreeSet<usize>,
    pub down_until: Ms,
    pub skew_ms: i64,
}

#[derive(Debug, Clone, Default)]
pub struct ReplicaFacts {
    pub life: u32,
    pub alive: bool,
    pub paused_until: Ms,
    pub cut_until: Ms,
    pub skew_ms: i64,
    pub revoked: BTreeSet<usize>,
    /// States that this life has read or saved.
    pub knows: BTreeSet<u64>,
    /// When it last looked at the key set in the sink, as the sink's clock has it.
    pub looked_at_jwks: Ms,
    /// When it last read the state.
    pub read_state: Ms,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Chances that a call fails before or after its effect.
    pub source: f64,
    pub state_before: f64,
    pub state_after: f64,
    pub store_before: f64,
    pub store_after: f64,
    pub store_stale: f64,
    /// Chance that a replica is paused as an answer arrives.
    pub pause: f64,
    /// Chance that a call takes up to `slow_ms`.
    pub slow: f64,
    pub slow_ms: u64,
    pub store_out_until: Ms,
    pub state_out_until: Ms,
}

#[derive(Debug, Clone)]
pub struct StoredState {
    pub version: u64,
    pub entries: [String; 3],
    pub decoded: Stored,
    /// The states whose content it includes: all that its writer knew. Nothing when it is damaged.
    pub includes: BTreeSet<u64>,
    /// Whether it records a claim of the sink.
    pub claimed: bool,
    /// Whose it is, and the generations of its documents.
    pub owner: String,
    pub generations: BTreeMap<&'static str, u64>,
    /// What `state.json` says of each key: `live`, `retiring`, ..
    pub keys: BTreeMap<usize, String>,
}

/// What `state.json` says of each key.
fn key_states(state: &serde_json::Value) -> BTreeMap<usize, String> {
    let entries = state["keys"]
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::values);
    entries
        .filter_map(|entry| {
            let key = keys::by_kid(entry["kid"].as_str()?)?;
            Some((key, entry["state"].as_str()?.to_owned()))
        })
        .collect()
}

#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub content_type: String,
    pub cache_control: String,
    pub metadata: Metadata,
    pub version: String,
    /// Who wrote it; nobody of ours for a hand or another cluster.
    pub by: Option<Life>,
    pub at: Ms,
}

impl Object {
    pub fn by_hand(bytes: impl Into<Vec<u8>>, metadata: Metadata) -> Self {
        Self {
            bytes: bytes.into(),
            content_type: "application/json".to_owned(),
            cache_control: "public, max-age=5".to_owned(),
            metadata,
            version: String::new(),
            by: None,
            at: 0,
        }
    }

    pub fn max_age_ms(&self) -> Ms {
        let seconds = self
            .cache_control
            .rsplit('=')
            .next()
            .and_then(|s| s.parse::<u64>().ok());
        seconds.unwrap_or(0) * 1000
    }
}

impl Inner {
    pub fn new(oracle: Oracle, servers: Vec<Server>, replicas: usize, trace: bool) -> Self {
        Self {
            now: 0,
            trace: trace.then(Vec::new),
            servers,
            replicas: vec![ReplicaFacts::default(); replicas],
            faults: Faults::default(),
            rough_until: 0,
            stored: None,
            old_states: Vec::new(),
            objects: BTreeMap::new(),
            old_objects: BTreeMap::new(),
            cache: BTreeMap::new(),
            content_versions: false,
            hides_absence: false,
            servers_are_right: false,
            slow_calls: 0,
            oracle,
            counts: Counts::default(),
            parsed: BTreeMap::new(),
            next_version: 0,
            remembered: BTreeSet::new(),
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8.3} {}", now as f64 / 1000.0, text()));
        }
    }

    pub fn issuer() -> IssuerUrl {
        ISSUER.parse().unwrap()
    }

    /// The keys that any API server serves.
    pub fn served(&self) -> BTreeSet<usize> {
        self.servers
            .iter()
            .flat_map(|server| server.keys.iter().copied())
            .collect()
    }

    pub fn set_keys(&mut self, server: usize, keys: BTreeSet<usize>) {
        self.note(|| format!("server {server} serves {keys:?}"));
        self.servers[server].keys = keys;
        let (now, served) = (self.now, self.served());
        self.oracle.served(now, &served);
    }

    pub fn parsed(&mut self, keys: &BTreeSet<usize>) -> Parsed {
        let parse = || KeySet::parse(keys::document(keys).as_bytes()).unwrap();
        self.parsed.entry(keys.clone()).or_insert_with(parse).clone()
    }

    /// Whether a document in the sink is another owner's, and newer than the state's: it is not overwritten.
    /// The same where the state has no claim of the sink, because no key there is served any more.
    pub fn is_occupied(&self) -> bool {
        let Some(state) = &self.stored else { return false };
        self.objects.iter().any(|(path, object)| {
            let owner = object
                .metadata
                .get(OWNER)
                .is_some_and(|owner| *owner != state.owner);
            let generation = object.metadata.get(GENERATION).and_then(|text| text.parse().ok());
            !state.claimed || owner && generation > state.generations.get(path).copied()
        })
    }

    // The state's store.

    /// A replica's compare-and-swap. Returns the new version, or `None` when it lost.
    /// `knows` is what the replica knew when it sent this.
    pub fn save_state(
        &mut self,
        life: Life,
        entries: [String; 3],
        expected: Option<u64>,
        knows: BTreeSet<u64>,
    ) -> Option<u64> {
        if self.stored.as_ref().map(|stored| stored.version) != expected {
            self.counts.save_conflicts += 1;
            self.note(|| format!("{life:?} loses a save over {expected:?}"));
            return None;
        }
        self.counts.saves += 1;
        let version = self.fresh_version();
        let mut includes = knows;
        let old = self.stored.take();
        if let Some(old) = &old {
            includes.extend(&old.includes);
        }
        let knew_a_claim = self
            .old_states
            .iter()
            .any(|state| state.claimed && includes.contains(&state.version));
        let ignorant = self.remembered.iter().any(|known| !includes.contains(known));
        if ignorant && self.now <= self.rough_until + 5000 {
            // Who remembers more could not say so in time: a repair comes too late for what happens now.
            self.note(|| "LOST for a while: an ignorant replica was faster".to_owned());
            self.lose(&BTreeSet::new());
        }
        includes.insert(version);
        let stored = self.decode(version, entries, includes);
        self.note(|| format!("{life:?} saves v{version} over {expected:?}: {:?}", stored.keys));
        let kids = jwks_kids(stored.entries[1].as_bytes()).unwrap_or_default();
        self.oracle.saved(self.now, life, &kids, &stored.keys);
        if stored.claimed && !knew_a_claim {
            // It knew of no claim before: what the sink holds now may become unconfirmed.
            let ever: Vec<Vec<u8>> = self
                .old_objects
                .get(JWKS)
                .into_iter()
                .flatten()
                .flatten()
                .map(|o| o.bytes.clone())
                .collect();
            for bytes in ever
                .iter()
                .chain(self.objects.get(JWKS).map(|object| &object.bytes))
            {
                self.oracle
                    .may_be_unconfirmed(&jwks_kids(bytes).unwrap_or_default());
            }
        }
        self.old_states.push(stored.clone());
        self.remembered.insert(version);
        self.stored = Some(stored);
        self.forget_what_nobody_knows();
        Some(version)
    }

    pub fn fresh_version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    fn decode(&self, version: u64, entries: [String; 3], includes: BTreeSet<u64>) -> StoredState {
        let decoded = Snapshot::decode([&entries[0], &entries[1], &entries[2]], &Self::issuer());
        let valid = matches!(decoded, Stored::Snapshot(_));
        let json: serde_json::Value = serde_json::from_str(&entries[2]).unwrap_or_default();
        let claimed = valid
            && json["claims"]
                .as_object()
                .is_some_and(|claims| !claims.is_empty());
        StoredState {
            version,
            decoded,
            includes: if valid { includes } else { BTreeSet::new() },
            claimed,
            owner: json["owner"].as_str().unwrap_or_default().to_owned(),
            generations: [("jwks", JWKS), ("discovery", DISCOVERY)]
                .into_iter()
                .filter_map(|(name, path)| Some((path, json["documents"][name]["generation"].as_u64()?)))
                .collect(),
            keys: if valid { key_states(&json) } else { BTreeMap::new() },
            entries,
        }
    }

    /// Somebody's hand, or an etcd restore.
    pub fn meddle_with_state(&mut self, what: &str, entries: Option<([String; 3], BTreeSet<u64>)>) {
        self.note(|| format!("hand: the state is {what}"));
        // A backup brings back what was forgotten.
        self.remembered
            .extend(entries.iter().flat_map(|(_, includes)| includes));
        self.stored = entries.map(|(entries, includes)| {
            let version = self.next_version + 1;
            self.next_version = version;
            self.decode(version, entries, includes)
        });
        self.forget_what_nobody_knows();
    }

    pub fn learns(&mut self, life: Life, version: Option<u64>) {
        let facts = &mut self.replicas[life.replica];
        if facts.life != life.nth || !facts.alive {
            return;
        }
        let Some(version) = version else { return };
        // What it includes is known with it.
        let state = self
            .old_states
            .iter()
            .find(|state| state.version == version)
            .or(self.stored.as_ref());
        if let Some(state) = state {
            facts.knows.extend(&state.includes);
        }
    }

    pub fn dies(&mut self, replica: usize) {
        let facts = &mut self.replicas[replica];
        facts.alive = false;
        facts.knows.clear();
        self.forget_what_nobody_knows();
    }

    /// Who cannot speak now does not count as one who remembers: others do not wait for it.
    fn forget_what_nobody_knows(&mut self) {
        let now = self.now;
        let mut known = self
            .stored
            .as_ref()
            .map(|stored| stored.includes.clone())
            .unwrap_or_default();
        for facts in &self.replicas {
            if facts.alive && facts.paused_until <= now && facts.cut_until <= now {
                known.extend(&facts.knows);
            }
        }
        let lost: BTreeSet<u64> = self.remembered.difference(&known).copied().collect();
        if !lost.is_empty() {
            self.note(|| format!("LOST: nobody knows states {lost:?} any more"));
            self.lose(&lost);
        }
    }

    pub fn lose(&mut self, lost: &BTreeSet<u64>) {
        self.counts.losses += 1;
        self.remembered.retain(|version| !lost.contains(version));
        let policies: Vec<BTreeSet<usize>> = self
            .replicas
            .iter()
            .filter(|f| f.alive)
            .map(|f| f.revoked.clone())
            .collect();
        self.oracle.lost(&policies);
    }

    // The documents' store.

    /// A replica's conditional write over nothing, or over this version. `looked_at_jwks`: when it had last
    /// looked at the key set as it sent this.
    pub fn put(
        &mut self,
        life: Life,
        path: &'static str,
        mut object: Object,
        expected: Option<&str>,
        looked_at_jwks: Ms,
    ) -> Option<String> {
        let current = self.objects.get(path).map(|object| object.version.as_str());
        if current != expected {
            self.counts.write_conflicts += 1;
            self.note(|| format!("{life:?} loses the write of {path} over {expected:?}"));
            return None;
        }
        let replaced = self.objects.get(path).cloned();
        object.version = self.object_version(&object.bytes);
        object.by = Some(life);
        object.at = self.now;
        self.counts.writes += 1;
        self.note(|| {
            let kids = jwks_kids(&object.bytes)
                .map(|kids| format!(" {kids:?}"))
                .unwrap_or_default();
            let generation = object.metadata.get(GENERATION).cloned().unwrap_or_default();
            format!(
                "{life:?} writes {path} generation {generation} version {} over {expected:?}{kids}",
                object.version
            )
        });
        let version = object.version.clone();
        self.replace(path, Some(object));
        if path == JWKS {
            self.replicas[life.replica].looked_at_jwks = self.now;
        }
        let write = Write {
            life,
            path,
            object: &self.objects[path],
            jwks: self.objects.get(JWKS),
            replaced: replaced.as_ref(),
            looked_at_jwks,
            jwks_gone_at: self.oracle.jwks_touched_by_hand,
        };
        self.oracle.written(self.now, &write, &mut self.counts);
        Some(version)
    }

    /// A hand, or another cluster, writes or deletes.
    pub fn meddle_with_object(&mut self, what: &str, path: &'static str, object: Option<Object>) {
        self.note(|| format!("hand: {path} is {what}"));
        let now = self.now;
        let object = object.map(|mut object| {
            object.version = self.object_version(&object.bytes);
            object.at = now;
            object.by = None;
            object
        });
        if path == JWKS {
            self.oracle.jwks_touched_by_hand = Some(now);
        }
        self.replace(path, object);
    }

    fn replace(&mut self, path: &'static str, object: Option<Object>) {
        let old = match object {
            Some(object) => self.objects.insert(path, object),
            None => self.objects.remove(path),
        };
        self.old_objects.entry(path).or_default().push(old);
    }

    fn object_version(&mut self, bytes: &[u8]) -> String {
        if self.content_versions {
            kubeassume_core::digest(bytes)
        } else {
            format!("o{}", self.fresh_version())
        }
    }
}

/// The names of the keys of a key set, or `None` when it is none.
pub fn jwks_kids(bytes: &[u8]) -> Option<Vec<String>> {
    let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let kid = |key: &serde_json::Value| Some(key["kid"].as_str()?.to_owned());
    json["keys"].as_array()?.iter().map(kid).collect()
}
