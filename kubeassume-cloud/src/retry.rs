//! When a call is worth another try, and after how long.
//!
//! For calls that change nothing. A write is never repeated here: whoever wrote must read first, which is
//! for the publish algorithm and for a federation's plan.

use std::future::Future;
use std::time::Duration;

use crate::http::CallError;

/// What an error says about another try.
pub trait Again {
    /// Whether the same call may succeed later without anybody mending anything.
    fn is_retryable(&self) -> bool;
    /// How long the server asks to be left alone.
    fn retry_after(&self) -> Option<Duration>;
}

impl Again for CallError {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after()
    }
}

/// How often and how long. Whatever a server says, `attempts` and `longest` bound it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often the call is made at most.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    pub first: Duration,
    /// The longest pause. A `Retry-After` beyond it ends the retries: the caller has better things to do.
    pub longest: Duration,
}

impl Retry {
    /// For a read that somebody waits for.
    pub const READ: Self = Self {
        attempts: 3,
        first: Duration::from_millis(200),
        longest: Duration::from_secs(3),
    };

    /// Makes the call until it succeeds, fails for good, or was made often enough.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn run<T, E, F>(&self, mut call: impl FnMut() -> F) -> Result<T, E>
    where
        E: Again,
        F: Future<Output = Result<T, E>>,
    {
        let mut attempt = 1;
        loop {
            let error = match call().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(pause) = self.pause(attempt, &error) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// How long to wait after this attempt (from 1), or `None` if that was the last.
    fn pause(&self, attempt: u32, error: &impl Again) -> Option<Duration> {
        if attempt >= self.attempts || !error.is_retryable() {
            return None;
        }
        let doubled = self
            .first
            .saturating_mul(1 << (attempt - 1).min(16))
            .min(self.longest);
        // Many replicas fail at the same moment; they must not come back at the same moment.
        let jitter = 0.5 + fastrand::f64() / 2.0;
        match error.retry_after() {
            Some(asked) if asked > self.longest => None,
            Some(asked) => Some(asked + self.first.mul_f64(jitter)),
            None => Some(doubled.mul_f64(jitter)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::http::Refusal;

    fn refused(status: u16, retry_after: Option<u64>) -> CallError {
        CallError::Refused(Box::new(Refusal {
            status,
            code: String::new(),
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
            date: None,
        }))
    }

    /// How often it was called, and for how long.
    async fn outcome(error: CallError) -> (u32, Duration) {
        let (mut calls, begin) = (0, Instant::now());
        let result = Retry::READ
            .run(|| {
                calls += 1;
                std::future::ready(Err::<(), _>(error.clone()))
            })
            .await;
        assert_eq!(result, Err(error));
        (calls, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn retries_end() {
        for error in [
            refused(503, None),
            refused(429, Some(0)),
            CallError::Lost(String::new()),
        ] {
            let (calls, time) = outcome(error).await;
            assert_eq!(calls, 3);
            assert!(
                time >= Duration::from_millis(200) && time <= Duration::from_secs(1),
                "{time:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_time_gets_it_or_is_left() {
        let (calls, time) = outcome(refused(429, Some(2))).await;
        assert!(calls == 3 && time >= Duration::from_secs(4), "{calls} {time:?}");
        assert_eq!(outcome(refused(503, Some(3600))).await, (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_asked_once() {
        for error in [
            refused(403, None),
            refused(412, Some(1)),
            refused(501, None),
            CallError::TooLarge(1),
            CallError::Unsendable(String::new()),
        ] {
            assert_eq!(outcome(error).await, (1, Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_ends_them() {
        let mut answers = [Err(refused(500, None)), Ok(7)].into_iter();
        let result = Retry::READ
            .run(|| std::future::ready(answers.next().unwrap()))
            .await;
        assert_eq!(result, Ok(7));
    }
}
