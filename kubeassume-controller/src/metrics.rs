//! [`Metrics`]: what happened, in numbers, for Prometheus.
//!
//! Counters and histograms are fed by notices; what merely *is* (keys, ages, reachability) is read from the
//! [`Status`] when somebody asks. The names are part of the product's interface.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kubeassume_core::rotation::Event;
use kubeassume_core::{Clock, Verification};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::{Notice, Observer, Status};

/// `Content-Type` of [`Metrics::encode`]: OpenMetrics 1.0.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, String); N];
type Decimal = Gauge<f64, AtomicU64>;
type Durations = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// The metrics of one replica.
pub struct Metrics {
    registry: Registry,
    sync: Family<Labels<3>, Counter>,
    duration: Durations,
    rotation: Family<Labels<1>, Counter>,
    publish_errors: Family<Labels<2>, Counter>,
    foreign: Counter,
    verify_failures: Family<Labels<1>, Counter>,
    active_keys: Gauge,
    last_publish: Family<Labels<2>, Gauge>,
    public_copy_age: Family<Labels<2>, Decimal>,
    reachable: Family<Labels<1>, Gauge>,
    clock: Arc<dyn Clock>,
    /// One scrape at a time: each begins by emptying what it then fills.
    scrape: Mutex<()>,
}

impl Metrics {
    /// Metrics of a replica with these publishers, each by kind and location; all that can be counted starts at
    /// zero.
    pub fn new(publishers: &[(&str, String)], clock: Arc<dyn Clock>) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            sync: Family::default(),
            duration: Family::new_with_constructor(durations),
            rotation: Family::default(),
            publish_errors: Family::default(),
            foreign: Counter::default(),
            verify_failures: Family::default(),
            active_keys: Gauge::default(),
            last_publish: Family::default(),
            public_copy_age: Family::default(),
            reachable: Family::default(),
            clock,
            scrape: Mutex::default(),
        };
        for (kind, location) in publishers {
            let publisher = publisher_labels(kind, location);
            for status in ["success", "error"] {
                metrics
                    .sync
                    .get_or_create_owned(&with_status(status, publisher.clone()));
            }
            metrics.last_publish.get_or_create_owned(&publisher);
            metrics.publish_errors.get_or_create_owned(&publisher);
        }
        for phase in ["fetch", "publish"] {
            metrics
                .duration
                .get_or_create_owned(&[("phase", phase.to_owned())]);
        }
        for kind in ["new_key", "key_expired"] {
            metrics.rotation.get_or_create_owned(&[("type", kind.to_owned())]);
        }
        for hop in ["discovery", "jwks"] {
            metrics
                .verify_failures
                .get_or_create_owned(&[("hop", hop.to_owned())]);
        }
        metrics.registered()
    }

    /// All metrics as text, with what `status` says now.
    pub fn encode(&self, status: &Status) -> String {
        let _alone = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = status.snapshot.as_ref().map_or(0, |snapshot| {
            let entries = snapshot.state.keys.values();
            entries.filter(|entry| entry.state.is_published()).count()
        });
        self.active_keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.public_copy_age.clear();
        let now = self.clock.monotonic();
        for (location, sink) in &status.sinks {
            // The clock began with the replica: what was never verified grows old too, and no alert misses it.
            let age = now.saturating_sub(sink.verified.unwrap_or_default());
            self.public_copy_age
                .get_or_create(&publisher_labels(&sink.kind, location))
                .set(age.as_secs_f64());
        }
        self.reachable.clear();
        for (endpoint, error) in &status.endpoints {
            let labels = [("endpoint", endpoint.clone())];
            self.reachable
                .get_or_create(&labels)
                .set(i64::from(error.is_none()));
        }
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "kubeassume_sync",
            "Publications tried, by outcome",
            self.sync.clone(),
        );
        registry.register(
            "kubeassume_sync_duration_seconds",
            "How long reading the API servers and publishing took",
            self.duration.clone(),
        );
        registry.register(
            "kubeassume_rotation",
            "Keys that came and went",
            self.rotation.clone(),
        );
        registry.register(
            "kubeassume_active_keys",
            "Keys that are public",
            self.active_keys.clone(),
        );
        registry.register(
            "kubeassume_publish_errors",
            "Publications that failed",
            self.publish_errors.clone(),
        );
        registry.register(
            "kubeassume_last_publish_timestamp",
            "When a sink was last seen to hold the publication, in Unix seconds",
            self.last_publish.clone(),
        );
        registry.register(
            "kubeassume_public_copy_age_seconds",
            "How long ago the public copy was last verified; before the first time, since the replica started",
            self.public_copy_age.clone(),
        );
        registry.register(
            "kubeassume_foreign_keys",
            "Keys that somebody else had put into the public copy",
            self.foreign.clone(),
        );
        registry.register(
            "kubeassume_verify_failures",
            "Reads of the public copy that a relying party could not have used",
            self.verify_failures.clone(),
        );
        registry.register(
            "kubeassume_endpoint_reachable",
            "Whether an API server answered the last poll; the leader knows",
            self.reachable.clone(),
        );
        self
    }

    fn published(&self, publisher: &Labels<2>, took: Duration, success: bool) {
        let status = if success { "success" } else { "error" };
        self.sync
            .get_or_create(&with_status(status, publisher.clone()))
            .inc();
        self.took("publish", took);
        if success {
            let now = self.clock.now().as_second();
            self.last_publish.get_or_create(publisher).set(now);
        } else {
            self.publish_errors.get_or_create(publisher).inc();
        }
    }

    fn took(&self, phase: &str, took: Duration) {
        self.duration
            .get_or_create(&[("phase", phase.to_owned())])
            .observe(took.as_secs_f64());
    }
}

impl Observer for Metrics {
    fn notice(&self, notice: &Notice<'_>) {
        let rotated = |kind: &str| self.rotation.get_or_create(&[("type", kind.to_owned())]).inc();
        match notice {
            Notice::Rotation(Event::NewKey(_)) => {
                rotated("new_key");
            }
            Notice::Rotation(Event::Removed(_)) => {
                rotated("key_expired");
            }
            Notice::Polled { took, .. } => self.took("fetch", *took),
            Notice::Published {
                publisher,
                location,
                took,
                published,
            } => {
                self.foreign
                    .inc_by(u64::try_from(published.foreign.len()).unwrap_or(u64::MAX));
                self.published(&publisher_labels(publisher, location), *took, true);
            }
            Notice::PublishFailed {
                publisher,
                location,
                took,
                ..
            } => self.published(&publisher_labels(publisher, location), *took, false),
            Notice::ReadBack {
                verification: Verification::Failed(error),
                ..
            } => {
                let hop = [("hop", error.hop().to_owned())];
                self.verify_failures.get_or_create(&hop).inc();
            }
            _ => {}
        }
    }
}

impl Observer for Arc<Metrics> {
    fn notice(&self, notice: &Notice<'_>) {
        self.as_ref().notice(notice);
    }
}

fn publisher_labels(kind: &str, location: &str) -> Labels<2> {
    [("publisher", kind.to_owned()), ("location", location.to_owned())]
}

fn with_status(status: &str, [kind, location]: Labels<2>) -> Labels<3> {
    [("status", status.to_owned()), kind, location]
}

/// From a LAN's round trip to a store at the edge of its timeouts.
fn durations() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

#[cfg(test)]
mod tests;
