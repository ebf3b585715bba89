//! What every replica does with the state: confirm it by fresh reads, remember the join of all that it has
//! read, and repair a stored state that lacks something of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

use kubeassume_core::{
    Authority, Clock, Found, KeyRing, Loaded, Publication, RingError, Snapshot, State, StateError,
    StateVersion, Stored,
};

use crate::{Notice, Parts, Settings, Status};

/// How often a repair is tried against others that repair too.
const REPAIRS: u32 = 8;

/// What the loops of one controller share.
pub(crate) struct Replica {
    pub(crate) parts: Parts,
    pub(crate) settings: Settings,
    pub(crate) status: watch::Sender<Status>,
    /// The last confirmed publication; the sinks follow it.
    pub(crate) confirmed: watch::Sender<Option<Confirmed>>,
    /// Wakes the leader: something happened that a poll may explain.
    pub(crate) poll_now: Notify,
    /// Sinks that hold a higher generation than the state; the leader draws one above.
    pub(crate) ahead: Mutex<Vec<Found>>,
    /// The join of all states that were read or saved.
    memory: Mutex<Option<State>>,
}

/// A state that was read afresh and may be published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Confirmed {
    pub(crate) publication: Publication,
    /// `None` when a newer version of the software wrote it: publish, do not touch.
    pub(crate) state: Option<State>,
}

/// What a fresh read found.
pub(crate) struct Reading {
    /// `None` when there is no state, and no memory of one.
    pub(crate) confirmed: Option<Confirmed>,
    /// The version of what is there, readable or not.
    pub(crate) version: Option<StateVersion>,
}

