//! Publishing through the ConfigMap's state: one more replica, which leads for as long as it runs.
//!
//! It takes no Lease. The controller's leader may work at the same time: the state's compare-and-swap and
//! the store's conditional writes are what makes two of them safe.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_controller::{Controller, Parts, Settings, Status};
use kubeassume_core::StateStore;
use tokio::sync::watch;

use super::told::Told;
use super::{Pipeline, random, verified};
use crate::failure::Failure;

/// How long `--once` tries.
const PATIENCE: Duration = Duration::from_secs(60);
/// Its period: a second poll shows that what the first one saw is saved.
const QUICK: Duration = Duration::from_secs(1);

pub(super) async fn run(pipeline: Pipeline, state: Arc<dyn StateStore>) -> Result<(), Failure> {
    pipeline.check(&pipeline.source.observe().await)?;
    let election = pipeline.config.leader_election;
    let settings = Settings {
        sync_period: match pipeline.once {
            true => pipeline.config.sync_period.min(QUICK),
            false => pipeline.config.sync_period,
        },
        policy: pipeline.config.policy(),
        headers: pipeline.config.headers(),
        lease_duration: election.lease_duration,
        renew_deadline: election.renew_deadline,
        follower_grace: Duration::ZERO,
        take_over: pipeline.take_over,
        owner: pipeline.owner,
        seed: u64::from_be_bytes(random()?),
    };
    let (polls, polled) = watch::channel(0);
    let parts = Parts {
        issuer: pipeline.config.issuer.clone(),
        source: pipeline.source.clone(),
        state,
        publishers: pipeline.publishers.clone(),
        clock: pipeline.clock.clone(),
        observer: Arc::new(Told { polls }),
    };
    let controller = Controller::new(parts, settings);
    // Both ends stay: a channel without its sender would end the term.
    let (_lead, leading) = watch::channel(true);
    let status = controller.status();
    tokio::select! {
        () = controller.run(leading, std::future::pending()) => Err(Failure::new("the pipeline ended")),
        done = pipeline.until_published(status, polled) => done,
    }
}

impl Pipeline {
    async fn until_published(
        &self,
        mut status: watch::Receiver<Status>,
        mut polled: watch::Receiver<u32>,
    ) -> Result<(), Failure> {
        if !self.once {
            return std::future::pending().await;
        }
        let locations: Vec<String> = self.publishers.iter().map(|p| p.location()).collect();
        let published = async {
            polled.wait_for(|polls| *polls >= 2).await.ok()?;
            let since = self.clock.monotonic();
            let there = |status: &Status| {
                let published = |location| status.sinks.get(location).and_then(|sink| sink.published);
                locations
                    .iter()
                    .all(|location| published(location).is_some_and(|at| at >= since))
            };
            status.wait_for(there).await.ok()?.snapshot.clone()
        };
        let snapshot = tokio::select! {
            snapshot = published => snapshot,
            () = self.clock.sleep(PATIENCE) => None,
        };
        let Some(snapshot) = snapshot else {
            let last = status.borrow().clone();
            let failure = match self.publishers.len() {
                1 => Failure::new(format!("nothing was published within {} s", PATIENCE.as_secs())),
                _ => Failure::new(format!(
                    "not everything was published within {} s",
                    PATIENCE.as_secs()
                )),
            };
            let sinks = last.sinks.into_values().filter_map(|sink| sink.error);
            let causes = last.blocked.into_iter().chain(sinks);
            return Err(causes
                .fold(failure, Failure::cause)
                .next("see what was told above"));
        };
        for publisher in &self.publishers {
            verified(&publisher.verify(&snapshot.publication).await)?;
        }
        Ok(())
    }
}
