//! The whole world of one test: a cluster, a bucket, replicas of the controller and relying parties.

use std::fs;
use std::time::Duration;

use kubeassume_tests::{
    ApiServer, ApiServerConfig, Etcd, Replica, SigningKey, Testbed, Versitygw, trust_issuer, until,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::LIMIT;
use crate::book::Book;
use crate::bucket::{BOTH, BUCKET, Bucket, PREFIX};
use crate::cluster::Cluster;
use crate::traffic::{AUDIENCE, Party, Traffic};
use crate::watch::Watch;

/// How long relying parties may keep a document, in seconds.
pub(crate) const CACHE_MAX_AGE: u64 = 2;

/// Worlds at a time: each has API servers of 280 MB and keeps a core busy while it starts.
pub(crate) static ROOM: Semaphore = Semaphore::const_new(2);

/// Everything of one test; what is declared first ends first.
pub(crate) struct World {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) cluster: Cluster,
    pub(crate) bucket: Bucket,
    pub(crate) gateway: Versitygw,
    pub(crate) book: Book,
    pub(crate) etcd: Etcd,
    pub(crate) overlap: Duration,
    pub(crate) bed: Testbed,
    _room: SemaphorePermit<'static>,
}

impl World {
    /// A cluster of so many API servers with `deploy/` applied, an empty bucket, and two replicas that do
    /// not run yet. A vanished key stays public for `overlap`.
    pub(crate) async fn new(name: &str, servers: usize, overlap: Duration) -> Self {
        let room = ROOM.acquire().await.unwrap();
        let bed = Testbed::new(name);
        let (gateway, etcd) = tokio::join!(bed.versitygw(), bed.etcd());
        let bucket = Bucket::create(&gateway, bed.http()).await;
        let (issuer, book) = (bucket.issuer(), Book::new(overlap));
        let cluster = Cluster::start(&bed, &etcd, "/registry", servers, &bucket.public, &book).await;
        let mut world = Self {
            replicas: Vec::new(),
            cluster,
            bucket,
            gateway,
            book,
            etcd,
            overlap,
            bed,
            _room: room,
        };
        world.replicas = (0..2)
            .map(|nth| world.replica(&world.cluster, &format!("kubeassume-{nth}"), nth, &issuer))
            .collect();
        world
    }

    /// A world with both replicas running and the first keys public.
    pub(crate) async fn running(name: &str, servers: usize, overlap: Duration) -> Self {
        let mut world = Self::new(name, servers, overlap).await;
        world.start_replicas();
        world.cluster.is_public(&world.cluster.key).await;
        world.cluster.is_public(&world.cluster.bootstrap).await;
        world.all_answer("/verifiedz", 200).await;
        world
    }

    /// A replica for a cluster, through one of its API servers.
    pub(crate) fn replica(&self, cluster: &Cluster, name: &str, nth: usize, issuer: &str) -> Replica {
        let config = self.bed.path().join(format!("{name}.yaml"));
        fs::write(&config, self.config(cluster, issuer)).unwrap();
        let server = &cluster.servers[nth % cluster.servers.len()];
        let kubeconfig = server.kubeconfig(name, &cluster.token);
        Replica::new(&self.bed, name, &config, &kubeconfig, &self.gateway.environment())
    }

    /// Starts every replica that does not run.
    pub(crate) fn start_replicas(&mut self) {
        let idle = self.replicas.iter_mut().filter(|replica| !replica.runs());
        idle.for_each(Replica::start);
    }

    /// Waits until a health check of every replica answers this status.
    pub(crate) async fn all_answer(&self, path: &str, status: u16) {
        for replica in &self.replicas {
            replica.answers(path, status).await;
        }
    }

    /// Which replica leads.
    pub(crate) async fn leader(&self) -> usize {
        self.cluster.view.leader(&self.replicas).await
    }

