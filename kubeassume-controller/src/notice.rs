//! What a controller tells while it works: for Kubernetes Events, metrics, logs and the demo's timeline.

use std::time::Duration;

use kubeassume_core::rotation::Event;
use kubeassume_core::{Finding, PublishError, Published, SourceError, StateError, Verification};

/// Receives what happens. Called inline, so it must be quick and must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: &Notice<'_>);
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A key came, went or needs attention.
    Rotation(&'a Event),
    /// A key of an endpoint is left out, or worth a remark.
    Finding {
        /// Which endpoint.
        endpoint: &'a str,
        /// What was found.
        finding: &'a Finding,
    },
    /// An endpoint could not be read, or its answer was refused; told when that begins or changes.
    EndpointFailed {
        /// Which endpoint.
        endpoint: &'a str,
        /// Why.
        error: &'a SourceError,
    },
    /// An endpoint that failed answers again.
    EndpointBack {
        /// Which endpoint.
        endpoint: &'a str,
    },
    /// All endpoints were read once.
    Polled {
        /// How long that took.
        took: Duration,
        /// Whether every listed endpoint answered.
        complete: bool,
    },
    /// A new state was saved.
    Saved {
        /// Its revision.
        revision: u64,
    },
    /// The stored state was missing, corrupt or older than this replica's memory, and was rewritten.
    StateRepaired {
        /// What was wrong with it.
        reason: &'a str,
    },
    /// The state could not be read or saved.
    StateFailed(&'a StateError),
    /// A sink was brought to the publication, or was there already.
    Published {
        /// The publisher's kind.
        publisher: &'a str,
        /// Where it writes.
        location: &'a str,
        /// How long that took.
        took: Duration,
        /// What was done.
        published: &'a Published,
    },
    /// A sink could not be brought to the publication.
    PublishFailed {
        /// The publisher's kind.
        publisher: &'a str,
        /// Where it writes.
        location: &'a str,
        /// How long it was tried.
        took: Duration,
        /// Why.
        error: &'a PublishError,
    },
    /// The public copy was read back.
    ReadBack {
        /// The publisher's kind.
        publisher: &'a str,
        /// Where it writes.
        location: &'a str,
        /// What the public sees.
        verification: &'a Verification,
    },
    /// Nothing can be published; says why.
    Blocked {
        /// The reason.
        reason: &'a str,
    },
    /// This replica became the leader, or ceased to be.
    Leading(bool),
}

/// Tells nobody.
impl Observer for () {
    fn notice(&self, _: &Notice<'_>) {}
}
