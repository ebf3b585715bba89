//! What every replica does with each sink: compare, write if needed, read back as the public does.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kubeassume_core::clock::Jitter;
use kubeassume_core::{Event, KeyName, Publication, PublishError, Published, Publisher, State, Verification};
use tokio::sync::watch;

use crate::Notice;
use crate::replica::{Confirmed, RETRY, Replica};
use crate::status::Sink;

/// Keeps one sink right, on its own: a broken one never holds back another.
pub(crate) struct SinkLoop {
    replica: Arc<Replica>,
    publisher: Arc<dyn Publisher>,
    location: String,
    jitter: Jitter,
}

impl SinkLoop {
    pub(crate) fn new(replica: Arc<Replica>, publisher: Arc<dyn Publisher>, nth: u64) -> Self {
        let location = publisher.location();
        let jitter = Jitter::new(replica.settings.seed.wrapping_add(nth));
        replica.status.send_modify(|status| {
            let sink = Sink {
                kind: publisher.kind().to_owned(),
                ..Sink::default()
            };
            status.sinks.insert(location.clone(), sink);
        });
        Self {
            replica,
            publisher,
            location,
            jitter,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut confirmed = self.replica.confirmed.subscribe();
        let mut done: Option<Confirmed> = None;
        let mut failures: u32 = 0;
        loop {
            let current = confirmed.borrow_and_update().clone();
            let mut wait = self.replica.settings.sync_period;
            if let Some(current) = current {
                let news = done.as_ref().map(|done| &done.publication) != Some(&current.publication);
                if news && self.publisher.is_shared() && !self.replica.status.borrow().leading {
                    self.give_precedence().await;
                }
                let Some(went_well) = self.bring(&current, &mut confirmed).await else {
                    continue;
                };
                if went_well {
                    failures = 0;
                    done = Some(current);
                } else {
                    failures = failures.saturating_add(1);
                    let backoff = RETRY.saturating_mul(1 << failures.min(8));
                    wait = wait.min(backoff / 2 + self.jitter.up_to(backoff / 2));
                }
            }
            tokio::select! {
                biased;
                changed = confirmed.changed() => if changed.is_err() { return },
                () = self.replica.clock().sleep(wait) => {}
            }
        }
    }

    /// Nothing is written to a shared place before the leader recorded its claim of it.
    fn may_write(&self, confirmed: &Confirmed) -> bool {
        let claimed = |state: &State| state.claims.contains_key(&self.location);
        !self.publisher.is_shared() || confirmed.state.as_ref().is_none_or(claimed)
    }

    /// Lets the leader write first: then one replica writes and the others find nothing to do.
    async fn give_precedence(&mut self) {
        let grace = self.replica.settings.follower_grace;
        let pause = grace / 2 + self.jitter.up_to(grace);
        self.replica.clock().sleep(pause).await;
    }

    /// Publishes and reads back; whether both went well, or `None` when there is news to publish first: a
    /// revocation does not wait for a public URL that does not answer. What the public sees does not depend on
    /// whether this replica may write: it is read back in any case.
    async fn bring(
        &self,
        confirmed: &Confirmed,
        news: &mut watch::Receiver<Option<Confirmed>>,
    ) -> Option<bool> {
        let published = match self.may_write(confirmed) {
            true => self.publish(confirmed).await,
            false => None,
        };
        // A publication that failed may have been superseded meanwhile.
        let newest = || Some(self.replica.confirmed.borrow().as_ref()?.publication.clone());
        let Some(current) = published.clone().or_else(newest) else {
            return Some(false);
        };
        let verification = tokio::select! {
            biased;
            verification = self.publisher.verify(&current) => verification,
            Ok(()) = news.changed() => return None,
        };
        self.read_back(&verification, published.is_some());
        Some(published.is_some() && matches!(verification, Verification::Verified))
    }

    /// What the sink holds then; `None` when that failed.
    async fn publish(&self, confirmed: &Confirmed) -> Option<Publication> {
        let clock = self.replica.clock();
        let begun = clock.monotonic();
        let result = self
            .publisher
            .publish(&confirmed.publication, self.replica.as_ref())
            .await;
        let took = clock.monotonic().saturating_sub(begun);
        match result {
            Ok(published) => {
                self.published(&published, confirmed, took);
                Some(published.publication)
            }
            Err(error) => {
                self.failed(&error, took);
                None
            }
        }
    }

    fn published(&self, published: &Published, confirmed: &Confirmed, took: Duration) {
        let now = self.replica.clock().monotonic();
        let known = |key: &&KeyName| {
            confirmed
                .state
                .as_ref()
                .is_some_and(|state| state.keys.contains_key(&key.thumbprint))
        };
        let foreign: Vec<&KeyName> = published.foreign.iter().filter(|key| !known(key)).collect();
        for key in &foreign {
            self.replica
                .notice(&Notice::Rotation(&Event::Foreign((*key).clone())));
        }
        let found = foreign.len();
        self.update(|sink| {
            sink.published = Some(now);
            sink.foreign = found;
        });
        self.replica.notice(&Notice::Published {
            publisher: self.publisher.kind(),
            location: &self.location,
            took,
            published,
        });
    }

    fn read_back(&self, verification: &Verification, published: bool) {
        let now = self.replica.clock().monotonic();
        self.update(|sink| {
            if matches!(verification, Verification::Verified) {
                sink.verified = Some(now);
            }
            // Why it could not be published says more than what the public sees of it.
            if published {
                sink.error = match verification {
                    Verification::Failed(error) => Some(error.to_string()),
                    // A cache that is allowed to be behind is no error.
                    Verification::Verified | Verification::Propagating(_) => None,
                };
            }
        });
        self.replica.notice(&Notice::ReadBack {
            publisher: self.publisher.kind(),
            location: &self.location,
            verification,
        });
    }

    fn failed(&self, error: &PublishError, took: Duration) {
        if let PublishError::Ahead { found, .. } = error {
            let mut ahead = self.replica.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            ahead.push(found.as_ref().clone());
            self.replica.poll_now.notify_one();
        }
        self.update(|sink| sink.error = Some(error.to_string()));
        self.replica.notice(&Notice::PublishFailed {
            publisher: self.publisher.kind(),
            location: &self.location,
            took,
            error,
        });
    }

    fn update(&self, change: impl FnOnce(&mut Sink)) {
        self.replica.status.send_modify(|status| {
            change(status.sinks.entry(self.location.clone()).or_default());
        });
    }
}
