//! Reading as the public does, against a real TLS server; and the sources built on files and URLs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says plainly what it expects"
)]

mod directory;
mod reader;
mod server;
mod url;
