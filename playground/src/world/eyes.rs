//! Looks at the ConfigMap, the Lease and the public key set, twice a second.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Resource};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::rotation;
use kubeassume_core::{
    Clock as _, IssuerUrl, Retention, SNAPSHOT_ENTRIES, Snapshot, State, Stored, Timestamp,
};
use kubeassume_tests::{ApiServer, Testbed, until};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::replicas::Replicas;
use super::{NAMESPACE, Tell};
use crate::event::{Event, KeyState};

const CONFIG_MAP: &str = "kube-iam-assume-oidc-metadata";
const LEASE: &str = "kubeassume-leader";
/// How often.
const LOOK: Duration = Duration::from_millis(500);
/// How long an answer may take; an API server may be about to restart.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the first publication may take on a busy machine.
const FIRST_PUBLICATION: Duration = Duration::from_secs(120);

pub(super) struct Eyes {
    clients: Vec<Client>,
    http: reqwest::Client,
    issuer: IssuerUrl,
    retention: Retention,
    clock: SystemClock,
    leader: watch::Sender<Option<String>>,
}

impl Eyes {
    pub(super) fn new(
        bed: &Testbed,
        issuer: &str,
        servers: &[ApiServer],
        overlap: Duration,
        leader: watch::Sender<Option<String>>,
    ) -> Self {
        Self {
            clients: servers.iter().map(ApiServer::client).collect(),
            http: bed.http(),
            issuer: issuer.parse().expect("our own issuer is valid"),
            retention: Retention::new(overlap),
            clock: SystemClock::new(),
            leader,
        }
    }

    /// Waits for the first publication.
    ///
    /// # Panics
    /// A controller ends, or nothing is public within two minutes.
    pub(super) async fn first_publication(&self, replicas: &mut Replicas) {
        until("the first publication", FIRST_PUBLICATION, async || {
            replicas.must_run();
            // Discovery is written last: with it, everything is there.
            let written = self.public(self.issuer.discovery_url()).await;
            written
                .map(|_| ())
                .ok_or("nothing is public; see the controllers' logs")
        })
        .await;
    }

    /// Looks for ever.
    pub(super) async fn run(self, tell: Tell) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let (state, holder, public) =
                tokio::join!(self.state(), self.read::<Lease>(LEASE), self.public_kids());
            if let Some(state) = state {
                tell.event(Event::State(self.states(&state)));
            }
            if let Some(lease) = holder {
                let holder = lease.spec.and_then(|spec| spec.holder_identity);
                let holder = holder.filter(|name| !name.is_empty());
                self.leader.send_replace(holder.clone());
                tell.event(Event::Leader(holder));
            }
            tell.event(Event::Public(public));
        }
    }

    fn states(&self, state: &State) -> BTreeMap<String, KeyState> {
        let now = self.clock.now();
        let left = |since: Timestamp| {
            let left = self.retention.ends(since).duration_since(now);
            Duration::try_from(left).unwrap_or_default()
        };
        let entries = state.keys.values().map(|entry| {
            let state = match entry.state {
                rotation::KeyState::Live(_) => KeyState::Live,
                rotation::KeyState::Retiring(since) => KeyState::Retiring(left(since)),
                rotation::KeyState::Unconfirmed(since) => KeyState::Unconfirmed(left(since)),
                rotation::KeyState::Removed(_) => KeyState::Removed,
                rotation::KeyState::Revoked(_) => KeyState::Revoked,
            };
            (entry.kid.clone(), state)
        });
        entries.collect()
    }

    async fn state(&self) -> Option<State> {
        let data = self.read::<ConfigMap>(CONFIG_MAP).await?.data?;
        let entry = |name: &str| data.get(name).map(String::as_str).unwrap_or_default();
        match Snapshot::decode(SNAPSHOT_ENTRIES.map(entry), &self.issuer) {
            Stored::Snapshot(snapshot) => Some(snapshot.state),
            _ => None,
        }
    }

    /// The object, from whichever API server answers.
    async fn read<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        for client in &self.clients {
            let api: Api<K> = Api::namespaced(client.clone(), NAMESPACE);
            if let Ok(Ok(object)) = tokio::time::timeout(PATIENCE, api.get_opt(name)).await {
                return object;
            }
        }
        None
    }

    /// As anybody reads.
    async fn public_kids(&self) -> Option<Vec<String>> {
        let set: Value = serde_json::from_str(&self.public(self.issuer.jwks_uri()).await?).ok()?;
        let kids = set["keys"].as_array()?.iter();
        Some(
            kids.filter_map(|key| key["kid"].as_str().map(str::to_owned))
                .collect(),
        )
    }

    async fn public(&self, url: String) -> Option<String> {
        let request = self.http.get(url).timeout(PATIENCE);
        let response = request.send().await.ok()?.error_for_status().ok()?;
        response.text().await.ok()
    }
}
