//! Pods that get tokens and use them until they expire, at a relying party that reads what the public reads.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::verify::Verifier;
use kubeassume_core::{Clock, Timestamp};
use tokio::task::JoinSet;

use super::control_plane::{ControlPlane, Token};
use super::pace::Pace;
use super::timeline::Timeline;
use crate::failure::Failure;

/// What every pod has.
#[derive(Clone)]
pub(super) struct World {
    pub(super) control_plane: Arc<ControlPlane>,
    /// Several relying parties, each with a cache of its own.
    pub(super) relying_parties: Arc<[Verifier]>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeline: Arc<Timeline>,
}

/// Starts the pods, spread over one token's life.
pub(super) fn start(world: &World) -> JoinSet<Result<(), Failure>> {
    let mut pods = JoinSet::new();
    for pod in 0..Pace::PODS {
        let world = world.clone();
        let delay = Pace::TOKEN_LIFE.mul_f64(pod as f64 / Pace::PODS as f64);
        pods.spawn(async move {
            world.clock.sleep(delay).await;
            world.run(pod).await
        });
    }
    pods
}

impl World {
    async fn run(&self, pod: usize) -> Result<(), Failure> {
        for turn in pod.. {
            let token = self.control_plane.issue(pod, turn, self.clock.now()).await?;
            self.use_up(pod, &token).await;
        }
        Ok(())
    }

    /// Uses a token until it expires.
    async fn use_up(&self, pod: usize, token: &Token) {
        let Some(relying_party) = self
            .relying_parties
            .iter()
            .cycle()
            .nth(pod % self.relying_parties.len().max(1))
        else {
            return;
        };
        let mut rejected = false;
        loop {
            let left = left(token, self.clock.now());
            if left.is_zero() {
                break;
            }
            let verdict = relying_party.verify(&token.text).await;
            self.timeline.used(verdict.is_ok());
            if let Err(error) = verdict {
                // Counted once for each token: it fails every time from here on.
                if !rejected {
                    let reason = format!("{} ({})", error.hop(), error);
                    self.timeline.token_rejected(&token.kid, reason, left);
                }
                rejected = true;
            }
            self.clock.sleep(Pace::USE.min(left)).await;
        }
        if !rejected {
            self.timeline.token_verified();
        }
    }
}

fn left(token: &Token, now: Timestamp) -> Duration {
    Duration::try_from(token.expires.duration_since(now)).unwrap_or_default()
}
