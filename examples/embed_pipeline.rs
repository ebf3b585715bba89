//! Run the whole pipeline inside your own operator: your source, your state store, your sink.
//! Here they live in memory; put `ApiServerSource`, `ConfigMapStore` and an `S3Store` in their places.
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::sync::Arc;
use std::time::Duration;

use kubeassume_controller::{Controller, Notice, Observer, Parts, Settings, Status};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::store::{DocumentPath, DocumentStore};
use kubeassume_core::testing::{MemoryStateStore, MemoryStore, StaticSource, StoreReader, keys};
use kubeassume_core::{IssuerUrl, KeySet, Owner, Policy, Retention, StorePublisher};
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer: IssuerUrl = "https://oidc.example.com/cluster1".parse()?;
    let clock = Arc::new(SystemClock::new());
    let source = StaticSource::new();
    source.serve("api-server-1", &[keys::RSA_1]);
    let sink = Arc::new(MemoryStore::new());
    let store: Arc<dyn DocumentStore> = sink.clone();
    let reader = Arc::new(StoreReader::new(store.clone(), &issuer));
    let publisher = StorePublisher::new(store, issuer.clone(), reader, clock.clone(), 1);

    let owner = Owner::from_random(0x0123_4567_89ab_cdef); // truly random in a real operator
    let policy = Policy::new(Retention::new(Duration::from_secs(24 * 3600)));
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
            ..Settings::new(policy, owner, 1)
        },
    );
    // Your own election says who leads; this replica is alone.
    let (_leads, leading) = watch::channel(true);
    let mut status = controller.status();
    let rotation = async {
        // A new key appears beside the old one; the pipeline ends when the public sees both.
        source.serve("api-server-1", &[keys::RSA_1, keys::P256_1]);
        let keys = |status: &Status| {
            status
                .snapshot
                .as_ref()
                .map_or(0, |snapshot| snapshot.state.keys.len())
        };
        let seen = |status: &Status| status.sinks.values().all(|sink| sink.verified > status.confirmed);
        status
            .wait_for(|status| keys(status) == 2 && seen(status))
            .await
            .ok();
    };
    controller.run(leading, rotation).await;
    let jwks = sink.peek(&DocumentPath::JWKS).ok_or("nothing was published")?;
    println!(
        "published: {} keys at {}",
        KeySet::parse(&jwks.bytes)?.keys.len(),
        issuer.jwks_uri()
    );
    Ok(())
}
