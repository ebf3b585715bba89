//! Each store behind a proxy that fails, in front of a real server: no torn pair, no lost update, no endless retry, an
//! error that says what to do, and all is right after one more publish.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

mod azure;
mod cases;
mod gcs;
mod oci;
mod play;
mod s3;
