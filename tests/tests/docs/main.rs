//! The documentation, held against the code: references are what the code says, every command block is run
//! or says why not, every named test exists, every link leads somewhere.
//!
//! What a test cannot know is whether a sentence is true; it can only keep names, outputs and commands so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod desk;
mod page;
mod shell;

mod blocks;
mod bucket;
mod endpoint;
mod first_cluster;
mod guarantees;
mod metrics;
mod references;
