//! A strict relying party: what it accepts, and everything that it must not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says plainly what it expects"
)]

mod accepted;
mod cache;
mod documents;
mod hostile;
mod hostile_claims;
mod hostile_form;
mod properties;
mod signer;
mod site;
