//! What the leader does: poll, observe, claim, save. It writes to no sink that followers would not.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kubeassume_core::rotation::Event;
use kubeassume_core::store::{DocumentPath, StoreError};
use kubeassume_core::{
    Answer, Finding, Found, KeyRing, Observation, Occupied, PublishError, Publisher, SourceError, State,
    StateError, StateVersion,
};
use tokio::task::JoinSet;

use crate::Notice;
use crate::replica::{Confirmed, RETRY, Reading, Replica};

/// One term of office: from taking the Lease until losing it.
pub(crate) struct Term {
    replica: Arc<Replica>,
    ring: KeyRing,
    /// Which endpoints failed, and why, so that each change is told once.
    failing: BTreeMap<String, SourceError>,
    told: Vec<(String, Finding)>,
    /// Whether this term has already given others time to rebuild a missing state.
    waited: bool,
}

/// A publisher, what it holds, and how long it took to say so.
type Inspected = (Arc<dyn Publisher>, Result<Found, PublishError>, Duration);

/// What one cycle led to.
enum Outcome {
    /// The state says what was observed.
    Settled,
    /// The observation was thrown away: somebody else saved, or it was too old.
    Discarded,
}

impl Term {
    pub(crate) fn new(replica: Arc<Replica>) -> Self {
        let settings = &replica.settings;
        let state = State::new(settings.owner, settings.headers.clone());
        let ring = KeyRing::new(state, settings.policy.clone());
        Self {
            replica,
            ring,
            failing: BTreeMap::new(),
            told: Vec::new(),
            waited: false,
        }
    }

    /// Leads until dropped.
    pub(crate) async fn run(mut self) {
        let clock = self.replica.parts.clock.clone();
        let mut fenced = false;
        loop {
            let begun = clock.monotonic();
            let outcome = match fenced {
                false => self.fence().await.map(|()| fenced = true),
                true => Ok(()),
            };
            let outcome = match outcome {
                Ok(()) => self.cycle().await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(Outcome::Settled) => self.wait(begun).await,
                Ok(Outcome::Discarded) => {}
                Err(error) => {
                    self.replica.notice(&Notice::StateFailed(&error));
                    clock.sleep(RETRY.min(self.replica.settings.sync_period)).await;
                }
            }
        }
    }

    /// Raises the revision by compare-and-swap before anything else: whatever an earlier leader still
    /// has in hand can no longer be saved.
    async fn fence(&mut self) -> Result<(), StateError> {
        loop {
            let Reading { confirmed, version } = self.replica.confirm().await?;
            let Some(state) = confirmed.and_then(|confirmed| confirmed.state) else {
                return Ok(());
            };
            let mut ring = self.ring.clone();
            ring.resume(state);
            ring.fence();
            match self.replica.save(ring, version.as_ref()).await {
                Err(StateError::Conflict) => {}
                saved => return saved.map(drop),
            }
        }
    }

