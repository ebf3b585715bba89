//! Waiting for something to become true: bounded, and with the reason when it does not.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(100);

/// Tries until the attempt succeeds, and returns what it returned.
///
/// # Panics
///
/// After `limit`, with `what` and the last attempt's error.
pub async fn until<T, E: std::fmt::Display>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if Instant::now() >= end => panic!("waited {limit:?} for {what}: {error}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
