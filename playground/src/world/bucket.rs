//! The S3 server, which a person breaks and mends.

use kubeassume_tests::Versitygw;
use tokio::sync::{mpsc, watch};

use super::Tell;
use crate::event::{Bucket, Event};

pub(super) const BUCKET: &str = "oidc";
pub(super) const PREFIX: &str = "playground";
/// The two documents; nothing else in the bucket is public.
pub(super) const KEYS: [&str; 2] = [
    "playground/openid/v1/jwks",
    "playground/.well-known/openid-configuration",
];

pub(super) struct BucketActor {
    gateway: Versitygw,
    state: Bucket,
    /// Whether anybody can read; also false while it restarts.
    readable: watch::Sender<bool>,
    tell: Tell,
}

impl BucketActor {
    pub(super) fn new(gateway: Versitygw, readable: watch::Sender<bool>, tell: Tell) -> Self {
        Self {
            gateway,
            state: Bucket::Open,
            readable,
            tell,
        }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Bucket>) {
        while let Some(wanted) = orders.recv().await {
            if wanted == self.state {
                continue;
            }
            self.readable.send_replace(false);
            if self.state != Bucket::Down {
                self.gateway.kill().await;
            }
            if wanted != Bucket::Down {
                self.gateway.start_read_only(wanted == Bucket::ReadOnly).await;
                self.readable.send_replace(true);
            }
            self.state = wanted;
            self.tell.event(Event::Bucket(wanted));
        }
    }
}
