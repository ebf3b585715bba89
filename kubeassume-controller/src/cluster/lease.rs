//! [`Lease`]: the election, played on Lease `kubeassume-leader`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use kubeassume_core::Clock;
use kubeassume_core::clock::Jitter;
use tokio::sync::watch;

use super::{Attempt, Election, Record, Timing};

/// The name of the Lease.
pub const LEASE: &str = "kubeassume-leader";

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A candidate for leadership in a cluster.
///
/// Needs `get` and `update` on that one Lease and `create` on leases in the namespace. While the API is
/// unreachable it reports the loss when `renew_deadline` is over, not later.
pub struct Lease {
    api: Api<LeaseObject>,
    namespace: String,
    identity: String,
    timing: Timing,
    clock: Arc<dyn Clock>,
    jitter: Jitter,
    election: Election,
    /// The object as it was read or written last: what others put there stays.
    object: LeaseObject,
    leading: watch::Sender<bool>,
    failing: bool,
}

impl Lease {
    /// A candidate. No two processes may have the same identity; a pod's name serves.
    pub fn new(
        client: Client,
        namespace: &str,
        identity: &str,
        timing: Timing,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            timing,
            clock,
            jitter: Jitter::new(seed),
            election: Election::new(identity, timing),
            object: LeaseObject::default(),
            leading: watch::Sender::new(false),
            failing: false,
        }
    }

    /// Whether this process leads.
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Takes part until `shutdown` resolves, then gives the Lease up, so that others need not wait.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let clock = self.clock.clone();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // Not cut short by the shutdown: a write whose outcome is unknown could not be given up.
            self.turn().await;
            let pause = self.pause();
            tokio::select! {
                () = &mut shutdown => break,
                () = clock.sleep(pause) => {}
            }
            self.tell();
        }
        self.leading.send_replace(false);
        if self.election.is_holder() {
            self.release().await;
        }
    }

    async fn turn(&mut self) {
        match self.attempt().await {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.election.failed();
                if !self.failing {
                    tracing::warn!(%error, lease = LEASE, namespace = self.namespace, "no part in the election");
                }
                self.failing = true;
            }
        }
        self.tell();
    }

    async fn attempt(&mut self) -> Result<(), String> {
        let attempt = match self.election.renewal() {
            Some(attempt) => attempt,
            None => {
                let read = self.within("get", self.api.get_opt(LEASE)).await?;
                let record = read.as_ref().map(|object| self.record(object));
                self.object = read.unwrap_or_default();
                self.election.read(record, self.clock.monotonic())
            }
        };
        let begun = self.clock.monotonic();
        let params = PostParams::default();
        let written = match attempt {
            Attempt::Wait => return Ok(()),
            Attempt::Create => {
                let object = self.ours(0, false);
                self.within("create", self.api.create(&params, &object)).await?
            }
            Attempt::Replace {
                transitions, renewal, ..
            } => {
                let object = self.ours(transitions, renewal);
                self.within("update", self.api.replace(LEASE, &params, &object))
                    .await?
            }
        };
        self.election.wrote(self.record(&written), begun);
        self.object = written;
        Ok(())
    }

    /// Our record in the object that was read last, whose `resourceVersion` makes it a compare-and-swap.
    fn ours(&self, transitions: i32, renewal: bool) -> LeaseObject {
        let now = MicroTime(self.clock.now());
        let mut object = self.object.clone();
        object.metadata.name = Some(LEASE.to_owned());
        let spec = object.spec.get_or_insert_default();
        if !renewal {
            spec.acquire_time = Some(now.clone());
        }
        spec.renew_time = Some(now);
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(seconds(self.timing.lease_duration));
        spec.lease_transitions = Some(transitions);
        object
    }

    /// Gives the Lease up. If the last write's outcome is unknown, the object may have moved on: once more
    /// with what is there.
    async fn release(&mut self) {
        for _ in 0..2 {
            let mut object = self.object.clone();
            let spec = object.spec.get_or_insert_default();
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(self.clock.now()));
            let params = PostParams::default();
            match self
                .within("update", self.api.replace(LEASE, &params, &object))
                .await
            {
                Ok(_) => return tracing::info!(lease = LEASE, "gave the Lease up"),
                Err(error) => tracing::debug!(%error, lease = LEASE, "not given up yet"),
            }
            match self.within("get", self.api.get_opt(LEASE)).await {
                Ok(Some(object)) if self.record(&object).holder.as_ref() == Some(&self.identity) => {
                    self.object = object;
                }
                _ => return,
            }
        }
    }

    /// Tells others when that changes.
    fn tell(&self) {
        let leads = self.election.is_leading(self.clock.monotonic());
        self.leading
            .send_if_modified(|leading| std::mem::replace(leading, leads) != leads);
    }

    /// Until the next turn, or until the loss must be told.
    fn pause(&mut self) -> Duration {
        let pause = self.timing.retry_period + self.jitter.up_to(self.timing.retry_period / 5);
        let now = self.clock.monotonic();
        match self.election.leads_until().map(|end| end.saturating_sub(now)) {
            Some(left) if !left.is_zero() => pause.min(left),
            _ => pause,
        }
    }

    /// Waits for a request no longer than leadership lasts without its success.
    async fn within<T>(
        &self,
        verb: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, String> {
        let now = self.clock.monotonic();
        let patience = match self.election.leads_until().map(|end| end.saturating_sub(now)) {
            Some(left) if !left.is_zero() => left.min(REQUEST_TIMEOUT),
            _ => REQUEST_TIMEOUT,
        };
        tokio::select! {
            result = request => result.map_err(|error| match error {
                kube::Error::Api(status) => format!("{verb} leases {LEASE:?}: {}", status.message),
                error => format!("{verb} leases {LEASE:?}: {error}"),
            }),
            () = self.clock.sleep(patience) => Err(format!("{verb} leases {LEASE:?}: no answer within {patience:?}")),
        }
    }

    fn record(&self, object: &LeaseObject) -> Record {
        let empty = LeaseSpec::default();
        let spec = object.spec.as_ref().unwrap_or(&empty);
        let lease_duration = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        Record {
            holder: spec.holder_identity.clone().filter(|holder| !holder.is_empty()),
            lease_duration: lease_duration.map_or(self.timing.lease_duration, Duration::from_secs),
            transitions: spec.lease_transitions.unwrap_or_default(),
            version: object.resource_version().unwrap_or_default(),
        }
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).max(1)
}
