//! The two controllers, as processes that come back when they die.

use std::path::PathBuf;
use std::time::Duration;

use kubeassume_tests::{
    ApiServer, Binary, Launch, Process, StaticUser, Testbed, Versitygw, binary, free_port,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{NAMESPACE, Tell, bucket};
use crate::event::{Event, REPLICAS, Standing};
use crate::model::replica_name;

/// As a kubelet would, after a while: longer than the Lease, so that another one leads by then.
const BACK_AFTER: Duration = Duration::from_secs(12);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long relying parties may keep a document, in seconds.
const CACHE_MAX_AGE: u64 = 2;

/// Both of them.
pub(super) struct Replicas {
    replicas: Vec<Replica>,
    http: reqwest::Client,
}

struct Replica {
    name: String,
    config: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
    health: u16,
    metrics: u16,
    process: Option<Process>,
    /// When it comes back.
    back: Instant,
}

impl Replicas {
    /// Starts them, each through an API server of its own.
    pub(super) fn start(
        bed: &Testbed,
        overlap: Duration,
        issuer: &str,
        gateway: &Versitygw,
        servers: &[ApiServer],
        account: &StaticUser,
    ) -> Self {
        let config = bed.path().join("kubeassume.yaml");
        let text = configuration(bed, overlap, issuer, gateway, servers);
        std::fs::write(&config, text).expect("the controllers' configuration can be written");
        let replica = |nth: usize| {
            let name = replica_name(nth);
            let mut replica = Replica {
                config: config.clone(),
                kubeconfig: servers[nth % servers.len()].kubeconfig(&name, &account.token),
                log: bed.path().join(format!("{name}.log")),
                environment: environment(&name, gateway),
                health: free_port(),
                metrics: free_port(),
                process: None,
                back: Instant::now(),
                name,
            };
            replica.start();
            replica
        };
        Self {
            replicas: (0..REPLICAS).map(replica).collect(),
            http: bed.http(),
        }
    }

    /// # Panics
    /// One of them has ended.
    pub(super) fn must_run(&mut self) {
        for replica in &mut self.replicas {
            if let Some(process) = &mut replica.process {
                assert!(
                    process.ended().is_none(),
                    "{} ended while starting; {}",
                    replica.name,
                    process.log_tail()
                );
            }
        }
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        self.replicas.iter().map(|replica| replica.log.clone()).collect()
    }

    /// Looks after them for ever, and kills whoever leads when told.
    pub(super) async fn run(
        mut self,
        mut kills: mpsc::UnboundedReceiver<()>,
        leader: watch::Receiver<Option<String>>,
        tell: Tell,
    ) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                kill = kills.recv() => match kill {
                    None => return,
                    Some(()) => {
                        let name = leader.borrow().clone();
                        self.kill(name, &tell).await;
                    }
                },
                _ = look.tick() => {}
            }
            for (nth, replica) in self.replicas.iter_mut().enumerate() {
                replica.look_after(&tell);
                let standing = replica.standing(&self.http).await;
                tell.event(Event::Replica { nth, standing });
            }
        }
    }

    async fn kill(&mut self, name: Option<String>, tell: &Tell) {
        let leads =
            |replica: &&mut Replica| replica.process.is_some() && Some(&replica.name) == name.as_ref();
        match self.replicas.iter_mut().find(leads) {
            Some(replica) => {
                if let Some(mut process) = replica.process.take() {
                    process.kill().await;
                }
                replica.back = Instant::now() + BACK_AFTER;
            }
            None => tell.warn("nobody leads that could be killed".to_owned()),
        }
    }
}

impl Replica {
    fn start(&mut self) {
        let launch = Launch::new(&self.name, binary(Binary::Controller), &self.log)
            .args(["run", "--config"])
            .arg(&self.config)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--health-listen", &format!("127.0.0.1:{}", self.health)])
            .args(["--metrics-listen", &format!("127.0.0.1:{}", self.metrics)]);
        let launch = self
            .environment
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        self.process = Some(launch.start());
    }

    /// Starts it again when its time has come.
    fn look_after(&mut self, tell: &Tell) {
        if let Some(status) = self.process.as_mut().and_then(Process::ended) {
            tell.warn(format!("{} ended by itself: {status}", self.name));
            self.process = None;
            self.back = Instant::now() + BACK_AFTER;
        }
        if self.process.is_none() && Instant::now() >= self.back {
            self.start();
        }
    }

    async fn standing(&self, http: &reqwest::Client) -> Standing {
        if self.process.is_none() {
            return Standing::Gone;
        }
        let url = format!("http://127.0.0.1:{}/verifiedz", self.health);
        match http.get(url).timeout(LOOK).send().await {
            Ok(response) if response.status().is_success() => Standing::Verified,
            _ => Standing::Unverified,
        }
    }
}

/// Everything fast, so that a rotation takes minutes. The Lease survives the restart of an API server.
fn configuration(
    bed: &Testbed,
    overlap: Duration,
    issuer: &str,
    gateway: &Versitygw,
    servers: &[ApiServer],
) -> String {
    let endpoints: Vec<String> = servers.iter().map(ApiServer::url).collect();
    format!(
        "issuer: {issuer}
source: {{endpoints: {endpoints:?}}}
publisher:
  type: s3
  cacheMaxAge: {CACHE_MAX_AGE}s
  s3: {{bucket: {name}, region: {region}, endpoint: \"{url}\", forcePathStyle: true, prefix: {prefix}}}
tls: {{caFile: {ca:?}}}
controller:
  syncPeriod: 1s
  rotation: {{overlapPeriod: {overlap}s}}
  leaderElection: {{leaseDuration: 8s, renewDeadline: 6s, retryPeriod: 1s}}
",
        name = bucket::BUCKET,
        prefix = bucket::PREFIX,
        region = gateway.region(),
        url = gateway.url(),
        ca = bed.pki().ca_file(),
        overlap = overlap.as_secs(),
    )
}

/// What the SDK's own credential chain finds; nothing of the machine's.
fn environment(name: &str, gateway: &Versitygw) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", gateway.access_key().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", gateway.secret_key().to_owned()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("POD_NAME", name.to_owned()),
        ("POD_NAMESPACE", NAMESPACE.to_owned()),
        ("RUST_LOG", "info,kube_client::client::builder=off".to_owned()),
    ]
}
