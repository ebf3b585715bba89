//! Time, passed in: the same code runs on the machine's clock and on a test's virtual one.

use std::time::Duration;

use async_trait::async_trait;

pub use jiff::Timestamp;

/// What time it is, and waiting for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time. It may jump either way; nothing is counted from it that a jump could shorten.
    fn now(&self) -> Timestamp;

    /// Time since a fixed, arbitrary moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns after the given time.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clocks, and tokio's timer.
#[cfg(feature = "tokio")]
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: std::time::Instant,
}

#[cfg(feature = "tokio")]
impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

#[cfg(feature = "tokio")]
impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "tokio")]
#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A seeded source of jitter, so that a schedule can be run again.
///
/// SplitMix64: good enough to spread retries, never used for anything secret.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration from zero up to, not including, `limit`.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let fraction = (z >> 11) as f64 / (1u64 << 53) as f64;
        limit.mul_f64(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_repeats_with_its_seed_and_stays_below_its_limit() {
        let limit = Duration::from_millis(700);
        let draw = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..100).map(|_| jitter.up_to(limit)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|d| *d < limit));
        assert!(draw(7).iter().any(|d| *d > limit / 2));
    }
}
