//! Run the whole pipeline inside your own operator: your source, your state store, your sink.
//!
//! Here all three live in memory; put `ApiServerSource`, `ConfigMapStore` and an `S3Store` in their places.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_controller::{Controller, Notice, Observer, Parts, Settings};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::store::{DocumentPath, DocumentStore};
use kubeassume_core::testing::{MemoryStateStore, MemoryStore, StaticSource, StoreReader, keys};
use kubeassume_core::{Headers, IssuerUrl, KeySet, Owner, Policy, Retention, StorePublisher};
use tokio::sync::watch;

/// What happens, for your own events and metrics.
struct Log;

impl Observer for Log {
    fn notice(&self, notice: &Notice<'_>) {
        if let Notice::Rotation(event) = notice {
            println!("{}: {event}", event.reason());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer: IssuerUrl = "https://oidc.example.com/cluster1".parse()?;
    let clock = Arc::new(SystemClock::new());
    let source = StaticSource::new();
    source.serve("api-server-1", &[keys::RSA_2048]);

    let sink = Arc::new(MemoryStore::new());
    let store: Arc<dyn DocumentStore> = sink.clone();
    let reader = Arc::new(StoreReader::new(store.clone(), &issuer));
    let publisher = StorePublisher::new(store, issuer.clone(), reader, clock.clone(), 1);

    let controller = Controller::new(
        Parts {
            issuer: issuer.clone(),
            source: Arc::new(source.clone()),
            state: Arc::new(MemoryStateStore::new(&issuer)),
            publishers: vec![Arc::new(publisher)],
            clock,
            observer: Arc::new(Log),
        },
        Settings {
            sync_period: Duration::from_millis(50),
            policy: Policy {
                retention: Retention::new(Duration::from_secs(24 * 3600)),
                revoked: [].into(),
                on_state_loss: Default::default(),
            },
            headers: Headers { max_age_seconds: 300 },
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            follower_grace: Duration::from_secs(1),
            take_over: false,
            // From a real source of randomness in a real operator: two clusters must differ.
            owner: Owner::from_random(0x0123_4567_89ab_cdef),
            seed: 1,
        },
    );
    // Your own election says who leads; this replica is alone.
    let (_leads, leading) = watch::channel(true);
    let mut status = controller.status();
    let rotation = async {
        // A new key appears beside the old one, and the public sees both.
        source.serve("api-server-1", &[keys::RSA_2048, keys::P256]);
        let public = |keys: usize| sink.peek(&DocumentPath::JWKS).is_some_and(|jwks| count(&jwks.bytes) == keys);
        status.wait_for(|status| public(2) && status.sinks.values().all(|sink| sink.verified.is_some())).await.ok();
    };
    controller.run(leading, rotation).await;
    println!("published: {} keys at {}", count(&sink.peek(&DocumentPath::JWKS).ok_or("nothing")?.bytes), issuer.jwks_uri());
    Ok(())
}

fn count(jwks: &[u8]) -> usize {
    KeySet::parse(jwks).map_or(0, |parsed| parsed.keys.len())
}
