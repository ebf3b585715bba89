//! One schedule: a world drawn from a seed, storms and calms in turn, and a quiet end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kubeassume_controller::{Controller, Notice, Observer, Parts, Settings};
use kubeassume_core::rotation::{OnStateLoss, Policy};
use kubeassume_core::{Headers, KeySet, Owner, Publisher, Retention, StorePublisher};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::keys;
use super::oracle::Oracle;
use super::ports::{ApiServers, Bucket, Port, Public, ReplicaClock, StateInWorld};
use super::world::{Counts, DISCOVERY, Faults, Inner, JWKS, Life, Ms, PAUSE_STEP, Server, World};

const PERIOD: Ms = 10_000;
const LEASE: Ms = 15_000;
const RENEW: Ms = 10_000;

/// What a schedule led to.
pub struct Report {
    pub violations: Vec<String>,
    pub counts: Counts,
    pub trace: Vec<String>,
}

/// Plays the schedule of a seed.
pub fn play(seed: u64, trace: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut schedule = Schedule::new(seed, trace);
        schedule.play().await;
        schedule.world.step(|world| Report {
            violations: std::mem::take(&mut world.oracle.violations),
            counts: world.counts,
            trace: world.trace.take().unwrap_or_default(),
        })
    })
}

pub struct Schedule {
    seed: u64,
    pub(super) rng: fastrand::Rng,
    pub(super) world: Arc<World>,
    processes: Vec<Option<Process>>,
    retention: Ms,
    /// How far clocks may be off.
    skew_ms: i64,
    max_age: Vec<u64>,
    pub(super) revoked: BTreeSet<usize>,
    lives: u32,
    on_state_loss: OnStateLoss,
    /// Whether hands reach the state, and the documents.
    pub(super) state_is_touched: bool,
    pub(super) documents_are_touched: bool,
}

struct Process {
    leading: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Schedule {
    fn new(seed: u64, trace: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let retention = [40_000, 60_000, 90_000][rng.usize(..3)];
        let replicas = rng.usize(2..=3);
        let servers = rng.usize(1..=3);
        let content_versions = rng.u8(..5) == 0;
        let oracle = Oracle::new(retention, PERIOD, LEASE, RENEW, content_versions);
        let mut inner = Inner::new(oracle, vec![Server::default(); servers], replicas, trace);
        inner.content_versions = content_versions;
        inner.hides_absence = rng.u8(..6) == 0;
        inner.servers_are_right = rng.bool();
        let max_age = [3, 10, 30][rng.usize(..3)];
        // Some replicas of a roll-out have another configuration.
        let other = if rng.u8(..4) == 0 { 7 } else { max_age };
        let schedule = Self {
            seed,
            world: World::new(inner),
            processes: (0..replicas).map(|_| None).collect(),
            retention,
            skew_ms: [0, 5_000, 120_000, 86_400_000][rng.usize(..4)],
            max_age: (0..replicas)
                .map(|nth| if nth == 0 { other } else { max_age })
                .collect(),
            revoked: BTreeSet::new(),
            lives: 0,
            on_state_loss: if rng.u8(..6) == 0 {
                OnStateLoss::Drop
            } else {
                OnStateLoss::Keep
            },
            state_is_touched: rng.u8(..3) > 0,
            documents_are_touched: rng.u8(..3) > 0,
            rng,
        };
        for server in 0..servers {
            schedule.world.step(|world| world.set_keys(server, [0].into()));
        }
        schedule
    }

    async fn play(&mut self) {
        if self.rng.u8(..4) == 0 {
            self.leave_over();
        }
        for replica in 0..self.processes.len() {
            self.start(replica);
        }
        self.draw_skews();
        self.elect(0);
        let first = self.rng_ms(0, 60_000);
        self.calm(first).await;
        for _ in 0..self.rng.usize(2..=5) {
            self.storm().await;
            let length = self.rng_ms(0, 70_000);
            self.calm(length).await;
            if self.failed() {
                return;
            }
        }
        self.end().await;
    }

    fn failed(&self) -> bool {
        self.world.step(|world| !world.oracle.violations.is_empty())
    }

    fn rng_ms(&mut self, low: Ms, high: Ms) -> Ms {
        self.rng.u64(low..=high)
    }

    // Replicas.

    fn start(&mut self, replica: usize) {
        self.lives += 1;
        let life = Life {
            replica,
            nth: self.lives,
        };
        let world = self.world.clone();
        world.step(|world| {
            let facts = &mut world.replicas[replica];
            facts.life = life.nth;
            facts.alive = true;
            facts.paused_until = 0;
            facts.knows.clear();
            facts.revoked = self.revoked.clone();
            world.note(|| format!("{life:?} starts"));
        });
        let port = |sort: u64| {
            let seed = self.seed ^ (u64::from(life.nth) << 32) ^ (sort << 56);
            Port::new(world.clone(), life, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        };
        let clock = Arc::new(ReplicaClock {
            world: world.clone(),
            replica,
        });
        let publisher = StorePublisher::new(
            Bucket(port(1)),
            Inner::issuer(),
            Arc::new(Public(port(2))),
            clock.clone(),
            u64::from(life.nth) + self.seed,
        );
        let publishers: Vec<Arc<dyn Publisher>> = vec![Arc::new(publisher)];
        let thumbprint = |nth: &usize| {
            let parsed = KeySet::parse(keys::document(&[*nth].into()).as_bytes()).unwrap();
            parsed.keys.iter().next().unwrap().thumbprint()
        };
        let parts = Parts {
            issuer: Inner::issuer(),
            source: Arc::new(ApiServers(port(3))),
            state: Arc::new(StateInWorld(port(4))),
            publishers,
            clock,
            observer: Arc::new(Told {
                world: world.clone(),
                life,
            }),
        };
        let settings = Settings {
            sync_period: Duration::from_millis(PERIOD),
            policy: Policy {
                retention: Retention::new(Duration::from_millis(self.retention)),
                revoked: self.revoked.iter().map(thumbprint).collect(),
                on_state_loss: self.on_state_loss,
            },
            headers: Headers {
                max_age_seconds: self.max_age[replica],
            },
            lease_duration: Duration::from_millis(LEASE),
            renew_deadline: Duration::from_millis(RENEW),
            follower_grace: Duration::from_secs(2),
            take_over: false,
            owner: Owner::from_random(u128::from(self.seed) << 64 | u128::from(life.nth)),
            seed: self.seed + u64::from(life.nth),
        };
        let (leading, leads) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let controller = Controller::new(parts, settings);
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            controller.run(leads, stopped).await;
        });
        self.processes[replica] = Some(Process {
            leading,
            stop: Some(stop),
            task,
        });
    }

