//! What an administrator sees of the controller through the API servers of its cluster, whichever answers.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use kubeassume_tests::{NAMESPACE, Replica, until};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::LIMIT;

/// The object that holds the state.
pub(crate) const CONFIG_MAP: &str = "kube-iam-assume-oidc-metadata";

/// Clients of all API servers of one cluster.
#[derive(Clone)]
pub(crate) struct View {
    clients: Vec<Client>,
}

impl View {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        Self { clients }
    }

    /// Which of these replicas runs and holds the Lease.
    pub(crate) async fn leader(&self, replicas: &[Replica]) -> usize {
        until("a running replica to hold the Lease", LIMIT, async || {
            let holder = self.holder().await?;
            let leads = |replica: &Replica| replica.runs() && replica.name() == holder;
            replicas.iter().position(leads).ok_or(format!("it is {holder:?}"))
        })
        .await
    }

    /// Whom the Lease names; empty when it is given up.
    ///
    /// # Errors
    ///
    /// There is none, or no API server answers.
    pub(crate) async fn holder(&self) -> Result<String, String> {
        let leases: Vec<Lease> = self.list().await?;
        let lease = leases.into_iter().next().ok_or("there is no Lease")?;
        Ok(lease
            .spec
            .and_then(|spec| spec.holder_identity)
            .unwrap_or_default())
    }

    /// The ConfigMap, if there is one.
    pub(crate) async fn config_map(&self) -> Result<Option<ConfigMap>, String> {
        let maps: Vec<ConfigMap> = self.list().await?;
        Ok(maps
            .into_iter()
            .find(|map| map.metadata.name.as_deref() == Some(CONFIG_MAP)))
    }

    /// One entry of the ConfigMap.
    pub(crate) async fn entry(&self, name: &str) -> Result<String, String> {
        let map = self.config_map().await?.ok_or("there is no ConfigMap")?;
        let entry = map.data.and_then(|mut data| data.remove(name));
        entry.ok_or(format!("the ConfigMap has no {name}"))
    }

    /// `state.json`.
    pub(crate) async fn state(&self) -> Result<Value, String> {
        serde_json::from_str(&self.entry("state.json").await?).map_err(|error| error.to_string())
    }

    /// In which state the key of this kid is: `live`, `retiring`, ...
    pub(crate) async fn key_state(&self, kid: &str) -> Result<String, String> {
        let state = self.state().await?;
        let entries = state["keys"].as_object().ok_or("state.json has no keys")?;
        let entry = entries.values().find(|entry| entry["kid"] == kid);
        let state = entry.and_then(|entry| entry["state"].as_str());
        state
            .map(str::to_owned)
            .ok_or(format!("state.json does not have {kid}"))
    }

    /// Waits until the state says this of a key.
    pub(crate) async fn key_becomes(&self, kid: &str, expected: &str) {
        until(&format!("{kid} to be {expected}"), LIMIT, async || {
            let found = self.key_state(kid).await?;
            if found == expected {
                Ok(())
            } else {
                Err(format!("it is {found}"))
            }
        })
        .await;
    }

    /// The controller's Events: reason and message.
    pub(crate) async fn events(&self) -> Result<Vec<(String, String)>, String> {
        let events: Vec<Event> = self.list().await?;
        let told = |event: Event| {
            (
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default(),
            )
        };
        Ok(events.into_iter().map(told).collect())
    }

    /// Waits for an Event of this reason whose message has this word.
    pub(crate) async fn tells(&self, reason: &str, word: &str) {
        until(&format!("an Event {reason} with {word:?}"), LIMIT, async || {
            let events = self.events().await?;
            let fits = |(found, message): &(String, String)| found == reason && message.contains(word);
            if events.iter().any(fits) {
                Ok(())
            } else {
                Err(format!("{events:#?}"))
            }
        })
        .await;
    }

    async fn list<K>(&self) -> Result<Vec<K>, String>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let mut refusal = String::new();
        for client in &self.clients {
            let objects: Api<K> = Api::namespaced(client.clone(), NAMESPACE);
            let params = ListParams::default();
            match tokio::time::timeout(Duration::from_secs(2), objects.list(&params)).await {
                Ok(Ok(list)) => return Ok(list.items),
                Ok(Err(error)) => refusal = error.to_string(),
                Err(_) => refusal = "no answer".to_owned(),
            }
        }
        Err(refusal)
    }
}
