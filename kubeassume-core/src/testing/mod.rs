//! Test support for this crate and for your own implementations of its traits: a virtual clock, stores in
//! memory, a store that fails on order, key fixtures, and conformance suites.
//!
//! The suites are lists of [`Check`]s, async functions that panic with a message; they need no particular runtime:
//!
//! ```
//! use kubeassume_core::testing::{MemoryStore, block_on, store};
//!
//! block_on(store::conformance(MemoryStore::new));
//! ```
//!
//! Nothing here is for production: it panics, and it holds everything in memory. What a suite cannot show
//! is that a server keeps its word under real concurrency: run it against the real server too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a broken promise ends the test with a message"
)]

mod check;
mod clock;
mod executor;
mod fault;
pub mod keys;
mod memory_state_store;
mod memory_store;
pub mod publisher;
mod reader;
mod source;
pub mod state_store;
pub mod store;

pub use check::Check;
pub use clock::VirtualClock;
pub use executor::block_on;
pub use fault::{Fault, FaultStore, Operation};
pub use memory_state_store::MemoryStateStore;
pub use memory_store::{Change, MemoryStore};
pub use reader::StoreReader;
pub use source::StaticSource;