    /// `kill -9`, or an orderly end.
    async fn end_process(&mut self, replica: usize, orderly: bool) {
        let Some(mut process) = self.processes[replica].take() else {
            return;
        };
        self.world
            .step(|world| world.note(|| format!("replica {replica} ends, orderly {orderly}")));
        if process.task.is_finished() {
            self.world.step(|world| {
                let violations = &mut world.oracle.violations;
                violations.push(format!("I7: replica {replica} ended by itself"));
            });
        }
        match process.stop.take() {
            Some(stop) if orderly => drop(stop.send(())),
            _ => process.task.abort(),
        }
        let _ = process.task.await;
        // What it spawned is dropped on the next turns.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        self.world.step(|world| world.dies(replica));
    }

    fn lead(&mut self, replica: usize, leads: bool) {
        let paused = self
            .world
            .step(|world| world.replicas[replica].paused_until > world.now);
        if let Some(process) = &self.processes[replica]
            && *process.leading.borrow() != leads
        {
            let nth = self.world.step(|world| {
                world.note(|| format!("replica {replica} leads: {leads}, paused {paused}"));
                world.replicas[replica].life
            });
            let life = Life { replica, nth };
            if paused {
                // It hears of it when it goes on.
                let (leading, world) = (process.leading.clone(), self.world.clone());
                tokio::spawn(async move {
                    world.gate(replica).await;
                    world.step(|world| world.oracle.looks(life));
                    let _ = leading.send(leads);
                });
            } else {
                self.world.step(|world| world.oracle.looks(life));
                let _ = process.leading.send(leads);
            }
        }
    }

    fn elect(&mut self, leader: usize) {
        for replica in 0..self.processes.len() {
            self.lead(replica, replica == leader);
        }
    }

    fn draw_skews(&mut self) {
        let limit = self.skew_ms;
        let rng = &mut self.rng;
        self.world.clone().step(|world| {
            if world.servers_are_right {
                for facts in &mut world.replicas {
                    facts.skew_ms = rng.i64(-limit..=limit);
                }
            } else {
                for server in &mut world.servers {
                    server.skew_ms = rng.i64(-limit..=limit);
                }
            }
            let skews: Vec<i64> = world.replicas.iter().map(|facts| facts.skew_ms).collect();
            let servers: Vec<i64> = world.servers.iter().map(|server| server.skew_ms).collect();
            world.note(|| format!("clocks are off by {skews:?}, the servers' by {servers:?}"));
        });
    }

    // Weather.