    async fn cycle(&mut self) -> Result<Outcome, StateError> {
        let clock = self.replica.parts.clock.clone();
        let begun = clock.monotonic();
        let observation = self.replica.parts.source.observe().await;
        let took = clock.monotonic().saturating_sub(begun);
        self.replica.notice(&Notice::Polled {
            took,
            complete: observation.is_complete(),
        });
        self.tell_endpoints(&observation);
        let now = clock.now();

        let Reading { confirmed, version } = self.replica.confirm().await?;
        let base = match confirmed {
            // A newer version of the software wrote it: its documents are published, nothing is saved.
            Some(Confirmed { state: None, .. }) => return Ok(Outcome::Settled),
            Some(Confirmed { state, .. }) => state,
            None => None,
        };
        if base.is_none() && !self.may_begin(&observation, version.as_ref()).await {
            return Ok(Outcome::Settled);
        }
        let settings = self.replica.settings.clone();
        let base_state = base.clone().unwrap_or_else(|| {
            let mut state = State::new(settings.owner, settings.headers.clone());
            // Like a generation: above every state before it, should a backup bring an older one back.
            state.revision = u64::try_from(now.as_millisecond()).unwrap_or_default();
            state
        });
        self.ring.resume(base_state);
        self.ring.set_headers(settings.headers.clone());
        let observed = self.ring.observe(&observation, now);
        let blocked = observed.as_ref().err().map(ToString::to_string);
        let mut events = observed.unwrap_or_default();
        events.extend(self.claim().await);
        for found in self
            .replica
            .ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            self.ring.draw_above(&found, now);
        }
        if let Err(error) = self.ring.publication(&self.replica.parts.issuer, now) {
            return Ok(self.blocked(error.to_string()));
        }
        match blocked {
            Some(reason) => drop(self.blocked(reason)),
            None => self.replica.status.send_modify(|status| status.blocked = None),
        }
        if Some(self.ring.state()) == base.as_ref() {
            return Ok(Outcome::Settled);
        }
        // Paused since the endpoints were read? Then what they said may be long past.
        if clock.monotonic().saturating_sub(begun) > settings.renew_deadline {
            return Ok(Outcome::Discarded);
        }
        match self.replica.save(self.ring.clone(), version.as_ref()).await {
            Ok(_) => {
                for event in &events {
                    self.replica.notice(&Notice::Rotation(event));
                }
                Ok(Outcome::Settled)
            }
            Err(StateError::Conflict | StateError::Unknown(_)) => Ok(Outcome::Discarded),
            Err(error) => Err(error),
        }
    }

    /// Whether a state may begin now. If there may have been one, another replica may remember it: it
    /// gets one lease duration to say so.
    async fn may_begin(&mut self, observation: &Observation, version: Option<&StateVersion>) -> bool {
        if !observation
            .answers
            .values()
            .any(|answer| matches!(answer, Answer::Read { .. }))
        {
            let reasons: Vec<String> = observation
                .failures()
                .map(|(name, error)| format!("{name} {error}"))
                .collect();
            self.blocked(format!("no API server could be read: {}", reasons.join("; ")));
            return false;
        }
        if self.waited {
            return true;
        }
        // What only this replica has says nothing about others.
        let shared = self
            .replica
            .parts
            .publishers
            .iter()
            .all(|publisher| publisher.is_shared());
        if version.is_none() && shared {
            let inspected = self.inspect(self.replica.parts.publishers.clone()).await;
            let empty = |found: &Result<Found, PublishError>| found.as_ref().is_ok_and(Found::is_empty);
            if inspected.iter().all(|(_, found, _)| empty(found)) {
                return true;
            }
        }
        self.waited = true;
        self.blocked("the state is missing; waiting for a replica that remembers it".to_owned());
        self.replica
            .clock()
            .sleep(self.replica.settings.lease_duration)
            .await;
        // What was observed before the wait is old by now.
        self.replica.poll_now.notify_one();
        false
    }

    /// Claims the shared locations that are not claimed yet and can be read.
    async fn claim(&mut self) -> Vec<Event> {
        let replica = self.replica.clone();
        let claims = &self.ring.state().claims;
        let unclaimed = |publisher: &&Arc<dyn Publisher>| {
            publisher.is_shared() && !claims.contains_key(&publisher.location())
        };
        let unclaimed = replica
            .parts
            .publishers
            .iter()
            .filter(unclaimed)
            .cloned()
            .collect();
        let mut events = Vec::new();
        for (publisher, found, took) in self.inspect(unclaimed).await {
            let location = publisher.location();
            match found.and_then(|found| Ok(self.claim_one(&location, &found)?)) {
                Ok(adopted) => events.extend(adopted),
                Err(error) => {
                    replica.notice(&Notice::PublishFailed {
                        publisher: publisher.kind(),
                        location: &location,
                        took,
                        error: &error,
                    });
                    replica.status.send_modify(|status| {
                        status.sinks.entry(location).or_default().error = Some(error.to_string());
                    });
                }
            }
        }
        events
    }

    /// Reads what each of them holds, all at once and not for long: what was observed must still be fresh when it is
    /// saved, whichever of them does not answer.
    async fn inspect(&self, publishers: Vec<Arc<dyn Publisher>>) -> Vec<Inspected> {
        let limit = self.replica.settings.renew_deadline / 4;
        let mut running = JoinSet::new();
        for (nth, publisher) in publishers.into_iter().enumerate() {
            let clock = self.replica.parts.clock.clone();
            running.spawn(async move {
                let begun = clock.monotonic();
                let found = tokio::select! {
                    found = publisher.inspect() => found,
                    () = clock.sleep(limit) => Err(PublishError::Store {
                        document: DocumentPath::JWKS,
                        error: StoreError::Unavailable(format!("no answer within {limit:?}")),
                    }),
                };
                let took = clock.monotonic().saturating_sub(begun);
                (nth, (publisher, found, took))
            });
        }
        let mut inspected = running.join_all().await;
        inspected.sort_by_key(|(nth, _)| *nth);
        inspected.into_iter().map(|(_, inspected)| inspected).collect()
    }

    fn claim_one(&mut self, location: &str, found: &Found) -> Result<Vec<Event>, Occupied> {
        let (issuer, take_over) = (&self.replica.parts.issuer, self.replica.settings.take_over);
        self.ring
            .claim(location, issuer, found, take_over, self.replica.clock().now())
    }

    /// Waits for the next cycle: a period, the next end of a retention, an endpoint that comes back, or a
    /// reason to look at once.
    async fn wait(&self, begun: Duration) {
        let replica = &self.replica;
        let (clock, period) = (replica.clock(), replica.settings.sync_period);
        loop {
            let left = (begun + period).saturating_sub(clock.monotonic());
            let mut pause = left;
            if let Some(end) = self.ring.next_deadline() {
                let until = Duration::try_from(end.duration_since(clock.now())).unwrap_or_default();
                // Past already, by this clock but not by all: API servers tell whole seconds.
                pause = pause.min(until.max(RETRY.min(period)));
            }
            let probing = !self.failing.is_empty() && RETRY < pause;
            if probing {
                pause = RETRY;
            }
            tokio::select! {
                biased;
                () = replica.poll_now.notified() => return,
                () = clock.sleep(pause) => {}
            }
            if !probing {
                return;
            }
            for endpoint in self.failing.keys() {
                if replica.parts.source.probe(endpoint).await {
                    return;
                }
            }
        }
    }

    fn blocked(&self, reason: String) -> Outcome {
        self.replica.notice(&Notice::Blocked { reason: &reason });
        self.replica
            .status
            .send_modify(|status| status.blocked = Some(reason));
        Outcome::Settled
    }

    fn tell_endpoints(&mut self, observation: &Observation) {
        let failing: BTreeMap<String, SourceError> = observation
            .failures()
            .map(|(name, error)| (name.to_owned(), error.clone()))
            .collect();
        for (endpoint, error) in &failing {
            if self.failing.get(endpoint) != Some(error) {
                self.replica.notice(&Notice::EndpointFailed { endpoint, error });
            }
        }
        for endpoint in self
            .failing
            .keys()
            .filter(|endpoint| !failing.contains_key(*endpoint))
        {
            self.replica.notice(&Notice::EndpointBack { endpoint });
        }
        let mut findings = Vec::new();
        for (endpoint, answer) in &observation.answers {
            let Answer::Read { parsed, .. } = answer else {
                continue;
            };
            for finding in &parsed.findings {
                let entry = (endpoint.clone(), finding.clone());
                if !self.told.contains(&entry) {
                    self.replica.notice(&Notice::Finding { endpoint, finding });
                }
                findings.push(entry);
            }
        }
        self.replica.status.send_modify(|status| {
            status.endpoints = observation
                .answers
                .keys()
                .map(|name| (name.clone(), failing.get(name).map(ToString::to_string)))
                .collect();
        });
        self.failing = failing;
        self.told = findings;
    }
}
