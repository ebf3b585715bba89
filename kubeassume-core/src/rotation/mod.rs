//! The rotation merger: which keys are public, given what the API servers serve and have served.
//!
//! ```text
//!                 served                       absent everywhere
//!    (unknown) ───────────> live ──────────────────────────────────> retiring
//!        │                   ^ ^ <────────────── served ─────────────── │
//!        │ only in the       │ │                                        │ overlapPeriod over
//!        │ public copy       │ └────────────── served ────────┐         │ by every clock
//!        v       served      │                                │         v
//!    unconfirmed ────────────┘                                └────── removed ──> forgotten after 30 days
//!        └──────────────────── overlapPeriod over ──────────────────────^
//!
//!    any of them ── revoked by thumbprint ──> revoked, for ever
//! ```
//!
//! [`KeyRing`] is pure and deterministic: it reads no clock, does no IO and never panics. It does not save
//! or publish anything either; a caller that loses a compare-and-swap drops the ring and starts again.

mod claim;
mod cycle;
mod event;
mod retention;
mod ring;
mod state;

pub use claim::{Found, Occupied};
pub use event::{Event, KeyName};
pub use retention::{Clocks, Retention};
pub use ring::{KeyRing, OnStateLoss, Policy, REMOVED_MEMORY, RingError, SHARED_ADDRESS_POLLS};
pub use state::{Claim, EndpointKeys, KeyEntry, KeyState, SCHEMA_VERSION, ServedKey, State};