impl Replica {
    pub(crate) fn new(parts: Parts, settings: Settings) -> Self {
        Self {
            parts,
            settings,
            status: watch::Sender::new(Status::default()),
            confirmed: watch::Sender::new(None),
            poll_now: Notify::new(),
            ahead: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    pub(crate) fn notice(&self, notice: &Notice<'_>) {
        self.parts.observer.notice(notice);
    }

    /// Reads the state afresh; repairs it first if this replica knows more.
    pub(crate) async fn confirm(&self) -> Result<Reading, StateError> {
        for _ in 0..REPAIRS {
            let Loaded { stored, version } = self.parts.state.load().await?;
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (state, reason) = match (stored, memory) {
                (Stored::Newer(None), _) => {
                    let reason = "a newer version wrote it and its documents do not fit it";
                    return Err(StateError::Unpublishable(reason.to_owned()));
                }
                (Stored::Newer(Some(publication)), _) => {
                    return Ok(self.publish(
                        Confirmed {
                            publication,
                            state: None,
                        },
                        version,
                    ));
                }
                (Stored::Snapshot(stored), memory) => {
                    self.remember(&stored.state);
                    let Snapshot { state, publication } = *stored;
                    match memory {
                        Some(memory) if state != memory && state.lacks(&memory) => (
                            memory.join(&state),
                            "it lacks something that this replica has seen".to_owned(),
                        ),
                        _ => {
                            return Ok(self.publish(
                                Confirmed {
                                    publication,
                                    state: Some(state),
                                },
                                version,
                            ));
                        }
                    }
                }
                (Stored::Corrupt(corrupt), Some(memory)) => (memory, corrupt.to_string()),
                (Stored::Missing, Some(memory)) => (memory, "it is missing".to_owned()),
                (Stored::Missing | Stored::Corrupt(_), None) => {
                    return Ok(Reading {
                        confirmed: None,
                        version,
                    });
                }
            };
            // Nobody knows how long nobody looked: all retentions begin anew.
            let ring = KeyRing::new(state.restarted(self.clock().now()), self.settings.policy.clone());
            match self.save(ring, version.as_ref()).await {
                Ok(reading) => {
                    self.notice(&Notice::StateRepaired { reason: &reason });
                    return Ok(reading);
                }
                Err(StateError::Conflict | StateError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StateError::Conflict)
    }

    /// Draws the publication of a ring and saves both in place of a version.
    pub(crate) async fn save(
        &self,
        mut ring: KeyRing,
        version: Option<&StateVersion>,
    ) -> Result<Reading, StateError> {
        let unpublishable = |error: RingError| StateError::Unpublishable(error.to_string());
        let publication = ring
            .publication(&self.parts.issuer, self.clock().now())
            .map_err(unpublishable)?;
        let snapshot = Snapshot {
            state: ring.into_state(),
            publication,
        };
        let version = self.parts.state.save(&snapshot, version).await?;
        let Snapshot { state, publication } = snapshot;
        self.remember(&state);
        self.notice(&Notice::Saved {
            revision: state.revision,
        });
        Ok(self.publish(
            Confirmed {
                publication,
                state: Some(state),
            },
            Some(version),
        ))
    }

    /// Hands a confirmed state to the sinks.
    fn publish(&self, confirmed: Confirmed, version: Option<StateVersion>) -> Reading {
        let now = self.clock().monotonic();
        self.status.send_modify(|status| {
            status.confirmed = Some(now);
            status.snapshot = confirmed.state.clone().map(|state| Snapshot {
                state,
                publication: confirmed.publication.clone(),
            });
        });
        self.confirmed.send_if_modified(|current| {
            let differs = current.as_ref() != Some(&confirmed);
            if differs {
                *current = Some(confirmed.clone());
            }
            differs
        });
        Reading {
            confirmed: Some(confirmed),
            version,
        }
    }

    /// A key that this replica must not publish: a backup from before its revocation was restored, or the
    /// leader does not have this configuration yet.
    fn revoked_in<'c>(&self, confirmed: &'c Confirmed) -> Option<&'c str> {
        let entries = &confirmed.state.as_ref()?.keys;
        let mut revoked = self
            .settings
            .policy
            .revoked
            .iter()
            .filter_map(|key| entries.get(key));
        let published = revoked.find(|entry| entry.state.is_published())?;
        Some(&published.kid)
    }

    fn remember(&self, state: &State) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match memory.take() {
            // Nearly always, once a period and before every write.
            Some(known) if known == *state => known,
            // What a later revision forgot on purpose need not be remembered here either.
            Some(known) if state.revision > known.revision && !state.lacks(&known) => state.clone(),
            Some(known) => known.join(state),
            None => state.clone(),
        };
        *memory = Some(next);
    }

    /// Follows the state: at once when it changes, and once a period in any case.
    pub(crate) async fn follow_state(self: Arc<Self>) {
        loop {
            let seen = match self.confirm().await {
                Ok(reading) => reading.version,
                Err(error) => {
                    self.notice(&Notice::StateFailed(&error));
                    self.clock().sleep(self.settings.sync_period.min(RETRY)).await;
                    continue;
                }
            };
            tokio::select! {
                biased;
                changed = self.parts.state.changed(seen.as_ref()) => if let Err(error) = changed {
                    // An API server went away, perhaps to come back with other keys.
                    self.notice(&Notice::StateFailed(&error));
                    self.poll_now.notify_one();
                    self.clock().sleep(self.settings.sync_period.min(RETRY)).await;
                },
                () = self.clock().sleep(self.settings.sync_period) => {}
            }
        }
    }
}

/// How soon what failed is tried again.
pub(crate) const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Every write asks for the state as it is stored at that moment.
#[async_trait]
impl Authority for Replica {
    async fn current(&self) -> Result<Publication, StateError> {
        let reading = self.confirm().await?;
        let absent = || StateError::Unpublishable("there is no state".to_owned());
        let confirmed = reading.confirmed.ok_or_else(absent)?;
        match self.revoked_in(&confirmed) {
            None => Ok(confirmed.publication),
            Some(kid) => Err(StateError::Unpublishable(format!(
                "it publishes key {kid:?}, which the configuration revokes; the leader has to remove it first"
            ))),
        }
    }
}
