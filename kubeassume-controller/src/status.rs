//! [`Status`]: where a replica stands, for health checks, metrics and `kubeassume status`.

use std::collections::BTreeMap;
use std::time::Duration;

use kubeassume_core::{Health, Snapshot};

/// Where a replica stands. Moments are times of its clock's monotonic reading.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Whether it polls and saves.
    pub leading: bool,
    /// When the state was last confirmed by a fresh read.
    pub confirmed: Option<Duration>,
    /// The state as it was then.
    pub snapshot: Option<Snapshot>,
    /// Each listed endpoint of the last poll, with the error of those that failed. Empty on followers.
    pub endpoints: BTreeMap<String, Option<String>>,
    /// Each sink, by location.
    pub sinks: BTreeMap<String, Sink>,
    /// Why nothing can be published, if so.
    pub blocked: Option<String>,
}

/// Where a sink stands.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    /// The publisher's kind.
    pub kind: String,
    /// When it was last seen to hold the publication.
    pub published: Option<Duration>,
    /// When the public copy was last verified.
    pub verified: Option<Duration>,
    /// The last error, until the next success.
    pub error: Option<String>,
    /// Keys that somebody else put there, found by the last write.
    pub foreign: usize,
}

impl Status {
    /// Whether the state was confirmed by a fresh read within three periods: `/readyz`.
    pub fn readiness(&self, now: Duration, period: Duration) -> Health {
        match (self.confirmed, &self.blocked) {
            (Some(at), _) if now.saturating_sub(at) <= period * 3 => Health::Ok,
            (Some(at), _) => {
                let age = now.saturating_sub(at).as_secs();
                Health::Failing(format!("the state was last confirmed {age} s ago"))
            }
            (None, Some(reason)) => Health::Failing(reason.clone()),
            (None, None) => Health::Failing("the state has not been confirmed yet".to_owned()),
        }
    }

    /// Whether every sink's public copy was verified within `allowed`: `/verifiedz`, for monitors.
    pub fn verified(&self, now: Duration, allowed: Duration) -> Health {
        if self.sinks.is_empty() {
            return Health::Failing("nothing was published yet".to_owned());
        }
        self.sinks
            .iter()
            .map(|(location, sink)| match sink.verified {
                Some(at) if now.saturating_sub(at) <= allowed => Health::Ok,
                Some(at) => {
                    let age = now.saturating_sub(at).as_secs();
                    let error = sink.error.as_deref().unwrap_or("no error");
                    Health::Failing(format!("{location}: last verified {age} s ago ({error})"))
                }
                None => Health::Failing(format!(
                    "{location}: never verified ({})",
                    sink.error.as_deref().unwrap_or("not tried yet")
                )),
            })
            .collect()
    }
}
