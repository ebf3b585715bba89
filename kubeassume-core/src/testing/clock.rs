//! [`VirtualClock`]: time that passes when everybody waits for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};

/// How often a sleeper is polled without any time passing before it moves the clock itself. It lets
/// futures that are not asleep finish their steps first.
const PATIENCE: u32 = 16;

/// A clock that a test sets. Sleeping never blocks: once nothing else moves, the clock jumps to the
/// earliest moment that anybody sleeps for, so code under test cannot hang and a day takes no time.
///
/// Clones share one time. Wall-clock time begins at 2026-01-01T00:00:00Z, monotonic time at zero.
///
/// ```
/// use std::time::Duration;
/// use kubeassume_core::{Clock, testing::{VirtualClock, block_on}};
///
/// let clock = VirtualClock::new();
/// block_on(clock.sleep(Duration::from_secs(86_400)));
/// assert_eq!(clock.monotonic(), Duration::from_secs(86_400));
///
/// clock.jump_back(Duration::from_secs(3600)); // somebody sets the machine's clock
/// assert_eq!(clock.now().to_string(), "2026-01-01T23:00:00Z");
/// assert_eq!(clock.monotonic(), Duration::from_secs(86_400));
/// ```
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Time>>);

#[derive(Debug)]
struct Time {
    wall: Timestamp,
    monotonic: Duration,
    /// Who sleeps until when.
    sleepers: BTreeMap<u64, Duration>,
    next_sleeper: u64,
}

impl VirtualClock {
    /// A clock of its own.
    pub fn new() -> Self {
        Self::starting("2026-01-01T00:00:00Z".parse().expect("a timestamp"))
    }

    /// A clock of its own whose wall-clock time begins there.
    pub fn starting(wall: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Time {
            wall,
            monotonic: Duration::ZERO,
            sleepers: BTreeMap::new(),
            next_sleeper: 0,
        })))
    }

    /// Lets time pass: both times.
    pub fn advance(&self, duration: Duration) {
        self.time().advance(duration);
    }

    /// Sets wall-clock time; monotonic time does not notice.
    pub fn set_now(&self, now: Timestamp) {
        self.time().wall = now;
    }

    /// Wall-clock time jumps ahead; monotonic time does not notice.
    pub fn jump_ahead(&self, by: Duration) {
        let mut time = self.time();
        time.wall = time.wall.saturating_add(by).expect("a time within the calendar");
    }

    /// Wall-clock time jumps back; monotonic time does not notice.
    pub fn jump_back(&self, by: Duration) {
        let mut time = self.time();
        time.wall = time.wall.saturating_sub(by).expect("a time within the calendar");
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Time {
    fn advance(&mut self, duration: Duration) {
        self.monotonic += duration;
        self.wall = self
            .wall
            .saturating_add(duration)
            .expect("a time within the calendar");
    }

    /// To the earliest moment that anybody sleeps for and that is not over yet.
    fn advance_to_next(&mut self) {
        let next = self
            .sleepers
            .values()
            .copied()
            .filter(|at| *at > self.monotonic)
            .min();
        if let Some(next) = next {
            self.advance(next - self.monotonic);
        }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.time().wall
    }

    fn monotonic(&self) -> Duration {
        self.time().monotonic
    }

    async fn sleep(&self, duration: Duration) {
        let sleep = {
            let mut time = self.time();
            let (id, until) = (time.next_sleeper, time.monotonic.saturating_add(duration));
            time.next_sleeper += 1;
            time.sleepers.insert(id, until);
            Sleep {
                clock: self.clone(),
                id,
                until,
                seen: time.monotonic,
                patience: PATIENCE,
            }
        };
        sleep.await;
    }
}

struct Sleep {
    clock: VirtualClock,
    id: u64,
    until: Duration,
    /// The time at the last poll.
    seen: Duration,
    patience: u32,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut time = clock.time();
        if time.monotonic != self.seen {
            self.seen = time.monotonic;
            self.patience = PATIENCE;
        }
        if self.patience == 0 {
            // Not simply to our own moment: an earlier sleeper may not be polled just now.
            time.advance_to_next();
        } else {
            self.patience -= 1;
        }
        if time.monotonic >= self.until {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.time().sleepers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{Either, join, select};
    use std::pin::pin;

    use super::*;
    use crate::testing::block_on;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sleepers_wake_in_the_order_of_their_moments() {
        let clock = VirtualClock::new();
        let order = Mutex::new(Vec::new());
        let sleeper = async |seconds: u32| {
            clock.sleep(SECOND * seconds).await;
            order.lock().unwrap().push(seconds);
        };
        block_on(join(join(sleeper(3), sleeper(1)), join(sleeper(2), sleeper(1))));
        assert_eq!(*order.lock().unwrap(), [1, 1, 2, 3]);
        assert_eq!(clock.monotonic(), SECOND * 3);
    }

    #[test]
    fn a_sleeper_that_nobody_polls_holds_nobody_up() {
        let clock = VirtualClock::new();
        block_on(async {
            let early = pin!(clock.sleep(SECOND));
            let Either::Left(((), early)) = select(pin!(super::super::executor::turns(1)), early).await
            else {
                panic!("the sleep was over first");
            };
            clock.sleep(SECOND * 5).await;
            early.await;
        });
        assert_eq!(clock.monotonic(), SECOND * 5);
    }
}
