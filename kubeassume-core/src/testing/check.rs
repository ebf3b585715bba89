//! [`Check`]: one promise of a conformance suite.

use std::fmt;

use futures_util::future::LocalBoxFuture;

/// A promise, and the test of it on a `T`: a store, or a [place to publish to](super::publisher::Place).
pub struct Check<T> {
    /// What is shown, in a few words.
    pub name: &'static str,
    run: fn(T) -> LocalBoxFuture<'static, ()>,
}

impl<T> Check<T> {
    pub(super) const fn new(name: &'static str, run: fn(T) -> LocalBoxFuture<'static, ()>) -> Self {
        Self { name, run }
    }

    /// Shows it, on one that nothing else uses.
    ///
    /// # Panics
    /// With the promise that was broken.
    pub async fn run(&self, on: T) {
        (self.run)(on).await;
    }
}

impl<T> fmt::Debug for Check<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}
