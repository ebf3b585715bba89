//! `run`: puts the parts together and keeps them going.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::clock::SystemClock;
use kubeassume_core::kube::{self, ConfigMapStore};
use kubeassume_core::{Clock, Health, Owner, Publisher};
use kubeassume_publishers::endpoint::Server;
use rustls::crypto::aws_lc_rs;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::{Failure, Run};
use crate::cluster::{Events, Lease, Timing};
use crate::config::Config;
use crate::http::{self, Reply, Routes};
use crate::{
    Controller, Log, METRICS_CONTENT_TYPE, Metrics, Notice, Observer, Parts, Settings, Status, wiring,
};

/// How long followers let the leader write first, on average.
const FOLLOWER_GRACE: Duration = Duration::from_secs(2);

/// How long giving up the Lease may take; others wait no longer than its duration anyhow.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(run: Run, config: Config) -> Result<(), Failure> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let cluster = kube::load_config(run.kubeconfig.as_deref(), None)
        .await
        .map_err(Failure::running)?;
    let client = kube::client(&cluster).map_err(Failure::running)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let seed = random()? as u64;
    let identity = match &run.identity {
        Some(identity) => identity.clone(),
        None => format!("kubeassume-{:016x}", random()? as u64),
    };

    let publishers = wiring::publishers(&config, clock.clone(), seed, run.take_over)
        .await
        .map_err(Failure::running)?;
    let (events, writer) = Events::new(client.clone(), &run.namespace, &identity, clock.clone());
    let named: Vec<_> = publishers.iter().map(|p| (p.kind(), p.location())).collect();
    let metrics = Arc::new(Metrics::new(&named, clock.clone()));
    let parts = Parts {
        issuer: config.issuer.clone(),
        source: wiring::source(&config, &cluster).map_err(Failure::running)?,
        state: Arc::new(ConfigMapStore::new(
            client.clone(),
            &run.namespace,
            config.issuer.clone(),
        )),
        publishers: publishers.clone(),
        clock: clock.clone(),
        observer: Arc::new(All(vec![
            Box::new(Log),
            Box::new(events),
            Box::new(metrics.clone()),
        ])),
    };
    let controller = Controller::new(parts, settings(&run, &config, seed)?);
    let election = config.leader_election;
    let timing = Timing {
        lease_duration: election.lease_duration,
        renew_deadline: election.renew_deadline,
        retry_period: election.retry_period,
    };
    let lease = Lease::new(client, &run.namespace, &identity, timing, clock.clone(), seed);

    let _servers = serve(&run, &config, controller.status(), metrics, clock).await?;
    tokio::spawn(writer.run());
    for publisher in publishers {
        tokio::spawn(validate(publisher));
    }
    tracing::info!(issuer = %config.issuer, namespace = run.namespace, identity, "started");

    let mut stopped = false;
    let leading = lease.leading();
    let (stop_lease, lease_stopped) = oneshot::channel::<()>();
    let lease = tokio::spawn(lease.run(async {
        let _ = lease_stopped.await;
    }));
    let shutdown = shutdown()?;
    controller
        .run(leading, async {
            shutdown.await;
            stopped = true;
        })
        .await;
    // Only now: nobody else should lead while this replica may still save.
    let _ = stop_lease.send(());
    let _ = tokio::time::timeout(RELEASE_TIMEOUT, lease).await;
    match stopped {
        true => Ok(()),
        false => Err(Failure::running("a loop of the controller ended; see the log")),
    }
}

fn settings(run: &Run, config: &Config, seed: u64) -> Result<Settings, Failure> {
    Ok(Settings {
        sync_period: config.sync_period,
        policy: config.policy(),
        headers: config.headers(),
        lease_duration: config.leader_election.lease_duration,
        renew_deadline: config.leader_election.renew_deadline,
        follower_grace: FOLLOWER_GRACE.min(config.sync_period / 4),
        take_over: run.take_over,
        owner: Owner::from_random(random()?),
        seed,
    })
}

/// Tells early what would otherwise show at the first rotation: a missing permission to write.
async fn validate(publisher: Arc<dyn Publisher>) {
    let location = publisher.location();
    match publisher.validate().await {
        Ok(()) => tracing::info!(location, "the publisher can write"),
        Err(error) => tracing::warn!(location, %error, "the publisher may not be able to write"),
    }
    for warning in publisher.warnings().await {
        tracing::warn!(location, "{warning}");
    }
}

async fn serve(
    run: &Run,
    config: &Config,
    status: watch::Receiver<Status>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
) -> Result<Vec<Server>, Failure> {
    let period = config.sync_period;
    // A copy that caches may still hold is only verified once their time is over.
    let allowed = period * 3 + config.cache_max_age;
    let read = status.clone();
    let health: Routes = Arc::new(move |path| {
        let now = clock.monotonic();
        match path {
            "/healthz" => Some(Health::Ok.into()),
            "/readyz" => Some(status.borrow().readiness(now, period).into()),
            "/verifiedz" => Some(status.borrow().verified(now, allowed).into()),
            _ => None,
        }
    });
    let numbers: Routes = Arc::new(move |path| {
        (path == "/metrics").then(|| Reply {
            status: ::http::StatusCode::OK,
            content_type: METRICS_CONTENT_TYPE,
            body: metrics.encode(&read.borrow().clone()),
        })
    });
    if run.health_listen == run.metrics_listen {
        let both: Routes = Arc::new(move |path| health(path).or_else(|| numbers(path)));
        let listener = http::listen(run.health_listen).await.map_err(Failure::running)?;
        return Ok(vec![http::serve(listener, both)]);
    }
    let mut servers = Vec::new();
    for (address, routes) in [(run.health_listen, health), (run.metrics_listen, numbers)] {
        let listener = http::listen(address).await.map_err(Failure::running)?;
        servers.push(http::serve(listener, routes));
    }
    Ok(servers)
}

/// Resolves at SIGTERM or SIGINT.
fn shutdown() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::running)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::running)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// From the operating system: owners of different clusters must differ.
fn random() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Failure::running("the system has no random numbers"))?;
    Ok(u128::from_le_bytes(bytes))
}

/// Tells several.
struct All(Vec<Box<dyn Observer>>);

impl Observer for All {
    fn notice(&self, notice: &Notice<'_>) {
        for observer in &self.0 {
            observer.notice(notice);
        }
    }
}
