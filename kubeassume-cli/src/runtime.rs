//! The async runtime of commands that need one.

use std::future::Future;

use crate::failure::Failure;

/// Runs a command to its end.
///
/// # Errors
/// What the command fails with, or that there is no runtime to be had.
pub(crate) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("cannot start the async runtime").because(&error))?
        .block_on(command)
}
