//! Two replicas of the production controller, and an election between them.
//!
//! The lease is an object in this process instead of one in Kubernetes; it decides who polls, not what may
//! be written, and so it may be this simple.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kubeassume_controller::{Controller, Parts, Settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::pace::Pace;
use super::timeline::{Step, Timeline};

/// Who leads, and until when if he says nothing more.
#[derive(Default)]
pub(super) struct Lease(Mutex<Option<(String, Instant)>>);

impl Lease {
    /// Takes or renews the lease; whether it is this replica's now.
    fn hold(&self, replica: &str) -> bool {
        let mut lease = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let free = match &*lease {
            None => true,
            Some((holder, until)) => holder == replica || *until <= now,
        };
        if free {
            *lease = Some((replica.to_owned(), now + Pace::LEASE));
        }
        free
    }

    /// Who holds it.
    pub(super) fn holder(&self) -> Option<String> {
        let lease = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lease
            .as_ref()
            .filter(|(_, until)| *until > Instant::now())
            .map(|(holder, _)| holder.clone())
    }
}

/// One replica's process.
pub(super) struct Replica {
    name: String,
    process: JoinHandle<()>,
    timeline: Arc<Timeline>,
}

impl Replica {
    /// Starts a replica.
    pub(super) fn start(
        name: String,
        parts: Parts,
        settings: Settings,
        lease: Arc<Lease>,
        timeline: Arc<Timeline>,
    ) -> Self {
        timeline.add(Step::Started {
            replica: name.clone(),
        });
        let holder = name.clone();
        let process = tokio::spawn(async move {
            let (tell, leading) = watch::channel(false);
            let controller = Controller::new(parts, settings);
            let election = async {
                loop {
                    let holds = lease.hold(&holder);
                    tell.send_if_modified(|leads| std::mem::replace(leads, holds) != holds);
                    tokio::time::sleep(Pace::RENEW).await;
                }
            };
            // One task for both: when it is killed, nothing of the replica is left.
            tokio::select! {
                () = controller.run(leading, std::future::pending()) => {}
                () = election => {}
            }
        });
        Self {
            name,
            process,
            timeline,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Kills it where it stands: no goodbye, no release of the lease.
    pub(super) fn kill(self) {
        self.process.abort();
        self.timeline.add(Step::Died {
            replica: self.name.clone(),
        });
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.process.abort();
    }
}
