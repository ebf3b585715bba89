//! What a replica does in a cluster beside its work: take turns in leading, and tell Kubernetes what
//! happens. Neither is needed for safety: that is the state's compare-and-swap.

mod election;
mod events;
mod lease;

pub use election::{Attempt, Election, Record, Timing};
pub use events::{Events, Writer};
pub use lease::{LEASE, Lease};
