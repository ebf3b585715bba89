//! [`Election`]: who leads, decided from what the Lease says and when this process saw it change. Pure: no
//! clock, no IO.
//!
//! The times in a Lease are its holder's and are never compared with ours: only that a record changed
//! counts, and how long ago by our own monotonic clock. A holder whose clock is wrong by years can neither
//! lose the Lease nor keep it for that. A holder stops counting itself as the leader when its renewals have
//! failed for `renew_deadline`, others begin to try when `lease_duration` has passed since they saw the last
//! change; as the first is shorter, one has stopped before the other begins, if their clocks run equally
//! fast. Where they do not, the compare-and-swap of what is saved decides.

use std::time::Duration;

/// Times of an election: `lease_duration` above `renew_deadline` above `retry_period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait for a holder that does not renew.
    pub lease_duration: Duration,
    /// How long a holder that cannot renew goes on.
    pub renew_deadline: Duration,
    /// How often it is tried.
    pub retry_period: Duration,
}

/// What the Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; `None` after it was given up.
    pub holder: Option<String>,
    /// How long others shall wait.
    pub lease_duration: Duration,
    /// How often it changed hands.
    pub transitions: i32,
    /// The object's `resourceVersion`: differs whenever anything was written.
    pub version: String,
}

/// What to write to the Lease now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// Create it: there is none.
    Create,
    /// Put our record in place of this version.
    Replace {
        /// The version that is replaced.
        version: String,
        /// How often it changed hands, this time included.
        transitions: i32,
        /// Whether this process holds it already, so that the time of acquisition stays.
        renewal: bool,
    },
    /// Nothing: somebody else holds it.
    Wait,
}

/// One candidate.
#[derive(Debug, Clone)]
pub struct Election {
    identity: String,
    timing: Timing,
    /// The last record seen, and since when it has been like that.
    seen: Option<(Record, Duration)>,
    /// When the last successful write was begun, while what was seen since is ours.
    renewed: Option<Duration>,
    /// Whether `seen` is our own last write, so that it may be replaced without another read.
    fresh: bool,
}

impl Election {
    /// A candidate that has seen nothing yet. No two processes may have the same identity.
    pub fn new(identity: impl Into<String>, timing: Timing) -> Self {
        Self {
            identity: identity.into(),
            timing,
            seen: None,
            renewed: None,
            fresh: false,
        }
    }

    /// The next write of a holder that knows what it wrote last; everybody else reads first.
    pub fn renewal(&self) -> Option<Attempt> {
        match &self.seen {
            Some((record, _)) if self.fresh => Some(self.replace(record)),
            _ => None,
        }
    }

    /// The Lease was read, `None` where there is none: what to do about it.
    pub fn read(&mut self, record: Option<Record>, now: Duration) -> Attempt {
        if self.seen.as_ref().map(|(seen, _)| seen) != record.as_ref() {
            self.seen = record.map(|record| (record, now));
        }
        if !self.is_holder() {
            self.renewed = None;
        }
        let Some((record, since)) = &self.seen else {
            return Attempt::Create;
        };
        let expired = now.saturating_sub(*since) >= record.lease_duration;
        if record.holder.is_none() || self.is_holder() || expired {
            self.replace(record)
        } else {
            Attempt::Wait
        }
    }

    /// An attempt that was begun at `begun` succeeded and left this record.
    pub fn wrote(&mut self, record: Record, begun: Duration) {
        self.seen = Some((record, begun));
        self.renewed = Some(begun);
        self.fresh = true;
    }

    /// An attempt failed, lost a race, or nobody knows: read before the next one.
    pub fn failed(&mut self) {
        self.fresh = false;
    }

    /// Whether this process leads: the Lease is its own, by a write less than `renew_deadline` ago.
    pub fn is_leading(&self, now: Duration) -> bool {
        self.leads_until().is_some_and(|end| now < end)
    }

    /// When it ceases to lead unless it renews.
    pub fn leads_until(&self) -> Option<Duration> {
        self.renewed
            .map(|begun| begun.saturating_add(self.timing.renew_deadline))
    }

    /// Whether the record seen last is this candidate's.
    pub fn is_holder(&self) -> bool {
        let holder = self
            .seen
            .as_ref()
            .and_then(|(record, _)| record.holder.as_deref());
        holder == Some(self.identity.as_str())
    }

    fn replace(&self, record: &Record) -> Attempt {
        let renewal = self.is_holder();
        Attempt::Replace {
            version: record.version.clone(),
            transitions: record.transitions.saturating_add(i32::from(!renewal)),
            renewal,
        }
    }
}

#[cfg(test)]
mod tests;