    /// Nothing is broken; keys still roll.
    async fn calm(&mut self, length: Ms) {
        self.heal().await;
        let end = self.world.now() + length;
        let mut next_event = self.world.now() + self.rng_ms(1000, 20_000);
        while self.world.now() < end && !self.failed() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.world.now() >= next_event {
                self.roll_a_key();
                next_event = self.world.now() + self.rng_ms(1000, 20_000);
            }
            self.sample();
        }
        self.world.step(|world| world.oracle.calm_since = None);
    }

    fn sample(&self) {
        self.world.step(|world| {
            let stored = world.stored.as_ref().map(|stored| &stored.keys);
            world
                .oracle
                .sample(world.now, world.objects.get(JWKS), stored, &mut world.counts);
            // The state is lost, and with it the owner: what is public could be anybody's. An administrator
            // says that it is not.
            let since = world.oracle.calm_since;
            if since.is_some_and(|since| since + LEASE + PERIOD < world.now) && world.is_occupied() {
                for path in [JWKS, DISCOVERY] {
                    if world.objects.contains_key(path) {
                        world.meddle_with_object("cleared away: it is occupied", path, None);
                        world.oracle.calm_since = Some(world.now);
                    }
                }
            }
        });
    }

    /// Mends everything: the last fault is over when this returns.
    async fn heal(&mut self) {
        self.world.step(|world| {
            world.faults = Faults::default();
            let now = world.now;
            for facts in &mut world.replicas {
                facts.paused_until = facts.paused_until.min(now);
                facts.cut_until = facts.cut_until.min(now);
            }
            for server in &mut world.servers {
                server.down_until = server.down_until.min(now);
            }
            world.rough_until = world.rough_until.min(now);
            world.note(|| "mended".to_owned());
        });
        // Pauses that were cut short, and requests under way.
        tokio::time::sleep(Duration::from_millis(PAUSE_STEP)).await;
        while self.world.step(|world| world.slow_calls) > 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        for replica in 0..self.processes.len() {
            let behind = self
                .world
                .step(|world| world.replicas[replica].revoked != self.revoked);
            if self.processes[replica].is_some() && behind {
                self.end_process(replica, true).await;
            }
            if self.processes[replica].is_none() {
                self.start(replica);
            }
        }
        let revoked = self.revoked.clone();
        self.world.step(|world| {
            let now = world.now;
            for nth in revoked {
                world.oracle.revoked(now, nth, true);
            }
            // An administrator clears away what another cluster put there.
            for path in [JWKS, DISCOVERY] {
                if world.objects.get(path).is_some_and(|object| object.by.is_none()) {
                    world.meddle_with_object("cleared away", path, None);
                }
            }
        });
        let leader = (0..self.processes.len()).find(|replica| {
            self.processes[*replica]
                .as_ref()
                .is_some_and(|process| *process.leading.borrow())
        });
        self.elect(leader.unwrap_or(0));
        self.world.step(|world| {
            world.oracle.calm_since = Some(world.now);
            world.note(|| "calm".to_owned());
        });
    }

    async fn storm(&mut self) {
        let rough = self.rng.u8(..3) > 0;
        if rough {
            let mut rate = |most: f64| {
                if self.rng.bool() {
                    self.rng.f64() * most
                } else {
                    0.0
                }
            };
            let faults = Faults {
                source: rate(0.4),
                state_before: rate(0.3),
                state_after: rate(0.3),
                store_before: rate(0.4),
                store_after: rate(0.4),
                store_stale: rate(0.3),
                pause: rate(0.05),
                slow: rate(0.2),
                slow_ms: 0,
                ..Faults::default()
            };
            let slow_ms = self.rng_ms(500, 40_000);
            self.world.step(|world| {
                world.faults = Faults { slow_ms, ..faults };
                world.rough_until = Ms::MAX / 2;
                world.note(|| format!("storm {faults:?}"));
            });
        }
        let end = self.world.now() + self.rng_ms(5_000, 120_000);
        let pace = self.rng_ms(500, 12_000);
        while self.world.now() < end && !self.failed() {
            let pause = self.rng_ms(1, pace);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.event(rough).await;
        }
    }

    async fn event(&mut self, rough: bool) {
        let replica = self.rng.usize(..self.processes.len());
        let duration = self.rng_ms(500, 45_000);
        match self.rng.u8(..if rough { 24 } else { 14 }) {
            0..=3 => self.roll_a_key(),
            4 => self.elect(replica),
            5 => {
                let leads = self.rng.bool();
                self.lead(replica, leads);
            }
            6 | 7 => {
                let orderly = self.rng.bool();
                self.end_process(replica, orderly).await;
            }
            8 | 9 => {
                if self.processes[replica].is_none() {
                    self.start(replica);
                    let leads = self.rng.bool();
                    self.lead(replica, leads);
                }
            }
            10 => self.meddle_with_state(),
            11 | 12 => self.meddle_with_objects(),
            13 => self.revoke(),
            14 | 15 => self.world.step(|world| {
                world.replicas[replica].paused_until = world.now + duration;
                world.note(|| format!("replica {replica} is paused for {duration} ms"));
            }),
            16 => self.world.step(|world| {
                world.replicas[replica].cut_until = world.now + duration;
                world.note(|| format!("replica {replica} is cut off for {duration} ms"));
            }),
            17 => self.world.step(|world| {
                world.faults.store_out_until = world.now + duration;
                world.note(|| format!("the documents' store is out for {duration} ms"));
            }),
            18 => self.world.step(|world| {
                world.faults.state_out_until = world.now + duration;
                world.note(|| format!("the state's store is out for {duration} ms"));
            }),
            19 | 20 => {
                let server = self.rng.usize(..self.world.step(|world| world.servers.len()));
                self.world.step(|world| {
                    world.servers[server].down_until = world.now + duration;
                    world.note(|| format!("server {server} is down for {duration} ms"));
                });
            }
            21 => self.draw_skews(),
            22 => self.lead(replica, true),
            _ => self.meddle_with_state(),
        }
    }

    /// I6: converges after the last fault, and then nothing is written but what retentions make necessary.
    async fn end(&mut self) {
        self.world.step(|world| {
            let keys: BTreeSet<usize> = world.served();
            for server in 0..world.servers.len() {
                world.servers[server].skew_ms = 0;
                world.set_keys(server, keys.clone());
            }
            for facts in &mut world.replicas {
                facts.skew_ms = 0;
            }
        });
        self.heal().await;
        let window = self.world.step(|world| world.oracle.window);
        self.pass(window + 1000).await;
        self.check_converged("two periods and a lease after the last fault")
            .await;
        // Retentions, begun at the latest now, end.
        self.pass(self.retention + 3 * PERIOD).await;
        let before = self.world.step(|world| {
            let settled = world.oracle.settled();
            let public: BTreeSet<String> = world
                .objects
                .get(JWKS)
                .and_then(|object| super::world::jwks_kids(&object.bytes))
                .unwrap_or_default()
                .into_iter()
                .collect();
            if public != settled {
                let now = world.now;
                world.oracle.violations.push(format!(
                    "at {now} ms: I6: public in the end {public:?}, should be {settled:?}"
                ));
            }
            world.counts
        });
        self.check_converged("after all retentions").await;
        self.pass(6 * PERIOD).await;
        self.world.step(|world| {
            let after = world.counts;
            if (before.saves, before.writes) != (after.saves, after.writes) {
                world.oracle.violations.push(format!(
                    "I6: writes go on in the steady state: {before:?} {after:?}"
                ));
            }
        });
    }

    /// So much calm.
    async fn pass(&self, length: Ms) {
        let begun = self.world.now();
        let end = || begun.max(self.world.step(|world| world.oracle.calm_since).unwrap_or(begun)) + length;
        while self.world.now() < end() && !self.failed() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.sample();
        }
    }

    /// The sink holds the stored state's documents; or a retention ends just now, and it soon does.
    async fn check_converged(&self, when: &str) {
        let differs = || {
            self.world.step(|world| {
                let Some(stored) = &world.stored else {
                    return Some("the state is missing");
                };
                let is_there = |path, bytes: &str| {
                    world
                        .objects
                        .get(path)
                        .is_some_and(|object| object.bytes == bytes.as_bytes() && object.by.is_some())
                };
                match (
                    is_there(JWKS, &stored.entries[1]),
                    is_there(DISCOVERY, &stored.entries[0]),
                ) {
                    (false, _) => Some("the key set is not the state's"),
                    (_, false) => Some("the discovery document is not the state's"),
                    _ => None,
                }
            })
        };
        for _ in 0..20 {
            if differs().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if let Some(what) = differs() {
            self.world.step(|world| {
                let now = world.now;
                world
                    .oracle
                    .violations
                    .push(format!("at {now} ms: I6: {what} {when}"));
            });
        }
    }
}

/// Writes what a replica tells into the trace.
struct Told {
    world: Arc<World>,
    life: Life,
}

impl Observer for Told {
    fn notice(&self, notice: &Notice<'_>) {
        if matches!(notice, Notice::Published { published, .. } if published.written.is_empty())
            || matches!(
                notice,
                Notice::Finding { .. } | Notice::ReadBack { .. } | Notice::Polled { .. }
            )
        {
            return;
        }
        let life = self.life;
        self.world.step(|world| {
            world.note(|| {
                let mut text = format!("{life:?} {notice:?}");
                text.truncate(300);
                text
            });
        });
    }
}
