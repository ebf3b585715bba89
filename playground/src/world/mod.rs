//! [`World`]: the real processes, and the tasks that drive and watch them.
//!
//! Three actors own the processes and take orders one after the other: the control plane, the bucket and
//! the controllers. So the leader can be killed while keys roll. Everything else only looks. The harness
//! panics where something cannot be had; each of these panics ends a task, and with it the playground.

mod bucket;
mod control_plane;
mod eyes;
mod follow;
mod guide;
mod pods;
mod replicas;

use std::sync::Arc;
use std::time::Duration;

use kubeassume_tests::{ApiServer, ApiServerConfig, SigningKey, StaticUser, Testbed};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::bucket::BucketActor;
use self::control_plane::ControlPlane;
use self::eyes::Eyes;
use self::replicas::Replicas;
use crate::event::{About, Bucket, Command, Event, KeyId};
use crate::out;

pub(crate) use self::guide::lines;
pub(crate) use self::pods::PARTIES;

/// The audience of the pods' tokens.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
/// Where `deploy/` puts the controllers, and their ServiceAccount.
const NAMESPACE: &str = "kubeassume-system";
const ACCOUNT: &str = "kubeassume";

/// Where everything tells what happens.
#[derive(Clone)]
pub(crate) struct Tell(mpsc::UnboundedSender<Event>);

impl Tell {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Nobody listens any more when the playground is about to end.
    fn event(&self, event: Event) {
        let _ = self.0.send(event);
    }

    fn warn(&self, text: String) {
        self.event(Event::Remark { text, warning: true });
    }
}

/// What may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long a dropped key stays public.
    pub(crate) overlap: Duration,
    /// How long a pod uses a token.
    pub(crate) hold: Duration,
}

/// Everything that runs. It ends when this is dropped with the runtime, or by [`end`](Self::end).
pub(crate) struct World {
    pub(crate) about: About,
    keys: mpsc::UnboundedSender<Command>,
    bucket: mpsc::UnboundedSender<Bucket>,
    kills: mpsc::UnboundedSender<()>,
    /// All on one thread: what waits for a condition in the harness cannot move between threads.
    tasks: JoinSet<()>,
}

impl World {
    /// Starts everything, and returns when the first keys are public.
    ///
    /// # Panics
    /// A server cannot be had or does not start; the message says why.
    pub(crate) async fn start(bed: Arc<Testbed>, settings: Settings, tell: Tell) -> Self {
        let account = StaticUser::service_account(NAMESPACE, ACCOUNT);
        out::step("etcd and the S3 server start");
        let (gateway, etcd) = tokio::join!(bed.versitygw(), bed.etcd());
        gateway.public_bucket(bucket::BUCKET, &bucket::KEYS).await;
        let issuer = format!("{}/{}/{}", gateway.url(), bucket::BUCKET, bucket::PREFIX);

        out::step("two API servers start");
        let key = SigningKey::rsa();
        let config = ApiServerConfig {
            audiences: vec![issuer.clone(), AUDIENCE.to_owned()],
            users: vec![account.clone()],
            ..ApiServerConfig::new(&etcd, &issuer, &key)
        };
        let servers: [ApiServer; 2] =
            tokio::join!(bed.api_server(config.clone()), bed.api_server(config)).into();
        pods::create(&servers[0]).await;
        guide::apply_deploy(&bed, &servers[0]).await;

        out::step("two controllers start");
        let mut replicas = Replicas::start(&bed, settings.overlap, &issuer, &gateway, &servers, &account);
        let (leader, leads) = watch::channel(None);
        let eyes = Eyes::new(&bed, &issuer, &servers, settings.overlap, leader);
        eyes.first_publication(&mut replicas).await;

        out::step("the relying parties start");
        let (readable, reads) = watch::channel(true);
        let parties = pods::parties(&bed, &issuer).await;
        let about = guide::write(&bed, &issuer, gateway.url(), settings, &servers).await;

        let mut tasks = JoinSet::new();
        let (bucket, bucket_orders) = mpsc::unbounded_channel();
        let (keys, key_orders) = mpsc::unbounded_channel();
        let (kills, kill_orders) = mpsc::unbounded_channel();
        tasks.spawn_local(follow::puts(gateway.log_file().to_owned(), tell.clone()));
        for (nth, log) in replicas.logs().into_iter().enumerate() {
            tasks.spawn_local(follow::controller(nth, log, tell.clone()));
        }
        pods::run(&mut tasks, &servers, parties, settings.hold, &reads, &tell);
        tasks.spawn_local(eyes.run(tell.clone()));
        tasks.spawn_local(BucketActor::new(gateway, readable, tell.clone()).run(bucket_orders));
        tasks.spawn_local(replicas.run(kill_orders, leads, tell.clone()));
        tasks.spawn_local(ControlPlane::new(servers, key, etcd, tell).run(key_orders));
        Self {
            about,
            keys,
            bucket,
            kills,
            tasks,
        }
    }

    /// Hands an order to whom it concerns; it may have to wait for its turn.
    pub(crate) fn order(&self, command: Command) {
        // An actor that is gone has panicked, which ends everything.
        let _ = match command {
            Command::Stage | Command::Switch(_) | Command::Drop(_) => self.keys.send(command).is_ok(),
            Command::Bucket(bucket) => self.bucket.send(bucket).is_ok(),
            Command::KillLeader => self.kills.send(()).is_ok(),
        };
    }

    /// Resolves when a part of it fails; none ends otherwise.
    pub(crate) async fn failed(&mut self) {
        self.tasks.join_next().await;
    }

    /// Ends every process.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The first key.
const FIRST: KeyId = KeyId(0);
