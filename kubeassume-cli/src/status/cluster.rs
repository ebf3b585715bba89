//! What a cluster says about the controller: its Lease, its ConfigMap, its Events.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::ListParams;
use kube::{Api, Client};
use kubeassume_controller::cluster::LEASE;
use kubeassume_core::kube::METADATA_CONFIG_MAP;
use kubeassume_core::{Corrupt, DiscoveryClaims, IssuerUrl, SNAPSHOT_ENTRIES, Snapshot, Stored, Timestamp};

use crate::failure::Failure;

/// How many Events are read at most.
const MAX_EVENTS: u32 = 500;
/// How many of the last warnings are shown.
const SHOWN_WARNINGS: usize = 5;
/// How long the cluster may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All that was seen.
pub(super) struct Seen {
    pub(super) lease: Option<Holder>,
    pub(super) stored: Stored,
    pub(super) issuer: Option<IssuerUrl>,
    /// The last warnings, oldest first.
    pub(super) warnings: Vec<Warning>,
}

/// Who leads.
pub(super) struct Holder {
    pub(super) name: Option<String>,
    pub(super) renewed: Option<Timestamp>,
    pub(super) duration: Duration,
}

/// An Event of type Warning.
pub(super) struct Warning {
    pub(super) at: Option<Timestamp>,
    pub(super) reason: String,
    pub(super) note: String,
}

impl Seen {
    /// Asks the cluster.
    ///
    /// # Errors
    /// When it does not answer, or may not be asked. Events are left out where they may not be read.
    pub(super) async fn read(client: Client, namespace: &str) -> Result<Self, Failure> {
        let asked = tokio::time::timeout(TIMEOUT, async {
            let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
            let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            let failed = |what: &str, error: &kube::Error| {
                Failure::new(format!("cannot read {what} in namespace {namespace:?}"))
                    .because(error)
                    .next("check --context, --namespace and your own permissions")
            };
            let lease = leases.get_opt(LEASE).await.map_err(|e| failed("the Lease", &e))?;
            let config_map = config_maps
                .get_opt(METADATA_CONFIG_MAP)
                .await
                .map_err(|e| failed("the ConfigMap", &e))?;
            Ok((lease, config_map, warnings(client, namespace).await))
        });
        let (lease, config_map, warnings) = match asked.await {
            Ok(answers) => answers?,
            Err(_) => {
                return Err(Failure::new(format!(
                    "the cluster did not answer within {} s",
                    TIMEOUT.as_secs()
                )));
            }
        };
        let (stored, issuer) = decode(config_map);
        Ok(Self {
            lease: lease.and_then(holder),
            stored,
            issuer,
            warnings,
        })
    }
}

fn holder(lease: Lease) -> Option<Holder> {
    let spec = lease.spec?;
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    Some(Holder {
        name: spec.holder_identity.filter(|name| !name.is_empty()),
        renewed: spec.renew_time.map(|time| time.0),
        duration: Duration::from_secs(seconds.unwrap_or(15)),
    })
}

/// The state, for the issuer that its own document names: this command is not told which one to expect.
fn decode(config_map: Option<ConfigMap>) -> (Stored, Option<IssuerUrl>) {
    let Some(config_map) = config_map else {
        return (Stored::Missing, None);
    };
    let data = config_map.data.unwrap_or_default();
    let mut entries = [""; 3];
    for (entry, name) in entries.iter_mut().zip(SNAPSHOT_ENTRIES) {
        match data.get(name) {
            Some(text) => *entry = text,
            None => return (Stored::Corrupt(Corrupt::Missing(name)), None),
        }
    }
    let [discovery, ..] = entries;
    let claims = match DiscoveryClaims::parse(discovery.as_bytes()) {
        Ok(claims) => claims,
        Err(error) => return (Stored::Corrupt(Corrupt::Discovery(error.to_string())), None),
    };
    match claims.issuer.parse::<IssuerUrl>() {
        Ok(issuer) => (Snapshot::decode(entries, &issuer), Some(issuer)),
        Err(_) => (Stored::Corrupt(Corrupt::Issuer(claims.issuer)), None),
    }
}

/// Events are for people and come and go: without permission there are none.
async fn warnings(client: Client, namespace: &str) -> Vec<Warning> {
    let events: Api<Event> = Api::namespaced(client, namespace);
    let params = ListParams::default()
        .fields(&format!("involvedObject.name={METADATA_CONFIG_MAP},type=Warning"))
        .limit(MAX_EVENTS);
    let mut warnings: Vec<Warning> = events
        .list(&params)
        .await
        .map(|list| list.items)
        .unwrap_or_default()
        .into_iter()
        .map(|event| Warning {
            at: event
                .event_time
                .map(|time| time.0)
                .or(event.last_timestamp.map(|time| time.0)),
            reason: event.reason.unwrap_or_default(),
            note: event.message.unwrap_or_default(),
        })
        .collect();
    warnings.sort_by_key(|warning| warning.at);
    let skipped = warnings.len().saturating_sub(SHOWN_WARNINGS);
    warnings.split_off(skipped)
}
