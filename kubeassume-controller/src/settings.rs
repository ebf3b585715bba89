//! What a controller is made of, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::rotation::Policy;
use kubeassume_core::{Clock, Headers, IssuerUrl, Owner, Publisher, Source, StateStore};

use crate::Observer;

/// The parts that a controller drives. All of them are traits: in a cluster they are API servers, a
/// ConfigMap and S3; in the demo they are three small issuers, memory and a directory.
pub struct Parts {
    /// Whose keys are published.
    pub issuer: IssuerUrl,
    /// Where keys are read.
    pub source: Arc<dyn Source>,
    /// Where the state is kept.
    pub state: Arc<dyn StateStore>,
    /// Where documents are published.
    pub publishers: Vec<Arc<dyn Publisher>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
}

/// What a controller is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often endpoints are polled, sinks compared and the public copy read back.
    pub sync_period: Duration,
    /// How keys come and go.
    pub policy: Policy,
    /// The headers to publish.
    pub headers: Headers,
    /// How long a leader without memory waits before it rebuilds a missing state: somebody who
    /// remembers may be about to.
    pub lease_duration: Duration,
    /// An observation older than this when it is about to be saved is thrown away.
    pub renew_deadline: Duration,
    /// How long followers let the leader write first, on average.
    pub follower_grace: Duration,
    /// Whether occupied locations are taken over.
    pub take_over: bool,
    /// Who publishes, if a state begins: 128 random bits.
    pub owner: Owner,
    /// Seeds the jitter; different on each replica.
    pub seed: u64,
}

impl Settings {
    /// The defaults of the configuration file: a period of 60 s, a `max-age` of 300 s and client-go's
    /// lease times. The owner is drawn from a real source of randomness; the seed differs per replica.
    pub fn new(policy: Policy, owner: Owner, seed: u64) -> Self {
        Self {
            sync_period: Duration::from_secs(60),
            policy,
            headers: Headers { max_age_seconds: 300 },
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            follower_grace: Duration::from_secs(5),
            take_over: false,
            owner,
            seed,
        }
    }
}
