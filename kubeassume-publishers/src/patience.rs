//! [`Patience`]: how long a server is waited for.

use std::time::Duration;

/// How long a store waits for its server, and how often it asks again for what changes nothing. What a store does
/// without being told is in its module's "Failure".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One attempt, from connecting to the answer's last byte.
    pub attempt: Duration,
    /// How often a call is made that may be made again; at least 1.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    pub pause: Duration,
}

impl Patience {
    /// A call with all its attempts.
    #[cfg(any(feature = "s3", feature = "azure"))]
    pub(crate) fn whole(&self) -> Duration {
        self.attempt.saturating_mul(self.attempts)
    }
}
