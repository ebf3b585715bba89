//! How long a vanished key stays public, and by whose clock.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long a key stays public after it was first observed absent everywhere: exactly the configured
/// `overlapPeriod`, with no hidden additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    overlap: Duration,
}

impl Retention {
    /// A retention of `overlapPeriod`.
    pub fn new(overlap: Duration) -> Self {
        Self { overlap }
    }

    /// When a key that was marked at `since` may go.
    pub fn ends(self, since: Timestamp) -> Timestamp {
        // Saturates at the end of jiff's calendar, year 9999: never, for a key.
        since.saturating_add(self.overlap).unwrap_or(Timestamp::MAX)
    }

    /// What this retention puts at risk: tokens that outlive the key that signed them, by how much at
    /// most. `None` when it covers the longest token lifetime plus what relying parties may cache.
    pub fn shortfall(self, longest_token: Duration, cache_max_age: Duration) -> Option<Duration> {
        longest_token
            .saturating_add(cache_max_age)
            .checked_sub(self.overlap)
            .filter(|gap| !gap.is_zero())
    }
}

/// The clocks of one cycle: the local one and the `Date` of each API server that answered. With one right
/// clock among them, a mark is never set too early and never expires too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    earliest: Timestamp,
    latest: Timestamp,
}

impl Clocks {
    /// The local clock, and the others.
    pub fn new(local: Timestamp, dates: impl IntoIterator<Item = Timestamp>) -> Self {
        dates.into_iter().fold(
            Self {
                earliest: local,
                latest: local,
            },
            |clocks, date| Self {
                earliest: clocks.earliest.min(date),
                latest: clocks.latest.max(date),
            },
        )
    }

    /// A mark set now begins here.
    pub fn latest(self) -> Timestamp {
        self.latest
    }

    /// Whether a retention that ends then is over, by every clock.
    pub fn is_past(self, end: Timestamp) -> bool {
        self.earliest >= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortfall_is_what_the_overlap_does_not_cover() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Retention::new(hour * 24).shortfall(hour, hour), None);
        assert_eq!(Retention::new(hour * 2).shortfall(hour, hour), None);
        assert_eq!(
            Retention::new(hour).shortfall(hour, Duration::from_secs(300)),
            Some(Duration::from_secs(300))
        );
    }

    #[test]
    fn an_absurd_overlap_never_ends() {
        let since = Timestamp::UNIX_EPOCH;
        assert_eq!(Retention::new(Duration::MAX).ends(since), Timestamp::MAX);
    }
}