    /// Successful PUTs so far: of the key set, of the discovery document.
    pub(crate) fn writes(&self) -> [usize; 2] {
        BOTH.map(|key| self.gateway.successful_puts(&format!("{BUCKET}/{key}")))
    }

    /// Lets every running replica go through so many periods more.
    pub(crate) async fn periods(&self, more: u32) {
        periods(&self.replicas, more).await;
    }

    /// Holds the bucket against what must always be true of it.
    pub(crate) fn watch(&self) -> Watch {
        Watch::start(&self.bucket, &self.book)
    }

    /// Pods and the three relying parties, in the background.
    pub(crate) async fn traffic(&self) -> Traffic {
        let issuers = self.cluster.servers.iter().map(ApiServer::client).collect();
        Traffic::start(issuers, self.parties().await, &self.book)
    }

    /// The relying parties, of which none shares code with the product; the documents must be public.
    pub(crate) async fn parties(&self) -> Vec<(&'static str, Party)> {
        let issuer = self.bucket.issuer();
        let remembering = self.bed.relying_party(&issuer, AUDIENCE).await;
        let fresh = self.bed.fresh_relying_party(&issuer, AUDIENCE).await;
        vec![
            ("go-oidc", Party::Library(Box::new(remembering))),
            ("go-oidc without memory", Party::Library(Box::new(fresh))),
            (
                "another cluster",
                Party::Cluster(Box::new(self.trusting_cluster().await)),
            ),
        ]
    }

    /// Another cluster's API server that trusts the issuer, once it accepts a pod's token.
    async fn trusting_cluster(&self) -> ApiServer {
        let (issuer, ca) = (self.bucket.issuer(), self.bed.pki().ca_pem());
        let config = ApiServerConfig {
            etcd_prefix: "/remote".to_owned(),
            authentication: Some(trust_issuer(&issuer, AUDIENCE, ca)),
            ..ApiServerConfig::new(&self.etcd, "https://remote.example", &SigningKey::p256())
        };
        let server = self.bed.api_server(config).await;
        let token = self.cluster.pod_token().await;
        // It discovers the issuers that it trusts in the background.
        until("the other cluster to trust the issuer", LIMIT, async || {
            server
                .who_is(&token)
                .await
                .map_err(|status| format!("HTTP {status}"))
        })
        .await;
        server
    }

    /// The configuration file, with everything fast.
    fn config(&self, cluster: &Cluster, issuer: &str) -> String {
        let endpoints: Vec<String> = cluster.servers.iter().map(ApiServer::url).collect();
        format!(
            "issuer: {issuer}
source: {{endpoints: {endpoints:?}}}
publisher:
  type: s3
  cacheMaxAge: {CACHE_MAX_AGE}s
  s3: {{bucket: {BUCKET}, region: {region}, endpoint: \"{url}\", forcePathStyle: true, prefix: {PREFIX}}}
tls: {{caFile: {ca:?}}}
controller:
  syncPeriod: 1s
  rotation: {{overlapPeriod: {overlap}s}}
  leaderElection: {{leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 500ms}}
",
            region = self.gateway.region(),
            // Where the bucket is by the issuer's own words.
            url = issuer.split(&format!("/{BUCKET}/")).next().unwrap(),
            ca = self.bed.pki().ca_file(),
            overlap = self.overlap.as_secs(),
        )
    }
}

/// Lets every replica that runs go through so many periods more, with every sink.
pub(crate) async fn periods(replicas: &[Replica], more: u32) {
    let done = &[("status", "success")];
    let running = || replicas.iter().filter(|replica| replica.runs());
    let mut goals = Vec::new();
    for replica in running() {
        goals.push(replica.metrics().await.unwrap().sum(SYNCS, done) + f64::from(more));
    }
    for (replica, goal) in running().zip(goals) {
        replica.counts(SYNCS, done, goal).await;
    }
}

/// Counts the rounds of a replica: compare, write if needed, read back.
const SYNCS: &str = "kubeassume_sync_total";
