//! What the benches and the binary `instructions` measure.
//!
//! - [`documents`]: key sets of any number of keys, the same bytes in every run.
//! - [`cycle`](mod@cycle): from an API server's bytes to publishable bytes, and its baseline.
//! - [`report`]: the ratios, printed at the end.
//!
//! `README.md` beside this crate says what each figure means. Nothing here is shipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "developers only: a bench that cannot be set up has to stop"
)]

pub mod cycle;
pub mod documents;
pub mod report;
