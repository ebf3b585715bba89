//! [`Controller`]: one replica.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::leader::Term;
use crate::replica::Replica;
use crate::sink::SinkLoop;
use crate::{Notice, Parts, Settings, Status};

/// One replica: follows the state, keeps every sink right and, while it leads, polls and saves.
///
/// It holds no Lease itself: whoever runs it says when it leads. Two leaders at once do no harm; the
/// state's compare-and-swap and the sinks' conditional writes are what makes that safe.
pub struct Controller {
    replica: Arc<Replica>,
}

impl Controller {
    /// A replica made of these parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self {
            replica: Arc::new(Replica::new(parts, settings)),
        }
    }

    /// Where it stands.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.replica.status.subscribe()
    }

    /// Runs until `shutdown` resolves; `leading` says whether this replica leads. Dropping the future
    /// stops it at once, as a crash would, and leaves nothing torn.
    pub async fn run(&self, leading: watch::Receiver<bool>, shutdown: impl Future<Output = ()> + Send) {
        let mut tasks = tokio::task::JoinSet::new();
        for (nth, publisher) in (0..).zip(&self.replica.parts.publishers) {
            tasks.spawn(SinkLoop::new(self.replica.clone(), publisher.clone(), nth).run());
        }
        tasks.spawn(self.replica.clone().follow_state());
        tasks.spawn(lead(self.replica.clone(), leading));
        // The set ends its tasks when it is dropped. This `select!` and all others are biased: with the same
        // world, a replica must do the same again.
        tokio::select! {
            biased;
            () = shutdown => {}
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a loop of the controller ended");
            }
        }
    }
}

async fn lead(replica: Arc<Replica>, mut leading: watch::Receiver<bool>) {
    loop {
        if leading.wait_for(|leads| *leads).await.is_err() {
            return std::future::pending().await;
        }
        replica.status.send_modify(|status| status.leading = true);
        replica.notice(&Notice::Leading(true));
        tokio::select! {
            biased;
            _ = leading.wait_for(|leads| !*leads) => {}
            () = Term::new(replica.clone()).run() => {}
        }
        replica.status.send_modify(|status| {
            status.leading = false;
            status.endpoints.clear();
        });
        replica.notice(&Notice::Leading(false));
    }
}
